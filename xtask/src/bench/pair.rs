//! Ours and the peer, taking turns at one workload.

use super::busy::Watch;
use super::side::{Side, Start};
use super::stats::{Ratio, median};
use super::targets;
use anyhow::{Result, ensure};
use serde_json::Value;

/// How long a workload is timed.
pub(super) struct Plan {
    rounds: usize,
    /// A side's turn in each round, about.
    turn_ms: f64,
    /// Before the first round, each side.
    warm_ms: f64,
}

impl Plan {
    pub(super) fn new(rounds: usize, quick: bool, is_operator: bool) -> Self {
        let turn_ms = match (quick, is_operator) {
            (true, _) => 50.0,
            (false, true) => 100.0,
            (false, false) => 700.0,
        };
        Self { rounds, turn_ms, warm_ms: turn_ms.min(300.0) }
    }
}

/// Both sides, or ours alone.
pub(super) struct Pair {
    ours: Side,
    peer: Option<Side>,
    threads: usize,
}

/// What one side took.
#[derive(Clone, Debug, Default)]
pub(super) struct Times {
    /// Median wall ms of each round.
    pub(super) wall_ms: Vec<f64>,
    /// Processor ms a step of each round.
    pub(super) cpu_ms: Vec<f64>,
    pub(super) base_bytes: Option<u64>,
    pub(super) peak_bytes: Option<u64>,
    /// Size of what the third step gave, to tell whether both sides do the same.
    pub(super) value: Option<f64>,
    /// Floating-point operations of a step; ours alone says them.
    pub(super) flops: Option<f64>,
}

/// A workload, timed.
pub(super) struct Measured {
    pub(super) ours: Times,
    pub(super) peer: Option<Times>,
    /// Cores that other programs kept busy meanwhile.
    pub(super) others: Option<f64>,
}

/// The name on our side of a twin that spares itself what ours spares itself.
pub(super) fn ours_of(name: &str) -> &str {
    name.strip_suffix("-lean").unwrap_or(name)
}

impl Pair {
    /// Starts both.
    pub(super) fn start(ours: &Start, peer: Option<&Start>, threads: usize) -> Result<Self> {
        let peer = peer.map(|peer| Side::start(peer, threads)).transpose()?;
        Ok(Self { ours: Side::start(ours, threads)?, peer, threads })
    }

    /// Sets the workload up on both sides, warms both up, and lets them take turns; who begins changes from round to round.
    pub(super) fn measure(&mut self, name: &str, plan: &Plan) -> Result<Measured> {
        let mut ours = Turns::prepare(&mut self.ours, ours_of(name), plan)?;
        let mut peer = self.peer.as_mut().map(|peer| Turns::prepare(peer, name, plan)).transpose()?;
        let watch = Watch::start();
        for round in 0..plan.rounds {
            if round % 2 == 0 {
                ours.turn()?;
            }
            if let Some(peer) = &mut peer {
                peer.turn()?;
            }
            if round % 2 == 1 {
                ours.turn()?;
            }
        }
        let own_ms = ours.own_ms() + peer.as_ref().map_or(0.0, Turns::own_ms);
        let others = watch.and_then(|watch| watch.others(own_ms));
        let measured = Measured { ours: ours.times, peer: peer.map(|peer| peer.times), others };
        if let Some(doubt) = measured.doubt(name) {
            crate::say(&format!("    WARNING: {name}, threads {}: {doubt}", self.threads));
        }
        Ok(measured)
    }
}

impl Measured {
    pub(super) fn ratio(&self) -> Option<Ratio> {
        Some(Ratio::of(&self.ours.wall_ms, &self.peer.as_ref()?.wall_ms))
    }

    pub(super) fn cpu_ratio(&self) -> Option<f64> {
        let ratio = Ratio::of(&self.ours.cpu_ms, &self.peer.as_ref()?.cpu_ms).median;
        ratio.is_finite().then_some(ratio)
    }

    /// Why the two sides may not be doing the same.
    fn doubt(&self, name: &str) -> Option<String> {
        let (ours, peer) = (self.ours.value?, self.peer.as_ref()?.value?);
        let most = targets::apart_at_most(name);
        let apart = if ours == peer { 1.0 } else { (ours / peer).max(peer / ours) };
        (apart.is_nan() || apart > most)
            .then(|| format!("ours gave {ours}, the twin {peer}: do they compute the same?"))
    }
}

/// One side's turns at a workload.
struct Turns<'a> {
    side: &'a mut Side,
    steps: usize,
    times: Times,
}

impl<'a> Turns<'a> {
    fn prepare(side: &'a mut Side, name: &str, plan: &Plan) -> Result<Self> {
        let set_up = side.ask(&format!("use {name}"))?;
        let mut times = Times {
            base_bytes: set_up["base_bytes"].as_u64(),
            flops: set_up["flops"].as_f64(),
            ..Times::default()
        };
        let first = side.ask("step 3")?;
        times.value = first["value"].as_f64();
        ensure!(times.value.is_some(), "{name}: the third step gave {}", first["value"]);
        let warm = side.ask(&format!("step {}", steps(plan.warm_ms, &first)))?;
        Ok(Self { side, steps: steps(plan.turn_ms, &warm), times })
    }

    /// Processor time of all turns.
    fn own_ms(&self) -> f64 {
        self.times.cpu_ms.iter().sum::<f64>() * self.steps as f64
    }

    fn turn(&mut self) -> Result<()> {
        let answer = self.side.ask(&format!("step {}", self.steps))?;
        self.times.wall_ms.push(answer["median_ms"].as_f64().unwrap_or(f64::NAN));
        self.times.cpu_ms.push(answer["cpu_ms"].as_f64().unwrap_or(f64::NAN));
        self.times.peak_bytes = answer["peak_bytes"].as_u64();
        Ok(())
    }
}

impl Times {
    /// Median over the rounds.
    pub(super) fn wall(&self) -> f64 {
        median(&self.wall_ms)
    }

    pub(super) fn cpu(&self) -> Option<f64> {
        Some(median(&self.cpu_ms)).filter(|ms| ms.is_finite())
    }
}

/// How many steps take about `ms`, if each takes as long as those of `answer` did.
fn steps(ms: f64, answer: &Value) -> usize {
    let each = answer["median_ms"].as_f64().unwrap_or(ms).max(1e-3);
    (ms / each).clamp(1.0, 5000.0) as usize
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn turns_are_as_long_as_planned() {
        assert_eq!(steps(700.0, &json!({ "median_ms": 230.0 })), 3);
        assert_eq!(steps(700.0, &json!({ "median_ms": 2000.0 })), 1);
        assert_eq!(steps(700.0, &json!({ "median_ms": 0.0 })), 5000);
    }

    #[test]
    fn twins_that_differ_are_doubted() {
        let times = |value| Times { value: Some(value), ..Times::default() };
        let doubt = |name, ours, peer| {
            Measured { ours: times(ours), peer: Some(times(peer)), others: None }.doubt(name)
        };
        assert!(doubt("op:bn", 1.0, 1.0001).is_none());
        assert!(doubt("op:bn", 1.0, 1.1).is_some_and(|doubt| doubt.contains("1.1")));
        assert!(doubt("dcgan", 1.0, 1.4).is_none() && doubt("dcgan", 1.0, 3.0).is_some());
        assert!(doubt("search1", 1.0, 1.005).is_none() && doubt("search1", 1.0, 1.02).is_some());
        assert!(doubt("op:zero", 0.0, 0.0).is_none() && doubt("op:zero", 0.0, 1.0).is_some());
    }
}
