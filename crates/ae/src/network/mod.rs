//! The networks: which there are, and what they have in common: samples to a code `(B, K)`, and back.
//!
//! Letters in shapes: B samples, F values of a sample, C channels, H rows, W columns, K width of the code.

mod convolutional;
mod dense;
mod pooled;

use crate::Config;
use candle_core::Tensor;
use candle_nn::VarBuilder;
use convolutional::Convolutional;
use dense::Dense;
use flicker_core::graph::{Graph, Value};
use flicker_core::nn::{Activation, Linear, Mode};
use flicker_core::{Error, Result, SampleShape};
use pooled::Pooled;
use serde::{Deserialize, Serialize};

/// A network, by its layers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "kind", deny_unknown_fields)]
pub enum NetworkConfig {
    /// Fully connected layers; images are read as rows of numbers.
    Dense {
        /// Widths of the encoder's layers; the last one is the code. The decoder mirrors them.
        widths: Vec<usize>,
        /// Whether batch norm stands before the first layer and after the last one.
        batch_norm: bool,
        /// Activation of the encoder's layers before the code.
        encoder: Hidden,
        /// Activation of the code; a variational one has none.
        code: Hidden,
        /// Activation of the decoder's layers before the last one.
        decoder: Hidden,
    },
    /// 4×4 convolutions that halve the image, a code, and their mirror image.
    Convolutional {
        /// Channels after each halving.
        channels: Vec<usize>,
        /// Width of the code.
        code: usize,
        /// Whether batch norm follows each convolution but the last one.
        batch_norm: bool,
    },
    /// Two 2×2 convolutions that halve the image, a pooling, and dense layers around the code.
    Pooled {
        /// Channels after each halving.
        channels: [usize; 2],
        /// Side of the pooling's windows.
        pool: usize,
        /// Width of the dense layers around the code.
        hidden: usize,
        /// Width of the code.
        code: usize,
    },
}

/// The activation of a hidden layer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Hidden {
    /// None.
    Linear,
    /// `max(x, 0)`.
    Relu,
    /// Hyperbolic tangent.
    Tanh,
    /// `x · sigmoid(x)`.
    Silu,
}

impl Hidden {
    fn activation(self) -> Activation {
        match self {
            Self::Linear => Activation::None,
            Self::Relu => Activation::Relu,
            Self::Tanh => Activation::Tanh,
            Self::Silu => Activation::Silu,
        }
    }
}

impl NetworkConfig {
    /// The tutorial's dense network at these widths: batch norm at both ends, ReLU after every layer of the encoder, the code
    /// included, and tanh after every layer of the decoder.
    pub fn tutorial(widths: &[usize]) -> Self {
        let (encoder, decoder) = (Hidden::Relu, Hidden::Tanh);
        Self::Dense { widths: widths.to_vec(), batch_norm: true, encoder, code: encoder, decoder }
    }

    pub(crate) fn has_batch_norm(&self) -> bool {
        match self {
            Self::Dense { batch_norm, .. } | Self::Convolutional { batch_norm, .. } => *batch_norm,
            Self::Pooled { .. } => true,
        }
    }

    /// Width of the code.
    pub(crate) fn code(&self) -> usize {
        match self {
            Self::Dense { widths, .. } => widths.last().copied().unwrap_or(0),
            Self::Convolutional { code, .. } | Self::Pooled { code, .. } => *code,
        }
    }

    pub(crate) fn check(&self, shape: SampleShape) -> Result<()> {
        match self {
            Self::Dense { widths, .. } => require_widths("widths", widths),
            Self::Convolutional { channels, code, .. } => {
                require_widths("channels", channels)?;
                require_widths("code", &[*code])?;
                let (_, height, width) = image(shape)?;
                let step = 1usize.checked_shl(channels.len() as u32).unwrap_or(0);
                if step > 0
                    && height > 0
                    && height.is_multiple_of(step)
                    && width > 0
                    && width.is_multiple_of(step)
                {
                    return Ok(());
                }
                let problem = format!(
                    "{height}x{width} cannot be halved {} times, as `config.network.channels` asks",
                    channels.len()
                );
                Err(Error::config("data.size", problem))
            }
            Self::Pooled { channels, pool, hidden, code } => {
                require_widths("channels", channels)?;
                for (field, value) in [("pool", *pool), ("hidden", *hidden), ("code", *code)] {
                    require_widths(field, &[value])?;
                }
                let (_, height, width) = image(shape)?;
                if !(height.is_multiple_of(4) && width.is_multiple_of(4)) {
                    let problem = format!("{height}x{width} cannot be halved twice");
                    return Err(Error::config("data.size", problem));
                }
                // The decoder's first map is a pixel less than a quarter of the image on each side.
                let least = 4 * (*pool).max(2);
                if height < least || width < least {
                    let problem = format!(
                        "{height}x{width} has no {pool}x{pool} window left after two halvings, expected at least {least}"
                    );
                    return Err(Error::config("data.size", problem));
                }
                Ok(())
            }
        }
    }
}

fn require_widths(field: &str, widths: &[usize]) -> Result<()> {
    if widths.is_empty() || widths.contains(&0) {
        let problem = format!("needs at least one number, each at least 1, is {widths:?}");
        return Err(Error::config(format!("config.network.{field}"), problem));
    }
    Ok(())
}

/// Channels, height and width.
fn image(shape: SampleShape) -> Result<(usize, usize, usize)> {
    match shape {
        SampleShape::Image { channels, height, width } => Ok((channels, height, width)),
        SampleShape::Table { .. } => {
            Err(Error::config("config.network", format!("takes images, found a {shape}")))
        }
    }
}

/// An encoder, the layer of the code, and a decoder.
#[derive(Clone, Debug)]
pub struct Network {
    body: Body,
    shape: SampleShape,
}

#[derive(Clone, Debug)]
enum Body {
    Dense(Dense),
    Convolutional(Convolutional),
    Pooled(Box<Pooled>),
}

/// What the encoder says of each sample.
#[derive(Clone, Debug)]
pub struct Code {
    /// The code, or the mean of its distribution: `(B, K)`.
    pub mean: Tensor,
    /// The logarithm of the variance of its distribution `(B, K)`, where the autoencoder is variational.
    pub log_variance: Option<Tensor>,
}

impl Network {
    pub(crate) fn new(config: &Config, shape: SampleShape, vb: &VarBuilder<'_>) -> Result<Self> {
        let body = match &config.network {
            NetworkConfig::Dense { .. } => Body::Dense(Dense::new(config, shape.elements(), vb)?),
            NetworkConfig::Convolutional { .. } => {
                Body::Convolutional(Convolutional::new(config, image(shape)?, vb)?)
            }
            NetworkConfig::Pooled { .. } => Body::Pooled(Box::new(Pooled::new(config, image(shape)?, vb)?)),
        };
        Ok(Self { body, shape })
    }

    /// The codes of samples `(B, …)`.
    ///
    /// # Errors
    /// If the shape is another.
    pub fn encode(&self, xs: &Tensor, mode: Mode) -> Result<Code> {
        match &self.body {
            Body::Dense(network) => network.encode(&xs.flatten_from(1)?, mode),
            Body::Convolutional(network) => network.encode(xs, mode),
            Body::Pooled(network) => network.encode(xs, mode),
        }
    }

    /// Samples `(B, …)` from codes `(B, K)`.
    ///
    /// # Errors
    /// If the width is another.
    pub fn decode(&self, zs: &Tensor, mode: Mode) -> Result<Tensor> {
        let xs = match &self.body {
            Body::Dense(network) => network.decode(zs, mode)?,
            Body::Convolutional(network) => network.decode(zs, mode)?,
            Body::Pooled(network) => network.decode(zs, mode)?,
        };
        Ok(xs.reshape(self.shape.batch_dims(zs.dim(0)?))?)
    }

    /// [`Network::encode`] in a graph: the mean and, of a variational code, the logarithm of the variance.
    pub(crate) fn describe_encode(&self, graph: &mut Graph, xs: Value) -> Result<(Value, Option<Value>)> {
        match &self.body {
            Body::Dense(network) => network.describe_encode(graph, xs),
            Body::Convolutional(network) => network.describe_encode(graph, xs),
            Body::Pooled(network) => network.describe_encode(graph, xs),
        }
    }

    /// [`Network::decode`] in a graph, in the shape of a sample.
    pub(crate) fn describe_decode(&self, graph: &mut Graph, zs: Value, dims: &[usize]) -> Result<Value> {
        let xs = match &self.body {
            Body::Dense(network) => network.describe_decode(graph, zs)?,
            Body::Convolutional(network) => network.describe_decode(graph, zs)?,
            Body::Pooled(network) => network.describe_decode(graph, zs)?,
        };
        graph.reshape(xs, dims)
    }
}

/// The layer of the code: one map, or two for mean and logarithm of variance.
#[derive(Clone, Debug)]
struct Head {
    mean: Linear,
    log_variance: Option<Linear>,
}

impl Head {
    /// `name` is that of the one map; two are named `mean` and `log_variance`.
    fn new(
        config: &Config,
        inputs: usize,
        activation: Activation,
        name: &str,
        vb: &VarBuilder<'_>,
    ) -> Result<Self> {
        let map =
            |name: &str, activation| Linear::new(inputs, config.network.code(), activation, &vb.pp(name));
        if config.variant.is_variational() {
            let log_variance = Some(map("log_variance", Activation::None)?);
            return Ok(Self { mean: map("mean", Activation::None)?, log_variance });
        }
        Ok(Self { mean: map(name, activation)?, log_variance: None })
    }

    /// Features `(B, D)` to codes `(B, K)`.
    fn forward(&self, features: &Tensor) -> Result<Code> {
        let log_variance = self.log_variance.as_ref().map(|map| map.forward(features)).transpose()?;
        Ok(Code { mean: self.mean.forward(features)?, log_variance })
    }

    /// [`Head::forward`] in a graph.
    fn describe(&self, graph: &mut Graph, features: Value) -> Result<(Value, Option<Value>)> {
        let mean = self.mean.describe(graph, features)?;
        let log_variance = self.log_variance.as_ref().map(|map| map.describe(graph, features));
        Ok((mean, log_variance.transpose()?))
    }
}
