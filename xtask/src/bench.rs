//! `cargo xtask bench`: our workloads and their twins in PyTorch by turns, and the table of their ratios.

mod busy;
mod host;
mod pair;
mod peer;
mod row;
mod side;
mod stats;
mod table;
mod targets;

use anyhow::{Context, Result, bail, ensure};
pub(crate) use host::Host;
use pair::{Pair, Plan};
use row::{Peak, Row};
use serde_json::Value;
use side::{Side, Start};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use table::{LOW_HIGH, Table};

/// What to time, and how.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Names of workloads, or how they start: `dcgan`, `inf`, `op:`, `op:gan` [default: all]
    names: Vec<String>,

    /// Numbers of threads to compute with
    #[arg(long, value_name = "N,…", value_delimiter = ',', default_values_t = [1, 2])]
    threads: Vec<usize>,

    /// How often ours and PyTorch take their turns
    #[arg(long, value_name = "N", default_value_t = 7)]
    rounds: usize,

    /// A Python that has PyTorch [default: one in target/peer-venv, made if there is none]
    #[arg(long, value_name = "PYTHON")]
    peer: Option<PathBuf>,

    /// Three short rounds: shows that all works, measures little
    #[arg(long)]
    quick: bool,
}

/// Runs what `args` ask for and writes the table: into results/ if it is whole, else into the target folder. Fails if a
/// workload did.
pub(crate) fn run(args: &Args) -> Result<()> {
    ensure!(args.rounds > 0, "--rounds: expected at least 1");
    ensure!(!args.threads.contains(&0), "--threads: expected at least 1");
    let program = build()?;
    let target = program.parent().and_then(Path::parent).unwrap_or(Path::new("target")).to_path_buf();
    let peer = peer::find(args.peer.as_deref(), &target);
    if let Err(reason) = &peer {
        crate::say(&format!("WITHOUT PYTORCH, ours alone: {reason:#}"));
    }
    let missing = peer.as_ref().err().map(|reason| format!("{reason:#}"));
    let ours = Start::program(&program);
    let peer = peer.ok().map(|python| Start::peer(&python));
    let names = chosen(&args.names, &listed(&ours, peer.as_ref())?)?;

    let mut table = Table {
        host: Host::here(),
        ours: version(&ours)?,
        peer: peer.as_ref().map(version).transpose()?,
        missing,
        rounds: if args.quick { 3 } else { args.rounds },
        low_high: LOW_HIGH,
        peaks: Vec::new(),
        rows: Vec::new(),
    };
    for &threads in &args.threads {
        let peak = Side::start(&ours, threads)?.ask("peak")?;
        let peak = Peak::new(threads, &peak);
        table.rows.extend(rows(&names, &ours, peer.as_ref(), &peak, table.rounds, args.quick));
        table.peaks.push(peak);
    }
    crate::say(&format!("\n{}", table.markdown()));
    let whole = args.names.is_empty() && !args.quick;
    table.write(if whole { Path::new("results") } else { &target })?;
    match table.rows.iter().filter(|row| row.error.is_some()).count() {
        0 => Ok(()),
        n => bail!("{n} of {} rows failed", table.rows.len()),
    }
}

/// One row for each name. Networks run in processes of their own, so that each peak of memory is one workload's; the operators
/// share a pair.
fn rows(
    names: &[String],
    ours: &Start,
    peer: Option<&Start>,
    peak: &Peak,
    rounds: usize,
    quick: bool,
) -> Vec<Row> {
    let mut operators: Option<Pair> = None;
    let mut rows = Vec::new();
    for name in names {
        let threads = peak.threads;
        crate::say(&format!("{name}, threads {threads} …"));
        let is_operator = name.starts_with("op:");
        let plan = Plan::new(rounds, quick, is_operator);
        let shared = operators.take().filter(|_| is_operator);
        let measured = shared.map_or_else(|| Pair::start(ours, peer, threads), Ok).and_then(|mut pair| {
            let measured = pair.measure(name, &plan)?;
            operators = is_operator.then_some(pair);
            Ok(measured)
        });
        let row = match measured {
            Ok(measured) => Row::new(name, peak, &measured),
            Err(error) => Row::failed(name, threads, &error),
        };
        crate::say(&format!("    {}", row.line()));
        rows.push(row);
    }
    rows
}

/// Builds the program that holds our workloads. flicker-runner is built with it because it switches features of candle's
/// dependencies on: this way candle is the one that the train programs have, and is not built again.
fn build() -> Result<PathBuf> {
    let cargo = std::env::var("CARGO").unwrap_or_else(|_| "cargo".to_string());
    let output = Command::new(cargo)
        .args(["build", "--release", "--package", "flicker-bench", "--package", "flicker-runner"])
        .args(["--message-format", "json-render-diagnostics"])
        .stderr(Stdio::inherit())
        .output()
        .context("cargo build")?;
    ensure!(output.status.success(), "flicker-bench does not build");
    let text = String::from_utf8_lossy(&output.stdout);
    let mut programs = text.lines().filter_map(|line| {
        let message: Value = serde_json::from_str(line).ok()?;
        let ours = message["target"]["name"] == "flicker-bench";
        message["executable"].as_str().filter(|_| ours).map(PathBuf::from)
    });
    programs.next_back().context("cargo built no program flicker-bench")
}

/// The names of all rows: the twins', as some of ours have two.
fn listed(ours: &Start, peer: Option<&Start>) -> Result<Vec<String>> {
    let list = |start: &Start| -> Result<Vec<String>> {
        let answer = Side::start(start, 1)?.ask("list")?;
        let names = answer["workloads"].as_array().context("`list` gave no workloads")?;
        Ok(names.iter().filter_map(|name| Some(name.as_str()?.to_string())).collect())
    };
    let known = list(ours)?;
    let Some(peer) = peer else { return Ok(known) };
    let twins = list(peer)?;
    let lonely = known.iter().find(|name| !twins.contains(name));
    let lonely =
        lonely.or_else(|| twins.iter().find(|twin| !known.iter().any(|name| name == pair::ours_of(twin))));
    match lonely {
        Some(name) => {
            bail!("workload `{name}` has no twin: crates/bench/src and crates/bench/peer/peer.py differ")
        }
        None => Ok(twins),
    }
}

/// Those of `names` that are or start as one of `wanted`; all, if nothing is wanted.
fn chosen(wanted: &[String], names: &[String]) -> Result<Vec<String>> {
    if let Some(unknown) = wanted.iter().find(|w| !names.iter().any(|name| name.starts_with(*w))) {
        bail!("there is no workload `{unknown}`; there are {}", names.join(", "));
    }
    let is_wanted = |name: &&String| wanted.is_empty() || wanted.iter().any(|w| name.starts_with(w));
    Ok(names.iter().filter(is_wanted).cloned().collect())
}

fn version(start: &Start) -> Result<String> {
    Ok(Side::start(start, 1)?.ask("version")?["version"].as_str().unwrap_or("unknown").to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_chosen_by_how_they_start() -> Result<()> {
        let names = ["ae65", "dcgan", "dcgan-lean", "op:bn", "op:gn"].map(str::to_string);
        let chosen =
            |wanted: &[&str]| chosen(&wanted.iter().map(ToString::to_string).collect::<Vec<_>>(), &names);
        assert_eq!(chosen(&[])?, names);
        assert_eq!(chosen(&["op:", "dcgan"])?, ["dcgan", "dcgan-lean", "op:bn", "op:gn"]);
        assert!(chosen(&["unet"]).expect_err("unknown").to_string().contains("`unet`; there are ae65"));
        Ok(())
    }
}
