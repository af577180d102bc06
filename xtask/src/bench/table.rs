//! The table: rows, what they were measured with, and both files.

use super::host::Host;
use super::pair::Measured;
use super::targets;
use anyhow::Result;
use serde::Serialize;
use serde_json::Value;
use std::fmt::Write;
use std::fs;
use std::path::Path;

/// Everything that is written.
#[derive(Serialize)]
pub(super) struct Table {
    pub(super) host: Host,
    pub(super) ours: String,
    pub(super) peer: Option<String>,
    /// Why there is no peer.
    pub(super) missing: Option<String>,
    pub(super) rounds: usize,
    pub(super) peaks: Vec<Peak>,
    pub(super) rows: Vec<Row>,
}

/// What the processor can do at most.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Peak {
    pub(super) threads: usize,
    pub(super) gflops: Option<f64>,
    pub(super) set: String,
}

impl Peak {
    /// From our program's answer.
    pub(super) fn new(threads: usize, answer: &Value) -> Self {
        let set = answer["set"].as_str().unwrap_or("unknown instructions").to_string();
        Self { threads, gflops: answer["gflops"].as_f64(), set }
    }
}

/// One workload with one number of threads. The ratio is the median over the rounds, `low` and `high` its quartiles.
#[derive(Debug, Default, Serialize)]
pub(super) struct Row {
    pub(super) workload: String,
    pub(super) threads: usize,
    pub(super) ours_ms: Option<f64>,
    pub(super) peer_ms: Option<f64>,
    pub(super) ratio: Option<f64>,
    pub(super) low: Option<f64>,
    pub(super) high: Option<f64>,
    pub(super) target: Option<f64>,
    pub(super) aim: Option<f64>,
    pub(super) ours_cpu_ms: Option<f64>,
    pub(super) peer_cpu_ms: Option<f64>,
    pub(super) cpu_ratio: Option<f64>,
    pub(super) gflops: Option<f64>,
    pub(super) share_of_peak: Option<f64>,
    pub(super) ours_peak_bytes: Option<u64>,
    pub(super) peer_peak_bytes: Option<u64>,
    /// What the process held before the workload was set up: for the peer, mostly PyTorch itself.
    pub(super) ours_base_bytes: Option<u64>,
    pub(super) peer_base_bytes: Option<u64>,
    pub(super) ours_value: Option<f64>,
    pub(super) peer_value: Option<f64>,
    pub(super) error: Option<String>,
}

impl Row {
    pub(super) fn new(name: &str, peak: &Peak, measured: &Measured) -> Self {
        let (ours, peer, ratio) = (&measured.ours, measured.peer.as_ref(), measured.ratio());
        let target = targets::of(name);
        let gflops = ours.flops.map(|flops| flops / ours.wall() / 1e6);
        // The operators of one process share its memory: its peak is none of theirs.
        let alone = !name.starts_with("op:");
        Self {
            workload: name.to_string(),
            threads: peak.threads,
            ours_ms: Some(ours.wall()),
            peer_ms: peer.map(|peer| peer.wall()),
            ratio: ratio.map(|ratio| ratio.median),
            low: ratio.map(|ratio| ratio.low),
            high: ratio.map(|ratio| ratio.high),
            target: target.as_ref().map(|target| target.at_most),
            aim: target.as_ref().map(|target| target.aim),
            ours_cpu_ms: ours.cpu(),
            peer_cpu_ms: peer.and_then(|peer| peer.cpu()),
            cpu_ratio: measured.cpu_ratio(),
            gflops,
            share_of_peak: gflops.zip(peak.gflops).map(|(gflops, peak)| gflops / peak),
            ours_peak_bytes: ours.peak_bytes.filter(|_| alone),
            peer_peak_bytes: peer.and_then(|peer| peer.peak_bytes).filter(|_| alone),
            ours_base_bytes: ours.base_bytes.filter(|_| alone),
            peer_base_bytes: peer.and_then(|peer| peer.base_bytes).filter(|_| alone),
            ours_value: ours.value,
            peer_value: peer.and_then(|peer| peer.value),
            error: None,
        }
    }

    pub(super) fn failed(name: &str, threads: usize, error: &anyhow::Error) -> Self {
        let error = Some(format!("{error:#}"));
        Self { workload: name.to_string(), threads, error, ..Self::default() }
    }

    /// How the ratio stands to its bound: `aim` if it is reached, else `within` or `above`.
    fn verdict(&self) -> &'static str {
        match (self.ratio, self.target, self.aim) {
            (Some(ratio), _, Some(aim)) if ratio <= aim => "aim",
            (Some(ratio), Some(target), _) if ratio <= target => "within",
            (Some(_), Some(_), _) => "above",
            _ => "",
        }
    }

    /// The row for someone who waits.
    pub(super) fn line(&self) -> String {
        if let Some(error) = &self.error {
            return format!("FAILED: {error}");
        }
        let (ours, peer) = (milliseconds(self.ours_ms), milliseconds(self.peer_ms));
        format!("ours {ours} ms, PyTorch {peer} ms, ratio {} {}", self.spread(), self.verdict())
    }

    fn spread(&self) -> String {
        match (self.ratio, self.low, self.high) {
            (Some(ratio), Some(low), Some(high)) => format!("{ratio:.2} ({low:.2}–{high:.2})"),
            _ => "–".to_string(),
        }
    }

    fn network(&self) -> String {
        format!(
            "| {} | {} | {} | {} | {} | {} | {} | {} | {} | {} | {} | {} |",
            self.workload,
            milliseconds(self.ours_ms),
            milliseconds(self.peer_ms),
            self.spread(),
            shown(self.target, 2),
            shown(self.aim, 2),
            self.error.as_deref().unwrap_or(self.verdict()),
            shown(self.cpu_ratio, 2),
            shown(self.gflops, 0),
            shown(self.share_of_peak.map(|share| share * 100.0), 0),
            mebibytes(self.ours_peak_bytes),
            mebibytes(self.peer_peak_bytes),
        )
    }

    fn operator(&self) -> String {
        format!(
            "| {} | {} | {} | {} | {} | {} | {} |",
            self.workload.strip_prefix("op:").unwrap_or(&self.workload),
            milliseconds(self.ours_ms),
            milliseconds(self.peer_ms),
            self.error.clone().unwrap_or_else(|| self.spread()),
            shown(self.cpu_ratio, 2),
            shown(self.gflops, 0),
            shown(self.share_of_peak.map(|share| share * 100.0), 0),
        )
    }
}

const NETWORKS: &str = "\
| workload | ours ms | PyTorch ms | ratio (quartiles) | at most | aim | stands | ratio of CPU time | GFLOP/s | % of peak | ours peak MiB | PyTorch peak MiB |
| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |
";
const OPERATORS: &str = "\
| operator | ours ms | PyTorch ms | ratio (quartiles) | ratio of CPU time | GFLOP/s | % of peak |
| --- | --- | --- | --- | --- | --- | --- |
";

impl Table {
    /// The text of `bench.md`.
    pub(super) fn markdown(&self) -> String {
        let mut text = self.head();
        for peak in &self.peaks {
            let threads = peak.threads;
            let _ = writeln!(text, "\n## Threads: {threads}\n");
            let gflops = shown(peak.gflops, 0);
            let _ =
                writeln!(text, "Measured peak: {gflops} GFLOP/s ({}, multiply-adds in registers).", peak.set);
            let of = |operators: bool| {
                let rows = self.rows.iter().filter(move |row| row.threads == threads);
                rows.filter(move |row| row.workload.starts_with("op:") == operators)
            };
            let networks: Vec<String> = of(false).map(Row::network).collect();
            if !networks.is_empty() {
                let _ = writeln!(text, "\n{NETWORKS}{}", networks.join("\n"));
            }
            let operators: Vec<String> = of(true).map(Row::operator).collect();
            if !operators.is_empty() {
                let _ = writeln!(text, "\n{OPERATORS}{}", operators.join("\n"));
            }
        }
        text
    }

    fn head(&self) -> String {
        let Host { processor, cores, memory_bytes, system, load_before, compiler, commit } = &self.host;
        let peer = match (&self.peer, &self.missing) {
            (Some(peer), _) => peer.clone(),
            (None, reason) => format!("**no PyTorch** ({})", reason.as_deref().unwrap_or("not asked for")),
        };
        format!(
            "# What `cargo xtask bench` measured

Wall time of one step, ours ÷ PyTorch's; below 1 ours is faster. Written by the command, not by hand.

Both sides take turns for {rounds} rounds; a round's times are medians over its steps; the ratio is the median of the rounds' ratios, between its quartiles.
A workload runs in two processes of its own, and its peak of memory is the process's, with all that PyTorch or our program holds itself; the operators share two.
`-lean` twins spare themselves what ours spares itself: gradients of the discriminator's weights in the generator's part, and (GANomaly) a second pass over the real images.
GFLOP/s counts convolutions and products, the forward pass and each needed gradient once.

- Machine: {processor}, {cores} cores, {memory} MiB, {system}; load before: {load}.
- Ours: {ours}, {compiler}, commit {commit}.
- Peer: {peer}.
",
            rounds = self.rounds,
            memory = mebibytes(*memory_bytes),
            load = shown(*load_before, 2),
            ours = self.ours,
        )
    }

    /// Writes `bench.md` and `bench.json` into `dir`, each whole or not at all.
    pub(super) fn write(&self, dir: &Path) -> Result<()> {
        fs::create_dir_all(dir)?;
        let json = serde_json::to_string_pretty(self)? + "\n";
        for (name, text) in [("bench.md", self.markdown()), ("bench.json", json)] {
            let part = dir.join(format!(".{name}.part"));
            fs::write(&part, text)?;
            fs::rename(&part, dir.join(name))?;
        }
        crate::say(&format!("written to {0}/bench.md and {0}/bench.json", dir.display()));
        Ok(())
    }
}

fn shown(value: Option<f64>, digits: usize) -> String {
    value.map_or_else(|| "–".to_string(), |value| format!("{value:.digits$}"))
}

/// Three digits or so.
fn milliseconds(ms: Option<f64>) -> String {
    let digits = ms.map_or(0, |ms| {
        if ms < 0.1 {
            4
        } else if ms < 1.0 {
            3
        } else if ms < 100.0 {
            2
        } else {
            0
        }
    });
    shown(ms, digits)
}

fn mebibytes(bytes: Option<u64>) -> String {
    bytes.map_or_else(|| "–".to_string(), |bytes| (bytes >> 20).to_string())
}
