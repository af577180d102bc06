//! The training loss: one function an equation (Ho, Jain and Abbeel, 2020; Nichol and Dhariwal, 2021).

use crate::{AnoDdpm, Correction, Loss, Prediction, Variance, Weighting};
use candle_core::Tensor;
use flicker_core::{Result, Rng};

/// Steps that a batch is trained at, and the weights of their losses.
#[derive(Clone, Debug, PartialEq)]
pub struct Times {
    /// One for each image.
    pub ts: Vec<usize>,
    /// One for each image.
    pub weights: Vec<f64>,
}

impl Times {
    /// Draws for `n` images of a diffusion of `steps` steps, without weighting among the first `below`.
    pub fn draw(
        (weighting, correction): (Weighting, Correction),
        steps: usize,
        below: usize,
        n: usize,
        rng: &mut Rng,
    ) -> Self {
        let total = steps as f64;
        let weight = |p: f64| match correction {
            Correction::Unbiased => 1.0 / (total * p),
            Correction::Published => p / total,
        };
        let one = |rng: &mut Rng| match weighting {
            Weighting::None => (rng.below(below.clamp(1, steps)), 1.0),
            Weighting::Uniform => (rng.below(steps), weight(1.0 / total)),
            Weighting::PropT => {
                // Probability of t: (T - t) / (1 + 2 + … + T), found by walking down from the largest.
                let all = steps * (steps + 1) / 2;
                let (mut left, mut t) = (rng.below(all), 0);
                while left >= steps - t {
                    left -= steps - t;
                    t += 1;
                }
                (t, weight((steps - t) as f64 / all as f64))
            }
        };
        let (ts, weights) = (0..n).map(|_| one(rng)).unzip();
        Self { ts, weights }
    }
}

/// A number for each image, as `(B, 1, 1, 1)`.
fn each(values: impl Iterator<Item = f64>, like: &Tensor) -> Result<Tensor> {
    let values: Vec<f32> = values.map(|value| value as f32).collect();
    let n = values.len();
    Ok(Tensor::from_vec(values, (n, 1, 1, 1), like.device())?)
}

impl AnoDdpm {
    /// `√ᾱ_t` and `√(1−ᾱ_t)` of each image.
    fn shares(&self, ts: &[usize], like: &Tensor) -> Result<(Tensor, Tensor)> {
        let alpha_bar = |t: &usize| self.schedule.alpha_bar(*t);
        Ok((
            each(ts.iter().map(|t| alpha_bar(t).sqrt()), like)?,
            each(ts.iter().map(|t| (1.0 - alpha_bar(t)).sqrt()), like)?,
        ))
    }

    /// `q(x_t | x_0)`, equation 4: `√ᾱ_t x_0 + √(1−ᾱ_t) ε`, image `i` at step `ts[i]`.
    ///
    /// # Errors
    /// If the shapes differ.
    pub fn noised(&self, x0: &Tensor, noise: &Tensor, ts: &[usize]) -> Result<Tensor> {
        let (image, rest) = self.shares(ts, x0)?;
        Ok((x0.broadcast_mul(&image)? + noise.broadcast_mul(&rest)?)?)
    }

    /// What the network should answer.
    fn target(&self, x0: &Tensor, noise: &Tensor, ts: &[usize]) -> Result<Tensor> {
        Ok(match self.config.prediction {
            Prediction::Epsilon => noise.clone(),
            Prediction::Image => x0.clone(),
            Prediction::Velocity => {
                let (image, rest) = self.shares(ts, x0)?;
                (noise.broadcast_mul(&image)? - x0.broadcast_mul(&rest)?)?
            }
        })
    }

    /// The image `x̂_0` that an answer of the network means, clamped to [-1, 1].
    ///
    /// # Errors
    /// If the shapes differ.
    pub fn image_of(&self, answer: &Tensor, xt: &Tensor, ts: &[usize]) -> Result<Tensor> {
        let (image, rest) = self.shares(ts, xt)?;
        let x0 = match self.config.prediction {
            Prediction::Epsilon => (xt - answer.broadcast_mul(&rest)?)?.broadcast_div(&image)?,
            Prediction::Image => answer.clone(),
            Prediction::Velocity => (xt.broadcast_mul(&image)? - answer.broadcast_mul(&rest)?)?,
        };
        Ok(x0.clamp(-1f32, 1f32)?)
    }

    /// The loss of a batch `x0` `(B, C, S, S)` that `noise` takes to `times`: a scalar on the graph.
    ///
    /// # Errors
    /// If the shapes differ.
    pub fn loss(&self, x0: &Tensor, noise: &Tensor, times: &Times) -> Result<Tensor> {
        let Times { ts, weights } = times;
        let xt = self.noised(x0, noise, ts)?;
        let answer = self.network.forward(&xt, ts)?;
        let difference = (&answer - self.target(x0, noise, ts)?)?;
        let of_images = match self.config.loss {
            Loss::L1 => means(&difference.abs()?)?,
            Loss::L2 => means(&difference.sqr()?)?,
            Loss::Hybrid => (means(&difference.sqr()?)? + self.bound(x0, &xt, &answer, ts)?)?,
        };
        let weights = each(weights.iter().copied(), x0)?.flatten_all()?;
        Ok((of_images * weights)?.mean_all()?)
    }

    /// The step's term of the variational bound in bits a number (equation 5's L_{t−1}; for the first step L_0): `(B)`.
    fn bound(&self, x0: &Tensor, xt: &Tensor, answer: &Tensor, ts: &[usize]) -> Result<Tensor> {
        let backs: Vec<_> = ts.iter().map(|&t| self.schedule.back(t, t.checked_sub(1))).collect();
        let image = each(backs.iter().map(|back| back.image_factor()), x0)?;
        let noisy = each(backs.iter().map(|back| back.noisy_factor()), x0)?;
        let mean =
            |x0: &Tensor| -> Result<Tensor> { Ok((x0.broadcast_mul(&image)? + xt.broadcast_mul(&noisy)?)?) };
        let found = mean(&self.image_of(answer, xt, ts)?)?;
        let true_variance = |t: &usize| self.schedule.small_variance(*t);
        let variance = |t: &usize| match self.config.variance {
            Variance::Large => self.schedule.large_variance(*t),
            Variance::Small => self.schedule.small_variance(*t),
        };
        // KL of two Gaussians whose variances are fixed.
        let ratio = |t: &usize| true_variance(t) / variance(t);
        let constant = each(ts.iter().map(|t| 0.5 * (ratio(t) - 1.0 - ratio(t).ln())), x0)?;
        let factor = each(ts.iter().map(|t| 0.5 / variance(t)), x0)?;
        let divergence = (mean(x0)? - &found)?.sqr()?.broadcast_mul(&factor)?.broadcast_add(&constant)?;
        let first = each(ts.iter().map(|&t| f64::from(u8::from(t == 0))), x0)?.flatten_all()?;
        let deviation = each(ts.iter().map(|t| variance(t).sqrt()), x0)?;
        let likelihood = means(&log_likelihood(x0, &found, &deviation)?)?.neg()?;
        let divergence = means(&divergence)?;
        let nats = (&divergence + (first * (likelihood - &divergence)?)?)?;
        Ok((nats / 2f64.ln())?)
    }
}

/// The mean of each image: `(B, C, S, S)` to `(B)`.
fn means(values: &Tensor) -> Result<Tensor> {
    Ok(values.flatten_from(1)?.mean(1)?)
}

/// The logarithm of the probability that a Gaussian gives to the one of 256 grey levels in [-1, 1] that each number of `x0` is
/// (Ho et al., equation 13), with tanh's approximation of the normal distribution function.
fn log_likelihood(x0: &Tensor, mean: &Tensor, deviation: &Tensor) -> Result<Tensor> {
    let centred = (x0 - mean)?;
    let below = |shift: f64| -> Result<Tensor> {
        let x = (&centred + shift)?.broadcast_div(deviation)?;
        let inner = ((&x + (x.powf(3.0)? * 0.044715)?)? * (2.0 / std::f64::consts::PI).sqrt())?;
        Ok(((inner.tanh()? + 1.0)? * 0.5)?)
    };
    let (upper, lower) = (below(1.0 / 255.0)?, below(-1.0 / 255.0)?);
    let log = |p: &Tensor| -> Result<Tensor> { Ok(p.maximum(1e-12f32)?.log()?) };
    let inside = log(&(&upper - &lower)?)?;
    // The darkest and brightest levels reach to infinity.
    let bright = x0.gt(0.999f32)?.where_cond(&log(&(1.0 - lower)?)?, &inside)?;
    Ok(x0.lt(-0.999f32)?.where_cond(&log(&upper)?, &bright)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn divided_weights_expect_the_unweighted_loss() {
        let mut rng = Rng::new(0);
        let weighting = (Weighting::PropT, Correction::Unbiased);
        let times = Times::draw(weighting, 50, 50, 40_000, &mut rng);
        // The expectation of weight · t is the mean of t, 24.5; early steps come more often.
        let weighted = times.ts.iter().zip(&times.weights).map(|(t, w)| *t as f64 * w).sum::<f64>() / 4e4;
        let plain = times.ts.iter().sum::<usize>() as f64 / 4e4;
        assert!((weighted - 24.5).abs() < 1.0, "{weighted}");
        assert!((plain - 16.33).abs() < 0.3, "{plain}");
        let none = Times::draw((Weighting::None, Correction::Unbiased), 50, 10, 1000, &mut rng);
        assert!(none.ts.iter().all(|t| *t < 10) && none.ts.contains(&9));
        assert!(none.weights.iter().all(|weight| *weight == 1.0));
    }

    #[test]
    fn published_weights_are_the_probabilities_over_the_steps() {
        let draw =
            |weighting, correction| Times::draw((weighting, correction), 50, 50, 200, &mut Rng::new(3));
        let (published, unbiased) =
            (draw(Weighting::PropT, Correction::Published), draw(Weighting::PropT, Correction::Unbiased));
        assert_eq!(published.ts, unbiased.ts);
        for ((t, published), unbiased) in published.ts.iter().zip(&published.weights).zip(&unbiased.weights) {
            let p = (50 - t) as f64 / 1275.0;
            assert!((published - p / 50.0).abs() < 1e-15, "{t}: {published}");
            assert!((unbiased - 1.0 / (50.0 * p)).abs() < 1e-12, "{t}: {unbiased}");
        }
        assert!(draw(Weighting::Uniform, Correction::Unbiased).weights.iter().all(|weight| *weight == 1.0));
        let small = draw(Weighting::Uniform, Correction::Published).weights;
        assert!(small.iter().all(|weight| (weight - 1.0 / 2500.0).abs() < 1e-15));
    }
}
