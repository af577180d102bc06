//! Experiments as files, and the outcomes that they left.

use anyhow::{Context, Result, bail};
use flicker_manifest::Located;
use serde::Deserialize;
use serde_json::Value;
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

/// What this task reads of an experiment; the train program reads the rest.
#[derive(Debug, Deserialize)]
pub(super) struct Experiment {
    /// Name of the file, without its ending.
    #[serde(skip)]
    pub(super) file_name: String,
    pub(super) title: String,
    pub(super) seeds: Vec<u64>,
    pub(super) data: Data,
    #[serde(default)]
    pub(super) expect: BTreeMap<String, Expectation>,
}

/// What an experiment reads.
#[derive(Debug, Deserialize)]
pub(super) struct Data {
    /// Name of the data set's manifest.
    pub(super) name: String,
}

/// What the mean of a metric over the seeds should reach.
#[derive(Debug, Deserialize)]
pub(super) struct Expectation {
    pub(super) published: Option<f64>,
    pub(super) source: Option<String>,
    pub(super) at_least: Option<f64>,
}

/// What one run left.
#[derive(Debug)]
pub(super) struct Outcome {
    pub(super) metrics: Value,
    pub(super) data: String,
    pub(super) machine: String,
    pub(super) commit: String,
}

impl Experiment {
    /// What brings its data, where they are absent.
    pub(super) fn absent_data(&self) -> Option<String> {
        absent_data(&self.data.name, &flicker_manifest::data_root())
    }

    /// The experiments of these names, or all, sorted.
    pub(super) fn find(names: &[String]) -> Result<Vec<Self>> {
        let mut found = Vec::new();
        for entry in fs::read_dir("experiments").context("experiments")? {
            let path = entry?.path();
            if path.extension().is_some_and(|ending| ending == "toml") {
                let text = fs::read_to_string(&path)?;
                let mut experiment: Self =
                    toml::from_str(&text).with_context(|| path.display().to_string())?;
                experiment.file_name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
                found.push(experiment);
            }
        }
        found.sort_by(|a, b| a.file_name.cmp(&b.file_name));
        if let Some(unknown) =
            names.iter().find(|name| found.iter().all(|experiment| experiment.file_name != **name))
        {
            let known: Vec<&str> = found.iter().map(|experiment| experiment.file_name.as_str()).collect();
            bail!("there is no experiment `{unknown}`; there are {}", known.join(", "));
        }
        if !names.is_empty() {
            found.retain(|experiment| names.contains(&experiment.file_name));
        }
        Ok(found)
    }
}

impl Outcome {
    /// Reads a finished run folder.
    pub(super) fn read(dir: &Path) -> Result<Self> {
        let read = |name: &str| {
            fs::read_to_string(dir.join(name)).with_context(|| dir.join(name).display().to_string())
        };
        let config: toml::Table = toml::from_str(&read("config.toml")?)?;
        let run = |key: &str| {
            let value = config.get("run").and_then(|run| run.get(key)?.as_str());
            value.unwrap_or("unknown").to_string()
        };
        let data: Value = serde_json::from_str(&read("data.json")?)?;
        Ok(Self {
            metrics: serde_json::from_str(&read("metrics.json")?)?,
            data: short_origin(data["origin"].as_str().unwrap_or("unknown")).to_string(),
            machine: run("machine"),
            commit: run("commit"),
        })
    }

    /// The result in one line.
    pub(super) fn in_words(&self) -> String {
        let shown =
            |name: &str| self.metric(name).map_or("undefined".to_string(), |value| format!("{value:.4}"));
        let seconds = self.metric("seconds").map_or(String::new(), |seconds| format!(" in {seconds:.0} s"));
        format!("AUROC {}, AUPRC {}{seconds}", shown("auroc"), shown("auprc"))
    }

    /// A metric, whether it comes with an interval or alone; `pixels.pro` is one within a table.
    pub(super) fn metric(&self, name: &str) -> Option<f64> {
        let value = name.split('.').fold(&self.metrics, |table, key| &table[key]);
        value["value"].as_f64().or_else(|| value.as_f64())
    }
}

/// What brings the data set `name` where none of its files is there and no sample stands in for it; `None` where it can be read, and
/// where something else is wrong with it, which the program says.
fn absent_data(name: &str, root: &Path) -> Option<String> {
    let manifest = flicker_manifest::named(name).ok()?;
    match flicker_manifest::locate(&manifest, root) {
        Err(absent @ flicker_manifest::Error::Absent { .. })
            if manifest.files.iter().all(|file| !root.join(name).join(&file.name).exists()) =>
        {
            Some(absent.to_string())
        }
        _ => None,
    }
}

/// The first words of where data come from, without the folders of a machine; see [`Located`]'s text.
fn short_origin(origin: &str) -> &str {
    let end = [" instead of ", " from "].iter().filter_map(|rest| origin.find(rest)).min();
    &origin[..end.unwrap_or(origin.len())]
}

/// Whether the files behind a run folder are those that a run would read now, by their hashes.
pub(super) fn same_data(dir: &Path) -> Result<bool> {
    let data: Value = serde_json::from_str(&fs::read_to_string(dir.join("data.json"))?)?;
    let asked = flicker_manifest::named(data["name"].as_str().unwrap_or_default())?;
    let manifest = match flicker_manifest::locate(&asked, &flicker_manifest::data_root())? {
        Located::Full { .. } => asked,
        Located::Embedded { sample, .. } => flicker_manifest::named(&sample)?,
    };
    let now = manifest.hashes().into_iter();
    let then = data["files"].as_array().into_iter().flatten().filter_map(|file| file["sha256"].as_str());
    Ok(now.eq(then))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(located: &Located, short: &str) {
        assert_eq!(short_origin(&located.to_string()), short);
    }

    #[test]
    fn data_are_absent_only_where_nothing_is_there() {
        let root = tempfile::tempdir().expect("a folder");
        let said = absent_data("creditcard", root.path()).expect("nothing is there");
        assert!(said.contains("`cargo xtask data creditcard` brings it"), "{said}");
        assert_eq!(absent_data("mnist", root.path()), None); // its sample stands in
        let folder = root.path().join("creditcard");
        std::fs::create_dir(&folder).expect("made");
        std::fs::write(folder.join("creditcard.csv"), "cut").expect("written");
        assert_eq!(absent_data("creditcard", root.path()), None); // damaged, which is an error
    }

    #[test]
    fn a_row_names_its_data_in_two_or_three_words() {
        let [name, sample] = ["mnist", "mnist-sample"].map(str::to_string);
        check(&Located::Full { name: name.clone(), folder: "data/mnist".into() }, "full mnist");
        let embedded = Located::Embedded { name, sample, folder: "data/mnist".into() };
        check(&embedded, "embedded sample mnist-sample");
        let sample = "mnist-sample".to_string();
        let itself = Located::Embedded { name: sample.clone(), sample, folder: "data".into() };
        check(&itself, "embedded sample mnist-sample");
    }
}
