//! A run folder as a model: its experiment, its weights, its threshold.

use crate::Failure;
use crate::experiment;
use crate::family::{AnyExperiment, AnyFamily, Changes, Text};
use crate::folder::{CONFIG, Folder, WEIGHTS};
use crate::samples::{DataFacts, RunData};
use candle_core::Device;
use flicker_core::calibration::Calibration;
use flicker_core::data::Scaler;
use flicker_core::{Detector, Rng, SampleShape};
use flicker_table::Coding;
use std::path::Path;

/// A trained model, read back from the folder of its run.
pub(crate) struct Opened {
    pub folder: Folder,
    pub experiment: AnyExperiment,
    pub seed: u64,
    /// What the run read.
    pub facts: DataFacts,
    /// The shape that the model takes.
    pub shape: SampleShape,
    pub model: Box<dyn Detector>,
    /// How a table's columns are scaled, as the run fitted it.
    pub scaler: Option<Scaler>,
    /// How the columns of a user's table become numbers, as the run fitted it.
    pub coding: Option<Coding>,
}

impl Opened {
    /// Reads the folder `dir` of a run of one of `families`, and puts the model on `device`.
    ///
    /// # Errors
    /// [`Failure::Usage`] if `dir` is no run folder or its model is of no family; [`Failure::Failed`] if it has no weights, or a
    /// file in it is damaged or of another model.
    pub(crate) fn read(families: &[&AnyFamily], dir: &Path, device: &Device) -> Result<Self, Failure> {
        let folder = run_folder(dir)?;
        let path = folder.path(CONFIG).display().to_string();
        let text = Text { text: experiment::read(&folder.path(CONFIG))?, origin: path.clone() };
        let Some(name) = text.model()? else {
            return Err(Failure::Failed(format!("{path}: names no `model`")));
        };
        let Some(seed) = text.seed() else {
            return Err(Failure::Failed(format!(
                "{path}: has no `run.seed`: it is an experiment, not a run"
            )));
        };
        let experiment = AnyFamily::named(families, &name, &path)?.parse(&text, &Changes::default())?;
        let facts: DataFacts = folder.read_json("data.json")?;
        let shape = facts.shape.parse().map_err(|error: flicker_core::Error| {
            Failure::Failed(format!("{}: {error}", folder.path("data.json").display()))
        })?;
        let model = experiment.build(shape, Rng::new(seed).fork("weights"), device)?;
        let scaler = experiment.data.scale.as_ref().map(|_| folder.read_json("scale.json")).transpose()?;
        let coding = experiment.data.table.as_ref().map(|_| folder.read_json("coding.json")).transpose()?;
        let opened = Self { folder, experiment, seed, facts, shape, model, scaler, coding };
        opened.load_weights()?;
        Ok(opened)
    }

    /// Refuses data that are not those of the run, or that its own coding or scale was not fitted on.
    ///
    /// # Errors
    /// With what differs.
    pub(crate) fn expect_same(&self, data: &RunData) -> Result<(), Failure> {
        self.facts.expect_same(&data.facts)?;
        for (name, same) in
            [("coding.json", self.coding == data.coding), ("scale.json", self.scaler == data.scaler)]
        {
            if !same {
                let path = self.folder.path(name).display().to_string();
                let problem = "other numbers than the training normals of the run give";
                return Err(Failure::Failed(format!("{path}: {problem}")));
            }
        }
        Ok(())
    }

    fn load_weights(&self) -> Result<(), Failure> {
        let path = self.folder.path(WEIGHTS);
        if !path.exists() {
            return Err(Failure::Failed(format!(
                "{}: is not there, so the training did not end; go on with --resume --out {}",
                path.display(),
                self.folder.dir().display()
            )));
        }
        Ok(self.model.weights().load(&path)?)
    }

    /// The threshold and the validation scores behind it, as the run saved them.
    ///
    /// # Errors
    /// If `calibration.json` is not there, is damaged, or contradicts itself.
    pub(crate) fn calibration(&self) -> Result<Calibration, Failure> {
        self.folder.read_json("calibration.json")
    }

    /// The stream that the run's scores are drawn from.
    pub(crate) fn scoring_rng(&self) -> Rng {
        Rng::new(self.seed).fork("score")
    }
}

/// The folder of a run at `dir`.
///
/// # Errors
/// [`Failure::Usage`] if there is none.
pub(crate) fn run_folder(dir: &Path) -> Result<Folder, Failure> {
    let folder = Folder::at(dir);
    if !dir.is_dir() {
        return Err(Failure::usage(format!("{}: expected a run folder, found none", dir.display())));
    }
    if !folder.path(CONFIG).exists() {
        return Err(Failure::usage(format!("{}: is no run folder, it has no {CONFIG}", dir.display())));
    }
    Ok(folder)
}
