//! `RESULTS.md`.

use super::summary::Summary;
use super::tables::{self, Table};
use std::collections::BTreeSet;
use std::fmt::Write;

/// The text, for all suites.
pub(super) fn page(summaries: &[Summary<'_>]) -> String {
    let mut text = String::from(
        "# Results\n\n\
         Written by `cargo xtask reproduce`, not by hand.\n\
         `results/index.html` has the same with plots, `results/raw.csv` every run's metrics, one row each.\n\
         Higher score = more abnormal; positive = abnormal, in every table.\n\
         No threshold, epoch or number of a model is chosen by a test metric.\n\
         What stands as not run has not been run with the numbers that it has now.\n\n\
         | suite | what | runs |\n| --- | --- | --- |\n",
    );
    for summary in summaries {
        let (suite, (done, all)) = (summary.suite, summary.n_runs());
        let _ = writeln!(text, "| [{0}](#{0}) | {1} | {done} of {all} |", suite.name, cell(&suite.title));
    }
    for summary in summaries {
        section(&mut text, summary);
    }
    text
}

fn section(text: &mut String, summary: &Summary<'_>) {
    let suite = summary.suite;
    let _ = write!(text, "\n## {}\n\n**{}.**\n{}\n", suite.name, suite.title, sentences(&suite.text));
    for note in &suite.notes {
        let _ = writeln!(text, "\n- {note}");
    }
    if let Some(claims) = tables::claims(summary) {
        table(text, &claims);
    }
    table(text, &tables::results(summary));
    for more in [tables::pixels(summary), tables::by_case(summary)].into_iter().flatten() {
        table(text, &more);
    }
    for entry in &summary.entries {
        for missed in tables::missed(entry) {
            let _ = writeln!(text, "\nBelow its floor: {}, {missed}.", entry.entry.name);
        }
    }
    let made = made_on(summary);
    if !made.is_empty() {
        let _ = writeln!(text, "\n{made}");
    }
}

/// Data, machines and commits of a suite's runs, a sentence.
pub(super) fn made_on(summary: &Summary<'_>) -> String {
    let all = |of: fn(&super::raw::Row) -> &str| -> BTreeSet<String> {
        summary.entries.iter().flat_map(|entry| entry.distinct(of)).collect()
    };
    let list = |of| all(of).into_iter().collect::<Vec<_>>().join("; ");
    if all(|row| &row.commit).is_empty() {
        return String::new();
    }
    format!(
        "Data: {}. Machine: {}. Commit: {}.",
        list(|row| &row.data),
        list(|row| &row.machine),
        list(|row| &row.commit)
    )
}

fn table(text: &mut String, table: &Table) {
    let line = |cells: Vec<String>| format!("| {} |\n", cells.join(" | "));
    let _ = write!(text, "\n{}\n\n", sentences(&table.caption));
    text.push_str(&line(table.head.iter().map(|(title, _)| cell(title)).collect()));
    text.push_str(&line(
        table.head.iter().map(|(_, number)| if *number { "---:" } else { "---" }.into()).collect(),
    ));
    for row in &table.rows {
        text.push_str(&line(row.iter().map(|text| cell(text)).collect()));
    }
}

/// A sentence a line.
fn sentences(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ").replace(". ", ".\n")
}

/// Text that does not end a cell.
fn cell(text: &str) -> String {
    text.replace('|', "\\|").replace('<', "&lt;").replace('\n', " ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reproduce::raw::tests::measured;

    #[test]
    fn every_suite_and_every_entry_is_there() {
        let (suites, rows) = measured(&[("good/0", 0, "auroc", 0.9), ("good/1", 0, "auroc", 0.6)]);
        let summaries: Vec<_> = suites.iter().map(|suite| Summary::new(suite, &rows)).collect();
        let text = page(&summaries);
        for part in [
            "| [toys](#toys) | Toys | 2 of 8 |",
            "\n## toys\n\n**Toys.**\nToys by digit.\n",
            "a good one (good) | 0.750 | 0.740 to 0.760 |",
            "a &lt;bad> one (bad) | not run |",
            "Below its floor: good, auroc 0.7500, expected at least 0.8.",
            "Data: full mnist. Machine: a machine, 2 threads. Commit: abc.",
            "\n## others\n",
        ] {
            assert!(text.contains(part), "{part} in\n{text}");
        }
        let tables = text.lines().filter(|line| line.starts_with('|'));
        let widths: BTreeSet<usize> = tables.map(|line| line.matches(" | ").count() + 1).collect();
        assert!(widths.len() <= 3, "{widths:?}");
    }
}
