//! Fast CPU operators with right gradients.
// The one crate with `unsafe`: each use says why it is sound, and has a test against the naive version.
#![allow(unsafe_code)]

mod allocator;
mod conv;
mod product;
mod simd;
mod threads;
mod transpose;

pub use conv::{ConvSpec, conv_transpose2d, conv2d};
#[allow(missing_docs)]
mod standin;
pub use standin::*;

mod ops;
pub use ops::*;
pub use allocator::keep_freed_memory;
pub use conv::{ConvSpec, conv_transpose2d, conv2d, conv2d_weight_grad};
