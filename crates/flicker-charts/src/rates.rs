//! What the curves are drawn from: counts at every threshold, and intervals of a share.

/// Standard normal quantile for 95 %, two-sided.
const Z_95: f64 = 1.959_963_984_540_054;
/// For √0.95 two-sided: two independent intervals at this level hold together with 95 %.
const Z_ROOT_95: f64 = 2.236_476_644_557_789_5;

/// How many samples score at or above a threshold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Counts {
    /// Normal ones: false alarms.
    pub(super) normal: usize,
    /// Abnormal ones: found.
    pub(super) abnormal: usize,
}

/// The counts at every distinct score, from the highest down; the first is above all scores. Scores must not be NaN.
pub(super) fn counts(normal: &[f64], abnormal: &[f64]) -> Vec<Counts> {
    let mut scored: Vec<(f64, bool)> = normal.iter().map(|&s| (s, false)).collect();
    scored.extend(abnormal.iter().map(|&s| (s, true)));
    scored.sort_by(|a, b| b.0.total_cmp(&a.0));
    let mut at = Counts { normal: 0, abnormal: 0 };
    let mut all = vec![at];
    for (i, &(score, is_abnormal)) in scored.iter().enumerate() {
        if is_abnormal {
            at.abnormal += 1;
        } else {
            at.normal += 1;
        }
        if scored.get(i + 1).is_none_or(|next| next.0 != score) {
            all.push(at);
        }
    }
    all
}

/// `part / whole`, 0 where the whole is.
pub(super) fn share(part: usize, whole: usize) -> f64 {
    if whole == 0 { 0.0 } else { part as f64 / whole as f64 }
}

/// 95 % interval of a share seen as `part` of `whole` (Wilson, 1927): never outside `[0, 1]`, right for few samples too.
pub fn wilson_95(part: usize, whole: usize) -> (f64, f64) {
    wilson(part, whole, Z_95)
}

/// Interval of a share such that two of them, of independent shares, hold together with 95 %.
pub(super) fn wilson_pair(part: usize, whole: usize) -> (f64, f64) {
    wilson(part, whole, Z_ROOT_95)
}

fn wilson(part: usize, whole: usize, z: f64) -> (f64, f64) {
    if whole == 0 {
        return (0.0, 1.0);
    }
    let (n, p) = (whole as f64, share(part, whole));
    let centre = (p + z * z / (2.0 * n)) / (1.0 + z * z / n);
    let half = z / (1.0 + z * z / n) * (p * (1.0 - p) / n + z * z / (4.0 * n * n)).sqrt();
    // Rounding must not keep the interval from the end it reaches.
    let low = if part == 0 { 0.0 } else { (centre - half).max(0.0) };
    let high = if part >= whole { 1.0 } else { (centre + half).min(1.0) };
    (low, high)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ties_are_one_step() {
        let counts = counts(&[0.1, 0.5, 0.5], &[0.5, 0.9]);
        let pairs: Vec<_> = counts.iter().map(|c| (c.normal, c.abnormal)).collect();
        assert_eq!(pairs, [(0, 0), (0, 1), (2, 2), (3, 2)]);
    }

    #[test]
    fn wilson_is_the_textbook_interval() {
        // statsmodels: proportion_confint(8, 10, method="wilson")
        let (low, high) = wilson_95(8, 10);
        assert!((low - 0.490_162_5).abs() < 1e-6 && (high - 0.943_317_8).abs() < 1e-6, "{low} {high}");
        assert_eq!(wilson_95(0, 0), (0.0, 1.0));
        assert_eq!(wilson_95(0, 10).0, 0.0);
        let (wide_low, wide_high) = wilson_pair(8, 10);
        assert!(wide_low < low && wide_high > high);
    }
}
