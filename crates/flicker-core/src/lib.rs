//! The core of flicker: tensors, data sets, metrics, layers, randomness, the training loop and the two traits
//! ([`Config`] and [`Detector`]) that every family of anomaly detectors implements.
//!
//! A higher score is more abnormal, everywhere; the positive class is the abnormal one, everywhere.

pub mod calibration;
pub mod data;
mod detector;
mod error;
pub mod file;
pub mod graph;
pub mod losses;
pub mod metrics;
pub mod neighbours;
pub mod nn;
pub mod optim;
mod rng;
pub mod rows;
pub mod run;
mod sample_shape;
mod state;
mod weights;

pub use detector::{Config, Detector, Family, Scores, Supervision, TrainSet};
pub use error::{Error, Result, Stop};
pub use flicker_kernels::{Vectorise, in_pool, prepare_process, vectorised};
pub use rng::Rng;
pub use sample_shape::SampleShape;
pub use state::State;
pub use weights::{Standards, Weights};
