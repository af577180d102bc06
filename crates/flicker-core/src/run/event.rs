//! What a run tells the outside, and who listens.

use super::{Checkpoint, Losses};
use crate::{Result, State, Stop};
use candle_core::Tensor;

/// Something that happened in a training. Epochs count from 0 while they run and are told as done from 1.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub enum Event<'a> {
    /// A phase begins, or goes on after `from_epoch` whole epochs.
    Phase {
        /// Its name.
        name: &'a str,
        /// Its epochs.
        epochs: usize,
        /// Steps in each.
        steps: usize,
        /// Epochs done before.
        from_epoch: usize,
        /// Steps of all phases before this one.
        steps_before: usize,
    },
    /// A step is done.
    Step {
        /// Name of the phase.
        phase: &'a str,
        /// The epoch under way, from 0.
        epoch: usize,
        /// Steps done in it, from 1.
        step: usize,
        /// Steps in it.
        steps: usize,
        /// Its losses.
        losses: &'a Losses,
    },
    /// An epoch is done.
    Epoch {
        /// Name of the phase.
        phase: &'a str,
        /// Epochs done, from 1.
        epoch: usize,
        /// Steps done in the phase.
        steps: usize,
        /// Mean losses over the epoch.
        losses: &'a [(String, f64)],
        /// Its wall time (the part since the resume, for an epoch that was interrupted).
        seconds: f64,
    },
    /// The mean losses of the watched sets after an epoch.
    Watch {
        /// Name of the phase.
        phase: &'a str,
        /// Epochs done.
        epoch: usize,
        /// Names and means of the sets.
        series: &'a [(String, f64)],
    },
    /// The first samples of a watched set beside what the model makes of them.
    Pictures {
        /// Name of the phase.
        phase: &'a str,
        /// Epochs done.
        epoch: usize,
        /// Name of the set.
        set: &'a str,
        /// `(N, C, H, W)`.
        input: &'a Tensor,
        /// `(N, C, H, W)`.
        reconstruction: &'a Tensor,
    },
    /// Images that a model made out of nothing.
    Generated {
        /// What they are, in a word or two.
        name: &'a str,
        /// Epochs done when they were made.
        epoch: usize,
        /// `(N, C, H, W)`.
        images: &'a Tensor,
    },
    /// Anything else worth a line.
    Note {
        /// One sentence.
        text: &'a str,
    },
}

/// Who listens to a run, keeps what it hands over, and may stop it.
pub trait Monitor {
    /// Something happened.
    ///
    /// # Errors
    /// If it cannot be kept; the training ends then.
    fn event(&mut self, event: &Event<'_>) -> Result<()>;

    /// A checkpoint is due; the one before is no longer needed.
    ///
    /// # Errors
    /// If it cannot be kept.
    fn checkpoint(&mut self, checkpoint: &Checkpoint) -> Result<()>;

    /// The state after `epoch` epochs of `phase`, to be kept for good.
    ///
    /// # Errors
    /// If it cannot be kept.
    fn weights(&mut self, phase: &str, epoch: usize, state: &State) -> Result<()>;

    /// Why the training should stop now, if it should.
    fn stop(&mut self) -> Option<Stop>;
}

/// Listens to nothing and keeps nothing: for tests and for programs that only want the trained model.
#[derive(Clone, Copy, Debug, Default)]
pub struct Quiet;

impl Monitor for Quiet {
    fn event(&mut self, _: &Event<'_>) -> Result<()> {
        Ok(())
    }

    fn checkpoint(&mut self, _: &Checkpoint) -> Result<()> {
        Ok(())
    }

    fn weights(&mut self, _: &str, _: usize, _: &State) -> Result<()> {
        Ok(())
    }

    fn stop(&mut self) -> Option<Stop> {
        None
    }
}
