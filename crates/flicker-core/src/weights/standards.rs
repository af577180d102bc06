//! Means and spreads of the parts of a score over training normals, kept with the weights.

use crate::{Result, Weights};
use candle_core::{Tensor, Var};
use candle_nn::Init;

/// Means and variances of the parts of a score over training normals: a part as its distance from its mean, in standard
/// deviations, can be added to another. They are saved with the weights and never trained.
#[derive(Debug)]
pub struct Standards {
    means: Var,
    variances: Var,
}

impl Standards {
    /// Means 0 and variances 1 for so many parts.
    ///
    /// # Errors
    /// If `weights` holds standards of another number of parts.
    pub fn new(weights: &Weights, parts: usize) -> Result<Self> {
        // Named as what they are, so that no optimizer takes them for parameters.
        let vb = weights.builder().pp("standards");
        let var = |name, value| -> Result<Var> {
            Ok(Var::from_tensor(&vb.get_with_hints(parts, name, Init::Const(value))?)?)
        };
        Ok(Self { means: var("running_mean", 0.0)?, variances: var("running_var", 1.0)? })
    }

    /// Takes means and variances from the scores of training normals, part by part.
    ///
    /// # Errors
    /// If there are not as many parts as announced.
    pub fn set(&self, parts: &[Vec<f32>]) -> Result<()> {
        let (means, variances): (Vec<f32>, Vec<f32>) = parts.iter().map(|part| moments(part)).unzip();
        self.means.set(&Tensor::new(means, self.means.device())?)?;
        Ok(self.variances.set(&Tensor::new(variances, self.variances.device())?)?)
    }

    /// Means and standard deviations, as [`Standards::standard`] uses them.
    ///
    /// # Errors
    /// If the device refuses the copy.
    pub fn numbers(&self) -> Result<Vec<(f32, f64)>> {
        let (means, variances) = (self.means.to_vec1::<f32>()?, self.variances.to_vec1::<f32>()?);
        let deviation = |variance: f32| f64::from(variance).max(1e-20).sqrt();
        Ok(means.into_iter().zip(variances.into_iter().map(deviation)).collect())
    }

    /// What turns a value of a part into its distance from the part's mean, in standard deviations.
    ///
    /// # Errors
    /// If the device refuses the copy.
    pub fn standard(&self) -> Result<impl Fn(usize, f32) -> f64 + use<>> {
        let numbers = self.numbers()?;
        Ok(move |part: usize, value: f32| f64::from(value - numbers[part].0) / numbers[part].1)
    }
}

/// Mean and variance.
fn moments(values: &[f32]) -> (f32, f32) {
    let n = values.len().max(1) as f64;
    let mean = values.iter().map(|&v| f64::from(v)).sum::<f64>() / n;
    let variance = values.iter().map(|&v| (f64::from(v) - mean).powi(2)).sum::<f64>() / n;
    (mean as f32, variance as f32)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Rng;
    use candle_core::Device;

    #[test]
    fn a_part_is_told_in_standard_deviations_and_survives_a_state() -> Result<()> {
        let weights = Weights::new(Rng::new(0), &Device::Cpu);
        let standards = Standards::new(&weights, 2)?;
        assert_eq!(standards.standard()?(1, 3.0), 3.0);
        standards.set(&[vec![1.0, 3.0], vec![10.0, 10.0, 40.0]])?;
        assert_eq!(standards.standard()?(0, 4.0), 2.0);
        assert!((standards.standard()?(1, 20.0)).abs() < 1e-6);
        assert!(weights.vars("").is_empty(), "no parameters");
        assert!(standards.set(&[vec![1.0]]).is_err(), "another number of parts");

        let other = Weights::new(Rng::new(1), &Device::Cpu);
        let again = Standards::new(&other, 2)?;
        other.restore("state", &weights.state()?)?;
        assert_eq!(again.standard()?(0, 4.0), 2.0);
        Ok(())
    }
}
