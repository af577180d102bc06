//! How it looks: ROC, precision and recall, scores by label, by class and by part.

use maud::{Markup, html};

use super::{Charts, figures, missing};
use crate::report::folder::Folder;
use crate::report::format::count;

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
        @if !charts.parts.is_empty() {
            h3 { "Parts of the score" }
            (figures(&charts.parts))
        }
    }
}
