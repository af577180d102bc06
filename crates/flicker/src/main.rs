//! `flicker`: every family in one program. It trains, scores, evaluates, reports, and says which families there are.

mod experiments;
mod families;
mod manual;
mod models;
mod train;

use clap::{Parser, Subcommand};
use flicker_runner::commands::{
    self, CompareArgs, DriftArgs, EvaluateArgs, ExportArgs, ReportArgs, ScoreArgs, VerifyArgs,
};
use flicker_runner::{finish, run_program};
use std::process::ExitCode;

/// Anomaly detection: learns what is normal from images or tables, and says how abnormal each new sample is, and where.
#[derive(Parser)]
#[command(name = "flicker", version, max_term_width = 110)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Lists the families: what each learns from, the data it takes, its source, its experiments
    Models(models::Args),
    /// Trains a model, scores the test set, and leaves a folder that explains itself: the run folder
    Train(train::Args),
    /// Scores new samples by the model of a run folder: scores, p-values, decisions
    Score(ScoreArgs),
    /// Scores the test set of a run again, writes its metrics again, and says what is not as recorded
    Evaluate(EvaluateArgs),
    /// Hashes the data of a run again and scores its validation set again: is the model what the folder says?
    Verify(VerifyArgs),
    /// Says whether the scores of new samples still look like those of the validation normals; ends with code 3 if not
    Drift(DriftArgs),
    /// Compares two runs on the same test samples: paired tests, a table, a picture
    Compare(CompareArgs),
    /// Writes the model of a run as an ONNX file, threshold and all, after checking that it scores as the model does
    Export(ExportArgs),
    /// Makes the report of a run again from its folder alone, and prints where it is
    Report(ReportArgs),
    /// Prints a completion script for a shell
    Completions(manual::Completions),
    /// Writes man pages
    Man(manual::Man),
}

fn main() -> ExitCode {
    let command = match Cli::try_parse() {
        Ok(cli) => cli.command,
        Err(error) => error.exit(), // clap's own text; code 2 for an error, 0 for --help
    };
    let families = families::all();
    match command {
        Command::Models(args) => finish(models::run(&args)),
        Command::Train(args) => run_program(args.train.threads, |threads| train::run(args, threads)),
        Command::Score(args) => run_program(args.common.threads, |_| commands::score(&families, &args)),
        Command::Evaluate(args) => run_program(args.common.threads, |_| commands::evaluate(&families, &args)),
        Command::Verify(args) => run_program(args.common.threads, |_| commands::verify(&families, &args)),
        Command::Drift(args) => run_program(args.common.threads, |_| commands::drift(&families, &args)),
        Command::Compare(args) => run_program(None, |_| commands::compare(&args)),
        Command::Export(args) => run_program(args.common.threads, |_| commands::export(&families, &args)),
        Command::Report(args) => finish(commands::report(&args)),
        Command::Completions(args) => finish(manual::completions(&args)),
        Command::Man(args) => finish(manual::man(&args)),
    }
}
