//! The critic's norm: over all of each image, with a scale and a shift for each channel (the authors' code; it is group norm
//! with one group).

use crate::chain::slope;
use candle_core::Tensor;
use candle_nn::{Init, VarBuilder};
use flicker_core::Result;
use flicker_core::graph::{Binary, Graph, Value};
use flicker_core::nn::Activation;

const EPS: f64 = 1e-5;

/// Layer norm over channels, rows and columns of `(B, C, H, W)`, then an activation.
#[derive(Clone, Debug)]
pub(crate) struct LayerNorm {
    weight: Tensor,
    bias: Tensor,
    activation: Activation,
}

impl LayerNorm {
    pub(crate) fn new(channels: usize, activation: Activation, vb: &VarBuilder<'_>) -> Result<Self> {
        let weight = vb.get_with_hints(channels, "weight", Init::Const(1.0))?;
        Ok(Self { weight, bias: vb.get_with_hints(channels, "bias", Init::Const(0.0))?, activation })
    }

    pub(crate) fn forward(&self, xs: &Tensor) -> Result<Tensor> {
        Ok(flicker_kernels::group_norm(xs, &self.weight, &self.bias, 1, EPS, self.activation)?)
    }

    /// [`LayerNorm::forward`] in a graph.
    pub(crate) fn describe(&self, graph: &mut Graph, x: Value) -> Result<Value> {
        let standard = graph.standardise(x, EPS)?;
        let (weight, bias) = (graph.per_channel(&self.weight)?, graph.per_channel(&self.bias)?);
        let scaled = graph.binary(Binary::Mul, standard, weight)?;
        let y = graph.binary(Binary::Add, scaled, bias)?;
        graph.activate(y, self.activation)
    }

    /// With x̂ = (x − μ)/σ and h = γ · act′ · g, the gradient by x is `(h − mean h − x̂ · mean(h x̂)) / σ`, means being
    /// over each image.
    pub(crate) fn pull(&self, x: &Tensor, y: &Tensor, g: &Tensor) -> Result<Tensor> {
        let scale = self.weight.reshape((1, (), 1, 1))?;
        let h = slope(self.activation, y, g)?.broadcast_mul(&scale)?.flatten_from(1)?; // (B, C·H·W)
        let centred = x.flatten_from(1)?;
        let centred = centred.broadcast_sub(&centred.mean_keepdim(1)?)?;
        let sigma = (centred.sqr()?.mean_keepdim(1)? + EPS)?.sqrt()?; // (B, 1)
        let x_hat = centred.broadcast_div(&sigma)?;
        let along = (&h * &x_hat)?.mean_keepdim(1)?;
        let pulled = (h.broadcast_sub(&h.mean_keepdim(1)?)? - x_hat.broadcast_mul(&along)?)?;
        Ok(pulled.broadcast_div(&sigma)?.reshape(x.dims())?)
    }
}
