//! Whether the p-values keep their word: the false alarm rate that was promised against the one that came.

use super::Chart;
use super::plot::{Plot, Sign};
use super::rates::{share, wilson_95};
use super::scale::Scale;
use super::text::number;

/// The share of normal test samples whose p-value is at most α, with its 95 % interval; on the diagonal is what conformal
/// p-values promise. `alpha` is the rate that the threshold was set for.
pub fn promise(p_values_of_normals: &[f64], alpha: Option<f64>) -> Chart {
    let n = p_values_of_normals.len();
    let most = alpha.map_or(0.25, |a| (4.0 * a).clamp(0.02, 1.0));
    let alphas: Vec<f64> = (0..=100).map(|i| most * f64::from(i) / 100.0).collect();
    let at_most = |a: f64| p_values_of_normals.iter().filter(|&&p| p <= a).count();
    let over =
        |value: &dyn Fn(usize) -> f64| -> Vec<_> { alphas.iter().map(|&a| (a, value(at_most(a)))).collect() };
    let upper = over(&|k| wilson_95(k, n).1);
    let highest = upper.iter().map(|point| point.1).fold(most, f64::max);
    let mut plot = Plot::new(
        (Scale::linear(0.0, most), "false alarm rate promised (α)"),
        (Scale::linear(0.0, highest), "false alarm rate observed: p-value ≤ α"),
        180.0,
        0.0,
    );
    plot.band("normal", &upper, &over(&|k| wilson_95(k, n).0));
    plot.guide((0.0, 0.0), (most, most));
    plot.line("normal", "", &over(&|k| share(k, n)));
    plot.key(Sign::Line(""), "normal", &format!("{n} normal test samples, with 95 % interval"));
    plot.key(Sign::Line("guide"), "", "kept exactly");
    let at = alpha.unwrap_or(0.05);
    let observed = share(at_most(at), n);
    if alpha.is_some() {
        plot.dot("abnormal", at, observed);
        plot.key(Sign::Dot, "abnormal", &format!("promised {}, observed {}", number(at), number(observed)));
    }
    let said = format!(
        "At α = {}, {} of {n} normal samples have a p-value at most α.",
        number(at),
        number(observed)
    );
    let note = "Around the dashed line or below it the promise is kept.";
    plot.finish("promise", "False alarms, promised and observed", said, note)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_share_at_the_rate_promised_is_said() {
        let chart = promise(&[0.01, 0.5, 0.6, 0.9], Some(0.05));
        assert_eq!(chart.description, "At α = 0.05, 0.25 of 4 normal samples have a p-value at most α.");
    }
}
