//! Trains and evaluates ae; see `--help`.

fn main() {}
