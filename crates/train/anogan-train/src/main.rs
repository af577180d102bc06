//! Trains and evaluates AnoGAN: see `--help`.

use std::process::ExitCode;

fn main() -> ExitCode {
    flicker_runner::train::<anogan::Config>(include_str!("../../../../experiments/anogan-mnist-0-small.toml"))
}
