//! Clusters of latents: an encoder makes a few numbers of each sample, k-means finds where those of the normals gather, and a
//! sample far from every such place is abnormal. The score is the Euclidean distance to the nearest centre; the
//! reconstruction is what the encoder's inverse makes of that centre.

use crate::config::LatentKmeans;
use crate::detector::{Method, Scored};
use crate::encoder::Latents;
use crate::kmeans::{Clustering, drawn, lloyd, nearest};
use candle_core::DType;
use flicker_core::rows::{Rows, blocks, fitted};
use flicker_core::run::{Losses, Run};
use flicker_core::{Error, Result, TrainSet, Weights};

pub(crate) struct Clusters {
    config: LatentKmeans,
    latents: Latents,
}

impl Clusters {
    pub(crate) fn new(config: &LatentKmeans, features: usize, weights: &Weights) -> Result<Self> {
        let latents = Latents::new(&config.encoder, features, weights)?;
        weights.declare("centres", &[Some(config.clusters), None], DType::F32);
        Ok(Self { config: config.clone(), latents })
    }
}

impl Method for Clusters {
    fn fit(&mut self, weights: &Weights, train: &TrainSet, run: &mut Run<'_>) -> Result<()> {
        let (source, n, clusters) = (train.normal.as_ref(), train.normal.len(), self.config.clusters);
        if n < clusters {
            let problem = format!("must be at most the {n} training samples, is {clusters}");
            return Err(Error::config("config.clusters", problem));
        }
        self.latents.fit(weights, train, run)?;
        let mut zs = Rows { n, features: 0, values: Vec::new() };
        for block in blocks(n) {
            let part = self.latents.encode(weights, &Rows::read(source, &block.collect::<Vec<_>>())?)?;
            zs.features = part.features;
            zs.values.extend(part.values);
        }
        let mut best: Option<Clustering> = None;
        run.pass("clusters", self.config.starts, &mut |start, rng| {
            let centres = drawn(&zs, clusters, &mut rng.fork_index(start as u64));
            let found = lloyd(&zs, centres, self.config.rounds);
            let values = vec![("inertia", found.inertia as f32)];
            if best.as_ref().is_none_or(|best| found.inertia < best.inertia) {
                best = Some(found);
            }
            Ok(Some(Losses { values, notes: Vec::new() }))
        })?;
        let best = best.ok_or_else(|| Error::config("config.starts", "must be at least 1, is 0"))?;
        weights.set_fitted("centres", &best.centres.into_tensor()?)
    }

    fn score(&self, weights: &Weights, rows: &Rows) -> Result<Scored> {
        let centres = Rows::of_tensor(&fitted(weights, "centres")?)?;
        let zs = self.latents.encode(weights, rows)?;
        let found: Vec<(f64, usize)> = zs.iter().map(|z| nearest(z, &centres)).collect();
        let places = self.latents.decode(weights, &centres)?;
        let reconstruction =
            found.iter().flat_map(|&(_, centre)| places.row(centre).iter().copied()).collect();
        let total = found.iter().map(|(distance, _)| *distance as f32).collect();
        Ok(Scored { total, reconstruction: Some(reconstruction), residual: None })
    }
}
