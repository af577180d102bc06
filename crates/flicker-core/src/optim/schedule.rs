//! Learning-rate schedules, as multipliers of the learning rate, in f64.

use super::{require_not_negative, require_positive};
use crate::{Error, Result};
use serde::{Deserialize, Serialize};

/// How the learning rate changes over the steps (or epochs: whatever the caller counts).
///
/// ```
/// use flicker_core::optim::Schedule;
/// let cosine = Schedule::Cosine { steps: 100, last: 0.0 };
/// let schedule = Schedule::WarmUp { steps: 10, first: 0.1, then: Box::new(cosine) };
/// assert_eq!(schedule.multiplier(0), 0.1);
/// assert_eq!(schedule.multiplier(10), 1.0);
/// assert!((schedule.multiplier(60) - 0.5).abs() < 1e-12);
/// assert_eq!(schedule.multiplier(1000), 0.0);
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "kind", deny_unknown_fields)]
pub enum Schedule {
    /// Always 1.
    // Braces, because serde lets a variant without them pass with unknown fields.
    Constant {},
    /// A straight line from 1 at step 0 to `last` at step `steps`, and `last` from there on.
    Linear {
        /// Steps until `last`.
        steps: u64,
        /// The final multiplier; 0 if absent.
        #[serde(default)]
        last: f64,
    },
    /// Half a wave of the cosine from 1 at step 0 to `last` at step `steps`: Loshchilov and Hutter, 2016
    /// (<https://arxiv.org/abs/1608.03983>, equation 5) without restarts. It stays at `last` from there on, where
    /// PyTorch's `CosineAnnealingLR` rises again.
    Cosine {
        /// Steps until `last`.
        steps: u64,
        /// The final multiplier; 0 if absent.
        #[serde(default)]
        last: f64,
    },
    /// A straight line from `first` at step 0 to 1 at step `steps`, where `then` begins with its own step 0.
    WarmUp {
        /// Steps until `then` begins.
        steps: u64,
        /// The multiplier of the first step.
        first: f64,
        /// What comes after.
        then: Box<Self>,
    },
}

impl Schedule {
    /// What the learning rate is multiplied with at `step`, counted from 0.
    pub fn multiplier(&self, step: u64) -> f64 {
        match self {
            Self::Constant {} => 1.0,
            Self::Linear { steps, last } => 1.0 + (last - 1.0) * done(step, *steps),
            // The bare formula would leave a rest of 1e-17 at the end.
            Self::Cosine { steps, last } if step >= *steps => *last,
            Self::Cosine { steps, last } => {
                let wave = (std::f64::consts::PI * done(step, *steps)).cos();
                last + (1.0 - last) * (1.0 + wave) / 2.0
            }
            Self::WarmUp { steps, first, .. } if step < *steps => first + (1.0 - first) * done(step, *steps),
            Self::WarmUp { steps, then, .. } => then.multiplier(step - steps),
        }
    }

    /// Refuses numbers that cannot work.
    ///
    /// # Errors
    /// [`Error::Config`] that names the field.
    pub fn validate(&self) -> Result<()> {
        match self {
            Self::Constant {} => Ok(()),
            Self::Linear { steps, last } | Self::Cosine { steps, last } => {
                require_steps(*steps)?;
                require_not_negative("last", *last)
            }
            Self::WarmUp { steps, first, then } => {
                require_steps(*steps)?;
                require_positive("first", *first)?;
                then.validate()
            }
        }
    }
}

/// The share of `steps` that is done at `step`, at most 1.
fn done(step: u64, steps: u64) -> f64 {
    if step >= steps { 1.0 } else { step as f64 / steps as f64 }
}

fn require_steps(steps: u64) -> Result<()> {
    if steps == 0 {
        return Err(Error::config("steps", "0 is too few, at least 1 is needed"));
    }
    Ok(())
}
