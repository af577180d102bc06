//! The raw rows, `raw.csv`: a row for each metric of each run, from which everything else is made. Rows of runs that are made
//! again take the place of the old ones; rows of other numbers than the experiments have now are left out.

use super::experiment::Experiment;
use super::outcome::Outcome;
use super::suite::{Entry, Suite};
use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

/// What is kept of every run that has it; claims add theirs.
const METRICS: [&str; 25] = [
    "auroc",
    "auprc",
    "f1",
    "precision",
    "recall",
    "specificity",
    "fpr_at_95_tpr",
    "eer",
    "prevalence",
    "alpha",
    "confusion/false_positive",
    "confusion/true_negative",
    "n_test",
    "n_validation",
    "seconds_train",
    "seconds_score",
    "n_parameters",
    "pixels/auroc",
    "pixels/auprc",
    "pixels/pro",
    "pixels/dice",
    "pixels/iou",
    "pixels/best_dice",
    "pixels/precision",
    "pixels/recall",
];

/// A metric of a run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Row {
    pub(super) suite: String,
    /// The file in `experiments/`.
    pub(super) experiment: String,
    pub(super) family: String,
    /// What is changed there: `ENTRY`, or `ENTRY/CASE`.
    pub(super) config: String,
    pub(super) seed: u64,
    pub(super) metric: String,
    pub(super) value: f64,
    /// The 95 % interval of this run, where there is one.
    pub(super) low: Option<f64>,
    pub(super) high: Option<f64>,
    pub(super) published: Option<f64>,
    /// Of the whole run.
    pub(super) seconds: Option<f64>,
    pub(super) peak_memory_bytes: Option<u64>,
    pub(super) commit: String,
    pub(super) machine: String,
    pub(super) data: String,
    /// Says of which numbers the run was; see [`Experiment::settings`].
    pub(super) settings: String,
}

/// The rows of a run of `experiment`, which is the case at `case` of `entry`.
pub(super) fn rows(suite: &Suite, entry: &Entry, case: usize, seed: u64, outcome: &Outcome) -> Vec<Row> {
    let Some(experiment) = entry.experiments.get(case) else { return Vec::new() };
    let claimed = entry.claims.iter().filter_map(|claim| claim.metric.as_deref());
    let metrics: BTreeSet<&str> = METRICS.into_iter().chain(claimed).collect();
    let position = suite.cases.iter().position(|known| Some(&known.name) == experiment.case.as_ref());
    let row = |metric: &&str| {
        let found = outcome.metric(metric)?;
        let timed = !(outcome.resumed() && metric.starts_with("seconds"));
        timed.then(|| Row {
            suite: suite.name.clone(),
            experiment: experiment.file.clone(),
            family: experiment.family().to_string(),
            config: experiment.config(),
            seed,
            metric: (*metric).to_string(),
            value: found.value,
            low: found.interval.map(|interval| interval.0),
            high: found.interval.map(|interval| interval.1),
            published: entry.published_value(suite, metric, position).map(|published| published.0),
            seconds: outcome.seconds(),
            peak_memory_bytes: outcome.value("peak_memory_bytes").map(|bytes| bytes as u64),
            commit: outcome.commit.clone(),
            machine: outcome.machine.clone(),
            data: outcome.data.clone(),
            settings: experiment.settings(),
        })
    };
    metrics.iter().filter_map(row).collect()
}

/// The rows in the file at `path`; none where there is none.
pub(super) fn read(path: &Path) -> Result<Vec<Row>> {
    if !path.exists() {
        return Ok(Vec::new());
    }
    let mut reader = csv::Reader::from_path(path).with_context(|| path.display().to_string())?;
    reader.deserialize().collect::<csv::Result<_>>().with_context(|| path.display().to_string())
}

/// `old` with the runs of `new` in their place, and without those of other numbers than `suites` have now.
pub(super) fn joined(old: Vec<Row>, new: Vec<Row>, suites: &[Suite]) -> Vec<Row> {
    let run = |row: &Row| (row.suite.clone(), row.config.clone(), row.seed);
    let again: BTreeSet<_> = new.iter().map(run).collect();
    let experiments = suites.iter().flat_map(|suite| &suite.entries).flat_map(|entry| &entry.experiments);
    let now: BTreeMap<(String, String), String> =
        experiments.map(|one: &Experiment| ((one.suite.clone(), one.config()), one.settings())).collect();
    let holds = |row: &Row| now.get(&(row.suite.clone(), row.config.clone())) == Some(&row.settings);
    let mut rows: Vec<Row> =
        old.into_iter().filter(|row| !again.contains(&run(row)) && holds(row)).chain(new).collect();
    let place = |row: &Row| suites.iter().position(|suite| suite.name == row.suite);
    rows.sort_by_cached_key(|row| (place(row), row.config.clone(), row.seed, row.metric.clone()));
    rows
}

/// Writes the rows to `path`, whole or not at all.
pub(super) fn write(path: &Path, rows: &[Row]) -> Result<()> {
    let mut writer = csv::Writer::from_writer(Vec::new());
    for row in rows {
        writer.serialize(row)?;
    }
    let bytes = writer.into_inner().map_err(|error| error.into_error())?;
    fs::create_dir_all(path.parent().unwrap_or(Path::new(".")))?;
    super::write_whole(path, &String::from_utf8(bytes)?)
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::reproduce::experiment::tests::write_toy;
    use crate::reproduce::suite;

    /// A suite of two digits and one entry that is held against a paper, and rows of its runs.
    pub(in crate::reproduce) fn measured(rows: &[(&str, u64, &str, f64)]) -> (Vec<Suite>, Vec<Row>) {
        let dir = tempfile::tempdir().expect("a folder");
        write_toy(dir.path(), "toy");
        let text = "title = 'Toys'\ntext = 'Toys by digit.'\naxis = 'digit'\nseeds = [0, 1]\n\
            [[case]]\nname = '0'\nset.data.protocol.normal = [0]\n[[case]]\nname = '1'\nset.data.protocol.normal = [1]\n\
            [[published]]\nname = 'paper'\nsource = 'table 1'\nmetric = 'auroc'\nvalues = [0.9, 0.7]\n\
            [[entry]]\nname = 'good'\ntitle = 'a good one'\nexperiment = 'toy'\npublished = 'paper'\n\
            expect = { auroc = { at_least = 0.8 } }\n\
            [[entry]]\nname = 'bad'\ntitle = 'a <bad> one'\nexperiment = 'toy'\nset.config.epochs = 1\n";
        suite::tests::write(dir.path(), "toys", text);
        let suites = suite::all(dir.path()).expect("suites");
        let row = |&(config, seed, metric, value): &(&str, u64, &str, f64)| {
            let mut entries = suites[0].entries.iter().flat_map(|entry| &entry.experiments);
            let experiment = entries.find(|one| one.config() == config).expect("such a config");
            Row {
                suite: "toys".into(),
                experiment: "toy".into(),
                family: "ae".into(),
                config: config.into(),
                seed,
                metric: metric.into(),
                value,
                low: Some(value - 0.01),
                high: Some(value + 0.01),
                published: None,
                seconds: Some(3.0),
                peak_memory_bytes: Some(50 << 20),
                commit: "abc".into(),
                machine: "a machine, 2 threads".into(),
                data: "full mnist".into(),
                settings: experiment.settings(),
            }
        };
        let rows = rows.iter().map(row).collect();
        (suites, rows)
    }

    #[test]
    fn rows_are_written_and_read_back() -> Result<()> {
        let (_, mut rows) = measured(&[("good/0", 0, "auroc", 0.912345678901234), ("bad/1", 1, "f1", 0.5)]);
        rows[1].low = None;
        rows[1].seconds = None;
        let dir = tempfile::tempdir()?;
        let path = dir.path().join("results/raw.csv");
        assert_eq!(read(&path)?, []);
        write(&path, &rows)?;
        assert_eq!(read(&path)?, rows);
        let head = "suite,experiment,family,config,seed,metric,value,low,high,published,seconds,peak_memory_bytes,commit,";
        assert!(fs::read_to_string(&path)?.starts_with(head));
        Ok(())
    }

    #[test]
    fn a_run_that_is_made_again_replaces_its_rows_and_other_numbers_are_left_out() {
        let (suites, old) = measured(&[
            ("good/0", 0, "auroc", 0.1),
            ("good/0", 0, "f1", 0.1),
            ("good/0", 1, "auroc", 0.2),
            ("bad/0", 0, "auroc", 0.3),
        ]);
        let mut old = old;
        old[3].settings = "of before".into();
        let (_, new) = measured(&[("good/0", 0, "auroc", 0.9)]);
        let rows = joined(old, new, &suites);
        let left: Vec<_> = rows.iter().map(|row| (row.config.as_str(), row.seed, row.value)).collect();
        assert_eq!(left, [("good/0", 0, 0.9), ("good/0", 1, 0.2)]);
    }
}
