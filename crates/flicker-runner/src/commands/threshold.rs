//! The threshold that decides: the run's own, or another that the user asks for.

use crate::Failure;
use crate::opened::Opened;
use crate::unseen::Unseen;
use flicker_core::calibration::Calibration;
use serde::Deserialize;
use std::collections::HashMap;
use std::path::{Path, PathBuf};

/// Another threshold than the run's.
#[derive(Clone, Debug, Default, clap::Args)]
#[group(multiple = false)]
pub struct ThresholdArgs {
    /// Another threshold from the run's validation scores: the share of normal samples that may be flagged
    #[arg(long, value_name = "RATE")]
    pub false_alarm_rate: Option<f64>,

    /// This threshold: a sample is flagged if its score is greater
    #[arg(long, value_name = "SCORE", allow_negative_numbers = true)]
    pub threshold: Option<f64>,

    /// The threshold with the largest F1 on those of the scored samples that a table labels (columns id and label: normal or
    /// abnormal, 0 or 1); it makes no promise on others
    #[arg(long, value_name = "LABELS.csv")]
    pub best_f1_on: Option<PathBuf>,
}

impl ThresholdArgs {
    /// What can be refused before any sample is scored.
    pub(super) fn check(&self) -> Result<(), Failure> {
        match (self.false_alarm_rate, self.threshold) {
            (Some(rate), _) if !(rate > 0.0 && rate < 1.0) => {
                Err(Failure::usage(format!("--false-alarm-rate {rate}: expected a number between 0 and 1")))
            }
            (_, Some(threshold)) if !threshold.is_finite() => {
                Err(Failure::usage(format!("--threshold {threshold}: expected a finite number")))
            }
            _ => Ok(()),
        }
    }

    /// What decides on any samples: the threshold of the run, or the one that is asked for. Labels are not looked at.
    ///
    /// # Errors
    /// If the run has no threshold.
    pub(super) fn saved_or_asked(&self, run: &Opened) -> Result<Calibration, Failure> {
        let saved = run.calibration()?;
        if let Some(rate) = self.false_alarm_rate {
            return Ok(Calibration::conformal(saved.normals(), rate)?);
        }
        if let Some(threshold) = self.threshold {
            return Ok(Calibration::fixed(saved.normals(), threshold)?);
        }
        Ok(saved)
    }

    /// What decides on samples with these scores.
    ///
    /// # Errors
    /// If the run has no threshold, or the table of labels cannot be read or names another sample.
    pub(super) fn calibration(
        &self,
        run: &Opened,
        unseen: &Unseen,
        scores: &[f32],
    ) -> Result<Calibration, Failure> {
        let saved = self.saved_or_asked(run)?;
        let Some(path) = &self.best_f1_on else { return Ok(saved) };
        let index: HashMap<String, usize> =
            (0..unseen.source.len()).map(|i| (unseen.source.id(i), i)).collect();
        let (mut chosen, mut abnormal) = (Vec::new(), Vec::new());
        for (id, label) in labels(path)? {
            let Some(&at) = index.get(&id) else {
                let problem = format!("labels sample `{id}`, which is not among those that were scored");
                return Err(Failure::Failed(format!("{}: {problem}", path.display())));
            };
            chosen.push(scores[at]);
            abnormal.push(label);
        }
        let best = Calibration::best_f1(&chosen, &abnormal)
            .map_err(|error| Failure::Failed(format!("{}: {error}", path.display())))?;
        // The p-values stay those of the validation normals.
        Ok(Calibration::fixed(saved.normals(), best.threshold_or_infinity())?)
    }
}

/// Ids and labels of a table; `true` is abnormal.
fn labels(path: &Path) -> Result<Vec<(String, bool)>, Failure> {
    #[derive(Deserialize)]
    struct Line {
        id: String,
        label: String,
    }
    let bytes = flicker_core::file::read(path)?;
    let wrong = |what: String| Failure::Failed(format!("{}: {what}", path.display()));
    let lines =
        csv::ReaderBuilder::new().trim(csv::Trim::All).from_reader(bytes.as_slice()).into_deserialize();
    lines
        .enumerate()
        .map(|(row, line)| {
            let Line { id, label } = line.map_err(|error| wrong(error.to_string()))?;
            match label.to_ascii_lowercase().as_str() {
                "abnormal" | "1" | "true" => Ok((id, true)),
                "normal" | "0" | "false" => Ok((id, false)),
                _ => Err(wrong(format!("row {}: expected normal or abnormal, found `{label}`", row + 1))),
            }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_are_read_in_words_and_numbers() {
        let dir = tempfile::tempdir().expect("a folder");
        let path = dir.path().join("labels.csv");
        std::fs::write(&path, "id,label\na, abnormal\nb,0\nc,True\n").expect("written");
        let read = labels(&path).expect("labels");
        assert_eq!(read, [("a".into(), true), ("b".into(), false), ("c".into(), true)]);
        std::fs::write(&path, "id,label\na,maybe\n").expect("written");
        let error = labels(&path).expect_err("no label").to_string();
        assert!(error.ends_with("row 1: expected normal or abnormal, found `maybe`"), "{error}");
        std::fs::write(&path, "name,label\na,1\n").expect("written");
        assert!(labels(&path).expect_err("no id").to_string().contains("id"));
    }

    #[test]
    fn wrong_numbers_are_refused_before_any_work() {
        let rate = |rate| ThresholdArgs { false_alarm_rate: Some(rate), ..ThresholdArgs::default() };
        assert!(rate(0.05).check().is_ok() && rate(0.0).check().is_err() && rate(1.0).check().is_err());
        let fixed = |at| ThresholdArgs { threshold: Some(at), ..ThresholdArgs::default() };
        assert!(fixed(-1.0).check().is_ok() && fixed(f64::NAN).check().is_err());
    }
}
