//! One picture: numbers in `[0, 1]` and how to colour them, to PNG bytes.

use anyhow::{Context, Result, ensure};
use image::{ImageFormat, RgbImage, imageops};
use std::io::Cursor;

use super::inferno::inferno;

/// The shorter side that [`Picture::to_png`] reaches by repeating pixels.
const READABLE_PX: usize = 96;

/// How the numbers of a picture become colours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Colours {
    /// As they are: grey for one channel, red-green-blue for three.
    Plain,
    /// One channel through a perceptual colour map (inferno): residuals and anomaly maps, bright is high.
    Heat,
}

/// One picture of a sample, a reconstruction, a residual or an anomaly map.
#[derive(Clone, Debug, PartialEq)]
pub struct Picture {
    /// Columns of pixels.
    pub width: usize,
    /// Rows of pixels.
    pub height: usize,
    /// 1 (grey) or 3 (red, green, blue).
    pub channels: usize,
    /// `channels × height × width` values in `[0, 1]`, channel first; others are cut, and not-a-number is 0.
    pub pixels: Vec<f32>,
    /// How the values become colours.
    pub colours: Colours,
}

impl Picture {
    /// A picture from values in the order of a stored sample, `(channels, height, width)`.
    ///
    /// # Errors
    /// Where the number of values is another than the shape says, the picture is empty, the channels are neither 1 nor 3,
    /// or three channels come with [`Colours::Heat`].
    pub fn new(shape: (usize, usize, usize), pixels: Vec<f32>, colours: Colours) -> Result<Self> {
        let (channels, height, width) = shape;
        let picture = Self { width, height, channels, pixels, colours };
        picture.check()?;
        Ok(picture)
    }

    /// The picture as a PNG file, enlarged by a whole factor until its shorter side has 96 pixels.
    ///
    /// # Errors
    /// As [`Picture::new`], for a picture that was put together by hand.
    pub fn to_png(&self) -> Result<Vec<u8>> {
        let factor = READABLE_PX.div_ceil(self.width.min(self.height).max(1));
        png(&self.enlarged(factor)?)
    }

    /// The picture in colours, each pixel repeated `factor × factor` times.
    pub(super) fn enlarged(&self, factor: usize) -> Result<RgbImage> {
        self.check()?;
        let side = |n: usize| u32::try_from(n * factor.max(1)).context("picture: too large for a PNG");
        let (width, height) = (side(self.width)?, side(self.height)?);
        Ok(RgbImage::from_fn(width, height, |x, y| {
            image::Rgb(self.colour_at(y as usize / factor.max(1), x as usize / factor.max(1)))
        }))
    }

    fn colour_at(&self, row: usize, column: usize) -> [u8; 3] {
        let plane = self.width * self.height;
        let at = |channel: usize| self.pixels[channel * plane + row * self.width + column];
        match (self.colours, self.channels) {
            (Colours::Heat, _) => inferno(at(0)),
            (Colours::Plain, 1) => [byte(at(0)); 3],
            (Colours::Plain, _) => [byte(at(0)), byte(at(1)), byte(at(2))],
        }
    }

    fn check(&self) -> Result<()> {
        let Self { width, height, channels, .. } = *self;
        let heat = self.colours == Colours::Heat;
        ensure!(width > 0 && height > 0, "picture: expected at least one pixel, found {width}x{height}");
        ensure!(channels == 1 || channels == 3, "picture: expected 1 or 3 channels, found {channels}");
        ensure!(!heat || channels == 1, "picture: a colour map needs 1 channel, found {channels}");
        let (expected, found) = (width * height * channels, self.pixels.len());
        ensure!(
            expected == found,
            "picture {channels}x{height}x{width}: expected {expected} values, found {found}"
        );
        Ok(())
    }
}

/// A PNG made smaller, so that its longer side has at most `side` pixels; `None` where it is small enough already or no PNG.
pub(crate) fn shrink_png(bytes: &[u8], side: u32) -> Option<Vec<u8>> {
    let picture = image::load_from_memory_with_format(bytes, ImageFormat::Png).ok()?;
    if picture.width().max(picture.height()) <= side {
        return None;
    }
    png(&picture.resize(side, side, imageops::FilterType::Triangle).to_rgb8()).ok()
}

/// The bytes of a PNG file; grey where every pixel is grey, which halves the digits.
pub(super) fn png(picture: &RgbImage) -> Result<Vec<u8>> {
    let mut bytes = Cursor::new(Vec::new());
    let grey = picture.pixels().all(|p| p.0[0] == p.0[1] && p.0[1] == p.0[2]);
    if grey {
        let (width, height) = picture.dimensions();
        image::GrayImage::from_fn(width, height, |x, y| image::Luma([picture.get_pixel(x, y).0[0]]))
            .write_to(&mut bytes, ImageFormat::Png)?;
    } else {
        picture.write_to(&mut bytes, ImageFormat::Png)?;
    }
    Ok(bytes.into_inner())
}

/// Casts take what is not a number to 0.
fn byte(value: f32) -> u8 {
    (value.clamp(0.0, 1.0) * 255.0).round() as u8
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decode(bytes: &[u8]) -> RgbImage {
        image::load_from_memory_with_format(bytes, ImageFormat::Png).expect("a PNG").to_rgb8()
    }

    #[test]
    fn pixels_stand_where_they_belong_and_are_repeated() {
        let picture = Picture::new((1, 1, 2), vec![0.0, 1.0], Colours::Plain).unwrap();
        let image = decode(&picture.to_png().unwrap());
        assert_eq!(image.dimensions(), (192, 96));
        assert_eq!((image.get_pixel(95, 50).0, image.get_pixel(96, 50).0), ([0; 3], [255; 3]));
    }

    #[test]
    fn channels_come_first() {
        let picture = Picture::new((3, 1, 2), vec![1.0, 0.0, 0.0, 1.0, 0.0, 0.2], Colours::Plain).unwrap();
        let image = decode(&picture.to_png().unwrap());
        assert_eq!((image.get_pixel(0, 0).0, image.get_pixel(191, 95).0), ([255, 0, 0], [0, 255, 51]));
    }

    #[test]
    fn values_outside_are_cut_and_not_a_number_is_black() {
        let picture = Picture::new((1, 1, 3), vec![f32::NAN, -1.0, 9.0], Colours::Plain).unwrap();
        let image = picture.enlarged(1).unwrap();
        assert_eq!(image.pixels().map(|p| p.0[0]).collect::<Vec<_>>(), [0, 0, 255]);
    }

    #[test]
    fn a_wrong_number_of_values_is_an_error_with_both_numbers() {
        let error = Picture::new((1, 2, 2), vec![0.0; 3], Colours::Plain).unwrap_err().to_string();
        assert_eq!(error, "picture 1x2x2: expected 4 values, found 3");
        assert!(Picture::new((2, 1, 1), vec![0.0; 2], Colours::Plain).is_err());
        assert!(Picture::new((3, 1, 1), vec![0.0; 3], Colours::Heat).is_err());
        assert!(Picture::new((1, 0, 4), vec![], Colours::Plain).is_err());
    }

    #[test]
    fn shrinks_only_what_is_large() {
        let bytes = Picture::new((1, 200, 100), vec![0.5; 20_000], Colours::Heat).unwrap().to_png().unwrap();
        assert!(shrink_png(&bytes, 200).is_none());
        assert_eq!(decode(&shrink_png(&bytes, 100).unwrap()).dimensions(), (50, 100));
        assert!(shrink_png(b"no picture", 10).is_none());
    }
}
