//! Masks: where samples are abnormal, and for which samples that is known.

use super::prepare::{Plan, Resize};
use super::source::check_read;
use super::{Concat, Source, Subset};
use crate::{Error, Result, SampleShape};
use std::sync::Arc;

/// For each sample an image of one channel, 1 where the sample is abnormal and 0 elsewhere.
#[derive(Clone)]
pub struct Masks {
    source: Arc<dyn Source>,
    known: Vec<bool>,
}

impl Masks {
    /// Masks of which all are known.
    pub fn all(source: Arc<dyn Source>) -> Self {
        let known = vec![true; source.len()];
        Self { source, known }
    }

    /// Masks of which some are known; of the others nothing is to be concluded.
    ///
    /// # Errors
    /// If there is not one answer for each mask.
    pub fn known(source: Arc<dyn Source>, known: Vec<bool>) -> Result<Self> {
        if known.len() != source.len() {
            return Err(Error::Shape {
                what: "which masks are known".into(),
                expected: format!("{} answers", source.len()),
                found: known.len().to_string(),
            });
        }
        Ok(Self { source, known })
    }

    /// Masks of `size` (`[height, width]`) in which nothing is abnormal, one for each answer whether that is known.
    pub fn blank(size: [usize; 2], known: Vec<bool>) -> Self {
        Self { source: Arc::new(Blank { len: known.len(), size }), known }
    }

    /// The masks of some samples.
    ///
    /// # Errors
    /// If an index is beyond the end.
    pub fn subset(&self, indices: &[usize]) -> Result<Self> {
        let source = Arc::new(Subset::new(self.source.clone(), indices.to_vec())?);
        Ok(Self { source, known: indices.iter().map(|&index| self.known[index]).collect() })
    }

    /// The masks of several sets, one after the other.
    ///
    /// # Errors
    /// If there is none, or they differ in size.
    pub fn concat(sets: Vec<Self>) -> Result<Self> {
        let known = sets.iter().flat_map(|set| set.known.iter().copied()).collect();
        let source = Arc::new(Concat::new(sets.into_iter().map(|set| set.source).collect())?);
        Ok(Self { source, known })
    }

    /// The masks, also those that are not known (zeros, which say nothing).
    pub fn source(&self) -> &Arc<dyn Source> {
        &self.source
    }

    /// Whether the mask of sample `index` is known.
    ///
    /// # Panics
    /// If there is no such sample.
    pub fn is_known(&self, index: usize) -> bool {
        self.known[index]
    }

    /// The same masks at the size to which `resize` brings images.
    ///
    /// # Errors
    /// If the size cannot work.
    pub fn resized(&self, resize: Resize) -> Result<Self> {
        let SampleShape::Image { height, width, .. } = self.source.shape() else {
            return Err(Error::data("masks", format!("are {}, expected images", self.source.shape())));
        };
        let plan = resize.plan([height, width])?.by_area([height, width]);
        let source = Arc::new(Resized { source: self.source.clone(), plan });
        Ok(Self { source, known: self.known.clone() })
    }
}

/// Masks in which nothing is abnormal.
struct Blank {
    len: usize,
    size: [usize; 2],
}

impl Source for Blank {
    fn len(&self) -> usize {
        self.len
    }

    fn shape(&self) -> SampleShape {
        (1, self.size[0], self.size[1]).into()
    }

    fn read(&self, index: usize, out: &mut [f32]) -> Result<()> {
        check_read(self, index, out)?;
        out.fill(0.0);
        Ok(())
    }
}

/// Masks at another size.
struct Resized {
    source: Arc<dyn Source>,
    plan: Plan,
}

impl Source for Resized {
    fn len(&self) -> usize {
        self.source.len()
    }

    fn shape(&self) -> SampleShape {
        (1, self.plan.to()[0], self.plan.to()[1]).into()
    }

    fn read(&self, index: usize, out: &mut [f32]) -> Result<()> {
        check_read(self, index, out)?;
        let mut mask = vec![0.0; self.source.shape().elements()];
        self.source.read(index, &mut mask)?;
        resize(&self.plan, &mask, out);
        Ok(())
    }

    fn id(&self, index: usize) -> String {
        self.source.id(index)
    }
}

/// Brings a mask to another size by a plan that goes by area. A new pixel is abnormal if at least half of what falls into it is. A mask that would
/// vanish by that keeps the pixel with the largest share, so that a thin scratch does not become a normal image.
pub(super) fn resize(plan: &Plan, mask: &[f32], out: &mut [f32]) {
    plan.apply(mask, out);
    let mut largest = 0;
    for (i, share) in out.iter().enumerate() {
        if *share > out[largest] {
            largest = i;
        }
    }
    let keep = (out[largest] > 0.0).then_some(largest);
    out.iter_mut().for_each(|share| *share = f32::from(*share >= 0.5 - 1e-6));
    if let Some(keep) = keep {
        out[keep] = 1.0;
    }
}

#[cfg(test)]
mod tests {
    use super::super::Images;
    use super::*;

    fn masks(bytes: &[u8]) -> Masks {
        Masks::all(Arc::new(Images::new((1, 4, 4), bytes.to_vec(), "").expect("whole masks")))
    }

    #[track_caller]
    fn check(bytes: [u8; 16], size: [usize; 2], expected: &[f32]) {
        let resized = masks(&bytes).resized(Resize::Bilinear { size }).expect("a size");
        let mut out = vec![f32::NAN; expected.len()];
        resized.source().read(0, &mut out).expect("a mask");
        assert_eq!(out, expected);
    }

    #[test]
    fn a_pixel_needs_half_of_its_area_and_no_mask_vanishes() {
        let quarter = [255, 255, 0, 0, 255, 255, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
        check(quarter, [4, 4], &[1., 1., 0., 0., 1., 1., 0., 0., 0., 0., 0., 0., 0., 0., 0., 0.]);
        check(quarter, [2, 2], &[1., 0., 0., 0.]);
        let mut speck = [0; 16];
        speck[14] = 255;
        check(speck, [2, 2], &[0., 0., 0., 1.]);
        check([0; 16], [2, 2], &[0.; 4]);
    }

    #[test]
    fn what_is_not_known_stays_so() -> Result<()> {
        let source = Arc::new(Images::new((1, 2, 2), vec![0; 8], "")?);
        let masks = Masks::known(source.clone(), vec![true, false])?.resized(Resize::Pad { size: [3, 3] })?;
        assert!(masks.is_known(0) && !masks.is_known(1));
        assert!(Masks::known(source, vec![true]).is_err());
        let both = Masks::concat(vec![masks.subset(&[1])?, Masks::blank([3, 3], vec![true])])?;
        assert!(!both.is_known(0) && both.is_known(1) && both.source().len() == 2);
        Ok(())
    }
}
