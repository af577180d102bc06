//! Chains of layers that know their own pull: the product of a gradient by their result with their Jacobian by their input.
//!
//! The gradient penalty is a function of ∇ₓD, and training by it needs the derivative of ∇ₓD by the weights. candle cuts
//! the graph of the gradients that `backward` gives, so ∇ₓD is written here as a forward computation: each pull consists of
//! operators that have right gradients (that of a convolution is a transposed convolution, that of pooling is resizing), and
//! one ordinary `backward` through all of it gives what is needed, in any program and without any setting.

use crate::norm::LayerNorm;
use candle_core::Tensor;
use candle_nn::{Init, VarBuilder};
use flicker_core::graph::{Binary, Graph, Value};
use flicker_core::nn::{Activation, BatchNorm, ConvSpec, ConvTranspose2d, Mode};
use flicker_core::{Error, Result};
use flicker_kernels as kernels;

/// Layers, one after the other.
#[derive(Clone, Debug, Default)]
pub struct Chain {
    layers: Vec<Layer>,
}

/// A layer of a [`Chain`].
#[derive(Clone, Debug)]
pub(crate) enum Layer {
    /// `act(x Wᵀ + b)`.
    Linear {
        weight: Tensor,
        bias: Tensor,
        activation: Activation,
    },
    /// `act(x ∗ W + b)`.
    Conv {
        weight: Tensor,
        bias: Option<Tensor>,
        spec: ConvSpec,
        activation: Activation,
    },
    ConvTranspose(ConvTranspose2d),
    BatchNorm(BatchNorm),
    LayerNorm(LayerNorm),
    Activation(Activation),
    /// The mean of 2×2 pixels.
    Halve,
    /// Each pixel twice in each direction.
    Double,
    /// To samples of these dimensions.
    Reshape(Vec<usize>),
    /// The sum of two chains.
    Sum(Chain, Chain),
}

/// What a layer saw and gave, for its pull.
#[derive(Debug)]
pub(crate) enum Trace {
    Plain { x: Tensor, y: Tensor },
    Sum(Vec<Trace>, Vec<Trace>),
}

impl Chain {
    pub(crate) fn new(layers: Vec<Layer>) -> Self {
        Self { layers }
    }

    /// What the chain makes of a batch; the mode is that of its batch norms.
    ///
    /// # Errors
    /// If the shape is another.
    pub fn forward(&self, xs: &Tensor, mode: Mode) -> Result<Tensor> {
        let mut xs = xs.clone();
        for layer in &self.layers {
            xs = layer.forward(&xs, mode)?;
        }
        Ok(xs)
    }

    /// [`Chain::forward`] in evaluation mode, in a graph.
    pub(crate) fn describe(&self, graph: &mut Graph, xs: Value) -> Result<Value> {
        self.layers.iter().try_fold(xs, |xs, layer| layer.describe(graph, xs))
    }

    /// The same, and what [`Chain::pull`] needs.
    pub(crate) fn trace(&self, xs: &Tensor) -> Result<(Tensor, Vec<Trace>)> {
        let mut xs = xs.clone();
        let mut traces = Vec::with_capacity(self.layers.len());
        for layer in &self.layers {
            let (y, trace) = match layer {
                Layer::Sum(a, b) => {
                    let ((a, of_a), (b, of_b)) = (a.trace(&xs)?, b.trace(&xs)?);
                    ((a + b)?, Trace::Sum(of_a, of_b))
                }
                _ => {
                    let y = layer.forward(&xs, Mode::Evaluation)?;
                    (y.clone(), Trace::Plain { x: xs, y })
                }
            };
            traces.push(trace);
            xs = y;
        }
        Ok((xs, traces))
    }

    /// From the gradient `g` by the result to that by the input, as operators that can be differentiated.
    ///
    /// # Errors
    /// If a layer has no pull: batch norm, whose samples depend on each other, and what only generators have.
    pub(crate) fn pull(&self, traces: &[Trace], g: &Tensor) -> Result<Tensor> {
        let mut g = g.clone();
        for (layer, trace) in self.layers.iter().zip(traces).rev() {
            g = layer.pull(trace, &g)?;
        }
        Ok(g)
    }
}

impl Layer {
    /// A linear map with initial values `init`; the bias starts like the weight.
    pub(crate) fn linear(
        (inputs, outputs): (usize, usize),
        (weight, bias): (Init, Init),
        activation: Activation,
        vb: &VarBuilder<'_>,
    ) -> Result<Self> {
        let weight = vb.get_with_hints((outputs, inputs), "weight", weight)?;
        Ok(Self::Linear { weight, bias: vb.get_with_hints(outputs, "bias", bias)?, activation })
    }

    /// A convolution with square kernels; without initial values for a bias it has none.
    pub(crate) fn conv(
        (inputs, outputs, kernel): (usize, usize, usize),
        spec: ConvSpec,
        (weight, bias): (Init, Option<Init>),
        activation: Activation,
        vb: &VarBuilder<'_>,
    ) -> Result<Self> {
        let weight = vb.get_with_hints((outputs, inputs, kernel, kernel), "weight", weight)?;
        let bias = bias.map(|init| vb.get_with_hints(outputs, "bias", init)).transpose()?;
        Ok(Self::Conv { weight, bias, spec, activation })
    }

    fn forward(&self, xs: &Tensor, mode: Mode) -> Result<Tensor> {
        Ok(match self {
            Self::Linear { weight, bias, activation } => {
                kernels::linear(xs, weight, Some(bias), *activation)?
            }
            Self::Conv { weight, bias: Some(bias), spec, activation } => {
                kernels::conv2d_bias(xs, weight, bias, spec, *activation)?
            }
            Self::Conv { weight, bias: None, spec, activation } => {
                kernels::activate(&kernels::conv2d(xs, weight, spec)?, *activation)?
            }
            Self::ConvTranspose(conv) => conv.forward(xs)?,
            Self::BatchNorm(norm) => norm.forward(xs, mode)?,
            Self::LayerNorm(norm) => norm.forward(xs)?,
            Self::Activation(activation) => kernels::activate(xs, *activation)?,
            Self::Halve => kernels::avg_pool2d(xs, kernels::Window::square(2, 2, 0))?,
            Self::Double => kernels::upsample_nearest2d(xs, 2)?,
            Self::Reshape(dims) => xs.reshape(batch_of(xs, dims)?)?,
            Self::Sum(a, b) => (a.forward(xs, mode)? + b.forward(xs, mode)?)?,
        })
    }

    fn describe(&self, graph: &mut Graph, xs: Value) -> Result<Value> {
        match self {
            Self::Linear { weight, bias, activation } => {
                let ys = graph.linear(xs, weight, Some(bias))?;
                graph.activate(ys, *activation)
            }
            Self::Conv { weight, bias, spec, activation } => {
                let ys = graph.conv(xs, weight, bias.as_ref(), *spec)?;
                graph.activate(ys, *activation)
            }
            Self::ConvTranspose(conv) => conv.describe(graph, xs),
            Self::BatchNorm(norm) => norm.describe(graph, xs),
            Self::LayerNorm(norm) => norm.describe(graph, xs),
            Self::Activation(activation) => graph.activate(xs, *activation),
            Self::Halve => graph.average_pool(xs, kernels::Window::square(2, 2, 0)),
            Self::Double => graph.enlarge(xs, 2),
            Self::Reshape(dims) => graph.reshape(xs, dims),
            Self::Sum(a, b) => {
                let (a, b) = (a.describe(graph, xs)?, b.describe(graph, xs)?);
                graph.binary(Binary::Add, a, b)
            }
        }
    }

    fn pull(&self, trace: &Trace, g: &Tensor) -> Result<Tensor> {
        let (x, y) = match (self, trace) {
            (Self::Sum(a, b), Trace::Sum(of_a, of_b)) => return Ok((a.pull(of_a, g)? + b.pull(of_b, g)?)?),
            (_, Trace::Plain { x, y }) => (x, y),
            _ => return Err(no_pull("the trace of another layer")),
        };
        match self {
            Self::Linear { weight, activation, .. } => {
                let g = slope(*activation, y, g)?;
                Ok(g.matmul(weight)?) // candle's product: it takes transposed factors as they lie, and so do its gradients
            }
            Self::Conv { weight, spec, activation, .. } => {
                let g = slope(*activation, y, g)?;
                Ok(kernels::conv_transpose2d(&g, weight, spec, left_over(x, &g, weight, spec)?)?)
            }
            Self::LayerNorm(norm) => norm.pull(x, y, g),
            Self::Activation(activation) => slope(*activation, y, g),
            Self::Halve => Ok((kernels::upsample_nearest2d(g, 2)? * 0.25)?),
            Self::Reshape(_) => Ok(g.reshape(x.dims())?),
            Self::BatchNorm(_) => Err(no_pull("batch norm, whose samples depend on each other")),
            Self::ConvTranspose(_) | Self::Double | Self::Sum(..) => Err(no_pull("a generator's layer")),
        }
    }
}

/// `g` times the derivative of an activation whose result is `y`. That derivative is constant in pieces, so it is no part
/// of the graph; at 0 it is PyTorch's.
pub(crate) fn slope(activation: Activation, y: &Tensor, g: &Tensor) -> Result<Tensor> {
    let rest = match activation {
        Activation::None => return Ok(g.clone()),
        Activation::Relu => g.zeros_like()?,
        Activation::LeakyRelu(slope) => (g * slope)?,
        _ => return Err(no_pull("an activation that is curved")),
    };
    Ok(y.detach().gt(0f64)?.where_cond(g, &rest)?)
}

fn no_pull(what: &str) -> Error {
    Error::config("config.networks", format!("a critic cannot have {what}"))
}

/// Rows and columns of `x` that a convolution with strides did not reach beyond its last position.
fn left_over(x: &Tensor, g: &Tensor, weight: &Tensor, spec: &ConvSpec) -> Result<(usize, usize)> {
    let side = |axis: usize, stride: usize, padding: usize, dilation: usize| -> Result<usize> {
        let reached = (g.dim(axis)? - 1) * stride + dilation * (weight.dim(axis)? - 1) + 1;
        Ok(x.dim(axis)? + 2 * padding - reached)
    };
    Ok((
        side(2, spec.stride.0, spec.padding.0, spec.dilation.0)?,
        side(3, spec.stride.1, spec.padding.1, spec.dilation.1)?,
    ))
}

fn batch_of(xs: &Tensor, dims: &[usize]) -> Result<Vec<usize>> {
    let mut all = vec![xs.dim(0)?];
    all.extend(dims);
    Ok(all)
}

#[cfg(test)]
mod tests;
