//! The page around the sections: what it is called, and what made the run.

use maud::Markup;

use super::folder::Folder;
use super::sections::{self, Charts};
use crate::charts::Page;

/// The whole page.
pub(super) fn page(folder: &Folder, charts: &Charts) -> Markup {
    let model = folder.config(&["model"]).map(|model| format!(" · {model}")).unwrap_or_default();
    let page = Page {
        kind: format!("flicker report{model}"),
        title: folder.title(),
        foot: made_by(folder),
        script: Some(sections::slider::SCRIPT),
        sections: sections::all(folder, charts),
    };
    page.render()
}

fn made_by(folder: &Folder) -> String {
    let version = folder.config(&["run", "version"]).map(|v| format!("flicker {v}"));
    let commit = folder.config(&["run", "commit"]).map(|c| format!("commit {c}"));
    let made: Vec<_> = version.into_iter().chain(commit).collect();
    if made.is_empty() { String::new() } else { format!("Run made by {}.", made.join(", ")) }
}
