//! What is around a model and is the same for every family: command line, experiment file, run folder, evaluation, report.
//!
//! A train program is one call:
//!
//! ```no_run
//! use std::process::ExitCode;
//!
//! fn main() -> ExitCode {
//!     # const DEFAULT: &str = "";
//!     // const DEFAULT: &str = include_str!("../../../../experiments/…toml");
//!     # #[allow(unused)] fn with<C: flicker_core::Config>() -> ExitCode {
//!     flicker_runner::train::<C>(DEFAULT)
//!     # }
//!     # ExitCode::SUCCESS
//! }
//! ```

mod args;
pub mod charts;
mod datasets;
mod device;
mod evaluate;
mod experiment;
mod failure;
mod folder;
mod gallery;
mod host;
mod log;
mod monitor;
pub mod pictures;
mod pixels;
pub mod report;
mod samples;
mod screen;
mod signals;
pub mod tensorboard;
mod train;
mod weighting;

pub use device::device;
pub use failure::Failure;
use screen::{print, say};
pub use train::train;
