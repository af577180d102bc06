//! From a trained model to a finished run folder: scores, threshold, decisions, metrics, gallery and report.

use crate::evaluate::{self, BothClasses, ClassRow, Evaluated, NearestCorner, PartMeans};
use crate::family::AnyExperiment;
use crate::folder::Folder;
use crate::gallery::{self, Show};
use crate::host::peak_memory_bytes;
use crate::pixels::PixelsFile;
use crate::samples::RunData;
use crate::scoring::Scorer;
use crate::signals::Signals;
use crate::{Failure, report, weighting};
use candle_core::Device;
use flicker_core::metrics::{Estimate, Summary};
use flicker_core::{Detector, Rng};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::time::Instant;

/// A trained model with the data of its run.
pub(crate) struct Conclusion<'a> {
    pub experiment: &'a AnyExperiment,
    pub seed: u64,
    pub device: &'a Device,
    pub data: &'a RunData,
    pub model: &'a dyn Detector,
    pub signals: &'a Signals,
    pub quiet: bool,
}

/// What a run took, but for the scoring.
pub(crate) enum Spent {
    /// It is the run of this process, which began then and trained for so many seconds; `resumed` if another process trained
    /// before it, whose seconds are not known.
    Now { begun: Instant, train: f64, resumed: bool },
    /// It was another process, which recorded this.
    Before(Recorded),
}

/// What a run took, as `metrics.json` says it.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Recorded {
    pub seconds: Option<f64>,
    pub seconds_train: Option<f64>,
    pub peak_memory_bytes: Option<u64>,
    pub resumed: bool,
}

/// What `metrics.json` says.
#[derive(Serialize)]
struct MetricsFile<'a> {
    #[serde(flatten)]
    summary: &'a Summary,
    alpha: f64,
    n_validation: usize,
    /// The false-alarm rate that the calibration set supports.
    false_alarms: Option<Estimate>,
    by_class: Vec<ClassRow>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pixels: Option<&'a PixelsFile>,
    nearest_corner: Option<NearestCorner>,
    /// Precision, recall and F1 with either class as the positive one.
    both_classes: Vec<BothClasses>,
    /// The score and its parts, each with its mean over the normal and over the abnormal samples of the test.
    parts: BTreeMap<&'static str, PartMeans>,
    seed: u64,
    seconds: Option<f64>,
    seconds_train: Option<f64>,
    seconds_score: f64,
    /// Whether the training was interrupted: the seconds are then those after it went on.
    resumed: bool,
    peak_memory_bytes: Option<u64>,
    n_parameters: usize,
}

impl Conclusion<'_> {
    /// Scores, judges, and writes everything that comes of it into `folder`.
    pub(crate) fn write(&self, folder: &Folder, spent: &Spent) -> Result<Evaluated, Failure> {
        let rng = Rng::new(self.seed).fork("score");
        let scorer = Scorer {
            model: self.model,
            device: self.device,
            rng: &rng,
            signals: self.signals,
            quiet: self.quiet,
        };
        let evaluated = evaluate::evaluate(folder, &scorer, self.data, self.experiment.decide)?;
        let show = Show { prepare: self.data.prepare, device: self.device, rng: &rng };
        gallery::write(folder, self.model, self.data, &evaluated, &show)?;
        if let Some(wanted) = &self.experiment.weighting {
            let parts = [&evaluated.parts[0], &evaluated.parts[1]];
            weighting::write(folder, wanted, parts, &self.data.test)?;
        }
        folder.write_json("metrics.json", &self.metrics(&evaluated, &spent.recorded()))?;
        report::write(folder.dir())?;
        Ok(evaluated)
    }

    fn metrics<'a>(&self, evaluated: &'a Evaluated, spent: &Recorded) -> MetricsFile<'a> {
        MetricsFile {
            summary: &evaluated.summary,
            alpha: self.experiment.decide.false_alarm_rate,
            n_validation: self.data.validation.source.len(),
            false_alarms: evaluated.calibration.false_alarms(),
            by_class: evaluate::by_class(&self.data.test, evaluated),
            pixels: evaluated.pixels.as_ref(),
            nearest_corner: evaluate::nearest_corner(&self.data.test, evaluated),
            both_classes: evaluate::of_both_classes(&self.data.test, evaluated),
            parts: evaluate::part_means(&self.data.test, evaluated),
            seed: self.seed,
            seconds: spent.seconds,
            seconds_train: spent.seconds_train,
            seconds_score: evaluated.seconds,
            resumed: spent.resumed,
            peak_memory_bytes: spent.peak_memory_bytes,
            n_parameters: self.model.weights().n_parameters(),
        }
    }
}

impl Spent {
    fn recorded(&self) -> Recorded {
        match self {
            Self::Now { begun, train, resumed } => Recorded {
                seconds: Some(begun.elapsed().as_secs_f64()),
                seconds_train: Some(*train),
                peak_memory_bytes: peak_memory_bytes(),
                resumed: *resumed,
            },
            Self::Before(recorded) => *recorded,
        }
    }
}
