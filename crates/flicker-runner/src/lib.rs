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
//!
//! A program of many families holds an [`AnyFamily`] for each, and calls [`train_family`] and the [`commands`].

mod args;
pub mod commands;
mod compare;
mod conclude;
mod contributions;
mod datasets;
mod device;
mod evaluate;
mod experiment;
mod failure;
mod family;
mod folder;
mod from;
mod gallery;
mod host;
mod log;
mod made;
mod monitor;
mod opened;
mod own_data;
mod own_table;
pub mod pictures;
mod pixels;
pub mod report;
mod samples;
mod scoring;
mod screen;
mod signals;
pub mod tensorboard;
mod train;
mod unseen;
mod weighting;

pub use args::{Common, TrainArgs};
pub use device::device;
pub use experiment::read as read_experiment;
pub use failure::Failure;
pub use family::{AnyFamily, Text};
pub use flicker_charts as charts;
pub use from::text_of_run;
pub use own_data::OwnData;
pub use screen::{print, print_json, say};
pub use train::{finish, run_program, train, train_family};
pub use unseen::Which;
