//! How it learned: losses, watched sets, notes, and pictures that were drawn on the way.

use maud::{Markup, html};

use super::{Charts, figures, missing};
use crate::report::folder::Folder;
use crate::report::format::{count, duration};
use crate::report::log::{Log, Phase};

/// Notes that are seen at once, and notes that are listed at all.
const NOTES: (usize, usize) = (6, 200);

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
    let listed = &log.notes[..log.notes.len().min(NOTES.1)];
    let (first, more) = listed.split_at(listed.len().min(NOTES.0));
    let list = |notes: &[String]| html! { ul { @for note in notes { li { (note) } } } };
    let rest = log.notes.len() - listed.len();
    html! {
        @if !log.notes.is_empty() {
            h3 { "Notes" }
            (list(first))
            @if !more.is_empty() { details { summary { (count(more.len() as u64)) " more" } (list(more)) } }
            @if rest > 0 { p { (count(rest as u64)) " more in log.jsonl." } }
        }
    }
}
