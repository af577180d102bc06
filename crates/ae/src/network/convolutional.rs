//! The convolutional network: `(B, C, H, W)` to a code `(B, K)` and back, by convolutions of stride 2 as in DCGAN (Radford
//! et al., 2016): 4×4 kernels, leaky ReLU on the way down, ReLU on the way up.

use super::{Code, Head, NetworkConfig};
use crate::Config;
use candle_core::Tensor;
use candle_nn::{Init, VarBuilder};
use flicker_core::graph::{Graph, Value};
use flicker_core::nn::{
    Activation, BatchNorm, Conv2d, ConvSpec, ConvTranspose2d, Linear, Mode, activate, torch_default,
};
use flicker_core::{Error, Result};

const KERNEL: usize = 4;
/// Halves or doubles the size.
const HALVING: ConvSpec = ConvSpec::square(2, 1);
const LEAKY: Activation = Activation::LeakyRelu(0.2);

/// Convolutions down, the code, and transposed convolutions up.
#[derive(Clone, Debug)]
pub(super) struct Convolutional {
    down: Vec<(Conv2d, Option<BatchNorm>)>,
    code: Head,
    from_code: Linear,
    up: Vec<(ConvTranspose2d, Option<BatchNorm>)>,
    last: ConvTranspose2d,
    output: Activation,
    /// Channels, height and width of the smallest map.
    smallest: (usize, usize, usize),
}

impl Convolutional {
    pub(super) fn new(
        config: &Config,
        (inputs, height, width): (usize, usize, usize),
        vb: &VarBuilder<'_>,
    ) -> Result<Self> {
        let NetworkConfig::Convolutional { channels, code, batch_norm } = &config.network else {
            return Err(Error::config("config.network", "is not convolutional"));
        };
        let step = 1 << channels.len();
        let smallest = (channels[channels.len() - 1], height / step, width / step);
        let flat = smallest.0 * smallest.1 * smallest.2;
        let norm = |channels: usize, activation, vb: &VarBuilder<'_>| -> Result<Option<BatchNorm>> {
            let build = || BatchNorm::new(channels, 1e-5, Init::Const(1.0), activation, vb);
            batch_norm.then(build).transpose()
        };
        let (encoder, decoder) = (vb.pp("encoder"), vb.pp("decoder"));
        let mut all = vec![inputs];
        all.extend(channels);
        let down = all.windows(2).enumerate().map(|(i, w)| {
            let vb = encoder.pp(format!("down{i}"));
            // A norm takes any bias away again.
            let conv = if *batch_norm {
                let init = torch_default(w[0] * KERNEL * KERNEL);
                Conv2d::without_bias(w[0], w[1], KERNEL, HALVING, init, &vb)?
            } else {
                Conv2d::new(w[0], w[1], KERNEL, HALVING, &vb)?
            };
            Ok((conv, norm(w[1], LEAKY, &encoder.pp(format!("norm{i}")))?))
        });
        let back: Vec<usize> = channels.iter().rev().copied().collect();
        let up = back.windows(2).enumerate().map(|(i, w)| {
            let vb = decoder.pp(format!("up{i}"));
            let conv = if *batch_norm {
                let init = torch_default(w[1] * KERNEL * KERNEL);
                ConvTranspose2d::without_bias(w[0], w[1], KERNEL, HALVING, init, &vb)?
            } else {
                ConvTranspose2d::new(w[0], w[1], KERNEL, HALVING, (0, 0), &vb)?
            };
            Ok((conv, norm(w[1], Activation::Relu, &decoder.pp(format!("norm{i}")))?))
        });
        Ok(Self {
            down: down.collect::<Result<_>>()?,
            code: Head::new(config, flat, Activation::None, "code", &encoder)?,
            from_code: Linear::new(*code, flat, Activation::Relu, &decoder.pp("from_code"))?,
            up: up.collect::<Result<_>>()?,
            last: ConvTranspose2d::new(channels[0], inputs, KERNEL, HALVING, (0, 0), &decoder.pp("last"))?,
            output: config.output.activation(),
            smallest,
        })
    }

    /// `(B, C, H, W)` to codes.
    pub(super) fn encode(&self, xs: &Tensor, mode: Mode) -> Result<Code> {
        let mut xs = xs.clone();
        for (conv, norm) in &self.down {
            // Halves the size.
            xs = match norm {
                Some(norm) => norm.forward(&conv.forward(&xs)?, mode)?,
                None => conv.forward_then(&xs, LEAKY)?,
            };
        }
        self.code.forward(&xs.flatten_from(1)?)
    }

    /// `(B, K)` to `(B, C, H, W)`.
    pub(super) fn decode(&self, zs: &Tensor, mode: Mode) -> Result<Tensor> {
        let (channels, height, width) = self.smallest;
        let mut xs = self.from_code.forward(zs)?.reshape((zs.dim(0)?, channels, height, width))?;
        for (conv, norm) in &self.up {
            // Doubles the size.
            let ys = conv.forward(&xs)?;
            xs = match norm {
                Some(norm) => norm.forward(&ys, mode)?,
                None => activate(&ys, Activation::Relu)?,
            };
        }
        activate(&self.last.forward(&xs)?, self.output)
    }

    /// [`Convolutional::encode`] in a graph.
    pub(super) fn describe_encode(&self, graph: &mut Graph, xs: Value) -> Result<(Value, Option<Value>)> {
        let mut xs = xs;
        for (conv, norm) in &self.down {
            let ys = conv.describe(graph, xs)?;
            xs = match norm {
                Some(norm) => norm.describe(graph, ys)?,
                None => graph.activate(ys, LEAKY)?,
            };
        }
        self.code.describe(graph, xs)
    }

    /// [`Convolutional::decode`] in a graph.
    pub(super) fn describe_decode(&self, graph: &mut Graph, zs: Value) -> Result<Value> {
        let (channels, height, width) = self.smallest;
        let xs = self.from_code.describe(graph, zs)?;
        let mut xs = graph.reshape(xs, &[channels, height, width])?;
        for (conv, norm) in &self.up {
            let ys = conv.describe(graph, xs)?;
            xs = match norm {
                Some(norm) => norm.describe(graph, ys)?,
                None => graph.activate(ys, Activation::Relu)?,
            };
        }
        let xs = self.last.describe(graph, xs)?;
        graph.activate(xs, self.output)
    }
}
