//! Stochastic gradient descent with momentum, after Sutskever et al., 2013
//! (<https://proceedings.mlr.press/v28/sutskever13.html>), in the arithmetic of PyTorch: the learning rate multiplies
//! the momentum too.

use super::stepper::{At, Rule, Stepper};
use super::{require_fraction, require_not_negative, require_positive};
use crate::{Error, Result};
use candle_core::{Tensor, Var};
use flicker_kernels::{SgdStep, WeightDecay, sgd_step};
use serde::{Deserialize, Serialize};

/// Stochastic gradient descent, as `torch.optim.SGD` without dampening.
pub type Sgd = Stepper<SgdConfig>;

/// Hyper-parameters of [`Sgd`].
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SgdConfig {
    /// Learning rate.
    pub learning_rate: f64,
    /// Share of the last change that is kept; 0 if absent.
    #[serde(default)]
    pub momentum: f64,
    /// Nesterov's form of momentum; no if absent.
    #[serde(default)]
    pub nesterov: bool,
    /// Factor of the parameter that is added to its gradient (L2); 0 if absent.
    #[serde(default)]
    pub weight_decay: f64,
}

impl SgdConfig {
    /// Plain gradient descent.
    pub fn new(learning_rate: f64) -> Self {
        Self { learning_rate, momentum: 0.0, nesterov: false, weight_decay: 0.0 }
    }
}

impl Rule for SgdConfig {
    fn validate(&self) -> Result<()> {
        require_positive("learning_rate", self.learning_rate)?;
        require_fraction("momentum", self.momentum)?;
        require_not_negative("weight_decay", self.weight_decay)?;
        if self.nesterov && self.momentum == 0.0 {
            return Err(Error::config("nesterov", "it needs a momentum above 0, found 0"));
        }
        Ok(())
    }

    fn learning_rate(&self) -> f64 {
        self.learning_rate
    }

    fn slots(&self) -> [Option<&'static str>; 3] {
        [(self.momentum > 0.0).then_some("momentum"), None, None]
    }

    fn step(&self, at: At, var: &Var, grad: &Tensor, slots: [Option<&Var>; 3]) -> Result<()> {
        let step = SgdStep {
            lr: at.learning_rate,
            momentum: self.momentum,
            nesterov: self.nesterov,
            weight_decay: WeightDecay::L2(self.weight_decay),
        };
        Ok(sgd_step(var, grad, slots[0], &step)?)
    }
}
