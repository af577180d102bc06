//! Histograms of scores, normal beside abnormal, each as shares of its own class: so both are seen, however rare one is.

use super::Chart;
use super::curves::Labelled;
use super::plot::{Plot, Sign};
use super::scale::Scale;
use super::text::number;

const N_BINS: usize = 48;

/// The calibrated threshold and what it promises.
#[derive(Clone, Copy, Debug)]
pub struct Threshold {
    /// Scores above it are called abnormal.
    pub value: f64,
    /// The false alarm rate it was set for, where it was set for one.
    pub alpha: Option<f64>,
}

/// Scores of the two classes with the threshold between them. Either side may be empty.
pub fn score_histogram(scores: Labelled<'_>, threshold: Option<Threshold>) -> Chart {
    let what = "Scores of the test samples";
    histogram("scores", what, "score, higher is more abnormal", scores, threshold)
}

/// One named part of the score (residual, discrimination, latent …).
pub fn part_histogram(part: &str, scores: Labelled<'_>) -> Chart {
    histogram(&format!("part-{part}"), &format!("Part: {part}"), part, scores, None)
}

/// The share of `values` in each of the bins of `scale`; values beyond its ends are counted in the bins at the ends.
pub(super) fn shares(values: &[f64], scale: &Scale, n_bins: usize) -> Vec<f64> {
    let mut shares = vec![0.0; n_bins];
    let finite: Vec<f64> = values.iter().copied().filter(|v| v.is_finite()).collect();
    for &value in &finite {
        let bin = (scale.unit(value) * n_bins as f64) as usize;
        shares[bin.min(n_bins - 1)] += 1.0 / finite.len() as f64;
    }
    shares
}

/// The values between the bins.
pub(super) fn edges(scale: &Scale, n_bins: usize) -> Vec<f64> {
    (0..=n_bins).map(|i| scale.value(i as f64 / n_bins as f64)).collect()
}

fn histogram(
    slug: &str,
    title: &str,
    x_title: &str,
    scores: Labelled<'_>,
    threshold: Option<Threshold>,
) -> Chart {
    let all = [scores.normal, scores.abnormal].concat();
    let on_axis: Vec<f64> = threshold.iter().map(|t| t.value).collect();
    let x = Scale::of_scores(&all, &on_axis);
    let beyond = all.iter().filter(|&&v| v > x.high || v < x.low).count();
    let n_bins = N_BINS.min(all.len().max(16) / 4);
    let sides = [("normal", scores.normal), ("abnormal", scores.abnormal)];
    let bars = sides.map(|(class, values)| (class, values, shares(values, &x, n_bins)));
    let edges = edges(&x, n_bins);
    let y = height_scale(&bars.each_ref().map(|(_, _, shares)| shares.as_slice()).concat(), all.len());
    let mut plot = Plot::new((x, x_title), (y, "share of its class in a bin"), 180.0, 0.0);
    let mut said = vec![];
    for (class, values, shares) in &bars {
        if !values.is_empty() {
            plot.bars(class, &edges, shares);
            plot.key(Sign::Block, class, &format!("{class}, n = {}", values.len()));
            said.push(format!("{} {class} samples with median {}", values.len(), number(median(values))));
        }
    }
    if let Some(threshold) = threshold {
        plot.vertical(threshold.value);
        let words = threshold.words();
        plot.key(Sign::Line("guide"), "", &words);
        said.push(words);
    }
    let note = match beyond {
        0 => String::new(),
        n => format!("{n} of {} beyond the ends of the axis are counted in its last bins.", all.len()),
    };
    plot.finish(slug, title, format!("{title}: {}.", said.join("; ")), &note)
}

impl Threshold {
    fn words(self) -> String {
        let value = number(self.value);
        match self.alpha {
            Some(alpha) => format!("threshold {value}, set for {} % false alarms", number(100.0 * alpha)),
            None => format!("threshold {value}"),
        }
    }
}

/// Logarithmic where one bin holds most of a class and the others would be lines on the ground.
fn height_scale(shares: &[f64], n: usize) -> Scale {
    let most = shares.iter().copied().fold(0.0, f64::max);
    if most > 0.6 && most < 0.9999 {
        Scale::log(0.5 / n.max(10) as f64, 1.0)
    } else {
        Scale::linear(0.0, most * 1.05)
    }
}

pub(super) fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    match sorted.len() {
        0 => f64::NAN,
        n if n % 2 == 1 => sorted[n / 2],
        n => f64::midpoint(sorted[n / 2 - 1], sorted[n / 2]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_value_is_counted_once() {
        let scale = Scale::linear(0.0, 1.0);
        let shares = shares(&[0.0, 0.5, 1.0, 7.0, -2.0, f64::NAN], &scale, 4);
        assert_eq!(shares, [0.4, 0.0, 0.2, 0.4]);
    }

    #[test]
    fn medians_are_said() {
        let scores = Labelled { normal: &[1.0, 2.0, 3.0], abnormal: &[4.0, 5.0] };
        let chart = score_histogram(scores, Some(Threshold { value: 3.5, alpha: Some(0.05) }));
        assert!(chart.description.contains("3 normal samples with median 2"), "{}", chart.description);
        assert!(chart.description.contains("2 abnormal samples with median 4.5"));
        assert!(chart.description.contains("threshold 3.5, set for 5 % false alarms"));
    }

    #[test]
    fn one_class_or_one_value_is_no_trouble() {
        for normal in [&[][..], &[0.0], &[2.0, 2.0]] {
            let chart = score_histogram(Labelled { normal, abnormal: &[] }, None).standalone();
            assert!(!chart.contains("NaN") && !chart.contains("inf"), "{chart}");
        }
    }
}
