//! Adam: Kingma and Ba, 2014 (<https://arxiv.org/abs/1412.6980>, algorithm 1); AdamW: Loshchilov and Hutter, 2017
//! (<https://arxiv.org/abs/1711.05101>, algorithm 2), both in the arithmetic of PyTorch.

use super::stepper::{At, Rule, Stepper};
use super::{missing_slot, require_fraction, require_not_negative, require_positive};
use crate::Result;
use candle_core::{Tensor, Var};
use flicker_kernels::{AdamStep, WeightDecay, adam_step};
use serde::{Deserialize, Serialize};

/// Adam, with weight decay (where asked for) added to the gradient, as `torch.optim.Adam`.
///
/// ```
/// use candle_core::{Device, Var};
/// use flicker_core::optim::{Adam, AdamConfig, Optimizer};
/// # fn main() -> flicker_core::Result<()> {
/// let x = Var::new(&[3f32, -4.], &Device::Cpu)?;
/// let mut adam = Adam::new(vec![("x".into(), x.clone())], AdamConfig::new(0.1))?;
/// for _ in 0..300 {
///     adam.step(&x.sqr()?.sum_all()?.backward()?)?;
/// }
/// assert!(x.abs()?.max_all()?.to_scalar::<f32>()? < 1e-3);
/// # Ok(())
/// # }
/// ```
pub type Adam = Stepper<AdamConfig>;

/// Adam with decoupled weight decay (where asked for), as `torch.optim.AdamW`.
pub type AdamW = Stepper<AdamWConfig>;

/// Hyper-parameters of [`Adam`].
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AdamConfig {
    /// Learning rate α.
    pub learning_rate: f64,
    /// Decay β₁ of the first moment.
    pub beta1: f64,
    /// Decay β₂ of the second moment.
    pub beta2: f64,
    /// ε, added to the root of the second moment.
    pub eps: f64,
    /// Factor of the parameter that is added to its gradient (L2); 0 if absent.
    #[serde(default)]
    pub weight_decay: f64,
}

/// Hyper-parameters of [`AdamW`].
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AdamWConfig {
    /// Learning rate α.
    pub learning_rate: f64,
    /// Decay β₁ of the first moment.
    pub beta1: f64,
    /// Decay β₂ of the second moment.
    pub beta2: f64,
    /// ε, added to the root of the second moment.
    pub eps: f64,
    /// Share of the parameter, times the learning rate, that each step takes away; 0 if absent. PyTorch and candle
    /// take 0.01 unless told.
    #[serde(default)]
    pub weight_decay: f64,
}

impl AdamConfig {
    /// The published numbers (β 0.9 and 0.999, ε 1e-8) and no weight decay.
    pub fn new(learning_rate: f64) -> Self {
        Self { learning_rate, beta1: 0.9, beta2: 0.999, eps: 1e-8, weight_decay: 0.0 }
    }
}

impl AdamWConfig {
    /// The published numbers (β 0.9 and 0.999, ε 1e-8) and no weight decay.
    pub fn new(learning_rate: f64) -> Self {
        Self { learning_rate, beta1: 0.9, beta2: 0.999, eps: 1e-8, weight_decay: 0.0 }
    }
}

macro_rules! adam_rule {
    ($config:ty, $decay:path) => {
        impl Rule for $config {
            fn validate(&self) -> Result<()> {
                require_positive("learning_rate", self.learning_rate)?;
                require_fraction("beta1", self.beta1)?;
                require_fraction("beta2", self.beta2)?;
                require_positive("eps", self.eps)?;
                require_not_negative("weight_decay", self.weight_decay)
            }

            fn learning_rate(&self) -> f64 {
                self.learning_rate
            }

            fn slots(&self) -> [Option<&'static str>; 3] {
                [Some("first_moment"), Some("second_moment"), None]
            }

            fn step(&self, at: At, var: &Var, grad: &Tensor, slots: [Option<&Var>; 3]) -> Result<()> {
                let [Some(first), Some(second), _] = slots else { return Err(missing_slot()) };
                let step = AdamStep {
                    lr: at.learning_rate,
                    beta1: self.beta1,
                    beta2: self.beta2,
                    eps: self.eps,
                    weight_decay: $decay(self.weight_decay),
                    step: at.step,
                };
                Ok(adam_step(var, grad, first, second, &step)?)
            }
        }
    };
}

adam_rule!(AdamConfig, WeightDecay::L2);
adam_rule!(AdamWConfig, WeightDecay::Decoupled);
