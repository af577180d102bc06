//! The sections of the page, in the order of a reader's questions: how good, what is decided, how it looks, where it goes
//! wrong, how it learned, from what, and how to do it again.

mod curves;
mod data;
mod decision;
mod gallery;
mod pixels;
mod repeat;
mod result;
pub(super) mod slider;
mod training;
mod weighting;

use maud::{Markup, html};
use std::collections::BTreeSet;

use super::folder::Folder;
use crate::charts::{self, Chart, Labelled, OperatingPoint, Section, Threshold};

/// All charts of a run, with ids that differ.
#[derive(Default)]
pub(super) struct Charts {
    pub(super) roc: Option<Chart>,
    pub(super) precision_recall: Option<Chart>,
    pub(super) histogram: Option<Chart>,
    pub(super) distributions: Option<Chart>,
    pub(super) promise: Option<Chart>,
    pub(super) parts: Vec<Chart>,
    pub(super) weighting: Option<Chart>,
    /// The charts of each phase, in order.
    pub(super) training: Vec<Vec<Chart>>,
}

/// The sections, in order.
pub(super) fn all(folder: &Folder, charts: &Charts) -> Vec<Section> {
    let section = |id: &str, title: &str, body| Section { id: id.to_owned(), title: title.to_owned(), body };
    let mut sections = vec![
        section("result", "Result", result::body(folder)),
        section("decision", "Decision", decision::body(folder, charts)),
        section("curves", "Curves", curves::body(folder, charts)),
        section("errors", "Where it goes wrong", gallery::body(folder)),
        section("training", "Training", training::body(folder, charts)),
        section("data", "Data and configuration", data::body(folder)),
        section("repeat", "How to repeat", repeat::body(folder)),
    ];
    if let Some(pixels) = folder.metrics.get().and_then(|metrics| metrics.pixels.as_ref()) {
        sections.insert(3, section("pixels", "Where it is abnormal", pixels::body(pixels)));
    }
    if weighting::wanted(folder) {
        sections.insert(3, section("weighting", "Parts weighed", weighting::body(folder, charts)));
    }
    sections
}

impl Charts {
    /// Draws what the folder has the numbers for.
    pub(super) fn draw(folder: &Folder) -> Self {
        let mut charts = Self::default();
        charts.draw_scores(folder);
        if let Some(rows) = folder.weighting.get().filter(|rows| !rows.is_empty()) {
            let [first, second] = weighting::parts(folder);
            charts.weighting = Some(charts::weighting([&first, &second], &weighting::lines(rows)));
        }
        for phase in folder.log.get().map_or(&[][..], |log| &log.phases) {
            let mut drawn = charts::losses(&phase.name, &phase.losses);
            if !phase.watched.is_empty() {
                drawn.push(charts::watched(&phase.name, &phase.watched));
            }
            charts.training.push(drawn);
        }
        let mut taken = BTreeSet::new();
        for chart in charts.all_mut() {
            let stem = chart.slug.clone();
            for n in 2.. {
                if taken.insert(chart.slug.clone()) {
                    break;
                }
                chart.slug = format!("{stem}-{n}");
            }
        }
        charts
    }

    /// Every chart.
    pub(super) fn all(&self) -> impl Iterator<Item = &Chart> {
        let single = [
            &self.roc,
            &self.precision_recall,
            &self.histogram,
            &self.distributions,
            &self.promise,
            &self.weighting,
        ];
        single.into_iter().flatten().chain(&self.parts).chain(self.training.iter().flatten())
    }

    fn all_mut(&mut self) -> impl Iterator<Item = &mut Chart> {
        let single = [
            &mut self.roc,
            &mut self.precision_recall,
            &mut self.histogram,
            &mut self.distributions,
            &mut self.promise,
            &mut self.weighting,
        ];
        single.into_iter().flatten().chain(&mut self.parts).chain(self.training.iter_mut().flatten())
    }

    fn draw_scores(&mut self, folder: &Folder) {
        let Some(scores) = folder.scores.get().filter(|scores| !scores.test.is_empty()) else { return };
        let threshold = threshold(folder);
        let sides = [false, true].map(|abnormal| scores.values(abnormal, |s| Some(s.score)));
        let labelled = Labelled { normal: &sides[0], abnormal: &sides[1] };
        self.distributions = Some(charts::distributions(&scores.groups(), threshold));
        if !sides.concat().is_empty() {
            self.histogram = Some(charts::score_histogram(labelled, threshold));
        }
        if sides.iter().all(|side| !side.is_empty()) {
            let point = scores
                .confusion()
                .map(|c| OperatingPoint { false_alarms: c.fp as usize, found: c.tp as usize });
            let text = |pick: fn(&super::metrics::Metrics) -> Option<super::metrics::Estimate>| {
                folder.metrics.get().and_then(pick).map_or_else(String::new, super::metrics::Estimate::text)
            };
            self.roc = Some(charts::roc(labelled, &text(|m| m.auroc), point));
            self.precision_recall = Some(charts::precision_recall(labelled, &text(|m| m.auprc), point));
        }
        let p_values = scores.values(false, |s| s.p_value);
        if !p_values.is_empty() {
            self.promise = Some(charts::promise(&p_values, alpha(folder)));
        }
        for (i, name) in scores.parts.iter().enumerate() {
            let sides = [false, true].map(|abnormal| scores.values(abnormal, |s| s.parts[i]));
            if !sides.concat().is_empty() {
                let labelled = Labelled { normal: &sides[0], abnormal: &sides[1] };
                self.parts.push(charts::part_histogram(name, labelled));
            }
        }
    }
}

/// The calibrated threshold.
fn threshold(folder: &Folder) -> Option<Threshold> {
    let calibrated = folder.calibration.get().and_then(|c| c.threshold);
    let value = calibrated.or_else(|| folder.metrics.get().and_then(|m| m.threshold))?;
    Some(Threshold { value, alpha: alpha(folder) })
}

/// The false alarm rate that the threshold was set for.
fn alpha(folder: &Folder) -> Option<f64> {
    folder
        .calibration
        .get()
        .and_then(|c| c.method.alpha)
        .or_else(|| folder.metrics.get().and_then(|m| m.alpha))
}

/// A chart with its note.
fn figure(chart: &Chart) -> Markup {
    html! {
        figure class="chart-box" {
            (chart.inline())
            @if !chart.note.is_empty() { figcaption { (chart.note) } }
        }
    }
}

/// Charts beside each other where there is room.
fn figures<'a>(charts: impl IntoIterator<Item = &'a Chart>) -> Markup {
    html! { div class="charts" { @for chart in charts { (figure(chart)) } } }
}

/// A sentence about something that is not there.
fn missing(sentence: &str) -> Markup {
    html! { p class="missing" { (sentence) } }
}

/// A table of two columns: what, and its value. Rows without a value are left out.
fn facts(caption: &str, rows: &[(&str, Option<String>)]) -> Markup {
    html! {
        table class="facts" {
            caption { (caption) }
            tbody {
                @for (name, value) in rows {
                    @if let Some(value) = value.as_ref().filter(|v| !v.is_empty()) {
                        tr { th scope="row" { (name) } td { (value) } }
                    }
                }
            }
        }
    }
}
