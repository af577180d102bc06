//! Tables of users: columns of any type from CSV, Parquet and Arrow, and their coding as numbers.
//!
//! A [`TableFile`] says which columns there are and of which [`Kind`], and gives their cells in [`Batch`]es, so that a file may
//! be larger than memory. A [`Coding`] is fitted on the rows that train, saved beside the model, and turns every later batch
//! into rows of numbers: numbers as they are, categories as one column for each value or as one frequency, dates as seconds
//! with the hour and the day of the week, missing values as the mean and one more column.
//!
//! ```
//! use flicker_table::{Coding, Rules, TableFile, Table};
//!
//! let dir = tempfile::tempdir()?;
//! let path = dir.path().join("sales.csv");
//! std::fs::write(&path, "amount,country\n1.5,DE\n2.5,FR\n,DE\n")?;
//! let file = TableFile::open(&path)?;
//! let columns = file.kinds(&["amount".into(), "country".into()])?;
//! let table = Table::read(&file, &columns)?;
//! let coding = Coding::fit(&table, &columns, &[0, 1, 2], &Rules { one_hot: 20 })?;
//! assert_eq!(coding.names(), ["amount", "amount missing", "country=DE", "country=FR"]);
//! let mut rows = Vec::new();
//! for batch in table.batches() {
//!     coding.apply(batch, &mut rows)?;
//! }
//! assert_eq!(rows, [1.5, 0.0, 1.0, 0.0, 2.5, 0.0, 0.0, 1.0, 2.0, 1.0, 1.0, 0.0]);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod arrow;
mod batch;
mod cell;
mod code;
mod coding;
mod columnar;
mod file;
mod infer;
mod pipe;
#[cfg(test)]
mod tests;
mod text;

pub use batch::{Batch, Cells, Table, Texts};
pub use cell::Kind;
pub use code::{Code, ColumnCode};
pub use coding::{Coding, Rules};
pub use file::{Column, MOST_COLUMNS, TableFile};
pub use pipe::{ArrowWriter, ParquetWriter, Values, begins_as_arrow, read_arrow};

/// What is wrong with a table: the file, and where it can be told the row and the column, what was expected and what was found.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{origin}: {problem}")]
pub struct Error {
    /// The file, perhaps with a row.
    pub origin: String,
    /// What was expected and what was found.
    pub problem: String,
}

impl Error {
    /// Something wrong at `origin`.
    pub fn new(origin: impl Into<String>, problem: impl Into<String>) -> Self {
        Self { origin: origin.into(), problem: problem.into() }
    }
}

/// What this crate returns.
pub type Result<T> = std::result::Result<T, Error>;
