//! Watching: after each epoch, how the model does on named sets that it does not learn from.

use super::{Event, Phase, Run, Training};
use crate::data::{Source, chunks, tensor};
use crate::{Result, TrainSet};
use candle_core::Tensor;

/// How a model does on a batch of watched samples.
#[derive(Clone, Debug)]
pub struct Watched {
    /// One loss a sample.
    pub losses: Vec<f32>,
    /// What the model makes of them, in the shape of the batch.
    pub reconstruction: Option<Tensor>,
}

/// Samples of a watched set whose reconstructions are shown.
const SHOWN: usize = 8;
/// Samples watched at once.
const BATCH: usize = 256;

impl Run<'_> {
    /// Tells the mean loss of every watched set, and shows reconstructions where they are due.
    pub(super) fn watch(
        &mut self,
        phase: &Phase<'_>,
        set: &TrainSet,
        training: &mut dyn Training,
        epoch: usize,
    ) -> Result<()> {
        let mut series = Vec::new();
        for (name, source) in &set.watch {
            match self.mean_loss(phase, source.as_ref(), training)? {
                Some(mean) => series.push((name.clone(), mean)),
                None => return Ok(()),
            }
        }
        if !series.is_empty() {
            self.monitor.event(&Event::Watch { phase: phase.name, epoch, series: &series })?;
        }
        let due = self.schedule.pictures.is_some_and(|n| n > 0 && epoch.is_multiple_of(n));
        if due || epoch == phase.epochs && self.schedule.pictures.is_some() {
            for (name, source) in &set.watch {
                self.show(phase, epoch, name, source.as_ref(), training)?;
            }
        }
        Ok(())
    }

    fn mean_loss(
        &mut self,
        phase: &Phase<'_>,
        source: &dyn Source,
        training: &mut dyn Training,
    ) -> Result<Option<f64>> {
        let (rng, all) = (self.rng.fork("watch").fork(phase.name), (0..source.len()).collect::<Vec<_>>());
        let mut sum = 0.0;
        for indices in chunks(&all, BATCH) {
            let Some(watched) = training.watch(&tensor(source, indices, &self.device)?, &rng)? else {
                return Ok(None);
            };
            sum += watched.losses.iter().map(|&loss| f64::from(loss)).sum::<f64>();
        }
        Ok(Some(sum / all.len().max(1) as f64))
    }

    fn show(
        &mut self,
        phase: &Phase<'_>,
        epoch: usize,
        set: &str,
        source: &dyn Source,
        training: &mut dyn Training,
    ) -> Result<()> {
        let first: Vec<usize> = (0..source.len().min(SHOWN)).collect();
        let input = tensor(source, &first, &self.device)?;
        let watched = training.watch(&input, &self.rng.fork("watch").fork(phase.name))?;
        if let Some(reconstruction) = watched.and_then(|watched| watched.reconstruction)
            && input.rank() == 4
        {
            let event = Event::Pictures {
                phase: phase.name,
                epoch,
                set,
                input: &input,
                reconstruction: &reconstruction,
            };
            self.monitor.event(&event)?;
        }
        Ok(())
    }
}
