//! NIfTI, the format of volumes in brain imaging: single files `.nii`, plain or gzip, versions 1 and 2 (R. Cox et al., "A
//! (sort of) new image data format standard: NIfTI-1", 2004; <https://nifti.nimh.nih.gov>).
//!
//! Numbers of either byte order, integers of 8 to 64 bits and floats, are scaled as the head says (`scl_slope`, `scl_inter`).
//! Volumes are taken as they are stored, x fastest; the affine transformation to the scanner's space is not looked at.

mod slices;
#[cfg(test)]
mod tests;

pub use slices::{Plane, SliceRange, Slices};

use super::gz;
use crate::{Error, Result};
use std::io::Read;

/// Values that a volume may have: 2³⁰.
const MOST_VALUES: u64 = 1 << 30;

/// A volume of numbers.
#[derive(Clone, Debug, PartialEq)]
pub struct Volume {
    /// Length along x, y and z.
    pub dims: [usize; 3],
    /// Millimetres from one value to the next along x, y and z, as the head says.
    pub spacing: [f32; 3],
    /// The scaled values, x fastest.
    pub values: Vec<f32>,
}

/// Reads a volume; `origin` names it in errors.
///
/// # Errors
/// If the bytes are no NIfTI file of one volume, are cut short, hold a kind of number that is not read, or a value is not
/// finite.
pub fn parse(origin: &str, bytes: &[u8]) -> Result<Volume> {
    let failed = |problem: String| Error::data(origin, problem);
    let mut reader = gz::reader(bytes, gz::LIMIT);
    let mut head = vec![0; 348];
    reader.read_exact(&mut head).map_err(|error| failed(format!("no NIfTI head of 348 bytes: {error}")))?;
    let (version, order) = kind(&head).map_err(failed)?;
    if version == Version::Two {
        head.resize(540, 0);
        reader.read_exact(&mut head[348..]).map_err(|error| failed(format!("no NIfTI-2 head: {error}")))?;
    }
    let head = Head::read(&head, version, order).map_err(failed)?;
    let skipped = head.offset - version.bytes();
    let got = std::io::copy(&mut reader.by_ref().take(skipped), &mut std::io::sink());
    let size = head.number.bytes();
    let expected = head.n_values() * size;
    let mut raw = Vec::new();
    got.and_then(|_| reader.take(expected as u64).read_to_end(&mut raw))
        .map_err(|error| failed(format!("cannot be unpacked: {error}")))?;
    if raw.len() != expected {
        return Err(failed(format!("expected {expected} bytes of values, found {}", raw.len())));
    }
    let values: Vec<f32> = raw.chunks_exact(size).map(|raw| head.value(raw)).collect();
    if let Some(at) = values.iter().position(|value| !value.is_finite()) {
        return Err(failed(format!("value {at} is {}, expected a finite number", values[at])));
    }
    Ok(Volume { dims: head.dims, spacing: head.spacing, values })
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Version {
    One,
    Two,
}

impl Version {
    fn bytes(self) -> u64 {
        match self {
            Self::One => 348,
            Self::Two => 540,
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Order {
    Little,
    Big,
}

impl Order {
    /// `N` bytes at `at`, first the one that counts least.
    fn at<const N: usize>(self, bytes: &[u8], at: usize) -> [u8; N] {
        let mut out = [0; N];
        if let Some(found) = bytes.get(at..at + N) {
            out.copy_from_slice(found);
        }
        if self == Self::Big {
            out.reverse();
        }
        out
    }
}

/// Version and byte order, by the length of the head that stands first, and the magic bytes.
fn kind(head: &[u8]) -> std::result::Result<(Version, Order), String> {
    let found = [Order::Little, Order::Big].map(|order| (i32::from_le_bytes(order.at(head, 0)), order));
    let (version, order, magic) = match found {
        [(348, order), _] | [_, (348, order)] => (Version::One, order, &head[344..348]),
        [(540, order), _] | [_, (540, order)] => (Version::Two, order, &head[4..8]),
        _ => return Err("is no NIfTI file: its first number is neither 348 nor 540".into()),
    };
    match magic {
        b"n+1\0" | b"n+2\0" => Ok((version, order)),
        b"ni1\0" | b"ni2\0" => {
            Err("keeps its values in another file (.img); one file of both is read".into())
        }
        other => Err(format!("expected the magic bytes of NIfTI, found {other:?}")),
    }
}

/// Kinds of numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Number {
    U8,
    I8,
    U16,
    I16,
    U32,
    I32,
    U64,
    I64,
    F32,
    F64,
}

impl Number {
    fn of_code(code: i16) -> Option<Self> {
        Some(match code {
            2 => Self::U8,
            256 => Self::I8,
            512 => Self::U16,
            4 => Self::I16,
            768 => Self::U32,
            8 => Self::I32,
            1280 => Self::U64,
            1024 => Self::I64,
            16 => Self::F32,
            64 => Self::F64,
            _ => return None,
        })
    }

    fn bytes(self) -> usize {
        match self {
            Self::U8 | Self::I8 => 1,
            Self::U16 | Self::I16 => 2,
            Self::U32 | Self::I32 | Self::F32 => 4,
            Self::U64 | Self::I64 | Self::F64 => 8,
        }
    }

    fn read(self, raw: &[u8], order: Order) -> f64 {
        match self {
            Self::U8 => f64::from(raw[0]),
            Self::I8 => f64::from(raw[0] as i8),
            Self::U16 => f64::from(u16::from_le_bytes(order.at(raw, 0))),
            Self::I16 => f64::from(i16::from_le_bytes(order.at(raw, 0))),
            Self::U32 => f64::from(u32::from_le_bytes(order.at(raw, 0))),
            Self::I32 => f64::from(i32::from_le_bytes(order.at(raw, 0))),
            Self::U64 => u64::from_le_bytes(order.at(raw, 0)) as f64,
            Self::I64 => i64::from_le_bytes(order.at(raw, 0)) as f64,
            Self::F32 => f64::from(f32::from_le_bytes(order.at(raw, 0))),
            Self::F64 => f64::from_le_bytes(order.at(raw, 0)),
        }
    }
}

/// What is needed of a head.
#[derive(Debug)]
struct Head {
    order: Order,
    dims: [usize; 3],
    spacing: [f32; 3],
    number: Number,
    /// Where the values begin.
    offset: u64,
    slope: f64,
    inter: f64,
}

impl Head {
    fn read(head: &[u8], version: Version, order: Order) -> std::result::Result<Self, String> {
        let short = |at| i64::from(i16::from_le_bytes(order.at(head, at)));
        let long = |at| i64::from_le_bytes(order.at(head, at));
        let single = |at| f64::from(f32::from_le_bytes(order.at(head, at)));
        let double = |at| f64::from_le_bytes(order.at(head, at));
        let (sides, code, offset, slope, inter, spacing): ([i64; 8], _, _, _, _, [f64; 3]) = match version {
            Version::One => (
                std::array::from_fn(|i| short(40 + 2 * i)),
                short(70),
                single(108),
                single(112),
                single(116),
                std::array::from_fn(|i| single(80 + 4 * i)),
            ),
            Version::Two => (
                std::array::from_fn(|i| long(16 + 8 * i)),
                short(12),
                long(168) as f64,
                double(176),
                double(184),
                std::array::from_fn(|i| double(112 + 8 * i)),
            ),
        };
        let number = Number::of_code(code as i16)
            .ok_or_else(|| format!("numbers of kind {code}, expected integers or floats of 8 to 64 bits"))?;
        let offset = if offset == 0.0 { version.bytes() as f64 + 4.0 } else { offset };
        if !(offset >= version.bytes() as f64 && offset <= 1e9 && offset.fract() == 0.0) {
            return Err(format!("values begin at byte {offset}, expected at least {}", version.bytes()));
        }
        // A slope of 0, or one that is no number, says that the values are not scaled.
        let (slope, inter) = if slope == 0.0 || !slope.is_finite() || !inter.is_finite() {
            (1.0, 0.0)
        } else {
            (slope, inter)
        };
        let spacing = spacing.map(|mm| mm.abs() as f32);
        Ok(Self { order, dims: dims(sides)?, spacing, number, offset: offset as u64, slope, inter })
    }

    fn n_values(&self) -> usize {
        self.dims.iter().product()
    }

    fn value(&self, raw: &[u8]) -> f32 {
        (self.number.read(raw, self.order) * self.slope + self.inter) as f32
    }
}

/// The three sides of one volume; what follows them must be 1.
fn dims(sides: [i64; 8]) -> std::result::Result<[usize; 3], String> {
    let n = sides[0];
    if !(1..=7).contains(&n) {
        return Err(format!("{n} dimensions, expected 1 to 7"));
    }
    let side = |axis: usize| if axis <= n as usize { sides[axis] } else { 1 };
    let all: [i64; 7] = std::array::from_fn(|i| side(i + 1));
    let product = all[..3].iter().try_fold(1u64, |product, &side| {
        let side = u64::try_from(side).ok().filter(|&side| side > 0)?;
        product.checked_mul(side).filter(|&product| product <= MOST_VALUES)
    });
    if product.is_none() || all[3..].iter().any(|&side| side > 1) {
        let sides = all[..n as usize].iter().map(i64::to_string).collect::<Vec<_>>().join("x");
        return Err(format!("{sides} values, expected one volume of at most {MOST_VALUES}"));
    }
    Ok([all[0] as usize, all[1] as usize, all[2] as usize])
}
