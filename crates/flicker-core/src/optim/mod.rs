//! Optimizers, gradient-norm clipping, averaged weights and learning-rate schedules, each equal to PyTorch's.
//!
//! candle's own `AdamW` hides its moments, so a training that used it cannot be resumed exactly; here every moving
//! quantity has the name of its parameter, and is saved and restored bit for bit.

mod adam;
mod clip;
mod ema;
mod rms_prop;
mod schedule;
mod sgd;
mod state;
mod stepper;
#[cfg(test)]
mod tests;

pub use adam::{Adam, AdamConfig, AdamW, AdamWConfig};
pub use clip::clip_grad_norm;
pub use ema::Ema;
pub use rms_prop::{RmsProp, RmsPropConfig};
pub use schedule::Schedule;
pub use sgd::{Sgd, SgdConfig};
pub use stepper::{At, Rule, Stepper};

use crate::{Error, Result, State};
use candle_core::backprop::GradStore;

/// Something that moves parameters against their gradients.
pub trait Optimizer {
    /// Moves each parameter that has a gradient; one without is left alone, and its step is not counted.
    ///
    /// # Errors
    /// If a gradient has another shape than its parameter, or candle refuses an operation.
    fn step(&mut self, grads: &GradStore) -> Result<()>;

    /// Sets the learning rate of the steps to come.
    fn set_learning_rate(&mut self, learning_rate: f64);

    /// The learning rate of the steps to come.
    fn learning_rate(&self) -> f64;

    /// Everything the next step depends on besides weights and gradients: a copy that later steps do not change.
    ///
    /// # Errors
    /// If candle refuses a copy.
    fn state(&self) -> Result<State>;

    /// Takes over what [`Optimizer::state`] returned.
    ///
    /// # Errors
    /// If the names, shapes or types are not exactly this optimizer's; the message names the first difference, and
    /// nothing has changed then.
    fn restore(&mut self, state: &State) -> Result<()>;
}

/// Refuses a number that is not finite and positive.
fn require_positive(field: &str, value: f64) -> Result<()> {
    if value.is_finite() && value > 0.0 {
        return Ok(());
    }
    Err(Error::config(field, format!("{value} is not a positive number")))
}

/// Refuses a number that is negative or not finite.
fn require_not_negative(field: &str, value: f64) -> Result<()> {
    if value.is_finite() && value >= 0.0 {
        return Ok(());
    }
    Err(Error::config(field, format!("{value} is neither zero nor a positive number")))
}

/// Refuses a number outside `[0, 1)`.
fn require_fraction(field: &str, value: f64) -> Result<()> {
    if (0.0..1.0).contains(&value) {
        return Ok(());
    }
    Err(Error::config(field, format!("{value} is not in [0, 1)")))
}

/// A rule was called without a number that moves with its parameters.
fn missing_slot() -> Error {
    Error::Weights {
        origin: "optimizer".into(),
        problem: "expected every slot of the rule, found one absent".into(),
    }
}
