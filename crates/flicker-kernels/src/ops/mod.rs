//! Every operator but convolution: activations, normalization, linear maps, pooling, resizing, softmax and the
//! in-place steps of the optimizers.
//!
//! On the CPU, in f32 and f64, each is a candle custom operator with a backward of its own; elsewhere the same
//! function is a composition of candle's operators whose gradients are right.
#![allow(unsafe_code)] // Each use says why it is sound.

pub(crate) mod activation;
mod adapter;
mod in_place;
mod linear;
mod norm;
mod optimizer;
mod pool;
mod real;
mod resize;
mod second_order;
mod softmax;

pub use activation::{Activation, activate};
pub use linear::{bias_add, linear, transposed_product};
pub use norm::{batch_norm_eval, batch_norm_train, group_norm, layer_norm};
pub use optimizer::{
    AdamStep, RmsPropState, RmsPropStep, SgdStep, WeightDecay, adam_step, ema_step, rmsprop_step, sgd_step,
    sum_of_squares,
};
pub use pool::{Window, avg_pool2d, max_pool2d};
pub use resize::{upsample_bilinear2d, upsample_nearest2d};
pub use softmax::{attention, softmax_last};

pub(crate) use activation::with_type;
pub(crate) use adapter::{Op3, View, apply1, apply3};
pub(crate) use linear::{ChannelSum, add_then};
pub(crate) use real::Real;
