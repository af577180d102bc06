//! Scores of rows that come on the standard input as an Arrow IPC stream, each of its batches answered by a batch.

use super::lines::Told;
use crate::Failure;
use crate::opened::Opened;
use crate::scoring::Scorer;
use crate::signals::Signals;
use crate::unseen::prepared;
use flicker_core::calibration::Calibration;
use flicker_core::data::Samples;
use flicker_core::{Error, SampleShape};
use flicker_table::{ArrowWriter, Coding, Values, read_arrow};
use indicatif::ProgressBar;
use std::io::{Read, Write};
use std::sync::Arc;

const INPUT: &str = "standard input";

/// Answers each batch of `input` on `answers` until there are no more: `row`, `score` and its parts, `normalised`, `p_value`,
/// `abnormal`.
///
/// # Errors
/// If the model takes no rows with names, a batch cannot be read as such rows, or the answers cannot be written. The batches
/// before it are answered.
pub(super) fn answer_arrow(
    run: &Opened,
    calibration: &Calibration,
    input: impl Read + Send + 'static,
    answers: impl Write,
) -> Result<Told, Failure> {
    let coding = coding(run)?;
    let (rng, signals) = (run.scoring_rng(), Signals::listen()?);
    let (model, device) = (run.model.as_ref(), run.model.weights().device());
    let scorer = Scorer { model, device, rng: &rng, signals: &signals, quiet: true };
    let mut writer = ArrowWriter::new("standard output", answers);
    let mut told = Told::default();
    for batch in read_arrow(INPUT, input, &coding.columns())? {
        if let Some(stop) = signals.stop() {
            return Err(Error::Stopped(stop).into());
        }
        let (batch, mut values) = (batch?, Vec::new());
        if batch.rows().is_empty() {
            continue;
        }
        coding.apply(&batch, &mut values)?;
        let source = prepared(run, Arc::new(Samples::new(coding.width(), values)?))?;
        let scored = scorer.score(&source, &ProgressBar::hidden(), &mut |_, _| Ok(()))?;
        let decisions = calibration.decide(&scored.total)?;
        told.scored += decisions.len();
        told.flagged += decisions.iter().filter(|taken| taken.abnormal).count();
        let mut columns = vec![("row", Values::Rows(batch.rows())), ("score", Values::F32(scored.total))];
        columns.extend(scored.parts.into_iter().map(|(name, values)| (name, Values::F32(values))));
        columns.push(("normalised", Values::F64(decisions.iter().map(|taken| taken.normalised).collect())));
        columns.push(("p_value", Values::F64(decisions.iter().map(|taken| taken.p_value).collect())));
        columns.push(("abnormal", Values::Booleans(decisions.iter().map(|taken| taken.abnormal).collect())));
        writer.write(columns)?;
    }
    writer.finish()?;
    Ok(told)
}

/// How the columns of the stream become the model's numbers.
fn coding(run: &Opened) -> Result<Coding, Failure> {
    let refused = |problem: &str| Err(Failure::Failed(format!("{INPUT}: is an Arrow stream, {problem}")));
    match (&run.coding, run.shape) {
        (Some(coding), _) => Ok(coding.clone()),
        (None, SampleShape::Image { .. }) => {
            refused("but the model takes images; send {\"path\": FILE} lines")
        }
        (None, SampleShape::Table { .. }) if run.experiment.data.leak_label => {
            refused("but the run reads the label as a feature, so rows without one cannot be scored")
        }
        (None, SampleShape::Table { features }) if run.facts.columns.len() == features => {
            Ok(Coding::of_numbers(&run.facts.columns))
        }
        (None, SampleShape::Table { .. }) => {
            refused("but the run names no columns; send a list of numbers a line")
        }
    }
}
