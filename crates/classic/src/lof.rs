//! The local outlier factor of new samples against the training set, as [`flicker_core::neighbours::OutlierFactor`] has it.

use crate::config::Lof;
use crate::detector::{Method, Scored};
use flicker_core::neighbours::OutlierFactor;
use flicker_core::rows::Rows;
use flicker_core::run::Run;
use flicker_core::{Result, TrainSet, Weights};

pub(crate) struct Density {
    factor: OutlierFactor,
}

impl Density {
    pub(crate) fn new(config: &Lof, features: usize, weights: &Weights) -> Self {
        Self { factor: OutlierFactor::new(config.neighbours, features, weights) }
    }
}

impl Method for Density {
    fn fit(&mut self, weights: &Weights, train: &TrainSet, run: &mut Run<'_>) -> Result<()> {
        self.factor.fit(weights, Rows::read_all(train.normal.as_ref())?, run)
    }

    fn score(&self, weights: &Weights, rows: &Rows) -> Result<Scored> {
        Ok(Scored { total: self.factor.score(weights, rows)?, ..Scored::default() })
    }
}
