//! The table of results: a row an experiment, means and standard deviations over seeds.

use super::experiment::{Experiment, Outcome};
use anyhow::Result;
use std::fmt::Write;
use std::fs;

/// Metrics that every row shows.
const SHOWN: [&str; 3] = ["auroc", "auprc", "f1"];

/// What stands in the place of the data of an experiment that had none.
const NOT_RUN: &str = "not run: data absent";

/// One experiment's results.
pub(super) struct Row {
    name: String,
    title: String,
    data: String,
    machine: String,
    n_wanted: usize,
    n_done: usize,
    metrics: Vec<(String, Option<Mean>)>,
    expected: Vec<String>,
    missed: Vec<String>,
    seconds: Option<Mean>,
    memory_mib: Option<Mean>,
}

/// Mean and standard deviation (of the sample; 0 for one value).
#[derive(Clone, Copy)]
struct Mean {
    mean: f64,
    sd: f64,
}

impl Mean {
    fn of(values: &[f64]) -> Option<Self> {
        let n = values.len() as f64;
        let mean = values.iter().sum::<f64>() / n;
        let variance = values.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / (n - 1.0).max(1.0);
        (!values.is_empty()).then_some(Self { mean, sd: variance.sqrt() })
    }
}

impl Row {
    /// The row of `experiment` from the outcomes of its seeds. A quick run is held against nothing but being done.
    pub(super) fn new(experiment: &Experiment, n_wanted: usize, outcomes: &[Outcome], quick: bool) -> Self {
        let mean = |name: &str| {
            let values: Vec<f64> = outcomes.iter().filter_map(|outcome| outcome.metric(name)).collect();
            if values.len() == outcomes.len() { Mean::of(&values) } else { None }
        };
        let mut missed = Vec::new();
        let mut expected = Vec::new();
        for (name, expectation) in &experiment.expect {
            if let Some(published) = expectation.published {
                let source = expectation.source.as_deref().unwrap_or("no source given");
                expected.push(format!("{name} {published} ({source})"));
            }
            let found = mean(name).map(|mean| mean.mean);
            if let Some(at_least) =
                expectation.at_least.filter(|at_least| !quick && found.is_none_or(|found| found < *at_least))
            {
                missed.push(format!("{name} at least {at_least}"));
            }
        }
        if outcomes.len() < n_wanted {
            missed.push(format!("{} of {n_wanted} seeds", outcomes.len()));
        }
        Self {
            name: experiment.file_name.clone(),
            title: experiment.title.clone(),
            data: outcomes.first().map_or_else(String::new, |outcome| outcome.data.clone()),
            machine: outcomes.first().map_or_else(String::new, |outcome| {
                format!("{}, commit {}", outcome.machine, outcome.commit)
            }),
            n_wanted,
            n_done: outcomes.len(),
            metrics: SHOWN.iter().map(|name| ((*name).to_string(), mean(name))).collect(),
            expected,
            missed,
            seconds: mean("seconds"),
            memory_mib: mean("peak_memory_bytes")
                .map(|m| Mean { mean: m.mean / f64::from(1 << 20), sd: m.sd / f64::from(1 << 20) }),
        }
    }

    /// The row of an experiment whose data are absent.
    pub(super) fn of_absent_data(experiment: &Experiment) -> Self {
        let mut row = Self::new(experiment, 0, &[], true);
        row.data = NOT_RUN.to_string();
        row
    }

    /// Whether its data are absent.
    pub(super) fn not_run(&self) -> bool {
        self.data == NOT_RUN
    }

    /// Whether it failed, or is below what it expects.
    pub(super) fn missed(&self) -> bool {
        !self.missed.is_empty()
    }
}

/// The rows as text, a line each.
pub(super) fn render(rows: &[Row]) -> String {
    let mut text = String::new();
    for row in rows {
        let _ = write!(text, "{:32} seeds {}/{}", row.name, row.n_done, row.n_wanted);
        for (name, mean) in &row.metrics {
            let _ = write!(text, "  {name} {}", shown(*mean, 4));
        }
        let _ = write!(text, "  {} s", shown(row.seconds, 1));
        let verdict = if row.not_run() {
            format!("  {NOT_RUN}")
        } else if row.missed() {
            format!("  MISSED: {}", row.missed.join(", "))
        } else {
            String::new()
        };
        let _ = writeln!(text, "{verdict}");
    }
    text
}

/// Writes `results/reproduce.md`.
pub(super) fn write(rows: &[Row]) -> Result<()> {
    let mut text = String::from(
        "# What `cargo xtask reproduce` measured\n\nMean ± standard deviation over seeds; positive = abnormal. Written by the command, not by hand.\n\n",
    );
    text.push_str("| experiment | data | seeds | AUROC | AUPRC | F1 | seconds | peak MiB | published | missed |\n| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |\n");
    for row in rows {
        let metrics: Vec<String> = row.metrics.iter().map(|(_, mean)| shown(*mean, 4)).collect();
        let _ = writeln!(
            text,
            "| {}: {} | {} | {} | {} | {} | {} | {} | {} |",
            row.name,
            row.title,
            row.data,
            row.n_done,
            metrics.join(" | "),
            shown(row.seconds, 1),
            shown(row.memory_mib, 0),
            row.expected.join("; "),
            row.missed.join("; ")
        );
    }
    if let Some(row) = rows.iter().find(|row| !row.not_run()) {
        let _ = writeln!(text, "\nMachine: {}.", row.machine);
    }
    fs::create_dir_all("results")?;
    fs::write("results/.reproduce.md.part", text)?;
    Ok(fs::rename("results/.reproduce.md.part", "results/reproduce.md")?)
}

fn shown(mean: Option<Mean>, digits: usize) -> String {
    mean.map_or_else(|| "–".to_string(), |Mean { mean, sd }| format!("{mean:.digits$} ± {sd:.digits$}"))
}
