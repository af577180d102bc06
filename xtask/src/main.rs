//! The tasks of the repository.

mod data;

use clap::Parser;

/// The tasks of the repository.
#[derive(Parser)]
#[command(name = "cargo xtask")]
enum Task {
    /// Brings the full data sets.
    Data(data::Args),
}

fn main() -> anyhow::Result<()> {
    match Task::parse() {
        Task::Data(args) => data::run(&args),
    }
}
