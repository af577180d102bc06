//! Initial values of layers.

use candle_nn::Init;

/// DCGAN's convolution weights, N(0, 0.02²) (Radford et al., 2016).
pub fn dcgan_weight() -> Init {
    Init::Randn { mean: 0.0, stdev: 0.02 }
}

/// DCGAN's batch-norm scale, N(1, 0.02²).
pub fn dcgan_norm() -> Init {
    Init::Randn { mean: 1.0, stdev: 0.02 }
}

/// PyTorch's default for the weight and the bias of a linear map or a convolution whose outputs each read `fan_in` numbers:
/// uniform within 1/√fan_in.
pub fn torch_default(fan_in: usize) -> Init {
    let bound = 1.0 / (fan_in as f64).sqrt();
    Init::Uniform { lo: -bound, up: bound }
}
