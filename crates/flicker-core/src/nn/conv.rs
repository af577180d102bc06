//! Convolution and transposed convolution.

use super::{Activation, ConvSpec, torch_default};
use crate::Result;
use crate::graph::{Graph, Value};
use candle_core::Tensor;
use candle_nn::{Init, VarBuilder};

/// A convolution: `(B, inputs, H, W)` to `(B, outputs, H', W')`.
#[derive(Clone, Debug)]
pub struct Conv2d {
    weight: Tensor,
    bias: Option<Tensor>,
    spec: ConvSpec,
}

impl Conv2d {
    /// A convolution with bias and PyTorch's default initial values; variables `weight` `(outputs, inputs, k, k)`, `bias`.
    ///
    /// # Errors
    /// If variables of these names exist in other shapes.
    pub fn new(
        inputs: usize,
        outputs: usize,
        kernel: usize,
        spec: ConvSpec,
        vb: &VarBuilder<'_>,
    ) -> Result<Self> {
        let init = torch_default(inputs / spec.groups * kernel * kernel);
        let bias = Some(vb.get_with_hints(outputs, "bias", init)?);
        Ok(Self { bias, ..Self::without_bias(inputs, outputs, kernel, spec, init, vb)? })
    }

    /// A convolution without bias whose weight starts as `init`.
    ///
    /// # Errors
    /// If a variable of this name exists in another shape.
    pub fn without_bias(
        inputs: usize,
        outputs: usize,
        kernel: usize,
        spec: ConvSpec,
        init: Init,
        vb: &VarBuilder<'_>,
    ) -> Result<Self> {
        let weight = vb.get_with_hints((outputs, inputs / spec.groups, kernel, kernel), "weight", init)?;
        Ok(Self { weight, bias: None, spec })
    }

    /// `(B, inputs, H, W)` to `(B, outputs, H', W')`.
    ///
    /// # Errors
    /// If the shape is another.
    pub fn forward(&self, xs: &Tensor) -> Result<Tensor> {
        self.forward_then(xs, Activation::None)
    }

    /// [`Conv2d::forward`] and an activation; with a bias, in one pass.
    ///
    /// # Errors
    /// If the shape is another.
    pub fn forward_then(&self, xs: &Tensor, activation: Activation) -> Result<Tensor> {
        Ok(match &self.bias {
            Some(bias) => flicker_kernels::conv2d_bias(xs, &self.weight, bias, &self.spec, activation)?,
            None => flicker_kernels::activate(
                &flicker_kernels::conv2d(xs, &self.weight, &self.spec)?,
                activation,
            )?,
        })
    }

    /// [`Conv2d::forward`] in a graph.
    ///
    /// # Errors
    /// If the shape is another.
    pub fn describe(&self, graph: &mut Graph, xs: Value) -> Result<Value> {
        graph.conv(xs, &self.weight, self.bias.as_ref(), self.spec)
    }
}

/// A transposed convolution: `(B, inputs, H, W)` to `(B, outputs, H', W')`.
#[derive(Clone, Debug)]
pub struct ConvTranspose2d {
    weight: Tensor,
    bias: Option<Tensor>,
    spec: ConvSpec,
    output_padding: (usize, usize),
}

impl ConvTranspose2d {
    /// A transposed convolution with bias and PyTorch's default initial values; variables `weight`
    /// `(inputs, outputs, k, k)` and `bias`.
    ///
    /// # Errors
    /// If variables of these names exist in other shapes.
    pub fn new(
        inputs: usize,
        outputs: usize,
        kernel: usize,
        spec: ConvSpec,
        output_padding: (usize, usize),
        vb: &VarBuilder<'_>,
    ) -> Result<Self> {
        // PyTorch counts the fan of a transposed convolution over its outputs.
        let init = torch_default(outputs / spec.groups * kernel * kernel);
        let bias = Some(vb.get_with_hints(outputs, "bias", init)?);
        Ok(Self { bias, output_padding, ..Self::without_bias(inputs, outputs, kernel, spec, init, vb)? })
    }

    /// A transposed convolution without bias whose weight starts as `init`.
    ///
    /// # Errors
    /// If a variable of this name exists in another shape.
    pub fn without_bias(
        inputs: usize,
        outputs: usize,
        kernel: usize,
        spec: ConvSpec,
        init: Init,
        vb: &VarBuilder<'_>,
    ) -> Result<Self> {
        let weight = vb.get_with_hints((inputs, outputs / spec.groups, kernel, kernel), "weight", init)?;
        Ok(Self { weight, bias: None, spec, output_padding: (0, 0) })
    }

    /// `(B, inputs, H, W)` to `(B, outputs, H', W')`.
    ///
    /// # Errors
    /// If the shape is another.
    pub fn forward(&self, xs: &Tensor) -> Result<Tensor> {
        let ys = flicker_kernels::conv_transpose2d(xs, &self.weight, &self.spec, self.output_padding)?;
        Ok(match &self.bias {
            Some(bias) => flicker_kernels::bias_add(&ys, bias, Activation::None)?,
            None => ys,
        })
    }

    /// [`ConvTranspose2d::forward`] in a graph.
    ///
    /// # Errors
    /// If the shape is another.
    pub fn describe(&self, graph: &mut Graph, xs: Value) -> Result<Value> {
        graph.conv_transpose(xs, &self.weight, self.bias.as_ref(), self.spec, self.output_padding)
    }
}
