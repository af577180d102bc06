//! How it looks: ROC, precision and recall, scores by label, by class and by part.

use maud::{Markup, html};

use super::{Charts, figures, missing};
use crate::report::folder::Folder;
use crate::report::format::{count, metric, percent};
use crate::report::metrics::ClassRow;

pub(super) fn body(folder: &Folder, charts: &Charts) -> Markup {
    let Some(scores) = folder.scores.get() else {
        return missing(&folder.scores.problem("scores.csv").unwrap_or_default());
    };
    let main = [&charts.roc, &charts.precision_recall, &charts.histogram, &charts.distributions];
    html! {
        @if scores.test.is_empty() { (missing("scores.csv has no test samples.")) }
        @if charts.roc.is_none() && !scores.test.is_empty() {
            (missing("ROC and precision-recall curves need test samples of both labels; these are of one, or of none."))
        }
        @if scores.n_unreadable > 0 {
            (missing(&format!("{} rows of scores.csv have no finite score and are left out.", count(scores.n_unreadable as u64))))
        }
        (figures(main.into_iter().flatten()))
        @if let Some(rows) = folder.metrics.get().map(|m| &m.by_class).filter(|rows| !rows.is_empty()) {
            (by_class(rows))
        }
        @if !charts.parts.is_empty() {
            h3 { "Parts of the score" }
            (figures(&charts.parts))
        }
    }
}

/// How each class fared: the means and maxima of the errors, and what was flagged.
fn by_class(rows: &[ClassRow]) -> Markup {
    let score = |value: Option<f64>| value.map_or_else(|| "–".to_owned(), |value| format!("{value:.4}"));
    html! {
        details {
            summary { "By class" }
            table {
                caption { "Test samples by class. Positive = abnormal; AUROC is that of the class against all normals." }
                thead { tr {
                    th scope="col" { "Class" } th scope="col" class="n" { "Samples" } th scope="col" class="n" { "Flagged" }
                    th scope="col" class="n" { "AUROC" } th scope="col" class="n" { "Mean score" } th scope="col" class="n" { "Highest" }
                } }
                tbody { @for row in rows { tr {
                    th scope="row" { (row.class) small { @if row.abnormal { "abnormal" } @else { "normal" } } }
                    td class="n" { (count(row.n)) }
                    td class="n" { (row.flagged.map_or_else(|| "–".to_owned(), percent)) }
                    td class="n" { (row.auroc.map_or_else(|| "–".to_owned(), metric)) }
                    td class="n" { (score(row.mean)) }
                    td class="n" { (score(row.highest)) }
                } } }
            }
        }
    }
}
