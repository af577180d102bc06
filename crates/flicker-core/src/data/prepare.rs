//! Size and range of images, as a model wants them.

use super::Source;
use super::resample::Resampler;
use super::source::{Content, check_read};
use crate::{Error, Result, SampleShape};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// How images are brought to a size. Sizes are `[height, width]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum Resize {
    /// As they are.
    Keep,
    /// Zeros (black, before the range is applied) around the image, which stays in the middle.
    Pad {
        /// The new size, no side shorter than the old one.
        size: [usize; 2],
    },
    /// Bilinear, antialiased when shrinking, as torchvision's `Resize` but in f32: it does not round to bytes.
    Bilinear {
        /// The new size.
        size: [usize; 2],
    },
}

/// The range of pixel values; sources give `[0, 1]`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum Range {
    /// `[0, 1]`, as the source gives it.
    Unit,
    /// `[-1, 1]`, the range of tanh: `2 x − 1`.
    Signed,
    /// `(x − mean) / std`.
    Standard {
        /// What is subtracted.
        mean: f32,
        /// What is divided by, above 0.
        std: f32,
    },
}

impl Range {
    /// `x`, from `[0, 1]` to this range.
    pub fn apply(self, x: f32) -> f32 {
        match self {
            Self::Unit => x,
            Self::Signed => 2.0 * x - 1.0,
            Self::Standard { mean, std } => (x - mean) / std,
        }
    }

    /// `y`, from this range back to `[0, 1]`: for pictures.
    pub fn undo(self, y: f32) -> f32 {
        match self {
            Self::Unit => y,
            Self::Signed => (y + 1.0) / 2.0,
            Self::Standard { mean, std } => y * std + mean,
        }
    }
}

/// How images are prepared for a model: first the size, then the range.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Prepare {
    /// The size.
    pub resize: Resize,
    /// The range.
    pub range: Range,
}

impl Prepare {
    /// Nothing is changed: what rows of a table want.
    pub const KEEP: Self = Self { resize: Resize::Keep, range: Range::Unit };

    /// The prepared source.
    ///
    /// # Errors
    /// If the samples are rows of a table and something would change, or a size or a deviation cannot work.
    pub fn apply(self, source: Arc<dyn Source>) -> Result<Prepared> {
        if let Range::Standard { mean, std } = self.range
            && (std <= 0.0 || !std.is_finite() || !mean.is_finite())
        {
            let problem = format!("mean {mean} and std {std}, expected finite numbers and std above 0");
            return Err(Error::config("range", problem));
        }
        let (shape, change) = match source.shape() {
            table @ SampleShape::Table { .. } if self == Self::KEEP => (table, Change::None),
            SampleShape::Table { .. } => {
                return Err(Error::config(
                    "resize, range",
                    "only images are resized; the samples are rows of a table",
                ));
            }
            SampleShape::Image { channels, height, width } => self.resize.plan(channels, [height, width])?,
        };
        Ok(Prepared { source, shape, change, range: self.range })
    }
}

impl Resize {
    fn plan(self, channels: usize, from: [usize; 2]) -> Result<(SampleShape, Change)> {
        let (to, change) = match self {
            Self::Keep => (from, Change::None),
            Self::Pad { size } | Self::Bilinear { size } if size == from => (size, Change::None),
            Self::Pad { size } => (size, Change::Pad { from, to: size }),
            Self::Bilinear { size } => (size, Change::Bilinear(Resampler::new(from, size))),
        };
        let shrinks = to[0] < from[0] || to[1] < from[1];
        if to.contains(&0) || matches!(self, Self::Pad { .. }) && shrinks {
            let problem =
                format!("{}x{} cannot be made from {}x{} by {self:?}", to[0], to[1], from[0], from[1]);
            return Err(Error::config("resize.size", problem));
        }
        Ok(((channels, to[0], to[1]).into(), change))
    }
}

/// What is done to the size.
#[derive(Clone)]
enum Change {
    None,
    Pad { from: [usize; 2], to: [usize; 2] },
    Bilinear(Resampler),
}

/// A source whose images are resized and brought to a range each time they are read.
#[derive(Clone)]
pub struct Prepared {
    source: Arc<dyn Source>,
    shape: SampleShape,
    change: Change,
    range: Range,
}

impl Source for Prepared {
    fn len(&self) -> usize {
        self.source.len()
    }

    fn shape(&self) -> SampleShape {
        self.shape
    }

    fn read(&self, index: usize, out: &mut [f32]) -> Result<()> {
        check_read(self, index, out)?;
        if matches!(self.change, Change::None) {
            self.source.read(index, out)?;
        } else {
            let mut image = vec![0.0; self.source.shape().elements()];
            self.source.read(index, &mut image)?;
            match &self.change {
                Change::None => {}
                Change::Pad { from, to } => pad(&image, *from, *to, out),
                Change::Bilinear(resampler) => resampler.apply(&image, out),
            }
        }
        for value in out {
            *value = self.range.apply(*value);
        }
        Ok(())
    }

    fn id(&self, index: usize) -> String {
        self.source.id(index)
    }

    /// The content of the sample that is prepared: twins there are twins here.
    fn content(&self, index: usize) -> Result<Content> {
        self.source.content(index)
    }
}

fn pad(planes: &[f32], from: [usize; 2], to: [usize; 2], out: &mut [f32]) {
    let (top, left) = ((to[0] - from[0]) / 2, (to[1] - from[1]) / 2);
    out.fill(0.0);
    for (plane, out) in planes.chunks_exact(from[0] * from[1]).zip(out.chunks_exact_mut(to[0] * to[1])) {
        for (row, out) in plane.chunks_exact(from[1]).zip(out.chunks_exact_mut(to[1]).skip(top)) {
            out[left..left + from[1]].copy_from_slice(row);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Images, Samples};
    use super::*;

    fn image() -> Arc<dyn Source> {
        Arc::new(Images::new((2, 1, 2), vec![0, 51, 102, 255], "").expect("one image"))
    }

    #[track_caller]
    fn check(resize: Resize, range: Range, expected: &[f32]) {
        let prepared = Prepare { resize, range }.apply(image()).expect("a size that works");
        let mut out = vec![f32::NAN; prepared.shape().elements()];
        prepared.read(0, &mut out).expect("sample 0");
        let close = out.iter().zip(expected).all(|(x, y)| (x - y).abs() < 1e-6);
        assert!(close && out.len() == expected.len(), "{out:?} {expected:?}");
    }

    #[test]
    fn ranges() {
        check(Resize::Keep, Range::Unit, &[0.0, 0.2, 0.4, 1.0]);
        check(Resize::Keep, Range::Signed, &[-1.0, -0.6, -0.2, 1.0]);
        check(Resize::Keep, Range::Standard { mean: 0.2, std: 0.5 }, &[-0.4, 0.0, 0.4, 1.6]);
        for range in [Range::Unit, Range::Signed, Range::Standard { mean: 0.13, std: 0.31 }] {
            assert!((range.undo(range.apply(0.7)) - 0.7).abs() < 1e-6);
        }
    }

    #[test]
    fn padding_is_black_in_every_range() {
        let size = [3, 4];
        let row = |a: f32, b: f32, black: f32| [black, a, b, black];
        let plane = |a, b, black| [[black; 4], row(a, b, black), [black; 4]].concat();
        check(Resize::Pad { size }, Range::Unit, &[plane(0.0, 0.2, 0.0), plane(0.4, 1.0, 0.0)].concat());
        check(
            Resize::Pad { size },
            Range::Signed,
            &[plane(-1.0, -0.6, -1.0), plane(-0.2, 1.0, -1.0)].concat(),
        );
    }

    #[test]
    fn refuses_what_cannot_work() -> Result<()> {
        let refused = |resize, range, source| Prepare { resize, range }.apply(source).is_err();
        assert!(refused(Resize::Pad { size: [1, 1] }, Range::Unit, image()));
        assert!(refused(Resize::Bilinear { size: [0, 4] }, Range::Unit, image()));
        assert!(refused(Resize::Keep, Range::Standard { mean: 0.0, std: 0.0 }, image()));
        let table: Arc<dyn Source> = Arc::new(Samples::new(2, vec![5.0, 6.0])?);
        assert!(refused(Resize::Keep, Range::Signed, table.clone()));
        let mut out = [0.0; 2];
        Prepare::KEEP.apply(table)?.read(0, &mut out)?;
        assert_eq!(out, [5.0, 6.0]);
        Ok(())
    }
}
