//! From a trained model to scores, a threshold, decisions and metrics.

use crate::Failure;
use crate::experiment::Decide;
use crate::folder::Folder;
use crate::samples::{RunData, TestSet};
use crate::signals::Signals;
use candle_core::Device;
use flicker_core::calibration::{Calibration, Decision};
use flicker_core::data::{Source, chunks, tensor};
use flicker_core::metrics::{Estimate, Ranking, Summary, auroc, summary};
use flicker_core::{Detector, Error, Rng};
use indicatif::{ProgressBar, ProgressStyle};
use serde::Serialize;
use std::io::IsTerminal;
use std::time::Instant;

/// Samples scored at once.
const BATCH: usize = 256;

/// The scores of a set, and their parts.
pub(crate) struct Scored {
    pub total: Vec<f32>,
    pub parts: Vec<(&'static str, Vec<f32>)>,
}

/// What scores: a model, where it computes, and what it draws from.
pub(crate) struct Scorer<'a> {
    pub model: &'a dyn Detector,
    pub device: &'a Device,
    /// The run's stream for scoring.
    pub rng: &'a Rng,
    /// Asked after each batch whether to stop.
    pub signals: &'a Signals,
    /// Whether progress is shown on a terminal.
    pub quiet: bool,
}

/// What came out.
pub(crate) struct Evaluated {
    /// Scores of the test set.
    pub scores: Vec<f32>,
    /// Decisions on the test set.
    pub decisions: Vec<Decision>,
    /// The threshold and what stands behind it.
    pub calibration: Calibration,
    /// The metrics, without what only the program knows.
    pub summary: Summary,
    /// Seconds of scoring.
    pub seconds: f64,
}

/// One abnormal class against all normals of the test.
#[derive(Serialize)]
pub(crate) struct ClassRow {
    pub class: String,
    pub n: usize,
    /// Share that was flagged.
    pub flagged: f64,
    /// Whether the class counts as abnormal.
    pub abnormal: bool,
    /// Against all normals; `None` for normal classes.
    pub auroc: Option<f64>,
    /// Mean score.
    pub mean: f64,
    /// Highest score.
    pub highest: f32,
}

/// The ROC point nearest (0, 1): chosen on the test labels, so a report and no threshold.
#[derive(Serialize)]
pub(crate) struct NearestCorner {
    pub threshold: f32,
    pub false_positive_rate: f64,
    pub true_positive_rate: f64,
    pub note: &'static str,
}

impl Evaluated {
    /// AUROC, AUPRC and F1 with their intervals, a line each.
    pub(crate) fn in_words(&self) -> Vec<String> {
        let estimate = |name: &str, estimate: Option<Estimate>| match estimate {
            Some(e) => format!("{name} {:.4} [{:.4}, {:.4}]", e.value, e.low, e.high),
            None => format!("{name} undefined"),
        };
        let prevalence = self.summary.prevalence;
        let prevalence =
            prevalence.map_or(String::new(), |p| format!("  (prevalence {p:.4}; positive = abnormal)"));
        vec![
            estimate("AUROC", self.summary.auroc),
            estimate("AUPRC", self.summary.auprc) + &prevalence,
            estimate("F1", self.summary.f1) + &format!("  ({})", threshold_in_words(&self.calibration)),
        ]
    }
}

/// The threshold and what stands behind it.
pub(crate) fn threshold_in_words(calibration: &Calibration) -> String {
    match calibration.shortfall() {
        Some(shortfall) => format!("nothing is flagged: {shortfall}"),
        None => format!(
            "threshold {:.6}, from {} validation normals",
            calibration.threshold_or_infinity(),
            calibration.n()
        ),
    }
}

/// Scores validation and test sets, sets the threshold by the former, judges by the latter, and writes `scores.csv`,
/// `calibration.json`.
pub(crate) fn evaluate(
    folder: &Folder,
    scorer: &Scorer<'_>,
    data: &RunData,
    decide: Decide,
) -> Result<Evaluated, Failure> {
    let begun = Instant::now();
    let bar = scorer.bar(data.validation.source.len() + data.test.source.len());
    let validation = scorer.score(data.validation.source.as_ref(), &bar)?;
    let test = scorer.score(data.test.source.as_ref(), &bar)?;
    bar.finish_and_clear();
    let seconds = begun.elapsed().as_secs_f64();
    let calibration = Calibration::conformal(&validation.total, decide.false_alarm_rate)?;
    let decisions = calibration.decide(&test.total)?;
    let threshold = calibration.threshold_or_infinity();
    let summary = summary(&test.total, Some(&data.test.abnormal), threshold, &scorer.rng.fork("metrics"))?;
    let of_validation = calibration.decide(&validation.total)?;
    let sets = [
        ("validation", &data.validation, &validation, &of_validation),
        ("test", &data.test, &test, &decisions),
    ];
    folder.write("scores.csv", &table(&sets)?)?;
    folder.write_json("calibration.json", &calibration)?;
    Ok(Evaluated { scores: test.total, decisions, calibration, summary, seconds })
}

impl Scorer<'_> {
    /// A bar for `n` samples, on a terminal.
    pub(crate) fn bar(&self, n: usize) -> ProgressBar {
        if self.quiet || !std::io::stderr().is_terminal() {
            return ProgressBar::hidden();
        }
        let style =
            ProgressStyle::with_template("scoring {bar:30} {pos}/{len} samples, {per_sec}, {eta} left");
        ProgressBar::new(n as u64).with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
    }

    /// The scores of every sample of `source`.
    pub(crate) fn score(&self, source: &dyn Source, bar: &ProgressBar) -> Result<Scored, Failure> {
        let mut scored = Scored { total: Vec::new(), parts: Vec::new() };
        let all: Vec<usize> = (0..source.len()).collect();
        for indices in chunks(&all, BATCH) {
            if let Some(stop) = self.signals.stop() {
                return Err(Error::Stopped(stop).into());
            }
            let scores = self.model.score(&tensor(source, indices, self.device)?, self.rng)?;
            if let Some(at) = scores.total.iter().position(|score| !score.is_finite()) {
                let (id, score) = (source.id(indices[at]), scores.total[at]);
                return Err(Failure::Failed(format!(
                    "the score of sample {id} is {score}; is the sample finite?"
                )));
            }
            scored.total.extend(scores.total);
            for (i, (name, values)) in scores.parts.into_iter().enumerate() {
                match scored.parts.get_mut(i) {
                    Some((_, all)) => all.extend(values),
                    None => scored.parts.push((name, values)),
                }
            }
            bar.inc(indices.len() as u64);
        }
        Ok(scored)
    }
}

type Rows<'a> = (&'static str, &'a TestSet, &'a Scored, &'a Vec<Decision>);

fn table(sets: &[Rows<'_>]) -> Result<Vec<u8>, Failure> {
    let fail = |error: csv::Error| Failure::Failed(format!("scores.csv: {error}"));
    let mut writer = csv::Writer::from_writer(Vec::new());
    let mut header = vec!["id", "set", "class", "label", "score"];
    header.extend(
        sets.iter()
            .flat_map(|(_, _, scored, _)| scored.parts.iter().map(|(name, _)| *name))
            .take(sets[0].2.parts.len()),
    );
    header.extend(["p_value", "decision"]);
    writer.write_record(&header).map_err(fail)?;
    for (set, samples, scored, decisions) in sets {
        for i in 0..scored.total.len() {
            let mut row =
                vec![samples.source.id(i), (*set).to_string(), samples.classes[samples.labels[i]].clone()];
            row.extend([decision(samples.abnormal[i]).to_string(), scored.total[i].to_string()]);
            row.extend(scored.parts.iter().map(|(_, values)| values[i].to_string()));
            row.extend([decisions[i].p_value.to_string(), decision(decisions[i].abnormal).to_string()]);
            writer.write_record(&row).map_err(fail)?;
        }
    }
    writer.into_inner().map_err(|error| Failure::Failed(format!("scores.csv: {error}")))
}

/// What tables say of a sample.
pub(crate) fn decision(abnormal: bool) -> &'static str {
    if abnormal { "abnormal" } else { "normal" }
}

/// How each class fared.
pub(crate) fn by_class(test: &TestSet, evaluated: &Evaluated) -> Vec<ClassRow> {
    let normals: Vec<f32> =
        (0..test.abnormal.len()).filter(|&i| !test.abnormal[i]).map(|i| evaluated.scores[i]).collect();
    let mut rows = Vec::new();
    for (class, name) in test.classes.iter().enumerate() {
        let members: Vec<usize> = (0..test.labels.len()).filter(|&i| test.labels[i] == class).collect();
        let Some(&first) = members.first() else { continue };
        let flagged = members.iter().filter(|&&i| evaluated.decisions[i].abnormal).count() as f64
            / members.len() as f64;
        let auroc = test.abnormal[first].then(|| {
            let scores: Vec<f32> =
                normals.iter().copied().chain(members.iter().map(|&i| evaluated.scores[i])).collect();
            let abnormal: Vec<bool> = (0..scores.len()).map(|i| i >= normals.len()).collect();
            auroc(&scores, &abnormal).ok()
        });
        let scores = || members.iter().map(|&i| evaluated.scores[i]);
        rows.push(ClassRow {
            class: name.clone(),
            n: members.len(),
            flagged,
            abnormal: test.abnormal[first],
            auroc: auroc.flatten(),
            mean: scores().map(f64::from).sum::<f64>() / members.len() as f64,
            highest: scores().fold(f32::NEG_INFINITY, f32::max),
        });
    }
    rows
}

/// The ROC point nearest (0, 1) on the test set.
pub(crate) fn nearest_corner(test: &TestSet, evaluated: &Evaluated) -> Option<NearestCorner> {
    let point = Ranking::new(&evaluated.scores, &test.abnormal).ok()?.roc_point_nearest_perfect().ok()?;
    Some(NearestCorner {
        threshold: point.threshold,
        false_positive_rate: point.fpr,
        true_positive_rate: point.tpr,
        note: "chosen on the test labels: a report, not a threshold to use",
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use flicker_core::data::Samples;
    use flicker_core::run::Run;
    use flicker_core::{Scores, Stop, TrainSet, Weights};

    /// Scores a row by its first value.
    struct First(Weights);

    impl Detector for First {
        fn fit(&mut self, _: &TrainSet, _: &mut Run<'_>) -> flicker_core::Result<()> {
            Ok(())
        }

        fn score(&self, xs: &candle_core::Tensor, _: &Rng) -> flicker_core::Result<Scores> {
            Ok(Scores::new(xs.get_on_dim(1, 0)?.to_vec1()?))
        }

        fn weights(&self) -> &Weights {
            &self.0
        }
    }

    fn score(signals: &Signals) -> Result<Scored, Failure> {
        let (model, rng) = (First(Weights::new(Rng::new(0), &Device::Cpu)), Rng::new(0));
        let scorer = Scorer { model: &model, device: &Device::Cpu, rng: &rng, signals, quiet: true };
        let rows = Samples::new(2, (0..1200).map(|i| i as f32).collect()).expect("rows");
        scorer.score(&rows, &scorer.bar(rows.len()))
    }

    #[test]
    fn batches_are_joined_in_order() {
        let scored = score(&Signals::default()).expect("scores");
        assert!(scored.total.iter().enumerate().all(|(i, score)| *score == 2.0 * i as f32));
        assert_eq!(scored.total.len(), 600);
    }

    #[test]
    fn a_signal_stops_the_scoring() {
        let failure = score(&Signals::interrupted()).err().expect("stopped");
        assert!(matches!(failure, Failure::Stopped(Stop::Interrupt, _)), "{failure}");
        assert_eq!(failure.hinting("again").to_string(), "interrupted; again");
    }
}
