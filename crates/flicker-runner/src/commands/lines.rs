//! Scores of samples that come on the standard input, one JSON value a line, each answered by a line of JSON.
//!
//! A line is an object with a value for each column (`{"amount": 12.5, "hour": 3}`), a list of all values in the order of
//! the columns, or for images an object that names a file (`{"path": "part.png"}`). An `id`, where the object has one, is
//! given back. Lines that are there already are scored together; a line that comes alone is answered at once.

use crate::Failure;
use crate::opened::Opened;
use crate::scoring::{Scored, Scorer};
use crate::signals::Signals;
use crate::unseen::prepared;
use flicker_core::calibration::Calibration;
use flicker_core::data::{Limits, OnError, Samples, Source, decode};
use flicker_core::{Error, SampleShape};
use flicker_table::{Batch, Coding, Column};
use indicatif::ProgressBar;
use serde_json::{Map, Value, json};
use std::io::{BufRead, BufReader, Read, Write};
use std::path::Path;
use std::sync::Arc;

/// Lines that are scored together, at most.
const TOGETHER: usize = 256;
/// The longest line that is taken: nothing is read into memory without a bound.
const LONGEST: u64 = 16 << 20;

/// How a stream ended.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Told {
    pub(super) scored: usize,
    pub(super) flagged: usize,
    pub(super) skipped: usize,
}

/// Answers each line of `lines` on `answers` until there are no more.
///
/// # Errors
/// If a line cannot be read as a sample of the model and `on_error` says to fail, or the answers cannot be written. The lines
/// before it are answered.
pub(super) fn answer_lines(
    run: &Opened,
    calibration: &Calibration,
    on_error: OnError,
    lines: impl Read,
    mut answers: impl Write,
) -> Result<Told, Failure> {
    let (mut lines, signals) = (BufReader::new(lines), Signals::listen()?);
    let (mut told, mut number) = (Told::default(), 0);
    while let Some(first) = next(&mut lines, &mut number)? {
        if let Some(stop) = signals.stop() {
            return Err(Error::Stopped(stop).into());
        }
        let mut batch = vec![first];
        while batch.len() < TOGETHER && lines.buffer().contains(&b'\n') {
            batch.extend(next(&mut lines, &mut number)?);
        }
        let mut answered = Vec::with_capacity(batch.len());
        let mut samples = Vec::new();
        let mut failure = None; // told after the answers to the lines before it
        for (number, line) in batch {
            match sample(run, &line) {
                Ok((id, values)) => {
                    samples.push(values);
                    answered.push(Ok(id));
                }
                Err(problem) if on_error == OnError::Skip => answered.push(Err((number, problem))),
                Err(problem) => {
                    failure = Some(Failure::Failed(format!("standard input, line {number}: {problem}")));
                    break;
                }
            }
        }
        told.skipped += answered.len() - samples.len();
        let scored = scored(run, &signals, &samples)?;
        let decisions = calibration.decide(&scored.total)?;
        let mut next = 0;
        for answer in answered {
            let line = match answer {
                Err((line, error)) => json!({"line": line, "error": error}),
                Ok(id) => {
                    let taken = &decisions[next];
                    let mut line = Map::new();
                    line.extend(id.map(|id| ("id".to_string(), id)));
                    line.insert("score".into(), json!(scored.total[next]));
                    line.extend(scored.parts.iter().map(|(name, all)| (name.to_string(), json!(all[next]))));
                    line.insert("normalised".into(), json!(taken.normalised));
                    line.insert("p_value".into(), json!(taken.p_value));
                    line.insert("abnormal".into(), json!(taken.abnormal));
                    (told.scored, told.flagged) =
                        (told.scored + 1, told.flagged + usize::from(taken.abnormal));
                    next += 1;
                    Value::Object(line)
                }
            };
            writeln!(answers, "{line}").map_err(|error| unwritten(&error))?;
        }
        answers.flush().map_err(|error| unwritten(&error))?;
        if let Some(failure) = failure {
            return Err(failure);
        }
    }
    Ok(told)
}

fn unwritten(error: &std::io::Error) -> Failure {
    Failure::Failed(format!("standard output: {error}"))
}

/// The next line that is not empty, with its number from 1.
fn next(lines: &mut impl BufRead, number: &mut usize) -> Result<Option<(usize, String)>, Failure> {
    loop {
        let mut line = Vec::new();
        *number += 1;
        let fail = |problem: String| Failure::Failed(format!("standard input, line {number}: {problem}"));
        let n = lines.take(LONGEST).read_until(b'\n', &mut line).map_err(|error| fail(error.to_string()))?;
        if n as u64 == LONGEST {
            return Err(fail(format!("is longer than {LONGEST} bytes")));
        }
        if n == 0 {
            return Ok(None);
        }
        let line = String::from_utf8(line).map_err(|_| fail("is no UTF-8 text".into()))?;
        if !line.trim().is_empty() {
            return Ok(Some((*number, line)));
        }
    }
}

type Problem = String;

/// What a line calls its sample, and the sample's values, prepared as the run prepared its own.
fn sample(run: &Opened, line: &str) -> Result<(Option<Value>, Vec<f32>), Problem> {
    let value: Value = serde_json::from_str(line).map_err(|error| format!("is no JSON: {error}"))?;
    let id = value.get("id").cloned();
    let source: Arc<dyn Source> = match run.shape {
        SampleShape::Image { channels, .. } => Arc::new(image(&value, channels)?),
        SampleShape::Table { .. } if run.experiment.data.leak_label => {
            return Err("the run reads the label as a feature, so rows without one cannot be scored".into());
        }
        SampleShape::Table { features } => Arc::new(match &run.coding {
            Some(coding) => coded(&value, coding)?,
            None => row(&value, &run.facts.columns, features)?,
        }),
    };
    let prepared = prepared(run, source).map_err(|failure| failure.to_string())?;
    if prepared.shape() != run.shape {
        return Err(format!(
            "expected a sample of the model's shape, {}, found {}",
            run.shape,
            prepared.shape()
        ));
    }
    let mut values = vec![0.0; run.shape.elements()];
    prepared.read(0, &mut values).map_err(|error| said(&error))?;
    Ok((id, values))
}

fn said(error: &Error) -> Problem {
    error.to_string()
}

fn image(value: &Value, channels: usize) -> Result<Samples, Problem> {
    let path = value.get("path").and_then(Value::as_str);
    let path = path.ok_or_else(|| format!("expected {{\"path\": \"an image\"}}, found {}", kind(value)))?;
    let bytes = flicker_core::file::read(Path::new(path)).map_err(|error| said(&error))?;
    let image = decode(path, &bytes, channels, Limits::USUAL).map_err(|error| said(&error))?;
    Samples::new((channels, image.size[0], image.size[1]), image.values).map_err(|error| said(&error))
}

fn row(value: &Value, columns: &[String], features: usize) -> Result<Samples, Problem> {
    let values: Result<Vec<f32>, Problem> = match value {
        Value::Array(all) if all.len() == features => {
            all.iter().enumerate().map(|(i, value)| number(value, &format!("value {i}"))).collect()
        }
        Value::Array(all) => Err(format!("expected a list of {features} numbers, found {}", all.len())),
        Value::Object(object) if columns.len() == features => {
            let of = |column: &String| {
                let value = object.get(column).ok_or_else(|| format!("has no column `{column}`"))?;
                number(value, &format!("column `{column}`"))
            };
            columns.iter().map(of).collect()
        }
        Value::Object(_) => Err("the run names no columns, so each line must be a list".into()),
        other => Err(format!("expected an object or a list, found {}", kind(other))),
    };
    Samples::new(features, values?).map_err(|error| said(&error))
}

/// A row of a user's table, coded as those that the model learned from. A column that is null has no value.
fn coded(value: &Value, coding: &Coding) -> Result<Samples, Problem> {
    let columns = coding.columns();
    let absent = |column: &Column| match value {
        Value::Array(all) if all.len() != columns.len() => {
            Some(format!("expected a list of {} values, found {}", columns.len(), all.len()))
        }
        Value::Object(object) if !object.contains_key(&column.name) => {
            Some(format!("has no column `{}`", column.name))
        }
        Value::Array(_) | Value::Object(_) => None,
        other => Some(format!("expected an object or a list, found {}", kind(other))),
    };
    if let Some(problem) = columns.iter().find_map(absent) {
        return Err(problem);
    }
    let field = |(i, column): (usize, &Column)| match value.get(i).or_else(|| value.get(&column.name)) {
        Some(Value::String(text)) => text.clone(),
        Some(Value::Null) | None => String::new(),
        Some(other) => other.to_string(),
    };
    let fields: Vec<String> = columns.iter().enumerate().map(field).collect();
    let batch = Batch::of_fields("row", &columns, &fields).map_err(|error| error.to_string())?;
    let mut values = Vec::with_capacity(coding.width());
    coding.apply(&batch, &mut values).map_err(|error| error.to_string())?;
    Samples::new(coding.width(), values).map_err(|error| said(&error))
}

fn number(value: &Value, what: &str) -> Result<f32, Problem> {
    let number = match value {
        Value::Bool(value) => Some(f64::from(u8::from(*value))),
        other => other.as_f64(),
    };
    let number = number.ok_or_else(|| format!("{what}: expected a number, found {}", kind(value)))? as f32;
    if number.is_finite() { Ok(number) } else { Err(format!("{what}: {value} is too large")) }
}

/// What a JSON value is, in words.
fn kind(value: &Value) -> String {
    match value {
        Value::Null => "null".into(),
        Value::Array(all) => format!("a list of {}", all.len()),
        Value::Object(_) => "an object without it".into(),
        other => other.to_string().chars().take(40).collect(),
    }
}

fn scored(run: &Opened, signals: &Signals, samples: &[Vec<f32>]) -> Result<Scored, Failure> {
    if samples.is_empty() {
        return Ok(Scored { total: Vec::new(), parts: Vec::new() });
    }
    let source: Arc<dyn Source> = Arc::new(Samples::new(run.shape, samples.concat())?);
    let (rng, device) = (run.scoring_rng(), run.model.weights().device());
    let scorer = Scorer { model: run.model.as_ref(), device, rng: &rng, signals, quiet: true };
    scorer.score(&source, &ProgressBar::hidden(), &mut |_, _| Ok(()))
}
