//! A table in a file: which format, which columns, and its cells a batch at a time.

use crate::columnar::{self, Columnar};
use crate::text::{self, Dialect};
use crate::{Batch, Error, Kind, Result, arrow, infer};
use arrow_schema::DataType;
use serde::{Deserialize, Serialize};
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

/// Columns that a table may have. More are a mistake, such as a table that lies on its side.
pub const MOST_COLUMNS: usize = 10_000;

/// Rows of a batch.
pub(crate) const BATCH: usize = 8192;

/// A column, and how its cells are read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Column {
    /// Its name.
    pub name: String,
    /// How its cells are read.
    pub kind: Kind,
}

/// A table in a file: CSV (plain, gzip or Zstandard), Parquet, or Arrow IPC (file or stream). The format is told from the first
/// bytes, whatever the file is called.
#[derive(Clone, Debug)]
pub struct TableFile {
    path: PathBuf,
    origin: String,
    format: Format,
    names: Vec<String>,
}

#[derive(Clone, Debug)]
enum Format {
    Text(Dialect),
    /// With the type of each column.
    Columnar(Columnar, Vec<DataType>),
}

impl TableFile {
    /// Looks at the file at `path`: its format and its columns.
    ///
    /// # Errors
    /// If it cannot be read, is empty, is no table, or has columns of one name, none, or more than [`MOST_COLUMNS`].
    pub fn open(path: &Path) -> Result<Self> {
        let origin = path.display().to_string();
        let fail = |error: std::io::Error| Error::new(&origin, error.to_string());
        let mut head = Vec::new();
        File::open(path).map_err(fail)?.take(1 << 12).read_to_end(&mut head).map_err(fail)?;
        if head.is_empty() {
            return Err(Error::new(origin, "expected a table, found an empty file"));
        }
        let (format, names) = if let Some(columnar) = Columnar::told_by(&head) {
            let (names, types) = columnar.schema(path, &origin)?;
            (Format::Columnar(columnar, types), names)
        } else {
            expect_text(path, &origin, &head)?;
            let (dialect, names) = text::open(path, &origin, &head)?;
            (Format::Text(dialect), names)
        };
        check_names(&origin, &names)?;
        Ok(Self { path: path.to_path_buf(), origin, format, names })
    }

    /// The file, as messages name it.
    pub fn origin(&self) -> &str {
        &self.origin
    }

    /// The columns, in the order of the file.
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// What format it has, in words.
    pub fn format(&self) -> &'static str {
        match &self.format {
            Format::Text(_) => "CSV",
            Format::Columnar(columnar, _) => columnar.in_words(),
        }
    }

    /// Whether it is text, packed by Zstandard.
    pub fn is_zst(&self) -> bool {
        matches!(&self.format, Format::Text(dialect) if dialect.packing == Some(text::Packing::Zstandard))
    }

    /// How many rows there are, where the file says so.
    ///
    /// # Errors
    /// If the file is damaged.
    pub fn n_rows(&self) -> Result<Option<usize>> {
        match &self.format {
            Format::Text(_) => Ok(None),
            Format::Columnar(columnar, _) => columnar.n_rows(&self.path, &self.origin),
        }
    }

    /// How the columns called `names` are read. Text has no types: there every cell is looked at.
    ///
    /// # Errors
    /// If there is no such column, its type is none that a [`Kind`] stands for, or the file is damaged.
    pub fn kinds(&self, names: &[String]) -> Result<Vec<Column>> {
        let positions = self.positions(names)?;
        let kinds = match &self.format {
            Format::Text(dialect) => {
                infer::kinds(text::records(&self.path, &self.origin, dialect, self.names.len())?, &positions)?
            }
            Format::Columnar(_, types) => positions
                .iter()
                .map(|&position| {
                    arrow::kind(&types[position]).ok_or_else(|| {
                        let name = &self.names[position];
                        let problem = "expected numbers, booleans, text or dates, found";
                        let problem = format!("column `{name}`: {problem} {}", types[position]);
                        Error::new(&self.origin, format!("{problem}; it can be dropped"))
                    })
                })
                .collect::<Result<_>>()?,
        };
        let column = |(name, kind): (&String, Kind)| Column { name: name.clone(), kind };
        Ok(names.iter().zip(kinds).map(column).collect())
    }

    /// The cells of `columns`, in this order, batch by batch.
    ///
    /// # Errors
    /// If there is no such column, or it has a type that cannot be read so. The batches then tell of cells that cannot, with
    /// row and column, and of a damaged file.
    pub fn batches(&self, columns: &[Column]) -> Result<Box<dyn Iterator<Item = Result<Batch>> + Send>> {
        let names: Vec<String> = columns.iter().map(|column| column.name.clone()).collect();
        let positions = self.positions(&names)?;
        match &self.format {
            Format::Text(dialect) => {
                let records = text::records(&self.path, &self.origin, dialect, self.names.len())?;
                Ok(Box::new(text::Batches::new(records, columns.to_vec(), positions)))
            }
            Format::Columnar(columnar, types) => {
                expect_types(&self.origin, columns, &positions, types)?;
                Ok(Box::new(columnar::Batches::new(
                    *columnar,
                    &self.path,
                    &self.origin,
                    columns,
                    &positions,
                )?))
            }
        }
    }

    fn positions(&self, names: &[String]) -> Result<Vec<usize>> {
        positions(&self.origin, &self.names, names)
    }
}

/// Where the columns called `names` are among the `known` ones.
pub(crate) fn positions(origin: &str, known: &[String], names: &[String]) -> Result<Vec<usize>> {
    let position = |name: &String| {
        known.iter().position(|known| known == name).ok_or_else(|| {
            let shown = known.iter().take(20).cloned().collect::<Vec<_>>().join(", ");
            let more = if known.len() > 20 { ", …" } else { "" };
            let n = known.len();
            Error::new(origin, format!("no column `{name}`, expected it among the {n}: {shown}{more}"))
        })
    };
    names.iter().map(position).collect()
}

/// Refuses columns whose types cannot be read as they are to be.
pub(crate) fn expect_types(
    origin: &str,
    columns: &[Column],
    positions: &[usize],
    types: &[DataType],
) -> Result<()> {
    for (column, &position) in columns.iter().zip(positions) {
        if !arrow::fits(&types[position], column.kind) {
            let (name, expected) = (&column.name, column.kind.in_words());
            let problem = format!("column `{name}`: expected {expected}, found {}", types[position]);
            return Err(Error::new(origin, problem));
        }
    }
    Ok(())
}

/// Refuses files that are called or begin as something that they are not.
fn expect_text(path: &Path, origin: &str, head: &[u8]) -> Result<()> {
    let ending = path.extension().map(|ending| ending.to_string_lossy().to_ascii_lowercase());
    let expected = match ending.as_deref() {
        Some("parquet" | "pq") => Some("a Parquet file, which begins with PAR1"),
        Some("arrow" | "feather" | "ipc") => {
            Some("an Arrow file, which begins with ARROW1, or an Arrow stream")
        }
        _ if head.contains(&0) && text::packing(head).is_none() => {
            Some("a table as CSV, Parquet or Arrow IPC")
        }
        _ => None,
    };
    match expected {
        Some(expected) => {
            let begins = String::from_utf8_lossy(&head[..head.len().min(8)]).into_owned();
            Err(Error::new(origin, format!("expected {expected}; found a file that begins with {begins:?}")))
        }
        None => Ok(()),
    }
}

pub(crate) fn check_names(origin: &str, names: &[String]) -> Result<()> {
    if names.is_empty() || names.len() > MOST_COLUMNS {
        let problem = format!("{} columns, expected 1 to {MOST_COLUMNS}", names.len());
        return Err(Error::new(origin, problem));
    }
    let mut sorted: Vec<&String> = names.iter().collect();
    sorted.sort_unstable();
    match sorted.windows(2).find(|pair| pair[0] == pair[1]) {
        Some(pair) => Err(Error::new(
            origin,
            format!("two columns are called `{}`, expected one of each name", pair[0]),
        )),
        None => Ok(()),
    }
}
