//! `cargo xtask gradients`: how far every operator's results, first and second derivatives are from PyTorch's and from finite
//! differences, and how far they may be. The figures are those that the operators' own tests judge by.

use crate::bench::Host;
use anyhow::{Context, Result, bail, ensure};
use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

/// The variable that tells the tests where to note what they find (`crates/flicker-kernels/tests/report`).
const NOTES: &str = "FLICKER_GRADIENTS";
const REPORT: &str = "results/gradients.md";
const ORDERS: [&str; 3] = ["Result", "First", "Second"];

/// Runs the tests of the operators and writes what they found.
pub(crate) fn run() -> Result<()> {
    let folder = Path::new("target");
    std::fs::create_dir_all(folder)?;
    let notes = std::env::current_dir()?.join(folder).join("gradients.tsv");
    if notes.exists() {
        std::fs::remove_file(&notes)?;
    }
    let cargo = std::env::var("CARGO").unwrap_or_else(|_| "cargo".to_string());
    let tests =
        Command::new(cargo).args(["test", "--package", "flicker-kernels"]).env(NOTES, &notes).status();
    ensure!(
        tests.context("cargo test")?.success(),
        "the operators' tests failed: there is nothing to report"
    );
    let text = std::fs::read_to_string(&notes).with_context(|| notes.display().to_string())?;
    let report = markdown(&read(&text)?, &Host::here());
    std::fs::write(REPORT, &report).context(REPORT)?;
    crate::say(&format!("{report}\nwritten to {REPORT}"));
    Ok(())
}

/// The comparisons of one operator by one way of computing, once, or differentiated once or twice.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Cell {
    comparisons: usize,
    /// The comparison that came nearest to what is allowed.
    error: f64,
    allowed: f64,
}

impl Cell {
    fn add(&mut self, error: f64, allowed: f64) {
        let share = |error: f64, allowed: f64| if error == 0.0 { 0.0 } else { error / allowed };
        if self.comparisons == 0 || share(error, allowed) > share(self.error, self.allowed) {
            (self.error, self.allowed) = (error, allowed);
        }
        self.comparisons += 1;
    }
}

/// By way, then operator: a cell for each order.
type Table = BTreeMap<String, BTreeMap<String, [Cell; 3]>>;

/// Reads the tests' notes.
fn read(text: &str) -> Result<Table> {
    let mut table = Table::new();
    for line in text.lines() {
        let fields: Vec<&str> = line.split('\t').collect();
        let &[operator, order, way, error, allowed] = &fields[..] else { bail!("not a note: `{line}`") };
        let order = ORDERS.iter().position(|known| *known == order);
        let order = order.with_context(|| format!("not an order of differentiation: `{line}`"))?;
        let number = |text: &str| text.parse::<f64>().with_context(|| format!("not a number: `{line}`"));
        let row = table.entry(way.to_string()).or_default().entry(operator.to_string()).or_default();
        row[order].add(number(error)?, number(allowed)?);
    }
    ensure!(!table.is_empty(), "the tests noted nothing");
    Ok(table)
}

fn markdown(table: &Table, host: &Host) -> String {
    let mut text = format!(
        "# How exact the operators and their gradients are\n\n\
         Written by `cargo xtask gradients` from what the tests of `flicker-kernels` found, not by hand.\n\n\
         Results and first derivatives are held against PyTorch's in f64 (committed fixtures) and, for convolutions, against a naive twin and central differences too; \
         the convolution with bias against its three operators; second derivatives against central differences of the first.\n\
         A figure is the largest error, as a share of 1 + the largest number (convolutions: of the larger of the two), and behind it what is allowed; \
         of several bounds the one that came nearest.\n\
         `kernels` are the CPU's, `compositions` what other devices and number types get, run on the CPU.\n\n\
         - Machine: {}, {}.\n- Commit {}, {}.\n",
        host.processor, host.system, host.commit, host.compiler
    );
    for (way, rows) in table.iter().rev() {
        text += &format!(
            "\n## {}{}\n\n| operator | result | first derivative | second derivative | comparisons |\n",
            way[..1].to_uppercase(),
            &way[1..]
        );
        text += "| --- | --- | --- | --- | ---: |\n";
        for (operator, cells) in rows {
            let [result, first, second] = cells.map(shown);
            let comparisons: usize = cells.iter().map(|cell| cell.comparisons).sum();
            text += &format!("| {operator} | {result} | {first} | {second} | {comparisons} |\n");
        }
    }
    text
}

fn shown(cell: Cell) -> String {
    if cell.comparisons == 0 {
        return "–".to_string();
    }
    format!("{:.1e} ({:.0e})", cell.error, cell.allowed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_comparison_nearest_to_its_bound_is_kept() -> Result<()> {
        let notes = "relu\tResult\tkernels, f64\t1e-14\t1e-11\nrelu\tResult\tkernels, f64\t2e-15\t1e-15\n\
                     relu\tSecond\tkernels, f64\t0e0\t0e0\nrelu\tFirst\tcompositions, f32\t1e-7\t1e-5\n";
        let table = read(notes)?;
        let cells = table["kernels, f64"]["relu"];
        assert_eq!(cells[0], Cell { comparisons: 2, error: 2e-15, allowed: 1e-15 });
        assert_eq!((cells[1].comparisons, cells[2].comparisons), (0, 1));
        let text = markdown(&table, &Host::here());
        assert!(text.contains("| relu | 2.0e-15 (1e-15) | – | 0.0e0 (0e0) | 3 |"), "{text}");
        assert!(text.find("## Kernels, f64") < text.find("## Compositions, f32"), "{text}");
        Ok(())
    }

    #[test]
    fn what_is_not_a_note_is_refused() {
        for wrong in
            ["", "relu\tResult\tkernels\t1", "relu\tThird\tkernels\t1\t1", "relu\tFirst\tkernels\tx\t1"]
        {
            assert!(read(wrong).is_err(), "{wrong}");
        }
    }
}
