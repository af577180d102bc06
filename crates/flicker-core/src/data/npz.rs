//! Tables as NumPy archives: `.npz`, a zip of `.npy` arrays, stored or deflated, in C or Fortran order, of any integer or
//! floating-point type (NumPy's "NPY format", versions 1 to 3).
//!
//! The header of an array is a Python dictionary of three fixed keys. The crates that read it bring a grammar for all of
//! Python's literals and its generator, ten crates to every build; so these hundred lines are ours, and fuzzed.

use super::gz::LIMIT;
use super::{Dataset, Part, Samples};
use crate::{Error, Result};
use serde::{Deserialize, Serialize};
use std::io::{Cursor, Read};
use std::sync::Arc;

/// Which arrays are read, and as what.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Layout {
    /// Name of the array of features (N, F).
    pub features: String,
    /// Name of the array of labels (N).
    pub label: String,
    /// The number that the labels have for each class, in the order of the classes.
    pub values: Vec<i64>,
}

/// Reads a table. Every sample is of the training part, since such files have no official parts; columns are named by their
/// position.
///
/// # Errors
/// If the archive or an array is broken, or unpacks to more than [`LIMIT`]; an array is missing, or of another type or shape;
/// a feature is no finite number in f32; a label is none of the values; or there is no row or no feature.
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
    let features = array(origin, bytes, &layout.features)?;
    let labels = array(origin, bytes, &layout.label)?;
    let (n, f) = match features.shape[..] {
        [n, f] if n > 0 && f > 0 => (n, f),
        _ => return Err(features.problem("(N, F) with at least one row and one feature")),
    };
    if labels.shape != [n] && labels.shape != [n, 1] {
        return Err(labels.problem(&format!("({n}), a label for each row of `{}`", layout.features)));
    }
    let mut values = vec![0f32; n * f];
    for (at, value) in features.in_c_order(n, f).enumerate() {
        values[at] = value as f32;
        if !values[at].is_finite() {
            let problem =
                format!("row {}, column {}: expected a finite number, found {value}", at / f, at % f);
            return Err(Error::data(features.origin.as_str(), problem));
        }
    }
    let class = |(row, value): (usize, f64)| {
        let found = layout.values.iter().position(|&known| known as f64 == value);
        found.map(|class| class as u32).ok_or_else(|| {
            let problem = format!("row {row}: expected one of {:?}, found {value}", layout.values);
            Error::data(labels.origin.as_str(), problem)
        })
    };
    let classes_of_rows = labels.in_c_order(n, 1).enumerate().map(class).collect::<Result<_>>()?;
    let columns = (0..f).map(|column| column.to_string()).collect();
    let samples = Arc::new(Samples::new(f, values)?);
    Dataset::new(name, samples, classes_of_rows, classes.to_vec(), vec![Part::Train; n])?
        .with_columns(columns)
}

/// An array as it lies in the file.
struct Array {
    /// The file and the array, for errors.
    origin: String,
    number: Number,
    fortran: bool,
    shape: Vec<usize>,
    data: Vec<u8>,
}

impl Array {
    fn problem(&self, expected: &str) -> Error {
        Error::data(self.origin.as_str(), format!("expected shape {expected}, found {:?}", self.shape))
    }

    /// The numbers of `n` rows of `f`, row by row.
    fn in_c_order(&self, n: usize, f: usize) -> impl Iterator<Item = f64> + '_ {
        let place = move |at: usize| if self.fortran { at % f * n + at / f } else { at };
        let size = self.number.size;
        (0..n * f).map(move |at| self.number.read(&self.data[place(at) * size..][..size]))
    }
}

/// The array `name` of the archive.
fn array(file: &str, bytes: &[u8], name: &str) -> Result<Array> {
    let origin = format!("{file}, array `{name}`");
    let broken = |problem: String| Error::data(origin.as_str(), problem);
    let mut archive = zip::ZipArchive::new(Cursor::new(bytes))
        .map_err(|error| Error::data(file, format!("is no whole zip archive: {error}")))?;
    let member = format!("{name}.npy");
    let Some(index) = archive.index_for_name(&member) else {
        let names = archive.file_names().filter_map(std::result::Result::ok);
        let there: Vec<String> = names.map(|name| name.trim_end_matches(".npy").to_string()).collect();
        return Err(Error::data(
            file,
            format!("has no array `{name}`, expected one among {}", there.join(", ")),
        ));
    };
    // Raw, because unpacking is a feature of the zip crate that candle does not switch on.
    let packed = archive.by_index_raw(index).map_err(|error| broken(error.to_string()))?;
    let method = packed.compression();
    let mut content = Vec::new();
    let read = match method {
        zip::CompressionMethod::Stored => packed.take(LIMIT + 1).read_to_end(&mut content),
        _ if deflated(method) => {
            flate2::read::DeflateDecoder::new(packed).take(LIMIT + 1).read_to_end(&mut content)
        }
        _ => return Err(broken(format!("is packed by {method}, expected stored or deflated"))),
    };
    read.map_err(|error| broken(format!("cannot be unpacked: {error}")))?;
    if content.len() as u64 > LIMIT {
        return Err(broken(format!("more than the {LIMIT} bytes that are allowed")));
    }
    parse(origin.clone(), content).map_err(broken)
}

/// Whether this is method 8 of the zip format, which the zip crate names only where it can unpack it itself.
fn deflated(method: zip::CompressionMethod) -> bool {
    #[allow(deprecated)] // there is no other way to the number
    let number = method.to_u16();
    number == 8
}

fn parse(origin: String, mut content: Vec<u8>) -> std::result::Result<Array, String> {
    let start = match content.get(..8) {
        Some([0x93, b'N', b'U', b'M', b'P', b'Y', 1, _]) => 10,
        Some([0x93, b'N', b'U', b'M', b'P', b'Y', 2 | 3, _]) => 12,
        _ => return Err("does not begin as an array of NumPy's versions 1 to 3 does".into()),
    };
    let length = content.get(8..start).ok_or("ends within its header")?;
    let length = length.iter().rev().fold(0usize, |sum, &byte| sum << 8 | usize::from(byte));
    let end =
        start.checked_add(length).filter(|&end| end <= content.len()).ok_or("ends within its header")?;
    let header = std::str::from_utf8(&content[start..end]).map_err(|_| "has a header that is no text")?;
    let (number, fortran, shape) = (Number::parse(header)?, fortran(header)?, shape(header)?);
    let wanted = shape.iter().try_fold(number.size, |bytes, &size| bytes.checked_mul(size));
    let there = content.len() - end;
    if wanted != Some(there) {
        return Err(format!(
            "has {there} bytes of numbers, expected {} for shape {shape:?}",
            wanted.map_or("too many".into(), |bytes| bytes.to_string())
        ));
    }
    Ok(Array { origin, number, fortran, shape, data: content.split_off(end) })
}

/// What follows `'key':` in the header.
fn value<'a>(header: &'a str, key: &str) -> std::result::Result<&'a str, String> {
    let quoted = format!("'{key}'");
    let after = header.split_once(&quoted).and_then(|(_, rest)| rest.trim_start().strip_prefix(':'));
    after.map(str::trim_start).ok_or_else(|| format!("has a header without {quoted}"))
}

fn fortran(header: &str) -> std::result::Result<bool, String> {
    match value(header, "fortran_order")? {
        text if text.starts_with("True") => Ok(true),
        text if text.starts_with("False") => Ok(false),
        _ => Err("has a header whose `fortran_order` is neither True nor False".into()),
    }
}

fn shape(header: &str) -> std::result::Result<Vec<usize>, String> {
    let list = value(header, "shape")?.strip_prefix('(').and_then(|rest| rest.split_once(')'));
    let (list, _) = list.ok_or("has a header whose `shape` is no tuple")?;
    let sizes = list.split(',').map(str::trim).filter(|size| !size.is_empty());
    sizes.map(|size| size.parse().map_err(|_| format!("has `{size}` in its shape"))).collect()
}

/// How a number is written.
struct Number {
    kind: u8,
    size: usize,
    big_endian: bool,
}

impl Number {
    fn parse(header: &str) -> std::result::Result<Self, String> {
        let text = value(header, "descr")?;
        let text = text.strip_prefix('\'').and_then(|rest| rest.split_once('\'')).map(|(descr, _)| descr);
        let text = text.ok_or("is an array of records, expected one of numbers")?;
        let unknown =
            || format!("is of type `{text}`, expected integers or floating-point numbers of 1 to 8 bytes");
        let [order, kind, size] = text.as_bytes() else { return Err(unknown()) };
        let known: &[u8] = match kind {
            b'b' => b"1",
            b'i' | b'u' => b"1248",
            b'f' => b"48",
            _ => return Err(unknown()),
        };
        if !known.contains(size) || !b"<>|".contains(order) {
            return Err(unknown());
        }
        Ok(Self { kind: *kind, size: usize::from(size - b'0'), big_endian: *order == b'>' })
    }

    /// The number in these bytes, of which there are [`Number::size`].
    fn read(&self, bytes: &[u8]) -> f64 {
        let mut low_first = [0; 8];
        low_first[..self.size].copy_from_slice(bytes);
        if self.big_endian {
            low_first[..self.size].reverse();
        }
        let whole = u64::from_le_bytes(low_first);
        let unused = 64 - 8 * self.size as u32;
        match (self.kind, self.size) {
            (b'f', 4) => f64::from(f32::from_bits(whole as u32)),
            (b'f', _) => f64::from_bits(whole),
            (b'i', _) => ((whole << unused) as i64 >> unused) as f64,
            _ => whole as f64,
        }
    }
}

#[cfg(test)]
mod tests;
