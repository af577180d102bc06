//! DICOM files of one image: the values of the modality, through the file's window where it has one.
//!
//! Reading and unpacking (native, JPEG) is `dicom-rs`'; the range is ours. Stored values are rescaled (PS3.3
//! C.11.1), and brought to `[0, 1]` by the file's first window (PS3.3 C.11.2.1.2.1, the linear function), or where there is
//! none by the range that the stored bits have, so that it is the same for every file of a device. A `MONOCHROME1` image is
//! inverted, so that more is brighter. Tables in place of a window (VOI LUT sequences) are not applied.

use super::decode::{Header, Limits, Planes};
use crate::{Error, Result};
use dicom_object::file::OpenFileOptions;
use dicom_object::{DefaultDicomObject, Tag};
use dicom_pixeldata::{
    DecodedPixelData, PhotometricInterpretation, PixelDecoder, PixelRepresentation, PlanarConfiguration,
};

const ROWS: Tag = Tag(0x0028, 0x0010);
const COLUMNS: Tag = Tag(0x0028, 0x0011);
const SAMPLES: Tag = Tag(0x0028, 0x0002);
const FRAMES: Tag = Tag(0x0028, 0x0008);
const PIXELS: Tag = Tag(0x7fe0, 0x0010);

/// Whether a file is DICOM: it says so after 128 bytes.
pub(super) fn is_dicom(bytes: &[u8]) -> bool {
    bytes.get(128..132) == Some(b"DICM")
}

/// As [`super::header`], of a DICOM file.
pub(super) fn header(origin: &str, bytes: &[u8], limits: Limits) -> Result<Header> {
    let object = OpenFileOptions::new().read_until(PIXELS).from_reader(bytes);
    header_of(origin, &object.map_err(|error| failed(origin, &error))?, limits)
}

/// As [`super::decode`], of a DICOM file; also answers how many planes the file has.
pub(super) fn decode(origin: &str, bytes: &[u8], limits: Limits) -> Result<(Planes, usize)> {
    let object = OpenFileOptions::new().from_reader(bytes).map_err(|error| failed(origin, &error))?;
    let Header { channels, size } = header_of(origin, &object, limits)?;
    let decoded = object.decode_pixel_data().map_err(|error| failed(origin, &error))?;
    let refused = |problem: String| Err(Error::data(origin, problem));
    let stored = stored(origin, &decoded, channels * size[0] * size[1])?;
    let values = match (decoded.photometric_interpretation(), channels) {
        (PhotometricInterpretation::Monochrome1, 1) => {
            grey(origin, &decoded, &stored)?.into_iter().map(|value| 1.0 - value).collect()
        }
        (PhotometricInterpretation::Monochrome2, 1) => grey(origin, &decoded, &stored)?,
        (PhotometricInterpretation::Rgb, 3) => {
            let (low, high) = range(&decoded);
            let value = |&stored: &i32| ((f64::from(stored) - low) / (high - low)) as f32;
            let n = size[0] * size[1];
            let by_plane = decoded.planar_configuration() == PlanarConfiguration::PixelFirst;
            let at =
                |plane: usize, pixel: usize| if by_plane { plane * n + pixel } else { pixel * 3 + plane };
            (0..3 * n).map(|i| value(&stored[at(i / n, i % n)])).collect()
        }
        (other, channels) => {
            return refused(format!(
                "is {other} of {channels} samples a pixel, expected MONOCHROME1, MONOCHROME2 or RGB"
            ));
        }
    };
    Ok((Planes { size, values }, channels))
}

fn header_of(origin: &str, object: &DefaultDicomObject, limits: Limits) -> Result<Header> {
    let number = |tag: Tag| -> Result<Option<u64>> {
        let Ok(element) = object.element(tag) else { return Ok(None) };
        element.to_int::<u64>().map(Some).map_err(|error| failed(origin, &error))
    };
    let required = |tag: Tag, name: &str| {
        number(tag)?.ok_or_else(|| Error::data(origin, format!("is DICOM without {name}, expected an image")))
    };
    let (rows, columns) = (required(ROWS, "Rows")?, required(COLUMNS, "Columns")?);
    if rows.saturating_mul(columns) > limits.pixels || rows == 0 || columns == 0 {
        let problem = format!("has {columns}x{rows} pixels, expected 1 to {}", limits.pixels);
        return Err(Error::data(origin, problem));
    }
    if let Some(frames) = number(FRAMES)?.filter(|frames| *frames != 1) {
        return Err(Error::data(origin, format!("has {frames} frames, expected one image")));
    }
    match number(SAMPLES)?.unwrap_or(1) {
        samples @ (1 | 3) => {
            Ok(Header { channels: samples as usize, size: [rows as usize, columns as usize] })
        }
        samples => Err(Error::data(origin, format!("has {samples} samples a pixel, expected 1 or 3"))),
    }
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

/// The `n` numbers that are stored.
fn stored(origin: &str, decoded: &DecodedPixelData<'_>, n: usize) -> Result<Vec<i32>> {
    let data = decoded.frame_data(0).map_err(|error| failed(origin, &error))?;
    let (allocated, bits) = (decoded.bits_allocated(), decoded.bits_stored());
    let bytes = usize::from(allocated / 8);
    if ![8, 16].contains(&allocated) || bits == 0 || bits > allocated || decoded.high_bit() + 1 != bits {
        let problem = format!("stores {bits} of {allocated} bits, expected up to 8 of 8 or up to 16 of 16");
        return Err(Error::data(origin, problem));
    }
    if data.len() != n * bytes {
        let problem = format!("has {} bytes of pixels, expected {}", data.len(), n * bytes);
        return Err(Error::data(origin, problem));
    }
    let unused = 32 - u32::from(bits);
    let signed = decoded.pixel_representation() == PixelRepresentation::Signed;
    // What stands above the stored bits is no part of the number.
    let number = |raw: u32| {
        let shifted = raw << unused;
        if signed { (shifted as i32) >> unused } else { (shifted >> unused) as i32 }
    };
    Ok(match bytes {
        1 => data.iter().map(|&byte| number(u32::from(byte))).collect(),
        _ => data
            .chunks_exact(2)
            .map(|pair| number(u32::from(u16::from_le_bytes([pair[0], pair[1]]))))
            .collect(),
    })
}

/// The least and the largest number that the stored bits can hold.
fn range(decoded: &DecodedPixelData<'_>) -> (f64, f64) {
    let values = f64::from(decoded.bits_stored()).exp2();
    match decoded.pixel_representation() {
        PixelRepresentation::Signed => (-values / 2.0, values / 2.0 - 1.0),
        PixelRepresentation::Unsigned => (0.0, values - 1.0),
    }
}

fn grey(origin: &str, decoded: &DecodedPixelData<'_>, stored: &[i32]) -> Result<Vec<f32>> {
    let rescale = decoded.rescale().map_err(|error| failed(origin, &error))?;
    let (slope, intercept) = rescale.first().map_or((1.0, 0.0), |rescale| (rescale.slope, rescale.intercept));
    let window = decoded.window().map_err(|error| failed(origin, &error))?.and_then(|all| all.first());
    let rescaled = |value: f64| slope * value + intercept;
    let to_unit: Box<dyn Fn(f64) -> f64> = match window {
        Some(window) => {
            let (center, width) = (window.center, window.width);
            if !center.is_finite() || !width.is_finite() || width < 1.0 {
                let problem = format!("has a window of width {width} at {center}, expected at least 1");
                return Err(Error::data(origin, problem));
            }
            // A window of width 1 is a step.
            Box::new(move |x| ((x - (center - 0.5)) / (width - 1.0).max(1e-9) + 0.5).clamp(0.0, 1.0))
        }
        None => {
            let (low, high) = range(decoded);
            let (low, high) = (rescaled(low).min(rescaled(high)), rescaled(low).max(rescaled(high)));
            Box::new(move |x| (x - low) / (high - low))
        }
    };
    let values: Vec<f32> = stored.iter().map(|&value| to_unit(rescaled(f64::from(value))) as f32).collect();
    match values.iter().find(|value| !(0.0..=1.0).contains(*value)) {
        None => Ok(values),
        Some(_) => {
            let problem =
                format!("is rescaled by {slope} and {intercept}, expected finite numbers, the first not 0");
            Err(Error::data(origin, problem))
        }
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
                // A JPEG that lacks its last bytes can still be unpacked.
                let said = super::super::decode("x", &bytes[..end], 1, Limits::USUAL).map(|_| ());
                let shown = case.name.contains("JPEG") && end + 64 > bytes.len();
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
