//! Charts as SVG, for pages and as files that can be read alone, and the page that holds them: one file, no network, light and
//! dark. The report of a run and the page of all results are made of it.
//!
//! Why not a plotting library: the one for Rust that is kept up (plotters 0.3) places text without knowing its neighbours,
//! writes fixed colours, and gives neither title nor description to a screen reader. What is needed here is small: two
//! axes, lines, bands and bars, in classes that a style sheet colours for light, dark and paper. So it is written out,
//! 340 units wide, which keeps the text readable on a phone, and every text from a file passes maud's escaping.
//!
//! Colours are those of Okabe and Ito (2008), darkened or lightened to be read as text on either ground; shapes and dashes
//! repeat what they say.

mod curves;
mod experiments;
mod histogram;
mod page;
mod plot;
mod promise;
mod rates;
mod ridges;
mod scale;
mod text;
mod training;
mod weighting;

use maud::{Markup, PreEscaped, html};

pub use curves::{Labelled, OperatingPoint, precision_recall, roc, roc_pair};
pub use experiments::{Case, Costed, FalseAlarms, Line, accuracy_and_time, by_case, false_alarms};
pub use histogram::{Threshold, part_histogram, score_histogram};
pub use page::{Page, Section};
pub use promise::promise;
pub use rates::wilson_95;
pub use ridges::{Group, distributions};
pub use text::number;
pub use training::{Losses, losses, watched};
pub use weighting::{Weighed, weighting};

/// Colours of the charts, light and dark; the page includes it once, a file of its own carries it.
pub const STYLE: &str = include_str!("style.css");

/// A finished chart.
#[derive(Clone, Debug)]
pub struct Chart {
    /// Name of its file and stem of its ids: letters, digits and hyphens.
    pub slug: String,
    /// What it shows, in a few words; drawn above it.
    pub title: String,
    /// What it says, in words and numbers, for those who cannot see it.
    pub description: String,
    /// One or two sentences on how to read it, for beside it; may be empty.
    pub note: String,
    width: f64,
    height: f64,
    body: String,
}

impl Chart {
    /// The SVG element for a page that includes the style sheet of the charts.
    pub fn inline(&self) -> Markup {
        self.element(false)
    }

    /// The SVG file, whole, with its colours.
    pub fn standalone(&self) -> String {
        format!("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n{}\n", self.element(true).into_string())
    }

    fn element(&self, alone: bool) -> Markup {
        let (title, description) = (format!("{}-title", self.slug), format!("{}-text", self.slug));
        let margin = if alone { 12.0 } else { 0.0 };
        let (width, height) = (self.width.round() + 2.0 * margin, self.height.round() + 2.0 * margin);
        html! {
            svg xmlns="http://www.w3.org/2000/svg" class="chart"
                viewBox=(format!("{0} {0} {width} {height}", 0.0 - margin))
                width=[alone.then_some(width * 2.0)] height=[alone.then_some(height * 2.0)]
                role="img" aria-labelledby=(format!("{title} {description}")) {
                title id=(title) { (self.title) }
                desc id=(description) { (self.description) }
                @if alone {
                    style { (PreEscaped(STYLE)) }
                    rect class="paper" x=(0.0 - margin) y=(0.0 - margin) width=(width) height=(height) {}
                }
                (PreEscaped(&self.body))
            }
        }
    }
}
