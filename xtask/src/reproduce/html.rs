//! `results/index.html`: the tables with plots, in one file that needs no network.

use super::markdown::made_on;
use super::summary::{EntrySummary, Summary};
use super::tables::{self, Table};
use flicker_charts::{
    Case, Chart, Costed, FalseAlarms, Line, Page, Section, accuracy_and_time, by_case, false_alarms,
};
use maud::{Markup, html};
use std::collections::BTreeMap;

/// The page, for all suites.
pub(super) fn page(summaries: &[Summary<'_>]) -> String {
    let mut sections =
        vec![Section { id: "suites".into(), title: "Suites".into(), body: overview(summaries) }];
    sections.extend(summaries.iter().map(|summary| Section {
        id: summary.suite.name.clone(),
        title: summary.suite.title.clone(),
        body: section(summary),
    }));
    let page = Page {
        script: None,
        kind: "flicker".into(),
        title: "Results".into(),
        foot: "Written by cargo xtask reproduce.".into(),
        sections,
    };
    page.render().into_string()
}

fn overview(summaries: &[Summary<'_>]) -> Markup {
    html! {
        p { "Every number here was measured by one command, " code { "cargo xtask reproduce" } ", and stands with its spread, its cost and what was published. No threshold, epoch or number of a model is chosen by a test metric. What stands as not run has not been run with the numbers that it has now." }
        table {
            thead { tr { th { "suite" } th { "what" } th class="n" { "runs" } } }
            tbody {
                @for summary in summaries {
                    @let (done, all) = summary.n_runs();
                    tr { td { a href={ "#" (summary.suite.name) } { (summary.suite.name) } } td { (summary.suite.title) } td class="n" { (done) " of " (all) } }
                }
            }
        }
    }
}

fn section(summary: &Summary<'_>) -> Markup {
    let charts = charts(summary);
    let more = [tables::pixels(summary), tables::by_case(summary)];
    html! {
        p { (summary.suite.text) }
        @if !summary.suite.notes.is_empty() { ul { @for note in &summary.suite.notes { li { (note) } } } }
        @if let Some(claims) = tables::claims(summary) { (table(&claims)) }
        (table(&tables::results(summary)))
        @for entry in &summary.entries {
            @for missed in tables::missed(entry) { p class="missing" { "Below its floor: " (entry.entry.name) ", " (missed) "." } }
        }
        @if !charts.is_empty() {
            div class="charts" {
                @for chart in &charts { figure { (chart.inline()) figcaption { (chart.note) } } }
            }
        }
        @for more in more.iter().flatten() { (table(more)) }
        p class="small" { (made_on(summary)) }
    }
}

fn table(table: &Table) -> Markup {
    let class = |column: usize| table.head.get(column).is_some_and(|(_, number)| *number).then_some("n");
    html! {
        div class="wide" {
            table {
                caption { (table.caption) }
                thead { tr { @for (i, (title, _)) in table.head.iter().enumerate() { th class=[class(i)] { (title) } } } }
                tbody {
                    @for row in &table.rows {
                        tr { @for (i, cell) in row.iter().enumerate() { td class=[class(i)] { (cell) } } }
                    }
                }
            }
        }
    }
}

/// A suite's charts: the metric by case for each family, accuracy and cost, false alarms.
fn charts(summary: &Summary<'_>) -> Vec<Chart> {
    let done: Vec<&EntrySummary<'_>> = summary.entries.iter().filter(|entry| !entry.nothing()).collect();
    let mut charts = cases(summary, &done);
    let points: Vec<Costed> =
        done.iter().filter(|entry| entry.whole()).filter_map(|entry| costed(entry)).collect();
    if points.len() > 1 {
        charts.push(accuracy_and_time(&format!("{}-cost", summary.suite.name), "AUROC", &points));
    }
    let alarms: Vec<FalseAlarms> = done.iter().filter_map(|entry| alarms(entry)).collect();
    if !alarms.is_empty() {
        charts.push(false_alarms(&format!("{}-false-alarms", summary.suite.name), &alarms));
    }
    charts
}

/// AUROC by case, a chart for each family, with the published rows that its entries are held against.
fn cases(summary: &Summary<'_>, done: &[&EntrySummary<'_>]) -> Vec<Chart> {
    let suite = summary.suite;
    let names: Vec<&str> = suite.cases.iter().map(|case| case.name.as_str()).collect();
    let numbered = names.iter().enumerate().all(|(i, name)| name.parse() == Ok(i));
    if names.len() < 2 || !numbered {
        return Vec::new(); // a line has no meaning over names
    }
    let mut families: BTreeMap<&str, Vec<&EntrySummary<'_>>> = BTreeMap::new();
    for entry in done {
        let family = entry.entry.experiments.first().map_or("", |one| one.family());
        families.entry(family).or_default().push(entry);
    }
    let chart = |(family, entries): (&str, Vec<&EntrySummary<'_>>)| {
        let mut lines: Vec<Line> = entries.iter().map(|entry| line(entry, names.len())).collect();
        let mut beside: Vec<&String> =
            entries.iter().filter_map(|entry| entry.entry.published.as_ref()).collect();
        beside.sort();
        beside.dedup();
        for row in beside.into_iter().filter_map(|name| suite.published_row(name)) {
            if row.metric == "auroc" && row.values.len() == names.len() {
                let cases =
                    row.values.iter().map(|&mean| Some(Case { mean, low: mean, high: mean })).collect();
                lines.push(Line { name: format!("{}, as published", row.name), published: true, cases });
            }
        }
        by_case(&format!("{}-{family}", suite.name), family, (&names, &suite.axis), "AUROC", &lines)
    };
    families.into_iter().map(chart).collect()
}

fn line(entry: &EntrySummary<'_>, n: usize) -> Line {
    let case = |case: usize| {
        let (low, high) = entry.range_of_case(case, "auroc")?;
        Some(Case { mean: entry.of_case(case, "auroc")?.mean, low, high })
    };
    Line { name: entry.entry.name.clone(), published: false, cases: (0..n).map(case).collect() }
}

fn costed(entry: &EntrySummary<'_>) -> Option<Costed> {
    let (value, seconds) = (entry.mean("auroc")?.mean, entry.seconds_of_a_score()?);
    Some(Costed { name: entry.entry.name.clone(), value, seconds })
}

fn alarms(entry: &EntrySummary<'_>) -> Option<FalseAlarms> {
    let runs = entry.each(["confusion/false_positive", "confusion/true_negative", "alpha"]);
    let promised = runs.first()?[2];
    let runs =
        runs.iter().map(|[flagged, passed, _]| (*flagged as usize, (flagged + passed) as usize)).collect();
    Some(FalseAlarms { name: entry.entry.name.clone(), promised, runs })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reproduce::raw::tests::measured;
    use std::collections::BTreeSet;

    #[test]
    fn the_page_is_whole_escaped_and_needs_nothing_else() {
        let mut all = Vec::new();
        for config in ["good/0", "good/1", "bad/0"] {
            for (metric, value) in [
                ("auroc", 0.9),
                ("seconds_score", 2.0),
                ("n_validation", 100.0),
                ("n_test", 900.0),
                ("confusion/false_positive", 5.0),
                ("confusion/true_negative", 95.0),
                ("alpha", 0.05),
                ("pixels/pro", 0.7),
            ] {
                all.push((config, 0, metric, value));
                all.push((config, 1, metric, value * 0.9));
            }
        }
        let (suites, rows) = measured(&all);
        let summaries: Vec<_> = suites.iter().map(|suite| Summary::new(suite, &rows)).collect();
        let page = page(&summaries);
        for part in [
            "a &lt;bad&gt; one (bad)",
            "0.855",
            "toys-ae-title",
            "toys-false-alarms-title",
            "PRO",
            "paper, as published",
        ] {
            assert!(page.contains(part), "{part}");
        }
        let ids: Vec<&str> =
            page.split(" id=\"").skip(1).map(|rest| rest.split('"').next().unwrap_or("")).collect();
        assert_eq!(ids.iter().collect::<BTreeSet<_>>().len(), ids.len(), "an id stands twice");
        let text = page.replace("xmlns=\"http://www.w3.org/2000/svg\"", "");
        for part in ["http://", "https://", "url(", "<script", "<link", "NaN", "inf\""] {
            assert!(!text.contains(part), "the page holds {part}");
        }
    }
}
