//! A training that begins with the weights of another run: fine-tuning, or going on with more data.

use crate::family::{AnyExperiment, Text};
use crate::folder::{CONFIG, Folder, WEIGHTS};
use crate::{Failure, experiment, opened};
use flicker_core::Detector;
use serde::{Deserialize, Serialize};
use std::path::Path;

/// What `config.toml` says of the run whose weights a training began with.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct FromRecord {
    run: String,
    weights_sha256: String,
}

/// The experiment of the run in the folder `dir`, as it ran.
///
/// # Errors
/// [`Failure::Usage`] if there is no run folder.
pub fn text_of_run(dir: &Path) -> Result<Text, Failure> {
    let path = opened::run_folder(dir)?.path(CONFIG);
    Ok(Text { text: experiment::read(&path)?, origin: path.display().to_string() })
}

/// Sets the weights of `model` to those of the run in the folder `dir`.
///
/// # Errors
/// [`Failure::Usage`] if there is no run folder, or the model is fitted in one step, so that nothing would be left of them;
/// [`Failure::Failed`] if the weights are not there, or those of another model.
pub(crate) fn load(
    dir: &Path,
    experiment: &AnyExperiment,
    model: &dyn Detector,
) -> Result<FromRecord, Failure> {
    let path = opened::run_folder(dir)?.path(WEIGHTS);
    if model.weights().n_parameters() == 0 {
        let problem = "is fitted to its data in one step, so nothing is carried over from another run";
        return Err(Failure::usage(format!(
            "--from {}: {} {problem}",
            dir.display(),
            experiment.family.name
        )));
    }
    if !path.exists() {
        let problem = "is not there, so that training did not end";
        return Err(Failure::Failed(format!("--from: {} {problem}", path.display())));
    }
    model.weights().load(&path)?;
    let hashed = flicker_manifest::sha256_of_file(&path).map_err(|error| Failure::Failed(error.to_string()));
    Ok(FromRecord { run: dir.display().to_string(), weights_sha256: hashed?.0 })
}

/// Sets the weights of `model` to those that the interrupted run in `folder` began with, if it began with any.
///
/// # Errors
/// As [`load`], and if they are others by now.
pub(crate) fn load_again(
    folder: &Folder,
    experiment: &AnyExperiment,
    model: &dyn Detector,
) -> Result<(), Failure> {
    #[derive(Deserialize)]
    struct Config {
        run: Run,
    }
    #[derive(Deserialize)]
    struct Run {
        from: Option<FromRecord>,
    }
    let path = folder.path(CONFIG);
    let config: Config = toml::from_str(&experiment::read(&path)?)
        .map_err(|error| Failure::Failed(format!("{}: {}", path.display(), error.message())))?;
    let Some(then) = config.run.from else { return Ok(()) };
    let now = load(Path::new(&then.run), experiment, model)?;
    if now.weights_sha256 != then.weights_sha256 {
        let problem = "its weights are others than those that the run began with";
        return Err(Failure::Failed(format!("{}: {problem}", then.run)));
    }
    Ok(())
}
