//! Trains and evaluates a dense autoencoder: see `--help`.

use std::process::ExitCode;

fn main() -> ExitCode {
    flicker_runner::train::<ae::Config>(include_str!("../../../../experiments/ae-mnist-noise.toml"))
}
