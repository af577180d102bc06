//! The networks: an encoder pyramid, its mirror image, and the discriminator, which is an encoder of width 1.
//!
//! Letters in shapes: B images, C channels, S size of the (square) image, N `features`, Z `latent`. No convolution has a
//! bias. Initial values: convolutions N(0, 0.02²), batch-norm scales N(1, 0.02²), shifts 0.

use candle_core::Tensor;
use candle_nn::VarBuilder;
use flicker_core::Result;
use flicker_core::graph::{Graph, Value};
use flicker_core::nn::{
    Activation, BatchNorm, Conv2d, ConvSpec, ConvTranspose2d, Mode, dcgan_norm, dcgan_weight,
};

const LEAKY: Activation = Activation::LeakyRelu(0.2);
const EPS: f64 = 1e-5;

/// 4×4 kernels that halve or double the size.
const HALVING: ConvSpec = ConvSpec::square(2, 1);
/// 4×4 kernels over all of a 4×4 map.
const WHOLE: ConvSpec = ConvSpec::square(1, 0);
/// 3×3 kernels that keep the size.
const KEEPING: ConvSpec = ConvSpec::square(1, 1);

fn norm(channels: usize, activation: Activation, vb: &VarBuilder<'_>) -> Result<BatchNorm> {
    BatchNorm::new(channels, EPS, dcgan_norm(), activation, vb)
}

/// What the sizes of a network follow from.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Dims {
    pub(crate) channels: usize,
    pub(crate) size: usize,
    pub(crate) latent: usize,
    pub(crate) features: usize,
    pub(crate) extra_layers: usize,
}

/// `(B, C, S, S)` to `(B, Z, 1, 1)`: convolutions of stride 2 down to 4×4, then one over all of it.
#[derive(Clone, Debug)]
pub struct Encoder {
    first: Conv2d,
    blocks: Vec<(Conv2d, BatchNorm)>,
    last: Conv2d,
}

impl Encoder {
    pub(crate) fn new(dims: Dims, vb: &VarBuilder<'_>) -> Result<Self> {
        let conv = |inputs, outputs, kernel, spec, name: &str| {
            Conv2d::without_bias(inputs, outputs, kernel, spec, dcgan_weight(), &vb.pp(name))
        };
        let mut channels = dims.features;
        let mut blocks = Vec::new();
        for i in 0..dims.extra_layers {
            let name = format!("extra{i}");
            blocks.push((
                conv(channels, channels, 3, KEEPING, &name)?,
                norm(channels, LEAKY, &vb.pp(format!("{name}_norm")))?,
            ));
        }
        let mut size = dims.size / 2;
        while size > 4 {
            let name = format!("down{size}");
            let block = conv(channels, 2 * channels, 4, HALVING, &name)?;
            (channels, size) = (2 * channels, size / 2);
            blocks.push((block, norm(channels, LEAKY, &vb.pp(format!("{name}_norm")))?));
        }
        Ok(Self {
            first: conv(dims.channels, dims.features, 4, HALVING, "first")?,
            blocks,
            last: conv(channels, dims.latent, 4, WHOLE, "last")?,
        })
    }

    /// The latent `(B, Z, 1, 1)` of images `(B, C, S, S)`.
    ///
    /// # Errors
    /// If the shape is another.
    pub fn forward(&self, xs: &Tensor, mode: Mode) -> Result<Tensor> {
        self.last.forward(&self.features(xs, mode)?)
    }

    /// [`Encoder::forward`] in a graph.
    pub(crate) fn describe(&self, graph: &mut Graph, xs: Value) -> Result<Value> {
        let xs = self.first.describe(graph, xs)?;
        let mut xs = graph.activate(xs, LEAKY)?;
        for (conv, norm) in &self.blocks {
            let ys = conv.describe(graph, xs)?;
            xs = norm.describe(graph, ys)?;
        }
        self.last.describe(graph, xs)
    }

    /// The 4×4 map before the last convolution.
    fn features(&self, xs: &Tensor, mode: Mode) -> Result<Tensor> {
        let mut xs = flicker_core::nn::activate(&self.first.forward(xs)?, LEAKY)?; // (B, N, S/2, S/2)
        for (conv, norm) in &self.blocks {
            xs = norm.forward(&conv.forward(&xs)?, mode)?; // doubles the channels, halves the size
        }
        Ok(xs)
    }
}

/// `(B, Z, 1, 1)` to `(B, C, S, S)` in [-1, 1]: the encoder's mirror image.
#[derive(Clone, Debug)]
pub struct Decoder {
    ups: Vec<(ConvTranspose2d, BatchNorm)>,
    extras: Vec<(Conv2d, BatchNorm)>,
    last: ConvTranspose2d,
}

impl Decoder {
    pub(crate) fn new(dims: Dims, vb: &VarBuilder<'_>) -> Result<Self> {
        let up = |inputs, outputs, spec, name: &str| {
            ConvTranspose2d::without_bias(inputs, outputs, 4, spec, dcgan_weight(), &vb.pp(name))
        };
        let mut channels = dims.features * dims.size / 8;
        let mut ups = vec![(
            up(dims.latent, channels, WHOLE, "first")?,
            norm(channels, Activation::Relu, &vb.pp("first_norm"))?,
        )];
        let mut size = 4;
        while size < dims.size / 2 {
            let name = format!("up{size}");
            let block = up(channels, channels / 2, HALVING, &name)?;
            (channels, size) = (channels / 2, size * 2);
            ups.push((block, norm(channels, Activation::Relu, &vb.pp(format!("{name}_norm")))?));
        }
        let extra = |i: usize| -> Result<(Conv2d, BatchNorm)> {
            let conv = Conv2d::without_bias(
                channels,
                channels,
                3,
                KEEPING,
                dcgan_weight(),
                &vb.pp(format!("extra{i}")),
            )?;
            Ok((conv, norm(channels, Activation::Relu, &vb.pp(format!("extra{i}_norm")))?))
        };
        let extras = (0..dims.extra_layers).map(extra).collect::<Result<_>>()?;
        Ok(Self { ups, extras, last: up(channels, dims.channels, HALVING, "last")? })
    }

    /// Images `(B, C, S, S)` in [-1, 1] of latents `(B, Z, 1, 1)`.
    ///
    /// # Errors
    /// If the shape is another.
    pub fn forward(&self, zs: &Tensor, mode: Mode) -> Result<Tensor> {
        let mut xs = zs.clone();
        for (conv, norm) in &self.ups {
            xs = norm.forward(&conv.forward(&xs)?, mode)?; // halves the channels, doubles the size
        }
        for (conv, norm) in &self.extras {
            xs = norm.forward(&conv.forward(&xs)?, mode)?;
        }
        flicker_core::nn::activate(&self.last.forward(&xs)?, Activation::Tanh)
    }

    /// [`Decoder::forward`] in a graph.
    pub(crate) fn describe(&self, graph: &mut Graph, zs: Value) -> Result<Value> {
        let mut xs = zs;
        for (conv, norm) in &self.ups {
            let ys = conv.describe(graph, xs)?;
            xs = norm.describe(graph, ys)?;
        }
        for (conv, norm) in &self.extras {
            let ys = conv.describe(graph, xs)?;
            xs = norm.describe(graph, ys)?;
        }
        let xs = self.last.describe(graph, xs)?;
        graph.activate(xs, Activation::Tanh)
    }
}

/// Tells real images from reconstructed ones: an encoder of width 1.
#[derive(Clone, Debug)]
pub struct Discriminator {
    body: Encoder,
}

impl Discriminator {
    pub(crate) fn new(dims: Dims, vb: &VarBuilder<'_>) -> Result<Self> {
        Ok(Self { body: Encoder::new(Dims { latent: 1, ..dims }, vb)? })
    }

    /// The logits `(B, 1, 1, 1)` that images `(B, C, S, S)` are real, and the features `(B, N·S/8, 4, 4)` they are read from.
    ///
    /// # Errors
    /// If the shape is another.
    pub fn forward(&self, xs: &Tensor, mode: Mode) -> Result<(Tensor, Tensor)> {
        let features = self.body.features(xs, mode)?;
        Ok((self.body.last.forward(&features)?, features))
    }
}
