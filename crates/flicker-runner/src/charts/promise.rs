//! Whether the p-values keep their word: the false alarm rate that was asked for against the one that came.

use super::Chart;
use super::plot::{Plot, Sign};
use super::rates::{share, wilson_95};
use super::scale::Scale;
use super::text::number;

/// The shares of normal and of abnormal test samples whose p-value is at most α, for α up to 0.25; on the diagonal is what
/// was promised for normal ones.
pub fn promise(normal: &[f64], abnormal: &[f64], alpha: Option<f64>) -> Chart {
    let most = alpha.map_or(0.25, |a| (4.0 * a).clamp(0.1, 1.0));
    let mut plot = Plot::new(
        (Scale::linear(0.0, most), "false alarm rate asked for (α)"),
        (Scale::linear(0.0, 1.0), "share of samples with p-value ≤ α"),
        180.0,
        0.0,
    );
    let alphas: Vec<f64> = (0..=100).map(|i| most * f64::from(i) / 100.0).collect();
    let at_most = |values: &[f64], a: f64| values.iter().filter(|&&p| p <= a).count();
    let band = |side: fn((f64, f64)) -> f64| -> Vec<(f64, f64)> {
        alphas.iter().map(|&a| (a, side(wilson_95(at_most(normal, a), normal.len())))).collect()
    };
    if !normal.is_empty() {
        plot.band("normal", &band(|i| i.1), &band(|i| i.0));
    }
    plot.guide((0.0, 0.0), (most, most));
    for (class, values) in [("normal", normal), ("abnormal", abnormal)] {
        if !values.is_empty() {
            let line: Vec<_> = alphas.iter().map(|&a| (a, share(at_most(values, a), values.len()))).collect();
            plot.line(class, "", &line);
        }
    }
    if !normal.is_empty() {
        plot.key(Sign::Line(""), "normal", "normal: false alarms that came, with 95 % interval");
    }
    if !abnormal.is_empty() {
        plot.key(Sign::Line(""), "abnormal", "abnormal: recall at this rate");
    }
    plot.key(Sign::Line("guide"), "", "what was asked for");
    if let Some(alpha) = alpha {
        plot.vertical(alpha);
    }
    let at = alpha.unwrap_or(0.05);
    let said = format!(
        "At α = {}, {} of normal and {} of abnormal samples have a p-value at most α.",
        number(at),
        number(share(at_most(normal, at), normal.len())),
        number(share(at_most(abnormal, at), abnormal.len()))
    );
    plot.finish(
        "promise",
        "False alarms, asked and come",
        said,
        "The normal line should lie on the dashed diagonal or below it.",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_at_the_rate_asked_for_are_said() {
        let chart = promise(&[0.01, 0.5, 0.6, 0.9], &[0.01, 0.02], Some(0.05));
        assert_eq!(
            chart.description,
            "At α = 0.05, 0.25 of normal and 1 of abnormal samples have a p-value at most α."
        );
    }
}
