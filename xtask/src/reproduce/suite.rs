//! Suites: which experiments belong together, with what varied, against which published values and claims.
//!
//! A suite is a file in `experiments/suites/`. Each of its entries is an experiment of `experiments/` with some numbers changed,
//! run once for each case of the suite, such as each digit; so ten digits need no ten files. Experiments that are in no suite
//! make up the suite [`OTHERS`].

use super::experiment::{Expectation, Experiment, Files};
use anyhow::{Context, Result, bail, ensure};
use serde::Deserialize;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use toml::Table;

/// The suite of the experiments that no other suite holds.
pub(super) const OTHERS: &str = "others";

/// The suites, in the order of their worth; others follow by name.
const ORDER: [&str; 8] =
    ["seeds", "mnist-a", "mnist-b", "credit-card", "tiles", "brain", "adbench", "fashion-a"];

/// Experiments that belong together.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Suite {
    /// Name of the file, without its ending.
    #[serde(skip)]
    pub(super) name: String,
    pub(super) title: String,
    /// What it is about, a few sentences.
    pub(super) text: String,
    /// What was learned, a sentence each, with its gain.
    #[serde(default)]
    pub(super) notes: Vec<String>,
    /// Whether an embedded sample must not stand in for the data.
    #[serde(default)]
    full_data: bool,
    /// What tells the cases apart, such as `normal digit`.
    #[serde(default)]
    pub(super) axis: String,
    /// Seeds in place of an experiment's own.
    #[serde(default)]
    seeds: Vec<u64>,
    #[serde(default, rename = "case")]
    pub(super) cases: Vec<Case>,
    #[serde(default)]
    pub(super) published: Vec<Published>,
    #[serde(default, rename = "entry")]
    pub(super) entries: Vec<Entry>,
}

/// One value of what the experiments of a suite are run over.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Case {
    pub(super) name: String,
    /// What it changes in each experiment.
    set: Table,
}

/// Values from a paper, beside which ours stand.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Published {
    pub(super) name: String,
    pub(super) source: String,
    pub(super) metric: String,
    /// One for each case, or the mean over the cases alone.
    pub(super) values: Vec<f64>,
}

/// An experiment in a suite.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Entry {
    /// What it is called in the suite; by default as its experiment.
    #[serde(default)]
    pub(super) name: String,
    /// By default its experiment's.
    #[serde(default)]
    pub(super) title: String,
    /// The file in `experiments/`, without its ending.
    pub(super) experiment: String,
    /// What it changes there, in every case.
    #[serde(default)]
    set: Table,
    /// Seeds in place of the suite's.
    #[serde(default)]
    seeds: Vec<u64>,
    /// The row of published values that this entry is to be held against.
    #[serde(default)]
    pub(super) published: Option<String>,
    /// Floors and published values of the mean over cases and seeds; by default, without cases, its experiment's.
    #[serde(default)]
    pub(super) expect: BTreeMap<String, Expectation>,
    /// The document whose claims these are.
    #[serde(default)]
    pub(super) document: String,
    #[serde(default, rename = "claim")]
    pub(super) claims: Vec<Claim>,
    /// What is run: one for each case.
    #[serde(skip)]
    pub(super) experiments: Vec<Experiment>,
    /// How many there are, also where only some were chosen.
    #[serde(skip)]
    pub(super) n_experiments: usize,
}

/// A number in a document.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Claim {
    /// What the document calls it.
    pub(super) number: String,
    /// Its value there.
    pub(super) says: String,
    /// What was really measured there, where that is something else.
    #[serde(default)]
    pub(super) measured: String,
    /// Our metric for it, a path in `metrics.json`.
    #[serde(default)]
    pub(super) metric: Option<String>,
}

/// Every suite in the folder of experiments, with all that each would run.
pub(super) fn all(folder: &Path) -> Result<Vec<Suite>> {
    let files = Files::read(folder)?;
    let mut suites = Vec::new();
    let listed = folder.join("suites");
    if listed.is_dir() {
        for (name, text) in super::experiment::texts(&listed)? {
            let path = listed.join(format!("{name}.toml"));
            let mut suite: Suite = toml::from_str(&text).with_context(|| path.display().to_string())?;
            suite.name = name;
            suite.expand(&files).with_context(|| path.display().to_string())?;
            suites.push(suite);
        }
    }
    let place = |suite: &Suite| ORDER.iter().position(|name| *name == suite.name).unwrap_or(ORDER.len());
    suites.sort_by_key(place);
    let mut others = Suite::of_others(&suites, &files);
    others.expand(&files)?;
    suites.push(others);
    Ok(suites)
}

/// Leaves what `names` name, each a suite, `SUITE/ENTRY`, `SUITE/ENTRY/CASE`, or the file of an experiment. No names name all.
pub(super) fn select(suites: &mut [Suite], names: &[String]) -> Result<()> {
    if names.is_empty() {
        return Ok(());
    }
    let mut unknown: BTreeSet<&String> = names.iter().collect();
    for suite in suites.iter_mut() {
        let whole = names.contains(&suite.name);
        for entry in &mut suite.entries {
            entry.experiments.retain(|experiment| {
                let called = experiment.names();
                let mut chosen = whole;
                for name in names.iter().filter(|name| called.contains(*name)) {
                    unknown.remove(name);
                    chosen = true;
                }
                chosen
            });
        }
        unknown.remove(&suite.name);
    }
    if let Some(name) = unknown.first() {
        let known: Vec<&str> = suites.iter().map(|suite| suite.name.as_str()).collect();
        bail!(
            "there is no suite, entry or experiment `{name}`; there are the suites {}, and `--list` shows the rest",
            known.join(", ")
        );
    }
    Ok(())
}

impl Suite {
    /// The experiments that no suite runs as they are.
    fn of_others(suites: &[Self], files: &Files) -> Self {
        let held: BTreeSet<&str> = suites
            .iter()
            .flat_map(|suite| suite.entries.iter().flat_map(|entry| &entry.experiments))
            .filter(|experiment| experiment.plain)
            .map(|experiment| experiment.file.as_str())
            .collect();
        let entry = |name: &String| Entry {
            name: String::new(),
            title: String::new(),
            experiment: name.clone(),
            set: Table::new(),
            seeds: Vec::new(),
            published: None,
            expect: BTreeMap::new(),
            document: String::new(),
            claims: Vec::new(),
            experiments: Vec::new(),
            n_experiments: 0,
        };
        Self {
            name: OTHERS.into(),
            title: "Other experiments".into(),
            text: "Experiments that are in no suite.".into(),
            notes: Vec::new(),
            full_data: false,
            axis: String::new(),
            seeds: Vec::new(),
            cases: Vec::new(),
            published: Vec::new(),
            entries: files.names().filter(|name| !held.contains(name.as_str())).map(entry).collect(),
        }
    }

    /// Fills in what entries leave out, and makes their experiments.
    fn expand(&mut self, files: &Files) -> Result<()> {
        let mut names = BTreeSet::new();
        for published in &self.published {
            let fits = [1, self.cases.len()].contains(&published.values.len());
            ensure!(fits, "published `{}`: needs a value for each case, or one", published.name);
        }
        let mut entries = std::mem::take(&mut self.entries);
        for entry in &mut entries {
            let base = files.named(&entry.experiment)?;
            if entry.name.is_empty() {
                entry.name = entry.experiment.clone();
            }
            if entry.title.is_empty() {
                entry.title = base.title().to_string();
            }
            ensure!(names.insert(entry.name.clone()), "two entries are called `{}`", entry.name);
            if let Some(name) = &entry.published {
                let known = self.published.iter().any(|published| published.name == *name);
                ensure!(known, "entry `{}`: no published row `{name}`", entry.name);
            }
            if entry.expect.is_empty() && self.cases.is_empty() && entry.set.is_empty() {
                entry.expect = base.expect()?;
            }
            let cases: Vec<Option<usize>> =
                if self.cases.is_empty() { vec![None] } else { (0..self.cases.len()).map(Some).collect() };
            entry.experiments =
                cases.into_iter().map(|case| self.experiment(entry, case, files)).collect::<Result<_>>()?;
            entry.n_experiments = entry.experiments.len();
        }
        self.entries = entries;
        Ok(())
    }

    /// The experiment of `entry` in a case.
    fn experiment(&self, entry: &Entry, case: Option<usize>, files: &Files) -> Result<Experiment> {
        let base = files.named(&entry.experiment)?;
        let case = case.and_then(|index| self.cases.get(index));
        let changes: Vec<&Table> =
            [Some(&entry.set), case.map(|case| &case.set)].into_iter().flatten().collect();
        let seeds = [&entry.seeds, &self.seeds].into_iter().find(|seeds| !seeds.is_empty());
        let mut experiment = Experiment::new(base, &changes)?;
        experiment.suite.clone_from(&self.name);
        experiment.entry.clone_from(&entry.name);
        experiment.case = case.map(|case| case.name.clone());
        experiment.full_data = self.full_data;
        if let Some(seeds) = seeds {
            experiment.seeds.clone_from(seeds);
        }
        let title = match case {
            Some(case) => format!("{}, {} {}", entry.title, self.axis, case.name),
            None => entry.title.clone(),
        };
        experiment.call(&title);
        Ok(experiment)
    }

    /// The published row called `name`.
    pub(super) fn published_row(&self, name: &str) -> Option<&Published> {
        self.published.iter().find(|published| published.name == name)
    }
}

impl Entry {
    /// What is published for `metric`, by case where it is known by case, with its source.
    pub(super) fn published_value(
        &self,
        suite: &Suite,
        metric: &str,
        case: Option<usize>,
    ) -> Option<(f64, String)> {
        let row = self.published.as_ref().and_then(|name| suite.published_row(name));
        if let Some(row) = row.filter(|row| row.metric == metric) {
            let of_case =
                case.filter(|_| row.values.len() > 1).and_then(|case| row.values.get(case)).copied();
            let value = if case.is_some() { of_case } else { Some(row.mean()) };
            return value.map(|value| (value, format!("{}, {}", row.name, row.source)));
        }
        let expectation = self.expect.get(metric).filter(|_| case.is_none() || suite.cases.is_empty())?;
        let source = expectation.source.clone().unwrap_or_else(|| "no source given".into());
        Some((expectation.published?, source))
    }
}

impl Published {
    /// The mean over the cases.
    pub(super) fn mean(&self) -> f64 {
        self.values.iter().sum::<f64>() / self.values.len().max(1) as f64
    }
}

#[cfg(test)]
pub(super) mod tests;
