//! The dense network: `(B, F)` to a code `(B, K)` and back.

use super::{Code, Head, NetworkConfig};
use crate::Config;
use candle_core::Tensor;
use candle_nn::{Init, VarBuilder};
use flicker_core::graph::{Graph, Value};
use flicker_core::nn::{Activation, BatchNorm, Linear, Mode};
use flicker_core::{Error, Result};

/// Fully connected layers down to the code and up again.
#[derive(Clone, Debug)]
pub(super) struct Dense {
    input_norm: Option<BatchNorm>,
    encoder: Vec<Linear>,
    code: Head,
    decoder: Vec<Linear>,
    output_norm: Option<BatchNorm>,
}

impl Dense {
    pub(super) fn new(config: &Config, features: usize, vb: &VarBuilder<'_>) -> Result<Self> {
        let NetworkConfig::Dense { widths, batch_norm, encoder, code, decoder } = &config.network else {
            return Err(Error::config("config.network", "is not dense"));
        };
        let mut down = vec![features];
        down.extend(widths);
        let (inner, last) = (&down[..down.len() - 1], down.len() - 2);
        let layer = |side: &str, i: usize, inputs, outputs, activation| {
            Linear::new(inputs, outputs, activation, &vb.pp(side).pp(format!("layer{i}")))
        };
        let hidden =
            inner.windows(2).enumerate().map(|(i, w)| layer("encoder", i, w[0], w[1], encoder.activation()));
        let head =
            Head::new(config, down[last], code.activation(), &format!("layer{last}"), &vb.pp("encoder"))?;
        let output = config.output.activation();
        let up: Vec<usize> = down.iter().rev().copied().collect();
        let decoder = up.windows(2).enumerate().map(|(i, w)| match (i + 2 == up.len(), batch_norm) {
            (false, _) => layer("decoder", i, w[0], w[1], decoder.activation()),
            (true, false) => layer("decoder", i, w[0], w[1], output),
            // The tutorial has a bias here. The norm that follows takes it away again, so its gradient is rounding noise,
            // which Adam blows up to full steps: the bias drifts, and the running mean, which the score uses, lags behind.
            (true, true) => {
                Linear::without_bias(w[0], w[1], Activation::None, &vb.pp("decoder").pp(format!("layer{i}")))
            }
        });
        let norm = |name: &str, activation| -> Result<Option<BatchNorm>> {
            let build = || BatchNorm::new(features, 1e-5, Init::Const(1.0), activation, &vb.pp(name));
            batch_norm.then(build).transpose()
        };
        Ok(Self {
            encoder: hidden.collect::<Result<_>>()?,
            code: head,
            decoder: decoder.collect::<Result<_>>()?,
            input_norm: norm("input_norm", Activation::None)?,
            output_norm: norm("output_norm", output)?,
        })
    }

    /// `(B, F)` to codes.
    pub(super) fn encode(&self, xs: &Tensor, mode: Mode) -> Result<Code> {
        let mut xs = xs.clone();
        if let Some(norm) = &self.input_norm {
            xs = norm.forward(&xs, mode)?;
        }
        for layer in &self.encoder {
            xs = layer.forward(&xs)?;
        }
        self.code.forward(&xs)
    }

    /// `(B, K)` to `(B, F)`.
    pub(super) fn decode(&self, zs: &Tensor, mode: Mode) -> Result<Tensor> {
        let mut xs = zs.clone();
        for layer in &self.decoder {
            xs = layer.forward(&xs)?;
        }
        match &self.output_norm {
            Some(norm) => norm.forward(&xs, mode),
            None => Ok(xs),
        }
    }

    /// [`Dense::encode`] in a graph: the mean and, of a variational code, the logarithm of the variance.
    pub(super) fn describe_encode(&self, graph: &mut Graph, xs: Value) -> Result<(Value, Option<Value>)> {
        let mut xs = graph.flatten(xs)?;
        if let Some(norm) = &self.input_norm {
            xs = norm.describe(graph, xs)?;
        }
        for layer in &self.encoder {
            xs = layer.describe(graph, xs)?;
        }
        self.code.describe(graph, xs)
    }

    /// [`Dense::decode`] in a graph.
    pub(super) fn describe_decode(&self, graph: &mut Graph, zs: Value) -> Result<Value> {
        let xs = self.decoder.iter().try_fold(zs, |xs, layer| layer.describe(graph, xs))?;
        match &self.output_norm {
            Some(norm) => norm.describe(graph, xs),
            None => Ok(xs),
        }
    }
}
