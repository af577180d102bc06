//! Metrics of anomaly maps against masks: how well a detector says *where*.
//!
//! The pixels of all images are one population; positive = abnormal, as everywhere. Definitions:
//!
//! - **AUROC, AUPRC**: those of [`auroc`](super::auroc) and [`auprc`](super::auprc), over pixels.
//! - **PRO**, per-region overlap (Bergmann et al., "Uninformed students", CVPR 2020; "The MVTec anomaly detection dataset",
//!   IJCV 2021): a region is a connected component of a mask, diagonal neighbours being connected. At a threshold, the
//!   overlap of a region is the share of its pixels that is flagged; PRO is the mean over the regions of all images, so that
//!   a small region counts as much as a large one. The area under PRO over the false-positive rate, its points joined by
//!   straight lines, up to a rate of 0.3, divided by 0.3.
//! - **Precision, recall, false-positive rate**: TP / (TP + FP), TP / (TP + FN), FP / (FP + TN), as in textbooks. (The code
//!   that AnoDDPM was published with calls recall precision, precision recall, and FN / (FN + TN) the false-positive rate:
//!   its columns are to be read with that in mind.)
//! - **Dice** 2 TP / (2 TP + FP + FN), **IoU** TP / (TP + FP + FN): at a threshold that comes from elsewhere, over all
//!   pixels, and as means over the abnormal images, as the medical literature has them.
//!
//! A pixel is flagged if its value is **greater than** the threshold. Values are sorted, so the numbers are exact, ties
//! included: 4 bytes for a normal pixel and 8 for an abnormal one, 131 MB for 500 images of 256×256.
//!
//! ```
//! use flicker_core::metrics::pixels::Pixels;
//! let mut pixels = Pixels::new([1, 4], &["scratch"], 0.5)?;
//! pixels.add(&[0.1, 0.2, 0.9, 0.7], Some((0, &[false, false, true, true])))?;
//! pixels.add(&[0.1, 0.8, 0.3, 0.2], None)?;
//! let metrics = pixels.metrics()?;
//! assert_eq!((metrics.n_regions, metrics.dice), (1, Some(0.8)));
//! assert_eq!(metrics.auroc, Some(11.0 / 12.0));
//! # Ok::<(), flicker_core::Error>(())
//! ```

mod regions;
mod sweep;
#[cfg(test)]
mod tests;

pub use sweep::{BestDice, ClassPixels, PixelMetrics};

use super::Confusion;
use super::ranking::descending_bits;
use crate::{Error, Result};
use regions::regions;

/// The false-positive rate up to which PRO is integrated.
pub const PRO_LIMIT: f64 = 0.3;

/// Pixels that are taken in at most: 2³⁰.
const MOST: usize = 1 << 30;

/// Maps and masks, taken in image by image.
#[derive(Clone, Debug)]
pub struct Pixels {
    size: [usize; 2],
    threshold: f64,
    classes: Vec<String>,
    /// Values of normal pixels, as bits that sort from high to low.
    normal: Vec<u32>,
    /// The same of abnormal pixels, and the region that each lies in.
    abnormal: Vec<(u32, u32)>,
    regions: Vec<Region>,
    images: Vec<Image>,
    n_normal_images: usize,
    confusion: Confusion,
}

/// A connected component of a mask.
#[derive(Clone, Copy, Debug)]
struct Region {
    class: usize,
    pixels: u32,
}

/// What an abnormal image has at the threshold.
#[derive(Clone, Copy, Debug)]
struct Image {
    class: usize,
    dice: f64,
    iou: f64,
}

impl Pixels {
    /// For maps of `size` (`[height, width]`), whose abnormal images are of `classes`, with a threshold that was fixed
    /// without them; infinite where there is none.
    ///
    /// # Errors
    /// If the size is empty or the threshold is NaN.
    pub fn new(size: [usize; 2], classes: &[impl AsRef<str>], threshold: f64) -> Result<Self> {
        if size.contains(&0) || threshold.is_nan() {
            return Err(Error::Metric(format!("pixels of {size:?} at threshold {threshold}")));
        }
        Ok(Self {
            size,
            threshold,
            classes: classes.iter().map(|class| class.as_ref().to_owned()).collect(),
            normal: Vec::new(),
            abnormal: Vec::new(),
            regions: Vec::new(),
            images: Vec::new(),
            n_normal_images: 0,
            confusion: Confusion { true_positive: 0, false_positive: 0, true_negative: 0, false_negative: 0 },
        })
    }

    /// Takes in the map of an image, row by row, and for an abnormal one the index of its class and its mask.
    ///
    /// # Errors
    /// If a length is another than that of the size, a value is not finite (the message names its index), there is no such
    /// class, the mask of an abnormal image is empty, or there are too many pixels for the memory.
    pub fn add(&mut self, map: &[f32], abnormal: Option<(usize, &[bool])>) -> Result<()> {
        let n = self.size[0] * self.size[1];
        let of_mask = abnormal.map_or(n, |(_, mask)| mask.len());
        if map.len() != n || of_mask != n {
            return Err(Error::Metric(format!(
                "a map of {} and a mask of {of_mask} pixels, expected {n}",
                map.len()
            )));
        }
        super::check_finite("pixel", map)?;
        if self.normal.len() + self.abnormal.len() + n > MOST {
            return Err(Error::Metric(format!("more than {MOST} pixels; evaluate fewer or smaller images")));
        }
        match abnormal {
            Some((class, mask)) => self.add_abnormal(map, class, mask),
            None => {
                self.normal.extend(map.iter().map(|&value| descending_bits(value)));
                let at = self.confusion_of(map, &vec![false; n]);
                self.count(at);
                self.n_normal_images += 1;
                Ok(())
            }
        }
    }

    fn add_abnormal(&mut self, map: &[f32], class: usize, mask: &[bool]) -> Result<()> {
        if class >= self.classes.len() || !mask.contains(&true) {
            let classes = self.classes.len();
            let marked = mask.iter().filter(|&&marked| marked).count();
            return Err(Error::Metric(format!(
                "an abnormal image of class {class} of {classes} with {marked} abnormal pixels"
            )));
        }
        let first = self.regions.len() as u32;
        let (labels, sizes) = regions(mask, self.size[1]);
        self.regions.extend(sizes.into_iter().map(|pixels| Region { class, pixels }));
        for (&value, label) in map.iter().zip(labels) {
            match label {
                Some(label) => self.abnormal.push((descending_bits(value), first + label)),
                None => self.normal.push(descending_bits(value)),
            }
        }
        let at = self.confusion_of(map, mask);
        let (tp, wrong) = (at.true_positive as f64, (at.false_positive + at.false_negative) as f64);
        self.images.push(Image { class, dice: 2.0 * tp / (2.0 * tp + wrong), iou: tp / (tp + wrong) });
        self.count(at);
        Ok(())
    }

    fn confusion_of(&self, map: &[f32], mask: &[bool]) -> Confusion {
        let flagged: Vec<bool> = map.iter().map(|&value| f64::from(value) > self.threshold).collect();
        let count = |flags: bool, marks: bool| {
            flagged.iter().zip(mask).filter(|&(&flag, &mark)| flag == flags && mark == marks).count()
        };
        Confusion {
            true_positive: count(true, true),
            false_positive: count(true, false),
            true_negative: count(false, false),
            false_negative: count(false, true),
        }
    }

    fn count(&mut self, at: Confusion) {
        self.confusion.true_positive += at.true_positive;
        self.confusion.false_positive += at.false_positive;
        self.confusion.true_negative += at.true_negative;
        self.confusion.false_negative += at.false_negative;
    }
}

/// The threshold that flags at most the share `rate` of the values of validation normals' pixels: the smallest of them with
/// no more than that share above it. Unlike the threshold of scores it makes no promise for new images, since the pixels of
/// one image depend on each other.
///
/// # Errors
/// If there are no values, one is not finite, or `rate` is not between 0 and 1.
pub fn threshold_of_normals(mut values: Vec<f32>, rate: f64) -> Result<f32> {
    if !(rate > 0.0 && rate < 1.0) {
        return Err(Error::config("pixel_false_alarm_rate", format!("{rate} is not between 0 and 1")));
    }
    super::check_finite("validation pixel", &values)?;
    let n_above = (rate * values.len() as f64 * (1.0 + 1e-12)).floor() as usize;
    let Some(rank) = values.len().checked_sub(n_above + 1) else {
        return Err(Error::Metric("a threshold of pixels needs validation normals, there are none".into()));
    };
    let (_, threshold, _) = values.select_nth_unstable_by(rank, f32::total_cmp);
    Ok(*threshold)
}
