//! Scores of whole sets, a batch at a time.

use crate::Failure;
use crate::signals::Signals;
use crate::weighting::Parts;
use candle_core::{Device, Tensor};
use flicker_core::data::{Source, chunks, prefetch};
use flicker_core::{Detector, Error, Rng};
use indicatif::{ProgressBar, ProgressStyle};
use std::io::IsTerminal;
use std::sync::Arc;

/// Samples scored at once, at most; fewer of large ones.
const BATCH: usize = 256;
/// Values scored at once: 64 MiB.
const BATCH_VALUES: usize = 1 << 24;
/// Batches that are read while one is scored.
const AHEAD: usize = 2;

/// The scores of a set, and their parts.
pub(crate) struct Scored {
    pub total: Vec<f32>,
    pub parts: Parts,
}

/// What scores: a model, where it computes, and what it draws from.
pub(crate) struct Scorer<'a> {
    pub model: &'a dyn Detector,
    pub device: &'a Device,
    /// The run's stream for scoring.
    pub rng: &'a Rng,
    /// Asked after each batch whether to stop.
    pub signals: &'a Signals,
    /// Whether progress is shown on a terminal.
    pub quiet: bool,
}

/// What is done with the maps of the samples at some indices.
pub(crate) type SeeMap<'a> = &'a mut dyn FnMut(&[usize], &Tensor) -> Result<(), Failure>;

impl Scorer<'_> {
    /// A bar for `n` samples, on a terminal.
    pub(crate) fn bar(&self, n: usize) -> ProgressBar {
        if self.quiet || !std::io::stderr().is_terminal() {
            return ProgressBar::hidden();
        }
        let style =
            ProgressStyle::with_template("scoring {bar:30} {pos}/{len} samples, {per_sec}, {eta} left");
        ProgressBar::new(n as u64).with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
    }

    /// The scores of every sample of `source`; maps, where the family has them, go to `see_map` and are not kept.
    pub(crate) fn score(
        &self,
        source: &Arc<dyn Source>,
        bar: &ProgressBar,
        see_map: SeeMap<'_>,
    ) -> Result<Scored, Failure> {
        let mut scored = Scored { total: Vec::new(), parts: Vec::new() };
        let all: Vec<usize> = (0..source.len()).collect();
        let at_once = (BATCH_VALUES / source.shape().elements().max(1)).clamp(1, BATCH);
        let batches: Vec<Vec<usize>> = chunks(&all, at_once).map(<[usize]>::to_vec).collect();
        for (indices, xs) in
            batches.iter().zip(prefetch(source.clone(), batches.clone(), AHEAD, self.device)?)
        {
            if let Some(stop) = self.signals.stop() {
                return Err(Error::Stopped(stop).into());
            }
            let scores = self.model.score(&xs?, self.rng)?;
            if let Some(at) = scores.total.iter().position(|score| !score.is_finite()) {
                let (id, score) = (source.id(indices[at]), scores.total[at]);
                return Err(Failure::Failed(format!(
                    "the score of sample {id} is {score}; is the sample finite?"
                )));
            }
            if let Some(map) = &scores.map {
                see_map(indices, map)?;
            }
            scored.total.extend(scores.total);
            for (i, (name, values)) in scores.parts.into_iter().enumerate() {
                match scored.parts.get_mut(i) {
                    Some((_, all)) => all.extend(values),
                    None => scored.parts.push((name, values)),
                }
            }
            bar.inc(indices.len() as u64);
        }
        Ok(scored)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use flicker_core::data::Samples;
    use flicker_core::run::Run;
    use flicker_core::{Scores, Stop, TrainSet, Weights};

    /// Scores a row by its first value.
    struct First(Weights);

    impl Detector for First {
        fn fit(&mut self, _: &TrainSet, _: &mut Run<'_>) -> flicker_core::Result<()> {
            Ok(())
        }

        fn score(&self, xs: &candle_core::Tensor, _: &Rng) -> flicker_core::Result<Scores> {
            Ok(Scores::new(xs.get_on_dim(1, 0)?.to_vec1()?))
        }

        fn weights(&self) -> &Weights {
            &self.0
        }
    }

    fn score(signals: &Signals) -> Result<Scored, Failure> {
        let (model, rng) = (First(Weights::new(Rng::new(0), &Device::Cpu)), Rng::new(0));
        let scorer = Scorer { model: &model, device: &Device::Cpu, rng: &rng, signals, quiet: true };
        let rows = Samples::new(2, (0..1200).map(|i| i as f32).collect()).expect("rows");
        let rows: Arc<dyn Source> = Arc::new(rows);
        scorer.score(&rows, &scorer.bar(rows.len()), &mut |_, _| Ok(()))
    }

    #[test]
    fn batches_are_joined_in_order() {
        let scored = score(&Signals::default()).expect("scores");
        assert!(scored.total.iter().enumerate().all(|(i, score)| *score == 2.0 * i as f32));
        assert_eq!(scored.total.len(), 600);
    }

    #[test]
    fn a_signal_stops_the_scoring() {
        let failure = score(&Signals::interrupted()).err().expect("stopped");
        assert!(matches!(failure, Failure::Stopped(Stop::Interrupt, _)), "{failure}");
        assert_eq!(failure.hinting("again").to_string(), "interrupted; again");
    }
}
