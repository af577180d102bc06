//! The detector: checks what comes in, and hands it to the method.

use crate::config::Config;
use crate::isolation_forest::Forest;
use crate::knn::Neighbours;
use crate::latent_kmeans::Clusters;
use crate::lof::Density;
use crate::mahalanobis::Ellipsoid;
use crate::one_class_svm::Machine;
use crate::pca::Subspace;
use candle_core::{Device, Tensor};
use flicker_core::graph::{Described, Graph, Value};
use flicker_core::rows::Rows;
use flicker_core::run::Run;
use flicker_core::{Detector, Error, Result, Rng, SampleShape, Scores, TrainSet, Weights};

/// A classical detector for samples of one shape.
pub struct Classic {
    method: Box<dyn Method>,
    weights: Weights,
    shape: SampleShape,
}

/// What each method does. What it learns lies in the weights.
pub(crate) trait Method: Send + Sync {
    fn fit(&mut self, weights: &Weights, train: &TrainSet, run: &mut Run<'_>) -> Result<()>;

    /// The scores of finite rows.
    fn score(&self, weights: &Weights, rows: &Rows) -> Result<Scored>;

    /// The same in a graph, for rows `(F)`.
    fn describe(&self, weights: &Weights, graph: &mut Graph, rows: Value) -> Result<Described> {
        let _ = (weights, graph, rows);
        let why =
            "this method walks trees or looks through kept samples; pca and mahalanobis can be exported";
        Err(Error::NotOnePass(why.into()))
    }
}

/// Scores of rows. What is explained and what is not has the rows' own shape.
#[derive(Default)]
pub(crate) struct Scored {
    pub(crate) total: Vec<f32>,
    /// What the method makes of each row, where it has that.
    pub(crate) reconstruction: Option<Vec<f32>>,
    /// The squared difference to it, where the method has it at hand.
    pub(crate) residual: Option<Vec<f32>>,
}

impl Classic {
    pub(crate) fn new(config: &Config, shape: SampleShape, rng: Rng, device: &Device) -> Result<Self> {
        let features = shape.elements();
        config.check(features)?;
        let weights = Weights::new(rng, device);
        let method: Box<dyn Method> = match config {
            Config::Pca(config) => Box::new(Subspace::new(config, features, &weights)),
            Config::Knn(config) => Box::new(Neighbours::new(config, features, &weights)),
            Config::IsolationForest(config) => Box::new(Forest::new(config, &weights)),
            Config::OneClassSvm(config) => Box::new(Machine::new(config, features, &weights)),
            Config::Lof(config) => Box::new(Density::new(config, features, &weights)),
            Config::LatentKmeans(config) => Box::new(Clusters::new(config, features, &weights)?),
            Config::Mahalanobis(config) => Box::new(Ellipsoid::new(config, features, &weights)?),
        };
        Ok(Self { method, weights, shape })
    }
}

impl Detector for Classic {
    fn fit(&mut self, train: &TrainSet, run: &mut Run<'_>) -> Result<()> {
        if train.normal.shape() != self.shape {
            return Err(Error::Shape {
                what: "samples to train with".into(),
                expected: self.shape.to_string(),
                found: train.normal.shape().to_string(),
            });
        }
        self.method.fit(&self.weights, train, run)
    }

    /// The method's score. Where a method has an idea of what the sample should have been (PCA: its projection; nearest
    /// neighbours: their mean; an autoencoder: its output), that is the reconstruction, and the map is the squared
    /// difference (for images, its mean over channels).
    fn score(&self, xs: &Tensor, _: &Rng) -> Result<Scores> {
        self.shape.expect_batch(xs)?;
        let rows = Rows::of_tensor(xs)?;
        if rows.n == 0 {
            return Ok(Scores::new(Vec::new()));
        }
        rows.expect_finite()?;
        let scored = self.method.score(&self.weights, &rows)?;
        let mut scores = Scores::new(scored.total);
        if let Some(values) = scored.reconstruction {
            let x_hat = Tensor::from_vec(values, xs.shape(), xs.device())?;
            let residual = match scored.residual {
                Some(values) => Tensor::from_vec(values, xs.shape(), xs.device())?,
                None => (xs - &x_hat)?.sqr()?,
            };
            scores.map = Some(if residual.rank() == 4 { residual.mean_keepdim(1)? } else { residual });
            scores.reconstruction = Some(x_hat);
        }
        Ok(scores)
    }

    fn describe(&self, graph: &mut Graph, xs: Value) -> Result<Described> {
        let dims = graph.dims(xs).to_vec();
        let rows = graph.flatten(xs)?;
        let Described { total, map } = self.method.describe(&self.weights, graph, rows)?;
        let map = match map {
            Some(map) => {
                let map = graph.reshape(map, &dims)?;
                Some(graph.mean_of_channels(map))
            }
            None => None,
        };
        Ok(Described { total, map })
    }

    fn weights(&self) -> &Weights {
        &self.weights
    }
}
