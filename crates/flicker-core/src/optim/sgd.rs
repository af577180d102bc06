//! Stochastic gradient descent with momentum, after Sutskever et al., 2013
//! (<https://proceedings.mlr.press/v28/sutskever13.html>), in the arithmetic of PyTorch: the learning rate multiplies
//! the momentum too.

use super::stepper::{At, Elements, Rule, Stepper};
use super::{require_fraction, require_not_negative, require_positive};
use crate::{Error, Result};
use candle_core::Tensor;
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

    fn update(&self, at: At, elements: Elements<'_>) {
        let Elements { values, grads, slots: [changes, ..] } = elements;
        let (rate, l2) = (at.learning_rate as f32, self.weight_decay as f32);
        let momentum = self.momentum as f32;
        for (i, (x, &g)) in values.iter_mut().zip(grads).enumerate() {
            let g = g + l2 * *x;
            let mut change = g;
            if momentum > 0.0 {
                changes[i] = momentum * changes[i] + g;
                change = if self.nesterov { g + momentum * changes[i] } else { changes[i] };
            }
            *x -= rate * change;
        }
    }

    fn update_tensors(&self, at: At, x: &Tensor, g: &Tensor, slots: &mut [Tensor]) -> Result<Tensor> {
        let g = if self.weight_decay == 0.0 { g.clone() } else { (g + (x * self.weight_decay)?)? };
        let mut change = g.clone();
        if self.momentum > 0.0 {
            slots[0] = ((&slots[0] * self.momentum)? + &g)?;
            change = if self.nesterov { (g + (&slots[0] * self.momentum)?)? } else { slots[0].clone() };
        }
        Ok((x - (change * at.learning_rate)?)?)
    }
}
