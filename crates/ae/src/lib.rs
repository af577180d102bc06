//! Autoencoders: a network that is trained to give back what it gets, through a narrow code. What it cannot give back is
//! abnormal: the score is the mean squared error of the reconstruction.
//!
//! [`Config::tutorial`] is the dense network of the tutorial that this family follows; its architecture is a list of widths
//! and activations, so tables and other images have theirs.
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
//! let config = ae::Config { widths: vec![8, 3], epochs: 2, batch: 16, ..ae::Config::tutorial() };
//! let mut model = config.build(10.into(), Rng::new(1), &device)?;
//! model.fit(&TrainSet::of_normal(Arc::new(normal)), &mut Run::new(Rng::new(2), &device, &mut Quiet))?;
//! let xs = Rng::new(3).randn((2, 10), &device)?;
//! assert_eq!(model.score(&xs, &Rng::new(4))?.total.len(), 2);
//! # Ok(())
//! # }
//! ```

mod config;
mod model;
mod network;

pub use config::{Config, Output};
pub use model::{Autoencoder, loss, step};
pub use network::Dense;
