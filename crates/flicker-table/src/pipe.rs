//! Arrow IPC through a pipe: rows that come in a stream, and answers that go out in one; and the same answers as Parquet.

use crate::columnar::{Batches, Columnar};
use crate::file::{check_names, expect_types, positions};
use crate::{Batch, Column, Error, Result};
use arrow_array::{
    ArrayRef, BooleanArray, Float32Array, Float64Array, RecordBatch, StringArray, UInt64Array,
};
use arrow_ipc::reader::StreamReader;
use arrow_ipc::writer::StreamWriter;
use arrow_schema::ArrowError;
use parquet::arrow::ArrowWriter as Parquet;
use std::io::{Read, Write};
use std::ops::Range;
use std::sync::Arc;

/// Whether what begins with these bytes is an Arrow IPC stream: the mark of its first message. Text never begins so.
pub fn begins_as_arrow(head: &[u8]) -> bool {
    Columnar::told_by(head) == Some(Columnar::ArrowStream)
}

/// The cells of `columns`, batch by batch as the stream `input` brings them.
///
/// # Errors
/// If it is no Arrow IPC stream, has no such column, or one that cannot be read so. The batches then tell of cells that cannot,
/// with row and column, and of a stream that breaks off.
pub fn read_arrow(
    origin: &str,
    input: impl Read + Send + 'static,
    columns: &[Column],
) -> Result<impl Iterator<Item = Result<Batch>>> {
    let format = Columnar::ArrowStream;
    let reader = StreamReader::try_new(input, None).map_err(|error| format.damaged(origin, &error))?;
    let schema = reader.schema();
    let (known, types): (Vec<_>, Vec<_>) =
        schema.fields().iter().map(|field| (field.name().clone(), field.data_type().clone())).unzip();
    check_names(origin, &known)?;
    let names: Vec<String> = columns.iter().map(|column| column.name.clone()).collect();
    let order = positions(origin, &known, &names)?;
    expect_types(origin, columns, &order, &types)?;
    Ok(Batches::of(format, origin, columns, order, Box::new(reader)))
}

/// The values of a column that is written.
#[derive(Clone, Debug)]
pub enum Values {
    /// Numbers of rows.
    Rows(Range<usize>),
    /// Numbers.
    F32(Vec<f32>),
    /// Numbers of more digits.
    F64(Vec<f64>),
    /// Yes or no.
    Booleans(Vec<bool>),
    /// Text.
    Texts(Vec<String>),
}

impl Values {
    fn array(self) -> ArrayRef {
        match self {
            Self::Rows(rows) => Arc::new(UInt64Array::from_iter_values(rows.map(|row| row as u64))),
            Self::F32(values) => Arc::new(Float32Array::from(values)),
            Self::F64(values) => Arc::new(Float64Array::from(values)),
            Self::Booleans(values) => Arc::new(BooleanArray::from(values)),
            Self::Texts(values) => Arc::new(StringArray::from(values)),
        }
    }
}

fn batch(columns: Vec<(&str, Values)>) -> std::result::Result<RecordBatch, ArrowError> {
    RecordBatch::try_from_iter(columns.into_iter().map(|(name, values)| (name, values.array())))
}

/// Writes batches as an Arrow IPC stream. The first one says which columns there are.
pub struct ArrowWriter<W: Write> {
    origin: String,
    /// Until the first batch.
    output: Option<W>,
    writer: Option<StreamWriter<W>>,
}

impl<W: Write> ArrowWriter<W> {
    /// A stream to `output`, which is called `origin` in errors.
    pub fn new(origin: &str, output: W) -> Self {
        Self { origin: origin.to_owned(), output: Some(output), writer: None }
    }

    /// Writes a batch, and lets it go at once.
    ///
    /// # Errors
    /// If the columns have other lengths or names than they should, or the stream cannot be written.
    pub fn write(&mut self, columns: Vec<(&str, Values)>) -> Result<()> {
        let fail = |error: &dyn std::fmt::Display| Error::new(&self.origin, error.to_string());
        let batch = batch(columns).map_err(|error| fail(&error))?;
        if let Some(output) = self.output.take() {
            let writer = StreamWriter::try_new(output, &batch.schema()).map_err(|error| fail(&error))?;
            self.writer = Some(writer);
        }
        let Some(writer) = &mut self.writer else { return Err(fail(&"could not be begun")) };
        writer.write(&batch).and_then(|()| writer.flush()).map_err(|error| fail(&error))
    }

    /// Says that no more follows. Without a batch nothing is written.
    ///
    /// # Errors
    /// If the stream cannot be written.
    pub fn finish(mut self) -> Result<()> {
        let Some(writer) = &mut self.writer else { return Ok(()) };
        writer.finish().map_err(|error| Error::new(&self.origin, error.to_string()))
    }
}

/// Writes batches as a Parquet file. The first one says which columns there are.
pub struct ParquetWriter<W: Write + Send> {
    origin: String,
    /// Until the first batch.
    output: Option<W>,
    writer: Option<Parquet<W>>,
}

impl<W: Write + Send> ParquetWriter<W> {
    /// A file in `output`, which is called `origin` in errors.
    pub fn new(origin: &str, output: W) -> Self {
        Self { origin: origin.to_owned(), output: Some(output), writer: None }
    }

    /// Adds a batch.
    ///
    /// # Errors
    /// As [`ArrowWriter::write`].
    pub fn write(&mut self, columns: Vec<(&str, Values)>) -> Result<()> {
        let fail = |error: &dyn std::fmt::Display| Error::new(&self.origin, error.to_string());
        let batch = batch(columns).map_err(|error| fail(&error))?;
        if let Some(output) = self.output.take() {
            let writer = Parquet::try_new(output, batch.schema(), None).map_err(|error| fail(&error))?;
            self.writer = Some(writer);
        }
        let Some(writer) = &mut self.writer else { return Err(fail(&"could not be begun")) };
        writer.write(&batch).map_err(|error| fail(&error))
    }

    /// Ends the file, which is none before, and gives the output back. Without a batch nothing is written.
    ///
    /// # Errors
    /// If the end cannot be written.
    pub fn finish(self) -> Result<Option<W>> {
        let Self { origin, output, writer } = self;
        match writer {
            Some(writer) => {
                writer.into_inner().map(Some).map_err(|error| Error::new(origin, error.to_string()))
            }
            None => Ok(output),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Cells, Kind};
    use std::io::Cursor;

    fn written() -> Vec<u8> {
        let mut bytes = Vec::new();
        let mut writer = ArrowWriter::new("out", &mut bytes);
        for rows in [0..2, 2..3] {
            let numbers = rows.clone().map(|row| row as f32 / 2.0).collect();
            let wholes = rows.clone().map(|row| row == 1).collect();
            writer
                .write(vec![
                    ("row", Values::Rows(rows)),
                    ("x", Values::F32(numbers)),
                    ("b", Values::Booleans(wholes)),
                ])
                .expect("written");
        }
        writer.finish().expect("finished");
        bytes
    }

    fn column(name: &str, kind: Kind) -> Column {
        Column { name: name.into(), kind }
    }

    #[test]
    fn what_is_written_is_read_batch_by_batch() -> Result<()> {
        let bytes = written();
        assert!(begins_as_arrow(&bytes) && !begins_as_arrow(b"{\"a\": 1}"));
        let columns = [column("x", Kind::Number), column("row", Kind::Number)];
        let batches: Vec<Batch> = read_arrow("in", Cursor::new(bytes), &columns)?.collect::<Result<_>>()?;
        assert_eq!(batches.iter().map(Batch::rows).collect::<Vec<_>>(), [0..2, 2..3]);
        assert_eq!(batches[0].columns()[0], Cells::Numbers(vec![0.0, 0.5]));
        assert_eq!(batches[1].columns(), [Cells::Numbers(vec![1.0]), Cells::Numbers(vec![2.0])]);
        Ok(())
    }

    #[test]
    fn what_does_not_fit_is_said() {
        let refused = |bytes: Vec<u8>, of: Column| {
            read_arrow("in", Cursor::new(bytes), &[of]).map(|_| ()).unwrap_err().to_string()
        };
        let said = refused(written(), column("y", Kind::Number));
        assert!(said.contains("in: no column `y`, expected it among the 3: row, x, b"), "{said}");
        assert!(refused(written(), column("x", Kind::Time)).contains("column `x`: expected"));
        assert!(refused(b"{}".to_vec(), column("x", Kind::Number)).contains("expected a whole Arrow stream"));
        let mut cut = written();
        cut.truncate(cut.len() - 150);
        let last = read_arrow("in", Cursor::new(cut), &[column("x", Kind::Number)]).expect("its head").last();
        assert!(matches!(last, Some(Err(_))), "{last:?}");
    }
}
