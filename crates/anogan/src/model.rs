//! The model: its networks, its phases, and its score.

use crate::networks::{Dims, Discriminator, Encoder, Generator, draw_small};
use crate::search::Parts;
use crate::training::{Game, Inversion, Optimizers};
use crate::{Architecture, Config, Scoring};
use candle_core::{Device, Tensor};
use candle_nn::VarBuilder;
use flicker_core::data::{Source, chunks, tensor};
use flicker_core::graph::{Described, Graph, Value};
use flicker_core::nn::Mode;
use flicker_core::run::{Phase, Run};
use flicker_core::{Detector, Error, Result, Rng, SampleShape, Scores, Standards, TrainSet, Weights};

/// An AnoGAN for images of one shape.
#[derive(Debug)]
pub struct AnoGan {
    pub(crate) config: Config,
    /// Trained, with gradients.
    pub(crate) networks: Networks,
    /// On the same weights, without gradients: for searches, and for what is only looked through in a step.
    pub(crate) frozen: Networks,
    pub(crate) weights: Weights,
    /// Of residual and discrimination.
    standards: Standards,
    shape: SampleShape,
}

/// The networks.
#[derive(Debug)]
pub struct Networks {
    /// G: latent to image.
    pub generator: Generator,
    /// D.
    pub discriminator: Discriminator,
    /// E: image to the latent that its search starts from, where the configuration has one.
    pub encoder: Option<Encoder>,
}

impl Networks {
    fn new(dims: Dims, config: &Config, vb: &VarBuilder<'_>) -> Result<Self> {
        let networks = config.networks;
        let moments = config.prior.moments();
        let encoder = || Encoder::new(dims, networks, config.encoder_features, moments, &vb.pp("encoder"));
        Ok(Self {
            generator: Generator::new(dims, networks, &vb.pp("generator"))?,
            discriminator: Discriminator::new(dims, networks, &vb.pp("discriminator"))?,
            encoder: (config.encoder_epochs > 0).then(encoder).transpose()?,
        })
    }
}

/// Training normals that are searched for to standardise the parts.
const STANDARD: usize = 256;
/// Images searched for at once.
const BATCH: usize = 256;

impl AnoGan {
    pub(crate) fn new(config: Config, shape: SampleShape, rng: Rng, device: &Device) -> Result<Self> {
        let (channels, size) = config.check(shape)?;
        let dims = Dims { channels, size, latent: config.latent };
        let redraw = rng.fork("small");
        let weights = Weights::new(rng, device);
        let networks = Networks::new(dims, &config, &weights.builder())?;
        let frozen = Networks::new(dims, &config, &weights.frozen_builder())?;
        if matches!(config.networks, Architecture::Dense { .. }) {
            draw_small(&weights, &redraw)?;
        }
        let standards = Standards::new(&weights, 2)?;
        let model = Self { config, networks, frozen, weights, standards, shape };
        Optimizers::new(&model.config, &model.weights)?; // refuses what Adam cannot work with, before any data is read
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

    /// `n` latents `(n, Z)` of the prior.
    ///
    /// # Errors
    /// If the device refuses the copy.
    pub fn latents(&self, n: usize, rng: &mut Rng) -> Result<Tensor> {
        self.config.prior.latents(n, self.config.latent, rng, self.weights.device())
    }

    /// `n` generated images `(n, C, S, S)`.
    ///
    /// # Errors
    /// If the device refuses the copy.
    pub fn generate(&self, n: usize, rng: &mut Rng) -> Result<Tensor> {
        Ok(self.frozen.generator.forward(&self.latents(n, rng)?, Mode::Evaluation)?.detach())
    }

    pub(crate) fn encoder(&self) -> Result<&Encoder> {
        let none = || Error::config("config.encoder_epochs", "is 0: this model has no encoder");
        self.networks.encoder.as_ref().ok_or_else(none)
    }

    /// Where search number `restart` for each image starts: at the encoder's latent the first, if there is an encoder, else
    /// at a draw of the prior from the image's own stream.
    fn starts(&self, xs: &Tensor, streams: &[Rng], restart: usize) -> Result<Tensor> {
        if let (0, Some(encoder)) = (restart, &self.frozen.encoder) {
            let zs = encoder.forward(xs, Mode::Evaluation)?.detach();
            return Ok(match self.config.prior.limits(self.config.search_bound) {
                Some((low, high)) => zs.clamp(low as f32, high as f32)?,
                None => zs,
            });
        }
        let width = self.config.latent;
        let draw = |stream: &Rng| self.config.prior.numbers(width, &mut stream.fork_index(restart as u64));
        let numbers: Vec<f32> = streams.iter().flat_map(draw).collect();
        Ok(Tensor::from_vec(numbers, (streams.len(), width), xs.device())?)
    }

    /// Residual and discrimination of each image, and `G(z)`, at the best of its searches.
    fn parts(&self, xs: &Tensor, rng: &Rng) -> Result<Found> {
        let streams = rng.fork("start").fork_samples(xs)?;
        let mut best: Option<Found> = None;
        for restart in 0..self.config.search_restarts {
            let (zs, _) = self.search(xs, &self.starts(xs, &streams, restart)?)?;
            let found = Found::new(&self.losses(xs, &zs)?, self.config.lambda)?;
            best = Some(match best {
                Some(best) => best.or_better(&found)?,
                None => found,
            });
        }
        best.ok_or_else(|| Error::config("config.search_restarts", "must be at least 1, is 0"))
    }

    /// Sets means and variances of the parts from searches for training normals.
    fn standardise(&self, normal: &dyn Source) -> Result<()> {
        let rng = Rng::new(0).fork("standards"); // the same for every seed: it draws nothing that is learned from
        let chosen: Vec<usize> =
            rng.fork("which").permutation(normal.len()).into_iter().take(STANDARD).collect();
        let (mut residual, mut discrimination) = (Vec::new(), Vec::new());
        for indices in chunks(&chosen, BATCH) {
            let found = self.parts(&tensor(normal, indices, self.weights.device())?, &rng)?;
            residual.extend(found.residual);
            discrimination.extend(found.discrimination);
        }
        self.standards.set(&[residual, discrimination])
    }

    fn total(&self, found: &Found) -> Result<Vec<f32>> {
        if self.config.score == Scoring::Weighted {
            return Ok(found.loss.clone());
        }
        let standard = self.standards.standard()?;
        let lambda = self.config.lambda;
        let both = found.residual.iter().zip(&found.discrimination);
        Ok(both.map(|(&r, &d)| ((1.0 - lambda) * standard(0, r) + lambda * standard(1, d)) as f32).collect())
    }
}

/// Where the searches of a batch ended.
struct Found {
    loss: Vec<f32>,
    residual: Vec<f32>,
    discrimination: Vec<f32>,
    x_hat: Tensor,
}

impl Found {
    fn new(parts: &Parts, lambda: f64) -> Result<Self> {
        Ok(Self {
            loss: parts.loss(lambda)?.to_vec1()?,
            residual: parts.residual.to_vec1()?,
            discrimination: parts.discrimination.to_vec1()?,
            x_hat: parts.x_hat.detach(),
        })
    }

    /// Of each image the end with the lower loss.
    fn or_better(mut self, other: &Self) -> Result<Self> {
        let n = self.loss.len();
        let mut rows: Vec<u32> = (0..n as u32).collect();
        for (i, row) in rows.iter_mut().enumerate() {
            if other.loss[i] < self.loss[i] {
                (self.loss[i], self.residual[i]) = (other.loss[i], other.residual[i]);
                self.discrimination[i] = other.discrimination[i];
                *row += n as u32;
            }
        }
        let rows = Tensor::from_vec(rows, n, self.x_hat.device())?;
        self.x_hat = Tensor::cat(&[&self.x_hat, &other.x_hat], 0)?.index_select(&rows, 0)?;
        Ok(self)
    }
}

impl Detector for AnoGan {
    fn fit(&mut self, train: &TrainSet, run: &mut Run<'_>) -> Result<()> {
        let (source, batch) = (train.normal.as_ref(), self.config.batch);
        let mut optimizers = Optimizers::new(&self.config, &self.weights)?;
        let phase = Phase { name: "gan", epochs: self.config.epochs, batch };
        run.train(&phase, source, train, &mut Game { model: self, optimizers: &mut optimizers })?;
        if self.config.encoder_epochs > 0 {
            let phase = Phase { name: "encoder", epochs: self.config.encoder_epochs, batch };
            run.train(&phase, source, train, &mut Inversion { model: self, optimizers: &mut optimizers })?;
        }
        self.check_up(source, run)?;
        if self.config.score == Scoring::Standardised {
            self.standardise(source)?;
        }
        Ok(())
    }

    /// Section 2.2 of the paper: A(x) = (1 − λ) R(x) + λ D(x) where the search for x ended. Parts: `residual` and
    /// `discrimination`; the reconstruction is G(z), the map the mean of |x − G(z)| over channels.
    fn score(&self, xs: &Tensor, rng: &Rng) -> Result<Scores> {
        self.shape.expect_batch(xs)?;
        let found = self.parts(xs, rng)?;
        let total = self.total(&found)?;
        let map = (xs - &found.x_hat)?.abs()?.mean_keepdim(1)?.detach(); // (B, 1, S, S)
        let parts = vec![("residual", found.residual), ("discrimination", found.discrimination)];
        Ok(Scores { total, parts, reconstruction: Some(found.x_hat), map: Some(map) })
    }

    fn describe(&self, _: &mut Graph, _: Value) -> Result<Described> {
        Err(Error::NotOnePass("the latent of each sample is searched for step by step, by gradients".into()))
    }

    fn weights(&self) -> &Weights {
        &self.weights
    }
}
