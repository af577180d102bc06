//! Two evaluations of one run side by side: what is not the same.

use crate::Failure;
use serde::Serialize;
use serde_json::Value;

/// What differs between recorded and found.
#[derive(Debug, PartialEq, Serialize)]
pub(crate) struct Comparison {
    /// Whether every score and every metric is the same number.
    pub same: bool,
    /// Whether the same samples were scored in the same order.
    pub same_samples: bool,
    pub n_scores: usize,
    pub n_scores_that_differ: usize,
    /// The largest difference of two scores of one sample.
    pub largest_difference: f64,
    /// Metrics that differ.
    pub metrics: Vec<Difference>,
}

/// A number that is not the one that was recorded.
#[derive(Debug, PartialEq, Serialize)]
pub(crate) struct Difference {
    pub name: String,
    pub recorded: Option<f64>,
    pub found: Option<f64>,
}

/// What `metrics.json` says that another run of the same may say otherwise.
const OF_THE_MACHINE: [&str; 4] = ["seconds", "seconds_train", "seconds_score", "peak_memory_bytes"];

impl Comparison {
    /// Compares metrics and the text of `scores.csv`, first the recorded ones.
    ///
    /// # Errors
    /// If the found scores are no such table. Recorded ones that are none count as other samples.
    pub(crate) fn new(recorded: (&Value, &[u8]), found: (&Value, &[u8])) -> Result<Self, Failure> {
        let now = scores(found.1).map_err(|error| Failure::Failed(format!("scores.csv: {error}")))?;
        let then = scores(recorded.1).unwrap_or_default();
        let same_samples = then.iter().map(|(id, _)| id).eq(now.iter().map(|(id, _)| id));
        let differences: Vec<f64> = if same_samples {
            let pairs = then.iter().zip(&now).filter(|((_, a), (_, b))| a != b);
            pairs.map(|((_, a), (_, b))| (a - b).abs()).collect()
        } else {
            Vec::new()
        };
        let metrics = differing(recorded.0, found.0);
        Ok(Self {
            same: same_samples && differences.is_empty() && metrics.is_empty(),
            same_samples,
            n_scores: now.len(),
            n_scores_that_differ: differences.len(),
            largest_difference: differences.into_iter().fold(0.0, f64::max),
            metrics,
        })
    }

    /// One line, or a few.
    pub(crate) fn in_words(&self) -> Vec<String> {
        if self.same {
            let n = self.n_scores;
            return vec![format!("the same as recorded: {n} scores and all metrics, to the last digit")];
        }
        let mut lines = vec![if !self.same_samples {
            "differs from what is recorded: other samples were scored".to_string()
        } else if self.n_scores_that_differ > 0 {
            let (differ, n) = (self.n_scores_that_differ, self.n_scores);
            let largest = self.largest_difference;
            format!("differs from what is recorded: {differ} of {n} scores, by at most {largest:e}")
        } else {
            "differs from what is recorded: the scores are the same".to_string()
        }];
        const SHOWN: usize = 8;
        let number = |value: Option<f64>| value.map_or("nothing".to_string(), |value| value.to_string());
        for Difference { name, recorded, found } in self.metrics.iter().take(SHOWN) {
            lines.push(format!("  {name}: recorded {}, found {}", number(*recorded), number(*found)));
        }
        if self.metrics.len() > SHOWN {
            lines.push(format!("  and {} more numbers of metrics.json", self.metrics.len() - SHOWN));
        }
        lines
    }
}

/// Set, id and score of each row.
fn scores(text: &[u8]) -> Result<Vec<(String, f64)>, csv::Error> {
    #[derive(serde::Deserialize)]
    struct Row {
        id: String,
        set: String,
        score: f64,
    }
    let rows = csv::Reader::from_reader(text).into_deserialize::<Row>();
    rows.map(|row| row.map(|Row { id, set, score }| (format!("{set} {id}"), score))).collect()
}

fn differing(recorded: &Value, found: &Value) -> Vec<Difference> {
    let (mut then, mut now) = (Vec::new(), Vec::new());
    numbers("", recorded, &mut then);
    numbers("", found, &mut now);
    let value = |all: &[(String, f64)], name: &str| {
        all.iter().find(|(known, _)| known == name).map(|(_, value)| *value)
    };
    let mut differences: Vec<Difference> = now
        .iter()
        .map(|(name, found)| Difference {
            name: name.clone(),
            recorded: value(&then, name),
            found: Some(*found),
        })
        .filter(|difference| difference.recorded != difference.found)
        .collect();
    let gone = then.iter().filter(|(name, _)| value(&now, name).is_none());
    differences.extend(gone.map(|(name, recorded)| Difference {
        name: name.clone(),
        recorded: Some(*recorded),
        found: None,
    }));
    differences
}

/// Every number below `value` by its path.
fn numbers(path: &str, value: &Value, found: &mut Vec<(String, f64)>) {
    let below = |key: &str| if path.is_empty() { key.to_string() } else { format!("{path}.{key}") };
    match value {
        Value::Number(number) => found.extend(number.as_f64().map(|number| (path.to_string(), number))),
        Value::Array(values) => {
            values.iter().enumerate().for_each(|(i, value)| numbers(&below(&i.to_string()), value, found));
        }
        Value::Object(map) => {
            let told = map.iter().filter(|(key, _)| !OF_THE_MACHINE.contains(&key.as_str()));
            told.for_each(|(key, value)| numbers(&below(key), value, found));
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    const SCORES: &str = "id,set,class,label,score,p_value,decision\n1,validation,a,normal,0.5,1,normal\n1,test,b,abnormal,2,0.1,abnormal\n";

    fn compare(metrics: &Value, scores: &str) -> Comparison {
        let now = json!({"auroc": {"value": 0.9, "low": 0.8}, "by_class": [{"n": 3}], "seconds": 2.0});
        Comparison::new((metrics, scores.as_bytes()), (&now, SCORES.as_bytes())).expect("a table")
    }

    #[test]
    fn time_and_memory_are_nobodys_difference() {
        let then = json!({"auroc": {"value": 0.9, "low": 0.8}, "by_class": [{"n": 3}], "seconds": 1.0});
        let same = compare(&then, SCORES);
        assert!(same.same, "{same:?}");
        assert_eq!(same.in_words(), ["the same as recorded: 2 scores and all metrics, to the last digit"]);
    }

    #[test]
    fn what_differs_is_named_with_both_numbers() {
        let then = json!({"auroc": {"value": 0.8, "low": 0.8}, "by_class": [{"n": 3}], "f1": 1.0});
        let other = compare(&then, &SCORES.replace(",2,", ",2.5,"));
        assert_eq!((other.n_scores_that_differ, other.largest_difference), (1, 0.5));
        assert_eq!(
            other.in_words(),
            [
                "differs from what is recorded: 1 of 2 scores, by at most 5e-1",
                "  auroc.value: recorded 0.8, found 0.9",
                "  f1: recorded 1, found nothing"
            ]
        );
    }

    #[test]
    fn other_samples_are_told_from_other_scores() {
        for scores in ["", "not a table", "id,set,score\n2,test,1\n", &SCORES.replace("1,test", "7,test")] {
            let other = compare(&Value::Null, scores);
            assert!(!other.same && !other.same_samples, "{other:?}");
            assert_eq!(other.in_words()[0], "differs from what is recorded: other samples were scored");
        }
    }
}
