//! Trains and evaluates a classical detector: see `--help`.

use std::process::ExitCode;

fn main() -> ExitCode {
    flicker_runner::train::<classic::Config>(include_str!("../../../../experiments/classic-mnist-pca.toml"))
}
