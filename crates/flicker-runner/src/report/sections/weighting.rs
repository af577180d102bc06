//! Two parts of the score weighed against each other.

use maud::{Markup, html};

use super::{Charts, figure, missing};
use crate::charts::Weighed;
use crate::report::folder::Folder;
use crate::report::format::metric;
use crate::weighting::{FILE, FittedOn, Normalisation, Row};

/// Whether the experiment asks for this section.
pub(super) fn wanted(folder: &Folder) -> bool {
    folder.config.get().is_some_and(|config| config.table.contains_key("weighting"))
}

pub(super) fn body(folder: &Folder, charts: &Charts) -> Markup {
    let Some(rows) = folder.weighting.get() else {
        return missing(&folder.weighting.problem(FILE).unwrap_or_default());
    };
    let [first, second] = parts(folder);
    html! {
        p {
            "The score (1 − r) · " (first) " + r · " (second)
            ", each part normalised first, for weights r. The normalisation that counts is fitted on validation normals;"
            " the one fitted on the test set is how a tutorial does it, shown to compare, and no method."
        }
        @if let Some(chart) = &charts.weighting { (figure(chart)) }
        details {
            summary { "All weights" }
            table {
                caption { "Precision, recall and F1 at the ROC point nearest to the corner, which is chosen on test labels." }
                thead { tr {
                    th scope="col" { "Normalised" } th scope="col" class="n" { "r" } th scope="col" class="n" { "AUROC" }
                    th scope="col" class="n" { "P / R / F1, positive = abnormal" }
                    th scope="col" class="n" { "P / R / F1, positive = normal" }
                } }
                tbody { @for row in rows { tr {
                    th scope="row" { (name(row)) }
                    td class="n" { (row.r) }
                    td class="n" { (metric(row.auroc)) }
                    td class="n" { (three([row.precision_abnormal, row.recall_abnormal, row.f1_abnormal])) }
                    td class="n" { (three([row.precision_normal, row.recall_normal, row.f1_normal])) }
                } } }
            }
        }
    }
}

fn three(values: [f64; 3]) -> String {
    values.map(metric).join(" / ")
}

/// Names of the two parts.
pub(super) fn parts(folder: &Folder) -> [String; 2] {
    let table = folder.config.get().and_then(|config| config.table.get("weighting")?.as_table());
    let names = table.and_then(|table| table.get("parts")?.as_array());
    let name = |i: usize| names.and_then(|names| Some(names.get(i)?.as_str()?.to_owned()));
    [name(0).unwrap_or_else(|| "first part".into()), name(1).unwrap_or_else(|| "second part".into())]
}

/// The rows as lines of a chart.
pub(super) fn lines(rows: &[Row]) -> Vec<Weighed> {
    let mut lines: Vec<Weighed> = Vec::new();
    for row in rows {
        let (name, point) = (name(row), (row.r, row.auroc));
        match lines.iter_mut().find(|line| line.name == name) {
            Some(line) => line.points.push(point),
            None => {
                let peeks = row.fitted_on == FittedOn::Test;
                lines.push(Weighed { name, peeks, points: vec![point] });
            }
        }
    }
    lines
}

fn name(row: &Row) -> String {
    let how = match row.normalisation {
        Normalisation::Standard => "standard",
        Normalisation::MinMax => "min–max",
    };
    match row.fitted_on {
        FittedOn::Validation => format!("{how}, by validation normals"),
        FittedOn::Test => format!("{how}, by the test set"),
    }
}
