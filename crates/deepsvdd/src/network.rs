//! The network φ without biases, and the decoder that its first weights are learned with.

use crate::{Config, Network};
use candle_core::Tensor;
use candle_nn::VarBuilder;
use flicker_core::graph::{Graph, Value};
use flicker_core::nn::{
    Activation, BatchNorm, Conv2d, ConvSpec, Linear, Mode, Window, activate, max_pool2d, torch_default,
    upsample_nearest2d,
};
use flicker_core::{Result, SampleShape};

/// ε of every batch norm; none has a scale or a shift, which could work as a bias (from memory of the authors' code).
const EPS: f64 = 1e-4;
/// 5×5 kernels that keep the size.
const SAME: ConvSpec = ConvSpec::square(1, 2);
/// Rows and columns of the map that the decoder begins with.
const FIRST: usize = 4;

/// φ: (B, C, H, W) or (B, F) to (B, L).
#[derive(Clone, Debug)]
pub(crate) struct Encoder {
    convolutions: Vec<(Conv2d, BatchNorm)>,
    linear: Vec<Linear>,
}

impl Encoder {
    pub(crate) fn new(config: &Config, shape: SampleShape, vb: &VarBuilder<'_>) -> Result<Self> {
        let leaky = Activation::LeakyRelu(config.leak);
        match (&config.network, shape) {
            (Network::Lenet { channels, latent }, SampleShape::Image { channels: inputs, height, .. }) => {
                let mut blocks = Vec::new();
                for (i, &outputs) in channels.iter().enumerate() {
                    let inputs = if i == 0 { inputs } else { channels[i - 1] };
                    blocks.push((
                        conv(inputs, outputs, SAME, &vb.pp(format!("conv{i}")))?,
                        BatchNorm::without_scale(outputs, EPS, leaky, &vb.pp(format!("norm{i}")))?,
                    ));
                }
                let size = height >> channels.len();
                let features = channels.last().copied().unwrap_or(inputs) * size * size;
                let code = Linear::without_bias(features, *latent, Activation::None, &vb.pp("code"))?;
                Ok(Self { convolutions: blocks, linear: vec![code] })
            }
            (Network::Dense { widths }, shape) => {
                let widths: Vec<usize> =
                    std::iter::once(shape.elements()).chain(widths.iter().copied()).collect();
                Ok(Self { convolutions: Vec::new(), linear: dense(&widths, leaky, Activation::None, vb)? })
            }
            (Network::Lenet { .. }, table) => Err(flicker_core::Error::config(
                "config.network",
                format!("convolutions need images, found {table}"),
            )),
        }
    }

    pub(crate) fn forward(&self, xs: &Tensor, mode: Mode) -> Result<Tensor> {
        let mut xs = xs.clone();
        for (conv, norm) in &self.convolutions {
            xs = norm.forward(&conv.forward(&xs)?, mode)?;
            xs = max_pool2d(&xs, Window::square(2, 2, 0))?;
        }
        self.linear.iter().try_fold(xs.flatten_from(1)?, |xs, layer| layer.forward(&xs))
    }

    /// [`Encoder::forward`] in evaluation mode, in a graph.
    pub(crate) fn describe(&self, graph: &mut Graph, xs: Value) -> Result<Value> {
        let mut xs = xs;
        for (conv, norm) in &self.convolutions {
            let ys = conv.describe(graph, xs)?;
            let ys = norm.describe(graph, ys)?;
            xs = graph.max_pool(ys, Window::square(2, 2, 0))?;
        }
        self.linear.iter().try_fold(xs, |xs, layer| layer.describe(graph, xs))
    }
}

/// The autoencoder's second half: (B, L) to (B, C, H, W) or (B, F).
#[derive(Clone, Debug)]
pub(crate) struct Decoder {
    stages: Vec<Stage>,
    linear: Vec<Linear>,
    leaky: Activation,
    output: Activation,
}

/// Doubling where it is due, then a convolution, with a norm and a leaky ReLU for all but the last.
#[derive(Clone, Debug)]
struct Stage {
    doubles: bool,
    conv: Conv2d,
    norm: Option<BatchNorm>,
}

impl Decoder {
    pub(crate) fn new(config: &Config, shape: SampleShape, vb: &VarBuilder<'_>) -> Result<Self> {
        let leaky = Activation::LeakyRelu(config.leak);
        let output = if config.rescale { Activation::Sigmoid } else { Activation::None };
        let (mut stages, mut linear) = (Vec::new(), Vec::new());
        match (&config.network, shape) {
            (Network::Lenet { channels, latent }, SampleShape::Image { channels: outputs, height, .. }) => {
                // To a power of two there is a convolution before the first doubling; to 28 there are three doublings, and the
                // second convolution takes 16 to 14 (the authors' networks for CIFAR-10 and MNIST).
                let mnist = height == 28;
                let mut widths = vec![latent / (FIRST * FIRST)];
                widths.extend(channels.iter().rev());
                widths.push(outputs);
                for (i, pair) in widths.windows(2).enumerate() {
                    let spec = if mnist && i == 1 { ConvSpec::square(1, 1) } else { SAME };
                    let norm = |name: String| BatchNorm::without_scale(pair[1], EPS, leaky, &vb.pp(name));
                    stages.push(Stage {
                        doubles: mnist || i > 0,
                        conv: conv(pair[0], pair[1], spec, &vb.pp(format!("conv{i}")))?,
                        norm: (i + 2 < widths.len()).then(|| norm(format!("norm{i}"))).transpose()?,
                    });
                }
            }
            (Network::Dense { widths }, shape) => {
                let up: Vec<usize> = widths.iter().rev().copied().chain([shape.elements()]).collect();
                linear = dense(&up, leaky, output, vb)?;
            }
            (Network::Lenet { .. }, _) => {} // the encoder has refused it
        }
        Ok(Self { stages, linear, leaky, output })
    }

    pub(crate) fn forward(&self, zs: &Tensor, mode: Mode) -> Result<Tensor> {
        if !self.linear.is_empty() {
            return self.linear.iter().try_fold(zs.clone(), |xs, layer| layer.forward(&xs));
        }
        let (b, l) = zs.dims2()?;
        let mut xs = activate(&zs.reshape((b, l / (FIRST * FIRST), FIRST, FIRST))?, self.leaky)?;
        for stage in &self.stages {
            if stage.doubles {
                xs = upsample_nearest2d(&xs, 2)?;
            }
            xs = stage.conv.forward(&xs)?;
            xs = match &stage.norm {
                Some(norm) => norm.forward(&xs, mode)?,
                None => activate(&xs, self.output)?,
            };
        }
        Ok(xs)
    }
}

/// A 5×5 convolution with PyTorch's default weights. (The authors' code draws those for CIFAR-10 by Xavier's rule.)
fn conv(inputs: usize, outputs: usize, spec: ConvSpec, vb: &VarBuilder<'_>) -> Result<Conv2d> {
    Conv2d::without_bias(inputs, outputs, 5, spec, torch_default(inputs * 25), vb)
}

fn dense(widths: &[usize], hidden: Activation, last: Activation, vb: &VarBuilder<'_>) -> Result<Vec<Linear>> {
    let layer = |(i, pair): (usize, &[usize])| {
        let activation = if i + 2 == widths.len() { last } else { hidden };
        Linear::without_bias(pair[0], pair[1], activation, &vb.pp(format!("layer{i}")))
    };
    widths.windows(2).enumerate().map(layer).collect()
}
