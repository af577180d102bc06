//! The networks: a generator, a discriminator with its features, and an encoder of the discriminator's layers.
//!
//! Letters in shapes: B images, C channels, S size of the (square) image, Z `latent`, F features. Initial values are
//! PyTorch's defaults for the tutorial's layers, and N(0, 0.02²) without shift for the dense ones.

use crate::Architecture;
use candle_core::Tensor;
use candle_nn::{Init, VarBuilder};
use flicker_core::nn::{Activation, BatchNorm, Conv2d, ConvSpec, ConvTranspose2d, Linear, Mode, activate};
use flicker_core::{Result, Rng, Weights};

const EPS: f64 = 1e-5;
const KEEPING: ConvSpec = ConvSpec::square(1, 1);
const HALVING: ConvSpec = ConvSpec::square(2, 1);

fn norm(channels: usize, activation: Activation, vb: &VarBuilder<'_>) -> Result<BatchNorm> {
    BatchNorm::new(channels, EPS, Init::Const(1.0), activation, vb)
}

/// What the sizes of the networks follow from.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Dims {
    pub(crate) channels: usize,
    pub(crate) size: usize,
    pub(crate) latent: usize,
}

/// One transposed convolution of a generator: outputs, stride, and what follows.
type Up = (usize, usize, Activation);

/// `(B, Z)` to `(B, C, S, S)` in [-1, 1].
#[derive(Clone, Debug)]
pub struct Generator {
    dense: Vec<(Linear, BatchNorm)>,
    /// Shape of the first map.
    first: (usize, usize, usize),
    ups: Vec<(ConvTranspose2d, BatchNorm)>,
    last: ConvTranspose2d,
}

impl Generator {
    pub(crate) fn new(dims: Dims, networks: Architecture, vb: &VarBuilder<'_>) -> Result<Self> {
        let quarter = dims.size / 4;
        let (width, hidden, ups, kernel): (usize, Vec<usize>, Vec<Up>, usize) = match networks {
            Architecture::Tutorial { generator: n, .. } => {
                let leaky = Activation::LeakyRelu(0.01);
                (n, vec![], vec![(n / 2, 2, leaky), (n / 4, 1, leaky), (n / 8, 1, leaky)], 3)
            }
            Architecture::Dense { generator: n, .. } => {
                (n, vec![8 * n], vec![(n / 2, 2, Activation::Relu)], 4)
            }
        };
        let mut dense = Vec::new();
        let mut inputs = dims.latent;
        for (i, outputs) in hidden.into_iter().chain([width * quarter * quarter]).enumerate() {
            let linear = Linear::new(inputs, outputs, Activation::None, &vb.pp(format!("dense{i}")))?;
            dense.push((linear, norm(outputs, Activation::Relu, &vb.pp(format!("dense{i}_norm")))?));
            inputs = outputs;
        }
        let up = |inputs, outputs, stride, name: &str| {
            // A kernel of 3 needs one more row and column to double a size.
            let more = if kernel == 3 { stride - 1 } else { 0 };
            let spec = ConvSpec::square(stride, 1);
            ConvTranspose2d::new(inputs, outputs, kernel, spec, (more, more), &vb.pp(name))
        };
        let (mut inputs, mut blocks) = (width, Vec::new());
        for (i, (outputs, stride, activation)) in ups.into_iter().enumerate() {
            let conv = up(inputs, outputs, stride, &format!("up{i}"))?;
            blocks.push((conv, norm(outputs, activation, &vb.pp(format!("up{i}_norm")))?));
            inputs = outputs;
        }
        let last = up(inputs, dims.channels, 2, "last")?;
        Ok(Self { dense, first: (width, quarter, quarter), ups: blocks, last })
    }

    /// Images `(B, C, S, S)` of latents `(B, Z)`.
    ///
    /// # Errors
    /// If the shape is another.
    pub fn forward(&self, zs: &Tensor, mode: Mode) -> Result<Tensor> {
        let mut xs = zs.clone();
        for (linear, norm) in &self.dense {
            xs = norm.forward(&linear.forward(&xs)?, mode)?;
        }
        let (channels, height, width) = self.first;
        let mut xs = xs.reshape(((), channels, height, width))?; // (B, N, S/4, S/4)
        for (conv, norm) in &self.ups {
            xs = norm.forward(&conv.forward(&xs)?, mode)?;
        }
        activate(&self.last.forward(&xs)?, Activation::Tanh)
    }
}

/// `(B, C, S, S)` to features `(B, F)`.
#[derive(Clone, Debug)]
struct Trunk {
    convs: Vec<(Conv2d, Option<BatchNorm>)>,
    /// Applied where there is no norm to fuse it with.
    activation: Activation,
    dense: Option<(Linear, BatchNorm)>,
    features: usize,
}

impl Trunk {
    fn new(dims: Dims, networks: Architecture, n: usize, vb: &VarBuilder<'_>) -> Result<Self> {
        // Outputs, kernel, stride, and whether a norm follows.
        let (activation, convs) = match networks {
            Architecture::Tutorial { .. } => (
                Activation::LeakyRelu(0.01),
                vec![
                    (n, 3, KEEPING, true),
                    (2 * n, 3, HALVING, true),
                    (4 * n, 3, HALVING, true),
                    (8 * n, 3, KEEPING, true),
                ],
            ),
            Architecture::Dense { .. } => {
                (Activation::LeakyRelu(0.1), vec![(n, 4, HALVING, false), (n, 4, HALVING, true)])
            }
        };
        let (mut inputs, mut blocks) = (dims.channels, Vec::new());
        for (i, (outputs, kernel, spec, normed)) in convs.into_iter().enumerate() {
            let conv = Conv2d::new(inputs, outputs, kernel, spec, &vb.pp(format!("conv{i}")))?;
            let norm = || norm(outputs, activation, &vb.pp(format!("conv{i}_norm")));
            blocks.push((conv, normed.then(norm).transpose()?));
            inputs = outputs;
        }
        let flat = inputs * (dims.size / 4) * (dims.size / 4);
        let (dense, features) = match networks {
            Architecture::Tutorial { .. } => (None, flat),
            Architecture::Dense { .. } => {
                let linear = Linear::new(flat, 16 * n, Activation::None, &vb.pp("dense"))?;
                (Some((linear, norm(16 * n, activation, &vb.pp("dense_norm"))?)), 16 * n)
            }
        };
        Ok(Self { convs: blocks, activation, dense, features })
    }

    fn forward(&self, xs: &Tensor, mode: Mode) -> Result<Tensor> {
        let mut xs = xs.clone();
        for (conv, norm) in &self.convs {
            xs = match norm {
                Some(norm) => norm.forward(&conv.forward(&xs)?, mode)?,
                None => conv.forward_then(&xs, self.activation)?,
            };
        }
        let xs = xs.flatten_from(1)?; // (B, N·S²/16)
        match &self.dense {
            Some((linear, norm)) => norm.forward(&linear.forward(&xs)?, mode),
            None => Ok(xs),
        }
    }
}

/// Tells real images from generated ones.
#[derive(Clone, Debug)]
pub struct Discriminator {
    trunk: Trunk,
    last: Linear,
}

impl Discriminator {
    pub(crate) fn new(dims: Dims, networks: Architecture, vb: &VarBuilder<'_>) -> Result<Self> {
        let (Architecture::Tutorial { discriminator, .. } | Architecture::Dense { discriminator, .. }) =
            networks;
        let trunk = Trunk::new(dims, networks, discriminator, vb)?;
        let last = Linear::new(trunk.features, 1, Activation::None, &vb.pp("last"))?;
        Ok(Self { trunk, last })
    }

    /// f: the features `(B, F)` of images `(B, C, S, S)`.
    ///
    /// # Errors
    /// If the shape is another.
    pub fn features(&self, xs: &Tensor, mode: Mode) -> Result<Tensor> {
        self.trunk.forward(xs, mode)
    }

    /// The logits `(B, 1)` that images `(B, C, S, S)` are real.
    ///
    /// # Errors
    /// If the shape is another.
    pub fn forward(&self, xs: &Tensor, mode: Mode) -> Result<Tensor> {
        self.last.forward(&self.features(xs, mode)?)
    }
}

/// `(B, C, S, S)` to `(B, Z)`: where a search should start.
#[derive(Clone, Debug)]
pub struct Encoder {
    trunk: Trunk,
    last: Linear,
    /// The prior's mean and deviation: what the last layer gives is in its units.
    moments: (f64, f64),
}

impl Encoder {
    pub(crate) fn new(
        dims: Dims,
        networks: Architecture,
        features: usize,
        moments: (f64, f64),
        vb: &VarBuilder<'_>,
    ) -> Result<Self> {
        let trunk = Trunk::new(dims, networks, features, vb)?;
        let last = Linear::new(trunk.features, dims.latent, Activation::None, &vb.pp("last"))?;
        Ok(Self { trunk, last, moments })
    }

    /// Latents `(B, Z)` of images `(B, C, S, S)`.
    ///
    /// # Errors
    /// If the shape is another.
    pub fn forward(&self, xs: &Tensor, mode: Mode) -> Result<Tensor> {
        let (mean, sd) = self.moments;
        Ok(self.last.forward(&self.trunk.forward(xs, mode)?)?.affine(sd, mean)?)
    }
}

/// Initial values N(0, 0.02²) for products and 0 for shifts, in place of PyTorch's defaults.
pub(crate) fn draw_small(weights: &Weights, rng: &Rng) -> Result<()> {
    weights.redraw("", rng, |name, value, rng| match (value.rank(), name.rsplit('.').next()) {
        (2.., _) => Ok(Some((rng.randn(value.shape(), value.device())? * 0.02)?)),
        (_, Some("bias")) => Ok(Some(value.zeros_like()?)),
        _ => Ok(None),
    })
}
