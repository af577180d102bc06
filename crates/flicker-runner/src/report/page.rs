//! The page around the sections: head, headline, navigation, colours.

use maud::{DOCTYPE, Markup, PreEscaped, html};

use super::folder::Folder;
use super::sections::{self, Charts};
use crate::charts;

const STYLE: &str = include_str!("style.css");
/// Nothing is loaded and nothing runs, whatever a file of the run may have smuggled in.
const POLICY: &str = "default-src 'none'; img-src data:; style-src 'unsafe-inline'";

/// One section of the page.
pub(super) struct Section {
    pub(super) id: &'static str,
    pub(super) title: &'static str,
    pub(super) body: Markup,
}

/// The whole page.
pub(super) fn page(folder: &Folder, charts: &Charts) -> Markup {
    let sections = sections::all(folder, charts);
    let title = folder.title();
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta http-equiv="Content-Security-Policy" content=(POLICY);
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                meta name="generator" content="flicker";
                title { (title) " · flicker report" }
                style { (PreEscaped(STYLE)) (PreEscaped(charts::STYLE)) }
            }
            body {
                a class="skip" href="#result" { "Skip to the result" }
                header {
                    p class="kind" { "flicker report" @if let Some(model) = folder.config(&["model"]) { " · " (model) } }
                    h1 { (title) }
                    nav aria-label="Sections" {
                        ul { @for section in &sections { li { a href={ "#" (section.id) } { (section.title) } } } }
                    }
                }
                main { @for section in &sections { (self::section(section)) } }
                footer { p { "Higher score = more abnormal. Positive = the abnormal class, in every table. " (made_by(folder)) } }
            }
        }
    }
}

fn section(section: &Section) -> Markup {
    let heading = format!("{}-heading", section.id);
    html! {
        section id=(section.id) aria-labelledby=(heading) {
            h2 id=(heading) { (section.title) }
            (section.body)
        }
    }
}

fn made_by(folder: &Folder) -> String {
    let version = folder.config(&["run", "version"]).map(|v| format!("flicker {v}"));
    let commit = folder.config(&["run", "commit"]).map(|c| format!("commit {c}"));
    let made: Vec<_> = version.into_iter().chain(commit).collect();
    if made.is_empty() { String::new() } else { format!("Run made by {}.", made.join(", ")) }
}
