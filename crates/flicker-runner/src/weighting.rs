//! The weighting experiment: how good is `(1 − r) a + r b` for weights r between two parts of a score, each normalised first?
//!
//! A tutorial on AnoGAN asks it, and normalises by the test set itself; no new sample could be scored like that. Here the
//! normalisation comes from validation normals, and the tutorial's stands beside it, marked as what it is.

use crate::Failure;
use crate::folder::Folder;
use crate::samples::TestSet;
use flicker_core::metrics::{Confusion, Ranking};
use serde::{Deserialize, Serialize};

/// Name of the file in a run folder.
pub(crate) const FILE: &str = "weighting.csv";

/// `[weighting]` in an experiment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Weighting {
    /// Names of the two parts; r is the weight of the second.
    pub parts: [String; 2],
}

/// The parts of the scores of a set, by name.
pub(crate) type Parts = Vec<(&'static str, Vec<f32>)>;

/// The weights that the tutorial tries.
const WEIGHTS: [f64; 14] = [0.0, 1e-4, 1e-3, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.999, 1.0];

/// How a part is made comparable.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Normalisation {
    /// Less its mean, by its deviation (that of a sample, n − 1).
    Standard,
    /// From its lowest value, 0, to its highest, 1.
    MinMax,
}

/// Where the numbers of a normalisation come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum FittedOn {
    /// Validation normals.
    Validation,
    /// The test set, normal and abnormal samples: the tutorial's way, a report and no method.
    Test,
}

/// One row of `weighting.csv`. The threshold is the ROC point nearest (0, 1), chosen on test labels.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Row {
    pub normalisation: Normalisation,
    pub fitted_on: FittedOn,
    /// Weight of the second part.
    pub r: f64,
    pub auroc: f64,
    pub threshold: f64,
    pub precision_abnormal: f64,
    pub recall_abnormal: f64,
    pub f1_abnormal: f64,
    pub precision_normal: f64,
    pub recall_normal: f64,
    pub f1_normal: f64,
}

/// Writes `weighting.csv`.
pub(crate) fn write(
    folder: &Folder,
    weighting: &Weighting,
    [validation, test]: [&Parts; 2],
    labels: &TestSet,
) -> Result<(), Failure> {
    let both = labels.abnormal.contains(&true) && labels.abnormal.contains(&false);
    if !both {
        return Ok(()); // nothing to be good at
    }
    let rows = rows(&two(validation, &weighting.parts)?, &two(test, &weighting.parts)?, &labels.abnormal)?;
    let fail = |error: csv::Error| Failure::Failed(format!("{FILE}: {error}"));
    let mut writer = csv::Writer::from_writer(Vec::new());
    for row in &rows {
        writer.serialize(row).map_err(fail)?;
    }
    let bytes = writer.into_inner().map_err(|error| Failure::Failed(format!("{FILE}: {error}")))?;
    folder.write(FILE, &bytes)
}

fn two<'a>(parts: &'a Parts, names: &[String; 2]) -> Result<[&'a [f32]; 2], Failure> {
    let find = |name: &String| {
        let found = parts.iter().find(|(part, _)| part == name).map(|(_, values)| values.as_slice());
        let known = || parts.iter().map(|(part, _)| *part).collect::<Vec<_>>().join(", ");
        found.ok_or_else(|| {
            let known = known();
            Failure::usage(format!(
                "config field `weighting.parts`: no part `{name}`; this model has {known}"
            ))
        })
    };
    Ok([find(&names[0])?, find(&names[1])?])
}

fn rows(validation: &[&[f32]; 2], test: &[&[f32]; 2], abnormal: &[bool]) -> Result<Vec<Row>, Failure> {
    let mut rows = Vec::new();
    for fitted_on in [FittedOn::Validation, FittedOn::Test] {
        let from = if fitted_on == FittedOn::Validation { validation } else { test };
        for normalisation in [Normalisation::Standard, Normalisation::MinMax] {
            let scales = [normalisation.scale(from[0]), normalisation.scale(from[1])];
            for r in WEIGHTS {
                let weighed = |i: usize| {
                    let part = |p: usize| (f64::from(test[p][i]) - scales[p].0) / scales[p].1;
                    ((1.0 - r) * part(0) + r * part(1)) as f32
                };
                let scores: Vec<f32> = (0..test[0].len()).map(weighed).collect();
                rows.push(row((normalisation, fitted_on, r), &scores, abnormal)?);
            }
        }
    }
    Ok(rows)
}

impl Normalisation {
    /// What is taken away, and what it is divided by.
    fn scale(self, values: &[f32]) -> (f64, f64) {
        let n = values.len() as f64;
        let values = || values.iter().map(|&value| f64::from(value));
        let (shift, width) = match self {
            Self::Standard => {
                let mean = values().sum::<f64>() / n.max(1.0);
                let squares = values().map(|value| (value - mean).powi(2)).sum::<f64>();
                (mean, (squares / (n - 1.0).max(1.0)).sqrt())
            }
            Self::MinMax => {
                let low = values().fold(f64::INFINITY, f64::min);
                (low, values().fold(f64::NEG_INFINITY, f64::max) - low)
            }
        };
        (shift, if width > 0.0 { width } else { 1.0 })
    }
}

fn row(
    (normalisation, fitted_on, r): (Normalisation, FittedOn, f64),
    scores: &[f32],
    abnormal: &[bool],
) -> Result<Row, Failure> {
    let ranking = Ranking::new(scores, abnormal)?;
    let point = ranking.roc_point_nearest_perfect()?;
    let [of_abnormal, of_normal] = both_classes(&ranking.confusion(f64::from(point.threshold.next_down())));
    Ok(Row {
        normalisation,
        fitted_on,
        r,
        auroc: ranking.auroc()?,
        threshold: f64::from(point.threshold),
        precision_abnormal: of_abnormal.precision(),
        recall_abnormal: of_abnormal.recall(),
        f1_abnormal: of_abnormal.f1(),
        precision_normal: of_normal.precision(),
        recall_normal: of_normal.recall(),
        f1_normal: of_normal.f1(),
    })
}

/// The same decisions, positive being the abnormal class, and the normal one.
pub(crate) fn both_classes(confusion: &Confusion) -> [Confusion; 2] {
    [*confusion, confusion.of_normal_class()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_end_of_the_weights_is_one_part_and_the_middle_is_their_sum() {
        // The first part tells nothing, the second everything; neither scale nor shift matters.
        let abnormal = [false, false, false, true, true, true];
        let (first, second) = ([1.0, 3.0, 2.0, 2.0, 1.0, 3.0], [900.0, 902.0, 901.0, 1000.0, 1001.0, 1002.0]);
        let rows = rows(&[&first[..3], &second[..3]], &[&first, &second], &abnormal).expect("rows");
        assert_eq!(rows.len(), 2 * 2 * WEIGHTS.len());
        for row in &rows {
            match row.r {
                0.0 => assert_eq!(row.auroc, 0.5, "{row:?}"),
                1.0 => assert_eq!((row.auroc, row.f1_abnormal, row.f1_normal), (1.0, 1.0, 1.0), "{row:?}"),
                _ => {}
            }
        }
        let at = |on, r| rows.iter().find(|row| row.fitted_on == on && row.r == r).expect("a row").auroc;
        // By validation normals the second part is far out at once; by the test its two clusters are a part of the scale.
        assert_eq!(at(FittedOn::Validation, 0.1), 1.0);
        assert!(at(FittedOn::Test, 0.1) < 1.0);
    }

    #[test]
    fn a_part_that_is_not_there_is_named() {
        let parts: Parts = vec![("residual", vec![1.0])];
        let error = two(&parts, &["residual".into(), "laten".into()]).expect_err("no such part");
        assert_eq!(
            error.to_string(),
            "config field `weighting.parts`: no part `laten`; this model has residual"
        );
    }
}
