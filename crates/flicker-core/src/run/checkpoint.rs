//! A checkpoint: where a training stands, and everything that the rest of it depends on.

use super::Losses;
use crate::{Error, Result, State};
use candle_core::{Device, Tensor};
use std::collections::BTreeMap;

/// Where a training stands, and everything that the rest of it depends on.
#[derive(Clone, Debug)]
pub struct Checkpoint {
    /// Where the training stands.
    pub at: Position,
    /// What the phase's [`super::Training::state`] gave.
    pub state: State,
}

/// A place in a training, and the sums of the losses of the epoch so far.
#[derive(Clone, Debug, PartialEq)]
pub struct Position {
    /// Name of the phase.
    pub phase: String,
    /// Names of the phases before it.
    pub finished: Vec<String>,
    /// Whole epochs done in the phase.
    pub epoch: usize,
    /// Steps done in the epoch under way.
    pub step: usize,
    /// Names and sums of the losses over these steps.
    pub sums: Vec<(String, f64)>,
}

impl Position {
    /// The start of a phase.
    pub(super) fn start(phase: &str) -> Self {
        Self { phase: phase.to_string(), finished: Vec::new(), epoch: 0, step: 0, sums: Vec::new() }
    }

    /// Counts one step; `index` is its number within the phase, for the error.
    pub(super) fn add(&mut self, losses: &Losses, index: usize) -> Result<()> {
        if self.sums.is_empty() {
            self.sums = losses.values.iter().map(|(name, _)| ((*name).to_string(), 0.0)).collect();
        }
        for ((_, sum), &(name, value)) in self.sums.iter_mut().zip(&losses.values) {
            if !value.is_finite() {
                return Err(Error::Diverged { name: name.to_string(), value, step: index });
            }
            *sum += f64::from(value);
        }
        self.step += 1;
        Ok(())
    }

    /// The mean losses of the epoch, which is over.
    pub(super) fn finish_epoch(&mut self) -> Vec<(String, f64)> {
        let steps = self.step.max(1) as f64;
        let means = self.sums.drain(..).map(|(name, sum)| (name, sum / steps)).collect();
        self.epoch += 1;
        self.step = 0;
        means
    }
}

impl Checkpoint {
    /// The bytes of a safetensors file. Equal checkpoints give equal bytes.
    ///
    /// # Errors
    /// If a tensor cannot be copied to the host.
    pub fn to_bytes(&self) -> Result<Vec<u8>> {
        let (names, sums): (Vec<&str>, Vec<f64>) =
            self.at.sums.iter().map(|(name, sum)| (name.as_str(), *sum)).unzip();
        let mut state = State::new();
        state.put_all("training", self.state.clone());
        if !sums.is_empty() {
            state.put("sums", Tensor::new(sums, &Device::Cpu)?);
        }
        let metadata = [
            ("phase", self.at.phase.clone()),
            ("finished", self.at.finished.join(",")),
            ("epoch", self.at.epoch.to_string()),
            ("step", self.at.step.to_string()),
            ("losses", names.join(",")),
        ];
        state.to_bytes(&metadata.into_iter().map(|(key, value)| (key.to_string(), value)).collect())
    }

    /// The checkpoint whose bytes are given; `origin` names them in errors.
    ///
    /// # Errors
    /// If the bytes are no whole checkpoint.
    pub fn from_bytes(origin: &str, bytes: &[u8], device: &Device) -> Result<Self> {
        let (state, metadata) = State::from_bytes(origin, bytes, device)?;
        let names = list(&text(origin, &metadata, "losses")?);
        let sums = if names.is_empty() { Vec::new() } else { state.require("sums")?.to_vec1::<f64>()? };
        let at = Position {
            phase: text(origin, &metadata, "phase")?,
            finished: list(&text(origin, &metadata, "finished")?),
            epoch: number(origin, &metadata, "epoch")?,
            step: number(origin, &metadata, "step")?,
            sums: names.into_iter().zip(sums).collect(),
        };
        Ok(Self { at, state: state.part("training") })
    }
}

fn list(text: &str) -> Vec<String> {
    text.split(',').filter(|name| !name.is_empty()).map(str::to_string).collect()
}

fn text(origin: &str, metadata: &BTreeMap<String, String>, key: &str) -> Result<String> {
    metadata.get(key).cloned().ok_or_else(|| Error::Weights {
        origin: origin.to_string(),
        problem: format!("is no checkpoint: its header lacks `{key}`"),
    })
}

fn number(origin: &str, metadata: &BTreeMap<String, String>, key: &str) -> Result<usize> {
    let found = text(origin, metadata, key)?;
    found.parse().map_err(|_| Error::Weights {
        origin: origin.to_string(),
        problem: format!("is no checkpoint: `{key}` should be a number, found `{found}`"),
    })
}
