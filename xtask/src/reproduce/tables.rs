//! The tables of results, for the terminal, for Markdown and for the page alike.

use super::suite::{Claim, Entry, Suite};
use super::summary::{EntrySummary, Mean, Summary};

/// What stands where nothing was run.
pub(super) const NOT_RUN: &str = "not run";

/// A table, cell by cell.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Table {
    pub(super) caption: String,
    /// Titles of the columns, and whether they hold numbers.
    pub(super) head: Vec<(String, bool)>,
    pub(super) rows: Vec<Vec<String>>,
}

impl Table {
    fn new(caption: &str, head: &[(&str, bool)]) -> Self {
        let head = head.iter().map(|(title, number)| ((*title).to_string(), *number)).collect();
        Self { caption: caption.into(), head, rows: Vec::new() }
    }
}

/// How good each entry is and what it costs, the best first; what papers say of the same stands among them.
pub(super) fn results(summary: &Summary<'_>) -> Table {
    let caption = "Mean ± standard deviation over seeds, of the mean over the cases where there are several. Interval: the mean of \
                   the 95 % intervals of the single runs. False alarms: the share of normal test samples above the threshold, and \
                   what it was set for. Time and memory are those of a run.";
    let mut table = Table::new(
        caption,
        &[
            ("rank", true),
            ("experiment", false),
            ("AUROC", true),
            ("interval", true),
            ("AUPRC", true),
            ("F1", true),
            ("false alarms", true),
            ("training, s", true),
            ("a score, ms", true),
            ("parameters", true),
            ("peak, MiB", true),
            ("runs", true),
            ("published", false),
        ],
    );
    let value =
        |entry: &EntrySummary<'_>| entry.mean("auroc").filter(|_| entry.whole()).map(|mean| mean.mean);
    let mut rows: Vec<(Option<f64>, Vec<String>)> =
        summary.entries.iter().map(|entry| (value(entry), result(summary.suite, entry))).collect();
    for published in summary.suite.published.iter().filter(|published| published.metric == "auroc") {
        let mean = published.mean();
        let mut row = vec![String::new(); table.head.len()];
        row[1] = format!("{}, as published", published.name);
        row[2] = format!("{mean:.3}");
        row[12].clone_from(&published.source);
        rows.push((Some(mean), row));
    }
    rows.sort_by(|a, b| b.0.unwrap_or(-1.0).total_cmp(&a.0.unwrap_or(-1.0)));
    table.rows = rows.into_iter().map(|(_, row)| row).collect();
    table
}

fn result(suite: &Suite, entry: &EntrySummary<'_>) -> Vec<String> {
    let Entry { name, title, .. } = entry.entry;
    let published = entry.entry.published_value(suite, "auroc", None);
    let published = published.map_or(String::new(), |(value, source)| format!("{}: {source}", short(value)));
    let mut row = vec![
        entry.rank.map_or(String::new(), |rank| rank.to_string()),
        if title == name { name.clone() } else { format!("{title} ({name})") },
    ];
    if entry.nothing() {
        row.push(NOT_RUN.to_string());
        row.resize(12, String::new());
        row.push(published);
        return row;
    }
    let number = |metric: &str, digits: usize| plain(entry.mean(metric), digits);
    let interval =
        entry.interval("auroc").map_or(String::new(), |(low, high)| format!("{low:.3} to {high:.3}"));
    let milliseconds = entry.seconds_of_a_score().map_or(String::new(), |seconds| short(1000.0 * seconds));
    let bytes = entry.peak_memory_bytes().map_or(String::new(), |bytes| (bytes >> 20).to_string());
    row.extend([
        shown(entry.mean("auroc"), 3),
        interval,
        shown(entry.mean("auprc"), 3),
        shown(entry.mean("f1"), 3),
        false_alarms(entry),
        entry.mean("seconds_train").map_or(String::new(), |mean| short(mean.mean)),
        milliseconds,
        number("n_parameters", 0),
        bytes,
        runs(entry),
        published,
    ]);
    row
}

fn runs(entry: &EntrySummary<'_>) -> String {
    let (done, all) = entry.n_runs();
    if done == all { done.to_string() } else { format!("{done} of {all}") }
}

/// The false alarms of all runs together, and the rate that thresholds were set for.
fn false_alarms(entry: &EntrySummary<'_>) -> String {
    let runs = entry.each(["confusion/false_positive", "confusion/true_negative", "alpha"]);
    let (mut flagged, mut normal) = (0.0, 0.0);
    for [false_positive, true_negative, _] in &runs {
        flagged += false_positive;
        normal += false_positive + true_negative;
    }
    match runs.first() {
        Some([.., alpha]) if normal > 0.0 => format!("{} ({alpha})", short(flagged / normal)),
        _ => String::new(),
    }
}

/// Where it is abnormal: the metrics of pixels, where there are any.
pub(super) fn pixels(summary: &Summary<'_>) -> Option<Table> {
    const COLUMNS: [(&str, &str); 6] = [
        ("pixels/auroc", "AUROC"),
        ("pixels/auprc", "AUPRC"),
        ("pixels/pro", "PRO"),
        ("pixels/dice", "Dice"),
        ("pixels/iou", "IoU"),
        ("pixels/best_dice", "best Dice"),
    ];
    if !COLUMNS.iter().any(|(metric, _)| summary.any(metric)) {
        return None;
    }
    let mut head = vec![("experiment", false)];
    head.extend(COLUMNS.iter().map(|(_, title)| (*title, true)));
    let caption = "Of pixels, against the masks. Dice and IoU at the threshold of validation normals' pixels; the best Dice is at a \
                   threshold chosen on the masks of the test, a report and no threshold to use.";
    let mut table = Table::new(caption, &head);
    for entry in &summary.entries {
        let mut row = vec![entry.entry.name.clone()];
        row.extend(COLUMNS.iter().map(|(metric, _)| shown(entry.mean(metric), 3)));
        table.rows.push(row);
    }
    Some(table)
}

/// AUROC case by case, published values among ours.
pub(super) fn by_case(summary: &Summary<'_>) -> Option<Table> {
    let suite = summary.suite;
    if suite.cases.is_empty() {
        return None;
    }
    let mut head = vec![("experiment", false)];
    head.extend(suite.cases.iter().map(|case| (case.name.as_str(), true)));
    head.push(("mean", true));
    let mut table = Table::new(&format!("AUROC by {}, mean over seeds.", suite.axis), &head);
    for entry in &summary.entries {
        let mut row = vec![entry.entry.name.clone()];
        row.extend((0..suite.cases.len()).map(|case| plain(entry.of_case(case, "auroc"), 3)));
        row.push(match (entry.nothing(), entry.whole()) {
            (true, _) => NOT_RUN.into(),
            (_, true) => plain(entry.mean("auroc"), 3),
            _ => String::new(),
        });
        table.rows.push(row);
    }
    for row in suite.published.iter().filter(|row| row.metric == "auroc" && row.values.len() > 1) {
        let mut cells = vec![format!("{}, as published", row.name)];
        cells.extend(row.values.iter().map(|value| format!("{value:.3}")));
        cells.push(format!("{:.3}", row.mean()));
        table.rows.push(cells);
    }
    Some(table)
}

/// Number by number what documents claim, what was measured there, and what comes out here.
pub(super) fn claims(summary: &Summary<'_>) -> Option<Table> {
    let caption = "Number by number: what a document says, what it really measured where that is something else, and what a sound \
                   version gives, mean ± standard deviation over seeds.";
    let head = [
        ("document", false),
        ("number", false),
        ("it says", false),
        ("it measured", false),
        ("experiment", false),
        ("ours", true),
    ];
    let mut table = Table::new(caption, &head);
    for entry in &summary.entries {
        for Claim { number, says, measured, metric } in &entry.entry.claims {
            let ours = match metric {
                Some(_) if entry.nothing() => NOT_RUN.into(),
                Some(metric) => shown(entry.mean(metric), 4),
                None => String::new(),
            };
            let Entry { document, experiment, .. } = entry.entry;
            let row = [document, number, says, measured, experiment, &ours];
            table.rows.push(row.into_iter().cloned().collect());
        }
    }
    (!table.rows.is_empty()).then_some(table)
}

/// What is below its floor, in words. Entries whose cases were not all run are not judged.
pub(super) fn missed(entry: &EntrySummary<'_>) -> Vec<String> {
    let judged = entry.entry.expect.iter().filter(|_| entry.whole());
    let below = judged.filter_map(|(metric, expectation)| {
        let at_least = expectation.at_least?;
        let found = entry.mean(&metric.replace('.', "/")).map(|mean| mean.mean);
        let missed = found.is_none_or(|found| found < at_least);
        missed.then(|| {
            format!(
                "{metric} {}, expected at least {at_least}",
                found.map_or("undefined".into(), |f| format!("{f:.4}"))
            )
        })
    });
    below.collect()
}

/// An entry in one line, for the terminal.
pub(super) fn line(suite: &Suite, entry: &EntrySummary<'_>) -> String {
    let label = format!("{}/{}", suite.name, entry.entry.name);
    let cases = match suite.cases.len() {
        0 => String::new(),
        n => format!("  cases {}/{n}", entry.n_cases()),
    };
    let metrics =
        ["auroc", "auprc", "f1"].map(|metric| format!("  {metric} {}", shown(entry.mean(metric), 4)));
    let seconds = plain(entry.mean("seconds_train"), 1);
    format!("{label:40}{cases}  runs {}{}  training {seconds} s", entry.n_runs().0, metrics.concat())
}

/// `0.950 ± 0.002`, or the mean alone where there is no deviation.
fn shown(mean: Option<Mean>, digits: usize) -> String {
    match mean {
        Some(Mean { mean, sd: Some(sd) }) => format!("{mean:.digits$} ± {sd:.digits$}"),
        mean => plain(mean, digits),
    }
}

fn plain(mean: Option<Mean>, digits: usize) -> String {
    mean.map_or_else(String::new, |mean| format!("{:.digits$}", mean.mean))
}

/// Three significant digits.
fn short(value: f64) -> String {
    flicker_charts::number(value)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reproduce::raw::tests::measured;

    #[test]
    fn the_best_comes_first_and_papers_stand_among_ours() {
        let (suites, rows) = measured(&[
            ("good/0", 0, "auroc", 0.9),
            ("good/1", 0, "auroc", 0.8),
            ("bad/0", 0, "auroc", 0.6),
            ("bad/1", 0, "auroc", 0.5),
        ]);
        let summary = Summary::new(&suites[0], &rows);
        let table = results(&summary);
        let names: Vec<&str> = table.rows.iter().map(|row| row[1].as_str()).collect();
        assert_eq!(names, ["a good one (good)", "paper, as published", "a <bad> one (bad)"]);
        assert_eq!(table.rows[0][..4], ["1", "a good one (good)", "0.850", "0.840 to 0.860"]);
        assert_eq!(table.rows[0][11..], ["2 of 4", "0.8: paper, table 1"]);
        assert!(table.rows.iter().all(|row| row.len() == table.head.len()));
        let by_case = by_case(&summary).expect("there are cases");
        assert_eq!(by_case.rows[0], ["good", "0.900", "0.800", "0.850"]);
        assert_eq!(by_case.rows[2], ["paper, as published", "0.900", "0.700", "0.800"]);
        assert_eq!((pixels(&summary), claims(&summary)), (None, None));
        assert_eq!(missed(&summary.entries[0]), Vec::<String>::new());
    }

    #[test]
    fn what_was_not_run_says_so_and_floors_are_held_where_all_was() {
        let (suites, rows) = measured(&[("good/0", 0, "auroc", 0.1)]);
        let summary = Summary::new(&suites[0], &rows);
        assert_eq!(results(&summary).rows.iter().filter(|row| row[2] == NOT_RUN).count(), 1);
        assert!(missed(&summary.entries[0]).is_empty(), "one digit of two is no mean");
        let (suites, rows) = measured(&[("good/0", 0, "auroc", 0.9), ("good/1", 0, "auroc", 0.6)]);
        let summary = Summary::new(&suites[0], &rows);
        assert_eq!(missed(&summary.entries[0]), ["auroc 0.7500, expected at least 0.8"]);
    }
}
