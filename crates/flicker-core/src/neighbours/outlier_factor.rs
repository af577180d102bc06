//! Local outlier factor (Breunig, Kriegel, Ng and Sander, 2000, definitions 3 to 7), for new samples against the training set.
//!
//! k-distance(o): the distance of o to its k-th neighbour; reach(p, o) = max(k-distance(o), d(p, o)); the local reachability
//! density of p is `lrd(p) = 1 / mean of reach(p, o)` over its neighbours o; `LOF(p) = mean of lrd(o) / lrd(p)`. Where several
//! samples are as near as the k-th, exactly k are taken, as scikit-learn does (the paper takes all).

use super::{Index, Neighbour, enough};
use crate::rows::{Rows, fitted};
use crate::run::{Losses, Run};
use crate::{Result, Weights};
use candle_core::{DType, Device, Tensor};

/// What keeps the density of k-fold twins finite; scikit-learn's number.
const TINY: f64 = 1e-10;
/// Training rows whose neighbours are looked for between two chances to stop.
const QUERIES: usize = 2048;

/// The local outlier factor among rows that the weights keep.
#[derive(Clone, Copy, Debug)]
pub struct OutlierFactor {
    neighbours: usize,
}

impl OutlierFactor {
    /// The factor among so many `neighbours` of rows of so many `features`; announces what `weights` will hold.
    pub fn new(neighbours: usize, features: usize, weights: &Weights) -> Self {
        Index::declare(weights, features);
        weights.declare("k_distances", &[None], DType::F32);
        weights.declare("densities", &[None], DType::F32);
        Self { neighbours }
    }

    /// Learns the training rows and their densities.
    ///
    /// # Errors
    /// If there are not more rows than neighbours, or the run is stopped.
    pub fn fit(&self, weights: &Weights, rows: Rows, run: &mut Run<'_>) -> Result<()> {
        let n = rows.n;
        enough(self.neighbours, n)?;
        let mut rows = Some(rows);
        run.pass("index", 1, &mut |_, _| {
            rows.take().map_or(Ok(()), |rows| Index::fit(weights, rows))?;
            Ok(Some(Losses::default()))
        })?;
        let index = Index::of(weights)?;
        let starts: Vec<usize> = (0..n).step_by(QUERIES).collect();
        let mut neighbours: Vec<Vec<Neighbour>> = Vec::with_capacity(n);
        run.pass("densities", starts.len(), &mut |piece, _| {
            let start = starts[piece];
            let rows = index.rows(start..(start + QUERIES).min(n))?;
            neighbours.extend(index.nearest(&rows, self.neighbours, Some(start))?);
            Ok(Some(Losses::default()))
        })?;
        let distances: Vec<f64> =
            neighbours.iter().map(|list| list.last().map_or(f64::NAN, |k| k.0)).collect();
        let densities: Vec<f32> = neighbours.iter().map(|list| density(list, &distances) as f32).collect();
        let distances: Vec<f32> = distances.iter().map(|&d| d as f32).collect();
        weights.set_fitted("k_distances", &Tensor::new(distances, &Device::Cpu)?)?;
        weights.set_fitted("densities", &Tensor::new(densities, &Device::Cpu)?)
    }

    /// The factor of each of `rows`: about 1 where they lie as densely as their neighbours do, larger outside.
    ///
    /// # Errors
    /// If nothing was fitted.
    pub fn score(&self, weights: &Weights, rows: &Rows) -> Result<Vec<f32>> {
        let index = Index::of(weights)?;
        let distances: Vec<f32> = fitted(weights, "k_distances")?.to_vec1()?;
        let distances: Vec<f64> = distances.into_iter().map(f64::from).collect();
        let densities: Vec<f32> = fitted(weights, "densities")?.to_vec1()?;
        let mut total = Vec::with_capacity(rows.n);
        for list in index.nearest(&index.centred(rows), self.neighbours, None)? {
            let around: f64 = list.iter().map(|&(_, i)| f64::from(densities[i as usize])).sum();
            total.push((around / list.len() as f64 / density(&list, &distances)) as f32);
        }
        Ok(total)
    }
}

/// `lrd` (definition 6) of a row with these neighbours.
fn density(neighbours: &[Neighbour], k_distances: &[f64]) -> f64 {
    let reach: f64 = neighbours.iter().map(|&(d, i)| d.max(k_distances[i as usize])).sum();
    1.0 / (reach / neighbours.len() as f64 + TINY)
}
