//! Images of a few pixels, written by the `image` crate's encoders, cut, turned and made too large.

use super::*;
use image::{ExtendedColorType, ImageEncoder, ImageFormat, Luma, Rgb, Rgba};
use proptest::prelude::*;

fn packed(image: &DynamicImage, format: ImageFormat) -> Vec<u8> {
    let mut bytes = Cursor::new(Vec::new());
    image.write_to(&mut bytes, format).expect("an encoder for it");
    bytes.into_inner()
}

/// 2 rows of 3 pixels, red, green, blue, black, grey, white.
fn colours() -> DynamicImage {
    let pixels = [[255, 0, 0], [0, 255, 0], [0, 0, 255], [0; 3], [102; 3], [255; 3]];
    let at = |x: u32, y: u32| Rgb(pixels[(y * 3 + x) as usize]);
    DynamicImage::ImageRgb8(image::ImageBuffer::from_fn(3, 2, at))
}

fn read(bytes: &[u8], channels: usize) -> Result<Planes> {
    decode("x", bytes, channels, Limits::USUAL)
}

#[track_caller]
fn check(found: &Planes, size: [usize; 2], expected: &[f32]) {
    assert_eq!(found.size, size);
    let close = found.values.iter().zip(expected).all(|(a, b)| (a - b).abs() < 2e-6);
    assert!(close && found.values.len() == expected.len(), "{found:?} {expected:?}");
}

#[test]
fn colours_and_greys_of_every_lossless_format() -> Result<()> {
    for format in [ImageFormat::Png, ImageFormat::Bmp, ImageFormat::Tiff] {
        let bytes = packed(&colours(), format);
        assert_eq!(header("x", &bytes, Limits::USUAL)?, Header { channels: 3, size: [2, 3] });
        let planes =
            [[1., 0., 0., 0., 0.4, 1.], [0., 1., 0., 0., 0.4, 1.], [0., 0., 1., 0., 0.4, 1.]].concat();
        check(&read(&bytes, 3)?, [2, 3], &planes);
        check(&read(&bytes, 1)?, [2, 3], &[0.299, 0.587, 0.114, 0.0, 0.4, 1.0]);
    }
    Ok(())
}

#[test]
fn sixteen_bits_keep_their_steps_and_transparency_is_dropped() -> Result<()> {
    let deep =
        DynamicImage::ImageLuma16(image::ImageBuffer::from_fn(2, 1, |x, _| Luma([x as u16 * 257 + 1])));
    for format in [ImageFormat::Png, ImageFormat::Tiff] {
        let bytes = packed(&deep, format);
        check(&read(&bytes, 1)?, [1, 2], &[1.0 / 65535.0, 258.0 / 65535.0]);
        assert_eq!(read(&bytes, 3)?.values[2..4], read(&bytes, 1)?.values[..]);
    }
    let clear = DynamicImage::ImageRgba8(image::ImageBuffer::from_pixel(1, 1, Rgba([255, 51, 0, 0])));
    check(&read(&packed(&clear, ImageFormat::Png), 3)?, [1, 1], &[1.0, 0.2, 0.0]);
    Ok(())
}

#[test]
fn jpeg_is_near_and_its_orientation_is_obeyed() -> Result<()> {
    // Left half black, right half white; EXIF orientation 6: the camera was turned, rotate by 90 degrees to see it right.
    let image = DynamicImage::ImageLuma8(image::ImageBuffer::from_fn(16, 8, |x, _| {
        Luma([if x < 8 { 0 } else { 255 }])
    }));
    let plain = packed(&image, ImageFormat::Jpeg);
    let upright = read(&plain, 1)?;
    assert_eq!(upright.size, [8, 16]);
    assert!(upright.values[0] < 0.02 && upright.values[15] > 0.98, "{upright:?}");
    let exif = b"Exif\0\0II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0\x06\0\0\0\0\0\0\0";
    let head = [&[0xff, 0xe1, 0, 2 + exif.len() as u8][..], exif].concat();
    let bytes = [&plain[..2], &head, &plain[2..]].concat();
    assert_eq!(header("x", &bytes, Limits::USUAL)?.size, [16, 8]);
    let turned = read(&bytes, 1)?;
    assert_eq!(turned.size, [16, 8]);
    assert!(turned.values[0] < 0.02 && turned.values[15 * 8] > 0.98, "black above, white below: {turned:?}");
    Ok(())
}

#[test]
fn what_is_no_image_is_said() {
    let said = |bytes: &[u8]| read(bytes, 1).unwrap_err().to_string();
    assert_eq!(said(b""), "x: is empty, expected an image");
    assert_eq!(said(b"hello"), "x: is no image that can be read, expected PNG, JPEG, BMP, TIFF or DICOM");
    let png = packed(&colours(), ImageFormat::Png);
    assert!(said(&png[..png.len() / 2]).starts_with("x: cannot be decoded: "), "{}", said(&png[..40]));
}

#[test]
fn a_bomb_is_refused_by_its_head() {
    // 60,000 × 60,000 black pixels in some kilobytes: only the head is right, and only it is read.
    let mut bytes = Vec::new();
    let encoder = image::codecs::png::PngEncoder::new(&mut bytes);
    encoder.write_image(&[0; 4], 2, 2, ExtendedColorType::L8).expect("four pixels");
    let (width, crc) = (16, 29);
    bytes[width..width + 8].copy_from_slice(&[0, 0, 0xea, 0x60, 0, 0, 0xea, 0x60]);
    let sum = crc32(&bytes[12..29]);
    bytes[crc..crc + 4].copy_from_slice(&sum.to_be_bytes());
    let said = read(&bytes, 1).unwrap_err().to_string();
    assert!(said.contains("60000x60000") || said.contains("imit"), "{said}");
    let small = Limits { pixels: 5, ..Limits::USUAL };
    let said = decode("x", &packed(&colours(), ImageFormat::Png), 1, small).unwrap_err().to_string();
    assert_eq!(said, "x: has 3x2 pixels, expected 1 to 5");
    let short = Limits { bytes: 10, ..Limits::USUAL };
    let said = decode("x", &[0; 11], 1, short).unwrap_err().to_string();
    assert_eq!(said, "x: 11 bytes, more than the 10 that are allowed");
}

fn crc32(bytes: &[u8]) -> u32 {
    let step = |crc: u32, &byte: &u8| {
        (0..8).fold(crc ^ u32::from(byte), |c, _| if c & 1 == 1 { c >> 1 ^ 0xedb8_8320 } else { c >> 1 })
    };
    !bytes.iter().fold(!0, step)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    /// Whatever is flipped in a file, the answer is an image of the size that its head says, or an error.
    #[test]
    fn damaged_files_are_errors_or_images(kind in 0..4usize, at in any::<prop::sample::Index>(), byte: u8, cut in any::<prop::sample::Index>()) {
        let format = [ImageFormat::Png, ImageFormat::Bmp, ImageFormat::Tiff, ImageFormat::Jpeg][kind];
        let mut bytes = packed(&colours(), format);
        let place = at.index(bytes.len());
        bytes[place] = byte;
        bytes.truncate(1 + cut.index(2 * bytes.len()).min(bytes.len() - 1));
        let limits = Limits { bytes: 1 << 20, pixels: 1 << 16 };
        if let Ok(planes) = decode("x", &bytes, 1, limits) {
            prop_assert_eq!(planes.values.len(), planes.size[0] * planes.size[1]);
        }
    }
}
