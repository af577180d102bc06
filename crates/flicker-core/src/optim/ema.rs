//! Averaged weights: an exponential moving average of every parameter, as the diffusion models use it (Ho, Jain and
//! Abbeel, 2020, <https://arxiv.org/abs/2006.11239>, appendix B).

use super::state::{self, Expected};
use super::{State, require_fraction};
use crate::Result;
use candle_core::{Tensor, Var};
use flicker_kernels::ema_step;

/// The exponential moving average of parameters, beginning as their copy.
#[derive(Debug)]
pub struct Ema {
    decay: f64,
    params: Vec<Average>,
}

#[derive(Debug)]
struct Average {
    name: String,
    var: Var,
    mean: Var,
}

impl Ema {
    /// An average of `vars` that begins as a copy of them.
    ///
    /// # Errors
    /// If `decay` is not in `[0, 1)`, or candle refuses the copy.
    pub fn new(vars: &[(String, Var)], decay: f64) -> Result<Self> {
        require_fraction("decay", decay)?;
        let average = |(name, var): &(String, Var)| -> Result<Average> {
            Ok(Average { name: name.clone(), var: var.clone(), mean: copied(var)? })
        };
        Ok(Self { decay, params: vars.iter().map(average).collect::<Result<_>>()? })
    }

    /// Moves the average towards the parameters: `mean ← decay · mean + (1 - decay) · parameter`.
    ///
    /// # Errors
    /// If candle refuses an operation.
    pub fn update(&mut self) -> Result<()> {
        for Average { var, mean, .. } in &self.params {
            ema_step(mean, var, self.decay)?;
        }
        Ok(())
    }

    /// Writes the averages into the variables of the same names, which may belong to another model.
    ///
    /// # Errors
    /// If the names or shapes are not exactly those of the averages; nothing is written then.
    pub fn copy_to(&self, vars: &[(String, Var)]) -> Result<()> {
        let tensors = vars.iter().map(|(name, var)| (name.clone(), var.as_detached_tensor())).collect();
        state::require_same("averaged weights", &self.expected(), &tensors)?;
        for (name, var) in vars {
            if let Some(average) = self.params.iter().find(|average| average.name == *name) {
                var.set(&average.mean.to_device(var.device())?)?;
            }
        }
        Ok(())
    }

    /// Exchanges the parameters with their averages: once before an evaluation, once after it.
    ///
    /// # Errors
    /// If candle refuses a copy.
    pub fn swap(&mut self) -> Result<()> {
        for Average { var, mean, .. } in &mut self.params {
            let trained = copied(var)?;
            var.set(mean)?;
            *mean = trained;
        }
        Ok(())
    }

    /// A copy of the averages, by name of parameter.
    ///
    /// # Errors
    /// If candle refuses the copy.
    pub fn state(&self) -> Result<State> {
        self.params
            .iter()
            .map(|average| Ok((average.name.clone(), copied(&average.mean)?.as_detached_tensor())))
            .collect()
    }

    /// Takes over what [`Ema::state`] returned, or leaves everything as it was.
    ///
    /// # Errors
    /// If the names, shapes or types are not exactly those of the averages; the message names the first difference.
    pub fn restore(&mut self, state: &State) -> Result<()> {
        state::require_same("averaged weights", &self.expected(), state)?;
        let restored = |average: &Average| copied(&state[&average.name].to_device(average.var.device())?);
        let means: Vec<Var> = self.params.iter().map(restored).collect::<Result<_>>()?;
        for (average, mean) in self.params.iter_mut().zip(means) {
            average.mean = mean;
        }
        Ok(())
    }

    fn expected(&self) -> Expected {
        let entry =
            |average: &Average| (average.name.clone(), (average.mean.dims().to_vec(), average.mean.dtype()));
        self.params.iter().map(entry).collect()
    }
}

/// A contiguous copy with memory of its own.
fn copied(tensor: &Tensor) -> Result<Var> {
    Ok(Var::from_tensor(&tensor.detach().contiguous()?.copy()?)?)
}
