//! What makes latents of samples: nothing, principal components, or the encoder of a small dense autoencoder that is trained
//! here.

use crate::config::{Components, Encoder};
use crate::pca;
use candle_core::{Device, Tensor};
use candle_nn::VarBuilder;
use flicker_core::graph::{Binary, Graph, Value};
use flicker_core::losses::mse;
use flicker_core::nn::{Activation, Linear};
use flicker_core::optim::{Adam, AdamConfig, Optimizer};
use flicker_core::rows::{Rows, fitted, product};
use flicker_core::run::{Batch, Losses, Phase, Run, Training};
use flicker_core::{Result, Rng, State, TrainSet, Weights};

/// Where the principal components of the latents are kept.
const PREFIX: &str = "encoder.";

/// An encoder (B, F) to (B, L), and its inverse as far as it has one.
pub(crate) enum Latents {
    Own,
    Linear { components: usize },
    Trained(Box<Autoencoder>),
}

impl Latents {
    pub(crate) fn new(config: &Encoder, features: usize, weights: &Weights) -> Result<Self> {
        match config {
            Encoder::Identity {} => Ok(Self::Own),
            Encoder::Pca { components } => {
                pca::declare(weights, PREFIX, features);
                Ok(Self::Linear { components: *components })
            }
            Encoder::Autoencoder { widths, epochs, batch, learning_rate } => {
                let network = Dense::new(features, widths, &weights.builder())?;
                let frozen = Dense::new(features, widths, &weights.frozen_builder())?;
                let model = Autoencoder {
                    network,
                    frozen,
                    epochs: *epochs,
                    batch: *batch,
                    learning_rate: *learning_rate,
                };
                model.optimizer(weights)?; // refuses a learning rate that cannot work, before any data is read
                Ok(Self::Trained(Box::new(model)))
            }
        }
    }

    pub(crate) fn fit(&self, weights: &Weights, train: &TrainSet, run: &mut Run<'_>) -> Result<()> {
        match self {
            Self::Own => Ok(()),
            Self::Linear { components } => {
                pca::fit(weights, PREFIX, Components::Count(*components), train.normal.as_ref(), run)
            }
            Self::Trained(model) => {
                let phase = Phase { name: "autoencoder", epochs: model.epochs, batch: model.batch };
                let optimizer = model.optimizer(weights)?;
                let mut descent = Descent { network: &model.network, weights, optimizer };
                run.train(&phase, train.normal.as_ref(), train, &mut descent)
            }
        }
    }

    /// The latents of `rows`.
    pub(crate) fn encode(&self, weights: &Weights, rows: &Rows) -> Result<Rows> {
        Rows::of_tensor(&match self {
            Self::Own => return Ok(rows.clone()),
            Self::Linear { .. } => {
                let mean: Vec<f32> = fitted(weights, "encoder.mean")?.to_vec1()?;
                product(&rows.centred(&mean).tensor()?, &fitted(weights, "encoder.components")?)?
            }
            Self::Trained(model) => {
                model.frozen.encode(&rows.tensor()?.to_device(weights.device())?)?.to_device(&Device::Cpu)?
            }
        })
    }

    /// [`Latents::encode`] in a graph.
    pub(crate) fn describe(&self, weights: &Weights, graph: &mut Graph, rows: Value) -> Result<Value> {
        match self {
            Self::Own => Ok(rows),
            Self::Linear { .. } => {
                let mean = graph.weight(&weights.fitted("encoder.mean")?);
                let centred = graph.binary(Binary::Sub, rows, mean)?;
                graph.linear(centred, &weights.fitted("encoder.components")?, None)
            }
            Self::Trained(model) => {
                model.network.encoder.iter().try_fold(rows, |xs, layer| layer.describe(graph, xs))
            }
        }
    }

    /// What samples with these latents look like.
    pub(crate) fn decode(&self, weights: &Weights, latents: &Rows) -> Result<Rows> {
        match self {
            Self::Own => Ok(latents.clone()),
            Self::Linear { .. } => {
                let mean: Vec<f32> = fitted(weights, "encoder.mean")?.to_vec1()?;
                let mean: Vec<f32> = mean.into_iter().map(|x| -x).collect();
                let components = fitted(weights, "encoder.components")?;
                let rows = product(&latents.tensor()?, &components.t()?)?;
                Ok(Rows::of_tensor(&rows)?.less(&mean))
            }
            Self::Trained(model) => {
                Rows::of_tensor(&model.frozen.decode(&latents.tensor()?.to_device(weights.device())?)?)
            }
        }
    }
}

/// A dense autoencoder.
pub(crate) struct Autoencoder {
    network: Dense,
    /// On the same weights, without gradients.
    frozen: Dense,
    epochs: usize,
    batch: usize,
    learning_rate: f64,
}

impl Autoencoder {
    fn optimizer(&self, weights: &Weights) -> Result<Adam> {
        Adam::new(weights.vars(""), AdamConfig::new(self.learning_rate))
    }
}

/// Linear maps with ReLU between them; the code and the output are linear.
struct Dense {
    encoder: Vec<Linear>,
    decoder: Vec<Linear>,
}

impl Dense {
    fn new(features: usize, widths: &[usize], vb: &VarBuilder<'_>) -> Result<Self> {
        let down: Vec<usize> = std::iter::once(features).chain(widths.iter().copied()).collect();
        let up: Vec<usize> = down.iter().rev().copied().collect();
        let side = |name: &str, widths: &[usize]| -> Result<Vec<Linear>> {
            let layer = |(i, pair): (usize, &[usize])| {
                let last = i + 2 == widths.len();
                let activation = if last { Activation::None } else { Activation::Relu };
                Linear::new(pair[0], pair[1], activation, &vb.pp(name).pp(format!("layer{i}")))
            };
            widths.windows(2).enumerate().map(layer).collect()
        };
        Ok(Self { encoder: side("encoder", &down)?, decoder: side("decoder", &up)? })
    }

    fn encode(&self, xs: &Tensor) -> Result<Tensor> {
        self.encoder.iter().try_fold(xs.clone(), |xs, layer| layer.forward(&xs))
    }

    fn decode(&self, zs: &Tensor) -> Result<Tensor> {
        self.decoder.iter().try_fold(zs.clone(), |xs, layer| layer.forward(&xs))
    }
}

/// The autoencoder under training, by the mean squared error of its reconstruction.
struct Descent<'a> {
    network: &'a Dense,
    weights: &'a Weights,
    optimizer: Adam,
}

impl Training for Descent<'_> {
    fn state(&self) -> Result<State> {
        let mut state = State::new();
        state.put_all("weights", self.weights.state()?);
        state.put_all("adam", self.optimizer.state()?);
        Ok(state)
    }

    fn restore(&mut self, state: &State) -> Result<()> {
        self.weights.restore("checkpoint", &state.part("weights"))?;
        self.optimizer.restore(&state.part("adam"))
    }

    fn step(&mut self, batch: &Batch, _: &Rng) -> Result<Losses> {
        let xs = batch.xs.flatten_from(1)?; // (B, F)
        let loss = mse(&self.network.decode(&self.network.encode(&xs)?)?, &xs)?;
        self.optimizer.step(&loss.backward()?)?;
        Losses::of([("reconstruction", &loss)])
    }
}
