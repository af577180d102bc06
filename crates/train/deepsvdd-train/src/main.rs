//! Trains and evaluates Deep SVDD: see `--help`.

use std::process::ExitCode;

fn main() -> ExitCode {
    flicker_runner::train::<deepsvdd::Config>(include_str!("../../../../experiments/deepsvdd-mnist-0.toml"))
}
