//! The first steps of every family, trained by its own `fit`, on the CPU and on the device from the same seed.

use crate::compare::{Precision, Row, error, largest};
use candle_core::Device;
use flicker_core::data::Samples;
use flicker_core::run::{Checkpoint, Event, Every, Monitor, Run};
use flicker_core::{Config, Detector, Result, Rng, SampleShape, State, Stop, TrainSet};
use std::sync::Arc;

/// Samples in the one batch of an epoch, and epochs: so many steps.
const BATCH: usize = 16;
const STEPS: usize = 3;

/// Checks each family.
pub(crate) fn check(precision: &Precision) -> anyhow::Result<Vec<Row>> {
    let ae = ae::Config { epochs: STEPS, batch: BATCH, ..ae::Config::steady() };
    let ganomaly =
        ganomaly::Config { features: 16, epochs: STEPS, batch: BATCH, ..ganomaly::Config::paper() };
    let anoddpm = anoddpm::Config { epochs: STEPS, batch: BATCH, ..anoddpm::Config::small() };
    let mut rows = family(precision, &ae, 784.into())?;
    rows.extend(family(precision, &ganomaly, (1, 32, 32).into())?);
    rows.extend(family(precision, &anoddpm, (1, 32, 32).into())?);
    Ok(rows)
}

/// The rows of one family.
fn family<C: Config>(precision: &Precision, config: &C, shape: SampleShape) -> Result<Vec<Row>> {
    let reference = train(config, shape, &Device::Cpu)?;
    let found = precision.on_device(|| train(config, shape, &precision.device))?;
    let coarse = precision.products || precision.convolutions;
    let row = |what: &str, result: f64, f32: f64, tf32: f64| Row {
        name: format!("{}: {what}", C::FAMILY.name),
        result,
        gradient: None,
        allowed: if coarse { tf32 } else { f32 },
    };
    let moments =
        |trained: &Trained| trained.first.iter().filter(|(name, _)| name.ends_with(".first_moment")).count();
    let statistics = worst(&reference.first, &found.first, |name| name.contains(".running_"))?;
    // After one step the first moment of Adam is the gradient, but for a factor. Roundings pile up through the layers.
    let gradients = worst(&reference.first, &found.first, |name| name.ends_with(".first_moment"))?;
    Ok(vec![
        row("losses of the first step", differ(&reference.losses[0], &found.losses[0]), 1e-5, 5e-3),
        row(&format!("gradients of the first step ({} tensors)", moments(&reference)), gradients, 1e-3, 5e-2),
        row("running statistics", statistics, 1e-4, 1e-2),
        // Adam's first steps are of one size whatever the gradient's, so that a gradient that is zero but for rounding moves
        // its weight the other way.
        row(
            "losses of the third step",
            differ(&reference.losses[STEPS - 1], &found.losses[STEPS - 1]),
            1e-3,
            5e-2,
        ),
        row("scores after it", differ(&reference.scores, &found.scores), 1e-2, 1e-1),
    ])
}

/// What came of a training.
struct Trained {
    /// The losses of each step.
    losses: Vec<Vec<f32>>,
    /// The state after the first step.
    first: State,
    scores: Vec<f32>,
}

fn train<C: Config>(config: &C, shape: SampleShape, device: &Device) -> Result<Trained> {
    let samples = Samples::new(shape, Rng::new(1).uniforms(BATCH * shape.elements(), -1.0, 1.0))?;
    let mut listener = Listener { losses: Vec::new(), first: None };
    let mut model = config.build(shape, Rng::new(2), device)?;
    let every = Every { checkpoint: Some(1), ..Every::default() };
    let mut run = Run::new(Rng::new(3), device, &mut listener).keeping(every);
    model.fit(&TrainSet::of_normal(Arc::new(samples)), &mut run)?;
    let xs = Rng::new(4).randn_samples(8, shape, device)?;
    let scores = model.score(&xs, &Rng::new(5))?.total;
    Ok(Trained { losses: listener.losses, first: listener.first.unwrap_or_default(), scores })
}

/// The largest error of the tensors whose names are `wanted`; a tensor that one side lacks is infinitely far.
fn worst(reference: &State, found: &State, wanted: impl Fn(&str) -> bool) -> Result<f64> {
    let mut worst = if reference.len() == found.len() && !reference.is_empty() { 0.0 } else { f64::INFINITY };
    for (name, tensor) in reference.iter().filter(|(name, _)| wanted(name)) {
        worst = largest(worst, found.get(name).map_or(Ok(f64::INFINITY), |found| error(tensor, found))?);
    }
    Ok(worst)
}

/// The largest error among numbers, each as a share of itself.
fn differ(reference: &[f32], found: &[f32]) -> f64 {
    if reference.len() != found.len() || reference.is_empty() {
        return f64::INFINITY;
    }
    let share = |(r, f): (&f32, &f32)| f64::from((r - f).abs()) / f64::from(r.abs().max(f32::MIN_POSITIVE));
    reference.iter().zip(found).map(share).fold(0.0, largest)
}

struct Listener {
    losses: Vec<Vec<f32>>,
    first: Option<State>,
}

impl Monitor for Listener {
    fn event(&mut self, event: &Event<'_>) -> Result<()> {
        if let Event::Step { losses, .. } = event {
            self.losses.push(losses.values.iter().map(|(_, value)| *value).collect());
        }
        Ok(())
    }

    fn checkpoint(&mut self, checkpoint: &Checkpoint) -> Result<()> {
        self.first.get_or_insert_with(|| checkpoint.state.clone());
        Ok(())
    }

    fn weights(&mut self, _: &str, _: usize, _: &State) -> Result<()> {
        Ok(())
    }

    fn stop(&mut self) -> Option<Stop> {
        None
    }
}
