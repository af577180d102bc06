//! The classical detectors on 100,000 rows: their fit, and the scores of rows. Their twins are scikit-learn's.

use crate::Workload;
use candle_core::{Device, Tensor};
use classic::{Components, Config, Distance, IsolationForest, Knn, Pca};
use flicker_core::data::Samples;
use flicker_core::run::{Quiet, Run};
use flicker_core::{Config as _, Detector as _, Result, Rng, TrainSet};
use std::sync::Arc;

/// Training rows.
const N: usize = 100_000;
const FEATURES: usize = 32;

/// A fit to N rows, and the scores of `scored` of them.
fn fit_and_score(config: Config, scored: usize) -> Result<Workload> {
    let values = Rng::new(0).fork("rows").normals(N * FEATURES);
    let xs = Tensor::from_slice(&values[..scored * FEATURES], (scored, FEATURES), &Device::Cpu)?;
    let set = TrainSet::of_normal(Arc::new(Samples::new(FEATURES, values)?));
    Ok(Workload::new(None, move || {
        let mut model = config.build(FEATURES.into(), Rng::new(1), &Device::Cpu)?;
        model.fit(&set, &mut Run::new(Rng::new(2), &Device::Cpu, &mut Quiet))?;
        Ok(Tensor::new(model.score(&xs, &Rng::new(3))?.total, &Device::Cpu)?)
    }))
}

/// 16 principal components, all rows scored.
pub(crate) fn pca() -> Result<Workload> {
    fit_and_score(Config::Pca(Pca { components: Components::Count(16) }), N)
}

/// The fifth neighbour of 5,000 rows among all.
pub(crate) fn knn() -> Result<Workload> {
    fit_and_score(Config::Knn(Knn { neighbours: 5, distance: Distance::Kth }), 5000)
}

/// 100 trees of 256 rows, all rows scored.
pub(crate) fn forest() -> Result<Workload> {
    fit_and_score(Config::IsolationForest(IsolationForest { trees: 100, samples: 256 }), N)
}
