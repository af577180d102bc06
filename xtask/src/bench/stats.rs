//! Order statistics.

/// The value below which a share `q` of `values` lies, interpolated between neighbours (R's type 7, NumPy's default). NaN where
/// there are no values.
pub(super) fn quantile(values: &[f64], q: f64) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let Some(last) = sorted.len().checked_sub(1) else { return f64::NAN };
    let at = q * last as f64;
    let (below, above) = (sorted[at.floor() as usize], sorted[at.ceil() as usize]);
    below + (above - below) * at.fract()
}

pub(super) fn median(values: &[f64]) -> f64 {
    quantile(values, 0.5)
}

/// The ratio of two programs that took turns.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Ratio {
    /// Median of the rounds' ratios.
    pub(super) median: f64,
    /// Their lower quartile.
    pub(super) low: f64,
    /// Their upper quartile.
    pub(super) high: f64,
}

impl Ratio {
    /// Of times by rounds. Each round's two times were taken one after the other, so what slowed the machine down slowed both.
    pub(super) fn of(ours: &[f64], peer: &[f64]) -> Self {
        let ratios: Vec<f64> = ours.iter().zip(peer).map(|(ours, peer)| ours / peer).collect();
        Self { median: median(&ratios), low: quantile(&ratios, 0.25), high: quantile(&ratios, 0.75) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_numpys() {
        // numpy.quantile([3, 1, 2, 10], [0, .25, .5, .75, 1])
        let quantiles = [0.0, 0.25, 0.5, 0.75, 1.0].map(|q| quantile(&[3.0, 1.0, 2.0, 10.0], q));
        assert_eq!(quantiles, [1.0, 1.75, 2.5, 4.75, 10.0]);
        assert_eq!(median(&[7.0]), 7.0);
        assert!(median(&[]).is_nan());
    }

    #[test]
    fn a_ratio_is_taken_round_by_round() {
        // The machine was ten times slower in the second round; the ratios do not see it.
        let ratio = Ratio::of(&[1.0, 10.0, 1.0, 3.0, 1.0], &[2.0, 20.0, 2.0, 2.0, 4.0]);
        assert_eq!(ratio, Ratio { median: 0.5, low: 0.5, high: 0.5 });
        let ratio = Ratio::of(&[1.0, 2.0, 3.0], &[1.0, 1.0, 1.0]);
        assert_eq!(ratio, Ratio { median: 2.0, low: 1.5, high: 2.5 });
    }
}
