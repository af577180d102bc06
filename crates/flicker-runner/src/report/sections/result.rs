//! How good: the headline numbers and what they rest on.

use maud::{Markup, html};

use super::missing;
use crate::report::folder::Folder;
use crate::report::format::{bytes, count, duration, metric, percent};
use crate::report::metrics::{Estimate, Metrics};

pub(super) fn body(folder: &Folder) -> Markup {
    let Some(metrics) = folder.metrics.get() else {
        let why = folder.metrics.problem("metrics.json").unwrap_or_default();
        return html! {
            (missing(&format!("{why} So there are no numbers to head this page.")))
            p { (sample_sentence(folder)) }
        };
    };
    html! {
        @if metrics.auroc.is_some() || metrics.auprc.is_some() || metrics.f1.is_some() {
            (headline(metrics))
        } @else {
            (missing("AUROC, AUPRC and F1 are not defined here: they need test samples of both labels."))
        }
        p { (sample_sentence(folder)) " " (cost_sentence(metrics)) }
        (table(metrics))
    }
}

/// The few numbers that are read first.
fn headline(metrics: &Metrics) -> Markup {
    let prevalence = metrics.prevalence.map(|p| format!("chance: {}, the prevalence", metric(p.value)));
    let tiles = [
        ("AUROC", metrics.auroc, Some("chance: 0.500".to_owned())),
        ("AUPRC", metrics.auprc, prevalence),
        ("F1", metrics.f1, Some("at the calibrated threshold".to_owned())),
        ("Recall", metrics.recall, Some("abnormal samples found".to_owned())),
    ];
    html! {
        dl class="tiles" {
            @for (name, value, note) in &tiles {
                @if let Some(value) = value {
                    div {
                        dt { (name) }
                        dd {
                            strong { (metric(value.value)) }
                            @if let Some(interval) = value.interval() { " " span class="interval" { (interval) } }
                            @if let Some(note) = note { small { (note) } }
                        }
                    }
                }
            }
        }
        p class="small" { "In brackets: 95\u{a0}% interval. Positive = abnormal." }
    }
}

/// What the model was trained and tested on.
fn sample_sentence(folder: &Folder) -> String {
    let Some(data) = folder.data.get() else {
        return "What data the run used is not recorded.".to_owned();
    };
    let name = if data.name.is_empty() { "unnamed data" } else { &data.name };
    let mut said =
        format!("Data: {name}, {}", if data.origin.is_empty() { "of unknown origin" } else { &data.origin });
    if let Some(n) = data.n_train {
        said.push_str(&format!("; {} for training", count(n)));
    }
    if let Some(n) = data.n_validation {
        said.push_str(&format!(", {} for validation", count(n)));
    }
    if let Some(n) = data.n_test {
        said.push_str(&format!(", {} for the test", count(n)));
        if let Some(abnormal) = data.n_abnormal {
            let share = if n == 0 { 0.0 } else { abnormal as f64 / n as f64 };
            said.push_str(&format!(", of which {} ({}) are abnormal", count(abnormal), percent(share)));
        }
    }
    said + "."
}

fn cost_sentence(metrics: &Metrics) -> String {
    let seconds = metrics.seconds;
    let parts = [
        ("for training", seconds.train.or(metrics.seconds_train)),
        ("for scoring", seconds.score.or(metrics.seconds_score)),
        ("in all", seconds.total),
    ];
    let times: Vec<String> =
        parts.iter().filter_map(|(what, s)| s.map(|s| format!("{} {what}", duration(s)))).collect();
    let memory = metrics.peak_memory_bytes.map(|n| format!("Memory at the peak: {}.", bytes(n)));
    let times = (!times.is_empty()).then(|| format!("It took {}.", times.join(", ")));
    times.into_iter().chain(memory).collect::<Vec<_>>().join(" ")
}

fn table(metrics: &Metrics) -> Markup {
    let rows: [(&str, &str, Option<Estimate>); 10] = [
        ("AUROC", "a random abnormal sample scores above a random normal one", metrics.auroc),
        ("AUPRC", "average precision", metrics.auprc),
        ("F1", "at the calibrated threshold", metrics.f1),
        ("Precision", "share of alarms that are right", metrics.precision),
        ("Recall", "share of abnormal samples found", metrics.recall),
        ("Specificity", "share of normal samples left alone", metrics.specificity),
        ("MCC", "Matthews correlation, 0 is chance", metrics.mcc),
        ("FPR at 95\u{a0}% TPR", "false alarms when 95\u{a0}% are to be found", metrics.fpr_at_95_tpr),
        ("EER", "where false alarms and misses are equally frequent", metrics.eer),
        ("Prevalence", "share of abnormal samples in the test", metrics.prevalence),
    ];
    if rows.iter().all(|row| row.2.is_none()) {
        return html! {};
    }
    html! {
        details open {
            summary { "All numbers" }
            table {
                caption { "Metrics on the test samples. Positive = abnormal." }
                thead { tr { th scope="col" { "Metric" } th scope="col" class="n" { "Value" } th scope="col" class="n" { "95\u{a0}% interval" } } }
                tbody {
                    @for (name, meaning, value) in &rows {
                        @if let Some(value) = value {
                            tr {
                                th scope="row" { (name) small { (meaning) } }
                                td class="n" { (metric(value.value)) }
                                td class="n" { (value.interval().unwrap_or_else(|| "–".to_owned())) }
                            }
                        }
                    }
                }
            }
        }
    }
}
