//! Scores of new samples by the model of a run folder, with p-values and decisions by its saved threshold.

use super::arrow::answer_arrow;
use super::lines::answer_lines;
use super::maps::MapsFolder;
use super::rescore;
use super::stream::Stream;
use super::threshold::ThresholdArgs;
use crate::Failure;
use crate::args::{Common, on_error};
use crate::device::device;
use crate::evaluate::{decision, threshold_in_words};
use crate::family::AnyFamily;
use crate::opened::Opened;
use crate::say;
use crate::scoring::Scored;
use crate::unseen::{Unseen, Which};
use candle_core::Tensor;
use flicker_core::calibration::{Calibration, Decision};
use flicker_core::data::{OnError, Prepare};
use flicker_core::file::{Whole, write_whole};
use flicker_table::{ParquetWriter, Values, begins_as_arrow};
use serde_json::json;
use std::io::{BufRead, BufReader, Write};
use std::ops::Range;
use std::path::{Path, PathBuf};

/// The arguments of a scoring.
#[derive(Clone, Debug, clap::Args)]
pub struct ScoreArgs {
    /// The run folder, which is the model: numbers, weights, threshold
    #[arg(value_name = "RUN")]
    pub run: PathBuf,

    /// What to score: the name of a data set, a folder of images, a table with the columns that the run read (CSV, also .gz and
    /// .zst, Parquet, Arrow), or a file of IDX images; `-` reads the standard input, a JSON value a line or an Arrow IPC
    /// stream, and answers each line or batch at once [default: the run's own test set]
    #[arg(value_name = "DATA")]
    pub samples: Option<String>,

    /// The part of a data set or folder [default: test, where there are parts]
    #[arg(long, value_enum)]
    pub part: Option<Which>,

    /// Where the scores go, as Parquet where it ends so, otherwise as CSV [default: standard output]
    #[arg(long, value_name = "FILE", required_if_eq("json", "true"))]
    pub out: Option<PathBuf>,

    /// A new folder for the anomaly maps of images: each as numbers (npy) and as a picture over its image (PNG)
    #[arg(long, value_name = "DIR")]
    pub maps: Option<PathBuf>,

    /// What is done about a broken file of a folder, or a line of the standard input that is no sample
    #[arg(long, value_parser = on_error(), default_value = "fail", value_name = "WHAT")]
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
        expect_free("--out", out, &args.run)?;
    }
    if args.samples.as_deref() == Some("-") {
        return answer(&run, args);
    }
    // A threshold by labels looks for its samples among all that were scored.
    if args.maps.is_none()
        && args.decide.best_f1_on.is_none()
        && let Some(stream) = Stream::open(&run, args.samples.as_deref())?
    {
        return score_stream(&run, &stream, args);
    }
    let unseen = Unseen::read(&run, args.samples.as_deref(), args.part, args.on_error, &args.common.root())?;
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
        Some(out) if is_parquet(out) => write_whole(out, &parquet(&unseen, &scored, &decisions, out)?)?,
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
    let flagged = decisions.iter().filter(|taken| taken.abnormal).count();
    summarise(args, &calibration, decisions.len(), flagged);
    Ok(())
}

/// Scores a table as it is read, and writes the scores as they come: to a file, which is in its place when it is whole, or to
/// standard output.
fn score_stream(run: &Opened, stream: &Stream<'_>, args: &ScoreArgs) -> Result<(), Failure> {
    if args.part.is_some() {
        return Err(Failure::usage("--part: a file has no parts"));
    }
    stream.announce(&args.common);
    let calibration = args.decide.saved_or_asked(run)?;
    let mut whole = args.out.as_deref().map(Whole::create).transpose()?;
    let mut packed = match (&args.out, whole.take_if(|_| args.out.as_deref().is_some_and(is_parquet))) {
        (Some(out), Some(whole)) => Some(ParquetWriter::new(&out.display().to_string(), whole)),
        _ => None,
    };
    let mut flagged = 0;
    let mut see = |rows: Range<usize>, scored: &Scored| -> Result<(), Failure> {
        let decisions = calibration.decide(&scored.total)?;
        flagged += decisions.iter().filter(|taken| taken.abnormal).count();
        if let Some(packed) = &mut packed {
            let ids = rows.map(|row| row.to_string()).collect();
            let mut columns = vec![("id", Values::Texts(ids))];
            columns.extend(typed(scored, &decisions));
            return Ok(packed.write(columns)?);
        }
        let mut writer = csv::Writer::from_writer(Vec::new());
        if rows.start == 0 {
            writer.write_record(header(scored, None, None)).map_err(|error| fail(&error))?;
        }
        for (i, id) in rows.enumerate() {
            writer
                .write_record(row(id.to_string(), [], scored, &decisions, i))
                .map_err(|error| fail(&error))?;
        }
        let text = writer.into_inner().map_err(|error| Failure::Failed(format!("scores: {error}")))?;
        match &mut whole {
            Some(whole) => {
                whole.write_all(&text).map_err(|error| Failure::Failed(format!("scores: {error}")))
            }
            None => {
                crate::print(&String::from_utf8_lossy(&text));
                Ok(())
            }
        }
    };
    let n = stream.score(&args.common, &mut see).map_err(|failure| match args.out {
        Some(_) => failure.hinting("nothing was written"),
        None => failure,
    })?;
    let packed = packed.map(ParquetWriter::finish).transpose()?.flatten();
    packed.or(whole).map(Whole::finish).transpose()?;
    summarise(args, &calibration, n, flagged);
    Ok(())
}

fn is_parquet(out: &Path) -> bool {
    out.extension().is_some_and(|ending| ending.eq_ignore_ascii_case("parquet"))
}

/// As [`table`], with a type for each column.
fn parquet(unseen: &Unseen, scored: &Scored, decisions: &[Decision], out: &Path) -> Result<Vec<u8>, Failure> {
    let n = decisions.len();
    let mut columns = vec![("id", Values::Texts((0..n).map(|i| unseen.source.id(i)).collect()))];
    columns.extend(unseen.classes.clone().map(|classes| ("class", Values::Texts(classes))));
    let label = |known: &Option<bool>| known.map_or("", decision).to_string();
    columns.extend(
        unseen.abnormal.as_ref().map(|all| ("label", Values::Texts(all.iter().map(label).collect()))),
    );
    columns.extend(typed(scored, decisions));
    let mut writer = ParquetWriter::new(&out.display().to_string(), Vec::new());
    writer.write(columns)?;
    Ok(writer.finish()?.unwrap_or_default())
}

/// The scores and what was decided, as columns.
fn typed(scored: &Scored, decisions: &[Decision]) -> Vec<(&'static str, Values)> {
    let mut columns = vec![("score", Values::F32(scored.total.clone()))];
    columns.extend(scored.parts.iter().map(|(name, values)| (*name, Values::F32(values.clone()))));
    columns.push(("normalised", Values::F64(decisions.iter().map(|taken| taken.normalised).collect())));
    columns.push(("p_value", Values::F64(decisions.iter().map(|taken| taken.p_value).collect())));
    let words = decisions.iter().map(|taken| decision(taken.abnormal).to_string());
    columns.push(("decision", Values::Texts(words.collect())));
    columns
}

/// Answers the standard input line by line, or batch by batch where it is an Arrow stream.
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
    let calibration = args.decide.saved_or_asked(run)?;
    let (mut input, output) = (BufReader::new(std::io::stdin()), std::io::stdout().lock());
    let head = input.fill_buf().map_err(|error| Failure::Failed(format!("standard input: {error}")))?;
    let told = match begins_as_arrow(head) {
        true if !args.on_error.is_fail() => {
            return Err(Failure::usage("--on-error: of an Arrow stream no row can be skipped"));
        }
        true => answer_arrow(run, &calibration, input, output)?,
        false => answer_lines(run, &calibration, args.on_error, input, output)?,
    };
    if !args.common.quiet {
        let (scored, flagged, skipped) = (told.scored, told.flagged, told.skipped);
        let words = threshold_in_words(&calibration);
        say(&format!("{flagged} of {scored} samples flagged ({words}); {skipped} lines skipped"));
    }
    Ok(())
}

/// Refuses, before any work, a place where nothing can be written, or that belongs to the run.
pub(super) fn expect_free(flag: &str, out: &Path, run: &Path) -> Result<(), Failure> {
    let shown = out.display();
    let parent = match out.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    if out.is_dir() || !parent.is_dir() {
        return Err(Failure::usage(format!("{flag} {shown}: expected a file in a folder that is there")));
    }
    let same_folder = parent.canonicalize().ok().zip(run.canonicalize().ok()).is_some_and(|(a, b)| a == b);
    if same_folder && out.exists() {
        return Err(Failure::usage(format!("{flag} {shown}: belongs to the run, use another name")));
    }
    Ok(())
}

/// A row a sample, what is known of it first. The columns are named as in the run's own `scores.csv`; `normalised` is the
/// score between 0 and 1, above 0.5 where it is above the threshold.
fn table(unseen: &Unseen, scored: &Scored, decisions: &[Decision]) -> Result<Vec<u8>, Failure> {
    let mut writer = csv::Writer::from_writer(Vec::new());
    let class = unseen.classes.as_ref().map(|_| "class");
    let label = unseen.abnormal.as_ref().map(|_| "label");
    writer.write_record(header(scored, class, label)).map_err(|error| fail(&error))?;
    for i in 0..decisions.len() {
        let class = unseen.classes.as_ref().map(|classes| classes[i].clone());
        let label = unseen.abnormal.as_ref().map(|all| all[i].map_or("", decision).to_string());
        let known = class.into_iter().chain(label);
        writer
            .write_record(row(unseen.source.id(i), known, scored, decisions, i))
            .map_err(|error| fail(&error))?;
    }
    writer.into_inner().map_err(|error| Failure::Failed(format!("scores: {error}")))
}

fn fail(error: &csv::Error) -> Failure {
    Failure::Failed(format!("scores: {error}"))
}

/// The names of the columns of scores.
fn header(scored: &Scored, class: Option<&'static str>, label: Option<&'static str>) -> Vec<&'static str> {
    let known = ["id"].into_iter().chain(class).chain(label).chain(["score"]);
    let parts = scored.parts.iter().map(|(name, _)| *name);
    known.chain(parts).chain(["normalised", "p_value", "decision"]).collect()
}

/// The row of sample `i`; `known` is what is known of it.
fn row(
    id: String,
    known: impl IntoIterator<Item = String>,
    scored: &Scored,
    decisions: &[Decision],
    i: usize,
) -> Vec<String> {
    let taken = &decisions[i];
    let mut row = vec![id];
    row.extend(known);
    row.push(scored.total[i].to_string());
    row.extend(scored.parts.iter().map(|(_, values)| values[i].to_string()));
    row.extend([taken.normalised.to_string(), taken.p_value.to_string(), decision(taken.abnormal).into()]);
    row
}

fn summarise(args: &ScoreArgs, calibration: &Calibration, n: usize, flagged: usize) {
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
