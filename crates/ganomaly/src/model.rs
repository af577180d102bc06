//! The model: its networks, its training in one phase, and its score.

use crate::networks::{Decoder, Dims, Discriminator, Encoder};
use crate::training::{Game, Optimizers};
use crate::{Config, Score};
use candle_core::{Device, Tensor};
use candle_nn::VarBuilder;
use flicker_core::graph::{Described, Graph, Value};
use flicker_core::neighbours::OutlierFactor;
use flicker_core::nn::Mode;
use flicker_core::rows::Rows;
use flicker_core::run::{Phase, Run};
use flicker_core::{Detector, Error, Result, Rng, SampleShape, Scores, TrainSet, Weights};

/// A GANomaly for images of one shape.
#[derive(Debug)]
pub struct Ganomaly {
    pub(crate) config: Config,
    /// Trained, with gradients.
    pub(crate) networks: Networks,
    /// On the same weights, without gradients: for scoring, and for what is only looked through in a step.
    pub(crate) frozen: Networks,
    pub(crate) weights: Weights,
    /// Where the score is one.
    factor: Option<OutlierFactor>,
    shape: SampleShape,
}

/// The networks.
#[derive(Debug)]
pub struct Networks {
    /// G_E: image to latent.
    pub encoder: Encoder,
    /// G_D: latent to reconstruction.
    pub decoder: Decoder,
    /// E: reconstruction to latent, with weights of its own.
    pub second_encoder: Encoder,
    /// D.
    pub discriminator: Discriminator,
}

impl Networks {
    fn new(dims: Dims, vb: &VarBuilder<'_>) -> Result<Self> {
        Ok(Self {
            encoder: Encoder::new(dims, &vb.pp("generator.encoder"))?,
            decoder: Decoder::new(dims, &vb.pp("generator.decoder"))?,
            second_encoder: Encoder::new(dims, &vb.pp("generator.second_encoder"))?,
            discriminator: Discriminator::new(dims, &vb.pp("discriminator"))?,
        })
    }

    /// `(x̂, z, ẑ)`: reconstruction `(B, C, S, S)`, its latent of origin and the latent read back, both `(B, Z, 1, 1)`.
    ///
    /// # Errors
    /// If the shape is not the model's.
    pub fn reconstruct(&self, xs: &Tensor, mode: Mode) -> Result<(Tensor, Tensor, Tensor)> {
        let z = self.encoder.forward(xs, mode)?;
        let x_hat = self.decoder.forward(&z, mode)?;
        let z_hat = self.second_encoder.forward(&x_hat, mode)?;
        Ok((x_hat, z, z_hat))
    }
}

impl Ganomaly {
    pub(crate) fn new(config: Config, shape: SampleShape, rng: Rng, device: &Device) -> Result<Self> {
        let (channels, size) = config.check(shape)?;
        let dims = Dims {
            channels,
            size,
            latent: config.latent,
            features: config.features,
            extra_layers: config.extra_layers,
        };
        let weights = Weights::new(rng, device);
        let networks = Networks::new(dims, &weights.builder())?;
        let frozen = Networks::new(dims, &weights.frozen_builder())?;
        let factor = match config.score {
            Score::Latent {} => None,
            Score::OutlierFactor { neighbours } => {
                Some(OutlierFactor::new(neighbours, config.latent, &weights))
            }
        };
        let model = Self { config, networks, frozen, weights, factor, shape };
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
}

/// The mean of `(z - ẑ)²` of each sample of `(B, Z, 1, 1)`.
pub(crate) fn latent_distance(z: &Tensor, z_hat: &Tensor) -> Result<Vec<f32>> {
    Ok((z - z_hat)?.sqr()?.flatten_from(1)?.mean(1)?.to_vec1()?)
}

impl Detector for Ganomaly {
    fn fit(&mut self, train: &TrainSet, run: &mut Run<'_>) -> Result<()> {
        let phase = Phase { name: "gan", epochs: self.config.epochs, batch: self.config.batch };
        let optimizers = Optimizers::new(&self.config, &self.weights)?;
        run.train(&phase, train.normal.as_ref(), train, &mut Game { model: self, optimizers })?;
        match &self.factor {
            Some(factor) => {
                let encode = |xs: &Tensor| self.frozen.encoder.forward(xs, Mode::Evaluation);
                let zs = Rows::encoded(train.normal.as_ref(), self.weights.device(), encode)?;
                factor.fit(&self.weights, zs, run)
            }
            None => Ok(()),
        }
    }

    /// The configured score. [`Score::Latent`] is equation 6 as the authors' code has it: the mean of `(z - ẑ)²` (the paper
    /// prints an L1 norm). Parts: `latent`, which is that one; `residual`, the mean of `|x - x̂|`; and `outlier_factor`, where
    /// that is the score. The norms are in evaluation mode; the authors' code leaves them in training mode, where a score
    /// depends on its batch.
    fn score(&self, xs: &Tensor, _: &Rng) -> Result<Scores> {
        self.shape.expect_batch(xs)?;
        let (x_hat, z, z_hat) = self.frozen.reconstruct(xs, Mode::Evaluation)?;
        let factor = self.factor.as_ref();
        let factor = factor.map(|factor| factor.score(&self.weights, &Rows::of_tensor(&z)?)).transpose()?;
        let latent = latent_distance(&z, &z_hat)?;
        let residual = (xs - &x_hat)?.abs()?; // (B, C, S, S)
        let mut parts = vec![("latent", latent), ("residual", residual.flatten_from(1)?.mean(1)?.to_vec1()?)];
        let total = factor.clone().unwrap_or_else(|| parts[0].1.clone());
        parts.extend(factor.map(|factor| ("outlier_factor", factor)));
        let map = residual.mean_keepdim(1)?.detach(); // (B, 1, S, S)
        Ok(Scores { total, parts, reconstruction: Some(x_hat.detach()), map: Some(map) })
    }

    fn describe(&self, graph: &mut Graph, xs: Value) -> Result<Described> {
        if self.factor.is_some() {
            return Err(Error::NotOnePass("a local outlier factor walks trees of kept latents".into()));
        }
        let Networks { encoder, decoder, second_encoder, .. } = &self.networks;
        let z = encoder.describe(graph, xs)?;
        let x_hat = decoder.describe(graph, z)?;
        let z_hat = second_encoder.describe(graph, x_hat)?;
        let squares = graph.squared_difference(z, z_hat)?;
        let residual = graph.absolute_difference(xs, x_hat)?;
        Ok(Described { total: graph.mean(squares), map: Some(graph.mean_of_channels(residual)) })
    }

    fn weights(&self) -> &Weights {
        &self.weights
    }
}
