//! From a trained model to a finished run folder: scores, threshold, decisions, metrics, gallery and report.

use crate::evaluate::{self, BothClasses, ClassRow, Evaluated, NearestCorner};
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
    /// It is the run of this process, which began then and trained for so many seconds.
    Now { begun: Instant, train: f64 },
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
    seed: u64,
    seconds: Option<f64>,
    seconds_train: Option<f64>,
    seconds_score: f64,
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
        gallery::write(folder, self.model, &self.data.test, &evaluated, &show)?;
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
            seed: self.seed,
            seconds: spent.seconds,
            seconds_train: spent.seconds_train,
            seconds_score: evaluated.seconds,
            peak_memory_bytes: spent.peak_memory_bytes,
            n_parameters: self.model.weights().n_parameters(),
        }
    }
}

impl Spent {
    fn recorded(&self) -> Recorded {
        match self {
            Self::Now { begun, train } => Recorded {
                seconds: Some(begun.elapsed().as_secs_f64()),
                seconds_train: Some(*train),
                peak_memory_bytes: peak_memory_bytes(),
            },
            Self::Before(recorded) => *recorded,
        }
    }
}
