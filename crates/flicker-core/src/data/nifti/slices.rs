//! Slices of volumes as images.

use super::Volume;
use crate::data::Source;
use crate::data::source::check_read;
use crate::{Error, Result, SampleShape};
use serde::{Deserialize, Serialize};

/// Across which axis a volume is cut. The names hold for volumes stored from left to right (x), from back to front (y) and
/// from below to above (z), or mirrored, as templates are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Plane {
    /// Across x; columns are y, rows are z from above.
    Sagittal,
    /// Across y; columns are x, rows are z from above.
    Coronal,
    /// Across z; columns are x, rows are y from the front.
    Axial,
}

/// Which slices are taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SliceRange {
    /// The first one.
    pub from: usize,
    /// The one after the last.
    pub to: usize,
    /// Every so many; 1 for all.
    pub every: usize,
}

impl Plane {
    /// The axes of columns, rows and slices.
    fn axes(self) -> [usize; 3] {
        match self {
            Self::Sagittal => [1, 2, 0],
            Self::Coronal => [0, 2, 1],
            Self::Axial => [0, 1, 2],
        }
    }
}

/// Slices of one volume, of one channel, scaled to `[0, 1]` and padded or cut to one size around their middle.
#[derive(Clone, Debug)]
pub struct Slices {
    volume: Volume,
    name: String,
    plane: Plane,
    size: [usize; 2],
    slices: Vec<usize>,
    white: f32,
}

impl Slices {
    /// The slices of `volume` in `range`, of `size` (`[height, width]`). Black is 0 and white is the value that
    /// 99.5 % of the values above 0 stay below, so that a few bright vessels do not darken the rest; what is beyond is cut.
    /// `name` begins the id of each slice.
    ///
    /// # Errors
    /// If the range is empty or beyond the volume, the size is empty, or no value is above 0.
    pub fn new(
        name: &str,
        volume: Volume,
        plane: Plane,
        range: SliceRange,
        size: [usize; 2],
    ) -> Result<Self> {
        let refused = |problem: String| Err(Error::data(name, problem));
        let n = volume.dims[plane.axes()[2]];
        let SliceRange { from, to, every } = range;
        if from >= to || to > n || every == 0 || size.contains(&0) {
            return refused(format!(
                "slices {from} to {to}, every {every}, of {size:?}: expected some of the {n} there are"
            ));
        }
        let mut bright: Vec<f32> = volume.values.iter().copied().filter(|&value| value > 0.0).collect();
        if bright.is_empty() {
            return refused("no value is above 0".into());
        }
        let rank = (0.995 * (bright.len() - 1) as f64).round() as usize;
        let (_, &mut white, _) = bright.select_nth_unstable_by(rank, f32::total_cmp);
        let slices = (from..to).step_by(every).collect();
        Ok(Self { volume, name: name.to_owned(), plane, size, slices, white })
    }

    /// A number for each slice that neighbours share: blocks of `n` slices in a row, numbered from `first`.
    pub fn blocks(&self, n: usize, first: u32) -> Vec<u32> {
        (0..self.slices.len()).map(|i| first + (i / n.max(1)) as u32).collect()
    }
}

impl Source for Slices {
    fn len(&self) -> usize {
        self.slices.len()
    }

    fn shape(&self) -> SampleShape {
        (1, self.size[0], self.size[1]).into()
    }

    fn read(&self, index: usize, out: &mut [f32]) -> Result<()> {
        check_read(self, index, out)?;
        let [column, row, slice] = self.plane.axes();
        let dims = self.volume.dims;
        let strides = [1, dims[0], dims[0] * dims[1]];
        let start = self.slices[index] * strides[slice];
        // Where the middle of the slice lies on the middle of the image.
        let shift = |axis: usize, side: usize| (side as isize - dims[axis] as isize).div_euclid(2);
        let (down, right) = (shift(row, self.size[0]), shift(column, self.size[1]));
        for (y, out) in out.chunks_exact_mut(self.size[1]).enumerate() {
            let from = y as isize - down; // rows run from the end of their axis
            for (x, value) in out.iter_mut().enumerate() {
                let at = x as isize - right;
                let inside =
                    (0..dims[row] as isize).contains(&from) && (0..dims[column] as isize).contains(&at);
                *value = if inside {
                    let from = dims[row] - 1 - from as usize;
                    let stored =
                        self.volume.values[start + from * strides[row] + at as usize * strides[column]];
                    (stored / self.white).clamp(0.0, 1.0)
                } else {
                    0.0
                };
            }
        }
        Ok(())
    }

    fn id(&self, index: usize) -> String {
        let slice = self.slices.get(index).copied().unwrap_or(index);
        format!("{}-{slice:03}", self.name)
    }
}
