//! Autoencoders: a network that is trained to give back what it gets, through a narrow code. What it cannot give back is
//! abnormal.
//!
//! | choice | what there is |
//! | --- | --- |
//! | [`NetworkConfig`] | dense (images and tables), convolutional, pooled |
//! | [`Variant`] | plain, denoising ([`Corruption`]: Gaussian, salt and pepper, masking), variational |
//! | [`Loss`] | mean squared error, mean absolute error, structural similarity |
//! | [`Score`] | the loss, residuals in units of their spread, their logarithms, with the code's distance, the evidence lower bound |
//!
//! Published configurations: [`Config::tutorial`] and [`Config::credit_card_tutorial`] (Business Analytics tutorial, 2022),
//! [`Config::pooled`] (Anormaly-detection-AI-models, 2023). Ours: [`Config::steady`], [`Config::convolutional`],
//! [`Config::variational`], [`Config::table`].
//!
//! ```
//! use candle_core::Device;
//! use flicker_core::data::Samples;
//! use flicker_core::run::{Quiet, Run};
//! use flicker_core::{Config as _, Detector as _, Rng, SampleShape, TrainSet};
//! use std::sync::Arc;
//!
//! # fn main() -> flicker_core::Result<()> {
//! let device = Device::Cpu;
//! let normal = Samples::new(SampleShape::from(10), Rng::new(0).uniforms(64 * 10, 0.0, 1.0))?;
//! let config = ae::Config { epochs: 2, batch: 16, ..ae::Config::table() };
//! let mut model = config.build(10.into(), Rng::new(1), &device)?;
//! model.fit(&TrainSet::of_normal(Arc::new(normal)), &mut Run::new(Rng::new(2), &device, &mut Quiet))?;
//! let xs = Rng::new(3).randn((2, 10), &device)?;
//! assert_eq!(model.score(&xs, &Rng::new(4))?.total.len(), 2);
//! # Ok(())
//! # }
//! ```
//!
//! A variational autoencoder of images, its score in parts:
//!
//! ```
//! use candle_core::Device;
//! use flicker_core::{Config as _, Detector as _, Rng};
//!
//! # fn main() -> flicker_core::Result<()> {
//! let model = ae::Config::variational().build((1, 28, 28).into(), Rng::new(0), &Device::Cpu)?;
//! let xs = Rng::new(1).randn((2, 1, 28, 28), &Device::Cpu)?;
//! let scores = model.score(&xs, &Rng::new(2))?;
//! assert_eq!((scores.parts[0].0, scores.parts[1].0), ("reconstruction", "kl"));
//! # Ok(())
//! # }
//! ```

mod config;
mod described;
mod loss;
mod model;
mod network;
mod score;
mod training;
mod variant;

pub use config::{Config, Output, Schedule};
pub use loss::Loss;
pub use model::Autoencoder;
pub use network::{Code, Hidden, Network, NetworkConfig};
pub use score::Score;
pub use training::{StepLosses, step};
pub use variant::{Corruption, Variant};
