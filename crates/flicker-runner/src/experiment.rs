//! The experiment file: model, data, every number, seeds, and what is expected.

use crate::Failure;
use crate::samples::DataConfig;
use crate::weighting::Weighting;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::Path;
use toml::{Table, Value};

/// An experiment, complete. Unknown fields are refused everywhere.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Experiment<C> {
    /// What it is called; run folders are named after it.
    pub name: String,
    /// One line for people.
    pub title: String,
    /// The family; where a file leaves it out, whoever reads it has to know.
    #[serde(default)]
    pub model: String,
    /// The seeds to run it with.
    pub seeds: Vec<u64>,
    /// What is read, and who is normal.
    pub data: DataConfig,
    /// The family's numbers.
    pub config: C,
    /// How the threshold is set.
    pub decide: Decide,
    /// What is kept on the way.
    pub keep: Keep,
    /// Two parts of the score to be weighed against each other after the run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub weighting: Option<Weighting>,
    /// What the mean over the seeds should reach.
    #[serde(default)]
    pub expect: BTreeMap<String, Expectation>,
    /// Merged over the rest by `--quick`.
    #[serde(default, skip_serializing)]
    pub quick: Table,
    /// What a run folder's `config.toml` says of its run; not looked at, so that such a file is an experiment too.
    #[serde(default, skip_serializing)]
    #[allow(dead_code)] // Read by nobody: its use is to be accepted.
    pub run: Table,
}

/// How the threshold is set, from validation normals alone.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Decide {
    /// The share of normal samples that may be flagged.
    pub false_alarm_rate: f64,
    /// The share of the pixels of normal images that may be flagged; when absent, the same.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pixel_false_alarm_rate: Option<f64>,
}

impl Decide {
    /// The share of the pixels of normal images that may be flagged.
    pub(crate) fn of_pixels(self) -> f64 {
        self.pixel_false_alarm_rate.unwrap_or(self.false_alarm_rate)
    }
}

/// What is kept on the way, every so many epochs; 0 is never.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Keep {
    /// A checkpoint to resume from.
    pub checkpoint_every: usize,
    /// The weights of that epoch, for good.
    pub weights_every: usize,
    /// Reconstructions of the watched sets.
    pub pictures_every: usize,
}

/// What a metric should reach.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Expectation {
    /// The value in the source.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub published: Option<f64>,
    /// Where that value stands.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
    /// The mean over seeds must not be below this.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at_least: Option<f64>,
}

impl<C: DeserializeOwned + Serialize + Clone> Experiment<C> {
    /// Reads an experiment of `family` from `text`; `origin` names it in errors. With `quick`, and with `set`
    /// (`key=value`), values are replaced before the numbers are looked at.
    pub(crate) fn parse(
        origin: &str,
        text: &str,
        family: &str,
        quick: bool,
        set: &[String],
    ) -> Result<Self, Failure> {
        let mut table: Table = toml::from_str(text).map_err(|error| wrong(origin, text, &error))?;
        expect_family(origin, &table, family)?;
        // First as it stands: then an error knows its line.
        let plain: Self = toml::from_str(text).map_err(|error| wrong(origin, text, &error))?;
        let experiment = if quick || !set.is_empty() {
            if quick {
                merge(&mut table, &plain.quick);
            }
            for assignment in set {
                assign(&mut table, assignment)?;
            }
            let changed = Value::Table(table).try_into();
            changed.map_err(|error: toml::de::Error| {
                Failure::usage(format!("{origin}: {}", one_line(error.message())))
            })?
        } else {
            plain
        };
        experiment.check(origin)?;
        Ok(Self { model: family.to_string(), ..experiment })
    }

    fn check(&self, origin: &str) -> Result<(), Failure> {
        let wrong = |field: &str, problem: String| {
            Err(Failure::usage(format!("{origin}: config field `{field}`: {problem}")))
        };
        if self.seeds.is_empty() {
            return wrong("seeds", "needs at least one seed".into());
        }
        if self.name.is_empty() || !self.name.chars().all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c))
        {
            return wrong(
                "name",
                format!("names a folder: letters, digits, `-`, `_` and `.`, found `{}`", self.name),
            );
        }
        let pixels = self.decide.of_pixels();
        for (field, rate) in
            [("false_alarm_rate", self.decide.false_alarm_rate), ("pixel_false_alarm_rate", pixels)]
        {
            if !(rate > 0.0 && rate < 1.0) {
                return wrong(&format!("decide.{field}"), format!("must lie between 0 and 1, is {rate}"));
            }
        }
        Ok(())
    }
}

impl<C> Experiment<C> {
    /// What is the same for every family, and the family's numbers.
    pub(crate) fn split(self) -> (Experiment<()>, C) {
        let Self { name, title, model, seeds, data, config, decide, keep, weighting, expect, quick, run } =
            self;
        (
            Experiment {
                name,
                title,
                model,
                seeds,
                data,
                config: (),
                decide,
                keep,
                weighting,
                expect,
                quick,
                run,
            },
            config,
        )
    }
}

/// The text of the file at `path`.
///
/// # Errors
/// [`Failure::Usage`] if it cannot be read.
pub fn read(path: &Path) -> Result<String, Failure> {
    std::fs::read_to_string(path).map_err(|error| Failure::usage(format!("{}: {error}", path.display())))
}

fn expect_family(origin: &str, table: &Table, family: &str) -> Result<(), Failure> {
    match table.get("model").and_then(Value::as_str) {
        Some(found) if found != family => Err(Failure::usage(format!(
            "{origin}: `model` is `{found}`, this program trains `{family}`; use `{found}-train`"
        ))),
        _ => Ok(()),
    }
}

/// One line: file, line, and what toml says.
pub(crate) fn wrong(origin: &str, text: &str, error: &toml::de::Error) -> Failure {
    let line = error.span().map(|span| text[..span.start.min(text.len())].matches('\n').count() + 1);
    let place = line.map_or(origin.to_string(), |line| format!("{origin}:{line}"));
    Failure::usage(format!("{place}: {}", one_line(error.message())))
}

fn one_line(text: &str) -> String {
    text.split('\n').map(str::trim).collect::<Vec<_>>().join(" ")
}

/// Values of `over` replace those of `base`; tables are merged.
fn merge(base: &mut Table, over: &Table) {
    for (key, value) in over {
        match (base.get_mut(key), value) {
            (Some(Value::Table(base)), Value::Table(over)) => merge(base, over),
            _ => {
                base.insert(key.clone(), value.clone());
            }
        }
    }
}

/// Carries out `a.b=value`, the value being TOML or else a plain string.
fn assign(table: &mut Table, assignment: &str) -> Result<(), Failure> {
    let (path, text) = assignment.split_once('=').ok_or_else(|| {
        Failure::usage(format!("--set {assignment}: expected KEY=VALUE, such as config.epochs=3"))
    })?;
    let value = toml::from_str::<Table>(&format!("v = {text}"))
        .ok()
        .and_then(|mut parsed| parsed.remove("v"))
        .unwrap_or_else(|| Value::String(text.to_string()));
    let mut over = Table::new();
    let mut keys = path.split('.').rev();
    over.insert(keys.next().unwrap_or_default().to_string(), value);
    for key in keys {
        over = Table::from_iter([(key.to_string(), Value::Table(over))]);
    }
    merge(table, &over);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Numbers {
        epochs: usize,
        rate: f64,
    }

    const TEXT: &str = r#"name = "toy"
title = "a toy"
model = "toy"
seeds = [3]
[data]
name = "mnist"
protocol = { kind = "one_class", normal = [0] }
split = { pool = { kind = "official" }, validation = 0.1 }
[config]
epochs = 5
rate = 0.5
[decide]
false_alarm_rate = 0.05
[keep]
checkpoint_every = 1
weights_every = 0
pictures_every = 0
[quick.config]
epochs = 1
"#;

    fn parse(text: &str, quick: bool, set: &[&str]) -> Result<Experiment<Numbers>, Failure> {
        let set: Vec<String> = set.iter().map(ToString::to_string).collect();
        Experiment::parse("x.toml", text, "toy", quick, &set)
    }

    #[track_caller]
    fn check(text: &str, set: &[&str], message: &str) {
        let failure = parse(text, false, set).expect_err("wrong");
        assert_eq!(failure.to_string(), message);
        assert!(matches!(failure, Failure::Usage(_)));
    }

    #[test]
    fn quick_and_set_replace_values() {
        assert_eq!(parse(TEXT, false, &[]).expect("right").config, Numbers { epochs: 5, rate: 0.5 });
        assert_eq!(parse(TEXT, true, &[]).expect("right").config.epochs, 1);
        assert_eq!(parse(TEXT, true, &["config.epochs=7"]).expect("right").config.epochs, 7);
    }

    #[test]
    fn an_error_names_file_line_and_field() {
        let unknown = TEXT.replace("rate = 0.5\n[decide]", "rate = 0.5\nrat = 1\n[decide]");
        check(&unknown, &[], "x.toml:12: unknown field `rat`, expected `epochs` or `rate`");
        check(&TEXT.replace("rate = 0.5\n[d", "[d"), &[], "x.toml:9: missing field `rate`");
        check(
            &TEXT.replace("epochs = 5", "epochs = \"5\""),
            &[],
            "x.toml:10: invalid type: string \"5\", expected usize",
        );
        check(
            &TEXT.replace("= \"toy\"\nseeds", "= \"ae\"\nseeds"),
            &[],
            "x.toml: `model` is `ae`, this program trains `toy`; use `ae-train`",
        );
        check(
            &TEXT.replace("= 0.05", "= 1.5"),
            &[],
            "x.toml: config field `decide.false_alarm_rate`: must lie between 0 and 1, is 1.5",
        );
    }

    #[test]
    fn set_is_checked_too() {
        check(TEXT, &["config.epoch=1"], "x.toml: unknown field `epoch`, expected `epochs` or `rate`");
        check(TEXT, &["config.epochs"], "--set config.epochs: expected KEY=VALUE, such as config.epochs=3");
    }
}
