//! How it learned: losses, watched sets, notes, and pictures that were drawn on the way.

use maud::{Markup, html};

use super::{Charts, figures, missing};
use crate::report::folder::Folder;
use crate::report::format::{count, duration};
use crate::report::log::{Log, Phase};

/// Notes that are listed; the others are counted.
const MOST_NOTES: usize = 40;

pub(super) fn body(folder: &Folder, charts: &Charts) -> Markup {
    let Some(log) = folder.log.get() else {
        return missing(&folder.log.problem("log.jsonl").unwrap_or_default());
    };
    html! {
        @if log.phases.is_empty() { (missing("log.jsonl tells of no phase.")) }
        @if !log.done { (missing("The log does not say that the run came to its end.")) }
        @if log.n_resumes > 0 { p { "The run was interrupted and taken up again " (count(log.n_resumes as u64)) " times." } }
        @for (phase, drawn) in log.phases.iter().zip(&charts.training) {
            h3 { "Phase " (phase.name) }
            p { (phase_words(phase)) }
            (figures(drawn))
        }
        (notes(log))
    }
}

fn phase_words(phase: &Phase) -> String {
    let epochs = if phase.n_epochs == 1 { "epoch" } else { "epochs" };
    let mut said = format!("{} {epochs}", count(phase.n_epochs as u64));
    if phase.seconds > 0.0 {
        let each = duration(phase.seconds / phase.n_epochs.max(1) as f64);
        said.push_str(&format!(" in {}, {each} each", duration(phase.seconds)));
    }
    said + "."
}

fn notes(log: &Log) -> Markup {
    let rest = log.notes.len().saturating_sub(MOST_NOTES);
    html! {
        @if !log.notes.is_empty() {
            h3 { "Notes" }
            ul { @for note in log.notes.iter().take(MOST_NOTES) { li { (note) } } }
            @if rest > 0 { p { (count(rest as u64)) " more in log.jsonl." } }
        }
    }
}
