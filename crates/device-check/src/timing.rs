//! The workloads of flicker-bench on the device, and their twins in PyTorch on the same one, by turns.

use crate::compare::Precision;
use anyhow::{Context, Result, bail};
use flicker_bench::{LARGE, NETWORKS, Session};
use serde_json::Value;
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

/// The twins. They travel inside the program, which is all that the machine with the card needs besides a Python.
const TWINS: &str = include_str!("../../bench/peer/peer.py");

/// Turns of each side. The figure of a turn is the median of its steps, that of a row the median of the turns.
const TURNS: usize = 7;
/// How long a turn should take, in ms, and the most steps of one.
const TURN_MS: f64 = 400.0;
const MOST_STEPS: f64 = 200.0;

/// A line of the table; times in ms.
pub(crate) struct Timed {
    pub(crate) name: String,
    pub(crate) ours: Spread,
    pub(crate) peer: Option<Spread>,
    /// PyTorch under autocast to bfloat16, which ours does not have.
    pub(crate) peer_bf16: Option<Spread>,
}

/// The median of the turns, the shortest and the longest.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Spread {
    pub(crate) median: f64,
    pub(crate) low: f64,
    pub(crate) high: f64,
}

impl Spread {
    fn of(mut turns: Vec<f64>) -> Option<Self> {
        turns.sort_by(f64::total_cmp);
        let (&low, &high) = (turns.first()?, turns.last()?);
        Some(Self { median: (turns[(turns.len() - 1) / 2] + turns[turns.len() / 2]) / 2.0, low, high })
    }
}

/// Times `names` (all, and the large one where there is a card, if there are none) against PyTorch in `python`, where one is
/// given. What goes wrong with a workload ends the timing.
pub(crate) fn time(
    precision: &Precision,
    device: &str,
    names: &[String],
    python: Option<&str>,
) -> Result<Vec<Timed>> {
    let on_card = !precision.device.is_cpu();
    let all = || NETWORKS.into_iter().chain(on_card.then_some(LARGE)).map(str::to_string).collect();
    let names: Vec<String> = if names.is_empty() { all() } else { names.to_vec() };
    let peer = |bf16: bool| python.map(|python| Peer::start(python, precision, device, bf16)).transpose();
    let (mut peer, mut peer_bf16) = (peer(false)?, if on_card { peer(true)? } else { None });
    let mut session = Session::new(precision.device.clone());
    let mut ours = |line: &str| precision.on_device(|| session.answer(line));
    let mut rows = Vec::new();
    for name in names {
        let mut sides: Vec<(Side<'_>, Vec<f64>)> = vec![(Side::Ours(&mut ours), Vec::new())];
        sides.extend(
            [&mut peer, &mut peer_bf16].into_iter().flatten().map(|peer| (Side::Peer(peer), Vec::new())),
        );
        let mut steps = Vec::new();
        for (side, _) in &mut sides {
            side.ask(&format!("use {name}"))?;
            side.milliseconds("step 3")?; // libraries choose their kernels, memory is taken
            steps.push((TURN_MS / side.milliseconds("step 1")?).clamp(1.0, MOST_STEPS) as usize);
        }
        for _ in 0..TURNS {
            for ((side, turns), n) in sides.iter_mut().zip(&steps) {
                turns.push(side.milliseconds(&format!("step {n}"))?);
            }
        }
        let mut spreads = sides.into_iter().filter_map(|(_, turns)| Spread::of(turns));
        let ours = spreads.next().context("no turns")?;
        rows.push(Timed { name, ours, peer: spreads.next(), peer_bf16: spreads.next() });
    }
    Ok(rows)
}

/// One of those who take turns.
enum Side<'a> {
    Ours(&'a mut dyn FnMut(&str) -> Value),
    Peer(&'a mut Peer),
}

impl Side<'_> {
    fn ask(&mut self, line: &str) -> Result<Value> {
        let answer = match self {
            Side::Ours(ours) => ours(line),
            Side::Peer(peer) => peer.ask(line)?,
        };
        match answer.get("error") {
            Some(error) => {
                bail!("{}: `{line}`: {error}", if matches!(self, Side::Ours(_)) { "ours" } else { "PyTorch" })
            }
            None => Ok(answer),
        }
    }

    fn milliseconds(&mut self, line: &str) -> Result<f64> {
        self.ask(line)?["median_ms"].as_f64().with_context(|| format!("`{line}`: no time in the answer"))
    }
}

/// A process of the twins.
struct Peer {
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
}

impl Peer {
    fn start(python: &str, precision: &Precision, device: &str, bf16: bool) -> Result<Self> {
        let tf32 = match (precision.products, precision.convolutions) {
            (true, _) => "all",
            (false, true) => "convolutions",
            (false, false) => "none",
        };
        let mut command = Command::new(python);
        command.args(["-c", TWINS, "--device", device, "--tf32", tf32]).args(bf16.then_some("--bf16"));
        let child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn();
        let mut child = child.with_context(|| python.to_string())?;
        let (Some(input), Some(output)) = (child.stdin.take(), child.stdout.take()) else {
            bail!("{python}: no way to talk to it");
        };
        Ok(Self { child, input, output: BufReader::new(output) })
    }

    fn ask(&mut self, line: &str) -> Result<Value> {
        writeln!(self.input, "{line}")
            .and_then(|()| self.input.flush())
            .context("PyTorch does not listen")?;
        let mut answer = String::new();
        self.output.read_line(&mut answer).context("PyTorch does not answer")?;
        serde_json::from_str(&answer).with_context(|| format!("PyTorch answers `{line}` with `{answer}`"))
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        // It may wait for a line that does not come; there is nobody left to tell of a failure.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use candle_core::Device;

    #[test]
    fn a_spread_is_the_median_and_the_ends() {
        let spread = |turns: &[f64]| Spread::of(turns.to_vec());
        assert_eq!(spread(&[3.0, 1.0, 2.0]), Some(Spread { median: 2.0, low: 1.0, high: 3.0 }));
        assert_eq!(spread(&[4.0, 1.0]).map(|s| s.median), Some(2.5));
        assert_eq!(spread(&[]), None);
    }

    #[test]
    fn ours_is_timed_alone_and_unknown_names_are_refused() {
        let precision = Precision::new(&Device::Cpu, false);
        let rows = time(&precision, "cpu", &["op:adam".into()], None).expect("runs");
        assert!(rows[0].ours.low > 0.0 && rows[0].peer.is_none(), "{:?}", rows[0].ours);
        let error = time(&precision, "cpu", &["nothing".into()], None).err().expect("no such workload");
        assert!(error.to_string().contains("nothing"), "{error:#}");
        let absent = time(&precision, "cpu", &[], Some("/no/python")).err().expect("no such program");
        assert!(format!("{absent:#}").contains("/no/python"), "{absent:#}");
    }
}
