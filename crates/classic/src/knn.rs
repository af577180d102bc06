//! k nearest neighbours: a sample far from every training sample is abnormal. The score is the Euclidean distance to the
//! k-th nearest (Ramaswamy, Rastogi and Shim, 2000) or the mean of the k distances (Angiulli and Pizzuti, 2002).

use crate::config::{Distance, Knn};
use crate::detector::{Method, Scored};
use flicker_core::neighbours::{Index, Neighbour, enough};
use flicker_core::rows::Rows;
use flicker_core::run::{Losses, Run};
use flicker_core::{Result, TrainSet, Weights};

pub(crate) struct Neighbours {
    config: Knn,
}

impl Neighbours {
    pub(crate) fn new(config: &Knn, features: usize, weights: &Weights) -> Self {
        Index::declare(weights, features);
        Self { config: config.clone() }
    }
}

impl Method for Neighbours {
    fn fit(&mut self, weights: &Weights, train: &TrainSet, run: &mut Run<'_>) -> Result<()> {
        enough(self.config.neighbours, train.normal.len())?;
        run.pass("index", 1, &mut |_, _| {
            Index::fit(weights, Rows::read_all(train.normal.as_ref())?)?;
            Ok(Some(Losses::default()))
        })
    }

    fn score(&self, weights: &Weights, rows: &Rows) -> Result<Scored> {
        let index = Index::of(weights)?;
        let neighbours = index.nearest(&index.centred(rows), self.config.neighbours, None)?;
        let total = neighbours.iter().map(|list| score(list, self.config.distance) as f32).collect();
        Ok(Scored { total, reconstruction: Some(index.means(&neighbours)?), residual: None })
    }
}

fn score(neighbours: &[Neighbour], distance: Distance) -> f64 {
    match distance {
        Distance::Kth => neighbours.last().map_or(f64::NAN, |(distance, _)| *distance),
        Distance::Mean => {
            neighbours.iter().map(|(distance, _)| distance).sum::<f64>() / neighbours.len() as f64
        }
    }
}
