//! Whether a run folder is the model that it says it is: its data are what was read, and the saved weights give the saved
//! validation scores.

use super::rescore;
use crate::Failure;
use crate::args::Common;
use crate::device::device;
use crate::family::AnyFamily;
use crate::opened::Opened;
use crate::{samples, say};
use flicker_core::Rng;
use serde_json::json;
use std::path::PathBuf;

/// The arguments of a verification.
#[derive(Clone, Debug, clap::Args)]
pub struct VerifyArgs {
    /// The run folder
    #[arg(value_name = "RUN")]
    pub run: PathBuf,

    /// The largest difference of a score that still counts as the same: other processors and devices round differently
    #[arg(long, value_name = "D", default_value_t = 0.0)]
    pub tolerance: f64,

    /// What all commands share.
    #[command(flatten)]
    pub common: Common,
}

/// Hashes the data of a run of one of `families` again, scores its validation set by the saved weights, and compares with the
/// scores behind the saved threshold.
///
/// # Errors
/// If the run folder is not whole, the data are others, or a score differs by more than the tolerance (relative to the
/// largest score): then the model, or what it was calibrated with, is not what the folder says.
pub fn verify(families: &[&AnyFamily], args: &VerifyArgs) -> Result<(), Failure> {
    if !(args.tolerance >= 0.0 && args.tolerance.is_finite()) {
        let found = args.tolerance;
        return Err(Failure::usage(format!("--tolerance {found}: expected a number of at least 0")));
    }
    let run = Opened::read(families, &args.run, &device(&args.common.device)?)?;
    let calibration = run.calibration()?;
    let data = samples::read(&run.experiment.data, &args.common.root(), &Rng::new(run.seed).fork("data"))?;
    run.expect_same(&data)?;
    let validation = &data.validation.source;
    if !args.common.quiet {
        say(&format!("{}: {}", run.experiment.name, run.experiment.title));
        say(&format!("data: {} from {}, the same as recorded", data.facts.name, data.facts.origin));
    }
    let scored = rescore::score(&run, validation, &args.common, &mut |_, _| Ok(()))?;
    let mut found = scored.total;
    found.sort_unstable_by(f32::total_cmp);
    let recorded = calibration.normals();
    if found.len() != recorded.len() {
        return Err(Failure::Failed(format!(
            "{}: {} validation scores are recorded, the validation set has {} samples",
            run.folder.path("calibration.json").display(),
            recorded.len(),
            found.len()
        )));
    }
    let largest = largest_difference(recorded, &found);
    if args.common.json {
        crate::print_json(&json!({
            "run": args.run.display().to_string(),
            "n": found.len(),
            "largest_difference": largest,
            "tolerance": args.tolerance,
            "same": largest <= args.tolerance,
        }));
    }
    if largest > args.tolerance {
        return Err(Failure::Failed(format!(
            "{}: the saved weights do not give the saved scores: of {} validation normals one differs by {largest:e} of the \
             largest score, allowed are {:e}",
            args.run.display(),
            found.len(),
            args.tolerance
        )));
    }
    if !args.common.json {
        let exactly = if largest == 0.0 { "to the last digit".into() } else { format!("within {largest:e}") };
        crate::print(&format!(
            "verified: {} validation normals score as recorded, {exactly}; threshold {}\n",
            found.len(),
            calibration.threshold().map_or("none".to_string(), |threshold| threshold.to_string())
        ));
    }
    Ok(())
}

/// The largest difference of two lists of sorted scores, as a share of the largest score.
fn largest_difference(recorded: &[f32], found: &[f32]) -> f64 {
    let scale = recorded.iter().fold(f32::MIN_POSITIVE, |scale, score| scale.max(score.abs()));
    let pairs = recorded.iter().zip(found);
    pairs.map(|(a, b)| (f64::from(*a) - f64::from(*b)).abs() / f64::from(scale)).fold(0.0, f64::max)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn differences_are_shares_of_the_largest_score() {
        assert_eq!(largest_difference(&[1.0, 4.0], &[1.0, 4.0]), 0.0);
        assert_eq!(largest_difference(&[1.0, 4.0], &[2.0, 4.0]), 0.25);
        assert_eq!(largest_difference(&[0.0], &[0.0]), 0.0);
    }
}
