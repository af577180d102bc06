//! The tasks of the repository: `cargo xtask TASK`. It runs programs and reads files; it links no tensors.

mod bench;
mod check;
mod cuda;
mod data;
mod gradients;
mod pages;
mod reproduce;

use clap::{Parser, Subcommand};
use std::path::Path;
use std::process::ExitCode;

/// The tasks of the repository.
#[derive(Parser)]
#[command(name = "cargo xtask", max_term_width = 110)]
struct Args {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Holds the tree against its rules: crate graph, file heads and lengths, README commands, forgotten modules
    Check,
    /// Times our workloads and their twins in PyTorch by turns
    Bench(bench::Args),
    /// Builds with CUDA, or checks the types of that build, where CUDA is not installed
    Cuda(cuda::Args),
    /// Brings the full data sets
    Data(data::Args),
    /// Writes how far the operators' results and gradients are from PyTorch's, by running their tests
    Gradients,
    /// Opens reports in a real browser and uses them: clicks, keys, light and dark, phone and desk
    Pages(pages::Args),
    /// Runs experiments and compares them with what they expect
    Reproduce(Box<reproduce::Args>),
}

fn main() -> ExitCode {
    let args = Args::parse();
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap_or(Path::new("."));
    let done = std::env::set_current_dir(root).map_err(Into::into).and_then(|()| match args.task {
        Task::Check => check::run(),
        Task::Bench(args) => bench::run(&args),
        Task::Cuda(args) => cuda::run(&args),
        Task::Data(args) => data::run(&args),
        Task::Gradients => gradients::run(),
        Task::Pages(args) => pages::run(&args),
        Task::Reproduce(args) => reproduce::run(&args),
    });
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            say(&format!("error: {error:#}"));
            ExitCode::FAILURE
        }
    }
}

/// One line for people.
fn say(text: &str) {
    use std::io::Write;
    let _ = writeln!(std::io::stderr(), "{text}");
}
