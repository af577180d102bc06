//! A row of the table: one workload with one number of threads.

use super::pair::Measured;
use super::targets;
use serde::Serialize;
use serde_json::Value;

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
    /// Cores that other programs kept busy meanwhile.
    pub(super) others: Option<f64>,
    pub(super) error: Option<String>,
}

/// Cores of others above which a row is marked: they slow both sides, and PyTorch's threads, which wait for each other, more.
pub(super) const BUSY: f64 = 0.2;

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
            others: measured.others,
            error: None,
        }
    }

    pub(super) fn failed(name: &str, threads: usize, error: &anyhow::Error) -> Self {
        let error = Some(format!("{error:#}"));
        Self { workload: name.to_string(), threads, error, ..Self::default() }
    }

    /// How the ratio stands to its bound: `aim` if it is reached, else `within` or `above`.
    pub(super) fn verdict(&self) -> &'static str {
        match (self.ratio, self.target, self.aim) {
            (Some(ratio), _, Some(aim)) if ratio <= aim => "aim",
            (Some(ratio), Some(target), _) if ratio <= target => "within",
            (Some(_), Some(_), _) => "above",
            _ => "",
        }
    }

    /// Why the row is worth little.
    fn caution(&self) -> &'static str {
        if self.others.is_some_and(|cores| cores > BUSY) { " **busy**" } else { "" }
    }

    /// The row for someone who waits.
    pub(super) fn line(&self) -> String {
        if let Some(error) = &self.error {
            return format!("FAILED: {error}");
        }
        let (ours, peer) = (milliseconds(self.ours_ms), milliseconds(self.peer_ms));
        let (ratio, verdict, caution) = (self.spread(), self.verdict(), self.caution());
        format!("ours {ours} ms, PyTorch {peer} ms, ratio {ratio} {verdict}{caution}")
    }

    fn spread(&self) -> String {
        match (self.ratio, self.low, self.high) {
            (Some(ratio), Some(low), Some(high)) => format!("{ratio:.2} ({low:.2}–{high:.2})"),
            _ => "–".to_string(),
        }
    }

    /// The ratio for the table; or why there is none.
    fn told(&self) -> String {
        self.error.clone().unwrap_or_else(|| format!("{}{}", self.spread(), self.caution()))
    }

    /// The row of a network in Markdown.
    pub(super) fn network(&self) -> String {
        format!(
            "| {} | {} | {} | {} | {} | {} | {} | {} | {} | {} | {} | {} |",
            self.workload,
            milliseconds(self.ours_ms),
            milliseconds(self.peer_ms),
            self.told(),
            shown(self.target, 2),
            shown(self.aim, 2),
            self.verdict(),
            shown(self.cpu_ratio, 2),
            shown(self.gflops, 0),
            shown(self.share_of_peak.map(|share| share * 100.0), 0),
            mebibytes(self.ours_peak_bytes),
            mebibytes(self.peer_peak_bytes),
        )
    }

    /// The row of an operator in Markdown.
    pub(super) fn operator(&self) -> String {
        format!(
            "| {} | {} | {} | {} | {} | {} | {} |",
            self.workload.strip_prefix("op:").unwrap_or(&self.workload),
            milliseconds(self.ours_ms),
            milliseconds(self.peer_ms),
            self.told(),
            shown(self.cpu_ratio, 2),
            shown(self.gflops, 0),
            shown(self.share_of_peak.map(|share| share * 100.0), 0),
        )
    }
}

pub(super) fn shown(value: Option<f64>, digits: usize) -> String {
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

pub(super) fn mebibytes(bytes: Option<u64>) -> String {
    bytes.map_or_else(|| "–".to_string(), |bytes| (bytes >> 20).to_string())
}
