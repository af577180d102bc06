//! Phases of one pass: fits in closed form, which have no epochs and no falling loss.

use super::{Event, Losses, Position, Run};
use crate::{Error, Result, Rng};
use std::time::Instant;

impl Run<'_> {
    /// Does the pieces of work of a phase without epochs in their order, at most `pieces` of them. Each is told as a step,
    /// and the monitor may stop the run between two. `work` gets the number of the piece and the phase's stream of random
    /// numbers, the same for every piece, and answers with what is worth showing, or with `None` when nothing is left to do.
    ///
    /// No checkpoint is kept on the way: a pass takes seconds, and a training that is resumed does it again from its start,
    /// with the same result.
    ///
    /// # Errors
    /// [`Error::Diverged`] if a shown number is not finite, [`Error::Stopped`] if the monitor says so, and whatever the work
    /// answers.
    pub fn pass(
        &mut self,
        name: &str,
        pieces: usize,
        work: &mut dyn FnMut(usize, &Rng) -> Result<Option<Losses>>,
    ) -> Result<()> {
        let (begun, mut at) = (Instant::now(), Position::start(name));
        let rng = self.rng.fork("phase").fork(name);
        let steps_before = self.steps_before;
        self.monitor.event(&Event::Phase { name, epochs: 1, steps: pieces, from_epoch: 0, steps_before })?;
        for piece in 0..pieces {
            let Some(losses) = work(piece, &rng)? else { break };
            at.add(&losses, piece)?;
            let (step, steps) = (at.step, pieces);
            for text in &losses.notes {
                self.monitor.event(&Event::Note { text })?;
            }
            self.monitor.event(&Event::Step { phase: name, epoch: 0, step, steps, losses: &losses })?;
            if let Some(stop) = self.monitor.stop() {
                return Err(Error::Stopped(stop));
            }
        }
        let (steps, means) = (at.step, at.finish_epoch());
        let seconds = begun.elapsed().as_secs_f64();
        self.monitor.event(&Event::Epoch { phase: name, epoch: 1, steps, losses: &means, seconds })?;
        self.steps_before += pieces;
        if !self.finished.iter().any(|finished| finished == name) {
            self.finished.push(name.to_string());
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::run::{Checkpoint, Monitor};
    use crate::{State, Stop};
    use candle_core::Device;

    /// What was told, a word each; stops after so many steps.
    #[derive(Default)]
    struct Teller {
        told: Vec<String>,
        stop_after: Option<usize>,
    }

    impl Monitor for Teller {
        fn event(&mut self, event: &Event<'_>) -> Result<()> {
            self.told.push(match event {
                Event::Phase { steps, steps_before, .. } => format!("phase {steps} after {steps_before}"),
                Event::Step { step, losses, .. } => format!("step {step} {:?}", losses.values),
                Event::Epoch { steps, losses, .. } => format!("epoch of {steps} {losses:?}"),
                _ => "other".into(),
            });
            Ok(())
        }

        fn checkpoint(&mut self, _: &Checkpoint) -> Result<()> {
            Err(Error::Metric("a pass keeps no checkpoint".into()))
        }

        fn weights(&mut self, _: &str, _: usize, _: &State) -> Result<()> {
            Ok(())
        }

        fn stop(&mut self) -> Option<Stop> {
            let steps = self.told.iter().filter(|told| told.starts_with("step")).count();
            (self.stop_after == Some(steps)).then_some(Stop::Terminate)
        }
    }

    /// Three pieces of work, the third of which finds nothing left to do.
    fn pass(teller: &mut Teller) -> Result<usize> {
        let mut done = 0;
        Run::new(Rng::new(0), &Device::Cpu, teller).pass("sums", 5, &mut |piece, _| {
            done += usize::from(piece < 2);
            let values = vec![("gap", 4.0 - piece as f32)];
            Ok((piece < 2).then_some(Losses { values, notes: Vec::new() }))
        })?;
        Ok(done)
    }

    #[test]
    fn a_pass_is_told_and_ends_early() -> Result<()> {
        let mut teller = Teller::default();
        assert_eq!(pass(&mut teller)?, 2);
        let expected = [
            "phase 5 after 0",
            "step 1 [(\"gap\", 4.0)]",
            "step 2 [(\"gap\", 3.0)]",
            "epoch of 2 [(\"gap\", 3.5)]",
        ];
        assert_eq!(teller.told, expected);
        Ok(())
    }

    #[test]
    fn a_pass_is_stopped_between_two_pieces() {
        let mut teller = Teller { stop_after: Some(1), ..Teller::default() };
        assert!(matches!(pass(&mut teller), Err(Error::Stopped(Stop::Terminate))));
        assert_eq!(teller.told.len(), 2);
    }
}
