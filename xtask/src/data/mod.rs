//! `cargo xtask data`: brings the full data sets.

mod sample;

use anyhow::Result;
use std::path::Path;

/// Runs the subcommand.
pub(crate) fn run(args: &[String]) -> Result<()> {
    for (name, bytes) in sample::make(&args[1], Path::new(&args[2]))? {
        std::fs::write(Path::new("datasets/mnist-sample").join(name), bytes)?;
    }
    Ok(())
}
