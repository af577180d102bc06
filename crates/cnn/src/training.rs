//! The training set with labels, and the step.

use crate::model::logits;
use crate::network::ABNORMAL;
use crate::{Balance, Classifier};
use candle_core::{Device, Tensor};
use flicker_core::data::{Concat, Source, Subset};
use flicker_core::losses::cross_entropy;
use flicker_core::optim::{Adam, Optimizer};
use flicker_core::run::{Batch, Losses, Training, Watched, restore, snapshot};
use flicker_core::{Detector, Error, Result, Rng, State, TrainSet};
use std::sync::Arc;

/// The mean cross entropy of images `xs` with labels `(B)`, u32: 0 normal, 1 abnormal. `weights` `(2)` weigh the classes, and the
/// mean is by weight, as in PyTorch.
///
/// # Errors
/// If a shape is another.
pub fn loss(model: &Classifier, xs: &Tensor, labels: &Tensor, weights: Option<&Tensor>) -> Result<Tensor> {
    cross_entropy(&model.network().forward(xs)?, labels, weights)
}

/// One step: the loss and one update. Answers with the loss before the update.
///
/// # Errors
/// If a shape is another.
pub fn step(
    model: &Classifier,
    optimizer: &mut Adam,
    xs: &Tensor,
    labels: &Tensor,
    weights: Option<&Tensor>,
) -> Result<Tensor> {
    let loss = loss(model, xs, labels, weights)?;
    optimizer.step(&loss.backward()?)?;
    Ok(loss)
}

/// Normal samples, then abnormal ones, each as often as an epoch shows it.
pub(crate) struct Labelled {
    pub(crate) source: Concat,
    /// How many come first.
    n_normal: usize,
    /// `(2)`.
    weights: Option<Tensor>,
}

impl Labelled {
    /// The samples of `train`, balanced.
    pub(crate) fn new(train: &TrainSet, balance: Balance, device: &Device) -> Result<Self> {
        let Some(abnormal) = train.abnormal.as_ref().filter(|abnormal| !abnormal.is_empty()) else {
            let problem = "cnn is supervised: it needs labelled abnormal samples to train with, found none";
            return Err(Error::data("training set", problem));
        };
        let (n_normal, n_abnormal) = (train.normal.len(), abnormal.len());
        let n = match balance {
            Balance::Oversampling => n_normal.max(n_abnormal),
            Balance::None | Balance::ClassWeights => 0,
        };
        let sources = [&train.normal, abnormal].map(|source| repeated(source, n.max(source.len())));
        let [normal, abnormal] = sources;
        let normal = normal?;
        let weights = match balance {
            Balance::ClassWeights => {
                let weight =
                    |of_class: usize| ((n_normal + n_abnormal) as f32) / (2 * of_class.max(1)) as f32;
                Some(Tensor::new(&[weight(n_normal), weight(n_abnormal)], device)?)
            }
            Balance::None | Balance::Oversampling => None,
        };
        let n_normal = normal.len();
        Ok(Self { source: Concat::new(vec![normal, abnormal?])?, n_normal, weights })
    }

    /// The labels of the samples at `indices`: `(B)`.
    fn labels(&self, indices: &[usize], device: &Device) -> Result<Tensor> {
        let label = |&index: &usize| if index < self.n_normal { 0 } else { ABNORMAL as u32 };
        Ok(Tensor::from_vec(indices.iter().map(label).collect::<Vec<u32>>(), indices.len(), device)?)
    }
}

/// `n` samples: all of `source` in turn, from the first again after the last.
fn repeated(source: &Arc<dyn Source>, n: usize) -> Result<Arc<dyn Source>> {
    if n == source.len() {
        return Ok(source.clone());
    }
    let turns = (0..n).map(|i| i % source.len().max(1)).collect();
    Ok(Arc::new(Subset::new(source.clone(), turns)?))
}

/// A model under training.
pub(crate) struct Descent<'a> {
    pub(crate) model: &'a Classifier,
    pub(crate) optimizer: Adam,
    pub(crate) set: &'a Labelled,
}

impl Training for Descent<'_> {
    fn state(&self) -> Result<State> {
        snapshot(self.model.weights(), [("adam", &self.optimizer)])
    }

    fn restore(&mut self, state: &State) -> Result<()> {
        restore(self.model.weights(), [("adam", &mut self.optimizer)], state)
    }

    fn step(&mut self, batch: &Batch, _: &Rng) -> Result<Losses> {
        let labels = self.set.labels(&batch.indices, batch.xs.device())?;
        let weights = self.set.weights.as_ref();
        let loss = step(self.model, &mut self.optimizer, &batch.xs, &labels, weights)?;
        Losses::of([("cross_entropy", &loss)])
    }

    /// The cross entropy of each sample with the normal class: for watched normals a loss, for others how far they are from it.
    fn watch(&mut self, xs: &Tensor, _: &Rng) -> Result<Option<Watched>> {
        let losses = logits(&self.model.network().forward(xs)?)?;
        let softplus = |x: f32| x.max(0.0) + (-x.abs()).exp().ln_1p();
        let losses = losses.to_vec1::<f32>()?.into_iter().map(softplus).collect();
        Ok(Some(Watched { losses, reconstruction: None }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use flicker_core::data::Samples;

    fn set(balance: Balance) -> Result<Labelled> {
        let samples =
            |n: usize| -> Result<Arc<dyn Source>> { Ok(Arc::new(Samples::new(1, vec![n as f32; n])?)) };
        let train = TrainSet { abnormal: Some(samples(2)?), ..TrainSet::of_normal(samples(6)?) };
        Labelled::new(&train, balance, &Device::Cpu)
    }

    #[test]
    fn an_epoch_is_balanced_or_weighed() -> Result<()> {
        let plain = set(Balance::None)?;
        assert_eq!((plain.source.len(), plain.weights.is_none()), (8, true));
        let even = set(Balance::Oversampling)?;
        let all: Vec<usize> = (0..even.source.len()).collect();
        let labels = even.labels(&all, &Device::Cpu)?.to_vec1::<u32>()?;
        assert_eq!(labels, [[0; 6], [1; 6]].concat());
        let weighed = set(Balance::ClassWeights)?;
        let weights = weighed.weights.map(|weights| weights.to_vec1::<f32>()).transpose()?;
        assert_eq!((weighed.source.len(), weights), (8, Some(vec![8.0 / 12.0, 2.0])));
        Ok(())
    }
}
