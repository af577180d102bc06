//! One sweep over the distinct values from high to low, from which every metric of pixels follows.

use super::{PRO_LIMIT, Pixels, Region};
use crate::Result;
use crate::metrics::Confusion;
use crate::metrics::ranking::score_of_bits;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

/// The metrics of pixels. A field is `None` where it is undefined: without abnormal pixels, or without normal ones.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PixelMetrics {
    /// Images that were looked at.
    pub n_images: usize,
    /// Of these, abnormal ones.
    pub n_abnormal_images: usize,
    /// Connected components of all masks.
    pub n_regions: usize,
    /// Pixels of all images.
    pub n_pixels: usize,
    /// Share of the pixels that is abnormal: the AUPRC of a map that knows nothing.
    pub prevalence: f64,
    /// Area under the ROC curve.
    pub auroc: Option<f64>,
    /// Average precision.
    pub auprc: Option<f64>,
    /// Area under per-region overlap up to [`PRO_LIMIT`].
    pub pro: Option<f64>,
    /// The threshold; a pixel is flagged if its value is greater. `None` if it is infinite.
    pub threshold: Option<f64>,
    /// Dice at the threshold, over all pixels.
    pub dice: Option<f64>,
    /// Intersection over union at the threshold, over all pixels.
    pub iou: Option<f64>,
    /// Share of the flagged pixels that is abnormal; 0 where none is flagged.
    pub precision: Option<f64>,
    /// Share of the abnormal pixels that is flagged.
    pub recall: Option<f64>,
    /// Share of the normal pixels that is flagged.
    pub false_positive_rate: Option<f64>,
    /// Mean Dice of the abnormal images.
    pub dice_per_image: Option<f64>,
    /// Mean intersection over union of the abnormal images.
    pub iou_per_image: Option<f64>,
    /// The largest Dice of any threshold.
    pub best_dice: Option<BestDice>,
    /// Each class of abnormal images.
    pub by_class: Vec<ClassPixels>,
}

/// The largest Dice over all pixels: chosen on the masks of the test, so a report and no threshold.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct BestDice {
    /// Its value.
    pub value: f64,
    /// The threshold that gives it.
    pub threshold: f64,
    /// What it is not.
    pub note: String,
}

/// The abnormal pixels and regions of one class against the normal pixels of all images.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ClassPixels {
    /// The class.
    pub class: String,
    /// Its images.
    pub n_images: usize,
    /// Its regions.
    pub n_regions: usize,
    /// Area under the ROC curve.
    pub auroc: Option<f64>,
    /// Area under per-region overlap.
    pub pro: Option<f64>,
    /// Mean Dice of its images at the threshold.
    pub dice_per_image: f64,
}

/// Abnormal pixels of one kind, and what the sweep has gathered of them.
#[derive(Clone, Debug, Default)]
struct Tally {
    n_abnormal: u64,
    n_regions: usize,
    /// Abnormal pixels so far.
    hits: u64,
    /// Twice the pairs so far in which the abnormal pixel has the higher value, ties counting one.
    twice_wins: u128,
    /// Sum over regions of the share that is flagged so far.
    overlap: f64,
    /// PRO now, and the area under it up to the false-positive rate `fpr`.
    pro: f64,
    area: f64,
    fpr: f64,
}

impl Tally {
    /// Goes past `n` pixels of one value, of regions that they make up the share `overlap` of (summed); each has the higher
    /// value in half of `twice_wins` pairs. The false-positive rate goes from `fpr` to `next_fpr`.
    fn step(&mut self, n: u64, overlap: f64, twice_wins: u64, [fpr, next_fpr]: [f64; 2]) {
        self.rest_until(fpr);
        self.hits += n;
        self.twice_wins += u128::from(n) * u128::from(twice_wins);
        self.overlap += overlap;
        let next = self.overlap / self.n_regions as f64;
        if fpr < PRO_LIMIT && next_fpr > fpr {
            // The last step ends at the limit, on the straight line.
            let reached = next_fpr.min(PRO_LIMIT);
            let at_end = self.pro + (next - self.pro) * (reached - fpr) / (next_fpr - fpr);
            self.area += (reached - fpr) * f64::midpoint(self.pro, at_end);
        }
        (self.pro, self.fpr) = (next, next_fpr);
    }

    /// Values of normal pixels alone leave PRO as it is.
    fn rest_until(&mut self, fpr: f64) {
        self.area += self.pro * (fpr.min(PRO_LIMIT) - self.fpr.min(PRO_LIMIT));
        self.fpr = fpr;
    }

    fn auroc(&self, n_normal: u64) -> Option<f64> {
        let pairs = 2.0 * self.n_abnormal as f64 * n_normal as f64;
        (pairs > 0.0).then(|| self.twice_wins as f64 / pairs)
    }

    fn pro(&self, n_normal: u64) -> Option<f64> {
        (self.n_regions > 0 && n_normal > 0).then_some(self.area / PRO_LIMIT)
    }
}

/// What one sweep gathers.
struct Sweep {
    all: Tally,
    of_class: Vec<Tally>,
    n_normal: u64,
    /// Normal pixels so far.
    alarms: u64,
    precision_sum: f64,
    best_dice: (f64, f64),
    /// Whether the best Dice waits for the next lower value, to put its threshold half way.
    pending: Option<f64>,
}

impl Pixels {
    /// Sorts, and works out every metric.
    ///
    /// # Errors
    /// If no image was taken in.
    pub fn metrics(mut self) -> Result<PixelMetrics> {
        let n_pixels = self.normal.len() + self.abnormal.len();
        if n_pixels == 0 {
            return Err(crate::Error::Metric("pixel metrics of no images".into()));
        }
        self.normal.par_sort_unstable();
        self.abnormal.par_sort_unstable();
        let sweep = Sweep::over(&self);
        let n_normal = self.normal.len() as u64;
        let some = (!self.abnormal.is_empty()).then_some(());
        let Confusion { true_positive, false_positive, false_negative, .. } = self.confusion;
        let (tp, wrong) = (true_positive as f64, (false_positive + false_negative) as f64);
        let mean = |of: &dyn Fn(&super::Image) -> f64| {
            self.images.iter().map(of).sum::<f64>() / self.images.len() as f64
        };
        let by_class = (0..self.classes.len()).filter_map(|class| self.class_row(class, &sweep)).collect();
        let both = some.filter(|()| n_normal > 0);
        Ok(PixelMetrics {
            n_images: self.n_normal_images + self.images.len(),
            n_abnormal_images: self.images.len(),
            n_regions: self.regions.len(),
            n_pixels,
            prevalence: self.abnormal.len() as f64 / n_pixels as f64,
            auroc: sweep.all.auroc(n_normal),
            auprc: both.map(|()| sweep.precision_sum / self.abnormal.len() as f64),
            pro: sweep.all.pro(n_normal),
            threshold: self.threshold.is_finite().then_some(self.threshold),
            dice: some.map(|()| 2.0 * tp / (2.0 * tp + wrong)),
            iou: some.map(|()| tp / (tp + wrong)),
            precision: some.map(|()| self.confusion.precision()),
            recall: some.map(|()| self.confusion.recall()),
            false_positive_rate: (n_normal > 0).then(|| false_positive as f64 / n_normal as f64),
            dice_per_image: some.map(|()| mean(&|image| image.dice)),
            iou_per_image: some.map(|()| mean(&|image| image.iou)),
            best_dice: some.map(|()| BestDice {
                value: sweep.best_dice.0,
                threshold: sweep.best_dice.1,
                note: "chosen on the masks of the test: a report, not a threshold to use".into(),
            }),
            by_class,
        })
    }

    fn class_row(&self, class: usize, sweep: &Sweep) -> Option<ClassPixels> {
        let images = || self.images.iter().filter(|image| image.class == class);
        let n_images = images().count();
        let tally = &sweep.of_class[class];
        (n_images > 0).then(|| ClassPixels {
            class: self.classes[class].clone(),
            n_images,
            n_regions: tally.n_regions,
            auroc: tally.auroc(sweep.n_normal),
            pro: tally.pro(sweep.n_normal),
            dice_per_image: images().map(|image| image.dice).sum::<f64>() / n_images as f64,
        })
    }
}

impl Sweep {
    fn over(pixels: &Pixels) -> Self {
        let mut sweep = Self::start(pixels);
        let (mut normal, mut abnormal) = (&pixels.normal[..], &pixels.abnormal[..]);
        loop {
            let next = match (normal.first(), abnormal.first()) {
                (Some(&a), Some(&(b, _))) => a.min(b),
                (Some(&key), None) | (None, Some(&(key, _))) => key,
                (None, None) => break,
            };
            let tied_normal = normal.iter().take_while(|&&key| key == next).count();
            let tied = abnormal.iter().take_while(|&&(key, _)| key == next).count();
            sweep.value(score_of_bits(next), tied_normal as u64, &abnormal[..tied], &pixels.regions);
            (normal, abnormal) = (&normal[tied_normal..], &abnormal[tied..]);
        }
        if let Some(lowest) = sweep.pending {
            sweep.best_dice.1 = lowest.next_down();
        }
        sweep.of_class.iter_mut().chain([&mut sweep.all]).for_each(|tally| tally.rest_until(1.0));
        sweep
    }

    fn start(pixels: &Pixels) -> Self {
        let mut of_class = vec![Tally::default(); pixels.classes.len()];
        for region in &pixels.regions {
            of_class[region.class].n_regions += 1;
            of_class[region.class].n_abnormal += u64::from(region.pixels);
        }
        let n_abnormal = pixels.abnormal.len() as u64;
        let all = Tally { n_abnormal, n_regions: pixels.regions.len(), ..Tally::default() };
        Self {
            all,
            of_class,
            n_normal: pixels.normal.len() as u64,
            alarms: 0,
            precision_sum: 0.0,
            best_dice: (-1.0, f64::INFINITY),
            pending: None,
        }
    }

    /// Goes past one distinct value, which so many normal pixels and the pixels of `tied` have.
    fn value(&mut self, value: f32, n_normal: u64, tied: &[(u32, u32)], regions: &[Region]) {
        let before = self.alarms;
        self.alarms += n_normal;
        if let Some(higher) = self.pending.take() {
            self.best_dice.1 = f64::midpoint(higher, f64::from(value));
        }
        if tied.is_empty() {
            return;
        }
        let fpr = [before, self.alarms].map(|n| n as f64 / self.n_normal.max(1) as f64);
        // Twice the normal pixels that a pixel of this value beats.
        let twice_wins = 2 * (self.n_normal - self.alarms) + n_normal;
        let class_of = |&(_, region): &(u32, u32)| regions[region as usize].class;
        let share = |&(_, region): &(u32, u32)| 1.0 / f64::from(regions[region as usize].pixels);
        for (class, tally) in self.of_class.iter_mut().enumerate() {
            let n = tied.iter().filter(|pixel| class_of(pixel) == class).count();
            if n > 0 {
                let overlap = tied.iter().filter(|pixel| class_of(pixel) == class).map(share).sum();
                tally.step(n as u64, overlap, twice_wins, fpr);
            }
        }
        let n = tied.len() as u64;
        self.all.step(n, tied.iter().map(share).sum(), twice_wins, fpr);
        let flagged = self.all.hits + self.alarms;
        self.precision_sum += n as f64 * self.all.hits as f64 / flagged as f64;
        let dice = 2.0 * self.all.hits as f64 / (flagged + self.all.n_abnormal) as f64;
        if dice > self.best_dice.0 {
            self.best_dice.0 = dice;
            self.pending = Some(f64::from(value));
        }
    }
}
