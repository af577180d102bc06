//! How to do it again: the command line, and what must be the same for the same bytes.

use maud::{Markup, html};

use super::{facts, missing};
use crate::report::folder::Folder;

pub(super) fn body(folder: &Folder) -> Markup {
    let Some(model) = folder.config(&["model"]) else {
        return missing("config.toml does not name a model, so no command can be given.");
    };
    let seed = folder.config(&["run", "seed"]);
    let seed = seed.or_else(|| folder.metrics.get().and_then(|m| m.seed).map(|s| s.to_string()));
    let again = match &seed {
        Some(seed) => {
            format!("cargo run --release -p {model}-train -- config.toml --seed {seed} --out again")
        }
        None => format!("cargo run --release -p {model}-train -- config.toml --out again"),
    };
    let given = folder.config(&["run", "command"]);
    let run = |key: &str| folder.config(&["run", key]);
    let rows = [
        ("seed", seed.clone()),
        ("device", run("device")),
        ("threads", run("threads")),
        ("version", run("version")),
        ("commit", run("commit")),
        ("machine", run("machine")),
        ("started", run("started")),
    ];
    html! {
        @if let Some(given) = given { p { "This run was started by" } (command(&given)) }
        p { "From the repository, with the " code { "config.toml" } " of this folder:" }
        (command(&again))
        p { "The same seed, machine and binary give the same bytes of weights and scores, for any number of threads." }
        (facts("What the run was made with.", &rows))
    }
}

/// A command that breaks between its words, not at a hyphen.
fn command(line: &str) -> Markup {
    html! { pre { code { @for word in line.split_whitespace() { span { (word) } " " } } } }
}
