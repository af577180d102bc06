//! Many pictures on one sheet.

use anyhow::{Result, ensure};
use image::{Rgb, RgbImage, imageops};

use super::Picture;
use super::picture::png;

/// Between two pictures, and around the sheet.
const GAP_PX: u32 = 4;
/// A grey that is told apart from the black ground of a digit and from white paper.
const GROUND: Rgb<u8> = Rgb([128, 128, 128]);

/// The pictures as one PNG, row by row, `columns` in a row, each pixel repeated `scale × scale` times.
///
/// Pictures may differ in size: a cell has the size of the largest, and a smaller one stands in its upper left corner.
///
/// # Errors
/// Where there is no picture, `columns` or `scale` is 0, or a picture's values do not fit its shape.
pub fn grid(pictures: &[Picture], columns: usize, scale: usize) -> Result<Vec<u8>> {
    ensure!(!pictures.is_empty(), "picture grid: expected at least one picture, found none");
    ensure!(
        columns > 0 && scale > 0,
        "picture grid: expected columns and scale above 0, found {columns} and {scale}"
    );
    let cells = pictures.iter().map(|p| p.enlarged(scale)).collect::<Result<Vec<_>>>()?;
    let columns = columns.min(cells.len());
    let width = cells.iter().map(RgbImage::width).max().unwrap_or(1) + GAP_PX;
    let height = cells.iter().map(RgbImage::height).max().unwrap_or(1) + GAP_PX;
    let rows = cells.len().div_ceil(columns);
    let mut sheet =
        RgbImage::from_pixel(columns as u32 * width + GAP_PX, rows as u32 * height + GAP_PX, GROUND);
    for (i, cell) in cells.iter().enumerate() {
        let (row, column) = ((i / columns) as u32, (i % columns) as u32);
        imageops::replace(
            &mut sheet,
            cell,
            i64::from(column * width + GAP_PX),
            i64::from(row * height + GAP_PX),
        );
    }
    png(&sheet)
}

#[cfg(test)]
mod tests {
    use super::super::Colours;
    use super::*;

    #[test]
    fn pictures_stand_row_by_row() {
        let grey = |v: f32| Picture::new((1, 2, 2), vec![v; 4], Colours::Plain).unwrap();
        let bytes = grid(&[grey(0.0), grey(0.2), grey(1.0)], 2, 3).unwrap();
        let sheet = image::load_from_memory(&bytes).unwrap().to_rgb8();
        assert_eq!(sheet.dimensions(), (24, 24));
        let at = |x, y| sheet.get_pixel(x, y).0[0];
        assert_eq!([at(4, 4), at(14, 4), at(4, 14), at(14, 14), at(0, 0)], [0, 51, 255, 128, 128]);
    }

    #[test]
    fn nothing_to_show_is_an_error() {
        assert!(grid(&[], 2, 2).is_err());
        let one = Picture::new((1, 1, 1), vec![0.0], Colours::Plain).unwrap();
        assert!(grid(std::slice::from_ref(&one), 0, 1).is_err());
        assert!(grid(&[one], 1, 0).is_err());
    }
}
