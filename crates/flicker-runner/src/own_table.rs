//! A user's own table as a data set: who is normal by its label, and its columns as numbers, by a coding that is fitted on the
//! normals that train.

use crate::Failure;
use crate::datasets::{FileFacts, Located};
use flicker_core::data::{Class, Dataset, Part, Protocol, Samples, Source, Split};
use flicker_core::{Error, SampleShape};
use flicker_table::{Cells, Coding, Column, Kind, Rules, Table, TableFile};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Categories of at most so many values become a column each.
const ONE_HOT: usize = 20;
/// Values of a label, at most. More are no label.
const MOST_CLASSES: usize = 100;
/// What labels call normal.
const NORMAL: [&str; 10] =
    ["0", "false", "normal", "good", "ok", "benign", "no", "inlier", "legit", "regular"];

/// Which table, and what its columns are.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct TableConfig {
    /// The file: CSV (plain, .gz, .zst), Parquet or Arrow.
    pub path: PathBuf,
    /// The column that says who is normal; without one every row is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub label: Option<String>,
    /// What the label says of normal rows; told from its values when absent: 0, false, normal, good …
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub normal: Vec<String>,
    /// Columns that are not read.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub drop: Vec<String>,
    /// Columns whose numbers stand for names.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub categories: Vec<String>,
    /// Categories of at most so many values become a column for each value, others their frequency; 20 when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub one_hot: Option<usize>,
}

/// A table that was read, before its columns are numbers.
pub(crate) struct OwnTable {
    table: Arc<Table>,
    /// The columns that are read, without the label.
    columns: Vec<Column>,
    rules: Rules,
    /// Who is normal, by its label.
    pub protocol: Protocol,
}

impl From<flicker_table::Error> for Failure {
    fn from(error: flicker_table::Error) -> Self {
        Self::Failed(error.to_string())
    }
}

/// Reads the table of `config` as the data set `name`. Its samples can be told apart, but not read: [`OwnTable::coded`] makes
/// numbers of them.
///
/// # Errors
/// If the file or a cell cannot be read, a column is named that there is not, or the label does not tell who is normal.
pub(crate) fn open(name: &str, config: &TableConfig) -> Result<(Dataset, Located, OwnTable), Failure> {
    let file = TableFile::open(&config.path)?;
    let mut columns = columns(&file, config)?;
    let features = columns.len();
    if let Some(label) = &config.label {
        let kind = match file.kinds(std::slice::from_ref(label))?.remove(0).kind {
            Kind::Number => Kind::Numeral,
            kind => kind,
        };
        columns.push(Column { name: label.clone(), kind });
    }
    let table = Arc::new(Table::read(&file, &columns)?);
    columns.truncate(features);
    let (labels, classes, normal) = match &config.label {
        Some(label) => classes(&table, label, &config.normal)?,
        None => (vec![0; table.len()], vec!["normal".into()], vec!["normal".into()]),
    };
    let raw = Raw { table: table.clone(), features };
    let parts = vec![Part::Train; table.len()];
    let dataset = Dataset::new(name, Arc::new(raw), labels, classes, parts)?;
    let origin = format!("{} rows of {} ({})", table.len(), file.origin(), file.format());
    let located = Located { origin, files: vec![facts(&config.path)?], skipped: Vec::new() };
    let protocol =
        Protocol::OneClass { normal: normal.into_iter().map(Class::Name).collect(), abnormal: None };
    let rules = Rules { one_hot: config.one_hot.unwrap_or(ONE_HOT) };
    Ok((dataset, located, OwnTable { table, columns, rules, protocol }))
}

impl OwnTable {
    /// The data set with its columns as numbers, by the normals that train, and that coding.
    ///
    /// # Errors
    /// If a column has no value in any of them.
    pub(crate) fn coded(&self, dataset: &Dataset, split: &Split) -> Result<(Dataset, Coding), Failure> {
        let coding = Coding::fit(&self.table, &self.columns, &split.train, &self.rules)?;
        let mut values = Vec::with_capacity(self.table.len() * coding.width());
        for batch in self.table.batches() {
            coding.apply(batch, &mut values)?;
        }
        let samples = Samples::new(coding.width(), values)?;
        let (labels, classes) = (dataset.labels().to_vec(), dataset.classes().to_vec());
        let parts = dataset.parts().to_vec();
        let coded = Dataset::new(dataset.name(), Arc::new(samples), labels, classes, parts)?;
        Ok((coded.with_columns(coding.names())?, coding))
    }
}

/// The columns that are read, and how.
fn columns(file: &TableFile, config: &TableConfig) -> Result<Vec<Column>, Failure> {
    let there = |name: &String| file.names().contains(name);
    let named =
        [("label", config.label.as_slice()), ("drop", &config.drop), ("categories", &config.categories)];
    for (field, names) in named {
        if let Some(absent) = names.iter().find(|name| !there(name)) {
            let columns = file.names().iter().take(20).cloned().collect::<Vec<_>>().join(", ");
            let problem = format!("{} has no column `{absent}`; it has {columns}", file.origin());
            return Err(Failure::usage(format!("config field `data.table.{field}`: {problem}")));
        }
    }
    let read = |name: &&String| !config.drop.contains(name) && config.label.as_ref() != Some(name);
    let names: Vec<String> = file.names().iter().filter(read).cloned().collect();
    if names.is_empty() {
        return Err(Failure::usage(format!("{}: no column is left to learn from", file.origin())));
    }
    let mut columns = file.kinds(&names)?;
    for column in columns.iter_mut().filter(|column| config.categories.contains(&column.name)) {
        column.kind = Kind::Numeral;
    }
    Ok(columns)
}

type Classes = (Vec<u32>, Vec<String>, Vec<String>);

/// The class of each row by the last column of `table`, the classes, and the normal ones of them.
fn classes(table: &Table, label: &str, normal: &[String]) -> Result<Classes, Failure> {
    let mut values: BTreeMap<String, u32> = BTreeMap::new();
    let mut found = Vec::with_capacity(table.len());
    for batch in table.batches() {
        let Some(cells) = batch.columns().last() else { continue };
        for row in 0..batch.rows().len() {
            let value = match cells {
                _ if cells.is_missing(row) => None,
                Cells::Numbers(values) => Some(if values[row] == 0.0 { "false" } else { "true" }),
                Cells::Texts(texts) => texts.get(row),
                Cells::Times(_) => return Err(batch.error(row, label, "a date is no label").into()),
            };
            let Some(value) = value else {
                return Err(batch.error(row, label, "expected a label, found none").into());
            };
            if values.len() == MOST_CLASSES && !values.contains_key(value) {
                let problem = format!("more than {MOST_CLASSES} different values, so it is no label");
                return Err(batch.error(row, label, &problem).into());
            }
            found.push(match values.get(value) {
                Some(&class) => class,
                None => {
                    let class = values.len() as u32;
                    values.insert(value.to_owned(), class);
                    class
                }
            });
        }
    }
    let names: Vec<&String> = values.keys().collect();
    let normal: Vec<String> = normals(label, &names, normal)?;
    // Classes are numbered in the order of their names, not of the rows.
    let mut order = vec![0; values.len()];
    values.values().enumerate().for_each(|(position, &class)| order[class as usize] = position as u32);
    let class = |value: &String| format!("{label}={value}");
    let labels = found.into_iter().map(|class| order[class as usize]).collect();
    Ok((labels, values.keys().map(class).collect(), normal.iter().map(class).collect()))
}

/// Which of the `values` of a label are normal: those that are asked for, or the one that is called so.
fn normals(label: &str, values: &[&String], asked: &[String]) -> Result<Vec<String>, Failure> {
    let all = || values.iter().map(|value| format!("`{value}`")).collect::<Vec<_>>().join(", ");
    let wrong = |problem: String| Failure::usage(format!("label `{label}`: {problem}"));
    let same = |a: &str, b: &str| {
        let number = |text: &str| text.parse::<f64>().ok();
        a.eq_ignore_ascii_case(b) || number(a).is_some_and(|a| number(b) == Some(a))
    };
    if asked.is_empty() {
        let normal: Vec<String> = values
            .iter()
            .filter(|value| NORMAL.iter().any(|word| same(word, value)))
            .map(|v| (*v).clone())
            .collect();
        return match normal.len() {
            1 => Ok(normal),
            n => Err(wrong(format!(
                "its values are {}, and {} of them is called normal; say which with --normal VALUE (`data.table.normal`)",
                all(),
                if n == 0 { "none" } else { "more than one" },
            ))),
        };
    }
    let find = |asked: &String| {
        let exact = values.iter().find(|value| **value == asked);
        let found = exact.or_else(|| values.iter().find(|value| same(asked, value)));
        found
            .map(|value| (*value).clone())
            .ok_or_else(|| wrong(format!("`{asked}` is to be normal, but its values are {}", all())))
    };
    asked.iter().map(find).collect()
}

/// The file and its hash.
fn facts(path: &Path) -> Result<FileFacts, Failure> {
    let hashed = flicker_manifest::sha256_of_file(path).map_err(|error| Failure::Failed(error.to_string()));
    let (sha256, bytes) = hashed?;
    Ok(FileFacts { path: path.display().to_string(), sha256, bytes })
}

/// Rows that can be told apart, before it is known what numbers they become.
struct Raw {
    table: Arc<Table>,
    features: usize,
}

impl Source for Raw {
    fn len(&self) -> usize {
        self.table.len()
    }

    fn shape(&self) -> SampleShape {
        SampleShape::Table { features: self.features }
    }

    fn read(&self, index: usize, _: &mut [f32]) -> flicker_core::Result<()> {
        Err(Error::data(format!("row {index}"), "has no numbers before its table is coded"))
    }

    fn content(&self, index: usize) -> flicker_core::Result<flicker_core::data::Content> {
        Ok(Sha256::digest(self.table.row_bytes(index, self.features)).into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(values: &[&str], asked: &[&str], expected: Result<&[&str], &str>) {
        let values: Vec<String> = values.iter().map(ToString::to_string).collect();
        let asked: Vec<String> = asked.iter().map(ToString::to_string).collect();
        match (normals("y", &values.iter().collect::<Vec<_>>(), &asked), expected) {
            (Ok(found), Ok(expected)) => assert_eq!(found, expected),
            (Err(found), Err(said)) => assert!(found.to_string().contains(said), "{found}"),
            (found, expected) => panic!("{found:?} {expected:?}"),
        }
    }

    #[test]
    fn normal_is_what_is_called_so_or_asked_for() {
        check(&["0", "1"], &[], Ok(&["0"]));
        check(&["false", "true"], &[], Ok(&["false"]));
        check(&["Fraud", "Normal"], &[], Ok(&["Normal"]));
        check(&["a", "b", "c"], &["b", "c"], Ok(&["b", "c"]));
        check(&["-1", "1"], &["1.0"], Ok(&["1"]));
        check(
            &["-1", "1"],
            &[],
            Err("label `y`: its values are `-1`, `1`, and none of them is called normal"),
        );
        check(&["0", "1", "good"], &[], Err("more than one of them is called normal"));
        check(&["0", "1"], &["2"], Err("`2` is to be normal, but its values are `0`, `1`"));
    }

    fn config(path: PathBuf) -> TableConfig {
        TableConfig {
            path,
            label: Some("fraud".into()),
            normal: vec![],
            drop: vec!["id".into()],
            categories: vec![],
            one_hot: None,
        }
    }

    #[test]
    fn a_table_is_divided_before_it_is_coded() -> Result<(), Failure> {
        let dir = tempfile::tempdir().expect("a folder");
        let path = dir.path().join("t.csv");
        let mut text = "id,x,kind,fraud\n".to_owned();
        for row in 0..40 {
            let kind = ["a", "b"][row % 2];
            text += &format!("{row},{row},{kind},{}\n", if row >= 36 { "True" } else { "False" });
        }
        std::fs::write(&path, text).expect("written");
        let (dataset, located, own) = open("t", &config(path.clone()))?;
        assert_eq!(dataset.classes(), ["fraud=false", "fraud=true"]);
        assert!(located.origin.ends_with("t.csv (CSV)") && located.origin.starts_with("40 rows of"));
        let split = Split { train: vec![0, 2, 4], ..Split::default() };
        let (coded, coding) = own.coded(&dataset, &split)?;
        assert_eq!(coded.columns(), ["x", "kind=a"]);
        assert_eq!((coded.len(), coding.width()), (40, 2));
        let mut row = [9.0; 2];
        coded.source().read(1, &mut row)?;
        assert_eq!(row, [1.0, 0.0], "a kind that did not train is none");
        let twice = TableConfig { label: Some("frau".into()), ..config(path) };
        let said = open("t", &twice).err().expect("no such column").to_string();
        assert!(said.contains("`data.table.label`") && said.contains("it has id, x, kind, fraud"), "{said}");
        Ok(())
    }

    #[test]
    fn a_row_without_a_label_is_told() {
        let dir = tempfile::tempdir().expect("a folder");
        let path = dir.path().join("t.csv");
        std::fs::write(&path, "id,x,fraud\n1,1,0\n2,2,\n").expect("written");
        let said = open("t", &config(path)).err().expect("no label").to_string();
        assert!(said.ends_with("t.csv, line 3: column `fraud`: expected a label, found none"), "{said}");
    }
}
