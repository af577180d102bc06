//! Trains and evaluates AnoDDPM: see `--help`.

use std::process::ExitCode;

fn main() -> ExitCode {
    flicker_runner::train::<anoddpm::Config>(include_str!("../../../../experiments/anoddpm-mnist-1.toml"))
}
