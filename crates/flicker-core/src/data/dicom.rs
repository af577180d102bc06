//! DICOM files of one image: the values of the modality, through the file's window where it has one.
//!
//! The elements are read by `dicom-rs`, a baseline JPEG is unpacked as any other; the range is ours. Stored values are rescaled
//! (PS3.3 C.11.1), and brought to `[0, 1]` by the file's first window (PS3.3 C.11.2.1.2.1, the linear function), or where there
//! is none by the range that the stored bits have, so that it is the same for every file of a device. A `MONOCHROME1` image is
//! inverted, so that more is brighter. Tables in place of a window (VOI LUT sequences) are not applied.

use super::decode::{Header, Limits, Planes};
use crate::{Error, Result};
use dicom_object::file::OpenFileOptions;
use dicom_object::{DefaultDicomObject, Tag};

const SAMPLES: Tag = Tag(0x0028, 0x0002);
const PHOTOMETRIC: Tag = Tag(0x0028, 0x0004);
const PLANAR: Tag = Tag(0x0028, 0x0006);
const FRAMES: Tag = Tag(0x0028, 0x0008);
const ROWS: Tag = Tag(0x0028, 0x0010);
const COLUMNS: Tag = Tag(0x0028, 0x0011);
const ALLOCATED: Tag = Tag(0x0028, 0x0100);
const STORED: Tag = Tag(0x0028, 0x0101);
const HIGH_BIT: Tag = Tag(0x0028, 0x0102);
const SIGNED: Tag = Tag(0x0028, 0x0103);
const CENTER: Tag = Tag(0x0028, 0x1050);
const WIDTH: Tag = Tag(0x0028, 0x1051);
const INTERCEPT: Tag = Tag(0x0028, 0x1052);
const SLOPE: Tag = Tag(0x0028, 0x1053);
const PIXELS: Tag = Tag(0x7fe0, 0x0010);

/// Values as they are, little-endian (PS3.5 A.1, A.2), and baseline JPEG (A.4.1).
const NATIVE: [&str; 2] = ["1.2.840.10008.1.2", "1.2.840.10008.1.2.1"];
const JPEG: &str = "1.2.840.10008.1.2.4.50";

/// Whether a file is DICOM: it says so after 128 bytes.
pub(super) fn is_dicom(bytes: &[u8]) -> bool {
    bytes.get(128..132) == Some(b"DICM")
}

/// As [`super::header`], of a DICOM file.
pub(super) fn header(origin: &str, bytes: &[u8], limits: Limits) -> Result<Header> {
    let object = OpenFileOptions::new().read_until(PIXELS).from_reader(bytes);
    File { origin, object: object.map_err(|error| failed(origin, &error))? }.header(limits)
}

/// As [`super::decode`], of a DICOM file; also answers how many planes the file has.
pub(super) fn decode(origin: &str, bytes: &[u8], limits: Limits) -> Result<(Planes, usize)> {
    let object = OpenFileOptions::new().from_reader(bytes).map_err(|error| failed(origin, &error))?;
    let file = File { origin, object };
    let Header { channels, size } = file.header(limits)?;
    let n = size[0] * size[1];
    let (bits, stored) = file.stored(channels, size, limits)?;
    let photometric = file.text(PHOTOMETRIC)?;
    let values = match (photometric.as_str(), channels) {
        ("MONOCHROME1", 1) => file.grey(bits, &stored)?.into_iter().map(|value| 1.0 - value).collect(),
        ("MONOCHROME2", 1) => file.grey(bits, &stored)?,
        ("RGB" | "YBR_FULL_422" | "YBR_FULL", 3) => {
            let (low, high) = bits.range();
            let by_plane = !file.is_jpeg() && file.number(PLANAR)? == Some(1);
            if photometric != "RGB" && !file.is_jpeg() {
                return Err(file.wrong("is YBR and not packed as JPEG, expected RGB"));
            }
            let at =
                |plane: usize, pixel: usize| if by_plane { plane * n + pixel } else { pixel * 3 + plane };
            (0..3 * n).map(|i| ((f64::from(stored[at(i / n, i % n)]) - low) / (high - low)) as f32).collect()
        }
        (other, channels) => {
            let expected = "expected MONOCHROME1, MONOCHROME2 or RGB";
            return Err(file.wrong(&format!("is {other} of {channels} samples a pixel, {expected}")));
        }
    };
    Ok((Planes { size, values }, channels))
}

fn failed(origin: &str, error: &dyn std::error::Error) -> Error {
    let mut said = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        said = format!("{said}: {inner}");
        cause = inner.source();
    }
    Error::data(origin, format!("cannot be read as DICOM: {said}"))
}

/// How a number is stored.
#[derive(Clone, Copy)]
struct Bits {
    n: u32,
    signed: bool,
}

impl Bits {
    /// The least and the largest number.
    fn range(self) -> (f64, f64) {
        let values = f64::from(self.n).exp2();
        if self.signed { (-values / 2.0, values / 2.0 - 1.0) } else { (0.0, values - 1.0) }
    }

    /// What stands above the stored bits is no part of the number.
    fn number(self, raw: u16) -> i32 {
        let unused = 32 - self.n;
        let shifted = u32::from(raw) << unused;
        if self.signed { (shifted as i32) >> unused } else { (shifted >> unused) as i32 }
    }
}

struct File<'a> {
    origin: &'a str,
    object: DefaultDicomObject,
}

impl File<'_> {
    fn wrong(&self, problem: &str) -> Error {
        Error::data(self.origin, problem)
    }

    fn number(&self, tag: Tag) -> Result<Option<u64>> {
        let Ok(element) = self.object.element(tag) else { return Ok(None) };
        element.to_int::<u64>().map(Some).map_err(|error| failed(self.origin, &error))
    }

    fn required(&self, tag: Tag, name: &str) -> Result<u64> {
        self.number(tag)?.ok_or_else(|| self.wrong(&format!("is DICOM without {name}, expected an image")))
    }

    fn text(&self, tag: Tag) -> Result<String> {
        let Ok(element) = self.object.element(tag) else {
            return Ok("of no photometric interpretation".into());
        };
        let text = element.to_str().map_err(|error| failed(self.origin, &error))?;
        Ok(text.trim_end_matches(['\0', ' ']).to_owned())
    }

    /// The first of the numbers of an element, where there is one.
    fn first(&self, tag: Tag) -> Result<Option<f64>> {
        let Ok(element) = self.object.element(tag) else { return Ok(None) };
        let all = element.to_multi_float64().map_err(|error| failed(self.origin, &error))?;
        Ok(all.first().copied())
    }

    fn syntax(&self) -> &str {
        self.object.meta().transfer_syntax().trim_end_matches(['\0', ' '])
    }

    fn is_jpeg(&self) -> bool {
        self.syntax() == JPEG
    }

    fn header(&self, limits: Limits) -> Result<Header> {
        let (rows, columns) = (self.required(ROWS, "Rows")?, self.required(COLUMNS, "Columns")?);
        if rows.saturating_mul(columns) > limits.pixels || rows == 0 || columns == 0 {
            let problem = format!("has {columns}x{rows} pixels, expected 1 to {}", limits.pixels);
            return Err(self.wrong(&problem));
        }
        if let Some(frames) = self.number(FRAMES)?.filter(|frames| *frames != 1) {
            return Err(self.wrong(&format!("has {frames} frames, expected one image")));
        }
        match self.number(SAMPLES)?.unwrap_or(1) {
            samples @ (1 | 3) => {
                Ok(Header { channels: samples as usize, size: [rows as usize, columns as usize] })
            }
            samples => Err(self.wrong(&format!("has {samples} samples a pixel, expected 1 or 3"))),
        }
    }

    /// The numbers that are stored, and how.
    fn stored(&self, channels: usize, size: [usize; 2], limits: Limits) -> Result<(Bits, Vec<i32>)> {
        let element = self.object.element(PIXELS).map_err(|error| failed(self.origin, &error))?;
        if self.is_jpeg() {
            let bits = Bits { n: 8, signed: false };
            let Some(fragments) = element.fragments() else {
                return Err(self.wrong("is packed as JPEG, but has no fragments"));
            };
            let bytes = fragments.concat();
            let end = bytes.iter().rposition(|&byte| byte != 0).map_or(0, |last| last + 1);
            if !bytes[..end].ends_with(&[0xff, 0xd9]) {
                return Err(self.wrong("holds a JPEG that breaks off"));
            }
            let values = super::decode::stored_bytes(self.origin, &bytes, channels, size, limits)?;
            return Ok((bits, values.into_iter().map(i32::from).collect()));
        }
        if !NATIVE.contains(&self.syntax()) {
            let problem = format!("has the transfer syntax {}, expected values as they are", self.syntax());
            return Err(self.wrong(&format!("{problem}, little-endian, or baseline JPEG")));
        }
        let (allocated, n) =
            (self.required(ALLOCATED, "BitsAllocated")?, self.required(STORED, "BitsStored")?);
        let high = self.number(HIGH_BIT)?.unwrap_or(n.saturating_sub(1));
        if ![8, 16].contains(&allocated) || n == 0 || n > allocated || high + 1 != n {
            let problem = format!("stores {n} of {allocated} bits up to bit {high}");
            return Err(
                self.wrong(&format!("{problem}, expected up to 8 of 8 or up to 16 of 16, from bit 0"))
            );
        }
        let bits = Bits { n: n as u32, signed: self.number(SIGNED)? == Some(1) };
        let data = element.to_bytes().map_err(|error| failed(self.origin, &error))?;
        let expected = channels * size[0] * size[1] * (allocated / 8) as usize;
        // An odd number of bytes is followed by one that says nothing.
        if data.len() != expected && data.len() != expected + expected % 2 {
            return Err(self.wrong(&format!("has {} bytes of pixels, expected {expected}", data.len())));
        }
        let data = &data[..expected];
        let values = match allocated {
            8 => data.iter().map(|&byte| bits.number(u16::from(byte))).collect(),
            _ => {
                data.chunks_exact(2).map(|pair| bits.number(u16::from_le_bytes([pair[0], pair[1]]))).collect()
            }
        };
        Ok((bits, values))
    }

    fn grey(&self, bits: Bits, stored: &[i32]) -> Result<Vec<f32>> {
        let (slope, intercept) = (self.first(SLOPE)?.unwrap_or(1.0), self.first(INTERCEPT)?.unwrap_or(0.0));
        let rescaled = |value: f64| slope * value + intercept;
        let to_unit: Box<dyn Fn(f64) -> f64> = match self.first(CENTER)?.zip(self.first(WIDTH)?) {
            Some((center, width)) => {
                if !center.is_finite() || !width.is_finite() || width < 1.0 {
                    let problem = format!("has a window of width {width} at {center}, expected at least 1");
                    return Err(self.wrong(&problem));
                }
                // A window of width 1 is a step.
                Box::new(move |x| ((x - (center - 0.5)) / (width - 1.0).max(1e-9) + 0.5).clamp(0.0, 1.0))
            }
            None => {
                let (low, high) = bits.range();
                let (low, high) = (rescaled(low).min(rescaled(high)), rescaled(low).max(rescaled(high)));
                Box::new(move |x| (x - low) / (high - low))
            }
        };
        let values: Vec<f32> =
            stored.iter().map(|&value| to_unit(rescaled(f64::from(value))) as f32).collect();
        if values.iter().all(|value| (0.0..=1.0).contains(value)) {
            return Ok(values);
        }
        let expected = "expected finite numbers, the first not 0";
        Err(self.wrong(&format!("is rescaled by {slope} and {intercept}, {expected}")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use base64::Engine;
    use base64::engine::general_purpose::STANDARD;
    use serde::Deserialize;

    #[derive(Deserialize)]
    struct Case {
        name: String,
        file: String,
        shape: [usize; 3],
        values: Vec<f32>,
    }

    fn cases() -> Vec<(Case, Vec<u8>)> {
        let cases: Vec<Case> = serde_json::from_str(include_str!("fixtures/dicom.json")).expect("cases");
        let bytes = |case: &Case| STANDARD.decode(&case.file).expect("base64");
        cases
            .into_iter()
            .map(|case| {
                let bytes = bytes(&case);
                (case, bytes)
            })
            .collect()
    }

    #[test]
    fn values_are_those_of_pydicom() -> Result<()> {
        for (case, bytes) in cases() {
            let [channels, height, width] = case.shape;
            assert!(is_dicom(&bytes), "{}", case.name);
            let expected = Header { channels, size: [height, width] };
            assert_eq!(super::super::header("x", &bytes, Limits::USUAL)?, expected, "{}", case.name);
            let found = super::super::decode("x", &bytes, channels, Limits::USUAL)?;
            assert_eq!(
                (found.size, found.values.len()),
                ([height, width], case.values.len()),
                "{}",
                case.name
            );
            for (found, expected) in found.values.iter().zip(&case.values) {
                assert!(
                    (found - expected).abs() < if case.name.contains("JPEG") { 0.01 } else { 1e-6 },
                    "{}: {found} {expected}",
                    case.name
                );
            }
            let other = 4 - channels;
            let values = super::super::decode("x", &bytes, other, Limits::USUAL)?.values;
            assert_eq!(values.len(), other * height * width);
        }
        Ok(())
    }

    #[test]
    fn what_is_broken_is_an_error_and_never_a_panic() {
        let limits = Limits { pixels: 20, ..Limits::USUAL };
        for (case, bytes) in cases() {
            for end in (0..bytes.len()).step_by(11) {
                // After the end of the JPEG there is nothing but the end of the file.
                let said = super::super::decode("x", &bytes[..end], 1, Limits::USUAL).map(|_| ());
                let shown = case.name.contains("JPEG") && end + 12 > bytes.len();
                assert!(
                    said.map_or_else(|error| error.to_string().starts_with("x: "), |()| shown),
                    "{} to {end}",
                    case.name
                );
            }
            let fits = case.shape[1] * case.shape[2] <= 20;
            assert_eq!(super::super::header("x", &bytes, limits).is_ok(), fits, "{}", case.name);
            for at in (0..bytes.len()).step_by(13) {
                let mut bytes = bytes.clone();
                bytes[at] ^= 0x55;
                let _ = super::super::decode("x", &bytes, 1, Limits::USUAL); // an image or an error
            }
        }
    }
}
