//! The detector: range, autoencoder, centre, objective, and the distance from the centre as the score.

use crate::input::{contrasted, describe_contrasted, describe_rescaled, fit_range, rescaled};
use crate::network::{Decoder, Encoder};
use crate::training::{Objected, Pretraining};
use crate::{Config, Objective};
use candle_core::{DType, Device, Tensor};
use flicker_core::data::{Source, chunks, tensor};
use flicker_core::graph::{Described, Graph, Value};
use flicker_core::nn::Mode;
use flicker_core::optim::{Adam, AdamConfig};
use flicker_core::run::{Losses, Phase, Run};
use flicker_core::{Detector, Result, Rng, SampleShape, Scores, TrainSet, Weights};

/// Samples that the centre is averaged over together.
const BLOCK: usize = 1024;
/// How close to zero a coordinate of the centre may lie: a unit without weights could match zero for every sample.
const NEAREST_TO_ZERO: f64 = 0.1;

/// Deep SVDD for samples of one shape.
#[derive(Debug)]
pub struct DeepSvdd {
    config: Config,
    /// Trained, with gradients.
    pub(crate) encoder: Encoder,
    pub(crate) decoder: Decoder,
    /// On the same weights as the encoder, without gradients.
    frozen: Encoder,
    weights: Weights,
    shape: SampleShape,
}

impl DeepSvdd {
    pub(crate) fn new(config: Config, shape: SampleShape, rng: Rng, device: &Device) -> Result<Self> {
        config.check(shape)?;
        let weights = Weights::new(rng, device);
        let encoder = Encoder::new(&config, shape, &weights.builder().pp("encoder"))?;
        let frozen = Encoder::new(&config, shape, &weights.frozen_builder().pp("encoder"))?;
        let decoder = Decoder::new(&config, shape, &weights.builder().pp("decoder"))?;
        for (name, size) in [("centre", None), ("radius", Some(1)), ("range", Some(2))] {
            weights.declare(name, &[size], DType::F32);
        }
        let model = Self { config, encoder, decoder, frozen, weights, shape };
        model.pretraining_optimizer()?; // refuses what Adam cannot work with, before any data is read
        model.optimizer()?;
        Ok(model)
    }

    /// Its numbers.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// A fresh optimizer of the objective.
    ///
    /// # Errors
    /// If a number cannot work.
    pub fn optimizer(&self) -> Result<Adam> {
        self.adam("encoder.", self.config.weight_decay)
    }

    /// A fresh optimizer of the autoencoder.
    ///
    /// # Errors
    /// If a number cannot work.
    pub fn pretraining_optimizer(&self) -> Result<Adam> {
        self.adam("", self.config.pretrain_weight_decay)
    }

    fn adam(&self, prefix: &str, weight_decay: f64) -> Result<Adam> {
        let config = AdamConfig { weight_decay, ..AdamConfig::new(self.config.learning_rate) };
        Adam::new(self.weights.vars(prefix), config)
    }

    /// What the network sees of `xs`.
    pub(crate) fn input(&self, xs: &Tensor) -> Result<Tensor> {
        let xs = contrasted(xs, self.config.contrast)?;
        if !self.config.rescale {
            return Ok(xs);
        }
        let range: Vec<f32> = self.weights.fitted("range")?.to_vec1()?;
        rescaled(&xs, range[0], range[1])
    }

    /// φ(x) of `xs` in evaluation mode, (B, L).
    ///
    /// # Errors
    /// If the model is not fitted, or the shape is another.
    pub fn latents(&self, xs: &Tensor) -> Result<Tensor> {
        self.frozen.forward(&self.input(xs)?, Mode::Evaluation)
    }

    /// R, 0 before it is known.
    pub(crate) fn radius(&self) -> Result<f64> {
        Ok(f64::from(self.weights.fitted("radius")?.to_vec1::<f32>()?[0]))
    }

    /// `‖z - c‖²` of latents, (B).
    pub(crate) fn distances(&self, zs: &Tensor) -> Result<Tensor> {
        Ok(zs.broadcast_sub(&self.weights.fitted("centre")?)?.sqr()?.sum(1)?)
    }

    /// Finds the centre: the mean latent of the training normals, with no coordinate closer to zero than 0.1.
    fn fit_centre(&self, source: &dyn Source, run: &mut Run<'_>) -> Result<()> {
        let all: Vec<usize> = (0..source.len()).collect();
        let blocks: Vec<&[usize]> = chunks(&all, BLOCK).collect();
        let mut sums: Vec<f64> = Vec::new();
        run.pass("centre", blocks.len(), &mut |block, _| {
            let zs =
                self.latents(&tensor(source, blocks[block], self.weights.device())?)?.to_vec2::<f32>()?;
            sums.resize(zs.first().map_or(0, Vec::len), 0.0);
            for z in &zs {
                sums.iter_mut().zip(z).for_each(|(sum, z)| *sum += f64::from(*z));
            }
            Ok(Some(Losses::default()))
        })?;
        let away = |sum: f64| {
            let mean = sum / all.len() as f64;
            (if mean.abs() < NEAREST_TO_ZERO { NEAREST_TO_ZERO.copysign(mean) } else { mean }) as f32
        };
        let centre: Vec<f32> = sums.into_iter().map(away).collect();
        self.weights.set_fitted("centre", &Tensor::new(centre, &Device::Cpu)?)
    }

    fn steps(&self, source: &dyn Source) -> usize {
        (source.len() / self.config.batch).max(1)
    }
}

impl Detector for DeepSvdd {
    fn fit(&mut self, train: &TrainSet, run: &mut Run<'_>) -> Result<()> {
        let (source, model) = (train.normal.as_ref(), &*self);
        model.weights.set_fitted("centre", &Tensor::zeros(1, DType::F32, &Device::Cpu)?)?;
        model.weights.set_fitted("radius", &Tensor::zeros(1, DType::F32, &Device::Cpu)?)?;
        fit_range(&model.weights, source, model.config.contrast, run)?;
        if model.config.pretrain_epochs > 0 {
            let phase = Phase {
                name: "autoencoder",
                epochs: model.config.pretrain_epochs,
                batch: model.config.batch,
            };
            run.train(&phase, source, train, &mut Pretraining::new(model, model.steps(source))?)?;
        }
        // When the training goes on from a checkpoint of the phase after this, that has the centre, and it replaces this one.
        model.fit_centre(source, run)?;
        let phase = Phase { name: "svdd", epochs: model.config.epochs, batch: model.config.batch };
        run.train(&phase, source, train, &mut Objected::new(model, model.steps(source))?)
    }

    /// `‖φ(x) - c‖²`, less R² with a soft boundary.
    fn score(&self, xs: &Tensor, _: &Rng) -> Result<Scores> {
        self.shape.expect_batch(xs)?;
        let distances = self.distances(&self.latents(xs)?)?.to_vec1::<f32>()?;
        let inside = match self.config.objective {
            Objective::OneClass => 0.0,
            Objective::SoftBoundary => self.radius()?.powi(2) as f32,
        };
        Ok(Scores::new(distances.into_iter().map(|distance| distance - inside).collect()))
    }

    fn describe(&self, graph: &mut Graph, xs: Value) -> Result<Described> {
        let mut xs = describe_contrasted(graph, xs, self.config.contrast)?;
        if self.config.rescale {
            let range: Vec<f32> = self.weights.fitted("range")?.to_vec1()?;
            xs = describe_rescaled(graph, xs, range[0], range[1])?;
        }
        let zs = self.encoder.describe(graph, xs)?;
        let centre = graph.weight(&self.weights.fitted("centre")?);
        let squares = graph.squared_difference(zs, centre)?;
        let distance = graph.sum(squares);
        let total = match self.config.objective {
            Objective::OneClass => distance,
            Objective::SoftBoundary => graph.affine_by(distance, 1.0, -self.radius()?.powi(2))?,
        };
        Ok(Described { total, map: None })
    }

    fn weights(&self) -> &Weights {
        &self.weights
    }
}
