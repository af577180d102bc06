//! Scores of samples by the model of a run folder: what all commands share that score.

use crate::Failure;
use crate::args::Common;
use crate::opened::Opened;
use crate::say;
use crate::scoring::{Scored, Scorer, SeeMap};
use crate::signals::Signals;
use crate::unseen::Unseen;
use flicker_core::data::Source;
use std::sync::Arc;

/// Says what scores what, unless that is not wanted.
pub(super) fn announce(run: &Opened, unseen: &Unseen, common: &Common) {
    if !common.quiet {
        say(&format!("model: {}, seed {}: {}", run.experiment.model, run.seed, run.experiment.title));
        say(&format!("data: {} samples from {}, each a {}", unseen.source.len(), unseen.origin, run.shape));
        unseen.notes.iter().for_each(|note| say(note));
    }
}

/// The scores of `source`, with progress; maps go to `see_map`.
pub(super) fn score(
    run: &Opened,
    source: &Arc<dyn Source>,
    common: &Common,
    see_map: SeeMap<'_>,
) -> Result<Scored, Failure> {
    let (rng, signals) = (run.scoring_rng(), Signals::listen()?);
    let device = run.model.weights().device();
    let scorer =
        Scorer { model: run.model.as_ref(), device, rng: &rng, signals: &signals, quiet: common.quiet };
    let bar = scorer.bar(source.len());
    let scored = scorer.score(source, &bar, see_map)?;
    bar.finish_and_clear();
    Ok(scored)
}
