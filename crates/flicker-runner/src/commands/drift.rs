//! Whether new samples still look, by their scores, like the normals that the threshold comes from.

use super::rescore;
use super::stream::Stream;
use crate::Failure;
use crate::args::Common;
use crate::device::device;
use crate::family::AnyFamily;
use crate::opened::Opened;
use crate::unseen::{Unseen, Which};
use flicker_core::calibration::{Calibration, Drift};
use flicker_core::data::OnError;
use serde_json::json;
use std::path::PathBuf;

/// The arguments of a look for drift.
#[derive(Clone, Debug, clap::Args)]
pub struct DriftArgs {
    /// The run folder
    #[arg(value_name = "RUN")]
    pub run: PathBuf,

    /// New samples, mostly normal ones: the name of a data set, a folder of images, a table, or a file of IDX images
    #[arg(value_name = "DATA")]
    pub samples: String,

    /// The part of a data set or folder [default: test, where there are parts]
    #[arg(long, value_enum)]
    pub part: Option<Which>,

    /// Drift needs a Kolmogorov-Smirnov test that would be this rare without any
    #[arg(long, value_name = "P", default_value_t = 0.01)]
    pub p_value: f64,

    /// Drift needs a population stability index above this: a difference that matters, not only one that shows
    #[arg(long, value_name = "PSI", default_value_t = 0.25)]
    pub psi: f64,

    /// What all commands share.
    #[command(flatten)]
    pub common: Common,
}

/// Scores new samples by the model of a run of one of `families`, compares the scores with those of the validation normals,
/// and says whether they have drifted: then it ends as [`Failure::Drift`], with a code of its own for scripts.
///
/// # Errors
/// If the run folder is not whole, or the samples are not there or of another shape.
pub fn drift(families: &[&AnyFamily], args: &DriftArgs) -> Result<(), Failure> {
    if !(args.p_value > 0.0 && args.p_value < 1.0) {
        let found = args.p_value;
        return Err(Failure::usage(format!("--p-value {found}: expected a number between 0 and 1")));
    }
    if !(args.psi >= 0.0 && args.psi.is_finite()) {
        return Err(Failure::usage(format!("--psi {}: expected a number of at least 0", args.psi)));
    }
    let run = Opened::read(families, &args.run, &device(&args.common.device)?)?;
    let calibration = run.calibration()?;
    let (origin, scores) = scores(&run, args)?;
    let found = calibration.drift(&scores)?;
    let drifted = found.ks.p_value < args.p_value && found.psi > args.psi;
    if args.common.json {
        crate::print_json(&json!({
            "run": args.run.display().to_string(),
            "data": origin,
            "drifted": drifted,
            "ks_statistic": found.ks.statistic,
            "ks_p_value": found.ks.p_value,
            "psi": found.psi,
            "flagged": found.flagged,
            "median": median(&scores),
            "median_reference": median(calibration.normals()),
            "n": found.n_new,
            "n_reference": found.n_reference,
            "limits": { "p_value": args.p_value, "psi": args.psi },
        }));
    } else {
        crate::print(&(in_words(&found, &calibration, &scores).join("\n") + "\n"));
    }
    if drifted {
        return Err(Failure::Drift(format!(
            "the scores have drifted: p = {:.2e} is below {}, and the stability index {:.3} above {}",
            found.ks.p_value, args.p_value, found.psi, args.psi
        )));
    }
    if !args.common.json && !args.common.quiet {
        crate::say("no drift");
    }
    Ok(())
}

/// Where the new samples were read, and their scores.
fn scores(run: &Opened, args: &DriftArgs) -> Result<(String, Vec<f32>), Failure> {
    if args.part.is_none()
        && let Some(stream) = Stream::open(run, Some(&args.samples))?
    {
        stream.announce(&args.common);
        let mut scores = Vec::new();
        stream.score(&args.common, &mut |_, scored| {
            scores.extend_from_slice(&scored.total);
            Ok(())
        })?;
        return Ok((stream.origin().to_owned(), scores));
    }
    let unseen = Unseen::read(run, Some(&args.samples), args.part, OnError::Fail, &args.common.root())?;
    rescore::announce(run, &unseen, &args.common);
    let scored = rescore::score(run, &unseen.source, &args.common, &mut |_, _| Ok(()))?;
    Ok((unseen.origin, scored.total))
}

fn in_words(found: &Drift, calibration: &Calibration, scores: &[f32]) -> Vec<String> {
    let mut lines = vec![
        format!("{} new scores beside {} of validation normals", found.n_new, found.n_reference),
        format!("Kolmogorov-Smirnov {:.4}, p = {:.2e}", found.ks.statistic, found.ks.p_value),
        format!("population stability index {:.4}", found.psi),
        format!("median {:.6}, of validation normals {:.6}", median(scores), median(calibration.normals())),
    ];
    let promised = calibration.false_alarms().map_or(String::new(), |promise| {
        format!("; of normals, {:.4} [{:.4}, {:.4}] would be", promise.value, promise.low, promise.high)
    });
    lines.push(format!("flagged {:.4}{promised}", found.flagged));
    lines
}

/// The median; scores are finite, and there is one at least.
fn median(scores: &[f32]) -> f64 {
    let mut sorted = scores.to_vec();
    sorted.sort_unstable_by(f32::total_cmp);
    let n = sorted.len();
    f64::midpoint(f64::from(sorted[(n - 1) / 2]), f64::from(sorted[n / 2]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_of_an_even_number_lies_between() {
        assert_eq!(median(&[3.0, 1.0, 2.0]), 2.0);
        assert_eq!(median(&[4.0, 1.0, 2.0, 3.0]), 2.5);
    }

    #[test]
    fn the_words_say_what_was_promised() {
        let normals: Vec<f32> = (0..200).map(|i| i as f32).collect();
        let calibration = Calibration::conformal(&normals, 0.05).expect("a threshold");
        let shifted: Vec<f32> = normals.iter().map(|score| score + 150.0).collect();
        let found = calibration.drift(&shifted).expect("scores");
        let lines = in_words(&found, &calibration, &shifted);
        assert!(lines[0].starts_with("200 new scores beside 200"), "{lines:?}");
        assert!(lines[4].starts_with("flagged 0.79") && lines[4].contains("of normals, 0.0"), "{lines:?}");
    }
}
