//! What a run left in its folder.

use anyhow::{Context, Result};
use serde_json::Value;
use std::fs;
use std::path::Path;

/// What one run left.
#[derive(Clone, Debug)]
pub(super) struct Outcome {
    metrics: Value,
    /// In two or three words.
    pub(super) data: String,
    pub(super) machine: String,
    pub(super) commit: String,
}

/// A metric, with its 95 % interval where it has one.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Metric {
    pub(super) value: f64,
    pub(super) interval: Option<(f64, f64)>,
}

impl Outcome {
    /// Reads a finished run folder.
    pub(super) fn read(dir: &Path) -> Result<Self> {
        let read = |name: &str| {
            fs::read_to_string(dir.join(name)).with_context(|| dir.join(name).display().to_string())
        };
        let config: toml::Table = toml::from_str(&read("config.toml")?)?;
        let run = |key: &str| config.get("run").and_then(|run| run.get(key));
        let text = |key: &str| run(key).and_then(|value| value.as_str()).unwrap_or("unknown").to_string();
        let threads = run("threads").and_then(toml::Value::as_integer);
        let threads =
            threads.map_or(String::new(), |n| format!(", {n} thread{}", if n == 1 { "" } else { "s" }));
        let data: Value = serde_json::from_str(&read("data.json")?)?;
        Ok(Self {
            metrics: serde_json::from_str(&read("metrics.json")?)?,
            data: short_origin(data["origin"].as_str().unwrap_or("unknown")).to_string(),
            machine: text("machine") + &threads,
            commit: text("commit"),
        })
    }

    /// The result in one line.
    pub(super) fn in_words(&self) -> String {
        let shown =
            |name: &str| self.value(name).map_or("undefined".to_string(), |value| format!("{value:.4}"));
        let seconds = self.value("seconds").map_or(String::new(), |seconds| format!(" in {seconds:.0} s"));
        format!("AUROC {}, AUPRC {}{seconds}", shown("auroc"), shown("auprc"))
    }

    /// A metric by its path in `metrics.json`, its keys parted by `/`: `auroc`, `pixels/pro`, `by_class/7/mean`. In a list, a key
    /// names those of its rows that hold it as a text.
    pub(super) fn metric(&self, path: &str) -> Option<Metric> {
        let mut found: Vec<&Value> = vec![&self.metrics];
        for key in path.split('/') {
            found = found.into_iter().flat_map(|value| step(value, key)).collect();
        }
        let found = *found.first()?;
        let value = found["value"].as_f64().or_else(|| found.as_f64())?;
        let interval = found["low"].as_f64().zip(found["high"].as_f64());
        Some(Metric { value, interval })
    }

    /// The value of a metric.
    pub(super) fn value(&self, path: &str) -> Option<f64> {
        Some(self.metric(path)?.value)
    }

    /// The seconds of the whole run, unless it was interrupted: then nobody counted those before.
    pub(super) fn seconds(&self) -> Option<f64> {
        self.value("seconds").filter(|_| !self.resumed())
    }

    /// Whether its training was interrupted.
    pub(super) fn resumed(&self) -> bool {
        self.metrics["resumed"].as_bool().unwrap_or(false)
    }
}

/// What `key` leads to: a field of a table, or the rows of a list that hold it as a text.
fn step<'a>(value: &'a Value, key: &str) -> Vec<&'a Value> {
    let holds = |row: &&Value| {
        row.as_object().is_some_and(|row| row.values().any(|value| value.as_str() == Some(key)))
    };
    match value {
        Value::Array(rows) => rows.iter().filter(holds).collect(),
        // A row that a list was narrowed to may be narrowed further.
        Value::Object(fields) => match fields.get(key) {
            Some(field) => vec![field],
            None => Some(value).filter(holds).into_iter().collect(),
        },
        _ => Vec::new(),
    }
}

/// The first words of where data come from, without the folders of a machine.
fn short_origin(origin: &str) -> &str {
    let end = [" instead of ", " from "].iter().filter_map(|rest| origin.find(rest)).min();
    &origin[..end.unwrap_or(origin.len())]
}

#[cfg(test)]
mod tests {
    use super::*;
    use flicker_manifest::Located;
    use serde_json::json;

    #[test]
    fn metrics_are_found_by_their_path() {
        let metrics = json!({
            "auroc": {"value": 0.9, "low": 0.8, "high": 0.95},
            "alpha": 0.05,
            "pixels": {"pro": 0.7},
            "by_class": [{"class": "noise", "mean": 1.5}],
            "both_classes": [
                {"at": "calibrated", "positive": "normal", "f1": 0.1},
                {"at": "corner", "positive": "abnormal", "f1": 0.2},
                {"at": "corner", "positive": "normal", "f1": 0.3},
            ],
        });
        let outcome = Outcome { metrics, data: String::new(), machine: String::new(), commit: String::new() };
        assert_eq!(outcome.metric("auroc"), Some(Metric { value: 0.9, interval: Some((0.8, 0.95)) }));
        let value = |path| outcome.value(path);
        assert_eq!(
            (value("alpha"), value("pixels/pro"), value("by_class/noise/mean")),
            (Some(0.05), Some(0.7), Some(1.5))
        );
        assert_eq!(value("both_classes/corner/normal/f1"), Some(0.3));
        assert_eq!((value("auprc"), value("by_class/7/mean"), value("pixels")), (None, None, None));
    }

    #[test]
    fn a_row_names_its_data_in_two_or_three_words() {
        let check = |located: &Located, short: &str| assert_eq!(short_origin(&located.to_string()), short);
        let [name, sample] = ["mnist", "mnist-sample"].map(str::to_string);
        check(&Located::Full { name: name.clone(), folder: "data/mnist".into() }, "full mnist");
        let embedded = Located::Embedded { name, sample, folder: "data/mnist".into() };
        check(&embedded, "embedded sample mnist-sample");
        let sample = "mnist-sample".to_string();
        let itself = Located::Embedded { name: sample.clone(), sample, folder: "data".into() };
        check(&itself, "embedded sample mnist-sample");
    }
}
