//! Trains and evaluates GANomaly: see `--help`.

use std::process::ExitCode;

fn main() -> ExitCode {
    flicker_runner::train::<ganomaly::Config>(include_str!("../../../../experiments/ganomaly-mnist-2.toml"))
}
