//! The classical detectors, behind the same traits as the networks: what a network has to beat before its number counts.
//!
//! | method | score | source |
//! | --- | --- | --- |
//! | [`Config::Pca`] | mean squared residual outside the principal components | Pearson, 1901; Jackson and Mudholkar, 1979 |
//! | [`Config::Knn`] | distance to the k-th nearest training sample, or the mean of the k | Ramaswamy et al., 2000; Angiulli and Pizzuti, 2002 |
//! | [`Config::IsolationForest`] | 2 to the minus mean depth at which random cuts isolate the sample | Liu et al., 2008 |
//! | [`Config::OneClassSvm`] | distance beyond the hyperplane that holds the training set from the origin | Schölkopf et al., 2001 |
//! | [`Config::Lof`] | density of the neighbours over the sample's own | Breunig et al., 2000 |
//! | [`Config::LatentKmeans`] | distance to the nearest cluster of an encoder's latents | MacQueen, 1967; Arthur and Vassilvitskii, 2007 |
//! | [`Config::Mahalanobis`] | distance from the mean in units of the spread along each direction, of samples or of their latents | Mahalanobis, 1936; Ledoit and Wolf, 2004 |
//!
//! Images are taken as rows of pixels. All but the encoder's training are fitted in one pass.
//!
//! ```
//! use candle_core::Device;
//! use classic::{Components, Config, Pca};
//! use flicker_core::data::Samples;
//! use flicker_core::run::{Quiet, Run};
//! use flicker_core::{Config as _, Detector as _, Rng, TrainSet};
//! use std::sync::Arc;
//!
//! # fn main() -> flicker_core::Result<()> {
//! let device = Device::Cpu;
//! let normal = Samples::new(10, Rng::new(0).uniforms(64 * 10, 0.0, 1.0))?;
//! let config = Config::Pca(Pca { components: Components::Count(3) });
//! let mut model = config.build(10.into(), Rng::new(1), &device)?;
//! model.fit(&TrainSet::of_normal(Arc::new(normal)), &mut Run::new(Rng::new(2), &device, &mut Quiet))?;
//! let xs = Rng::new(3).randn((2, 10), &device)?;
//! assert_eq!(model.score(&xs, &Rng::new(4))?.total.len(), 2);
//! # Ok(())
//! # }
//! ```
//!
//! Letters in shapes: B samples, N training samples, F features, K components, neighbours or clusters.
//!
//! Why most of the methods are written here: the libraries that have them draw from a generator of their own, want f64 or a
//! feature count at compile time, hold an N×N kernel, or bring a BLAS. The symmetric eigenvalue problem is nalgebra's.

mod config;
mod detector;
mod encoder;
mod isolation_forest;
mod kmeans;
mod knn;
mod latent_kmeans;
mod lof;
mod mahalanobis;
mod one_class_svm;
mod pca;
mod randomized;
mod smo;
mod trees;

pub use config::{
    Components, Config, Distance, Encoder, Gamma, IsolationForest, Knn, LatentKmeans, Lof, Mahalanobis,
    OneClassSvm, Pca, Scale, Shrinkage, ShrinkageRule,
};
pub use detector::Classic;
