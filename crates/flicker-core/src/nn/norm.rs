//! Batch, group and layer norm.

use super::Activation;
use crate::Result;
use crate::graph::{Graph, Value};
use candle_core::{Tensor, Var};
use candle_nn::{Init, VarBuilder};

/// Whether a norm over the batch uses the batch's own statistics.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// The batch's statistics, which also move the running ones.
    Training,
    /// The running statistics alone: what a sample becomes does not depend on its batch.
    Evaluation,
}

/// Batch norm (Ioffe and Szegedy, 2015) over all but the channels of `(B, C)` or `(B, C, H, W)`, then an activation.
/// Running statistics move by PyTorch's rule (momentum 0.1, unbiased variance).
#[derive(Clone, Debug)]
pub struct BatchNorm {
    weight: Tensor,
    bias: Tensor,
    running_mean: Var,
    running_var: Var,
    eps: f64,
    activation: Activation,
}

/// PyTorch's default.
const MOMENTUM: f64 = 0.1;

impl BatchNorm {
    /// A norm whose scale starts as `init`; variables `weight`, `bias`, `running_mean`, `running_var`, each `(channels)`.
    ///
    /// # Errors
    /// If variables of these names exist in other shapes.
    pub fn new(
        channels: usize,
        eps: f64,
        init: Init,
        activation: Activation,
        vb: &VarBuilder<'_>,
    ) -> Result<Self> {
        Ok(Self {
            weight: vb.get_with_hints(channels, "weight", init)?,
            bias: vb.get_with_hints(channels, "bias", Init::Const(0.0))?,
            running_mean: Var::from_tensor(&vb.get_with_hints(
                channels,
                "running_mean",
                Init::Const(0.0),
            )?)?,
            running_var: Var::from_tensor(&vb.get_with_hints(channels, "running_var", Init::Const(1.0))?)?,
            eps,
            activation,
        })
    }

    /// A norm without scale and shift; variables `running_mean` and `running_var`, each `(channels)`.
    ///
    /// # Errors
    /// If variables of these names exist in other shapes.
    pub fn without_scale(
        channels: usize,
        eps: f64,
        activation: Activation,
        vb: &VarBuilder<'_>,
    ) -> Result<Self> {
        let statistic = |name: &str, start: f64| -> Result<Var> {
            Ok(Var::from_tensor(&vb.get_with_hints(channels, name, Init::Const(start))?)?)
        };
        Ok(Self {
            weight: Tensor::ones(channels, vb.dtype(), vb.device())?,
            bias: Tensor::zeros(channels, vb.dtype(), vb.device())?,
            running_mean: statistic("running_mean", 0.0)?,
            running_var: statistic("running_var", 1.0)?,
            eps,
            activation,
        })
    }

    /// The shape is kept.
    ///
    /// # Errors
    /// If the channels are others, or if `mode` is training and there is one value a channel.
    pub fn forward(&self, xs: &Tensor, mode: Mode) -> Result<Tensor> {
        let (weight, bias, mean, var) = (&self.weight, &self.bias, &self.running_mean, &self.running_var);
        Ok(match mode {
            Mode::Training => flicker_kernels::batch_norm_train(
                xs,
                weight,
                bias,
                mean,
                var,
                MOMENTUM,
                self.eps,
                self.activation,
            )?,
            Mode::Evaluation => {
                flicker_kernels::batch_norm_eval(xs, weight, bias, mean, var, self.eps, self.activation)?
            }
        })
    }

    /// [`BatchNorm::forward`] in evaluation mode, in a graph.
    ///
    /// # Errors
    /// If the channels are others.
    pub fn describe(&self, graph: &mut Graph, xs: Value) -> Result<Value> {
        let statistics =
            [&self.weight, &self.bias, self.running_mean.as_tensor(), self.running_var.as_tensor()];
        let ys = graph.batch_norm(xs, statistics, self.eps)?;
        graph.activate(ys, self.activation)
    }
}

/// Group norm (Wu and He, 2018) over groups of channels of each sample of `(B, C, H, W)`, then an activation.
#[derive(Clone, Debug)]
pub struct GroupNorm {
    weight: Tensor,
    bias: Tensor,
    groups: usize,
    eps: f64,
    activation: Activation,
}

impl GroupNorm {
    /// A norm with scale 1 and shift 0; variables `weight` and `bias`, each `(channels)`.
    ///
    /// # Errors
    /// If variables of these names exist in other shapes.
    pub fn new(
        groups: usize,
        channels: usize,
        eps: f64,
        activation: Activation,
        vb: &VarBuilder<'_>,
    ) -> Result<Self> {
        let weight = vb.get_with_hints(channels, "weight", Init::Const(1.0))?;
        let bias = vb.get_with_hints(channels, "bias", Init::Const(0.0))?;
        Ok(Self { weight, bias, groups, eps, activation })
    }

    /// The shape is kept.
    ///
    /// # Errors
    /// If the groups do not divide the channels.
    pub fn forward(&self, xs: &Tensor) -> Result<Tensor> {
        Ok(flicker_kernels::group_norm(xs, &self.weight, &self.bias, self.groups, self.eps, self.activation)?)
    }
}

/// Layer norm (Ba et al., 2016) over all of each sample, then an activation.
#[derive(Clone, Debug)]
pub struct LayerNorm {
    weight: Tensor,
    bias: Tensor,
    eps: f64,
    activation: Activation,
}

impl LayerNorm {
    /// A norm over samples of `dims` with scale 1 and shift 0; variables `weight` and `bias`, each of `dims`.
    ///
    /// # Errors
    /// If variables of these names exist in other shapes.
    pub fn new(dims: &[usize], eps: f64, activation: Activation, vb: &VarBuilder<'_>) -> Result<Self> {
        let weight = vb.get_with_hints(dims, "weight", Init::Const(1.0))?;
        let bias = vb.get_with_hints(dims, "bias", Init::Const(0.0))?;
        Ok(Self { weight, bias, eps, activation })
    }

    /// The shape is kept.
    ///
    /// # Errors
    /// If the samples have other dimensions.
    pub fn forward(&self, xs: &Tensor) -> Result<Tensor> {
        Ok(flicker_kernels::layer_norm(xs, &self.weight, &self.bias, self.eps, self.activation)?)
    }
}
