//! Tables as text: comma-separated values, plain or gzip, quoted or not.

use super::{Dataset, Part, Samples, gz};
use crate::{Error, Result};
use serde::{Deserialize, Serialize};
use std::io::Read;
use std::sync::Arc;

/// A column, by its name or by its position from 0.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged, expecting = "expected the position or the name of a column")]
pub enum Column {
    /// Position from 0.
    Position(usize),
    /// Name in the header.
    Name(String),
}

/// What the first line is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Header {
    /// The names of the columns.
    Names,
    /// Already a row; columns are named by their position.
    Absent,
    /// Neither: it is skipped, and columns are named by their position.
    Skipped,
}

/// How a table is read: every column is a feature but the label and the dropped ones.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Layout {
    /// What the first line is.
    pub header: Header,
    /// The column of the class.
    pub label: Column,
    /// What the label column says for each class, in the order of the classes. Numbers are compared as numbers.
    pub values: Vec<String>,
    /// Columns that are no features.
    #[serde(default)]
    pub drop: Vec<Column>,
}

/// Reads a table. Every sample is of the training part, since such files have no official parts.
///
/// # Errors
/// If a line has another number of fields than the first, a feature is no finite number, a label is none of the values, a
/// column that is named does not exist, there is no row or no feature, or the gzip stream is broken or unpacks to more than
/// [`gz::LIMIT`].
pub fn dataset(
    name: &str,
    origin: &str,
    bytes: &[u8],
    layout: &Layout,
    classes: &[String],
) -> Result<Dataset> {
    if layout.values.len() != classes.len() {
        let problem = format!("{} values of the label for {} classes", layout.values.len(), classes.len());
        return Err(Error::data(origin, problem));
    }
    let mut table = Table::open(origin, bytes, layout.header)?;
    let label = layout.label.position(origin, &table.names)?;
    let mut dropped = vec![label];
    for column in &layout.drop {
        dropped.push(column.position(origin, &table.names)?);
    }
    table.features = (0..table.names.len()).filter(|column| !dropped.contains(column)).collect();
    table.label = Some((label, &layout.values));
    table.read_rows()?;
    let columns = table.features.iter().map(|&column| table.names[column].clone()).collect();
    let parts = vec![Part::Train; table.labels.len()];
    let samples = Samples::new(table.features.len(), table.values)?;
    Dataset::new(name, Arc::new(samples), table.labels, classes.to_vec(), parts)?.with_columns(columns)
}

/// The columns of a table that a model takes.
#[derive(Debug)]
pub struct Features {
    /// A row each.
    pub samples: Samples,
    /// The table's other columns.
    pub unused: Vec<String>,
}

/// Reads the columns `columns` of a table, in this order whatever the table's own, by the names that a [`Dataset`] of such
/// tables has in [`Dataset::columns`]. No column needs to be a label, and further columns are not looked at.
///
/// # Errors
/// As [`dataset`], but for labels.
pub fn features(origin: &str, bytes: &[u8], header: Header, columns: &[String]) -> Result<Features> {
    let mut table = Table::open(origin, bytes, header)?;
    for column in columns {
        let position = Column::Name(column.clone()).position(origin, &table.names)?;
        table.features.push(position);
    }
    table.read_rows()?;
    let unused = table.names.iter().filter(|name| !columns.contains(name)).cloned().collect();
    Ok(Features { samples: Samples::new(table.features.len(), table.values)?, unused })
}

/// A table that is being read.
struct Table<'a> {
    origin: &'a str,
    reader: ::csv::Reader<Box<dyn Read + 'a>>,
    names: Vec<String>,
    features: Vec<usize>,
    /// The column of the class, and what it says for each.
    label: Option<(usize, &'a [String])>,
    record: ::csv::StringRecord,
    /// Whether `record` is a row that was not taken in yet.
    row_waits: bool,
    values: Vec<f32>,
    labels: Vec<u32>,
}

impl<'a> Table<'a> {
    fn open(origin: &'a str, bytes: &'a [u8], header: Header) -> Result<Self> {
        let unpacked: Box<dyn Read> = Box::new(gz::reader(bytes, gz::LIMIT));
        let mut reader = ::csv::ReaderBuilder::new()
            .has_headers(false) // the layout says what the first line is
            .flexible(true) // lines of another length are our own error, with the line and both lengths
            .trim(::csv::Trim::All)
            .from_reader(unpacked);
        let mut record = ::csv::StringRecord::new();
        let mut next = || reader.read_record(&mut record).map_err(|error| failed(origin, &error));
        let first = next()?;
        let row_waits = match header {
            Header::Names => false,
            Header::Absent => first,
            Header::Skipped => next()?,
        };
        let names: Vec<String> = match header {
            Header::Names => record.iter().map(str::to_owned).collect(),
            Header::Absent | Header::Skipped => {
                (0..record.len()).map(|position| position.to_string()).collect()
            }
        };
        Ok(Self {
            origin,
            reader,
            names,
            features: vec![],
            label: None,
            record,
            row_waits,
            values: vec![],
            labels: vec![],
        })
    }

    /// Reads every row.
    fn read_rows(&mut self) -> Result<()> {
        let mut rows = 0;
        while self.read_row()? {
            rows += 1;
        }
        if rows == 0 || self.features.is_empty() {
            let problem = format!("{rows} rows of {} features, expected at least one", self.features.len());
            return Err(Error::data(self.origin, problem));
        }
        Ok(())
    }

    /// Reads one row; `false` at the end.
    fn read_row(&mut self) -> Result<bool> {
        if !std::mem::take(&mut self.row_waits)
            && !self.reader.read_record(&mut self.record).map_err(|error| failed(self.origin, &error))?
        {
            return Ok(false);
        }
        if self.record.len() != self.names.len() {
            return Err(self.problem(format!("{} fields, expected {}", self.record.len(), self.names.len())));
        }
        for &column in &self.features {
            let field = &self.record[column];
            match field.parse::<f64>().map(|value| value as f32) {
                Ok(value) if value.is_finite() => self.values.push(value),
                _ => {
                    let problem =
                        format!("column `{}`: expected a finite number, found `{field}`", self.names[column]);
                    return Err(self.problem(problem));
                }
            }
        }
        if let Some((column, values)) = self.label {
            let field = &self.record[column];
            let Some(label) = values.iter().position(|value| same(value, field)) else {
                let expected = values.join("`, `");
                let problem =
                    format!("column `{}`: expected one of `{expected}`, found `{field}`", self.names[column]);
                return Err(self.problem(problem));
            };
            self.labels.push(label as u32);
        }
        Ok(true)
    }

    fn problem(&self, problem: String) -> Error {
        let line = self.record.position().map_or(0, ::csv::Position::line);
        Error::data(format!("{}, line {line}", self.origin), problem)
    }
}

impl Column {
    pub(super) fn position(&self, origin: &str, names: &[String]) -> Result<usize> {
        let found = match self {
            Self::Position(position) => Some(*position).filter(|&position| position < names.len()),
            Self::Name(name) => names.iter().position(|known| known == name),
        };
        let wanted = match self {
            Self::Position(position) => position.to_string(),
            Self::Name(name) => format!("`{name}`"),
        };
        found.ok_or_else(|| {
            let problem =
                format!("no column {wanted}, expected one of {}: {}", names.len(), names.join(", "));
            Error::data(origin, problem)
        })
    }
}

/// Whether two texts are the same, or the same number.
fn same(value: &str, field: &str) -> bool {
    let number = |text: &str| text.parse::<f64>().ok();
    value == field || number(value).is_some_and(|value| number(field) == Some(value))
}

fn failed(origin: &str, error: &::csv::Error) -> Error {
    let line = error.position().map_or(String::new(), |position| format!(", line {}", position.line()));
    Error::data(format!("{origin}{line}"), format!("not readable as a table: {error}"))
}

#[cfg(test)]
mod tests {
    use super::super::Source;
    use super::*;
    use proptest::prelude::*;

    fn layout(header: Header, label: Column, drop: &[Column]) -> Layout {
        Layout { header, label, values: vec!["0".into(), "1".into()], drop: drop.to_vec() }
    }

    fn read(text: &str, layout: &Layout) -> Result<Dataset> {
        dataset("t", "t.csv", text.as_bytes(), layout, &["normal".into(), "abnormal".into()])
    }

    fn name(name: &str) -> Column {
        Column::Name(name.into())
    }

    #[test]
    fn quoted_headers_and_numbers() -> Result<()> {
        let text = "\"Time\",\"V1\",\"Amount\",\"Class\"\n0,-1.5e-1,\"2.5\",\"0\"\n1,3,4,\"1\"\n";
        let table = read(text, &layout(Header::Names, name("Class"), &[name("Time")]))?;
        assert_eq!((table.columns(), table.labels()), (&["V1".into(), "Amount".into()][..], &[0, 1][..]));
        let mut row = [0.0; 2];
        table.source().read(0, &mut row)?;
        assert_eq!(row, [-0.15, 2.5]);
        Ok(())
    }

    #[test]
    fn no_header_or_one_to_skip() -> Result<()> {
        for (header, text) in
            [(Header::Absent, "1,2,1.0e+00\n3,4,0\n"), (Header::Skipped, "569,x\n1,2,1.0\n3,4,0")]
        {
            let table = read(text, &layout(header, Column::Position(2), &[]))?;
            assert_eq!((table.columns(), table.labels()), (&["0".into(), "1".into()][..], &[1, 0][..]));
            let samples = Samples::collect(&**table.source())?;
            assert_eq!((samples.get(0), samples.get(1)), (Some(&[1.0, 2.0][..]), Some(&[3.0, 4.0][..])));
        }
        Ok(())
    }

    #[test]
    fn features_are_found_by_name_in_any_order() -> Result<()> {
        let columns = ["V1".to_owned(), "Amount".into()];
        let text = "Amount,Class,V1\n2.5,?,-1.5\n4,,3\n";
        let Features { samples, unused } = features("t.csv", text.as_bytes(), Header::Names, &columns)?;
        assert_eq!((samples.get(0), samples.get(1)), (Some(&[-1.5, 2.5][..]), Some(&[3.0, 4.0][..])));
        assert_eq!(unused, ["Class"]);
        let Features { samples, .. } =
            features("t.csv", b"1,2\n3,4", Header::Absent, &["1".into(), "0".into()])?;
        assert_eq!((samples.len(), samples.get(1)), (2, Some(&[4.0, 3.0][..])));
        let said =
            |text: &str| features("t.csv", text.as_bytes(), Header::Names, &columns).unwrap_err().to_string();
        assert_eq!(said("V1,Class\n1,0\n"), "t.csv: no column `Amount`, expected one of 2: V1, Class");
        assert_eq!(said("V1,Amount\n"), "t.csv: 0 rows of 2 features, expected at least one");
        assert_eq!(
            said("V1,Amount\n1,x\n"),
            "t.csv, line 2: column `Amount`: expected a finite number, found `x`"
        );
        Ok(())
    }

    #[test]
    fn says_what_is_wrong() {
        let check = |text: &str, said: &str| {
            let message = read(text, &layout(Header::Names, name("y"), &[])).unwrap_err().to_string();
            assert_eq!(message, said);
        };
        check("a,y\n1,0\n2\n", "t.csv, line 3: 1 fields, expected 2");
        check("a,y\n1,0\n,0\n", "t.csv, line 3: column `a`: expected a finite number, found ``");
        check("a,y\n1e99,0\n", "t.csv, line 2: column `a`: expected a finite number, found `1e99`");
        check("a,y\nNaN,0\n", "t.csv, line 2: column `a`: expected a finite number, found `NaN`");
        check("a,y\n1,2\n", "t.csv, line 2: column `y`: expected one of `0`, `1`, found `2`");
        check("a,b\n1,2\n", "t.csv: no column `y`, expected one of 2: a, b");
        check("a,y\n", "t.csv: 0 rows of 1 features, expected at least one");
        check("y\n1\n", "t.csv: 1 rows of 0 features, expected at least one");
        check("", "t.csv: no column `y`, expected one of 0: ");
    }

    proptest! {
        #[test]
        fn arbitrary_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..100), header in 0..3) {
            let header = [Header::Names, Header::Absent, Header::Skipped][header as usize];
            let _ = dataset("t", "t", &bytes, &layout(header, Column::Position(0), &[]), &["a".into(), "b".into()]);
        }
    }
}
