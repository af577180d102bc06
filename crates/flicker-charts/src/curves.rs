//! ROC and precision-recall curves, with what the calibrated threshold makes of them.

use super::Chart;
use super::plot::{Plot, Sign};
use super::rates::{Counts, counts, share, wilson_pair};
use super::scale::Scale;
use super::text::number;

/// Test scores by label; none may be NaN, and neither side may be empty for the curves.
#[derive(Clone, Copy, Debug)]
pub struct Labelled<'a> {
    /// Scores of normal samples.
    pub normal: &'a [f64],
    /// Scores of abnormal samples: the positive class.
    pub abnormal: &'a [f64],
}

/// What the decisions came to: the point of a curve where the run stands.
#[derive(Clone, Copy, Debug)]
pub struct OperatingPoint {
    /// Normal samples called abnormal.
    pub false_alarms: usize,
    /// Abnormal samples called abnormal.
    pub found: usize,
}

/// The ROC curve with a 95 % band, the diagonal of chance and the operating point.
///
/// The band is pointwise: at each threshold the rectangle that holds both rates with 95 % (two Wilson intervals at √0.95);
/// `area` is the text of the area under the curve with its interval.
pub fn roc(scores: Labelled<'_>, area: &str, point: Option<OperatingPoint>) -> Chart {
    let (n, m) = (scores.normal.len(), scores.abnormal.len());
    let counts = counts(scores.normal, scores.abnormal);
    let mut plot = Plot::new(
        (Scale::linear(0.0, 1.0), "false alarm rate: share of normal samples"),
        (Scale::linear(0.0, 1.0), "recall: share of abnormal samples found"),
        270.0,
        0.0,
    );
    let (upper, lower) = band(&counts, n, m);
    plot.band("s0", &upper, &lower);
    plot.guide((0.0, 0.0), (1.0, 1.0));
    let line: Vec<_> = counts.iter().map(|c| (share(c.normal, n), share(c.abnormal, m))).collect();
    plot.line("s0", "", &line);
    plot.key(Sign::Line(""), "s0", format!("AUROC {area}").trim_end());
    plot.key(Sign::Band, "s0", "95 % interval of both rates, at each threshold");
    plot.key(Sign::Line("guide"), "", "chance");
    let mut text = format!("ROC curve over {n} normal and {m} abnormal samples. {}", said("AUROC", area));
    if let Some(point) = point {
        let (x, y) = (share(point.false_alarms, n), share(point.found, m));
        plot.dot("abnormal", x, y);
        let words = format!("calibrated threshold: recall {}, false alarms {}", number(y), number(x));
        plot.key(Sign::Dot, "abnormal", &words);
        text.push_str(&format!(" At the {words}."));
    }
    plot.finish("roc", "ROC curve", text, "The nearer to the upper left corner, the better.")
}

/// The ROC curves of two detectors on the same samples; `names` are theirs, `areas` the texts of their areas.
pub fn roc_pair(scores: [Labelled<'_>; 2], names: [&str; 2], areas: [&str; 2]) -> Chart {
    let mut plot = Plot::new(
        (Scale::linear(0.0, 1.0), "false alarm rate: share of normal samples"),
        (Scale::linear(0.0, 1.0), "recall: share of abnormal samples found"),
        270.0,
        0.0,
    );
    plot.guide((0.0, 0.0), (1.0, 1.0));
    let (n, m) = (scores[0].normal.len(), scores[0].abnormal.len());
    let mut text = format!("ROC curves of two detectors over {n} normal and {m} abnormal samples.");
    for (i, labelled) in scores.into_iter().enumerate() {
        let (class, style) = [("s0", ""), ("s1", "dashed")][i];
        let counts = counts(labelled.normal, labelled.abnormal);
        let line: Vec<_> = counts.iter().map(|c| (share(c.normal, n), share(c.abnormal, m))).collect();
        plot.line(class, style, &line);
        plot.key(Sign::Line(style), class, &format!("{}: AUROC {}", names[i], areas[i]));
        text.push_str(&format!(" {}: AUROC {}.", names[i], areas[i]));
    }
    plot.key(Sign::Line("guide"), "", "chance");
    let note = "The nearer to the upper left corner, the better; both saw the same samples.";
    plot.finish("roc-pair", "ROC curves of two runs", text, note)
}

/// The precision-recall curve with the prevalence, which is the precision of chance, and the operating point.
///
/// Drawn in steps, as average precision sums it; `area` is the text of the average precision with its interval.
pub fn precision_recall(scores: Labelled<'_>, area: &str, point: Option<OperatingPoint>) -> Chart {
    let (n, m) = (scores.normal.len(), scores.abnormal.len());
    let prevalence = share(m, n + m);
    let mut plot = Plot::new(
        (Scale::linear(0.0, 1.0), "recall: share of abnormal samples found"),
        (Scale::linear(0.0, 1.0), "precision: share of alarms that are right"),
        270.0,
        0.0,
    );
    plot.horizontal(prevalence);
    plot.line("s0", "", &steps(&counts(scores.normal, scores.abnormal), m));
    plot.key(Sign::Line(""), "s0", format!("AUPRC (average precision) {area}").trim_end());
    plot.key(Sign::Line("guide"), "", &format!("chance: the prevalence, {}", number(prevalence)));
    let mut text =
        format!("Precision-recall curve. {}Prevalence {}.", said("AUPRC", area), number(prevalence));
    if let Some(point) = point {
        let (x, y) = (share(point.found, m), share(point.found, point.found + point.false_alarms));
        plot.dot("abnormal", x, y);
        let words = format!("calibrated threshold: precision {}, recall {}", number(y), number(x));
        plot.key(Sign::Dot, "abnormal", &words);
        text.push_str(&format!(" At the {words}."));
    }
    let note = "Precision depends on how common abnormal samples are; compare it only at equal prevalence.";
    plot.finish("precision-recall", "Precision and recall", text, note)
}

/// The area as a sentence, where it is known.
fn said(name: &str, area: &str) -> String {
    if area.is_empty() { String::new() } else { format!("{name} {area}. ") }
}

type Line = Vec<(f64, f64)>;

/// Corners of the rectangles towards the upper left, and towards the lower right.
fn band(counts: &[Counts], n: usize, m: usize) -> (Line, Line) {
    let (mut upper, mut lower) = (vec![(0.0, 0.0)], vec![(0.0, 0.0)]);
    for c in counts {
        let (x, y) = (wilson_pair(c.normal, n), wilson_pair(c.abnormal, m));
        upper.push((x.0, y.1));
        lower.push((x.1, y.0));
    }
    upper.push((1.0, 1.0));
    lower.push((1.0, 1.0));
    (upper, lower)
}

fn steps(counts: &[Counts], m: usize) -> Line {
    let mut line = Vec::new();
    let mut recall = 0.0;
    for c in counts.iter().skip(1) {
        let precision = share(c.abnormal, c.abnormal + c.normal);
        line.push((recall, precision));
        recall = share(c.abnormal, m);
        line.push((recall, precision));
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_band_holds_the_curve() {
        let (normal, abnormal) = ([0.1, 0.2, 0.3, 0.6], [0.4, 0.5, 0.9]);
        let counts = counts(&normal, &abnormal);
        let (upper, lower) = band(&counts, 4, 3);
        for (c, (up, low)) in counts.iter().zip(upper[1..].iter().zip(&lower[1..])) {
            let (x, y) = (share(c.normal, 4), share(c.abnormal, 3));
            assert!(up.0 <= x && x <= low.0 && low.1 <= y && y <= up.1);
        }
        assert!(upper.windows(2).all(|w| w[0].0 <= w[1].0 && w[0].1 <= w[1].1));
    }

    #[test]
    fn precision_stands_over_the_recall_it_reaches() {
        // Scores 0.9 (abnormal), 0.8 (normal), 0.7 (abnormal): average precision = 1/2 · 1 + 1/2 · 2/3.
        let line = steps(&counts(&[0.8], &[0.9, 0.7]), 2);
        let area: f64 = line.windows(2).map(|w| (w[1].0 - w[0].0) * w[1].1).sum();
        assert!((area - 5.0 / 6.0).abs() < 1e-12, "{area}");
    }

    #[test]
    fn the_operating_point_is_said_in_words() {
        let scores = Labelled { normal: &[0.1, 0.2, 0.3, 0.6], abnormal: &[0.4, 0.9] };
        let point = OperatingPoint { false_alarms: 1, found: 1 };
        let chart = roc(scores, "0.875 [0.5, 1]", Some(point));
        assert!(chart.description.contains("recall 0.5, false alarms 0.25"), "{}", chart.description);
        assert!(
            precision_recall(scores, "0.9", Some(point)).description.contains("precision 0.5, recall 0.5")
        );
    }
}
