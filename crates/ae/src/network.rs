//! The dense network: `(B, F)` to a code `(B, K)` and back.

use crate::Config;
use candle_core::Tensor;
use candle_nn::{Init, VarBuilder};
use flicker_core::Result;
use flicker_core::nn::{Activation, BatchNorm, Linear, Mode};

/// Fully connected layers down to the code and up again. As in the tutorial, ReLU follows every layer of the encoder, the
/// code included, and tanh every layer of the decoder but the last.
#[derive(Clone, Debug)]
pub struct Dense {
    input_norm: Option<BatchNorm>,
    encoder: Vec<Linear>,
    decoder: Vec<Linear>,
    output_norm: Option<BatchNorm>,
}

impl Dense {
    pub(crate) fn new(config: &Config, features: usize, vb: &VarBuilder<'_>) -> Result<Self> {
        let mut widths = vec![features];
        widths.extend(&config.widths);
        let layer = |side: &str, i: usize, inputs, outputs, activation| {
            Linear::new(inputs, outputs, activation, &vb.pp(side).pp(format!("layer{i}")))
        };
        let encoder =
            widths.windows(2).enumerate().map(|(i, w)| layer("encoder", i, w[0], w[1], Activation::Relu));
        let up: Vec<usize> = widths.iter().rev().copied().collect();
        let decoder = up.windows(2).enumerate().map(|(i, w)| match (i + 2 == up.len(), config.batch_norm) {
            (false, _) => layer("decoder", i, w[0], w[1], Activation::Tanh),
            (true, false) => layer("decoder", i, w[0], w[1], config.output.activation()),
            // The tutorial has a bias here. The norm that follows takes it away again, so its gradient is rounding noise,
            // which Adam blows up to full steps: the bias drifts, and the running mean, which the score uses, lags behind.
            (true, true) => {
                Linear::without_bias(w[0], w[1], Activation::None, &vb.pp("decoder").pp(format!("layer{i}")))
            }
        });
        let norm = |name: &str, activation| -> Result<Option<BatchNorm>> {
            let build = || BatchNorm::new(features, 1e-5, Init::Const(1.0), activation, &vb.pp(name));
            config.batch_norm.then(build).transpose()
        };
        Ok(Self {
            encoder: encoder.collect::<Result<_>>()?,
            decoder: decoder.collect::<Result<_>>()?,
            input_norm: norm("input_norm", Activation::None)?,
            output_norm: norm("output_norm", config.output.activation())?,
        })
    }

    /// The reconstruction of `xs`, both `(B, F)`.
    ///
    /// # Errors
    /// If the width is another.
    pub fn forward(&self, xs: &Tensor, mode: Mode) -> Result<Tensor> {
        let mut xs = xs.clone();
        if let Some(norm) = &self.input_norm {
            xs = norm.forward(&xs, mode)?;
        }
        for layer in self.encoder.iter().chain(&self.decoder) {
            xs = layer.forward(&xs)?;
        }
        match &self.output_norm {
            Some(norm) => norm.forward(&xs, mode),
            None => Ok(xs),
        }
    }
}
