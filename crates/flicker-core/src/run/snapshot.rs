//! What a training keeps in a checkpoint: the weights, and its optimizers by name.

use crate::optim::Optimizer;
use crate::{Result, State, Weights};

/// Copies of the weights and of the optimizers, each under its name; a [`Training`](super::Training) adds what else it counts.
///
/// # Errors
/// If candle refuses a copy.
pub fn snapshot<const N: usize>(weights: &Weights, optimizers: [(&str, &dyn Optimizer); N]) -> Result<State> {
    let mut state = State::new();
    state.put_all("weights", weights.state()?);
    for (name, optimizer) in optimizers {
        state.put_all(name, optimizer.state()?);
    }
    Ok(state)
}

/// Takes over what [`snapshot`] returned.
///
/// # Errors
/// If the names, shapes or types are not those of these weights and optimizers; the message names the first difference.
pub fn restore<const N: usize>(
    weights: &Weights,
    optimizers: [(&str, &mut dyn Optimizer); N],
    state: &State,
) -> Result<()> {
    weights.restore("checkpoint", &state.part("weights"))?;
    optimizers.into_iter().try_for_each(|(name, optimizer)| optimizer.restore(&state.part(name)))
}
