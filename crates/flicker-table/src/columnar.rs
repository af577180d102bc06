//! Tables column by column: Parquet, and Arrow IPC as a file or as a stream.

use crate::file::BATCH;
use crate::{Batch, Column, Error, Result, arrow};
use arrow_array::RecordBatch;
use arrow_ipc::reader::{FileReader, StreamReader};
use arrow_schema::{ArrowError, DataType, SchemaRef};
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use std::fs::File;
use std::path::Path;

/// A format of columns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Columnar {
    Parquet,
    ArrowFile,
    ArrowStream,
}

pub(crate) type RecordBatches = Box<dyn Iterator<Item = std::result::Result<RecordBatch, ArrowError>> + Send>;

impl Columnar {
    /// The format of a file that begins with `head`.
    pub(crate) fn told_by(head: &[u8]) -> Option<Self> {
        if head.starts_with(b"PAR1") {
            Some(Self::Parquet)
        } else if head.starts_with(b"ARROW1") {
            Some(Self::ArrowFile)
        } else if head.starts_with(&[0xff; 4]) {
            Some(Self::ArrowStream)
        } else {
            None
        }
    }

    pub(crate) fn in_words(self) -> &'static str {
        match self {
            Self::Parquet => "Parquet",
            Self::ArrowFile => "Arrow file",
            Self::ArrowStream => "Arrow stream",
        }
    }

    /// The names of the columns, and their types.
    pub(crate) fn schema(self, path: &Path, origin: &str) -> Result<(Vec<String>, Vec<DataType>)> {
        let file = open(path, origin)?;
        let fail = |error: &dyn std::fmt::Display| self.damaged(origin, error);
        let schema: SchemaRef = match self {
            Self::Parquet => parquet_builder(file).map_err(|error| fail(&error))?.schema().clone(),
            Self::ArrowFile => {
                FileReader::try_new_buffered(file, None).map_err(|error| fail(&error))?.schema()
            }
            Self::ArrowStream => {
                StreamReader::try_new_buffered(file, None).map_err(|error| fail(&error))?.schema()
            }
        };
        Ok(schema.fields().iter().map(|field| (field.name().clone(), field.data_type().clone())).unzip())
    }

    /// How many rows there are, where the file says so.
    pub(crate) fn n_rows(self, path: &Path, origin: &str) -> Result<Option<usize>> {
        if self != Self::Parquet {
            return Ok(None);
        }
        let builder = parquet_builder(open(path, origin)?).map_err(|error| self.damaged(origin, &error))?;
        Ok(usize::try_from(builder.metadata().file_metadata().num_rows()).ok())
    }

    /// The rows, with the columns at `positions`, which ascend.
    fn read(self, path: &Path, origin: &str, positions: Vec<usize>) -> Result<RecordBatches> {
        let file = open(path, origin)?;
        let fail = |error: &dyn std::fmt::Display| self.damaged(origin, error);
        Ok(match self {
            Self::Parquet => {
                let builder = parquet_builder(file).map_err(|error| fail(&error))?;
                let wanted = ProjectionMask::roots(builder.parquet_schema(), positions);
                let reader = builder.with_projection(wanted).with_batch_size(BATCH).build();
                Box::new(reader.map_err(|error| fail(&error))?)
            }
            Self::ArrowFile => {
                let reader = FileReader::try_new_buffered(file, Some(positions));
                Box::new(reader.map_err(|error| fail(&error))?)
            }
            Self::ArrowStream => {
                let reader = StreamReader::try_new_buffered(file, Some(positions));
                Box::new(reader.map_err(|error| fail(&error))?)
            }
        })
    }

    pub(crate) fn damaged(self, origin: &str, error: &dyn std::fmt::Display) -> Error {
        let format = self.in_words();
        Error::new(origin, format!("expected a whole {format}, found one that cannot be read: {error}"))
    }
}

fn open(path: &Path, origin: &str) -> Result<File> {
    File::open(path).map_err(|error| Error::new(origin, error.to_string()))
}

fn parquet_builder(
    file: File,
) -> std::result::Result<ParquetRecordBatchReaderBuilder<File>, parquet::errors::ParquetError> {
    ParquetRecordBatchReaderBuilder::try_new(file)
}

/// The cells of some columns, a batch at a time.
pub(crate) struct Batches {
    format: Columnar,
    origin: String,
    columns: Vec<Column>,
    /// Where each of `columns` is among those that are read.
    order: Vec<usize>,
    batches: RecordBatches,
    begin: usize,
    failed: bool,
}

impl Batches {
    /// Of these columns of the file at `path`, which are at these positions.
    pub(crate) fn new(
        format: Columnar,
        path: &Path,
        origin: &str,
        columns: &[Column],
        positions: &[usize],
    ) -> Result<Self> {
        let mut sorted = positions.to_vec();
        sorted.sort_unstable();
        sorted.dedup();
        let order = positions.iter().filter_map(|position| sorted.binary_search(position).ok()).collect();
        Ok(Self::of(format, origin, columns, order, format.read(path, origin, sorted)?))
    }

    /// Of `columns`, which are at `order` in each of `batches`.
    pub(crate) fn of(
        format: Columnar,
        origin: &str,
        columns: &[Column],
        order: Vec<usize>,
        batches: RecordBatches,
    ) -> Self {
        let columns = columns.to_vec();
        Self { format, origin: origin.to_owned(), columns, order, batches, begin: 0, failed: false }
    }

    fn batch(&mut self, read: &RecordBatch) -> Result<Batch> {
        let rows = self.begin..self.begin + read.num_rows();
        self.begin = rows.end;
        let mut batch = Batch { origin: self.origin.clone(), rows, lines: Vec::new(), columns: Vec::new() };
        for (column, &at) in self.columns.iter().zip(&self.order) {
            let cells = arrow::cells(read.column(at).as_ref(), column.kind)
                .map_err(|wrong| batch.error(wrong.row, &column.name, &wrong.problem))?;
            batch.columns.push(cells);
        }
        Ok(batch)
    }
}

impl Iterator for Batches {
    type Item = Result<Batch>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.failed {
            return None;
        }
        let batch = match self.batches.next()? {
            Ok(read) => self.batch(&read),
            Err(error) => Err(self.format.damaged(&self.origin, &error)),
        };
        self.failed = batch.is_err();
        Some(batch)
    }
}
