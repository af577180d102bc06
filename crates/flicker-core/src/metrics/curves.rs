//! ROC and precision–recall curves, point for point those of scikit-learn's `roc_curve` and
//! `precision_recall_curve`; a threshold t stands for "score at least t".

use super::Ranking;
use crate::Result;
use serde::Serialize;

/// The ROC curve, from flagging nothing to flagging everything.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct RocCurve {
    /// Infinity (nothing is flagged; `null` in JSON), then the distinct scores from high to low.
    pub thresholds: Vec<f32>,
    /// Share of the normal samples that score at least the threshold.
    pub fpr: Vec<f64>,
    /// Share of the abnormal samples that score at least the threshold.
    pub tpr: Vec<f64>,
}

/// The precision–recall curve, from flagging everything to flagging nothing.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct PrCurve {
    /// The distinct scores from low to high: one fewer than the points, as the last point flags nothing.
    pub thresholds: Vec<f32>,
    /// Share of the flagged samples that is abnormal; 1 at the last point by convention.
    pub precision: Vec<f64>,
    /// Share of the abnormal samples that is flagged; 0 at the last point.
    pub recall: Vec<f64>,
}

/// One point of a ROC curve.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct RocPoint {
    /// A sample counts as flagged if its score is *at least* this.
    pub threshold: f32,
    /// False-positive rate.
    pub fpr: f64,
    /// True-positive rate.
    pub tpr: f64,
}

impl Ranking {
    /// The ROC curve with a point for every distinct score.
    ///
    /// # Errors
    /// If a class is absent.
    pub fn roc_curve(&self) -> Result<RocCurve> {
        self.need_both("the ROC curve")?;
        let mut curve = RocCurve { thresholds: vec![f32::INFINITY], fpr: vec![0.0], tpr: vec![0.0] };
        curve.thresholds.extend(&self.scores);
        for (hits, alarms) in self.cumulative() {
            curve.fpr.push(alarms as f64 / self.n_normal as f64);
            curve.tpr.push(hits as f64 / self.n_abnormal as f64);
        }
        Ok(curve)
    }

    /// The ROC curve without the points that lie on the straight line between their neighbours: the same picture and
    /// area with fewer points. scikit-learn's `drop_intermediate` keeps some of those.
    ///
    /// # Errors
    /// If a class is absent.
    pub fn roc_curve_corners(&self) -> Result<RocCurve> {
        let full = self.roc_curve()?;
        let counts: Vec<(u64, u64)> = std::iter::once((0, 0)).chain(self.cumulative()).collect();
        let mut kept: Vec<usize> = Vec::new();
        for i in 0..counts.len() {
            while let [.., a, b] = kept[..]
                && on_a_line(counts[a], counts[b], counts[i])
            {
                kept.pop();
            }
            kept.push(i);
        }
        Ok(RocCurve {
            thresholds: kept.iter().map(|&i| full.thresholds[i]).collect(),
            fpr: kept.iter().map(|&i| full.fpr[i]).collect(),
            tpr: kept.iter().map(|&i| full.tpr[i]).collect(),
        })
    }

    /// The precision–recall curve with a point for every distinct score and the end point (recall 0, precision 1).
    ///
    /// # Errors
    /// If a class is absent.
    pub fn pr_curve(&self) -> Result<PrCurve> {
        let counts: Vec<(u64, u64)> = self.cumulative().collect();
        self.pr_curve_of(&counts, |_| true)
    }

    /// The precision–recall curve with only the first and the last point of each run of equal recall, which are drawn
    /// as one vertical line: scikit-learn's `drop_intermediate`.
    ///
    /// # Errors
    /// If a class is absent.
    pub fn pr_curve_corners(&self) -> Result<PrCurve> {
        let counts: Vec<(u64, u64)> = self.cumulative().collect();
        let last = counts.len().saturating_sub(1);
        self.pr_curve_of(&counts, |i| {
            i == 0 || i == last || counts[i - 1].0 != counts[i].0 || counts[i].0 != counts[i + 1].0
        })
    }

    fn pr_curve_of(&self, counts: &[(u64, u64)], keep: impl Fn(usize) -> bool) -> Result<PrCurve> {
        self.need_both("the precision–recall curve")?;
        let mut curve = PrCurve { thresholds: vec![], precision: vec![], recall: vec![] };
        for (i, &(hits, alarms)) in counts.iter().enumerate().rev().filter(|&(i, _)| keep(i)) {
            curve.thresholds.push(self.scores[i]);
            curve.precision.push(hits as f64 / (hits + alarms) as f64);
            curve.recall.push(hits as f64 / self.n_abnormal as f64);
        }
        curve.precision.push(1.0);
        curve.recall.push(0.0);
        Ok(curve)
    }

    /// The point of the ROC curve nearest to (0, 1); the highest threshold where several tie.
    ///
    /// **A report on the test set only, never a threshold to ship**: it is chosen with the test labels. It is here
    /// because published tables quote it.
    ///
    /// # Errors
    /// If a class is absent.
    pub fn roc_point_nearest_perfect(&self) -> Result<RocPoint> {
        let curve = self.roc_curve()?;
        let mut nearest = RocPoint { threshold: f32::INFINITY, fpr: 0.0, tpr: 0.0 };
        let square_distance = |fpr: f64, tpr: f64| fpr * fpr + (1.0 - tpr) * (1.0 - tpr);
        for ((&threshold, &fpr), &tpr) in curve.thresholds.iter().zip(&curve.fpr).zip(&curve.tpr) {
            if square_distance(fpr, tpr) < square_distance(nearest.fpr, nearest.tpr) {
                nearest = RocPoint { threshold, fpr, tpr };
            }
        }
        Ok(nearest)
    }
}

/// Whether `b` lies on the line from `a` to `c`, in whole numbers.
fn on_a_line(a: (u64, u64), b: (u64, u64), c: (u64, u64)) -> bool {
    u128::from(b.0 - a.0) * u128::from(c.1 - b.1) == u128::from(c.0 - b.0) * u128::from(b.1 - a.1)
}
