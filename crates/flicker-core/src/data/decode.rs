//! From the bytes of an image file to planes of numbers: PNG, JPEG, BMP and TIFF, 8 or 16 bits, grey or colour, turned as
//! their EXIF data say, and DICOM. Decoding is the `image` crate's and `dicom-rs`'; the limits, the channels and the range are
//! ours.

use super::dicom;
use crate::{Error, Result};
use image::metadata::Orientation;
use image::{DynamicImage, ImageDecoder, ImageError, ImageReader};
use std::io::Cursor;

/// Endings of the files that are taken for images, in lower case. What a file holds is told from its bytes.
pub const EXTENSIONS: [&str; 8] = ["bmp", "dcm", "dicom", "jpeg", "jpg", "png", "tif", "tiff"];

/// What one file may ask for: a small file may unpack to more than the memory holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of the file.
    pub bytes: u64,
    /// Pixels of the image.
    pub pixels: u64,
}

impl Limits {
    /// Files of 256 MiB and images of 2²⁶ pixels (8192×8192).
    pub const USUAL: Self = Self { bytes: 1 << 28, pixels: 1 << 26 };
}

/// What the head of an image file says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// 1 for grey, 3 for colour; transparency does not count.
    pub channels: usize,
    /// `[height, width]`, turned as the EXIF data say.
    pub size: [usize; 2],
}

/// A decoded image.
#[derive(Clone, Debug, PartialEq)]
pub struct Planes {
    /// `[height, width]`.
    pub size: [usize; 2],
    /// Values in `[0, 1]`, channel first, row by row.
    pub values: Vec<f32>,
}

/// Reads the head of an image; `origin` names it in errors.
///
/// # Errors
/// If the bytes are no image of a known kind, or it is larger than `limits` allow.
pub fn header(origin: &str, bytes: &[u8], limits: Limits) -> Result<Header> {
    expect_bytes(origin, bytes, limits)?;
    if dicom::is_dicom(bytes) {
        return dicom::header(origin, bytes, limits);
    }
    Ok(open(origin, bytes, limits)?.1)
}

/// Decodes an image to `channels` planes, 1 or 3. Colour becomes grey as 0.299 R + 0.587 G + 0.114 B (ITU-R BT.601, as
/// Pillow and OpenCV have it), grey is repeated for each colour, transparency is dropped. No colour profile is applied.
///
/// # Errors
/// As [`header`], and if the image is damaged or a floating-point pixel is outside `[0, 1]`.
pub fn decode(origin: &str, bytes: &[u8], channels: usize, limits: Limits) -> Result<Planes> {
    expect_bytes(origin, bytes, limits)?;
    if dicom::is_dicom(bytes) {
        let (Planes { size, values }, stored) = dicom::decode(origin, bytes, limits)?;
        return Ok(Planes { size, values: of_planes(values, stored, channels) });
    }
    let (mut decoder, header) = open(origin, bytes, limits)?;
    let orientation = decoder.orientation().unwrap_or(Orientation::NoTransforms);
    let mut image = DynamicImage::from_decoder(decoder).map_err(|error| failed(origin, &error))?;
    image.apply_orientation(orientation);
    let values = values(&image, channels);
    if let Some(value) = values.iter().find(|value| !(0.0..=1.0).contains(*value)) {
        return Err(Error::data(origin, format!("has a pixel of {value}, expected values from 0 to 1")));
    }
    Ok(Planes { size: header.size, values })
}

/// Refuses files that are empty or too large.
fn expect_bytes(origin: &str, bytes: &[u8], limits: Limits) -> Result<()> {
    let refused = |problem: String| Err(Error::data(origin, problem));
    if bytes.is_empty() {
        return refused("is empty, expected an image".into());
    }
    if bytes.len() as u64 > limits.bytes {
        return refused(format!("{} bytes, more than the {} that are allowed", bytes.len(), limits.bytes));
    }
    Ok(())
}

/// The bytes of the pixels of a JPEG, of `channels` (1 or 3) interleaved, that must have this `size`.
pub(super) fn stored_bytes(
    origin: &str,
    bytes: &[u8],
    channels: usize,
    size: [usize; 2],
    limits: Limits,
) -> Result<Vec<u8>> {
    expect_bytes(origin, bytes, limits)?;
    let (decoder, header) = open(origin, bytes, limits)?;
    if header.size != size || header.channels != channels {
        let [height, width] = header.size;
        let (expected_height, expected_width) = (size[0], size[1]);
        return Err(Error::data(
            origin,
            format!(
                "holds a JPEG of {width}x{height} in {} channels, expected {expected_width}x{expected_height} in {channels}",
                header.channels
            ),
        ));
    }
    let image = DynamicImage::from_decoder(decoder).map_err(|error| failed(origin, &error))?;
    Ok(if channels == 1 { image.into_luma8().into_raw() } else { image.into_rgb8().into_raw() })
}

/// A decoder that has read the head, and what it says.
fn open<'a>(origin: &str, bytes: &'a [u8], limits: Limits) -> Result<(impl ImageDecoder + 'a, Header)> {
    let refused = |problem: String| Err(Error::data(origin, problem));
    let mut reader = ImageReader::new(Cursor::new(bytes));
    let mut allowed = image::Limits::default();
    allowed.max_alloc = Some(limits.pixels.saturating_mul(16)); // 4 channels of 4 bytes
    reader.limits(allowed);
    // It reads from memory, which cannot fail.
    let reader = reader.with_guessed_format().map_err(|error| Error::data(origin, error.to_string()))?;
    if reader.format().is_none() {
        return refused("is no image that can be read, expected PNG, JPEG, BMP, TIFF or DICOM".into());
    }
    let mut decoder = reader.into_decoder().map_err(|error| failed(origin, &error))?;
    let (width, height) = decoder.dimensions();
    if u64::from(width) * u64::from(height) > limits.pixels || width == 0 || height == 0 {
        return refused(format!("has {width}x{height} pixels, expected 1 to {}", limits.pixels));
    }
    let turned = matches!(
        decoder.orientation(),
        Ok(Orientation::Rotate90
            | Orientation::Rotate270
            | Orientation::Rotate90FlipH
            | Orientation::Rotate270FlipH)
    );
    let (width, height) = (width as usize, height as usize);
    let size = if turned { [width, height] } else { [height, width] };
    let channels = if decoder.color_type().has_color() { 3 } else { 1 };
    Ok((decoder, Header { channels, size }))
}

fn failed(origin: &str, error: &ImageError) -> Error {
    // Some decoders say it in several lines.
    let said = error.to_string().split_whitespace().collect::<Vec<_>>().join(" ");
    Error::data(origin, format!("cannot be decoded: {said}"))
}

fn values(image: &DynamicImage, channels: usize) -> Vec<f32> {
    let byte = |&value: &u8| f32::from(value) / 255.0;
    let word = |&value: &u16| f32::from(value) / 65535.0;
    match image {
        DynamicImage::ImageLuma8(b) => planes(b.as_raw(), 1, channels, byte),
        DynamicImage::ImageLumaA8(b) => planes(b.as_raw(), 2, channels, byte),
        DynamicImage::ImageRgb8(b) => planes(b.as_raw(), 3, channels, byte),
        DynamicImage::ImageRgba8(b) => planes(b.as_raw(), 4, channels, byte),
        DynamicImage::ImageLuma16(b) => planes(b.as_raw(), 1, channels, word),
        DynamicImage::ImageLumaA16(b) => planes(b.as_raw(), 2, channels, word),
        DynamicImage::ImageRgb16(b) => planes(b.as_raw(), 3, channels, word),
        DynamicImage::ImageRgba16(b) => planes(b.as_raw(), 4, channels, word),
        // The remaining kinds are floating-point colours.
        other => planes(other.to_rgb32f().as_raw(), 3, channels, |&value| value),
    }
}

/// `stored` planes, 1 or 3, as `channels` planes.
fn of_planes(values: Vec<f32>, stored: usize, channels: usize) -> Vec<f32> {
    let n = values.len() / stored;
    match (stored, channels) {
        (3, 1) => (0..n).map(|i| grey(values[i], values[n + i], values[2 * n + i])).collect(),
        (1, 3) => values.repeat(3),
        _ => values,
    }
}

/// Colour as grey; rounding may take a white pixel's sum beyond 1.
fn grey(red: f32, green: f32, blue: f32) -> f32 {
    (0.299 * red + 0.587 * green + 0.114 * blue).min(1.0)
}

/// Interleaved pixels of `stored` channels (an even number ends in transparency) as `channels` planes.
fn planes<T>(raw: &[T], stored: usize, channels: usize, value: impl Fn(&T) -> f32) -> Vec<f32> {
    let colours = stored - (stored + 1) % 2;
    let grey = |pixel: &[T]| match colours {
        1 => value(&pixel[0]),
        _ => self::grey(value(&pixel[0]), value(&pixel[1]), value(&pixel[2])),
    };
    let mut out = Vec::with_capacity(raw.len() / stored * channels);
    for channel in 0..channels {
        let pixels = raw.chunks_exact(stored);
        match (channels, colours) {
            (1, _) => out.extend(pixels.map(grey)),
            (_, 1) => out.extend(pixels.map(|pixel| value(&pixel[0]))),
            _ => out.extend(pixels.map(|pixel| value(&pixel[channel.min(2)]))),
        }
    }
    out
}

#[cfg(test)]
mod tests;
