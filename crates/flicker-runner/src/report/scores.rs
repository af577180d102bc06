//! `scores.csv`: one row a sample, with its score, the parts of it, the p-value and the decision.

use std::collections::BTreeMap;

use super::metrics::Confusion;
use crate::charts::Group;

/// The rows of the test set that have a finite score, and how many had none.
#[derive(Debug, Default)]
pub(super) struct Scores {
    pub(super) test: Vec<Sample>,
    /// Names of the parts, in the order of the columns.
    pub(super) parts: Vec<String>,
    pub(super) n_validation: usize,
    /// Rows whose score is missing or no number.
    pub(super) n_unreadable: usize,
}

/// One row.
#[derive(Debug)]
pub(super) struct Sample {
    pub(super) class: String,
    pub(super) abnormal: Option<bool>,
    pub(super) score: f64,
    pub(super) parts: Vec<Option<f64>>,
    pub(super) p_value: Option<f64>,
    /// Called abnormal.
    pub(super) flagged: Option<bool>,
}

const KNOWN: [&str; 7] = ["id", "set", "class", "label", "score", "p_value", "decision"];

impl Scores {
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let mut reader = csv::ReaderBuilder::new().flexible(true).from_reader(text.as_bytes());
        let header = reader.headers().map_err(|e| e.to_string())?.clone();
        let column = |name: &str| header.iter().position(|h| h == name);
        if column("score").is_none() {
            return Err(format!(
                "expected a column `score`, found `{}`",
                header.iter().collect::<Vec<_>>().join(",")
            ));
        }
        let parts: Vec<usize> = (0..header.len()).filter(|&i| !KNOWN.contains(&&header[i])).collect();
        let mut scores =
            Self { parts: parts.iter().map(|&i| header[i].to_owned()).collect(), ..Self::default() };
        for row in reader.records() {
            let row = row.map_err(|e| e.to_string())?;
            let text = |name: &str| column(name).and_then(|i| row.get(i)).unwrap_or("");
            let Some(score) = finite(text("score")) else {
                scores.n_unreadable += 1;
                continue;
            };
            if text("set") == "validation" {
                scores.n_validation += 1;
                continue;
            }
            scores.test.push(Sample {
                class: text("class").to_owned(),
                abnormal: is_abnormal(text("label")),
                score,
                parts: parts.iter().map(|&i| row.get(i).and_then(finite)).collect(),
                p_value: finite(text("p_value")),
                flagged: is_abnormal(text("decision")),
            });
        }
        Ok(scores)
    }

    /// `value` of each sample with this label.
    pub(super) fn values(&self, abnormal: bool, value: impl Fn(&Sample) -> Option<f64>) -> Vec<f64> {
        self.test.iter().filter(|s| s.abnormal == Some(abnormal)).filter_map(value).collect()
    }

    /// Labelled samples by label and decision, where the file tells both.
    pub(super) fn confusion(&self) -> Option<Confusion> {
        let mut table = Confusion { tp: 0, fp: 0, tn: 0, missed: 0 };
        let pairs: Vec<_> = self.test.iter().filter_map(|s| s.abnormal.zip(s.flagged)).collect();
        for pair in &pairs {
            match pair {
                (true, true) => table.tp += 1,
                (false, true) => table.fp += 1,
                (false, false) => table.tn += 1,
                (true, false) => table.missed += 1,
            }
        }
        (!pairs.is_empty()).then_some(table)
    }

    /// Test scores by class and label, in the order of their names.
    pub(super) fn groups(&self) -> Vec<Group> {
        let mut groups: BTreeMap<(&str, Option<bool>), Vec<f64>> = BTreeMap::new();
        for sample in &self.test {
            groups.entry((&sample.class, sample.abnormal)).or_default().push(sample.score);
        }
        let group = |((name, abnormal), scores): ((&str, Option<bool>), Vec<f64>)| {
            let unnamed = match abnormal {
                Some(true) => "abnormal",
                Some(false) => "normal",
                None => "unlabelled",
            };
            Group { name: if name.is_empty() { unnamed } else { name }.to_owned(), abnormal, scores }
        };
        groups.into_iter().map(group).collect()
    }
}

fn finite(text: &str) -> Option<f64> {
    text.trim().parse().ok().filter(|v: &f64| v.is_finite())
}

fn is_abnormal(label: &str) -> Option<bool> {
    match label {
        "abnormal" => Some(true),
        "normal" => Some(false),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_sorted_into_what_they_are() {
        let text = "id,set,class,label,score,residual,p_value,decision\n\
            a,validation,3,normal,0.1,0.1,,\n\
            b,test,3,normal,0.2,0.1,0.5,normal\n\
            \"c,\"\"x\",test,2,abnormal,0.9,0.8,0.01,abnormal\n\
            d,test,2,abnormal,NaN,0.8,0.01,abnormal\n\
            e,test,,,0.3,,0.2,abnormal\n";
        let scores = Scores::parse(text).unwrap();
        assert_eq!((scores.test.len(), scores.n_validation, scores.n_unreadable), (3, 1, 1));
        assert_eq!(scores.parts, ["residual"]);
        assert_eq!(scores.confusion(), Some(Confusion { tp: 1, fp: 0, tn: 1, missed: 0 }));
        assert_eq!(scores.values(true, |s| s.parts[0]), [0.8]);
        let names: Vec<_> = scores.groups().into_iter().map(|g| g.name).collect();
        assert_eq!(names, ["unlabelled", "2", "3"]);
    }

    #[test]
    fn another_file_is_refused_with_its_header() {
        assert_eq!(Scores::parse("a,b\n1,2\n").unwrap_err(), "expected a column `score`, found `a,b`");
        assert!(Scores::parse("").is_err());
    }
}
