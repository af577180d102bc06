//! The variance schedule and every number that follows from it, in f64. Equations are those of Ho, Jain and Abbeel, 2020
//! (<https://arxiv.org/abs/2006.11239>). Steps count from 0: `x_t` has had `t + 1` of them.

use flicker_core::{Error, Result};
use serde::{Deserialize, Serialize};

/// How the variances of the steps grow.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Betas {
    /// Evenly from `0.1/T` to `20/T` (Ho et al., scaled so that any number of steps ends alike).
    Linear,
    /// From `ᾱ(t) = cos²((t + 0.008)/1.008 · π/2)`, at most 0.999 (Nichol and Dhariwal, 2021, equation 17).
    Cosine,
}

/// The variances `β_t` and what remains of the image, `ᾱ_t`.
#[derive(Clone, Debug, PartialEq)]
pub struct Schedule {
    betas: Vec<f64>,
    alpha_bars: Vec<f64>,
}

impl Schedule {
    /// A schedule of `steps` steps.
    ///
    /// # Errors
    /// [`Error::Config`] if there are fewer than two, or so few that a linear variance reaches 1.
    pub fn new(kind: Betas, steps: usize) -> Result<Self> {
        if steps < 2 || (kind == Betas::Linear && steps <= 20) {
            let least = if kind == Betas::Linear { 21 } else { 2 };
            return Err(Error::config("config.steps", format!("must be at least {least}, is {steps}")));
        }
        let n = steps as f64;
        let betas: Vec<f64> = match kind {
            Betas::Linear => {
                let (first, last) = (0.1 / n, 20.0 / n);
                (0..steps).map(|t| first + t as f64 * ((last - first) / (n - 1.0))).collect()
            }
            Betas::Cosine => {
                let left = |t: f64| ((t + 0.008) / 1.008 * std::f64::consts::FRAC_PI_2).cos().powi(2);
                (0..steps).map(|t| (1.0 - left((t + 1) as f64 / n) / left(t as f64 / n)).min(0.999)).collect()
            }
        };
        let product = |left: &mut f64, beta: &f64| {
            *left *= 1.0 - beta;
            Some(*left)
        };
        let alpha_bars = betas.iter().scan(1.0, product).collect();
        Ok(Self { betas, alpha_bars })
    }

    /// How many steps.
    pub fn steps(&self) -> usize {
        self.betas.len()
    }

    /// `β_t`, the variance added by step `t`.
    pub fn beta(&self, t: usize) -> f64 {
        self.betas[t]
    }

    /// `ᾱ_t = Π_{s ≤ t} (1 − β_s)`, the share of the image's variance in `x_t`.
    pub fn alpha_bar(&self, t: usize) -> f64 {
        self.alpha_bars[t]
    }

    /// `ᾱ` of the step before; 1 before the first.
    fn alpha_bar_of(&self, t: Option<usize>) -> f64 {
        t.map_or(1.0, |t| self.alpha_bars[t])
    }

    /// The way back from `t` to an earlier step (`None`: to the image).
    pub fn back(&self, t: usize, to: Option<usize>) -> Back {
        let (alpha_bar, before) = (self.alpha_bar(t), self.alpha_bar_of(to));
        let single = to.map_or(t == 0, |to| to + 1 == t);
        let beta = if single { self.beta(t) } else { 1.0 - alpha_bar / before };
        Back { alpha_bar, before, beta }
    }

    /// Equation 7's variance `β̃_t` of `q(x_{t−1} | x_t, x_0)`.
    pub fn posterior_variance(&self, t: usize) -> f64 {
        self.back(t, t.checked_sub(1)).small_variance()
    }

    /// The "large" fixed variance: `β_t`; for the first step `β̃_1`, since its own would be 0 in the logarithm of a likelihood.
    pub fn large_variance(&self, t: usize) -> f64 {
        if t == 0 { self.posterior_variance(1) } else { self.beta(t) }
    }

    /// The "small" fixed variance: `β̃_t`; for the first step `β̃_1`.
    pub fn small_variance(&self, t: usize) -> f64 {
        self.posterior_variance(t.max(1))
    }
}

/// One way back through several steps at once: all that the equations need. With one step it is equations 6 and 7.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Back {
    /// `ᾱ` where the way begins.
    alpha_bar: f64,
    /// `ᾱ` where it ends.
    before: f64,
    /// The variance added on the way: `1 − ᾱ_t / ᾱ_s`.
    beta: f64,
}

impl Back {
    /// Factor of `x_0` in the posterior's mean: `√ᾱ_s β / (1 − ᾱ_t)`.
    pub fn image_factor(&self) -> f64 {
        self.beta * self.before.sqrt() / (1.0 - self.alpha_bar)
    }

    /// Factor of `x_t` in the posterior's mean: `√(1 − β) (1 − ᾱ_s) / (1 − ᾱ_t)`.
    pub fn noisy_factor(&self) -> f64 {
        (1.0 - self.before) * (1.0 - self.beta).sqrt() / (1.0 - self.alpha_bar)
    }

    /// The posterior's own variance: `β (1 − ᾱ_s) / (1 − ᾱ_t)`.
    pub fn small_variance(&self) -> f64 {
        self.beta * (1.0 - self.before) / (1.0 - self.alpha_bar)
    }

    /// The larger choice: `β`.
    pub fn large_variance(&self) -> f64 {
        self.beta
    }

    /// Factors of `x_0` and `x_t`, and the standard deviation of the noise, for DDIM's step (Song et al., 2020,
    /// <https://arxiv.org/abs/2010.02502>, equation 12), with the noise read off `x_0` and `x_t`. `eta` 0 is deterministic, 1
    /// has the posterior's variance.
    pub fn ddim(&self, eta: f64) -> (f64, f64, f64) {
        let deviation = eta * self.small_variance().sqrt();
        let direction =
            (1.0 - self.before - deviation.powi(2)).max(0.0).sqrt() / (1.0 - self.alpha_bar).sqrt();
        (self.before.sqrt() - direction * self.alpha_bar.sqrt(), direction, deviation)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_the_published_ones() -> Result<()> {
        let mut reader =
            csv::Reader::from_reader(include_str!("../tests/fixtures/ddpm_schedule_vectors.csv").as_bytes());
        let mut rows = 0;
        for record in reader.records() {
            let record = record.expect("a row");
            let number = |i: usize| record[i].parse::<f64>().expect("a number");
            let kind = if &record[0] == "linear" { Betas::Linear } else { Betas::Cosine };
            let (schedule, t) = (Schedule::new(kind, number(1) as usize)?, number(2) as usize);
            let back = schedule.back(t, t.checked_sub(1));
            let found = [
                schedule.beta(t),
                schedule.alpha_bar(t),
                schedule.alpha_bar(t).sqrt(),
                (1.0 - schedule.alpha_bar(t)).sqrt(),
                schedule.posterior_variance(t),
                back.image_factor(),
                back.noisy_factor(),
                schedule.large_variance(t),
            ];
            for (i, found) in found.into_iter().enumerate() {
                let expected = number(3 + i);
                assert!(
                    (found - expected).abs() <= 1e-11 * expected.abs(),
                    "{record:?} {i}: {found}, {expected}"
                );
            }
            rows += 1;
        }
        assert_eq!(rows, 32);
        Ok(())
    }

    #[test]
    fn ddim_with_all_its_noise_is_the_posterior() -> Result<()> {
        let back = Schedule::new(Betas::Linear, 1000)?.back(240, Some(215));
        let (image, noisy, deviation) = back.ddim(1.0);
        for (found, expected) in [
            (image, back.image_factor()),
            (noisy, back.noisy_factor()),
            (deviation.powi(2), back.small_variance()),
        ] {
            assert!((found - expected).abs() < 1e-12, "{found}, {expected}");
        }
        Ok(())
    }
}
