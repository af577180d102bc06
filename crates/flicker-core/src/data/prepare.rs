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
    /// Bilinear, antialiased when shrinking, as torchvision's `Resize` but in f32: it does not round to bytes. Height and
    /// width each stretch as they must.
    Bilinear {
        /// The new size.
        size: [usize; 2],
    },
    /// Bilinear to the largest size of the same proportions that fits within the new one, and zeros around it.
    Letterbox {
        /// The new size.
        size: [usize; 2],
    },
    /// Bilinear to the smallest size of the same proportions that covers the new one, of which the middle is kept.
    Crop {
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
        let (shape, plan) = match source.shape() {
            table @ SampleShape::Table { .. } if self == Self::KEEP => (table, None),
            SampleShape::Table { .. } => {
                return Err(Error::config(
                    "resize, range",
                    "only images are resized; the samples are rows of a table",
                ));
            }
            SampleShape::Image { channels, height, width } => {
                let plan = self.resize.plan([height, width])?;
                let shape = (channels, plan.to[0], plan.to[1]).into();
                (shape, Some(plan).filter(|plan| !plan.changes_nothing()))
            }
        };
        Ok(Prepared { source, shape, plan, range: self.range })
    }
}

impl Resize {
    /// The size of the images of a source whose files may differ in size; `None` where it is that of the files.
    pub(super) fn size(self) -> Option<[usize; 2]> {
        match self {
            Self::Keep => None,
            Self::Pad { size } | Self::Bilinear { size } | Self::Letterbox { size } | Self::Crop { size } => {
                Some(size)
            }
        }
    }

    /// How images of the size `from` are brought to the new one.
    pub(crate) fn plan(self, from: [usize; 2]) -> Result<Plan> {
        let to = self.size().unwrap_or(from);
        let shrinks = to[0] < from[0] || to[1] < from[1];
        if to.contains(&0) || from.contains(&0) || matches!(self, Self::Pad { .. }) && shrinks {
            let problem =
                format!("{}x{} cannot be made from {}x{} by {self:?}", to[0], to[1], from[0], from[1]);
            return Err(Error::config("resize.size", problem));
        }
        let ratios = [0, 1].map(|axis| to[axis] as f64 / from[axis] as f64);
        let scaled = |ratio: f64| from.map(|side| ((side as f64 * ratio).round() as usize).max(1));
        let inner = match self {
            Self::Keep | Self::Pad { .. } => from,
            Self::Bilinear { .. } => to,
            Self::Letterbox { .. } => scaled(ratios[0].min(ratios[1])),
            Self::Crop { .. } => scaled(ratios[0].max(ratios[1])),
        };
        let resampler = (inner != from).then(|| Resampler::new(from, inner));
        Ok(Plan { inner, to, resampler })
    }
}

/// How images of one size are brought to another: resampled to `inner`, which is padded or cut to `to`.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    inner: [usize; 2],
    to: [usize; 2],
    resampler: Option<Resampler>,
}

impl Plan {
    /// The new size, `[height, width]`.
    pub(crate) fn to(&self) -> [usize; 2] {
        self.to
    }

    /// The same by area in place of bilinear, for masks.
    pub(super) fn by_area(self, from: [usize; 2]) -> Self {
        let resampler = self.resampler.map(|_| Resampler::area(from, self.inner));
        Self { resampler, ..self }
    }

    /// The change of images of the size `from` as two matrices: (to, from) weights of rows, and of columns. `None` where
    /// nothing changes.
    pub(crate) fn matrices(&self, from: [usize; 2]) -> Option<[Vec<f32>; 2]> {
        if self.changes_nothing() {
            return None;
        }
        let identity = |size: usize| -> Vec<Vec<f32>> {
            (0..size).map(|at| (0..size).map(|i| if i == at { 1.0 } else { 0.0 }).collect()).collect()
        };
        let resampled = match &self.resampler {
            Some(resampler) => resampler.matrices(),
            None => from.map(identity),
        };
        let mut axis = 0;
        Some(resampled.map(|rows| {
            // As `place` does: kept in the middle, zeros around.
            let (inner, to, width) = (self.inner[axis], self.to[axis], from[axis]);
            axis += 1;
            let kept = inner.min(to);
            let (skipped, margin) = ((inner - kept) / 2, (to - kept) / 2);
            let mut all = vec![0.0; to * width];
            let places = all.chunks_exact_mut(width).skip(margin);
            places.zip(&rows[skipped..skipped + kept]).for_each(|(place, row)| place.copy_from_slice(row));
            all
        }))
    }

    fn changes_nothing(&self) -> bool {
        self.resampler.is_none() && self.inner == self.to
    }

    /// Writes the changed `planes` (channel first) to `out`.
    pub(super) fn apply(&self, planes: &[f32], out: &mut [f32]) {
        match &self.resampler {
            None => place(planes, self.inner, self.to, out),
            Some(resampler) if self.inner == self.to => resampler.apply(planes, out),
            Some(resampler) => {
                let channels = out.len() / (self.to[0] * self.to[1]);
                let mut inner = vec![0.0; channels * self.inner[0] * self.inner[1]];
                resampler.apply(planes, &mut inner);
                place(&inner, self.inner, self.to, out);
            }
        }
    }
}

/// A source whose images are resized and brought to a range each time they are read.
#[derive(Clone)]
pub struct Prepared {
    source: Arc<dyn Source>,
    shape: SampleShape,
    /// `None` where the size stays.
    plan: Option<Plan>,
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
        match &self.plan {
            None => self.source.read(index, out)?,
            Some(plan) => {
                let mut image = vec![0.0; self.source.shape().elements()];
                self.source.read(index, &mut image)?;
                plan.apply(&image, out);
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

/// Puts planes of the size `from` in the middle of planes of the size `to`: zeros around, or the sides cut off.
fn place(planes: &[f32], from: [usize; 2], to: [usize; 2], out: &mut [f32]) {
    let kept = [0, 1].map(|axis| from[axis].min(to[axis]));
    let skipped = [0, 1].map(|axis| (from[axis] - kept[axis]) / 2);
    let margin = [0, 1].map(|axis| (to[axis] - kept[axis]) / 2);
    out.fill(0.0);
    for (plane, out) in planes.chunks_exact(from[0] * from[1]).zip(out.chunks_exact_mut(to[0] * to[1])) {
        let rows = plane.chunks_exact(from[1]).skip(skipped[0]).take(kept[0]);
        for (row, out) in rows.zip(out.chunks_exact_mut(to[1]).skip(margin[0])) {
            out[margin[1]..margin[1] + kept[1]].copy_from_slice(&row[skipped[1]..skipped[1] + kept[1]]);
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
    fn a_letterbox_keeps_all_and_a_crop_fills_all() {
        let channel = |[a, b, c, d]: [f32; 4]| [[a, b, c, d], [a, b, c, d], [0.0; 4]].concat();
        let both = [channel([0.0, 0.05, 0.15, 0.2]), channel([0.4, 0.55, 0.85, 1.0])].concat();
        check(Resize::Letterbox { size: [3, 4] }, Range::Unit, &both);
        check(Resize::Crop { size: [2, 2] }, Range::Unit, &[0.05, 0.15, 0.05, 0.15, 0.55, 0.85, 0.55, 0.85]);
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
