//! Cells of some rows, column by column, and tables that lie in memory as such.

use crate::{Column, Error, Result, TableFile};
use std::ops::Range;

/// The cells of a column.
#[derive(Clone, Debug, PartialEq)]
pub enum Cells {
    /// Numbers, and booleans as 1 and 0; NaN where there is none.
    Numbers(Vec<f32>),
    /// Microseconds since 1970 in UTC; [`Cells::NO_TIME`] where there is none.
    Times(Vec<i64>),
    /// Text.
    Texts(Texts),
}

impl Cells {
    /// Stands for a moment that is missing.
    pub const NO_TIME: i64 = i64::MIN;

    /// Whether the cell of `row` has no value.
    pub fn is_missing(&self, row: usize) -> bool {
        match self {
            Self::Numbers(values) => values[row].is_nan(),
            Self::Times(values) => values[row] == Self::NO_TIME,
            Self::Texts(texts) => texts.get(row).is_none(),
        }
    }

    fn len(&self) -> usize {
        match self {
            Self::Numbers(values) => values.len(),
            Self::Times(values) => values.len(),
            Self::Texts(texts) => texts.len(),
        }
    }
}

/// Texts one after the other. An empty one counts as missing, since CSV cannot tell them apart.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Texts {
    text: String,
    ends: Vec<usize>,
}

impl Texts {
    /// Adds one.
    pub fn push(&mut self, text: Option<&str>) {
        self.text.push_str(text.unwrap_or_default());
        self.ends.push(self.text.len());
    }

    /// The one at `row`, if it has a value.
    pub fn get(&self, row: usize) -> Option<&str> {
        let begin = if row == 0 { 0 } else { self.ends[row - 1] };
        Some(&self.text[begin..self.ends[row]]).filter(|text| !text.is_empty())
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }
}

/// Some rows of a table, in the order of the file.
#[derive(Clone, Debug, PartialEq)]
pub struct Batch {
    /// The file.
    pub(crate) origin: String,
    /// The rows of the file, from 0.
    pub(crate) rows: Range<usize>,
    /// The line of each row, where the file has lines.
    pub(crate) lines: Vec<u64>,
    /// The columns that were asked for, in that order.
    pub(crate) columns: Vec<Cells>,
}

impl Batch {
    /// The rows of the file that these are, from 0.
    pub fn rows(&self) -> Range<usize> {
        self.rows.clone()
    }

    /// The columns that were asked for, in that order.
    pub fn columns(&self) -> &[Cells] {
        &self.columns
    }

    /// An error about a cell: file, row and column are named.
    pub fn error(&self, row: usize, column: &str, problem: &str) -> Error {
        Error::new(self.place(row), format!("column `{column}`: {problem}"))
    }

    /// The file with the line, or the row, of `row` of these.
    pub(crate) fn place(&self, row: usize) -> String {
        match self.lines.get(row) {
            Some(line) => format!("{}, line {line}", self.origin),
            None => format!("{}, row {} (the first is 0)", self.origin, self.rows.start + row),
        }
    }
}

/// Columns of a table in memory.
#[derive(Clone, Debug)]
pub struct Table {
    batches: Vec<Batch>,
    /// The first row of each batch, and the number of rows.
    starts: Vec<usize>,
}

impl Table {
    /// Reads `columns` of `file`.
    ///
    /// # Errors
    /// As [`TableFile::batches`]; or if there is no row.
    pub fn read(file: &TableFile, columns: &[Column]) -> Result<Self> {
        let mut batches = file.batches(columns)?.collect::<Result<Vec<_>>>()?;
        batches.retain(|batch| !batch.rows.is_empty());
        let mut starts: Vec<usize> = batches.iter().map(|batch| batch.rows.start).collect();
        let Some(last) = batches.last() else {
            return Err(Error::new(file.origin(), "expected rows, found none"));
        };
        starts.push(last.rows.end);
        debug_assert!(batches.iter().all(|batch| batch.columns.iter().all(|c| c.len() == batch.rows.len())));
        Ok(Self { batches, starts })
    }

    /// The rows, in order.
    pub fn batches(&self) -> &[Batch] {
        &self.batches
    }

    /// How many rows there are.
    pub fn len(&self) -> usize {
        self.starts.last().copied().unwrap_or(0)
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The batch that holds `row`, and its place there.
    ///
    /// # Panics
    /// If there is no such row.
    pub fn find(&self, row: usize) -> (&Batch, usize) {
        assert!(row < self.len(), "row {row} of {}", self.len());
        let at = self.starts.partition_point(|&start| start <= row) - 1;
        (&self.batches[at], row - self.starts[at])
    }

    /// What identifies the cells of `row` in the first `columns` columns: equal rows have equal bytes, others do not.
    ///
    /// # Panics
    /// If there is no such row.
    pub fn row_bytes(&self, row: usize, columns: usize) -> Vec<u8> {
        let (batch, row) = self.find(row);
        let mut bytes = Vec::new();
        for cells in &batch.columns[..columns] {
            match cells {
                Cells::Numbers(values) if values[row].is_nan() => bytes.extend(f32::NAN.to_le_bytes()),
                Cells::Numbers(values) => bytes.extend((values[row] + 0.0).to_le_bytes()),
                Cells::Times(values) => bytes.extend(values[row].to_le_bytes()),
                Cells::Texts(texts) => {
                    let text = texts.get(row).unwrap_or_default();
                    bytes.extend((text.len() as u64).to_le_bytes());
                    bytes.extend(text.as_bytes());
                }
            }
        }
        bytes
    }
}
