//! Trains and evaluates ganomaly; see `--help`.

fn main() {}
