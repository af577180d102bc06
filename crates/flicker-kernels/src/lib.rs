//! Fast CPU operators with right gradients, as candle custom operators: convolutions in one closed family ([`conv2d`] and its
//! kin), normalization with the activation that follows, linear maps, pooling, resizing, softmax, optimizer steps.
//!
//! This is the one crate with `unsafe`: each use says why it is sound, and has a test against the naive version.
#![allow(unsafe_code)]

mod allocator;
mod conv;
mod kernel;
mod linger;
mod matmul;
mod ops;
mod panels;
mod peak;
mod product;
mod route;
mod row;
mod simd;
mod threads;
mod transpose;
mod vectorised;

pub use allocator::{keep_freed_memory, leave_threads_to_rayon, prepare_process};
pub use conv::{ConvSpec, conv_transpose2d, conv2d, conv2d_bias, conv2d_weight_grad};
pub use linger::in_pool;
pub use ops::*;
pub use peak::{Peak, peak};
pub use route::{has_kernels, with_compositions};
pub use vectorised::{Vectorise, vectorised};
