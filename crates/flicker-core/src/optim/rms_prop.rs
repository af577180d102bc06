//! RMSProp: Tieleman and Hinton, lecture 6.5 of "Neural networks for machine learning", 2012; the centred form is
//! Graves, 2013 (<https://arxiv.org/abs/1308.0850>, equations 38 to 45). The arithmetic is PyTorch's: ε is added
//! outside the root.

use super::stepper::{At, Elements, Rule, Stepper};
use super::{require_fraction, require_not_negative, require_positive};
use crate::Result;
use candle_core::Tensor;
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

    fn update(&self, at: At, elements: Elements<'_>) {
        let Elements { values, grads, slots: [squares, means, changes] } = elements;
        let (alpha, alpha_rest) = (self.alpha as f32, (1.0 - self.alpha) as f32);
        let (eps, l2) = (self.eps as f32, self.weight_decay as f32);
        let (momentum, rate) = (self.momentum as f32, at.learning_rate as f32);
        for (i, ((x, &g), square)) in values.iter_mut().zip(grads).zip(squares).enumerate() {
            let g = g + l2 * *x;
            *square = alpha * *square + alpha_rest * g * g;
            let mut power = *square;
            if self.centered {
                means[i] += alpha_rest * (g - means[i]);
                power = positive_part(power - means[i] * means[i]);
            }
            let mut change = g / (power.sqrt() + eps);
            if momentum > 0.0 {
                change += momentum * changes[i];
                changes[i] = change;
            }
            *x -= rate * change;
        }
    }

    fn update_tensors(&self, at: At, x: &Tensor, g: &Tensor, slots: &mut [Tensor]) -> Result<Tensor> {
        let g = if self.weight_decay == 0.0 { g.clone() } else { (g + (x * self.weight_decay)?)? };
        slots[0] = ((&slots[0] * self.alpha)? + (g.sqr()? * (1.0 - self.alpha))?)?;
        let mut power = slots[0].clone();
        if self.centered {
            slots[1] = (&slots[1] + ((&g - &slots[1])? * (1.0 - self.alpha))?)?;
            power = (power - slots[1].sqr()?)?.maximum(0.0)?;
        }
        let mut change = (g / (power.sqrt()? + self.eps)?)?;
        if self.momentum > 0.0 {
            let last = slots.len() - 1;
            change = ((&slots[last] * self.momentum)? + change)?;
            slots[last] = change.clone();
        }
        Ok((x - (change * at.learning_rate)?)?)
    }
}

/// `max(x, 0)`, and NaN for NaN, where `f32::max` would hide it.
///
/// PyTorch takes the root of the bare difference, which rounding can make negative (NaN) under a constant gradient.
fn positive_part(x: f32) -> f32 {
    if x < 0.0 { 0.0 } else { x }
}
