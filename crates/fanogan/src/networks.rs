//! Generator, critic and encoder in three architectures, each a chain of layers.
//!
//! Letters in shapes: B images, C channels, S size of the (square) image, Z `latent`, F features.

use crate::chain::{Chain, Layer};
use crate::norm::LayerNorm;
use crate::{Architecture, LatentRange};
use candle_core::Tensor;
use candle_nn::{Init, VarBuilder};
use flicker_core::Result;
use flicker_core::graph::{Graph, Unary, Value};
use flicker_core::nn::{Activation, BatchNorm, ConvSpec, ConvTranspose2d, Mode, activate, torch_default};

const EPS: f64 = 1e-5;
const LEAKY: Activation = Activation::LeakyRelu(0.2);
const HALVING: ConvSpec = ConvSpec::square(2, 1);
const KEEPING: ConvSpec = ConvSpec::square(1, 1);
const POINT: ConvSpec = ConvSpec::square(1, 0);

/// What the sizes of the networks follow from.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Dims {
    pub(crate) channels: usize,
    pub(crate) size: usize,
    pub(crate) latent: usize,
}

impl Dims {
    fn image(self) -> Vec<usize> {
        vec![self.channels, self.size, self.size]
    }

    fn pixels(self) -> usize {
        self.channels * self.size * self.size
    }
}

/// The norm of a residual or convolutional trunk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Norm {
    /// The critic's: samples stay apart.
    Layer,
    /// The encoder's.
    Batch,
}

impl Norm {
    fn layer(self, channels: usize, activation: Activation, vb: &VarBuilder<'_>) -> Result<Layer> {
        Ok(match self {
            Self::Layer => Layer::LayerNorm(LayerNorm::new(channels, activation, vb)?),
            Self::Batch => batch_norm(channels, EPS, activation, vb)?,
        })
    }
}

fn batch_norm(channels: usize, eps: f64, activation: Activation, vb: &VarBuilder<'_>) -> Result<Layer> {
    Ok(Layer::BatchNorm(BatchNorm::new(channels, eps, Init::Const(1.0), activation, vb)?))
}

/// A linear map with PyTorch's initial values.
fn linear(inputs: usize, outputs: usize, activation: Activation, vb: &VarBuilder<'_>) -> Result<Layer> {
    let init = torch_default(inputs);
    Layer::linear((inputs, outputs), (init, init), activation, vb)
}

/// Uniform of variance `gain / (fan_in + fan_out)`: Glorot's for 2, He's in the authors' code for 4.
fn scaled(gain: f64, inputs: usize, outputs: usize, kernel: usize) -> Init {
    let bound = (3.0 * gain / ((inputs + outputs) * kernel * kernel) as f64).sqrt();
    Init::Uniform { lo: -bound, up: bound }
}

/// G: `(B, Z)` to `(B, C, S, S)` in [-1, 1].
#[derive(Clone, Debug)]
pub struct Generator {
    layers: Chain,
}

impl Generator {
    pub(crate) fn new(dims: Dims, networks: Architecture, vb: &VarBuilder<'_>) -> Result<Self> {
        let layers = match networks {
            Architecture::Dense { width, norm_eps } => dense_generator(dims, width, norm_eps, vb)?,
            Architecture::Convolutional { features } => convolutional_generator(dims, features, vb)?,
            Architecture::Residual { features } => residual_generator(dims, features, vb)?,
        };
        Ok(Self { layers: Chain::new(layers) })
    }

    /// [`Generator::forward`] in a graph.
    pub(crate) fn describe(&self, graph: &mut Graph, zs: Value) -> Result<Value> {
        self.layers.describe(graph, zs)
    }

    /// Images `(B, C, S, S)` of latents `(B, Z)`.
    ///
    /// # Errors
    /// If the shape is another.
    pub fn forward(&self, zs: &Tensor, mode: Mode) -> Result<Tensor> {
        self.layers.forward(zs, mode)
    }
}

fn dense_generator(dims: Dims, n: usize, eps: f64, vb: &VarBuilder<'_>) -> Result<Vec<Layer>> {
    let mut layers = vec![linear(dims.latent, n, LEAKY, &vb.pp("first"))?];
    for (i, inputs) in [n, 2 * n, 4 * n].into_iter().enumerate() {
        layers.push(linear(inputs, 2 * inputs, Activation::None, &vb.pp(format!("hidden{i}")))?);
        layers.push(batch_norm(2 * inputs, eps, LEAKY, &vb.pp(format!("hidden{i}_norm")))?);
    }
    layers.push(linear(8 * n, dims.pixels(), Activation::Tanh, &vb.pp("last"))?);
    layers.push(Layer::Reshape(dims.image()));
    Ok(layers)
}

fn convolutional_generator(dims: Dims, n: usize, vb: &VarBuilder<'_>) -> Result<Vec<Layer>> {
    let quarter = dims.size / 4;
    let first = 2 * n * quarter * quarter;
    let up = |inputs, outputs, name: &str| -> Result<Layer> {
        let conv = ConvTranspose2d::new(inputs, outputs, 4, HALVING, (0, 0), &vb.pp(name))?;
        Ok(Layer::ConvTranspose(conv))
    };
    Ok(vec![
        linear(dims.latent, first, Activation::None, &vb.pp("first"))?,
        Layer::Reshape(vec![2 * n, quarter, quarter]),
        batch_norm(2 * n, EPS, Activation::Relu, &vb.pp("first_norm"))?,
        up(2 * n, n, "up")?,
        batch_norm(n, EPS, Activation::Relu, &vb.pp("up_norm"))?,
        up(n, dims.channels, "last")?,
        Layer::Activation(Activation::Tanh),
    ])
}

fn residual_generator(dims: Dims, n: usize, vb: &VarBuilder<'_>) -> Result<Vec<Layer>> {
    let doublings = (dims.size / 4).ilog2();
    let width = |left: u32| n << left.min(3); // channels where `left` doublings of the size are still to come
    let mut inputs = width(doublings - 1);
    let glorot = (scaled(2.0, dims.latent, 16 * inputs, 1), Init::Const(0.0));
    let mut layers = vec![
        Layer::linear((dims.latent, 16 * inputs), glorot, Activation::None, &vb.pp("first"))?,
        Layer::Reshape(vec![inputs, 4, 4]),
    ];
    for left in (0..doublings).rev() {
        layers.push(up_block(inputs, width(left), &vb.pp(format!("up{left}")))?);
        inputs = width(left);
    }
    layers.push(batch_norm(inputs, EPS, Activation::Relu, &vb.pp("last_norm"))?);
    let init = (scaled(2.0, inputs, dims.channels, 3), Some(Init::Const(0.0)));
    layers.push(Layer::conv((inputs, dims.channels, 3), KEEPING, init, Activation::Tanh, &vb.pp("last"))?);
    Ok(layers)
}

/// norm, ReLU, double, conv; norm, ReLU, conv; and beside it double, 1×1 conv.
fn up_block(inputs: usize, outputs: usize, vb: &VarBuilder<'_>) -> Result<Layer> {
    let he = |inputs| (scaled(4.0, inputs, outputs, 3), None);
    let conv = |inputs, name: &str| {
        Layer::conv((inputs, outputs, 3), KEEPING, he(inputs), Activation::None, &vb.pp(name))
    };
    let main = vec![
        batch_norm(inputs, EPS, Activation::Relu, &vb.pp("norm1"))?,
        Layer::Double,
        conv(inputs, "conv1")?,
        batch_norm(outputs, EPS, Activation::Relu, &vb.pp("norm2"))?,
        conv(outputs, "conv2")?,
    ];
    let shortcut = vec![Layer::Double, point(inputs, outputs, &vb.pp("shortcut"))?];
    Ok(Layer::Sum(Chain::new(main), Chain::new(shortcut)))
}

/// norm, ReLU, conv; norm, ReLU, conv, halve; and beside it halve, 1×1 conv.
fn down_block(inputs: usize, outputs: usize, norm: Norm, vb: &VarBuilder<'_>) -> Result<Layer> {
    let conv = |outputs, name: &str| {
        let he = (scaled(4.0, inputs, outputs, 3), None);
        Layer::conv((inputs, outputs, 3), KEEPING, he, Activation::None, &vb.pp(name))
    };
    let main = vec![
        norm.layer(inputs, Activation::Relu, &vb.pp("norm1"))?,
        conv(inputs, "conv1")?,
        norm.layer(inputs, Activation::Relu, &vb.pp("norm2"))?,
        conv(outputs, "conv2")?,
        Layer::Halve,
    ];
    let shortcut = vec![Layer::Halve, point(inputs, outputs, &vb.pp("shortcut"))?];
    Ok(Layer::Sum(Chain::new(main), Chain::new(shortcut)))
}

fn point(inputs: usize, outputs: usize, vb: &VarBuilder<'_>) -> Result<Layer> {
    let init = (scaled(2.0, inputs, outputs, 1), Some(Init::Const(0.0)));
    Layer::conv((inputs, outputs, 1), POINT, init, Activation::None, vb)
}

/// `(B, C, S, S)` to features `(B, F)`, and how many those are.
fn trunk(dims: Dims, networks: Architecture, norm: Norm, vb: &VarBuilder<'_>) -> Result<(Chain, usize)> {
    let (mut layers, features) = match networks {
        Architecture::Dense { width: n, .. } => {
            let layers = vec![
                Layer::Reshape(vec![dims.pixels()]),
                linear(dims.pixels(), 4 * n, LEAKY, &vb.pp("hidden0"))?,
                linear(4 * n, 2 * n, LEAKY, &vb.pp("hidden1"))?,
            ];
            return Ok((Chain::new(layers), 2 * n));
        }
        Architecture::Convolutional { features: n } => {
            let conv = |inputs, outputs, activation, name: &str| {
                let init = torch_default(inputs * 16);
                Layer::conv((inputs, outputs, 4), HALVING, (init, Some(init)), activation, &vb.pp(name))
            };
            let layers = vec![
                conv(dims.channels, n, LEAKY, "conv0")?,
                conv(n, 2 * n, Activation::None, "conv1")?,
                norm.layer(2 * n, LEAKY, &vb.pp("conv1_norm"))?,
            ];
            (layers, 2 * n * (dims.size / 4) * (dims.size / 4))
        }
        Architecture::Residual { features: n } => {
            let init = (scaled(2.0, dims.channels, n, 3), Some(Init::Const(0.0)));
            let first = Layer::conv((dims.channels, n, 3), KEEPING, init, Activation::None, &vb.pp("first"))?;
            let (mut layers, mut inputs) = (vec![first], n);
            for i in 0..(dims.size / 4).ilog2() {
                let outputs = n << (i + 1).min(3);
                layers.push(down_block(inputs, outputs, norm, &vb.pp(format!("down{i}")))?);
                inputs = outputs;
            }
            (layers, 16 * inputs)
        }
    };
    layers.push(Layer::Reshape(vec![features]));
    Ok((Chain::new(layers), features))
}

/// D: how real images are, without a bound, and the features that it is read from.
#[derive(Clone, Debug)]
pub struct Critic {
    trunk: Chain,
    weight: Tensor,
    bias: Tensor,
}

impl Critic {
    pub(crate) fn new(dims: Dims, networks: Architecture, vb: &VarBuilder<'_>) -> Result<Self> {
        let (trunk, features) = trunk(dims, networks, Norm::Layer, &vb.pp("trunk"))?;
        let (vb, init) = (vb.pp("last"), torch_default(features));
        Ok(Self {
            trunk,
            weight: vb.get_with_hints((1, features), "weight", init)?,
            bias: vb.get_with_hints(1, "bias", init)?,
        })
    }

    /// f: the features `(B, F)` of images `(B, C, S, S)`.
    ///
    /// # Errors
    /// If the shape is another.
    pub fn features(&self, xs: &Tensor) -> Result<Tensor> {
        self.trunk.forward(xs, Mode::Evaluation) // no norm of a critic has a mode
    }

    /// [`Critic::features`] in a graph.
    pub(crate) fn describe_features(&self, graph: &mut Graph, xs: Value) -> Result<Value> {
        self.trunk.describe(graph, xs)
    }

    /// `(B, 1)` for images `(B, C, S, S)`.
    ///
    /// # Errors
    /// If the shape is another.
    pub fn forward(&self, xs: &Tensor) -> Result<Tensor> {
        Ok(flicker_kernels::linear(&self.features(xs)?, &self.weight, Some(&self.bias), Activation::None)?)
    }

    /// ∇ₓD, `(B, C, S, S)`, on the graph: a loss of it can be differentiated by the weights.
    ///
    /// # Errors
    /// If the shape is another.
    pub fn input_gradient(&self, xs: &Tensor) -> Result<Tensor> {
        let (features, traces) = self.trunk.trace(xs)?;
        let g = self.weight.broadcast_as(features.shape())?.contiguous()?; // D is linear in the features
        self.trunk.pull(&traces, &g)
    }
}

/// E: `(B, C, S, S)` to latents `(B, Z)`.
#[derive(Clone, Debug)]
pub struct Encoder {
    layers: Chain,
    last: Chain,
    range: LatentRange,
}

impl Encoder {
    pub(crate) fn new(
        dims: Dims,
        networks: Architecture,
        range: LatentRange,
        vb: &VarBuilder<'_>,
    ) -> Result<Self> {
        let (layers, features) = trunk(dims, networks, Norm::Batch, &vb.pp("trunk"))?;
        let last = linear(features, dims.latent, Activation::None, &vb.pp("last"))?;
        Ok(Self { layers, last: Chain::new(vec![last]), range })
    }

    /// Latents `(B, Z)` of images `(B, C, S, S)`.
    ///
    /// # Errors
    /// If the shape is another.
    pub fn forward(&self, xs: &Tensor, mode: Mode) -> Result<Tensor> {
        let zs = self.last.forward(&self.layers.forward(xs, mode)?, mode)?;
        Ok(match self.range {
            LatentRange::Free => zs,
            LatentRange::Tanh { bound } => (activate(&zs, Activation::Tanh)? * bound)?,
            LatentRange::Clip { bound } => zs.clamp(-bound as f32, bound as f32)?,
        })
    }

    /// [`Encoder::forward`] in a graph.
    pub(crate) fn describe(&self, graph: &mut Graph, xs: Value) -> Result<Value> {
        let features = self.layers.describe(graph, xs)?;
        let zs = self.last.describe(graph, features)?;
        match self.range {
            LatentRange::Free => Ok(zs),
            LatentRange::Tanh { bound } => {
                let zs = graph.activate(zs, Activation::Tanh)?;
                graph.affine_by(zs, bound, 0.0)
            }
            LatentRange::Clip { bound } => Ok(graph.unary(Unary::Clamp(-bound as f32, bound as f32), zs)),
        }
    }
}
