//! Command lines as typed: of a training, and what the commands on a run folder share.

use clap::builder::{PossibleValue, PossibleValuesParser, TypedValueParser};
use clap::{Args, Parser};
use flicker_core::data::OnError;
use std::path::PathBuf;

/// Trains a detector on what is normal, scores the test set, and leaves a folder that explains itself.
#[derive(Clone, Debug, Parser)]
#[command(version, max_term_width = 110)]
pub(crate) struct TrainProgram {
    #[command(flatten)]
    pub train: TrainArgs,
}

/// The arguments of a training.
#[derive(Clone, Debug, Args)]
pub struct TrainArgs {
    /// The experiment: a TOML file (see `experiments/`). Without one, the family's default runs, on the data that is
    /// there: the full set, or the embedded sample.
    pub experiment: Option<PathBuf>,

    /// Seed of everything random [default: the first of the experiment's seeds]
    #[arg(long)]
    pub seed: Option<u64>,

    /// The run folder; must not exist, unless with --resume [default: runs/NAME-sSEED-NUMBER]
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,

    /// Goes on with an interrupted run: that of --out, or the newest of this experiment and seed
    #[arg(long)]
    pub resume: bool,

    /// Begins with the weights of another run and, where no experiment is named, as it ran: to go on with more data (--data) or
    /// other numbers (--set), in a folder of its own
    #[arg(long, value_name = "RUN", conflicts_with = "resume")]
    pub from: Option<PathBuf>,

    /// Where to compute: cpu, cuda, cuda:N, metal
    #[arg(long, default_value = "cpu")]
    pub device: String,

    /// Threads; the results do not depend on it [default: all processors]
    #[arg(long, value_name = "N")]
    pub threads: Option<usize>,

    /// Merges the experiment's `quick` table over it: seconds, to see that all works
    #[arg(long)]
    pub quick: bool,

    /// Changes one value of the experiment, such as `config.epochs=3` (repeatable)
    #[arg(long, value_name = "KEY=VALUE")]
    pub set: Vec<String>,

    /// Stops after so many seconds of training; go on with --resume
    #[arg(long, value_name = "SECONDS")]
    pub time_limit: Option<f64>,

    /// Your own data: a table (CSV, also .gz and .zst, Parquet, Arrow) or a folder of images; or the folder where data sets lie
    /// [default: $FLICKER_DATA, or data]
    #[arg(long, value_name = "PATH")]
    pub data: Option<PathBuf>,

    /// Of your own table the column that says who is normal; without one every row is
    #[arg(long, value_name = "COLUMN")]
    pub label: Option<String>,

    /// What the label, or a folder of your images, calls normal (repeatable) [default: 0, false, normal, good or the like]
    #[arg(long, value_name = "VALUE", allow_hyphen_values = true)]
    pub normal: Vec<String>,

    /// A column of your own table that is not read, such as a number of the row (repeatable)
    #[arg(long, value_name = "COLUMN")]
    pub drop: Vec<String>,

    /// A column of your own table whose numbers stand for names (repeatable)
    #[arg(long, value_name = "COLUMN")]
    pub category: Vec<String>,

    /// What is done about a broken file of your own folder
    #[arg(long, value_parser = on_error(), default_value = "fail", value_name = "WHAT")]
    pub on_error: OnError,

    /// Prints the experiment, complete, and ends
    #[arg(long)]
    pub print_config: bool,

    /// Says only the result
    #[arg(long)]
    pub quiet: bool,

    /// The result on standard output is one JSON object
    #[arg(long)]
    pub json: bool,
}

/// `fail` or `skip`, of what cannot be read.
pub(crate) fn on_error() -> impl TypedValueParser<Value = OnError> {
    let words = [
        PossibleValue::new("fail").help("end with an error that names it"),
        PossibleValue::new("skip").help("name it, count it, and go on without it"),
    ];
    let value = |word: String| if word == "skip" { OnError::Skip } else { OnError::Fail };
    PossibleValuesParser::new(words).map(value)
}

/// What all commands share that score again with the model of a run folder.
#[derive(Clone, Debug, Args)]
pub struct Common {
    /// Where to compute: cpu, cuda, cuda:N, metal
    #[arg(long, default_value = "cpu")]
    pub device: String,

    /// Threads; the results do not depend on it [default: all processors]
    #[arg(long, value_name = "N")]
    pub threads: Option<usize>,

    /// Where data sets lie [default: $FLICKER_DATA, or data]
    #[arg(long, value_name = "DIR")]
    pub data: Option<PathBuf>,

    /// Says only the result
    #[arg(long)]
    pub quiet: bool,

    /// The result on standard output is one JSON object
    #[arg(long)]
    pub json: bool,
}

impl Common {
    /// Where data sets lie.
    pub(crate) fn root(&self) -> PathBuf {
        self.data.clone().unwrap_or_else(flicker_manifest::data_root)
    }
}
