//! A threshold that the reader moves, with the confusion matrix that it would have given on the test samples.

use crate::report::folder::Folder;
use crate::report::format::count;
use maud::{Markup, html};

/// Thresholds that are taken from the scores of each class, at most.
const PER_CLASS: usize = 200;

/// What moves it; it runs on data attributes of numbers only.
pub(in crate::report) const SCRIPT: &str = include_str!("../slider.js");

/// A threshold, and how many samples of each class are above it.
#[derive(Debug, PartialEq)]
struct Step {
    threshold: f64,
    alarms: usize,
    found: usize,
}

/// The slider where both classes are known; it stands hidden until the script shows it.
pub(super) fn slider(folder: &Folder) -> Markup {
    let Some(scores) = folder.scores.get() else { return html! {} };
    let calibrated =
        super::threshold(folder).map(|threshold| threshold.value).filter(|value| value.is_finite());
    let [normal, abnormal] = [false, true].map(|abnormal| {
        let mut values = scores.values(abnormal, |sample| Some(sample.score));
        values.sort_by(f64::total_cmp);
        values
    });
    if normal.is_empty() || abnormal.is_empty() {
        return html! {};
    }
    let (steps, at) = steps(&normal, &abnormal, calibrated);
    let numbers: Vec<(f64, usize, usize)> =
        steps.iter().map(|step| (step.threshold, step.alarms, step.found)).collect();
    let numbers = serde_json::to_string(&numbers).unwrap_or_default();
    let cell = |name: &str, class: &str| html! { td class=(class) data-cell=(name) { "0" small {} } };
    let of =
        |name: &str, n: usize| html! { th scope="row" { (name) small { (count(n as u64)) " samples" } } };
    html! {
        div class="slider" hidden data-steps=(numbers) data-normal=(normal.len()) data-abnormal=(abnormal.len()) data-at=(at) data-calibrated[calibrated.is_some()] {
            h3 { "Another threshold" }
            p { "What it would have decided on these test samples. It looks at their labels: to see what a threshold costs, not to set one." }
            label for="threshold-slider" { "Threshold" }
            input type="range" id="threshold-slider" min="0" max=(steps.len() - 1) value=(at) step="1";
            output for="threshold-slider" {}
            table class="matrix" {
                caption { "Confusion matrix of the test samples at this threshold." }
                thead { tr { td {} th scope="col" class="n" { "called abnormal" } th scope="col" class="n" { "called normal" } } }
                tbody {
                    tr { (of("abnormal", abnormal.len())) (cell("found", "n right")) (cell("missed", "n wrong")) }
                    tr { (of("normal", normal.len())) (cell("alarms", "n wrong")) (cell("quiet", "n right")) }
                }
            }
            button type="button" {
                @if calibrated.is_some() { "Back to the calibrated threshold" } @else { "Back to the highest score" }
            }
        }
    }
}

/// Rising thresholds, from one that calls everything abnormal to one that calls nothing so, and where the calibrated one is among
/// them; where there is none, the last. Both lists of scores are sorted.
fn steps(normal: &[f64], abnormal: &[f64], calibrated: Option<f64>) -> (Vec<Step>, usize) {
    let lowest = normal[0].min(abnormal[0]).next_down();
    let mut thresholds: Vec<f64> = [lowest].into_iter().chain(calibrated).collect();
    for scores in [normal, abnormal] {
        let n = scores.len().min(PER_CLASS);
        thresholds.extend((0..n).map(|i| scores[i * (scores.len() - 1) / (n - 1).max(1)]));
    }
    thresholds.extend([normal, abnormal].map(|scores| scores[scores.len() - 1]));
    thresholds.sort_by(f64::total_cmp);
    thresholds.dedup();
    let above = |scores: &[f64], threshold: f64| scores.len() - scores.partition_point(|&s| s <= threshold);
    let last = thresholds.len() - 1;
    let at = calibrated.map_or(last, |calibrated| thresholds.partition_point(|&value| value < calibrated));
    let step = |&threshold: &f64| Step {
        threshold,
        alarms: above(normal, threshold),
        found: above(abnormal, threshold),
    };
    (thresholds.iter().map(step).collect(), at)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_reach_from_everything_to_nothing_and_hold_the_calibrated_one() {
        let (steps, at) = steps(&[1.0, 2.0, 3.0], &[2.5, 4.0], Some(2.6));
        let counts: Vec<_> = steps.iter().map(|step| (step.alarms, step.found)).collect();
        assert_eq!(counts, [(3, 2), (2, 2), (1, 2), (1, 1), (1, 1), (0, 1), (0, 0)]);
        assert_eq!(steps[at], Step { threshold: 2.6, alarms: 1, found: 1 });
        // A sample at the threshold is not above it, and equal scores are one step.
        let (steps, at) = self::steps(&[1.0; 5], &[1.0], Some(1.0));
        assert_eq!((steps.len(), at), (2, 1));
        assert_eq!((steps[0].alarms, steps[1].alarms, steps[1].found), (5, 0, 0));
    }

    #[test]
    fn many_scores_are_thinned_to_their_quantiles() {
        let normal: Vec<f64> = (0..100_000).map(f64::from).collect();
        let (steps, at) = steps(&normal, &[99_999.5], None);
        assert!(steps.len() <= PER_CLASS + 4, "{}", steps.len());
        assert_eq!((at, steps[at].alarms, steps[at].found), (steps.len() - 1, 0, 0));
    }
}
