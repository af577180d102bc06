//! The model: its networks, its phases, and its score.

use crate::Config;
use crate::networks::{Critic, Dims, Encoder, Generator};
use crate::training::{Encoding, Game, Optimizers};
use candle_core::{Device, Tensor};
use candle_nn::VarBuilder;
use flicker_core::data::{Source, chunks, tensor};
use flicker_core::graph::{Binary, Described, Graph, Value};
use flicker_core::losses::mse_per_sample;
use flicker_core::nn::Mode;
use flicker_core::run::{Phase, Run};
use flicker_core::{Detector, Result, Rng, SampleShape, Scores, Standards, TrainSet, Weights};

/// An f-AnoGAN for images of one shape.
#[derive(Debug)]
pub struct FAnoGan {
    pub(crate) config: Config,
    /// Trained, with gradients.
    pub(crate) networks: Networks,
    /// On the same weights, without gradients: for scoring, and for what is only looked through in a step.
    pub(crate) frozen: Networks,
    pub(crate) weights: Weights,
    /// Of the parts of the score.
    standards: Standards,
    shape: SampleShape,
}

/// The networks.
#[derive(Debug)]
pub struct Networks {
    /// G: latent to image.
    pub generator: Generator,
    /// D.
    pub critic: Critic,
    /// E: image to latent.
    pub encoder: Encoder,
}

impl Networks {
    fn new(dims: Dims, config: &Config, vb: &VarBuilder<'_>) -> Result<Self> {
        Ok(Self {
            generator: Generator::new(dims, config.networks, &vb.pp("generator"))?,
            critic: Critic::new(dims, config.networks, &vb.pp("critic"))?,
            encoder: Encoder::new(dims, config.networks, config.latent_range, &vb.pp("encoder"))?,
        })
    }
}

/// Names of the parts of the score.
const PARTS: [&str; 3] = ["image", "feature", "latent"];
/// Training normals from which the parts are standardised.
const STANDARD: usize = 1024;
/// Images at once.
const BATCH: usize = 256;
/// Generated images that are shown.
const SHOWN: usize = 64;

impl FAnoGan {
    pub(crate) fn new(config: Config, shape: SampleShape, rng: Rng, device: &Device) -> Result<Self> {
        let (channels, size) = config.check(shape)?;
        let dims = Dims { channels, size, latent: config.latent };
        let weights = Weights::new(rng, device);
        let networks = Networks::new(dims, &config, &weights.builder())?;
        let frozen = Networks::new(dims, &config, &weights.frozen_builder())?;
        let standards = Standards::new(&weights, PARTS.len())?;
        let model = Self { config, networks, frozen, weights, standards, shape };
        Optimizers::new(&model.config, &model.weights)?; // refuses what they cannot work with, before any data is read
        Ok(model)
    }

    /// The networks, to look into.
    pub fn networks(&self) -> &Networks {
        &self.networks
    }

    /// The numbers that it was built from.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// `n` latents `(n, Z)` from N(0, 1).
    ///
    /// # Errors
    /// If the device refuses the copy.
    pub fn latents(&self, n: usize, rng: &mut Rng) -> Result<Tensor> {
        rng.randn((n, self.config.latent), self.weights.device())
    }

    /// `n` generated images `(n, C, S, S)`.
    ///
    /// # Errors
    /// If the device refuses the copy.
    pub fn generate(&self, n: usize, rng: &mut Rng) -> Result<Tensor> {
        Ok(self.frozen.generator.forward(&self.latents(n, rng)?, Mode::Evaluation)?.detach())
    }

    /// The parts of the score of images `(B, C, S, S)` in the order of [`PARTS`], `(B)` each, and G(E(x)).
    fn parts(&self, xs: &Tensor) -> Result<([Vec<f32>; 3], Tensor)> {
        let Networks { generator, critic, encoder } = &self.frozen;
        let z = encoder.forward(xs, Mode::Evaluation)?;
        let x_hat = generator.forward(&z, Mode::Evaluation)?;
        let z_hat = encoder.forward(&x_hat, Mode::Evaluation)?;
        let parts = [
            mse_per_sample(&x_hat, xs)?.to_vec1()?,
            mse_per_sample(&critic.features(&x_hat)?, &critic.features(xs)?)?.to_vec1()?,
            mse_per_sample(&z_hat, &z)?.to_vec1()?,
        ];
        Ok((parts, x_hat.detach()))
    }

    /// Sets means and variances of the parts from training normals.
    fn standardise(&self, normal: &dyn Source) -> Result<()> {
        let order = Rng::new(0).fork("standards").permutation(normal.len()); // the same for every seed
        let mut all: [Vec<f32>; 3] = Default::default();
        for indices in chunks(&order[..normal.len().min(STANDARD)], BATCH) {
            let (parts, _) = self.parts(&tensor(normal, indices, self.weights.device())?)?;
            all.iter_mut().zip(parts).for_each(|(all, part)| all.extend(part));
        }
        self.standards.set(&all)
    }

    /// How much each part counts in the score.
    fn score_weights(&self) -> [f64; 3] {
        let config = &self.config;
        [config.score_image, config.score_feature, config.score_latent]
    }

    /// [`FAnoGan::total`] in a graph.
    fn describe_total(&self, graph: &mut Graph, parts: [Value; 3]) -> Result<Value> {
        let (numbers, mut total) = (self.standards.numbers()?, None);
        for (part, ((mean, deviation), weight)) in
            parts.into_iter().zip(numbers.into_iter().zip(self.score_weights()))
        {
            if weight == 0.0 {
                continue;
            }
            let weighed = if self.config.score_standardised {
                let off = graph.affine_by(part, 1.0, -f64::from(mean))?;
                graph.affine_by(off, weight / deviation, 0.0)?
            } else {
                graph.affine_by(part, weight, 0.0)?
            };
            total = Some(match total {
                Some(total) => graph.binary(Binary::Add, total, weighed)?,
                None => weighed,
            });
        }
        match total {
            Some(total) => Ok(total),
            None => graph.affine_by(parts[0], 0.0, 0.0),
        }
    }

    fn total(&self, parts: &[Vec<f32>; 3]) -> Result<Vec<f32>> {
        let (config, weights) = (&self.config, self.score_weights());
        let of_training = self.standards.standard()?;
        let standard = |part: usize, sample: usize| {
            let value = parts[part][sample];
            if config.score_standardised { of_training(part, value) } else { f64::from(value) }
        };
        let n = parts[0].len();
        Ok((0..n).map(|i| (0..3).map(|part| weights[part] * standard(part, i)).sum::<f64>() as f32).collect())
    }
}

impl Detector for FAnoGan {
    fn fit(&mut self, train: &TrainSet, run: &mut Run<'_>) -> Result<()> {
        let (source, batch) = (train.normal.as_ref(), self.config.batch);
        let mut optimizers = Optimizers::new(&self.config, &self.weights)?;
        let phase = Phase { name: "wgan", epochs: self.config.epochs, batch };
        run.train(&phase, source, train, &mut Game { model: self, optimizers: &mut optimizers })?;
        let phase = Phase { name: "encoder", epochs: self.config.encoder_epochs, batch };
        run.train(&phase, source, train, &mut Encoding { model: self, optimizers: &mut optimizers })?;
        let images = self.generate(SHOWN, &mut Rng::new(0).fork("generated"))?;
        run.show_images("generated images", self.config.epochs, &images)?;
        if self.config.score_standardised { self.standardise(source) } else { Ok(()) }
    }

    /// A(x) = mean (x − G(E(x)))² + κ · mean (f(x) − f(G(E(x))))², the paper's equation 5, and what else the
    /// configuration weighs. Parts: `image`, `feature`, and `latent`, the mean of `(E(x) − E(G(E(x))))²`. The
    /// reconstruction is G(E(x)), the map the mean of |x − G(E(x))| over channels.
    fn score(&self, xs: &Tensor, _: &Rng) -> Result<Scores> {
        self.shape.expect_batch(xs)?;
        let (parts, x_hat) = self.parts(xs)?;
        let total = self.total(&parts)?;
        let map = (xs - &x_hat)?.abs()?.mean_keepdim(1)?.detach(); // (B, 1, S, S)
        let parts = PARTS.into_iter().zip(parts).collect();
        Ok(Scores { total, parts, reconstruction: Some(x_hat), map: Some(map) })
    }

    fn describe(&self, graph: &mut Graph, xs: Value) -> Result<Described> {
        let Networks { generator, critic, encoder } = &self.networks;
        let z = encoder.describe(graph, xs)?;
        let x_hat = generator.describe(graph, z)?;
        let z_hat = encoder.describe(graph, x_hat)?;
        let features = (critic.describe_features(graph, x_hat)?, critic.describe_features(graph, xs)?);
        let parts = [(x_hat, xs), features, (z_hat, z)];
        let mut means = [xs; 3];
        for (mean, (a, b)) in means.iter_mut().zip(parts) {
            let squares = graph.squared_difference(a, b)?;
            *mean = graph.mean(squares);
        }
        let residual = graph.absolute_difference(xs, x_hat)?;
        Ok(Described {
            total: self.describe_total(graph, means)?,
            map: Some(graph.mean_of_channels(residual)),
        })
    }

    fn weights(&self) -> &Weights {
        &self.weights
    }
}
