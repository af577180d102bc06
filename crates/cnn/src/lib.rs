//! A convolutional classifier of normal and abnormal images: the supervised baseline. It learns from abnormal samples *with
//! their label*, so it knows what the other families must do without, and it knows those kinds of abnormal samples alone.
//!
//! [`Config::published`] is the code of the repository "Anormaly-detection-AI-models" (Pchaewon, 2023), [`Config::three_layers`]
//! what its README says; [`Config::balanced`] is ours for few abnormal samples.
//!
//! The score is the softmax probability of the abnormal class, p = 1 / (1 + exp(-logit)); its part `logit` is the difference of
//! the two outputs, which still ranks where p is 1 to the last bit.
//!
//! ```
//! use candle_core::Device;
//! use flicker_core::data::{Samples, Source};
//! use flicker_core::run::{Quiet, Run};
//! use flicker_core::{Config as _, Detector as _, Rng, SampleShape, TrainSet};
//! use std::sync::Arc;
//!
//! # fn main() -> flicker_core::Result<()> {
//! let shape = SampleShape::from((1, 28, 28));
//! let images = |n: usize, high: f32| -> flicker_core::Result<Arc<dyn Source>> {
//!     Ok(Arc::new(Samples::new(shape, Rng::new(n as u64).uniforms(n * 784, 0.0, high))?))
//! };
//! let train = TrainSet { abnormal: Some(images(4, 1.0)?), ..TrainSet::of_normal(images(24, 0.5)?) };
//! let config = cnn::Config { epochs: 2, batch: 8, ..cnn::Config::balanced() };
//! let mut model = config.build(shape, Rng::new(1), &Device::Cpu)?;
//! model.fit(&train, &mut Run::new(Rng::new(2), &Device::Cpu, &mut Quiet))?;
//! let scores = model.score(&Rng::new(3).randn((2, 1, 28, 28), &Device::Cpu)?, &Rng::new(4))?;
//! assert!(scores.total.iter().all(|p| (0.0..=1.0).contains(p)));
//! # Ok(())
//! # }
//! ```

mod config;
mod model;
mod network;
mod training;

pub use config::{Balance, Config};
pub use model::Classifier;
pub use network::Network;
pub use training::{loss, step};
