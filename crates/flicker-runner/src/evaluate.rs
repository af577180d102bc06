//! From the scores of the validation and test sets to a threshold, decisions and metrics.

use crate::Failure;
use crate::experiment::Decide;
use crate::folder::Folder;
use crate::pixels::{PixelsFile, TestMaps, ValidationMaps};
use crate::samples::{RunData, TestSet};
use crate::scoring::{Scored, Scorer};
use crate::weighting::{Parts, both_classes};
use flicker_core::calibration::{Calibration, Decision};
use flicker_core::metrics::{Estimate, Ranking, Summary, auroc, summary};
use serde::Serialize;
use std::collections::BTreeMap;
use std::time::Instant;

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
    /// Those of pixels, where the family gives maps and masks are known.
    pub pixels: Option<PixelsFile>,
    /// The parts of the scores of the validation set and of the test set.
    pub parts: [Parts; 2],
    /// Seconds of scoring.
    pub seconds: f64,
}

impl Evaluated {
    /// The class of sample `index` of the test, what it is and what was decided.
    pub(crate) fn caption(&self, test: &TestSet, index: usize) -> String {
        let decision = if self.decisions[index].abnormal { "flagged" } else { "passed" };
        let truth = if test.abnormal[index] { "abnormal" } else { "normal" };
        format!("{}: {truth}, {decision}", test.classes[test.labels[index]])
    }
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

/// Precision, recall and F1 at one threshold, one class being the positive one.
#[derive(Serialize)]
pub(crate) struct BothClasses {
    /// Which threshold.
    pub at: &'static str,
    /// The positive class.
    pub positive: &'static str,
    pub precision: f64,
    pub recall: f64,
    pub f1: f64,
    /// Samples of that class.
    pub n: usize,
}

/// The mean of the score, or of a part of it, over the normal and over the abnormal samples of the test; `None` where there are none.
#[derive(Serialize)]
pub(crate) struct PartMeans {
    pub normal: Option<f64>,
    pub abnormal: Option<f64>,
}

impl Evaluated {
    /// AUROC, AUPRC and F1 with their intervals, a line each.
    pub(crate) fn in_words(&self) -> Vec<String> {
        let estimate = |name: &str, estimate: Option<Estimate>| match estimate {
            Some(e) => format!("{name} {:.4} [{:.4}, {:.4}]", e.value, e.low, e.high),
            None => format!("{name} undefined"),
        };
        if self.summary.prevalence == Some(0.0) {
            let (n, flagged) = (self.summary.n_test, self.summary.n_flagged);
            let threshold = threshold_in_words(&self.calibration);
            return vec![
                "no abnormal sample is known, so AUROC, AUPRC and F1 are not told".to_owned(),
                format!("{flagged} of {n} normals held out for a test are flagged ({threshold})"),
            ];
        }
        let prevalence = self.summary.prevalence;
        let prevalence =
            prevalence.map_or(String::new(), |p| format!("  (prevalence {p:.4}; positive = abnormal)"));
        let mut lines = vec![
            estimate("AUROC", self.summary.auroc),
            estimate("AUPRC", self.summary.auprc) + &prevalence,
            estimate("F1", self.summary.f1) + &format!("  ({})", threshold_in_words(&self.calibration)),
        ];
        lines.extend(self.pixels.as_ref().map(PixelsFile::in_words));
        lines
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
    let mut normals = ValidationMaps::new(&data.test);
    let validation = scorer.score(&data.validation.source, &bar, &mut |_, map| normals.add(map))?;
    let mut maps = TestMaps::new(&data.test, normals, decide.of_pixels())?;
    let test = scorer.score(&data.test.source, &bar, &mut |rows, map| maps.add(rows, map))?;
    bar.finish_and_clear();
    let pixels = maps.finish()?;
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
    let parts = [validation.parts, test.parts];
    Ok(Evaluated { scores: test.total, decisions, calibration, summary, pixels, parts, seconds })
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

/// The means of the score, under `score`, and of each part.
pub(crate) fn part_means(test: &TestSet, evaluated: &Evaluated) -> BTreeMap<&'static str, PartMeans> {
    let mean = |values: &[f32], abnormal: bool| {
        let of = values.iter().zip(&test.abnormal).filter(|(_, is)| **is == abnormal);
        let (sum, n) = of.fold((0.0, 0), |(sum, n), (value, _)| (sum + f64::from(*value), n + 1));
        (n > 0).then(|| sum / f64::from(n))
    };
    let means = |values: &[f32]| PartMeans { normal: mean(values, false), abnormal: mean(values, true) };
    let parts = evaluated.parts[1].iter().map(|(name, values)| (*name, means(values)));
    parts.chain([("score", means(&evaluated.scores))]).collect()
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

/// Both classes as the positive one, at the calibrated threshold and, as sources report it, at the ROC point nearest (0, 1).
pub(crate) fn of_both_classes(test: &TestSet, evaluated: &Evaluated) -> Vec<BothClasses> {
    let Ok(ranking) = Ranking::new(&evaluated.scores, &test.abnormal) else { return Vec::new() };
    let calibrated = ranking.confusion(evaluated.calibration.threshold_or_infinity());
    // That point flags what scores at least its threshold; a confusion counts what scores more.
    let nearest = ranking.roc_point_nearest_perfect().ok();
    let nearest = nearest.map(|point| ranking.confusion(f64::from(point.threshold.next_down())));
    let points =
        [("calibrated threshold", Some(calibrated)), ("nearest corner, chosen on test labels", nearest)];
    let mut rows = Vec::new();
    for (at, confusion) in points {
        let classes = confusion.iter().flat_map(both_classes).zip(["abnormal", "normal"]);
        rows.extend(classes.map(|(confusion, positive)| {
            let of = confusion.class_metrics();
            BothClasses { at, positive, precision: of.precision, recall: of.recall, f1: of.f1, n: of.support }
        }));
    }
    rows
}
