//! The model: one network, one optimizer, and what its scores need.

use crate::described::describe;
use crate::score::{Score, Statistics, score};
use crate::training::Descent;
use crate::{Config, Network};
use candle_core::{Device, Tensor};
use flicker_core::data::Source;
use flicker_core::graph::{Described, Graph, Value};
use flicker_core::neighbours::OutlierFactor;
use flicker_core::nn::Mode;
use flicker_core::optim::{Adam, AdamConfig};
use flicker_core::rows::Rows;
use flicker_core::run::{Phase, Run};
use flicker_core::{Detector, Result, Rng, SampleShape, Scores, TrainSet, Weights};

/// An autoencoder for samples of one shape.
#[derive(Debug)]
pub struct Autoencoder {
    config: Config,
    /// Trained, with gradients.
    network: Network,
    /// On the same weights, without gradients.
    frozen: Network,
    statistics: Statistics,
    /// Where the score is one.
    factor: Option<OutlierFactor>,
    weights: Weights,
    shape: SampleShape,
}

impl Autoencoder {
    pub(crate) fn new(config: Config, shape: SampleShape, rng: Rng, device: &Device) -> Result<Self> {
        config.check(shape)?;
        let weights = Weights::new(rng, device);
        let network = Network::new(&config, shape, &weights.builder())?;
        let frozen = Network::new(&config, shape, &weights.frozen_builder())?;
        let statistics = Statistics::new(&config, shape, &weights.builder())?;
        let factor = match config.score {
            Score::OutlierFactor { neighbours } => {
                Some(OutlierFactor::new(neighbours, config.network.code(), &weights))
            }
            _ => None,
        };
        let model = Self { config, network, frozen, statistics, factor, weights, shape };
        model.optimizer()?; // refuses what Adam cannot work with, before any data is read
        Ok(model)
    }

    /// A fresh optimizer for the model's variables.
    ///
    /// # Errors
    /// If the learning rate cannot work.
    pub fn optimizer(&self) -> Result<Adam> {
        let config = AdamConfig {
            weight_decay: self.config.weight_decay,
            ..AdamConfig::new(self.config.learning_rate)
        };
        Adam::new(self.weights.vars(""), config)
    }

    /// Fits what the score needs to know of normal samples (see [`Score`](crate::Score)) on `normal`, by the weights as they are.
    /// [`Detector::fit`] ends with it; alone it takes a trained model to new normals.
    ///
    /// # Errors
    /// If a sample cannot be read or has another shape.
    pub fn fit_statistics(&self, normal: &dyn Source) -> Result<()> {
        self.statistics.fit(&self.frozen, normal)
    }

    /// Its numbers.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// The network, with gradients.
    pub fn network(&self) -> &Network {
        &self.network
    }

    /// The network on the same weights, without gradients.
    pub(crate) fn frozen(&self) -> &Network {
        &self.frozen
    }
}

impl Detector for Autoencoder {
    fn fit(&mut self, train: &TrainSet, run: &mut Run<'_>) -> Result<()> {
        let phase = Phase { name: "autoencoder", epochs: self.config.epochs, batch: self.config.batch };
        let steps = phase.epochs * (train.normal.len() / phase.batch);
        run.train(&phase, train.normal.as_ref(), train, &mut Descent::new(self, steps)?)?;
        self.fit_statistics(train.normal.as_ref())?;
        match &self.factor {
            Some(factor) => {
                let encode = |xs: &Tensor| Ok(self.frozen.encode(xs, Mode::Evaluation)?.mean);
                let codes = Rows::encoded(train.normal.as_ref(), self.weights.device(), encode)?;
                factor.fit(&self.weights, codes, run)
            }
            None => Ok(()),
        }
    }

    /// As [`Score`](crate::Score) says; the map is the score of each value, averaged over channels.
    fn score(&self, xs: &Tensor, _: &Rng) -> Result<Scores> {
        self.shape.expect_batch(xs)?;
        let factor = self.factor.as_ref().map(|factor| (factor, &self.weights));
        score(&self.config, &self.frozen, &self.statistics, factor, xs)
    }

    fn describe(&self, graph: &mut Graph, xs: Value) -> Result<Described> {
        describe(&self.config, &self.network, &self.statistics, graph, xs)
    }

    fn weights(&self) -> &Weights {
        &self.weights
    }
}
