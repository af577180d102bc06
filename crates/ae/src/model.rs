//! The model: one network, one loss, one optimizer, and the reconstruction error as the score.

use crate::{Config, Dense};
use candle_core::{Device, Tensor};
use flicker_core::losses::mse;
use flicker_core::nn::Mode;
use flicker_core::optim::{Adam, AdamConfig, Optimizer};
use flicker_core::run::{Batch, Losses, Phase, Run, Training, Watched};
use flicker_core::{Detector, Error, Result, Rng, SampleShape, Scores, State, TrainSet, Weights};

/// An autoencoder for samples of one shape.
#[derive(Debug)]
pub struct Autoencoder {
    config: Config,
    /// Trained, with gradients.
    network: Dense,
    /// On the same weights, without gradients.
    frozen: Dense,
    weights: Weights,
    shape: SampleShape,
}

impl Autoencoder {
    pub(crate) fn new(config: Config, shape: SampleShape, rng: Rng, device: &Device) -> Result<Self> {
        config.check()?;
        let weights = Weights::new(rng, device);
        let network = Dense::new(&config, shape.elements(), &weights.builder())?;
        let frozen = Dense::new(&config, shape.elements(), &weights.frozen_builder())?;
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
            learning_rate: self.config.learning_rate,
            beta1: 0.9,
            beta2: 0.999,
            eps: 1e-8,
            weight_decay: self.config.weight_decay,
        };
        Adam::new(self.weights.vars(""), config)
    }
}

/// The mean squared error of the reconstruction of `xs`, on the graph, with batch statistics in the norms.
///
/// # Errors
/// If the shape is not the model's.
pub fn loss(model: &Autoencoder, xs: &Tensor) -> Result<Tensor> {
    let xs = xs.flatten_from(1)?; // (B, F)
    mse(&model.network.forward(&xs, Mode::Training)?, &xs)
}

/// One step: the loss on `xs` and one update. Answers with the loss before the update.
///
/// # Errors
/// If the shape is not the model's.
pub fn step(model: &Autoencoder, optimizer: &mut Adam, xs: &Tensor) -> Result<Tensor> {
    let loss = loss(model, xs)?;
    optimizer.step(&loss.backward()?)?;
    Ok(loss)
}

impl Detector for Autoencoder {
    fn fit(&mut self, train: &TrainSet, run: &mut Run<'_>) -> Result<()> {
        let phase = Phase { name: "autoencoder", epochs: self.config.epochs, batch: self.config.batch };
        let optimizer = self.optimizer()?;
        run.train(&phase, train.normal.as_ref(), train, &mut Descent { model: self, optimizer })
    }

    /// The mean over the sample of `(x - x̂)²`; the map is the same before the mean (over channels only).
    fn score(&self, xs: &Tensor, _: &Rng) -> Result<Scores> {
        let expected = self.shape.batch_dims(xs.dims().first().copied().unwrap_or(0));
        if xs.dims() != expected {
            let (expected, found) = (format!("{expected:?}"), format!("{:?}", xs.dims()));
            return Err(Error::Shape { what: "samples to score".into(), expected, found });
        }
        let x_hat = self.frozen.forward(&xs.flatten_from(1)?, Mode::Evaluation)?.reshape(xs.shape())?;
        let residual = (xs - &x_hat)?.sqr()?;
        let total = residual.flatten_from(1)?.mean(1)?.to_vec1::<f32>()?;
        let map = if residual.rank() == 4 { residual.mean_keepdim(1)? } else { residual };
        Ok(Scores { total, parts: Vec::new(), reconstruction: Some(x_hat), map: Some(map) })
    }

    fn weights(&self) -> &Weights {
        &self.weights
    }
}

/// A model under training.
struct Descent<'a> {
    model: &'a Autoencoder,
    optimizer: Adam,
}

impl Training for Descent<'_> {
    fn state(&self) -> Result<State> {
        let mut state = State::new();
        state.put_all("weights", self.model.weights.state()?);
        state.put_all("adam", self.optimizer.state()?);
        Ok(state)
    }

    fn restore(&mut self, state: &State) -> Result<()> {
        self.model.weights.restore("checkpoint", &state.part("weights"))?;
        self.optimizer.restore(&state.part("adam"))
    }

    fn step(&mut self, batch: &Batch, _: &Rng) -> Result<Losses> {
        Losses::of([("reconstruction", &step(self.model, &mut self.optimizer, &batch.xs)?)])
    }

    fn watch(&mut self, xs: &Tensor, rng: &Rng) -> Result<Option<Watched>> {
        let scores = self.model.score(xs, rng)?;
        Ok(Some(Watched { losses: scores.total, reconstruction: scores.reconstruction }))
    }
}
