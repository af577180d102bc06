//! From a trained model to scores, a threshold, decisions and metrics.

use crate::Failure;
use crate::experiment::Decide;
use crate::folder::Folder;
use crate::pixels::{PixelsFile, TestMaps, ValidationMaps};
use crate::samples::{RunData, TestSet};
use crate::weighting::{Parts, both_classes};
use candle_core::{Device, Tensor};
use flicker_core::calibration::{Calibration, Decision};
use flicker_core::data::{Source, chunks, prefetch};
use flicker_core::metrics::{Ranking, Summary, auroc, summary};
use flicker_core::{Detector, Rng};
use indicatif::{ProgressBar, ProgressStyle};
use serde::Serialize;
use std::io::IsTerminal;
use std::sync::Arc;
use std::time::Instant;

/// Samples scored at once, at most; fewer of large ones.
const BATCH: usize = 256;
/// Values scored at once: 64 MiB.
const BATCH_VALUES: usize = 1 << 24;
/// Batches that are read while one is scored.
const AHEAD: usize = 2;

/// The scores of a set, and their parts.
struct Scored {
    total: Vec<f32>,
    parts: Parts,
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
    /// Those of pixels, where the family gives maps and masks are known.
    pub pixels: Option<PixelsFile>,
    /// The parts of the scores of the validation set and of the test set.
    pub parts: [Parts; 2],
    /// Seconds of scoring.
    pub seconds: f64,
}

/// What `metrics.json` says.
#[derive(Serialize)]
pub(crate) struct MetricsFile<'a> {
    #[serde(flatten)]
    pub summary: &'a Summary,
    pub alpha: f64,
    pub n_validation: usize,
    /// The false-alarm rate that the calibration set supports.
    pub false_alarms: Option<flicker_core::metrics::Estimate>,
    pub by_class: Vec<ClassRow>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pixels: Option<&'a PixelsFile>,
    pub nearest_corner: Option<NearestCorner>,
    /// Precision, recall and F1 with either class as the positive one.
    pub both_classes: Vec<BothClasses>,
    pub seed: u64,
    pub seconds: f64,
    pub seconds_train: f64,
    pub seconds_score: f64,
    pub peak_memory_bytes: Option<u64>,
    pub n_parameters: usize,
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

/// Scores validation and test sets, sets the threshold by the former, judges by the latter, and writes `scores.csv`,
/// `calibration.json`.
pub(crate) fn evaluate(
    folder: &Folder,
    model: &dyn Detector,
    data: &RunData,
    decide: Decide,
    device: &Device,
    rng: &Rng,
) -> Result<Evaluated, Failure> {
    let begun = Instant::now();
    let bar = bar(data.validation.source.len() + data.test.source.len());
    let mut normals = ValidationMaps::new(&data.test);
    let validation =
        score(model, &data.validation.source, device, rng, &bar, &mut |_, map| normals.add(map))?;
    let mut maps = TestMaps::new(&data.test, normals, decide.of_pixels())?;
    let test = score(model, &data.test.source, device, rng, &bar, &mut |rows, map| maps.add(rows, map))?;
    bar.finish_and_clear();
    let pixels = maps.finish()?;
    let seconds = begun.elapsed().as_secs_f64();
    let calibration = Calibration::conformal(&validation.total, decide.false_alarm_rate)?;
    let decisions = calibration.decide(&test.total)?;
    let threshold = calibration.threshold_or_infinity();
    let summary = summary(&test.total, Some(&data.test.abnormal), threshold, &rng.fork("metrics"))?;
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

fn bar(n: usize) -> ProgressBar {
    if !std::io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let style = ProgressStyle::with_template("scoring {bar:30} {pos}/{len} samples, {eta} left");
    ProgressBar::new(n as u64).with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
}

/// What is done with the maps of the samples at some indices.
type SeeMap<'a> = &'a mut dyn FnMut(&[usize], &Tensor) -> Result<(), Failure>;

fn score(
    model: &dyn Detector,
    source: &Arc<dyn Source>,
    device: &Device,
    rng: &Rng,
    bar: &ProgressBar,
    see_map: SeeMap<'_>,
) -> Result<Scored, Failure> {
    let mut scored = Scored { total: Vec::new(), parts: Vec::new() };
    let all: Vec<usize> = (0..source.len()).collect();
    let at_once = (BATCH_VALUES / source.shape().elements().max(1)).clamp(1, BATCH);
    let batches: Vec<Vec<usize>> = chunks(&all, at_once).map(<[usize]>::to_vec).collect();
    for (indices, xs) in batches.iter().zip(prefetch(source.clone(), batches.clone(), AHEAD, device)?) {
        let scores = model.score(&xs?, rng)?;
        if let Some(at) = scores.total.iter().position(|score| !score.is_finite()) {
            let (id, score) = (source.id(indices[at]), scores.total[at]);
            return Err(Failure::Failed(format!(
                "the score of sample {id} is {score}; is the sample finite?"
            )));
        }
        if let Some(map) = &scores.map {
            see_map(indices, map)?;
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
            let word = |abnormal: bool| if abnormal { "abnormal" } else { "normal" }.to_string();
            let mut row =
                vec![samples.source.id(i), (*set).to_string(), samples.classes[samples.labels[i]].clone()];
            row.extend([word(samples.abnormal[i]), scored.total[i].to_string()]);
            row.extend(scored.parts.iter().map(|(_, values)| values[i].to_string()));
            row.extend([decisions[i].p_value.to_string(), word(decisions[i].abnormal)]);
            writer.write_record(&row).map_err(fail)?;
        }
    }
    writer.into_inner().map_err(|error| Failure::Failed(format!("scores.csv: {error}")))
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
