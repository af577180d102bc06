//! GANomaly: an encoder, a decoder and a second encoder, trained on normal images against a discriminator; an image is as
//! abnormal as the second encoder's latent is far from the first one's.
//!
//! Akcay, Atapour-Abarghouei and Breckon, *GANomaly: Semi-Supervised Anomaly Detection via Adversarial Training*, 2018
//! (<https://arxiv.org/abs/1805.06725>). Equation numbers refer to it; where the authors' code says more than the paper,
//! the code is followed and the comment says so.
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
//! let normal = Samples::new(SampleShape::from((1, 16, 16)), Rng::new(0).uniforms(8 * 256, -1.0, 1.0))?;
//! let config = ganomaly::Config { latent: 8, features: 4, epochs: 1, batch: 4, ..ganomaly::Config::paper() };
//! let mut model = config.build((1, 16, 16).into(), Rng::new(1), &device)?;
//! model.fit(&TrainSet::of_normal(Arc::new(normal)), &mut Run::new(Rng::new(2), &device, &mut Quiet))?;
//! let xs = Rng::new(3).randn((2, 1, 16, 16), &device)?;
//! assert_eq!(model.score(&xs, &Rng::new(4))?.total.len(), 2);
//! # Ok(())
//! # }
//! ```

mod config;
mod model;
mod networks;
mod training;

pub use config::{Config, Score};
pub use model::{Ganomaly, Networks};
pub use networks::{Decoder, Discriminator, Encoder};
pub use training::{Optimizers, StepLosses, step};
