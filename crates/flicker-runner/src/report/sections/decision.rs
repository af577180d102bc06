//! What is decided: the threshold in words, the confusion matrix, and whether the p-values keep their promise.

use maud::{Markup, html};

use super::slider::slider;
use super::{Charts, alpha, figure, missing, threshold};
use crate::charts::wilson_95;
use crate::report::folder::Folder;
use crate::report::format::{count, json_value, metric, percent, words};
use crate::report::metrics::Confusion;

pub(super) fn body(folder: &Folder, charts: &Charts) -> Markup {
    let confusion = confusion(folder);
    html! {
        (threshold_words(folder, confusion))
        div class="charts" {
            div {
                @match confusion {
                    Some(confusion) => (matrix(confusion)),
                    None => (unlabelled(folder)),
                }
            }
            @if let Some(promise) = &charts.promise { (figure(promise)) }
        }
        (slider(folder))
        (both_classes(folder))
        (nearest_corner(folder))
    }
}

/// Either class as the positive one: sources differ, and some do not say.
fn both_classes(folder: &Folder) -> Markup {
    let rows = folder.metrics.get().map_or(&[][..], |metrics| &metrics.both_classes);
    if rows.is_empty() {
        return html! {};
    }
    html! {
        details {
            summary { "Either class as the positive one" }
            table {
                caption { "Precision, recall and F1 by which class is positive. Everywhere else on this page it is the abnormal one." }
                thead { tr {
                    th scope="col" { "Threshold" } th scope="col" { "Positive" } th scope="col" class="n" { "Precision" }
                    th scope="col" class="n" { "Recall" } th scope="col" class="n" { "F1" } th scope="col" class="n" { "Samples" }
                } }
                tbody { @for row in rows { tr {
                    th scope="row" { (row.at) } td { (row.positive) } td class="n" { (metric(row.precision)) }
                    td class="n" { (metric(row.recall)) } td class="n" { (metric(row.f1)) } td class="n" { (count(row.n)) }
                } } }
            }
        }
    }
}

fn confusion(folder: &Folder) -> Option<Confusion> {
    let reported = folder.metrics.get().and_then(|m| m.confusion);
    reported.or_else(|| folder.scores.get().and_then(|s| s.confusion()))
}

/// Where the threshold comes from, what it promises, and what came.
fn threshold_words(folder: &Folder, confusion: Option<Confusion>) -> Markup {
    let Some(threshold) = threshold(folder) else {
        let support = support(folder);
        if !support.is_empty() {
            return missing(&format!(
                "No threshold keeps such a rate of false alarms, so nothing is called abnormal. {support}"
            ));
        }
        let why = folder.calibration.problem("calibration.json").unwrap_or_default();
        return missing(&format!("No threshold is known. {why}"));
    };
    html! {
        p {
            "A sample is called abnormal when its score is above the threshold "
            strong { (crate::charts::number(threshold.value)) } ". " (origin(folder)) " " (support(folder))
        }
        @if let Some(c) = confusion.filter(|c| c.fp + c.tn > 0) {
            @let n = c.fp + c.tn;
            @let (low, high) = wilson_95(c.fp as usize, n as usize);
            p {
                "Observed on the test: " (count(c.fp)) " of " (count(n)) " normal samples raised a false alarm, "
                strong { (percent(c.fp as f64 / n as f64)) } " (95\u{a0}% interval " (percent(low)) " to " (percent(high)) ")."
            }
        }
    }
}

fn origin(folder: &Folder) -> String {
    let calibration = folder.calibration.get();
    let kind = calibration.map_or("", |c| c.method.kind.as_str());
    let n = calibration.and_then(|c| c.n).or_else(|| folder.metrics.get().and_then(|m| m.n_validation));
    let from = n.map_or(String::new(), |n| format!(", from {} validation normals", count(n)));
    match alpha(folder) {
        Some(alpha) if !kind.contains("f1") => {
            let kind = if kind.is_empty() { String::new() } else { format!(" ({})", words(kind)) };
            format!(
                "It was set so that about {} of normal samples raise a false alarm{from}{kind}; no test sample had a say.",
                percent(alpha)
            )
        }
        _ if kind.is_empty() => "How it was set is not recorded.".to_owned(),
        _ => format!("It was set by: {}{from}.", words(kind)),
    }
}

/// What range of true rates so many validation samples can vouch for.
fn support(folder: &Folder) -> String {
    let n = folder.calibration.get().and_then(|c| c.n);
    let Some((n, alpha)) = n.zip(alpha(folder)).filter(|(n, _)| *n > 0) else { return String::new() };
    if alpha * ((n + 1) as f64) < 1.0 {
        let least = percent(1.0 / (n + 1) as f64);
        return format!(
            "That is fewer than such a rate needs: {n} validation normals support {least} at the least."
        );
    }
    let exact = folder.metrics.get().and_then(|m| m.false_alarms?.interval);
    let (low, high) = exact.unwrap_or_else(|| wilson_95((alpha * n as f64).round() as usize, n as usize));
    format!(
        "With so many validation samples, the true rate lies between about {} and {}.",
        percent(low),
        percent(high)
    )
}

fn matrix(c: Confusion) -> Markup {
    let row = |name: &str, alarms: u64, quiet: u64, right_first: bool| {
        let n = alarms + quiet;
        let share = |k: u64| if n == 0 { String::new() } else { percent(k as f64 / n as f64) };
        let class = |right: bool| if right { "n right" } else { "n wrong" };
        html! {
            tr {
                th scope="row" { (name) small { (count(n)) " samples" } }
                td class=(class(right_first)) { (count(alarms)) small { (share(alarms)) } }
                td class=(class(!right_first)) { (count(quiet)) small { (share(quiet)) } }
            }
        }
    };
    html! {
        table class="matrix" {
            caption { "Confusion matrix of the test samples. Positive = abnormal; shares are of the row." }
            thead { tr { td {} th scope="col" class="n" { "called abnormal" } th scope="col" class="n" { "called normal" } } }
            tbody {
                (row("abnormal", c.tp, c.missed, true))
                (row("normal", c.fp, c.tn, false))
            }
        }
    }
}

fn unlabelled(folder: &Folder) -> Markup {
    let Some(scores) = folder.scores.get() else {
        let why = folder.scores.problem("scores.csv").unwrap_or_default();
        return missing(&format!("{why} So there is no confusion matrix."));
    };
    let n = scores.test.len();
    let flagged = scores.test.iter().filter(|s| s.flagged == Some(true)).count();
    html! {
        (missing("The test samples have no labels (or no decisions), so there is no confusion matrix."))
        @if n > 0 {
            p { (count(flagged as u64)) " of " (count(n as u64)) " samples were called abnormal, " (percent(flagged as f64 / n as f64)) "." }
        }
    }
}

/// The point of the ROC nearest (0, 1): it looks at test labels, and the page says so.
fn nearest_corner(folder: &Folder) -> Markup {
    let Some(point) = folder.metrics.get().and_then(|m| m.nearest_corner.as_ref()) else { return html! {} };
    let value = |v: &serde_json::Value| v.as_f64().map_or_else(|| json_value(v), metric);
    html! {
        details {
            summary { "The point of the ROC nearest to the upper left corner (chosen on test labels: a report, not a threshold)" }
            table class="facts" {
                caption { "What this threshold would have given, had it been known. Positive = abnormal." }
                tbody { @for (name, v) in point { tr { th scope="row" { (words(name)) } td { (value(v)) } } } }
            }
        }
    }
}
