//! The training loop, once for every family: shuffled epochs, averages, events, checkpoints, resume and interruption.
//!
//! The loop is a function ([`Run::train`]); what a step does is the model's ([`Training`]). The core does no input or
//! output here: a [`Monitor`] is told what happens and keeps the checkpoints.
//!
//! Every random number of step `n` comes from a stream forked by the phase's name and `n`, and the order of epoch `e` from
//! one forked by `e`. So a training that goes on from a checkpoint sees what it would have seen, to the last bit.

mod checkpoint;
mod event;
mod pass;
mod snapshot;
mod watch;

pub use checkpoint::{Checkpoint, Position};
pub use event::{Event, Monitor, Quiet};
pub use snapshot::{restore, snapshot};
pub use watch::Watched;

use crate::data::{Source, batches, tensor};
use crate::{Error, Result, Rng, State, TrainSet};
use candle_core::{Device, Tensor};
use std::time::Instant;

/// One training, from its first phase to its last.
pub struct Run<'a> {
    rng: Rng,
    device: Device,
    monitor: &'a mut dyn Monitor,
    resume: Option<Checkpoint>,
    finished: Vec<String>,
    /// Steps of the phases that are over.
    steps_before: usize,
    schedule: Every,
}

/// How often something is kept, in epochs; `None` is never.
#[derive(Clone, Copy, Debug, Default)]
pub struct Every {
    /// A checkpoint to resume from.
    pub checkpoint: Option<usize>,
    /// The state under its epoch's number, kept for good.
    pub weights: Option<usize>,
    /// Pictures of reconstructions of the watched sets.
    pub pictures: Option<usize>,
}

/// A phase of a training: so many epochs over one source.
#[derive(Clone, Copy, Debug)]
pub struct Phase<'a> {
    /// Its name; streams of randomness and checkpoints are filed under it.
    pub name: &'a str,
    /// Epochs.
    pub epochs: usize,
    /// Samples a step. Only full batches are trained on: the last, smaller one is left out of its epoch.
    pub batch: usize,
}

/// What is trained in a phase: networks and optimizers, and what a step does to them.
pub trait Training {
    /// All that the rest of the training depends on: weights, optimizer moments, averages.
    ///
    /// # Errors
    /// If a tensor cannot be copied.
    fn state(&self) -> Result<State>;

    /// Takes a state back.
    ///
    /// # Errors
    /// If it belongs to another model.
    fn restore(&mut self, state: &State) -> Result<()>;

    /// One step on one batch; `rng` is this step's own stream.
    ///
    /// # Errors
    /// If an operation fails. A loss that is not finite is found by the loop.
    fn step(&mut self, batch: &Batch, rng: &Rng) -> Result<Losses>;

    /// How the model does on the watched samples `xs`, without learning from them; `None` if the family has nothing to
    /// show before its training is over.
    ///
    /// # Errors
    /// If an operation fails.
    fn watch(&mut self, xs: &Tensor, rng: &Rng) -> Result<Option<Watched>> {
        let _ = (xs, rng);
        Ok(None)
    }
}

/// The samples of one step.
#[derive(Clone, Debug)]
pub struct Batch {
    /// `(B, C, H, W)` or `(B, F)`, f32.
    pub xs: Tensor,
    /// Where each stands in the phase's source.
    pub indices: Vec<usize>,
}

/// The named losses of one step, in the order in which they are shown, and what else is worth a line in the log.
#[derive(Clone, Debug, Default)]
pub struct Losses {
    /// Names and values.
    pub values: Vec<(&'static str, f32)>,
    /// Things that happened (a discriminator drawn anew …).
    pub notes: Vec<String>,
}

impl Losses {
    /// Losses from scalar tensors.
    ///
    /// # Errors
    /// If one is not a scalar of f32.
    pub fn of<const N: usize>(losses: [(&'static str, &Tensor); N]) -> Result<Self> {
        let values = losses.into_iter().map(|(name, loss)| Ok((name, loss.to_scalar::<f32>()?)));
        Ok(Self { values: values.collect::<Result<_>>()?, notes: Vec::new() })
    }
}

impl<'a> Run<'a> {
    /// A run that draws from `rng`, puts batches on `device` and tells `monitor`.
    pub fn new(rng: Rng, device: &Device, monitor: &'a mut dyn Monitor) -> Self {
        let (device, schedule) = (device.clone(), Every::default());
        Self { rng, device, monitor, resume: None, finished: Vec::new(), steps_before: 0, schedule }
    }

    /// Keeps things as often as `schedule` says.
    pub fn keeping(mut self, schedule: Every) -> Self {
        self.schedule = schedule;
        self
    }

    /// Goes on from `checkpoint` in place of the start.
    pub fn resuming(mut self, checkpoint: Checkpoint) -> Self {
        self.resume = Some(checkpoint);
        self
    }

    /// Tells the monitor something that happened outside the steps.
    ///
    /// # Errors
    /// If the monitor cannot keep it.
    pub fn note(&mut self, text: &str) -> Result<()> {
        self.monitor.event(&Event::Note { text })
    }

    /// Shows the monitor images `(N, C, H, W)` that the model made out of nothing after so many epochs.
    ///
    /// # Errors
    /// If the monitor cannot keep them.
    pub fn show_images(&mut self, name: &str, epoch: usize, images: &Tensor) -> Result<()> {
        self.monitor.event(&Event::Generated { name, epoch, images })
    }

    /// Trains for the epochs of `phase` on `source`; `watch` is shown, not learned from.
    ///
    /// # Errors
    /// [`Error::Diverged`] if a loss is not finite, [`Error::Stopped`] if the monitor says so (a checkpoint is kept
    /// first), [`Error::Config`] if there are fewer samples than one batch, and whatever the steps answer.
    pub fn train(
        &mut self,
        phase: &Phase<'_>,
        source: &dyn Source,
        set: &TrainSet,
        training: &mut dyn Training,
    ) -> Result<()> {
        let steps = phase.steps(source)?;
        if let Some(mut at) = self.start(phase, training)? {
            self.monitor.event(&Event::Phase {
                name: phase.name,
                epochs: phase.epochs,
                steps,
                from_epoch: at.epoch,
                steps_before: self.steps_before,
            })?;
            while at.epoch < phase.epochs {
                self.epoch(phase, source, training, &mut at)?;
                self.watch(phase, set, training, at.epoch)?;
                self.keep(phase, training, &at)?;
            }
            self.finished.push(phase.name.to_string());
        }
        self.steps_before += phase.epochs * steps;
        Ok(())
    }

    /// Where the phase begins: at its start, in the middle (the training is restored), or nowhere if it is over already.
    fn start(&mut self, phase: &Phase<'_>, training: &mut dyn Training) -> Result<Option<Position>> {
        match self.resume.take() {
            None => Ok(Some(Position::start(phase.name))),
            Some(kept) if kept.at.phase == phase.name => {
                training.restore(&kept.state)?;
                self.finished.clone_from(&kept.at.finished);
                Ok(Some(kept.at))
            }
            Some(kept) if kept.at.finished.iter().any(|name| name == phase.name) => {
                self.resume = Some(kept);
                Ok(None)
            }
            Some(kept) => Err(Error::Weights {
                origin: "checkpoint".into(),
                problem: format!(
                    "stands in phase `{}`, this training begins with `{}`",
                    kept.at.phase, phase.name
                ),
            }),
        }
    }

    /// The rest of the epoch that `at` stands in; `at` then stands at the start of the next one.
    fn epoch(
        &mut self,
        phase: &Phase<'_>,
        source: &dyn Source,
        training: &mut dyn Training,
        at: &mut Position,
    ) -> Result<()> {
        let begun = Instant::now();
        let rng = self.rng.fork("phase").fork(phase.name);
        let order = rng.fork("order").fork_index(at.epoch as u64).permutation(source.len());
        let steps = phase.steps(source)?;
        for indices in batches(&order, phase.batch).skip(at.step) {
            let index = at.epoch * steps + at.step;
            let batch = Batch { xs: tensor(source, indices, &self.device)?, indices: indices.to_vec() };
            let losses = training.step(&batch, &rng.fork("step").fork_index(index as u64))?;
            at.add(&losses, index)?;
            for text in &losses.notes {
                self.monitor.event(&Event::Note { text })?;
            }
            self.monitor.event(&Event::Step {
                phase: phase.name,
                epoch: at.epoch,
                step: at.step,
                steps,
                losses: &losses,
            })?;
            if let Some(stop) = self.monitor.stop() {
                self.checkpoint(training, at)?;
                return Err(Error::Stopped(stop));
            }
        }
        let means = at.finish_epoch();
        let seconds = begun.elapsed().as_secs_f64();
        self.monitor.event(&Event::Epoch {
            phase: phase.name,
            epoch: at.epoch,
            steps: at.epoch * steps,
            losses: &means,
            seconds,
        })
    }

    fn keep(&mut self, phase: &Phase<'_>, training: &dyn Training, at: &Position) -> Result<()> {
        let due = |every: Option<usize>| every.is_some_and(|n| n > 0 && at.epoch.is_multiple_of(n));
        if due(self.schedule.weights) {
            self.monitor.weights(phase.name, at.epoch, &training.state()?)?;
        }
        if due(self.schedule.checkpoint) {
            self.checkpoint(training, at)?;
        }
        Ok(())
    }

    fn checkpoint(&mut self, training: &dyn Training, at: &Position) -> Result<()> {
        let mut at = at.clone();
        at.finished.clone_from(&self.finished);
        self.monitor.checkpoint(&Checkpoint { at, state: training.state()? })
    }
}

impl Phase<'_> {
    /// Steps in an epoch over `source`.
    fn steps(&self, source: &dyn Source) -> Result<usize> {
        match source.len().checked_div(self.batch) {
            Some(steps) if steps > 0 => Ok(steps),
            _ => Err(Error::config(
                "batch",
                format!("must be between 1 and the {} training samples, is {}", source.len(), self.batch),
            )),
        }
    }
}

#[cfg(test)]
mod tests;
