//! The linear map.

use super::{Activation, torch_default};
use crate::Result;
use crate::graph::{Graph, Value};
use candle_core::Tensor;
use candle_nn::VarBuilder;

/// `x Wᵀ + b`, then an activation: `(B, inputs)` to `(B, outputs)`.
#[derive(Clone, Debug)]
pub struct Linear {
    weight: Tensor,
    bias: Option<Tensor>,
    activation: Activation,
}

impl Linear {
    /// A map with bias and PyTorch's default initial values; variables `weight` `(outputs, inputs)` and `bias`.
    ///
    /// # Errors
    /// If variables of these names exist in other shapes.
    pub fn new(inputs: usize, outputs: usize, activation: Activation, vb: &VarBuilder<'_>) -> Result<Self> {
        let bias = Some(vb.get_with_hints(outputs, "bias", torch_default(inputs))?);
        Ok(Self { bias, ..Self::without_bias(inputs, outputs, activation, vb)? })
    }

    /// A map without bias: what stands before a batch norm, which would take any bias away again.
    ///
    /// # Errors
    /// If a variable of this name exists in another shape.
    pub fn without_bias(
        inputs: usize,
        outputs: usize,
        activation: Activation,
        vb: &VarBuilder<'_>,
    ) -> Result<Self> {
        let weight = vb.get_with_hints((outputs, inputs), "weight", torch_default(inputs))?;
        Ok(Self { weight, bias: None, activation })
    }

    /// `(B, inputs)` to `(B, outputs)`.
    ///
    /// # Errors
    /// If the shape is another.
    pub fn forward(&self, xs: &Tensor) -> Result<Tensor> {
        Ok(flicker_kernels::linear(xs, &self.weight, self.bias.as_ref(), self.activation)?)
    }

    /// [`Linear::forward`] in a graph.
    ///
    /// # Errors
    /// If the width is another.
    pub fn describe(&self, graph: &mut Graph, xs: Value) -> Result<Value> {
        let ys = graph.linear(xs, &self.weight, self.bias.as_ref())?;
        graph.activate(ys, self.activation)
    }
}
