//! Layers over the kernels: convolutions, linear maps and norms, each with the activation that follows it fused in.
//!
//! Letters in shapes: B samples, C channels, H rows, W columns, F features.

mod conv;
mod init;
mod linear;

mod norm;

pub use conv::{Conv2d, ConvTranspose2d};
pub use flicker_kernels::{Activation, ConvSpec, Window};
// Operators without weights, as they are.
pub use flicker_kernels::{attention, avg_pool2d, bias_add, conv2d_bias, linear, upsample_nearest2d};
pub use init::{dcgan_norm, dcgan_weight, torch_default};
pub use linear::Linear;
pub use norm::{BatchNorm, GroupNorm, LayerNorm, Mode};

/// An activation alone, where there is no layer to fuse it with. The shape is kept.
///
/// # Errors
/// If the type of the numbers is unknown to the kernels.
pub fn activate(xs: &candle_core::Tensor, activation: Activation) -> crate::Result<candle_core::Tensor> {
    Ok(flicker_kernels::activate(xs, activation)?)
}

/// The largest value of each window: `(B, C, H, W)` to `(B, C, H', W')`. A rest at the lower and right edge is left out.
///
/// # Errors
/// If the window does not fit the images.
pub fn max_pool2d(xs: &candle_core::Tensor, window: Window) -> crate::Result<candle_core::Tensor> {
    Ok(flicker_kernels::max_pool2d(xs, window)?)
}
