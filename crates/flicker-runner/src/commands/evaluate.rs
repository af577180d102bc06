//! The evaluation of a run again: the same sets scored by the saved weights, and a word on what is not as recorded.

use crate::Failure;
use crate::args::Common;
use crate::compare::Comparison;
use crate::conclude::{Conclusion, Recorded, Spent};
use crate::device::device;
use crate::family::AnyFamily;
use crate::folder::{CONFIG, Folder, WEIGHTS};
use crate::opened::Opened;
use crate::samples;
use crate::say;
use crate::signals::Signals;
use flicker_core::Rng;
use serde_json::{Value, json};
use std::path::PathBuf;

/// The arguments of an evaluation.
#[derive(Clone, Debug, clap::Args)]
pub struct EvaluateArgs {
    /// The run folder
    #[arg(value_name = "RUN")]
    pub run: PathBuf,

    /// A new folder for what comes out, in place of the run's own
    #[arg(long, value_name = "DIR")]
    pub into: Option<PathBuf>,

    /// What all commands share.
    #[command(flatten)]
    pub common: Common,
}

/// Scores the validation and test sets of a run of one of `families` again by its saved weights, writes scores, threshold,
/// metrics, gallery and report again, and says whether they are those that were recorded. A run that was cut off after its
/// training is brought to its end this way.
///
/// # Errors
/// If the run folder has no weights or is damaged, or the data are not those of the run.
pub fn evaluate(families: &[&AnyFamily], args: &EvaluateArgs) -> Result<(), Failure> {
    let run = Opened::read(families, &args.run, &device(&args.common.device)?)?;
    let data = samples::read(&run.experiment.data, &args.common.root(), &Rng::new(run.seed).fork("data"))?;
    run.expect_same(&data)?;
    let recorded = Recording::read(&run.folder);
    let folder = match &args.into {
        Some(dir) => copied(&run, dir)?,
        None => run.folder.clone(),
    };
    if !args.common.quiet {
        say(&format!("{}: {}", run.experiment.name, run.experiment.title));
        say(&format!("data: {} from {}; {}", data.facts.name, data.facts.origin, data.facts.protocol));
    }
    let (device, signals) = (run.model.weights().device(), Signals::listen()?);
    let conclusion = Conclusion {
        experiment: &run.experiment,
        seed: run.seed,
        device,
        data: &data,
        model: run.model.as_ref(),
        signals: &signals,
        quiet: args.common.quiet,
    };
    let evaluated = conclusion
        .write(&folder, &Spent::Before(recorded.spent))
        .map_err(|failure| failure.hinting("run the same command again"))?;
    let found = Recording::read(&folder);
    let comparison = recorded.compare(&found)?;
    let dir = folder.dir().display().to_string();
    if args.common.json {
        crate::print_json(&json!({
            "run": args.run.display().to_string(),
            "into": dir,
            "comparison": comparison,
            "metrics": found.metrics,
        }));
    } else {
        let mut lines = evaluated.in_words();
        lines.extend(match &comparison {
            Some(comparison) => comparison.in_words(),
            None => vec!["nothing was recorded to compare with".to_string()],
        });
        lines.push(format!("everything is in {dir}"));
        crate::print(&(lines.join("\n") + "\n"));
    }
    Ok(())
}

/// What a run folder says of its evaluation.
struct Recording {
    metrics: Value,
    scores: Vec<u8>,
    spent: Recorded,
}

impl Recording {
    /// What is there; a file that is not there or damaged counts as nothing, since it is written again.
    fn read(folder: &Folder) -> Self {
        let metrics: Value = folder.read_json("metrics.json").unwrap_or_default();
        let scores = flicker_core::file::read(&folder.path("scores.csv")).unwrap_or_default();
        let mut spent: Recorded = serde_json::from_value(metrics.clone()).unwrap_or_default();
        spent.seconds_train = spent.seconds_train.or_else(|| seconds_in_log(folder));
        Self { metrics, scores, spent }
    }

    fn compare(&self, found: &Self) -> Result<Option<Comparison>, Failure> {
        if self.metrics.is_null() && self.scores.is_empty() {
            return Ok(None);
        }
        Comparison::new((&self.metrics, &self.scores), (&found.metrics, &found.scores)).map(Some)
    }
}

/// The seconds of training that the log ends with.
fn seconds_in_log(folder: &Folder) -> Option<f64> {
    let text = std::fs::read_to_string(folder.path("log.jsonl")).ok()?;
    let done = text.lines().rev().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    done.into_iter().find(|value| value["event"] == "done")?["seconds"].as_f64()
}

/// A new folder at `dir` with what describes the run: it is a run folder itself.
fn copied(run: &Opened, dir: &std::path::Path) -> Result<Folder, Failure> {
    let folder = Folder::create_at("--into", dir)?;
    for name in [CONFIG, "data.json", "scale.json", "coding.json", WEIGHTS, "log.jsonl"] {
        let path = run.folder.path(name);
        if path.exists() {
            folder.write(name, &flicker_core::file::read(&path)?)?;
        }
    }
    Ok(folder)
}
