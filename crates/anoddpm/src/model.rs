//! The model: its network, its training in one phase, and the score by partial diffusion.

use crate::map::smoothed;
use crate::training::{Denoising, Optimizers};
use crate::{Config, ImageScore, Reverse, Schedule, UNet, Variance};
use candle_core::{Device, Tensor};
use flicker_core::graph::{Described, Graph, Value};
use flicker_core::run::{Phase, Run};
use flicker_core::{Detector, Error, Result, Rng, SampleShape, Scores, TrainSet, Weights};
use rayon::prelude::*;

/// An AnoDDPM for images of one shape. After training its variables hold the averaged weights.
#[derive(Debug)]
pub struct AnoDdpm {
    pub(crate) config: Config,
    pub(crate) schedule: Schedule,
    /// Trained, with gradients.
    pub(crate) network: UNet,
    /// On the same weights, without gradients: for scoring.
    frozen: UNet,
    pub(crate) weights: Weights,
    /// Channels, height, width.
    pub(crate) dims: [usize; 3],
}

impl AnoDdpm {
    pub(crate) fn new(config: Config, shape: SampleShape, rng: Rng, device: &Device) -> Result<Self> {
        let dims = config.check(shape)?;
        let weights = Weights::new(rng, device);
        let network = UNet::new(&config, dims, &weights.builder())?;
        let frozen = UNet::new(&config, dims, &weights.frozen_builder())?;
        let schedule = Schedule::new(config.schedule, config.steps)?;
        let model = Self { config, schedule, network, frozen, weights, dims };
        Optimizers::new(&model)?; // refuses what AdamW cannot work with, before any data is read
        Ok(model)
    }

    /// The network, with gradients.
    pub fn network(&self) -> &UNet {
        &self.network
    }

    /// The variance schedule.
    pub fn schedule(&self) -> &Schedule {
        &self.schedule
    }

    /// The numbers that it was built from.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// One step back: from `x_t` to an earlier step, or to the image.
    fn back(&self, xt: &Tensor, t: usize, to: Option<usize>, rngs: &mut [Rng]) -> Result<Tensor> {
        let ts = vec![t; rngs.len()];
        let x0 = self.image_of(&self.frozen.forward(xt, &ts)?, xt, &ts)?;
        let back = self.schedule.back(t, to);
        let (image, noisy, deviation) = match self.config.reverse {
            Reverse::Ddim { eta, .. } => back.ddim(eta),
            Reverse::Ancestral { .. } => {
                let variance = match self.config.variance {
                    Variance::Large => back.large_variance(),
                    Variance::Small => back.small_variance(),
                };
                (back.image_factor(), back.noisy_factor(), variance.sqrt())
            }
        };
        let mean = ((x0 * image)? + (xt * noisy)?)?;
        if to.is_none() || deviation == 0.0 {
            return Ok(mean);
        }
        let noise = self.config.noise.draw(self.dims, &ts, rngs, xt.device())?;
        Ok((mean + (noise * deviation)?)?)
    }

    /// Takes `xs` `(B, C, S, S)` to step λ and back, image `i` with the stream `rngs[i]` alone. λ = 0 gives `xs` itself.
    ///
    /// # Errors
    /// If the shape is another.
    pub fn reconstruct(&self, xs: &Tensor, rngs: &[Rng]) -> Result<Tensor> {
        let Some(start) = self.config.distance.checked_sub(1) else { return Ok(xs.clone()) };
        let streams = |purpose: &str, t: usize| -> Vec<Rng> {
            rngs.iter().map(|rng| rng.fork(purpose).fork_index(t as u64)).collect()
        };
        let ts = vec![start; rngs.len()];
        let noise = self.config.noise.draw(self.dims, &ts, &mut streams("there", start), xs.device())?;
        let mut x = self.noised(xs, &noise, &ts)?;
        let mut t = Some(start);
        while let Some(now) = t {
            t = now.checked_sub(self.config.reverse.every());
            x = self.back(&x, now, t, &mut streams("back", now))?.detach();
        }
        Ok(x)
    }
}

impl Detector for AnoDdpm {
    fn fit(&mut self, train: &TrainSet, run: &mut Run<'_>) -> Result<()> {
        let phase = Phase { name: "denoising", epochs: self.config.epochs, batch: self.config.batch };
        let optimizers = Optimizers::new(self)?;
        let mut training = Denoising { model: self, optimizers };
        run.train(&phase, train.normal.as_ref(), train, &mut training)?;
        training.optimizers.ema.copy_to(&self.weights.vars(""))
    }

    /// The image score of the error map `(x − x̂)²`, averaged over channels, where `x̂` is the mean of the drawn
    /// reconstructions. Parts: `mean` and `max` of the map. The authors' code has no score of an image; the map is theirs.
    fn score(&self, xs: &Tensor, rng: &Rng) -> Result<Scores> {
        let [c, h, w] = self.dims;
        let expected = [xs.dims().first().copied().unwrap_or(0), c, h, w];
        if xs.dims() != expected {
            let (expected, found) = (format!("{expected:?}"), format!("{:?}", xs.dims()));
            return Err(Error::Shape { what: "images to score".into(), expected, found });
        }
        let samples = rng.fork_samples(xs)?;
        let mut sum = xs.zeros_like()?;
        for draw in 0..self.config.draws {
            let rngs: Vec<Rng> = samples.iter().map(|rng| rng.fork_index(draw as u64)).collect();
            sum = (sum + self.reconstruct(xs, &rngs)?)?;
        }
        let x_hat = (sum / self.config.draws as f64)?;
        let mut map = (xs - &x_hat)?.sqr()?.mean_keepdim(1)?.detach(); // (B, 1, S, S)
        let mut rows = map.flatten_from(1)?.to_vec2::<f32>()?;
        if self.config.smoothing > 0.0 {
            rows = rows.par_iter().map(|row| smoothed(row, self.dims[2], self.config.smoothing)).collect();
            map = Tensor::from_vec(rows.concat(), map.shape(), map.device())?;
        }
        let of = |score: ImageScore| -> Vec<f32> { rows.iter().map(|row| score.of(row)).collect() };
        let parts = vec![("mean", of(ImageScore::Mean)), ("max", of(ImageScore::Max))];
        Ok(Scores { total: of(self.config.image_score), parts, reconstruction: Some(x_hat), map: Some(map) })
    }

    fn describe(&self, _: &mut Graph, _: Value) -> Result<Described> {
        Err(Error::NotOnePass(
            "each sample is noised by draws of its own and denoised over many steps".into(),
        ))
    }

    fn weights(&self) -> &Weights {
        &self.weights
    }
}

impl ImageScore {
    /// The score of an error map. One value that is not a number makes it none.
    fn of(self, map: &[f32]) -> f32 {
        if map.iter().any(|value| value.is_nan()) {
            return f32::NAN;
        }
        let mean = |values: &[f32]| {
            (values.iter().map(|&value| f64::from(value)).sum::<f64>() / values.len() as f64) as f32
        };
        match self {
            Self::Mean => mean(map),
            Self::Max => map.iter().copied().fold(f32::NEG_INFINITY, f32::max),
            Self::Top(share) => {
                let mut sorted = map.to_vec();
                sorted.sort_by(|a, b| b.total_cmp(a));
                let n = ((share * map.len() as f64).ceil() as usize).clamp(1, map.len());
                mean(&sorted[..n])
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn image_scores() {
        let map = [1.0, 4.0, 3.0, 0.0];
        for (score, expected) in [
            (ImageScore::Mean, 2.0),
            (ImageScore::Max, 4.0),
            (ImageScore::Top(0.5), 3.5),
            (ImageScore::Top(0.01), 4.0),
        ] {
            assert_eq!(score.of(&map), expected, "{score:?}");
            assert!(score.of(&[0.0, f32::NAN]).is_nan());
        }
    }
}
