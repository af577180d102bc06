//! Adam: Kingma and Ba, 2014 (<https://arxiv.org/abs/1412.6980>, algorithm 1); AdamW: Loshchilov and Hutter, 2017
//! (<https://arxiv.org/abs/1711.05101>, algorithm 2), both in the arithmetic of PyTorch.

use super::stepper::{At, Elements, Rule, Stepper};
use super::{require_fraction, require_not_negative, require_positive};
use crate::Result;
use candle_core::Tensor;
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

    fn moments(&self) -> Moments {
        Moments { beta1: self.beta1, beta2: self.beta2, eps: self.eps, l2: self.weight_decay, decay: 0.0 }
    }
}

impl AdamWConfig {
    /// The published numbers (β 0.9 and 0.999, ε 1e-8) and no weight decay.
    pub fn new(learning_rate: f64) -> Self {
        Self { learning_rate, beta1: 0.9, beta2: 0.999, eps: 1e-8, weight_decay: 0.0 }
    }

    fn moments(&self) -> Moments {
        Moments { beta1: self.beta1, beta2: self.beta2, eps: self.eps, l2: 0.0, decay: self.weight_decay }
    }
}

macro_rules! adam_rule {
    ($config:ty) => {
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

            fn update(&self, at: At, elements: Elements<'_>) {
                let Elements { values, grads, slots: [first, second, _] } = elements;
                adam_step(&AdamStep::new(&self.moments(), at), values, grads, first, second);
            }

            fn update_tensors(&self, at: At, x: &Tensor, g: &Tensor, slots: &mut [Tensor]) -> Result<Tensor> {
                adam_step_tensors(&self.moments(), at, x, g, slots)
            }
        }
    };
}

adam_rule!(AdamConfig);
adam_rule!(AdamWConfig);

/// What Adam and AdamW share. At most one of `l2` and `decay` is not 0.
struct Moments {
    beta1: f64,
    beta2: f64,
    eps: f64,
    l2: f64,
    decay: f64,
}

impl Moments {
    /// The learning rate over the first bias correction, `α / (1 - β₁ᵗ)`.
    fn rate(&self, at: At) -> f64 {
        at.learning_rate / (1.0 - self.beta1.powf(at.step as f64))
    }

    /// The root of the second bias correction, `√(1 - β₂ᵗ)`.
    fn root_correction(&self, at: At) -> f64 {
        (1.0 - self.beta2.powf(at.step as f64)).sqrt()
    }

    /// What decoupled decay leaves of a parameter.
    fn kept(&self, at: At) -> f64 {
        1.0 - at.learning_rate * self.decay
    }
}

/// The numbers of one step that all elements share.
struct AdamStep {
    beta1_rest: f32,
    beta2: f32,
    beta2_rest: f32,
    eps: f32,
    l2: f32,
    kept: f32,
    rate: f32,
    root_correction: f32,
}

impl AdamStep {
    fn new(moments: &Moments, at: At) -> Self {
        Self {
            beta1_rest: (1.0 - moments.beta1) as f32,
            beta2: moments.beta2 as f32,
            beta2_rest: (1.0 - moments.beta2) as f32,
            eps: moments.eps as f32,
            l2: moments.l2 as f32,
            kept: moments.kept(at) as f32,
            rate: moments.rate(at) as f32,
            root_correction: moments.root_correction(at) as f32,
        }
    }
}

/// One step of Adam over elements in memory, in a single pass. The slices are equally long.
fn adam_step(k: &AdamStep, values: &mut [f32], grads: &[f32], first: &mut [f32], second: &mut [f32]) {
    for (((x, &g), m), v) in values.iter_mut().zip(grads).zip(first).zip(second) {
        let g = g + k.l2 * *x;
        *m += k.beta1_rest * (g - *m);
        *v = k.beta2 * *v + k.beta2_rest * g * g;
        *x = k.kept * *x - k.rate * *m / (v.sqrt() / k.root_correction + k.eps);
    }
}

/// The same in tensor operations.
fn adam_step_tensors(k: &Moments, at: At, x: &Tensor, g: &Tensor, slots: &mut [Tensor]) -> Result<Tensor> {
    let g = if k.l2 == 0.0 { g.clone() } else { (g + (x * k.l2)?)? };
    let m = (&slots[0] + ((&g - &slots[0])? * (1.0 - k.beta1))?)?;
    let v = ((&slots[1] * k.beta2)? + (g.sqr()? * (1.0 - k.beta2))?)?;
    let denominator = ((v.sqrt()? / k.root_correction(at))? + k.eps)?;
    let next = ((x * k.kept(at))? - ((&m / denominator)? * k.rate(at))?)?;
    (slots[0], slots[1]) = (m, v);
    Ok(next)
}
