//! The page around sections: head, navigation, colours.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use maud::{DOCTYPE, Markup, PreEscaped, html};
use sha2::{Digest, Sha256};

const STYLE: &str = include_str!("page.css");
/// Nothing is loaded and nothing runs but the page's own script, whatever text from a file may have smuggled in.
const POLICY: &str = "default-src 'none'; img-src data:; style-src 'unsafe-inline'";

/// A page: one HTML file with everything in it.
#[derive(Clone, Debug)]
pub struct Page {
    /// What kind of page it is, above its title.
    pub kind: String,
    /// Its title.
    pub title: String,
    /// What stands below all sections.
    pub foot: String,
    /// What runs when everything stands. Browsers let it run by its hash, and nothing else.
    pub script: Option<&'static str>,
    /// The sections, in order; the navigation links to each.
    pub sections: Vec<Section>,
}

/// One section of a page.
#[derive(Clone, Debug)]
pub struct Section {
    /// Its id: letters, digits and hyphens.
    pub id: String,
    /// Its heading.
    pub title: String,
    /// What stands in it.
    pub body: Markup,
}

impl Page {
    /// The HTML.
    pub fn render(&self) -> Markup {
        let Self { kind, title, foot, script, sections } = self;
        let first = sections.first().map_or("", |section| &section.id);
        html! {
            (DOCTYPE)
            html lang="en" {
                head {
                    meta charset="utf-8";
                    meta http-equiv="Content-Security-Policy" content=(policy(*script));
                    meta name="viewport" content="width=device-width, initial-scale=1";
                    meta name="color-scheme" content="light dark";
                    meta name="generator" content="flicker";
                    title { (title) " · " (kind.split(" · ").next().unwrap_or_default()) }
                    style { (PreEscaped(STYLE)) (PreEscaped(super::STYLE)) }
                }
                body {
                    a class="skip" href={ "#" (first) } { "Skip to the result" }
                    header {
                        p class="kind" { (kind) }
                        h1 { (title) }
                        nav aria-label="Sections" {
                            ul { @for section in sections { li { a href={ "#" (section.id) } { (section.title) } } } }
                        }
                    }
                    main { @for section in sections { (section.render()) } }
                    @if let Some(script) = script { script { (PreEscaped(script)) } }
                    footer { p { "Higher score = more abnormal. Positive = the abnormal class, in every table. " (foot) } }
                }
            }
        }
    }
}

/// The policy, with the hash of what may run.
fn policy(script: Option<&str>) -> String {
    let allowed =
        script.map(|script| format!("; script-src 'sha256-{}'", STANDARD.encode(Sha256::digest(script))));
    format!("{POLICY}{}", allowed.unwrap_or_default())
}

impl Section {
    fn render(&self) -> Markup {
        let heading = format!("{}-heading", self.id);
        html! {
            section id=(self.id) aria-labelledby=(heading) {
                h2 id=(heading) { (self.title) }
                (self.body)
            }
        }
    }
}
