//! The model: one network, one optimizer, and the probability of the abnormal class as the score.

use crate::network::ABNORMAL;
use crate::training::{Descent, Labelled};
use crate::{Config, Network};
use candle_core::{Device, Tensor};
use flicker_core::graph::{Binary, Described, Graph, Unary, Value};
use flicker_core::nn::{Activation, activate};
use flicker_core::optim::{Adam, AdamConfig};
use flicker_core::run::{Phase, Run};
use flicker_core::{Detector, Result, Rng, SampleShape, Scores, TrainSet, Weights};

/// A classifier of images of one shape.
#[derive(Debug)]
pub struct Classifier {
    config: Config,
    /// Trained, with gradients.
    network: Network,
    /// On the same weights, without gradients.
    frozen: Network,
    weights: Weights,
    shape: SampleShape,
}

impl Classifier {
    pub(crate) fn new(config: Config, shape: SampleShape, rng: Rng, device: &Device) -> Result<Self> {
        let sizes = config.check(shape)?;
        let weights = Weights::new(rng, device);
        let network = Network::new(&config, &sizes, &weights.builder())?;
        let frozen = Network::new(&config, &sizes, &weights.frozen_builder())?;
        let model = Self { config, network, frozen, weights, shape };
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

    /// The network, with gradients.
    pub fn network(&self) -> &Network {
        &self.network
    }
}

/// The logits of the abnormal class: the second output minus the first, `(B, 2)` to `(B)`.
pub(crate) fn logits(outputs: &Tensor) -> Result<Tensor> {
    let output = |i: usize| outputs.narrow(1, i, 1)?.squeeze(1);
    Ok((output(ABNORMAL)? - output(1 - ABNORMAL)?)?)
}

impl Detector for Classifier {
    fn fit(&mut self, train: &TrainSet, run: &mut Run<'_>) -> Result<()> {
        let phase = Phase { name: "classifier", epochs: self.config.epochs, batch: self.config.batch };
        let set = Labelled::new(train, self.config.balance, self.weights.device())?;
        let optimizer = self.optimizer()?;
        run.train(&phase, &set.source, train, &mut Descent { model: self, optimizer, set: &set })
    }

    /// The probability of the abnormal class, and its logit as a part.
    fn score(&self, xs: &Tensor, _: &Rng) -> Result<Scores> {
        self.shape.expect_batch(xs)?;
        let logits = logits(&self.frozen.forward(xs)?)?;
        // The softmax of two outputs is the sigmoid of their difference.
        let total = activate(&logits, Activation::Sigmoid)?.to_vec1()?;
        Ok(Scores { parts: vec![("logit", logits.to_vec1()?)], ..Scores::new(total) })
    }

    fn describe(&self, graph: &mut Graph, xs: Value) -> Result<Described> {
        let outputs = self.network.describe(graph, xs)?;
        let abnormal = graph.narrow(outputs, 0, ABNORMAL, 1)?;
        let normal = graph.narrow(outputs, 0, 1 - ABNORMAL, 1)?;
        let logit = graph.binary(Binary::Sub, abnormal, normal)?;
        let logit = graph.reshape(logit, &[])?;
        Ok(Described { total: graph.unary(Unary::Sigmoid, logit), map: None })
    }

    fn weights(&self) -> &Weights {
        &self.weights
    }
}
