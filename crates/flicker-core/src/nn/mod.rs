//! Layers over the kernels: convolutions, linear maps and norms, each with the activation that follows it fused in.
//!
//! Letters in shapes: B samples, C channels, H rows, W columns, F features.

mod conv;
mod init;
mod linear;
mod norm;

pub use conv::{Conv2d, ConvTranspose2d};
pub use flicker_kernels::{Activation, ConvSpec};
pub use init::{dcgan_norm, dcgan_weight, torch_default};
pub use linear::Linear;
pub use norm::{BatchNorm, GroupNorm, LayerNorm, Mode};
