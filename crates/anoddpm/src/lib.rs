//! AnoDDPM: a diffusion network learns normal images; an image to score is disturbed for λ steps and brought back, and is as
//! abnormal as it comes back changed. The noise is simplex noise, which is coarse enough to hide what is abnormal.
//!
//! Wyatt, Leach, Schmon and Willcocks, *AnoDDPM: Anomaly Detection with Denoising Diffusion Probabilistic Models using Simplex
//! Noise*, CVPR workshops 2022. Where the authors' code says more than the paper, the code is followed and the comment says so.
//!
//! Precision is TP/(TP+FP), recall TP/(TP+FN), the false-positive rate FP/(FP+TN), as in textbooks; so they are computed by
//! `flicker_core::metrics`, over samples and over pixels. The authors' evaluation names them otherwise: its `precision` is
//! TP/(TP+FN), which is recall; its `recall` is TP/(TP+FP), which is precision; its `FPR` is FN/(FN+TN), the false omission rate.
//! So the paper's columns must be swapped before they are compared.
//!
//! What was tried and measured, and what is left to do, stands in the crate's `NOTES.md`.
//!
//! ```
//! use anoddpm::Config;
//! use candle_core::Device;
//! use flicker_core::data::Samples;
//! use flicker_core::run::{Quiet, Run};
//! use flicker_core::{Config as _, Detector as _, Rng, SampleShape, TrainSet};
//! use std::sync::Arc;
//!
//! # fn main() -> flicker_core::Result<()> {
//! let device = Device::Cpu;
//! let normal = Samples::new(SampleShape::from((1, 8, 8)), Rng::new(0).uniforms(8 * 64, -1.0, 1.0))?;
//! let config = Config { base: 8, multipliers: vec![1, 2], epochs: 1, batch: 4, ..Config::small() };
//! let mut model = config.build((1, 8, 8).into(), Rng::new(1), &device)?;
//! model.fit(&TrainSet::of_normal(Arc::new(normal)), &mut Run::new(Rng::new(2), &device, &mut Quiet))?;
//! let xs = Rng::new(3).randn((2, 1, 8, 8), &device)?;
//! assert_eq!(model.score(&xs, &Rng::new(4))?.total.len(), 2);
//! # Ok(())
//! # }
//! ```

mod blocks;
mod config;
mod map;
mod model;
mod network;
mod noise;
mod objective;
mod schedule;
pub mod simplex;
mod training;

pub use config::{Config, Correction, ImageScore, Loss, Prediction, Reverse, Variance, Weighting};
pub use model::AnoDdpm;
pub use network::UNet;
pub use noise::{Noise, Scale};
pub use objective::Times;
pub use schedule::{Back, Betas, Schedule};
pub use training::{Optimizers, step};
