//! Scores of new samples by the model of a run folder, with p-values and decisions by its saved threshold.

use super::maps::MapsFolder;
use super::rescore;
use super::stream::{OnError, stream};
use super::threshold::ThresholdArgs;
use crate::Failure;
use crate::args::Common;
use crate::device::device;
use crate::evaluate::{decision, threshold_in_words};
use crate::family::AnyFamily;
use crate::opened::Opened;
use crate::say;
use crate::scoring::Scored;
use crate::unseen::{Unseen, Which};
use candle_core::Tensor;
use flicker_core::calibration::{Calibration, Decision};
use flicker_core::data::Prepare;
use flicker_core::file::write_whole;
use serde_json::json;
use std::path::{Path, PathBuf};

/// The arguments of a scoring.
#[derive(Clone, Debug, clap::Args)]
pub struct ScoreArgs {
    /// The run folder, which is the model: numbers, weights, threshold
    #[arg(value_name = "RUN")]
    pub run: PathBuf,

    /// What to score: the name of a data set, a folder of images, a CSV table with the columns that the run read, or a file
    /// of IDX images; `-` reads a JSON value a line from the standard input and answers each at once [default: the run's own test set]
    #[arg(value_name = "DATA")]
    pub samples: Option<String>,

    /// The part of a data set or folder [default: test, where there are parts]
    #[arg(long, value_enum)]
    pub part: Option<Which>,

    /// Where the scores go, as CSV [default: standard output]
    #[arg(long, value_name = "FILE", required_if_eq("json", "true"))]
    pub out: Option<PathBuf>,

    /// A new folder for the anomaly maps of images: each as numbers (npy) and as a picture over its image (PNG)
    #[arg(long, value_name = "DIR")]
    pub maps: Option<PathBuf>,

    /// What is done about a line of the standard input that is no sample
    #[arg(long, value_enum, default_value_t)]
    pub on_error: OnError,

    /// What decides.
    #[command(flatten)]
    pub decide: ThresholdArgs,

    /// What all commands share.
    #[command(flatten)]
    pub common: Common,
}

/// Scores what `args` ask for by the model of a run of one of `families`.
///
/// # Errors
/// If the run folder is not whole, the samples are not there or of another shape, or the scores cannot be written.
pub fn score(families: &[&AnyFamily], args: &ScoreArgs) -> Result<(), Failure> {
    args.decide.check()?;
    let run = Opened::read(families, &args.run, &device(&args.common.device)?)?;
    run.calibration()?; // a damaged threshold is told before any work
    if let Some(out) = &args.out {
        expect_free(out, &args.run)?;
    }
    if args.samples.as_deref() == Some("-") {
        return answer(&run, args);
    }
    let unseen = Unseen::read(&run, args.samples.as_deref(), args.part, &args.common.root())?;
    let prepare = run.experiment.data.prepare.unwrap_or(Prepare::KEEP);
    let mut maps =
        args.maps.as_deref().map(|dir| MapsFolder::new(dir, &unseen.source, prepare)).transpose()?;
    rescore::announce(&run, &unseen, &args.common);
    let mut see_map = |indices: &[usize], map: &Tensor| match &mut maps {
        Some(maps) => maps.add(indices, map),
        None => Ok(()),
    };
    let scored = rescore::score(&run, &unseen.source, &args.common, &mut see_map)
        .map_err(|failure| failure.hinting("nothing was written"))?;
    let calibration = args.decide.calibration(&run, &unseen, &scored.total)?;
    let decisions = calibration.decide(&scored.total)?;
    let text = table(&unseen, &scored, &decisions)?;
    match &args.out {
        Some(out) => write_whole(out, &text)?,
        None => crate::print(&String::from_utf8_lossy(&text)),
    }
    if let Some(maps) = maps {
        let n = maps.finish()?;
        if !args.common.quiet {
            let dir = args.maps.as_deref().unwrap_or(Path::new("")).display();
            say(&format!("{n} maps are in {dir}"));
        }
    }
    summarise(args, &calibration, &decisions);
    Ok(())
}

/// Answers the standard input line by line.
fn answer(run: &Opened, args: &ScoreArgs) -> Result<(), Failure> {
    let given = [
        ("--out", args.out.is_some()),
        ("--maps", args.maps.is_some()),
        ("--part", args.part.is_some()),
        ("--best-f1-on", args.decide.best_f1_on.is_some()),
    ];
    if let Some((name, _)) = given.into_iter().find(|(_, given)| *given) {
        return Err(Failure::usage(format!(
            "{name}: cannot be used with -, which answers on the standard output"
        )));
    }
    let calibration = args.decide.of_run(run)?;
    let told = stream(run, &calibration, args.on_error, std::io::stdin().lock(), std::io::stdout().lock())?;
    if !args.common.quiet {
        let (scored, flagged, skipped) = (told.scored, told.flagged, told.skipped);
        let words = threshold_in_words(&calibration);
        say(&format!("{flagged} of {scored} samples flagged ({words}); {skipped} lines skipped"));
    }
    Ok(())
}

/// Refuses, before any work, a place where nothing can be written, or that belongs to the run.
fn expect_free(out: &Path, run: &Path) -> Result<(), Failure> {
    let shown = out.display();
    let parent = match out.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    if out.is_dir() || !parent.is_dir() {
        return Err(Failure::usage(format!("--out {shown}: expected a file in a folder that is there")));
    }
    let same_folder = parent.canonicalize().ok().zip(run.canonicalize().ok()).is_some_and(|(a, b)| a == b);
    if same_folder && out.exists() {
        return Err(Failure::usage(format!("--out {shown}: belongs to the run, use another name")));
    }
    Ok(())
}

/// A row a sample, what is known of it first. The columns are named as in the run's own `scores.csv`; `normalised` is the
/// score between 0 and 1, above 0.5 where it is above the threshold.
fn table(unseen: &Unseen, scored: &Scored, decisions: &[Decision]) -> Result<Vec<u8>, Failure> {
    let fail = |error: csv::Error| Failure::Failed(format!("scores: {error}"));
    let mut writer = csv::Writer::from_writer(Vec::new());
    let mut header = vec!["id"];
    header.extend(unseen.classes.as_ref().map(|_| "class"));
    header.extend(unseen.abnormal.as_ref().map(|_| "label"));
    header.push("score");
    header.extend(scored.parts.iter().map(|(name, _)| *name));
    header.extend(["normalised", "p_value", "decision"]);
    writer.write_record(&header).map_err(fail)?;
    for (i, taken) in decisions.iter().enumerate() {
        let mut row = vec![unseen.source.id(i)];
        row.extend(unseen.classes.as_ref().map(|classes| classes[i].clone()));
        row.extend(unseen.abnormal.as_ref().map(|all| all[i].map_or("", decision).to_string()));
        row.push(scored.total[i].to_string());
        row.extend(scored.parts.iter().map(|(_, values)| values[i].to_string()));
        row.extend([
            taken.normalised.to_string(),
            taken.p_value.to_string(),
            decision(taken.abnormal).into(),
        ]);
        writer.write_record(&row).map_err(fail)?;
    }
    writer.into_inner().map_err(|error| Failure::Failed(format!("scores: {error}")))
}

fn summarise(args: &ScoreArgs, calibration: &Calibration, decisions: &[Decision]) {
    let (n, flagged) = (decisions.len(), decisions.iter().filter(|taken| taken.abnormal).count());
    let Some(out) = args.out.as_ref().map(|out| out.display().to_string()) else {
        if !args.common.quiet {
            say(&format!("{flagged} of {n} samples flagged ({})", threshold_in_words(calibration)));
        }
        return; // Standard output holds the scores and nothing else.
    };
    if args.common.json {
        crate::print_json(&json!({
            "run": args.run.display().to_string(),
            "scores": out,
            "n": n,
            "n_flagged": flagged,
            "threshold": calibration.threshold(),
            "n_validation": calibration.n(),
            "false_alarms": calibration.false_alarms(),
        }));
    } else {
        crate::print(&format!(
            "{flagged} of {n} samples flagged ({}); scores are in {out}\n",
            threshold_in_words(calibration)
        ));
    }
}
