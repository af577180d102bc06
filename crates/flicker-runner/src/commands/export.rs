//! A run folder's model as one ONNX file, from decoded samples to a decision, held against the model's own scores on the
//! run's validation samples before it is written.

use super::rescore;
use super::score::expect_free;
use crate::Failure;
use crate::args::Common;
use crate::device::device;
use crate::family::AnyFamily;
use crate::folder::WEIGHTS;
use crate::opened::Opened;
use crate::samples::RunData;
use crate::{samples, say};
use candle_core::Tensor;
use flicker_core::calibration::{Calibration, Method};
use flicker_core::data::{Source, chunks, gather};
use flicker_core::file::{read, write_whole};
use flicker_core::graph::Graph;
use flicker_core::{Error, Rng, SampleShape};
use flicker_onnx::{About, Outputs, Session, TOLERANCE, encode};
use serde_json::json;
use sha2::{Digest, Sha256};
use std::path::PathBuf;

/// Samples that the exported model gets at once while it is checked.
const BATCH: usize = 64;

/// The arguments of an export.
#[derive(Clone, Debug, clap::Args)]
pub struct ExportArgs {
    /// The run folder
    #[arg(value_name = "RUN")]
    pub run: PathBuf,

    /// The file to write. Its input is `samples` (N, …): images as decoded, channel first, in [0, 1]; rows of a table of
    /// numbers as they stand in its file, of others as the run's coding.json makes numbers of them
    #[arg(long, value_name = "FILE", visible_alias = "out")]
    pub onnx: PathBuf,

    /// What all commands share.
    #[command(flatten)]
    pub common: Common,
}

/// Writes the model of a run of one of `families` as an ONNX file, with what prepares its samples and its threshold inside.
///
/// # Errors
/// If the run folder is not whole, its family's score is no single pass, the data are not those of the run, or the file's
/// scores of the validation samples differ from the model's by more than [`TOLERANCE`] of the largest score's size. No file is
/// left then.
pub fn export(families: &[&AnyFamily], args: &ExportArgs) -> Result<(), Failure> {
    let run = Opened::read(families, &args.run, &device(&args.common.device)?)?;
    let calibration = run.calibration()?;
    expect_free("--onnx", &args.onnx, &args.run)?;
    expect_one_pass(&run)?;
    let data = samples::read(&run.experiment.data, &args.common.root(), &Rng::new(run.seed).fork("data"))?;
    run.expect_same(&data)?;
    let (graph, outputs) = described(&run, data.raw_validation.shape(), &calibration)?;
    let bytes =
        encode(&graph, &outputs, &about(&run, data.raw_validation.shape(), &calibration)?).map_err(failed)?;
    if !args.common.quiet {
        say(&format!("model: {}, seed {}: {}", run.experiment.model, run.seed, run.experiment.title));
        say(&format!("checking {} validation samples from {}", data.raw_validation.len(), data.facts.origin));
    }
    let found = check(&run, &data, &bytes, &calibration, &args.common)?;
    let shown = args.onnx.display();
    if !found.within_tolerance() {
        return Err(Failure::Failed(format!(
            "{shown}: not written: on {} validation samples the exported scores differ from the model's by up to {:e} of the \
             largest score, its maps by {:e} of the largest value, allowed are {TOLERANCE:e}",
            found.n, found.scores, found.maps
        )));
    }
    write_whole(&args.onnx, &bytes)?;
    tell(args, &found, bytes.len());
    Ok(())
}

/// Refuses a family whose score no graph can say, before any data are read.
fn expect_one_pass(run: &Opened) -> Result<(), Failure> {
    let mut graph = Graph::new();
    let xs = graph.input(&run.shape.dims());
    match run.model.describe(&mut graph, xs) {
        Err(error @ Error::NotOnePass(_)) => {
            Err(Failure::usage(format!("{}: cannot be exported, {error}", run.experiment.model)))
        }
        other => Ok(other.map(|_| ())?),
    }
}

/// From samples of the shape `raw`, as they are decoded, to decisions.
fn described(run: &Opened, raw: SampleShape, calibration: &Calibration) -> Result<(Graph, Outputs), Failure> {
    let mut graph = Graph::naming(run.model.weights());
    let samples = graph.input(&raw.dims());
    let prepared = match (run.experiment.data.prepare, &run.scaler) {
        (Some(prepare), _) => prepare.describe(&mut graph, samples)?,
        (None, Some(scaler)) => scaler.describe(&mut graph, samples)?,
        (None, None) => samples,
    };
    let described = run.model.describe(&mut graph, prepared)?;
    let decided = calibration.describe(&mut graph, described.total)?;
    Ok((graph, Outputs { score: described.total, decided: Some(decided), map: described.map }))
}

/// What the file says of itself.
fn about(run: &Opened, raw: SampleShape, calibration: &Calibration) -> Result<About, Failure> {
    let samples = match raw {
        SampleShape::Image { channels, height, width } => format!(
            "images (N, {channels}, {height}, {width}), f32, {}, as decoded: in [0, 1], channel first{}",
            if channels == 3 { "red, green, blue" } else { "grey" },
            if run.experiment.data.folder.is_some() { ", brought to this size beforehand" } else { "" },
        ),
        SampleShape::Table { features } if run.coding.is_some() => {
            format!(
                "rows (N, {features}), f32, as coding.json of the run folder makes numbers of a table's columns, not scaled"
            )
        }
        SampleShape::Table { features } if run.facts.columns.is_empty() => {
            format!("rows (N, {features}), f32, not scaled")
        }
        SampleShape::Table { features } => {
            format!("rows (N, {features}), f32, not scaled, of the columns {}", run.facts.columns.join(", "))
        }
    };
    let weights: String =
        Sha256::digest(read(&run.folder.path(WEIGHTS))?).iter().map(|b| format!("{b:02x}")).collect();
    let mut metadata = vec![
        ("flicker.version", env!("CARGO_PKG_VERSION").to_string()),
        ("flicker.family", run.experiment.model.clone()),
        ("flicker.experiment", run.experiment.name.clone()),
        ("flicker.seed", run.seed.to_string()),
        ("flicker.data", run.facts.name.clone()),
        ("flicker.samples", samples.clone()),
        (
            "flicker.threshold",
            calibration.threshold().map_or("none".into(), |threshold| threshold.to_string()),
        ),
        ("flicker.validation_normals", calibration.n().to_string()),
        ("flicker.weights_sha256", weights),
    ];
    if let Method::Conformal { alpha } = calibration.method() {
        metadata.push(("flicker.false_alarm_rate", alpha.to_string()));
    }
    Ok(About {
        name: run.experiment.name.clone(),
        version: env!("CARGO_PKG_VERSION").into(),
        samples,
        metadata: metadata.into_iter().map(|(key, value)| (key.to_string(), value)).collect(),
    })
}

/// How far a file's answers are from the model's.
#[derive(Default)]
struct Found {
    n: usize,
    /// The largest difference of a score, as a share of the largest score's size.
    scores: f64,
    /// The largest difference of a map's value, as a share of the largest value's size.
    maps: f64,
    /// How many samples that do not lie at the threshold are decided otherwise.
    decisions: usize,
}

impl Found {
    fn within_tolerance(&self) -> bool {
        self.scores <= TOLERANCE && self.maps <= TOLERANCE
    }
}

/// Lets the file's bytes and the model score the validation samples.
fn check(
    run: &Opened,
    data: &RunData,
    bytes: &[u8],
    calibration: &Calibration,
    common: &Common,
) -> Result<Found, Failure> {
    // The maps of the first samples are enough, and all might not fit into memory.
    let mut maps: Vec<f32> = Vec::new();
    let mut see_map = |indices: &[usize], map: &Tensor| -> Result<(), Failure> {
        if indices.first() == Some(&0) {
            maps = map.flatten_all().and_then(|map| map.to_vec1()).map_err(Error::from)?;
        }
        Ok(())
    };
    let ours = rescore::score(run, &data.validation.source, common, &mut see_map)?.total;
    let decisions = calibration.decide(&ours)?;
    let mut session = Session::read(bytes).map_err(failed)?;
    let (raw, all): (_, Vec<usize>) = (&data.raw_validation, (0..ours.len()).collect());
    let (mut scores, mut abnormal, mut their_maps) = (Vec::new(), Vec::new(), Vec::new());
    for indices in chunks(&all, BATCH) {
        let answers = session.run(&gather(raw.as_ref(), indices)?).map_err(failed)?;
        scores.extend(answers.score);
        abnormal.extend(answers.is_abnormal);
        if their_maps.len() < maps.len() {
            their_maps.extend(answers.anomaly_map);
        }
    }
    their_maps.truncate(maps.len());
    // A threshold is often one of these very scores, and there rounding decides.
    let scale = ours.iter().fold(f32::MIN_POSITIVE, |scale, value| scale.max(value.abs()));
    let at_threshold = |score: f32| {
        let off = calibration.threshold().map(|threshold| (f64::from(score) - threshold).abs());
        off.is_some_and(|off| off <= TOLERANCE * f64::from(scale))
    };
    let differ = (0..ours.len().min(abnormal.len()))
        .filter(|&i| decisions[i].abnormal != abnormal[i] && !at_threshold(ours[i]))
        .count();
    Ok(Found {
        n: ours.len(),
        scores: largest_difference(&ours, &scores),
        maps: largest_difference(&maps, &their_maps),
        decisions: differ,
    })
}

/// The largest difference as a share of the largest size of `ours`; infinite if one is missing or no number.
fn largest_difference(ours: &[f32], theirs: &[f32]) -> f64 {
    if ours.len() != theirs.len() {
        return f64::INFINITY;
    }
    let scale = ours.iter().fold(f32::MIN_POSITIVE, |scale, value| scale.max(value.abs()));
    let differences =
        ours.iter().zip(theirs).map(|(a, b)| (f64::from(*a) - f64::from(*b)).abs() / f64::from(scale));
    differences.fold(0.0, |largest, d| if d.is_nan() { f64::INFINITY } else { largest.max(d) })
}

fn tell(args: &ExportArgs, found: &Found, size: usize) {
    let shown = args.onnx.display().to_string();
    if args.common.json {
        crate::print_json(&json!({
            "run": args.run.display().to_string(),
            "onnx": shown,
            "bytes": size,
            "n": found.n,
            "largest_difference": found.scores,
            "largest_difference_of_maps": found.maps,
            "decided_otherwise": found.decisions,
            "tolerance": TOLERANCE,
        }));
        return;
    }
    crate::print(&format!(
        "exported to {shown}: on {} validation samples its scores differ from the model's by at most {:.1e} of the largest \
         score (allowed {TOLERANCE:e}), {} decided otherwise\n",
        found.n,
        found.scores,
        if found.decisions == 0 { "none is".into() } else { format!("{} are", found.decisions) },
    ));
}

fn failed(error: flicker_onnx::Error) -> Failure {
    match error {
        flicker_onnx::Error::Core(error) => error.into(),
        error => Failure::Failed(error.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn differences_are_shares_of_the_largest_score_and_what_is_missing_is_infinitely_far() {
        assert_eq!(largest_difference(&[1.0, -4.0], &[1.0, -4.0]), 0.0);
        assert_eq!(largest_difference(&[1.0, -4.0], &[2.0, -4.0]), 0.25);
        assert_eq!(largest_difference(&[1.0], &[f32::NAN]), f64::INFINITY);
        assert_eq!(largest_difference(&[1.0], &[]), f64::INFINITY);
        let within = |scores| Found { scores, ..Found::default() }.within_tolerance();
        assert!(within(1e-4) && !within(1.1e-4) && !within(f64::INFINITY));
    }
}
