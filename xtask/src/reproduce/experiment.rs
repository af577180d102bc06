//! Experiments: files as they stand, and those that a suite makes of them.

use anyhow::{Context, Result};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use toml::{Table, Value};

/// What decides on a result; the rest says how it is called, judged and kept.
const SETTINGS: [&str; 5] = ["model", "data", "config", "decide", "weighting"];

/// In a table of changes: `whole = true`, so that nothing is left of the table that it replaces.
const WHOLE: &str = "whole";

/// What the mean of a metric over the seeds should reach.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Expectation {
    pub(super) published: Option<f64>,
    pub(super) source: Option<String>,
    pub(super) at_least: Option<f64>,
}

/// The experiments of a folder, by name.
pub(super) struct Files(BTreeMap<String, File>);

/// An experiment as it stands in its file.
pub(super) struct File {
    name: String,
    path: PathBuf,
    table: Table,
}

/// An experiment to run, complete.
#[derive(Clone, Debug)]
pub(super) struct Experiment {
    pub(super) suite: String,
    pub(super) entry: String,
    pub(super) case: Option<String>,
    /// Name of the file that it is made of.
    pub(super) file: String,
    path: PathBuf,
    /// Whether its results are those of its file as it stands.
    pub(super) plain: bool,
    /// All of it.
    pub(super) table: Table,
    /// Where its run folders lie, within the folder of all.
    pub(super) dir: PathBuf,
    pub(super) seeds: Vec<u64>,
    /// Whether an embedded sample must not stand in for its data.
    pub(super) full_data: bool,
}

impl Files {
    /// Reads `folder`.
    pub(super) fn read(folder: &Path) -> Result<Self> {
        let mut files = BTreeMap::new();
        for (name, text) in texts(folder)? {
            let path = folder.join(format!("{name}.toml"));
            let table: Table = toml::from_str(&text).with_context(|| path.display().to_string())?;
            files.insert(name.clone(), File { name, path, table });
        }
        Ok(Self(files))
    }

    /// The experiment called `name`.
    pub(super) fn named(&self, name: &str) -> Result<&File> {
        self.0.get(name).with_context(|| format!("there is no experiment `{name}`"))
    }

    /// All names.
    pub(super) fn names(&self) -> impl Iterator<Item = &String> {
        self.0.keys()
    }
}

impl File {
    /// Its title.
    pub(super) fn title(&self) -> &str {
        self.table.get("title").and_then(Value::as_str).unwrap_or_default()
    }

    /// What it expects.
    pub(super) fn expect(&self) -> Result<BTreeMap<String, Expectation>> {
        let expect = self.table.get("expect").cloned().unwrap_or_else(|| Table::new().into());
        expect.try_into().with_context(|| format!("`expect` in {}", self.path.display()))
    }
}

impl Experiment {
    /// The experiment of a file with `changes` laid over it, one after the other.
    pub(super) fn new(file: &File, changes: &[&Table]) -> Result<Self> {
        let mut table = file.table.clone();
        changes.iter().for_each(|over| merge(&mut table, over));
        let deciding = |table: &Table| {
            let quick = table.get("quick").cloned();
            (settings(table), quick)
        };
        let seeds = table.get("seeds").cloned().unwrap_or_else(|| Value::Array(Vec::new()));
        Ok(Self {
            suite: String::new(),
            entry: String::new(),
            case: None,
            file: file.name.clone(),
            path: file.path.clone(),
            plain: deciding(&table) == deciding(&file.table),
            seeds: seeds.try_into().with_context(|| format!("`seeds` in {}", file.path.display()))?,
            table,
            dir: PathBuf::new(),
            full_data: false,
        })
    }

    /// Gives it its title and its folder. What is as in the file is run from there.
    pub(super) fn call(&mut self, title: &str) {
        if self.plain {
            self.dir = PathBuf::from(&self.file);
            return;
        }
        let case = self.case.as_ref().map(|case| format!("-{case}")).unwrap_or_default();
        let name = format!("{}{case}", self.entry);
        self.dir = Path::new(&self.suite).join(&name);
        self.table.insert("name".into(), format!("{}-{name}", self.suite).into());
        self.table.insert("title".into(), title.into());
        self.table.remove("expect"); // of its file's own numbers
    }

    /// `SUITE/ENTRY/CASE`, or the file's name where it stands alone.
    pub(super) fn label(&self) -> String {
        if self.suite == super::suite::OTHERS {
            return self.file.clone();
        }
        format!("{}/{}", self.suite, self.config())
    }

    /// `ENTRY/CASE`.
    pub(super) fn config(&self) -> String {
        let case = self.case.as_ref().map(|case| format!("/{case}")).unwrap_or_default();
        format!("{}{case}", self.entry)
    }

    /// All that it may be called by on a command line, besides its suite.
    pub(super) fn names(&self) -> Vec<String> {
        let mut names =
            vec![format!("{}/{}", self.suite, self.entry), format!("{}/{}", self.suite, self.config())];
        if self.plain {
            names.push(self.file.clone());
        }
        names
    }

    /// The family.
    pub(super) fn family(&self) -> &str {
        self.table.get("model").and_then(Value::as_str).unwrap_or_default()
    }

    /// Twelve hexadecimal digits that say whether two results are of the same numbers.
    pub(super) fn settings(&self) -> String {
        let text = toml::to_string(&settings(&self.table)).unwrap_or_default();
        flicker_manifest::sha256_of(text.as_bytes()).chars().take(12).collect()
    }

    /// The file to run: its own, or one that is written into `runs` for it.
    pub(super) fn file(&self, runs: &Path) -> Result<PathBuf> {
        if self.plain {
            return Ok(self.path.clone());
        }
        let path = runs.join(&self.dir).with_extension("toml");
        let head = format!("# Made of {} for the suite {}.\n", self.path.display(), self.suite);
        super::write_whole(&path, &(head + &toml::to_string(&self.table)?))?;
        Ok(path)
    }
}

/// The part of an experiment that decides on its results.
pub(super) fn settings(table: &Table) -> Table {
    let kept = SETTINGS.iter().filter_map(|key| Some(((*key).to_string(), table.get(*key)?.clone())));
    kept.collect()
}

/// The texts of the TOML files in a folder, by name.
pub(super) fn texts(folder: &Path) -> Result<BTreeMap<String, String>> {
    let mut texts = BTreeMap::new();
    for entry in fs::read_dir(folder).with_context(|| folder.display().to_string())? {
        let path = entry?.path();
        if path.extension().is_some_and(|ending| ending == "toml") {
            let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
            texts.insert(name, fs::read_to_string(&path).with_context(|| path.display().to_string())?);
        }
    }
    Ok(texts)
}

/// Values of `over` replace those of `base`; tables are merged, but for those that say which kind they are, or that they are
/// `whole`: they replace.
fn merge(base: &mut Table, over: &Table) {
    const REPLACING: [&str; 3] = ["kind", "method", WHOLE];
    for (key, value) in over.iter().filter(|(key, _)| *key != WHOLE) {
        match (base.get_mut(key), value) {
            (Some(Value::Table(base)), Value::Table(over))
                if !REPLACING.iter().any(|word| over.contains_key(*word)) =>
            {
                merge(base, over);
            }
            (_, Value::Table(over)) => {
                let mut new = Table::new();
                merge(&mut new, over);
                base.insert(key.clone(), new.into());
            }
            _ => {
                base.insert(key.clone(), value.clone());
            }
        }
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// An experiment that is read, but never run.
    pub(in crate::reproduce) fn write_toy(folder: &Path, name: &str) {
        let text = format!(
            "name = \"{name}\"\ntitle = \"a toy\"\nmodel = \"ae\"\nseeds = [0, 1, 2]\n[data]\nname = \"mnist\"\n\
             protocol = {{ kind = \"one_class\", normal = [0] }}\n[config]\nkind = \"a\"\nepochs = 5\n\
             [decide]\nfalse_alarm_rate = 0.05\n[expect]\nauroc = {{ at_least = 0.5 }}\n[quick]\nconfig = {{ epochs = 1 }}\n"
        );
        fs::create_dir_all(folder).expect("made");
        fs::write(folder.join(format!("{name}.toml")), text).expect("written");
    }

    #[test]
    fn what_does_not_decide_on_a_result_does_not_change_its_settings() -> Result<()> {
        let dir = tempfile::tempdir()?;
        write_toy(dir.path(), "toy");
        let files = Files::read(dir.path())?;
        let of = |text: &str| -> Result<Experiment> {
            Experiment::new(files.named("toy")?, &[&toml::from_str(text)?])
        };
        let base = of("")?;
        let same = of("title = 'x'\nkeep = { weights_every = 3 }\n[expect]\nauroc = { at_least = 0.9 }")?;
        assert_eq!((same.settings(), same.plain), (base.settings(), true));
        for changed in ["config.epochs = 6", "data.name = 'shuttle'", "decide.false_alarm_rate = 0.1"] {
            let changed = of(changed)?;
            assert!(changed.settings() != base.settings() && !changed.plain);
        }
        assert!(!of("quick.config.epochs = 2")?.plain, "its quick form is another one");
        Ok(())
    }

    #[test]
    fn tables_are_merged_unless_they_are_of_another_kind_or_whole() -> Result<()> {
        let merged = |over: &str| -> Result<String> {
            let mut base: Table = toml::from_str("a = { kind = 'x', n = 1 }\nb = { c = { n = 1, m = 2 } }")?;
            merge(&mut base, &toml::from_str(over)?);
            Ok(base.to_string().replace('\n', " "))
        };
        let check = |over, expected: &str| -> Result<()> {
            let expected: Table = toml::from_str(expected)?;
            assert_eq!(merged(over)?, expected.to_string().replace('\n', " "));
            Ok(())
        };
        check("a.n = 2\nb.c.m = 3", "a = { kind = 'x', n = 2 }\nb = { c = { n = 1, m = 3 } }")?;
        check("a = { kind = 'y' }", "a = { kind = 'y' }\nb = { c = { n = 1, m = 2 } }")?;
        check("b.c = { whole = true, m = 3 }", "a = { kind = 'x', n = 1 }\nb = { c = { m = 3 } }")?;
        check(
            "d = { whole = true, e = { n = 1 } }",
            "a = { kind = 'x', n = 1 }\nb = { c = { n = 1, m = 2 } }\nd = { e = { n = 1 } }",
        )
    }

    #[test]
    fn an_experiment_that_was_made_is_written_for_the_program() -> Result<()> {
        let dir = tempfile::tempdir()?;
        write_toy(dir.path(), "toy");
        let files = Files::read(dir.path())?;
        let mut made = Experiment::new(files.named("toy")?, &[&toml::from_str("config.epochs = 6")?])?;
        (made.suite, made.entry, made.case) = ("toys".into(), "long".into(), Some("3".into()));
        made.call("longer, digit 3");
        let path = made.file(dir.path())?;
        assert_eq!(path, dir.path().join("toys/long-3.toml"));
        let read: Table = toml::from_str(&fs::read_to_string(path)?)?;
        assert_eq!(read["name"].as_str(), Some("toys-long-3"));
        assert!(read["config"]["epochs"].as_integer() == Some(6) && !read.contains_key("expect"));
        Ok(())
    }
}
