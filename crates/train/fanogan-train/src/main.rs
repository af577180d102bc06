//! Trains and evaluates f-AnoGAN: see `--help`.

use std::process::ExitCode;

fn main() -> ExitCode {
    flicker_runner::train::<fanogan::Config>(include_str!("../../../../experiments/fanogan-mnist-2.toml"))
}
