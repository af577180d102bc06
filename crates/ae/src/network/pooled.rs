//! The network of the repository "Anormaly-detection-AI-models" (Pchaewon, 2023): two convolutions and a pooling, dense layers
//! around the code, two transposed convolutions. There it is for 256×256 pixels alone, with 16,384 and 254,016 written out;
//! here the sizes follow from the image's.

use super::{Code, Head, NetworkConfig};
use crate::Config;
use candle_core::Tensor;
use candle_nn::{Init, VarBuilder};
use flicker_core::graph::{Graph, Value};
use flicker_core::nn::{
    Activation, BatchNorm, Conv2d, ConvSpec, ConvTranspose2d, Linear, Mode, Window, activate, max_pool2d,
    torch_default,
};
use flicker_core::{Error, Result};

/// Kernels of stride 2 without padding.
const STRIDE: ConvSpec = ConvSpec::square(2, 0);

/// Its layers, in order.
#[derive(Clone, Debug)]
pub(super) struct Pooled {
    down: [(Conv2d, BatchNorm); 2],
    window: Window,
    to_code: Linear,
    code: Head,
    from_code: Linear,
    spread: Linear,
    up: (ConvTranspose2d, BatchNorm),
    last: ConvTranspose2d,
    output: Activation,
    /// Channels, height and width of the decoder's first map.
    first_map: (usize, usize, usize),
}

impl Pooled {
    pub(super) fn new(
        config: &Config,
        (inputs, height, width): (usize, usize, usize),
        vb: &VarBuilder<'_>,
    ) -> Result<Self> {
        let &NetworkConfig::Pooled { channels: [first, second], pool, hidden, code } = &config.network else {
            return Err(Error::config("config.network", "is not pooled"));
        };
        let (encoder, decoder) = (vb.pp("encoder"), vb.pp("decoder"));
        let norm = |channels, vb: &VarBuilder<'_>| {
            BatchNorm::new(channels, 1e-5, Init::Const(1.0), Activation::Relu, vb)
        };
        // The original has biases before its norms, which take them away again: see the dense network.
        let down = |i: usize, inputs: usize, outputs: usize| -> Result<(Conv2d, BatchNorm)> {
            let vb = encoder.pp(format!("conv{i}"));
            let conv = Conv2d::without_bias(inputs, outputs, 2, STRIDE, torch_default(inputs * 4), &vb)?;
            Ok((conv, norm(outputs, &encoder.pp(format!("norm{i}")))?))
        };
        let flat = second * (height / 4 / pool) * (width / 4 / pool);
        let first_map = (second, height / 4 - 1, width / 4 - 1);
        let spread = first_map.0 * first_map.1 * first_map.2;
        let relu = |inputs, outputs, vb: &VarBuilder<'_>| Linear::new(inputs, outputs, Activation::Relu, vb);
        let up = ConvTranspose2d::without_bias(
            second,
            first,
            4,
            STRIDE,
            torch_default(first * 16),
            &decoder.pp("conv0"),
        )?;
        Ok(Self {
            down: [down(0, inputs, first)?, down(1, first, second)?],
            window: Window::square(pool, pool, 0),
            to_code: relu(flat, hidden, &encoder.pp("to_code"))?,
            code: Head::new(config, hidden, Activation::None, "code", &encoder)?,
            from_code: relu(code, hidden, &decoder.pp("from_code"))?,
            spread: relu(hidden, spread, &decoder.pp("spread"))?,
            up: (up, norm(first, &decoder.pp("norm0"))?),
            last: ConvTranspose2d::new(first, inputs, 2, STRIDE, (0, 0), &decoder.pp("conv1"))?,
            output: config.output.activation(),
            first_map,
        })
    }

    /// `(B, C, H, W)` to codes.
    pub(super) fn encode(&self, xs: &Tensor, mode: Mode) -> Result<Code> {
        let mut xs = xs.clone();
        for (conv, norm) in &self.down {
            xs = norm.forward(&conv.forward(&xs)?, mode)?; // halves the size
        }
        let xs = max_pool2d(&xs, self.window)?; // (B, C₂, H/16, W/16) with windows of 4
        self.code.forward(&self.to_code.forward(&xs.flatten_from(1)?)?)
    }

    /// `(B, K)` to `(B, C, H, W)`.
    pub(super) fn decode(&self, zs: &Tensor, mode: Mode) -> Result<Tensor> {
        let (channels, height, width) = self.first_map;
        let xs = self.spread.forward(&self.from_code.forward(zs)?)?;
        let xs = xs.reshape((zs.dim(0)?, channels, height, width))?; // (B, C₂, H/4 - 1, W/4 - 1)
        let xs = self.up.1.forward(&self.up.0.forward(&xs)?, mode)?; // (B, C₁, H/2, W/2)
        activate(&self.last.forward(&xs)?, self.output) // (B, C, H, W)
    }

    /// [`Pooled::encode`] in a graph.
    pub(super) fn describe_encode(&self, graph: &mut Graph, xs: Value) -> Result<(Value, Option<Value>)> {
        let mut xs = xs;
        for (conv, norm) in &self.down {
            let ys = conv.describe(graph, xs)?;
            xs = norm.describe(graph, ys)?;
        }
        let xs = graph.max_pool(xs, self.window)?;
        let xs = self.to_code.describe(graph, xs)?;
        self.code.describe(graph, xs)
    }

    /// [`Pooled::decode`] in a graph.
    pub(super) fn describe_decode(&self, graph: &mut Graph, zs: Value) -> Result<Value> {
        let (channels, height, width) = self.first_map;
        let xs = self.from_code.describe(graph, zs)?;
        let xs = self.spread.describe(graph, xs)?;
        let xs = graph.reshape(xs, &[channels, height, width])?;
        let xs = self.up.0.describe(graph, xs)?;
        let xs = self.up.1.describe(graph, xs)?;
        let xs = self.last.describe(graph, xs)?;
        graph.activate(xs, self.output)
    }
}
