//! Two runs on the same test samples: paired tests of their difference, in one table and one picture.

use crate::Failure;
use crate::charts::{Labelled, roc_pair};
use crate::folder::Folder;
use crate::opened::run_folder;
use crate::samples::DataFacts;
use flicker_core::calibration::Calibration;
use flicker_core::file::write_whole;
use flicker_core::metrics::{
    AurocComparison, Estimate, Ranking, auprc, bootstrap_difference, compare_auroc, n_replicates,
};
use flicker_core::{Rng, metrics};
use serde::{Deserialize, Serialize};
use serde_json::json;
use std::collections::BTreeMap;
use std::path::PathBuf;

/// The arguments of a comparison.
#[derive(Clone, Debug, clap::Args)]
pub struct CompareArgs {
    /// The first run folder
    #[arg(value_name = "RUN_A")]
    pub a: PathBuf,

    /// The second run folder, of the same test samples
    #[arg(value_name = "RUN_B")]
    pub b: PathBuf,

    /// Where the picture of both ROC curves goes, as SVG
    #[arg(long, value_name = "FILE")]
    pub picture: Option<PathBuf>,

    /// The result on standard output is one JSON object
    #[arg(long)]
    pub json: bool,
}

/// One metric of both runs.
#[derive(Serialize)]
struct Row {
    metric: &'static str,
    a: f64,
    b: f64,
    /// First less second.
    difference: Estimate,
    /// Two-sided, of DeLong's paired test; for other metrics the interval alone tells.
    p_value: Option<f64>,
}

/// Compares the test scores of two runs, sample by sample, each at its own threshold.
///
/// # Errors
/// If a folder has no scores, the labels of a sample differ, or the runs have too few labelled samples in common.
pub fn compare(args: &CompareArgs) -> Result<(), Failure> {
    if let Some(picture) = args.picture.as_ref().filter(|path| path.is_dir()) {
        return Err(Failure::usage(format!("--picture {}: expected a file", picture.display())));
    }
    let runs = [Tested::read(&args.a)?, Tested::read(&args.b)?];
    let names = [&args.a, &args.b].map(|path| path.display().to_string());
    if !runs[0].facts.same_files(&runs[1].facts) {
        let [a, b] = runs.each_ref().map(|run| &run.facts.origin);
        let problem = format!("they read other data, {a} and {b}, so samples of one id are not the same");
        return Err(Failure::Failed(format!("{} and {}: {problem}", names[0], names[1])));
    }
    let common = Common::of(&runs, &names)?;
    let thresholds = runs.each_ref().map(|run| run.calibration.threshold_or_infinity());
    let (rows, of_auroc) = rows(&common, thresholds)?;
    if let Some(path) = &args.picture {
        let area = |e: Estimate| format!("{:.4} [{:.4}, {:.4}]", e.value, e.low, e.high);
        let areas = [area(of_auroc.a), area(of_auroc.b)];
        let sides = common.scores.each_ref().map(|scores| sides(scores, &common.abnormal));
        let labelled = sides.each_ref().map(|(normal, abnormal)| Labelled { normal, abnormal });
        let chart = roc_pair(labelled, [&names[0], &names[1]], [&areas[0], &areas[1]]);
        write_whole(path, chart.standalone().as_bytes())?;
    }
    if args.json {
        crate::print_json(&json!({
            "a": names[0], "b": names[1], "n": common.abnormal.len(), "n_only_a": common.n_only[0],
            "n_only_b": common.n_only[1], "metrics": rows, "z": of_auroc.z,
            "picture": args.picture.as_ref().map(|path| path.display().to_string()),
        }));
    } else {
        crate::print(&(in_words(&common, &names, &rows).join("\n") + "\n"));
    }
    Ok(())
}

fn rows(common: &Common, thresholds: [f64; 2]) -> Result<(Vec<Row>, AurocComparison), Failure> {
    let ([a, b], abnormal) = (common.scores.each_ref(), &common.abnormal);
    let of_auroc = compare_auroc(a, b, abnormal)?;
    let at = |threshold: f64| {
        move |ranking: &Ranking| {
            let confusion = ranking.confusion(threshold);
            [ranking.auprc().unwrap_or(f64::NAN), confusion.f1(), confusion.recall(), confusion.specificity()]
        }
    };
    let (of_a, of_b) = (at(thresholds[0]), at(thresholds[1]));
    let n = n_replicates(abnormal.len());
    // A stream of its own, the same for every pair of runs.
    let rng = Rng::new(0).fork("compare");
    let differences = bootstrap_difference([a, b], abnormal, n, &rng, (of_a, of_b))?;
    let (a, b) = (of_a(&Ranking::new(a, abnormal)?), of_b(&Ranking::new(b, abnormal)?));
    let mut rows = vec![Row {
        metric: "AUROC",
        a: of_auroc.a.value,
        b: of_auroc.b.value,
        difference: of_auroc.difference,
        p_value: Some(of_auroc.p_value),
    }];
    let names = ["AUPRC", "F1", "recall", "specificity"];
    rows.extend((0..4).map(|k| Row {
        metric: names[k],
        a: a[k],
        b: b[k],
        difference: differences[k],
        p_value: None,
    }));
    Ok((rows, of_auroc))
}

fn in_words(common: &Common, names: &[String; 2], rows: &[Row]) -> Vec<String> {
    let n_abnormal = common.abnormal.iter().filter(|&&abnormal| abnormal).count();
    let mut lines = vec![
        format!("a: {}", names[0]),
        format!("b: {}", names[1]),
        format!("{} test samples in both ({n_abnormal} abnormal)", common.abnormal.len()),
    ];
    if common.n_only != [0, 0] {
        let [a, b] = common.n_only;
        lines.push(format!("left out: {a} samples that only a has, {b} that only b has"));
    }
    lines.push(format!("{:12} {:>8} {:>8} {:>9}  95 % interval", "", "a", "b", "a - b"));
    for Row { metric, a, b, difference, p_value } in rows {
        let test = p_value.map_or(String::new(), |p| format!("  p = {p:.2e} (DeLong, paired)"));
        let Estimate { value, low, high } = difference;
        lines.push(format!("{metric:12} {a:8.4} {b:8.4} {value:+9.4}  [{low:+.4}, {high:+.4}]{test}"));
    }
    lines.push("F1, recall, specificity: each at its own calibrated threshold".into());
    lines
}

/// Scores of normal samples, and of abnormal ones.
fn sides(scores: &[f32], abnormal: &[bool]) -> (Vec<f64>, Vec<f64>) {
    let of = |class: bool| {
        let chosen = scores.iter().zip(abnormal).filter(move |(_, abnormal)| **abnormal == class);
        chosen.map(|(score, _)| f64::from(*score)).collect()
    };
    (of(false), of(true))
}

/// A labelled test score.
#[derive(Clone, Copy)]
struct One {
    score: f32,
    abnormal: bool,
}

/// What a run says of its test samples, by class and id.
struct Tested {
    samples: BTreeMap<(String, String), One>,
    calibration: Calibration,
    facts: DataFacts,
}

impl Tested {
    fn read(dir: &std::path::Path) -> Result<Self, Failure> {
        #[derive(Deserialize)]
        struct Line {
            id: String,
            set: String,
            class: String,
            label: String,
            score: f32,
        }
        let folder: Folder = run_folder(dir)?;
        let path = folder.path("scores.csv");
        let bytes = flicker_core::file::read(&path)?;
        let wrong = |what: String| Failure::Failed(format!("{}: {what}", path.display()));
        let mut samples = BTreeMap::new();
        for (row, line) in csv::Reader::from_reader(bytes.as_slice()).into_deserialize().enumerate() {
            let line: Line = line.map_err(|error| wrong(error.to_string()))?;
            if line.set != "test" {
                continue;
            }
            let abnormal = match line.label.as_str() {
                "abnormal" => true,
                "normal" => false,
                other => {
                    let text =
                        format!("row {}: expected the label normal or abnormal, found `{other}`", row + 1);
                    return Err(wrong(text));
                }
            };
            let key = (line.class, line.id);
            let name = format!("sample {} of class {}", key.1, key.0);
            if samples.insert(key, One { score: line.score, abnormal }).is_some() {
                return Err(wrong(format!("{name} is there twice")));
            }
        }
        let (calibration, facts) = (folder.read_json("calibration.json")?, folder.read_json("data.json")?);
        Ok(Self { samples, calibration, facts })
    }
}

/// The samples that both runs tested.
struct Common {
    scores: [Vec<f32>; 2],
    abnormal: Vec<bool>,
    n_only: [usize; 2],
}

impl Common {
    fn of([a, b]: &[Tested; 2], names: &[String; 2]) -> Result<Self, Failure> {
        let mut common = Self { scores: [vec![], vec![]], abnormal: vec![], n_only: [0, 0] };
        for ((class, id), one) in &a.samples {
            let Some(other) = b.samples.get(&(class.clone(), id.clone())) else { continue };
            if one.abnormal != other.abnormal {
                let problem =
                    format!("sample {id} of class {class} is abnormal in one run and normal in the other");
                return Err(Failure::Failed(format!("{} and {}: {problem}", names[0], names[1])));
            }
            common.scores[0].push(one.score);
            common.scores[1].push(other.score);
            common.abnormal.push(one.abnormal);
        }
        let n = common.abnormal.len();
        common.n_only = [a.samples.len() - n, b.samples.len() - n];
        metrics::auroc(&common.scores[0], &common.abnormal)
            .and_then(|_| auprc(&common.scores[1], &common.abnormal))
            .map_err(|error| {
                let problem = format!("{n} test samples in common: {error}");
                Failure::Failed(format!("{} and {}: {problem}", names[0], names[1]))
            })?;
        Ok(common)
    }
}
