//! Deep support vector data description (Ruff et al., "Deep one-class classification", ICML 2018): a network φ without
//! biases is trained to map normal samples close to a centre c; the squared distance from c is the score.
//!
//! One-class objective (equation 4): `mean ‖φ(x) - c‖²` and weight decay. Soft boundary (equation 3):
//! `R² + 1/ν · mean max(0, ‖φ(x) - c‖² - R²)` and weight decay, with the score less R². The centre is the mean of a first
//! forward pass, kept from zero; an autoencoder gives the network its first weights.
//!
//! Layers and numbers of [`Config::paper`] are those of the authors' PyTorch code; what was not read there is from memory and
//! said so at its line.
//!
//! ```
//! use candle_core::Device;
//! use deepsvdd::{Config, Network};
//! use flicker_core::data::Samples;
//! use flicker_core::run::{Quiet, Run};
//! use flicker_core::{Config as _, Detector as _, Rng, TrainSet};
//! use std::sync::Arc;
//!
//! # fn main() -> flicker_core::Result<()> {
//! let device = Device::Cpu;
//! let normal = Samples::new(10, Rng::new(0).uniforms(64 * 10, 0.0, 1.0))?;
//! let network = Network::Dense { widths: vec![8, 4] };
//! let config = Config { network, pretrain_epochs: 1, epochs: 2, batch: 16, ..Config::paper() };
//! let mut model = config.build(10.into(), Rng::new(1), &device)?;
//! model.fit(&TrainSet::of_normal(Arc::new(normal)), &mut Run::new(Rng::new(2), &device, &mut Quiet))?;
//! let xs = Rng::new(3).randn((2, 10), &device)?;
//! assert_eq!(model.score(&xs, &Rng::new(4))?.total.len(), 2);
//! # Ok(())
//! # }
//! ```
//!
//! Letters in shapes: B samples, C channels, H rows, W columns, F features, L latents.

mod config;
mod input;
mod model;
mod network;
mod training;

pub use config::{Config, Contrast, Network, Objective};
pub use model::DeepSvdd;
pub use training::{loss, pretraining_loss, step};
