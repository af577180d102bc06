//! Trains and evaluates a supervised convolutional classifier: see `--help`.

use std::process::ExitCode;

fn main() -> ExitCode {
    flicker_runner::train::<cnn::Config>(include_str!("../../../../experiments/cnn-mnist-few-labels.toml"))
}
