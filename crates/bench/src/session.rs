//! The protocol: a command a line, one JSON object for each answer. The twin in PyTorch keeps the same one, so a program that
//! times both can take turns without starting either again.
//!
//! | command | answer |
//! | --- | --- |
//! | `version` | `version` |
//! | `list` | `workloads`: the names |
//! | `peak` | `gflops` (10⁹ operations a second) of multiply-adds in registers on all threads, `set` of instructions |
//! | `use NAME` | sets a workload up in the place of the last one; `flops` of a step, `base_bytes` of memory before |
//! | `step N` | of N steps: `median_ms` and `min_ms` of wall time, `cpu_ms` of processor time a step; `peak_bytes` of the process; `value`, the mean of the absolute values of what the last step gave |
//!
//! What goes wrong is answered as `error`.

use crate::{Workload, names, process, workload};
use anyhow::{Context, Result, bail};
use candle_core::Device;
use serde_json::{Value, json};
use std::time::Instant;

/// A device, and the workload in use.
pub struct Session {
    device: Device,
    current: Option<Workload>,
}

#[derive(Debug, PartialEq, Eq)]
enum Command<'a> {
    Version,
    List,
    Peak,
    Use(&'a str),
    Step(usize),
}

impl<'a> Command<'a> {
    fn parse(line: &'a str) -> Result<Self> {
        let words: Vec<&str> = line.split_whitespace().collect();
        Ok(match words[..] {
            ["version"] => Self::Version,
            ["list"] => Self::List,
            ["peak"] => Self::Peak,
            ["use", name] => Self::Use(name),
            ["step", n] => match n.parse() {
                Ok(n) if n > 0 => Self::Step(n),
                _ => bail!("`step {n}`: expected a number of steps, at least 1"),
            },
            _ => bail!("`{line}`: expected `version`, `list`, `peak`, `use NAME` or `step N`"),
        })
    }
}

impl Session {
    /// No workload yet.
    pub fn new(device: Device) -> Self {
        Self { device, current: None }
    }

    /// Does what `line` says.
    pub fn answer(&mut self, line: &str) -> Value {
        self.obey(line).unwrap_or_else(|error| json!({ "error": format!("{error:#}") }))
    }

    fn obey(&mut self, line: &str) -> Result<Value> {
        Ok(match Command::parse(line)? {
            Command::Version => json!({ "version": concat!("flicker ", env!("CARGO_PKG_VERSION")) }),
            Command::List => json!({ "workloads": names() }),
            Command::Peak => {
                let peak = flicker_kernels::peak();
                json!({ "gflops": peak.gflops, "set": peak.set })
            }
            Command::Use(name) => {
                self.current = None; // its memory goes before the next one's comes
                let base_bytes = process::peak_bytes();
                let flops = self.current.insert(workload(name, &self.device)?).flops;
                json!({ "flops": flops, "base_bytes": base_bytes })
            }
            Command::Step(n) => self.steps(n)?,
        })
    }

    fn steps(&mut self, n: usize) -> Result<Value> {
        let current = self.current.as_mut().context("`step` needs a workload: `use NAME` comes first")?;
        let mut walls = Vec::with_capacity(n);
        let before = process::cpu_ms();
        let mut last = None;
        for _ in 0..n {
            let start = Instant::now();
            let given = current.step()?;
            self.device.synchronize()?;
            walls.push(start.elapsed().as_secs_f64() * 1e3);
            last = Some(given);
        }
        let cpu_ms = process::cpu_ms().zip(before).map(|(after, before)| (after - before) / n as f64);
        let value = last.map(|given| given.abs()?.mean_all()?.to_scalar::<f32>()).transpose()?;
        walls.sort_by(f64::total_cmp);
        Ok(json!({
            "median_ms": (walls[(n - 1) / 2] + walls[n / 2]) / 2.0,
            "min_ms": walls[0],
            "cpu_ms": cpu_ms,
            "peak_bytes": process::peak_bytes(),
            "value": value,
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_are_read_and_others_refused() -> Result<()> {
        assert_eq!(Command::parse("step 12")?, Command::Step(12));
        assert_eq!(Command::parse(" use op:bn ")?, Command::Use("op:bn"));
        for wrong in ["", "step", "step 0", "step -1", "step 1 2", "use", "halt"] {
            let error = Command::parse(wrong).expect_err(wrong).to_string();
            assert!(error.contains("expected"), "{error}");
        }
        Ok(())
    }

    #[test]
    fn a_session_sets_up_and_times() {
        let mut session = Session::new(Device::Cpu);
        assert!(session.answer("step 1")["error"].as_str().is_some_and(|e| e.contains("use NAME")));
        assert!(session.answer("use nothing")["error"].as_str().is_some_and(|e| e.contains("`nothing`")));
        assert_eq!(session.answer("use op:one-1-64@32/forward")["flops"], 2.0 * (64 * 16 * 16 * 16) as f64);
        let timed = session.answer("step 4");
        let ms = |key: &str| timed[key].as_f64().unwrap_or(f64::NAN);
        assert!(0.0 < ms("min_ms") && ms("min_ms") <= ms("median_ms") && ms("value") > 0.0, "{timed}");
    }
}
