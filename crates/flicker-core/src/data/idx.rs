//! IDX, the format of MNIST and its descendants, plain or gzip.
//!
//! A file is: two zero bytes, one byte for the element type, one for the number of dimensions; each dimension as a
//! big-endian u32; the elements, last dimension fastest. Only unsigned bytes are read: the data sets have nothing else.

use super::{Concat, Dataset, Images, Part, Source, gz};
use crate::{Error, Result};
use std::io::Read;
use std::sync::Arc;

/// Elements that one file may hold: 1 GiB, twenty times MNIST's largest file.
pub const LIMIT: u64 = 1 << 30;

/// A file's name, for messages, and its bytes, plain or gzip.
#[derive(Clone, Copy, Debug)]
pub struct File<'a> {
    /// Its path or name.
    pub origin: &'a str,
    /// What it holds.
    pub bytes: &'a [u8],
}

/// An array of unsigned bytes, as an IDX file holds it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Array {
    /// The size of each dimension.
    pub dims: Vec<usize>,
    /// The elements, last dimension fastest.
    pub elements: Vec<u8>,
}

/// Reads an array of `n_dims` dimensions.
///
/// # Errors
/// If the file is not IDX, holds other than unsigned bytes, has another number of dimensions, is shorter or longer than
/// its dimensions say, is larger than [`LIMIT`], or its gzip stream is broken.
pub fn parse(file: File<'_>, n_dims: usize) -> Result<Array> {
    let mut reader = gz::reader(file.bytes, 2 * LIMIT); // the dimensions set the true limit
    let magic: [u8; 4] = filled(file, &mut reader, 4, "magic number")?.try_into().unwrap_or_default();
    check_magic(file, magic, n_dims)?;
    let sizes = filled(file, &mut reader, 4 * n_dims, "dimensions")?;
    let dims: Vec<usize> =
        sizes.chunks_exact(4).map(|b| u32::from_be_bytes([b[0], b[1], b[2], b[3]]) as usize).collect();
    let total = dims.iter().try_fold(1_u64, |total, &size| total.checked_mul(size as u64));
    let Some(total) = total.filter(|&total| total <= LIMIT) else {
        let problem = format!("dimensions {dims:?} are more than the {LIMIT} elements that are allowed");
        return Err(Error::data(file.origin, problem));
    };
    let mut elements = Vec::new();
    // One byte more than needed shows a file that is too long, and lets gzip check its sum.
    let read = reader.take(total + 1).read_to_end(&mut elements);
    read.map_err(|error| broken(file, &error))?;
    if elements.len() as u64 != total {
        let more = if elements.len() as u64 > total { "more" } else { &elements.len().to_string() };
        return Err(Error::data(
            file.origin,
            format!("dimensions {dims:?} need {total} bytes of elements, found {more}"),
        ));
    }
    Ok(Array { dims, elements })
}

/// The header's first bytes must be 0, 0, unsigned byte, `n_dims`.
fn check_magic(file: File<'_>, magic: [u8; 4], n_dims: usize) -> Result<()> {
    let [zero, zero_too, kind, dims] = magic;
    let expected = [0, 0, 8, n_dims as u8];
    let problem = if magic == expected {
        return Ok(());
    } else if zero != 0 || zero_too != 0 {
        format!("not an IDX file: expected the magic number {expected:02x?}, found {magic:02x?}")
    } else if kind != 8 {
        format!("elements of type {} ({kind:#04x}), expected unsigned bytes (0x08)", type_name(kind))
    } else {
        format!("{dims} dimensions, expected {n_dims}")
    };
    Err(Error::data(file.origin, problem))
}

fn type_name(kind: u8) -> &'static str {
    match kind {
        0x09 => "i8",
        0x0b => "i16",
        0x0c => "i32",
        0x0d => "f32",
        0x0e => "f64",
        _ => "unknown",
    }
}

/// The next `n` bytes of the header.
fn filled(file: File<'_>, reader: &mut dyn Read, n: usize, what: &str) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    reader.take(n as u64).read_to_end(&mut bytes).map_err(|error| broken(file, &error))?;
    if bytes.len() < n {
        let problem = format!("ends inside the header: expected {n} bytes of {what}, found {}", bytes.len());
        return Err(Error::data(file.origin, problem));
    }
    Ok(bytes)
}

fn broken(file: File<'_>, error: &std::io::Error) -> Error {
    Error::data(file.origin, format!("broken gzip stream: {error}"))
}

/// Reads grey images, `(1, height, width)`; the id of image i is `prefix` and i.
///
/// # Errors
/// As [`parse`] with three dimensions, or if the images have no pixels.
pub fn images(file: File<'_>, prefix: &str) -> Result<Images> {
    let array = parse(file, 3)?;
    if array.dims[1] == 0 || array.dims[2] == 0 {
        let problem = format!("images of {}x{} pixels, expected at least 1x1", array.dims[1], array.dims[2]);
        return Err(Error::data(file.origin, problem));
    }
    Images::new((1, array.dims[1], array.dims[2]), array.elements, prefix)
}

/// Reads labels, each below `n_classes`.
///
/// # Errors
/// As [`parse`] with one dimension, or if a label is out of range.
pub fn labels(file: File<'_>, n_classes: usize) -> Result<Vec<u32>> {
    let labels = parse(file, 1)?.elements;
    if let Some(sample) = labels.iter().position(|&label| usize::from(label) >= n_classes) {
        let problem =
            format!("label {} of sample {sample}, expected a label below {n_classes}", labels[sample]);
        return Err(Error::data(file.origin, problem));
    }
    Ok(labels.into_iter().map(u32::from).collect())
}

/// Images and their labels.
#[derive(Clone, Copy, Debug)]
pub struct Files<'a> {
    /// The images, three dimensions.
    pub images: File<'a>,
    /// The labels, one dimension.
    pub labels: File<'a>,
}

/// A data set from its official train and test files.
///
/// # Errors
/// As [`images`] and [`labels`], or if a file has not one label for each image, or train and test images differ in size.
pub fn dataset(name: &str, classes: &[String], train: Files<'_>, test: Files<'_>) -> Result<Dataset> {
    let (mut sources, mut labels, mut parts) = (Vec::<Arc<dyn Source>>::new(), Vec::new(), Vec::new());
    for (part, prefix, files) in [(Part::Train, "train-", train), (Part::Test, "test-", test)] {
        let (images, of_images) = labelled(files, prefix, classes.len())?;
        parts.extend(vec![part; images.len()]);
        labels.extend(of_images);
        sources.push(Arc::new(images));
    }
    Dataset::new(name, Arc::new(Concat::new(sources)?), labels, classes.to_vec(), parts)
}

fn labelled(files: Files<'_>, prefix: &str, n_classes: usize) -> Result<(Images, Vec<u32>)> {
    let (images, labels) = (images(files.images, prefix)?, labels(files.labels, n_classes)?);
    if images.len() != labels.len() {
        let problem = format!(
            "{} labels, expected {}, one for each image of {}",
            labels.len(),
            images.len(),
            files.images.origin
        );
        return Err(Error::data(files.labels.origin, problem));
    }
    Ok((images, labels))
}

#[cfg(test)]
mod tests;
