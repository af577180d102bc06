//! An anomaly map over its image, with the outline of the mask: where the model looks, and where it should.

use super::inferno::inferno;
use super::{Colours, Picture};
use anyhow::{Result, ensure};

/// The shorter side from which on an outline is thin enough.
const FINE_PX: usize = 192;
/// Red, green and blue of the outline: cyan, which the colours of maps do not have.
const OUTLINE: [f32; 3] = [0.0, 0.95, 1.0];

impl Picture {
    /// `image` in grey with `map` (values in `[0, 1]`, one a pixel) over it, the stronger the higher, and a line around what
    /// `mask` marks. Pixels are repeated first, so that the line covers little.
    ///
    /// # Errors
    /// If the map or the mask has another number of pixels than the image.
    pub fn overlay(image: &Self, map: &[f32], mask: Option<&[bool]>) -> Result<Self> {
        let (width, height) = (image.width, image.height);
        let (n, of_mask) = (width * height, mask.map_or(width * height, <[bool]>::len));
        ensure!(
            map.len() == n && of_mask == n && image.pixels.len() == n * image.channels,
            "overlay: {n} pixels, but a map of {} and a mask of {of_mask}",
            map.len()
        );
        let factor = FINE_PX.div_ceil(width.min(height).max(1));
        let (wide, high) = (width * factor, height * factor);
        let mut pixels = vec![0.0; 3 * wide * high];
        for at in 0..wide * high {
            let (row, column) = (at / wide, at % wide);
            let old = row / factor * width + column / factor;
            let colour = match mask {
                Some(mask) if on_outline(mask, [width, height], factor, [row, column]) => OUTLINE,
                _ => mixed(image.grey(old), map[old]),
            };
            (0..3).for_each(|channel| pixels[channel * wide * high + at] = colour[channel]);
        }
        Self::new((3, high, wide), pixels, Colours::Plain)
    }

    fn grey(&self, pixel: usize) -> f32 {
        let plane = self.width * self.height;
        (0..self.channels).map(|channel| self.pixels[channel * plane + pixel]).sum::<f32>()
            / self.channels as f32
    }
}

fn mixed(grey: f32, heat: f32) -> [f32; 3] {
    let heat = heat.clamp(0.0, 1.0); // takes not-a-number along, which inferno draws as 0
    let share = 0.85 * heat;
    inferno(heat).map(|colour| share * f32::from(colour) / 255.0 + (1.0 - share) * grey.clamp(0.0, 1.0))
}

/// Whether a repeated pixel lies at the edge of a marked pixel towards one that is not.
fn on_outline(mask: &[bool], [width, height]: [usize; 2], factor: usize, place: [usize; 2]) -> bool {
    let [row, column] = place.map(|at| at / factor);
    if !mask[row * width + column] {
        return false;
    }
    let [y, x] = place.map(|at| at % factor);
    let free = |row: Option<usize>, column: Option<usize>| match (row, column) {
        (Some(row), Some(column)) if row < height && column < width => !mask[row * width + column],
        _ => true,
    };
    y == 0 && free(row.checked_sub(1), Some(column))
        || y == factor - 1 && free(Some(row + 1), Some(column))
        || x == 0 && free(Some(row), column.checked_sub(1))
        || x == factor - 1 && free(Some(row), Some(column + 1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_outline_runs_around_what_is_marked() {
        let image = Picture::new((1, 1, 2), vec![0.5, 0.5], Colours::Plain).unwrap();
        let over = Picture::overlay(&image, &[0.0, 1.0], Some(&[false, true])).unwrap();
        assert_eq!((over.channels, over.height, over.width), (3, 192, 384));
        let at = |row: usize, column: usize| -> [f32; 3] {
            std::array::from_fn(|channel| over.pixels[channel * 192 * 384 + row * 384 + column])
        };
        assert_eq!((at(5, 5), at(0, 200), at(5, 192), at(191, 383)), ([0.5; 3], OUTLINE, OUTLINE, OUTLINE));
        let hot = at(90, 300);
        assert!(hot[0] > 0.85 && hot[2] < hot[0], "{hot:?}");
        assert!(Picture::overlay(&image, &[0.0], None).is_err());
        assert!(Picture::overlay(&image, &[0.0; 2], Some(&[true])).is_err());
    }
}
