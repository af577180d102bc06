//! RMSProp: Tieleman and Hinton, lecture 6.5 of "Neural networks for machine learning", 2012; the centred form is
//! Graves, 2013 (<https://arxiv.org/abs/1308.0850>, equations 38 to 45). The arithmetic is PyTorch's: ε is added
//! outside the root.

use super::stepper::{At, Rule, Stepper};
use super::{missing_slot, require_fraction, require_not_negative, require_positive};
use crate::Result;
use candle_core::{Tensor, Var};
use flicker_kernels::{RmsPropState, RmsPropStep, WeightDecay, rmsprop_step};
use serde::{Deserialize, Serialize};

/// RMSProp, as `torch.optim.RMSprop`.
pub type RmsProp = Stepper<RmsPropConfig>;

/// Hyper-parameters of [`RmsProp`].
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RmsPropConfig {
    /// Learning rate.
    pub learning_rate: f64,
    /// Decay α of the mean of squared gradients.
    pub alpha: f64,
    /// ε, added to the root.
    pub eps: f64,
    /// Factor of the parameter that is added to its gradient (L2); 0 if absent.
    #[serde(default)]
    pub weight_decay: f64,
    /// Share of the last change that is kept; 0 if absent.
    #[serde(default)]
    pub momentum: f64,
    /// Divide by the standard deviation of the gradient rather than its root mean square; no if absent.
    #[serde(default)]
    pub centered: bool,
}

impl RmsPropConfig {
    /// PyTorch's numbers: α 0.99, ε 1e-8, no decay, no momentum, not centred.
    pub fn new(learning_rate: f64) -> Self {
        Self { learning_rate, alpha: 0.99, eps: 1e-8, weight_decay: 0.0, momentum: 0.0, centered: false }
    }
}

impl Rule for RmsPropConfig {
    fn validate(&self) -> Result<()> {
        require_positive("learning_rate", self.learning_rate)?;
        require_fraction("alpha", self.alpha)?;
        require_positive("eps", self.eps)?;
        require_not_negative("weight_decay", self.weight_decay)?;
        require_fraction("momentum", self.momentum)
    }

    fn learning_rate(&self) -> f64 {
        self.learning_rate
    }

    fn slots(&self) -> [Option<&'static str>; 3] {
        [Some("square_mean"), self.centered.then_some("mean"), (self.momentum > 0.0).then_some("momentum")]
    }

    fn step(&self, at: At, var: &Var, grad: &Tensor, slots: [Option<&Var>; 3]) -> Result<()> {
        let [Some(square_mean), mean, change] = slots else { return Err(missing_slot()) };
        let step = RmsPropStep {
            lr: at.learning_rate,
            alpha: self.alpha,
            eps: self.eps,
            momentum: self.momentum,
            weight_decay: WeightDecay::L2(self.weight_decay),
        };
        Ok(rmsprop_step(var, grad, RmsPropState { square_mean, mean, change }, &step)?)
    }
}
