//! Tables as text: comma-, semicolon- or tab-separated, plain, gzip or Zstandard.

use crate::cell::{boolean, is_missing, number, numeral, time};
use crate::file::BATCH;
use crate::{Batch, Cells, Column, Error, Kind, Result, Texts};
use csv::StringRecord;
use flate2::read::MultiGzDecoder;
use std::fs::File;
use std::io::{BufReader, Read};
use std::path::Path;

/// Bytes of one line, at most.
const MOST_OF_A_LINE: usize = 64 << 20;

/// How a file is packed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Packing {
    Gzip,
    Zstandard,
}

/// How text is a table.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Dialect {
    pub(crate) packing: Option<Packing>,
    delimiter: u8,
}

/// How a file that begins with `head` is packed.
pub(crate) fn packing(head: &[u8]) -> Option<Packing> {
    if head.starts_with(&[0x1f, 0x8b]) {
        Some(Packing::Gzip)
    } else if head.starts_with(&[0x28, 0xb5, 0x2f, 0xfd]) {
        Some(Packing::Zstandard)
    } else {
        None
    }
}

/// The dialect of a table of text, and its columns.
pub(crate) fn open(path: &Path, origin: &str, head: &[u8]) -> Result<(Dialect, Vec<String>)> {
    let packing = packing(head);
    let mut first = Vec::new();
    let read = unpacked(path, packing).and_then(|reader| reader.take(1 << 16).read_to_end(&mut first));
    if let (Err(error), true) = (read, first.is_empty()) {
        return Err(Error::new(origin, format!("not readable as a table: {error}")));
    }
    if first.contains(&0) {
        return Err(Error::new(origin, "expected a table as text inside, found something else"));
    }
    let line = first.split(|&byte| byte == b'\n').next().unwrap_or_default();
    let count = |delimiter: u8| line.iter().filter(|&&byte| byte == delimiter).count();
    // The first of the largest: a comma where all are equal.
    let delimiter = [b'\t', b';', b','].into_iter().max_by_key(|&delimiter| count(delimiter)).unwrap_or(b',');
    let dialect = Dialect { packing, delimiter };
    let mut reader = reader(path, origin, dialect)?;
    let mut header = StringRecord::new();
    if !reader.read_record(&mut header).map_err(|error| failed(origin, &error))? {
        return Err(Error::new(origin, "expected names of columns in the first line, found none"));
    }
    if header.iter().all(|name| number(name.trim()).is_some()) {
        return Err(Error::new(origin, "expected names of columns in the first line, found numbers"));
    }
    let name = |(position, name): (usize, &str)| match name.trim().trim_start_matches('\u{feff}') {
        "" => format!("column {position}"),
        name => name.to_owned(),
    };
    Ok((dialect, header.iter().enumerate().map(name).collect()))
}

fn unpacked(path: &Path, packing: Option<Packing>) -> std::io::Result<Box<dyn Read + Send>> {
    let file = BufReader::with_capacity(1 << 16, File::open(path)?);
    let inner: Box<dyn Read + Send> = match packing {
        None => Box::new(file),
        Some(Packing::Gzip) => Box::new(MultiGzDecoder::new(file)),
        Some(Packing::Zstandard) => Box::new(zstd::Decoder::with_buffer(file)?),
    };
    Ok(Box::new(Lines { inner, of_line: 0 }))
}

/// Fails where a line does not end: what a packed file holds need not fit in memory.
struct Lines {
    inner: Box<dyn Read + Send>,
    of_line: usize,
}

impl Read for Lines {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let n = self.inner.read(buffer)?;
        self.of_line = match buffer[..n].iter().rposition(|&byte| byte == b'\n') {
            Some(end) => n - end - 1,
            None => self.of_line + n,
        };
        if self.of_line > MOST_OF_A_LINE {
            return Err(std::io::Error::other(format!("a line of more than {MOST_OF_A_LINE} bytes")));
        }
        Ok(n)
    }
}

type Reader = csv::Reader<Box<dyn Read + Send>>;

fn reader(path: &Path, origin: &str, dialect: Dialect) -> Result<Reader> {
    let unpacked = unpacked(path, dialect.packing).map_err(|error| Error::new(origin, error.to_string()))?;
    let mut builder = csv::ReaderBuilder::new();
    // Lines of another length are our own error, with the line and both lengths.
    Ok(builder.delimiter(dialect.delimiter).has_headers(false).flexible(true).from_reader(unpacked))
}

fn failed(origin: &str, error: &csv::Error) -> Error {
    let line = error.position().map_or(String::new(), |position| format!(", line {}", position.line()));
    Error::new(format!("{origin}{line}"), format!("not readable as a table: {error}"))
}

/// The lines of a table after its names.
pub(crate) struct Records {
    origin: String,
    reader: Reader,
    record: StringRecord,
    columns: usize,
}

/// The lines of the table at `path`, which has so many columns.
pub(crate) fn records(path: &Path, origin: &str, dialect: &Dialect, columns: usize) -> Result<Records> {
    let mut records = Records {
        origin: origin.to_owned(),
        reader: reader(path, origin, *dialect)?,
        record: StringRecord::new(),
        columns,
    };
    records.next()?;
    Ok(records)
}

impl Records {
    /// The next line and its fields; none at the end.
    pub(crate) fn next(&mut self) -> Result<Option<(u64, &StringRecord)>> {
        if !self.reader.read_record(&mut self.record).map_err(|error| failed(&self.origin, &error))? {
            return Ok(None);
        }
        let line = self.record.position().map_or(0, csv::Position::line);
        if self.record.len() != self.columns {
            let problem = format!("{} fields, expected {}", self.record.len(), self.columns);
            return Err(Error::new(format!("{}, line {line}", self.origin), problem));
        }
        Ok(Some((line, &self.record)))
    }
}

impl Batch {
    /// One row that comes from no file: a text for each of `columns`, read as the field of a CSV file would be. `origin` names
    /// it in errors.
    ///
    /// # Errors
    /// If a text is not what its column holds.
    ///
    /// # Panics
    /// If there are not as many fields as columns.
    pub fn of_fields(origin: &str, columns: &[Column], fields: &[String]) -> Result<Self> {
        assert_eq!(columns.len(), fields.len(), "fields of a row");
        let mut cells: Vec<Cells> = columns.iter().map(|column| none_yet(column.kind)).collect();
        for ((column, field), cells) in columns.iter().zip(fields).zip(&mut cells) {
            if !add(cells, column.kind, field.trim()) {
                let (name, expected) = (&column.name, column.kind.in_words());
                let problem = format!("column `{name}`: expected {expected}, found `{}`", shown(field));
                return Err(Error::new(origin, problem));
            }
        }
        Ok(Self { origin: origin.to_owned(), rows: 0..1, lines: Vec::new(), columns: cells })
    }
}

/// The cells of some columns, a batch at a time.
pub(crate) struct Batches {
    records: Records,
    columns: Vec<Column>,
    positions: Vec<usize>,
    begin: usize,
    ended: bool,
}

impl Batches {
    /// Of these columns, which are at these positions.
    pub(crate) fn new(records: Records, columns: Vec<Column>, positions: Vec<usize>) -> Self {
        Self { records, columns, positions, begin: 0, ended: false }
    }

    fn batch(&mut self) -> Result<Batch> {
        let mut cells: Vec<Cells> = self.columns.iter().map(|column| none_yet(column.kind)).collect();
        let mut lines = Vec::new();
        while lines.len() < BATCH
            && let Some((line, record)) = self.records.next()?
        {
            lines.push(line);
            for ((column, &position), cells) in self.columns.iter().zip(&self.positions).zip(&mut cells) {
                let field = record[position].trim();
                if !add(cells, column.kind, field) {
                    let (name, expected) = (&column.name, column.kind.in_words());
                    let problem = format!("column `{name}`: expected {expected}, found `{}`", shown(field));
                    return Err(Error::new(format!("{}, line {line}", self.records.origin), problem));
                }
            }
        }
        let rows = self.begin..self.begin + lines.len();
        self.begin = rows.end;
        Ok(Batch { origin: self.records.origin.clone(), rows, lines, columns: cells })
    }
}

impl Iterator for Batches {
    type Item = Result<Batch>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.ended {
            return None;
        }
        let batch = self.batch();
        self.ended = batch.as_ref().map_or(true, |batch| batch.rows.len() < BATCH);
        match batch {
            Ok(batch) if batch.rows.is_empty() => None,
            batch => Some(batch),
        }
    }
}

/// A field as a message shows it.
pub(crate) fn shown(field: &str) -> String {
    if field.chars().count() <= 60 { field.into() } else { field.chars().take(60).chain(['…']).collect() }
}

/// A column of this kind without cells.
pub(crate) fn none_yet(kind: Kind) -> Cells {
    match kind {
        Kind::Number | Kind::Boolean => Cells::Numbers(Vec::new()),
        Kind::Time => Cells::Times(Vec::new()),
        Kind::Text | Kind::Numeral => Cells::Texts(Texts::default()),
    }
}

/// Adds a field; `false` if it is not of the kind.
fn add(cells: &mut Cells, kind: Kind, field: &str) -> bool {
    match cells {
        Cells::Numbers(values) => {
            let value = match kind {
                _ if is_missing(field) => Some(f32::NAN),
                Kind::Boolean => boolean(field)
                    .map(|field| f32::from(u8::from(field)))
                    .or_else(|| number(field).filter(|v| [0.0, 1.0].contains(v))),
                _ => number(field),
            };
            values.extend(value);
            value.is_some()
        }
        Cells::Times(values) => {
            let value = if is_missing(field) { Some(Cells::NO_TIME) } else { time(field) };
            values.extend(value);
            value.is_some()
        }
        Cells::Texts(texts) if kind == Kind::Numeral && !is_missing(field) => {
            let value = field.parse::<f64>().ok().filter(|value| value.is_finite());
            texts.push(Some(&value.map_or_else(|| field.to_owned(), numeral)));
            true
        }
        Cells::Texts(texts) => {
            texts.push(Some(field).filter(|_| kind == Kind::Text));
            true
        }
    }
}
