//! The two traits of an anomaly detector, and what passes through them.

use crate::data::Source;
use crate::graph::{Described, Graph, Value};
use crate::run::Run;
use crate::{Error, Result, Rng, SampleShape, Weights};
use candle_core::{Device, Tensor};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::sync::Arc;

/// A model's numbers as plain data, and how to make the model from them.
///
/// Fields have no defaults: whoever writes a configuration knows more than the model does. Unknown fields are refused.
pub trait Config: Serialize + DeserializeOwned + Clone + std::fmt::Debug + 'static {
    /// The model that these numbers describe.
    type Model: Detector + 'static;

    /// What the family is called, needs and cites.
    const FAMILY: Family;

    /// The untrained model for samples of `shape`, with initial weights drawn from `rng`, on `device`.
    ///
    /// # Errors
    /// [`crate::Error::Config`] if a number, or the shape, cannot work; the field is named.
    fn build(&self, shape: SampleShape, rng: Rng, device: &Device) -> Result<Self::Model>;
}

/// A model that learns what is normal and says how abnormal a sample is.
pub trait Detector {
    /// Trains on `train`. What happens on the way (order of samples, progress, checkpoints, interruption) is `run`'s.
    ///
    /// # Errors
    /// If a loss diverges, the training is stopped from outside, or data cannot be read.
    fn fit(&mut self, train: &TrainSet, run: &mut Run<'_>) -> Result<()>;

    /// The scores of the batch `xs`: `(B, C, H, W)` or `(B, F)`, f32. Each depends on its own sample alone, never on the
    /// rest of the batch; higher is more abnormal. A model that draws random numbers forks `rng` by the sample
    /// ([`Rng::fork_samples`]), so the same sample gets the same score in any batch.
    ///
    /// # Errors
    /// If the shape is not the model's.
    fn score(&self, xs: &Tensor, rng: &Rng) -> Result<Scores>;

    /// Adds to `graph` what [`score`](Self::score) does with the batch `xs`, in evaluation mode, for exporters.
    ///
    /// # Errors
    /// [`crate::Error::NotOnePass`] with the reason if a score is no single pass, as it stands here for families that do not
    /// say otherwise.
    fn describe(&self, graph: &mut Graph, xs: Value) -> Result<Described> {
        let _ = (graph, xs);
        Err(Error::NotOnePass("the score of this family is not told as a graph".into()))
    }

    /// The model's variables; saving and loading are functions over them.
    fn weights(&self) -> &Weights;
}

/// What a family is called, needs and cites.
#[derive(Clone, Copy, Debug)]
pub struct Family {
    /// The crate's name, as in an experiment's `model = "…"`.
    pub name: &'static str,
    /// What it learns from.
    pub supervision: Supervision,
    /// The kinds of samples it takes, for people.
    pub input: &'static str,
    /// The published source.
    pub source: &'static str,
}

/// What a family learns from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Supervision {
    /// Normal samples only.
    NormalOnly,
    /// Normal and abnormal samples, with labels.
    Supervised,
    /// A mixture without labels.
    Unlabelled,
}

/// What a detector may learn from. No test sample is ever in it.
#[derive(Clone)]
pub struct TrainSet {
    /// Normal samples.
    pub normal: Arc<dyn Source>,
    /// Labelled abnormal samples, for supervised families; the others do not look.
    pub abnormal: Option<Arc<dyn Source>>,
    /// Named sets whose loss is shown per epoch. They are watched, never trained on, and decide nothing.
    pub watch: Vec<(String, Arc<dyn Source>)>,
}

impl TrainSet {
    /// Normal samples alone.
    pub fn of_normal(normal: Arc<dyn Source>) -> Self {
        Self { normal, abnormal: None, watch: Vec::new() }
    }
}

/// The scores of a batch of `B` samples.
#[derive(Clone, Debug)]
pub struct Scores {
    /// One value a sample; higher is more abnormal.
    pub total: Vec<f32>,
    /// The named parts that the total is made of (residual, discrimination, latent …), each with one value a sample.
    pub parts: Vec<(&'static str, Vec<f32>)>,
    /// What the model makes of each sample, in the shape of the batch, where the family has it.
    pub reconstruction: Option<Tensor>,
    /// How abnormal each pixel `(B, 1, H, W)` or feature `(B, F)` is, where the family has it.
    pub map: Option<Tensor>,
}

impl Scores {
    /// Scores without parts, reconstruction or map.
    pub fn new(total: Vec<f32>) -> Self {
        Self { total, parts: Vec::new(), reconstruction: None, map: None }
    }
}
