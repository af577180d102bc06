//! The core of flicker: tensors, data sets, metrics, layers, randomness, the training loop and the two traits
//! ([`Config`] and [`Detector`]) that every family of anomaly detectors implements.
//!
//! A higher score is more abnormal, everywhere; the positive class is the abnormal one, everywhere.

mod error;
pub mod losses;
pub mod optim;
mod rng;
mod sample_shape;

pub use error::{Error, Result, Stop};
pub use rng::Rng;
pub use sample_shape::SampleShape;
