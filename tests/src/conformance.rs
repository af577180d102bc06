//! One suite that every model passes: one finite score a sample, independent of the batch; one seed, one result; saved and
//! loaded, the same scores; wrong shapes and bad numbers refused; training interrupted anywhere ends at the same bytes; and
//! a training that learns.

use candle_core::{Device, Tensor};
use flicker_core::data::{Samples, Source, tensor};
use flicker_core::run::{Checkpoint, Event, Every, Monitor, Quiet, Run};
use flicker_core::{Config, Detector, Error, Result, Rng, SampleShape, State, Stop, Supervision, TrainSet};
use std::sync::Arc;

/// What a family brings to the suite.
pub(crate) struct Case<C> {
    pub(crate) config: C,
    pub(crate) shape: SampleShape,
    /// Name of a loss that must fall.
    pub(crate) falling: &'static str,
}

const N: usize = 32;

/// Normal samples of a simple kind: smooth waves of a few phases, in [-1, 1].
fn normals(shape: SampleShape, n: usize, seed: u64) -> Result<Arc<dyn Source>> {
    let mut rng = Rng::new(seed);
    let mut values = Vec::new();
    for _ in 0..n {
        let phase = rng.uniform() * 0.6;
        values.extend((0..shape.elements()).map(|i| ((i as f64 * 0.37).sin() * 0.5 + phase).tanh() as f32));
    }
    Ok(Arc::new(Samples::new(shape, values)?))
}

/// Normals to train with; for a supervised family also a few abnormal samples, which are noise.
fn set<C: Config>(case: &Case<C>) -> Result<TrainSet> {
    let normal = TrainSet::of_normal(normals(case.shape, N, 5)?);
    if C::FAMILY.supervision != Supervision::Supervised {
        return Ok(normal);
    }
    let noise = Rng::new(8).normals(N / 4 * case.shape.elements());
    Ok(TrainSet { abnormal: Some(Arc::new(Samples::new(case.shape, noise)?)), ..normal })
}

fn build<C: Config + Sync>(case: &Case<C>, seed: u64) -> Result<C::Model> {
    case.config.build(case.shape, Rng::new(seed), &Device::Cpu)
}

pub(crate) fn fitted<C: Config + Sync>(case: &Case<C>, seed: u64) -> Result<C::Model> {
    let mut model = build(case, seed)?;
    model.fit(&set(case)?, &mut Run::new(Rng::new(seed), &Device::Cpu, &mut Quiet))?;
    Ok(model)
}

pub(crate) fn some_samples<C>(case: &Case<C>) -> Result<Tensor> {
    let source = normals(case.shape, 5, 6)?;
    let noise = Rng::new(7).randn_samples(5, case.shape, &Device::Cpu)?;
    let all: Vec<usize> = (0..5).collect();
    Ok(Tensor::cat(&[&tensor(source.as_ref(), &all, &Device::Cpu)?, &noise], 0)?)
}

pub(crate) fn check<C: Config + Sync>(case: &Case<C>) -> Result<()> {
    scores_are_one_a_sample_and_independent_of_the_batch(case)?;
    one_seed_one_result(case)?;
    saved_and_loaded_scores_the_same(case)?;
    wrong_shapes_are_refused(case)?;
    not_a_number_does_not_become_a_score(case)?;
    interrupted_training_ends_at_the_same_bytes(case)?;
    a_loss_falls(case)?;
    a_supervised_family_wants_labels(case)?;
    unknown_fields_are_refused(case)
}

/// The suite for a family that is fitted in one pass: it has no loss that falls, and `seeded` says whether it draws at all.
pub(crate) fn check_one_pass<C: Config + Sync>(case: &Case<C>, seeded: bool) -> Result<()> {
    scores_are_one_a_sample_and_independent_of_the_batch(case)?;
    if seeded {
        one_seed_one_result(case)?;
    } else {
        the_same_bytes_from_one_thread(case)?;
    }
    saved_and_loaded_scores_the_same(case)?;
    wrong_shapes_are_refused(case)?;
    not_a_number_does_not_become_a_score(case)?;
    interrupted_after(case, 1)?;
    unknown_fields_are_refused(case)
}

fn scores_are_one_a_sample_and_independent_of_the_batch<C: Config + Sync>(case: &Case<C>) -> Result<()> {
    let (model, xs, rng) = (fitted(case, 0)?, some_samples(case)?, Rng::new(1));
    let together = model.score(&xs, &rng)?;
    assert_eq!(together.total.len(), 10);
    assert!(together.total.iter().all(|score| score.is_finite()), "{:?}", together.total);
    for (name, part) in &together.parts {
        assert_eq!(part.len(), 10, "{name}");
    }
    let largest = together.total.iter().fold(0f32, |m, s| m.max(s.abs()));
    for i in 0..10 {
        let alone = model.score(&xs.narrow(0, i, 1)?, &rng)?.total[0];
        assert!(
            (alone - together.total[i]).abs() <= 1e-5 * largest,
            "sample {i}: {alone} alone, {} in a batch",
            together.total[i]
        );
    }
    if let Some(reconstruction) = &together.reconstruction {
        assert_eq!(reconstruction.dims(), xs.dims());
    }
    if let (Some(map), SampleShape::Image { height, width, .. }) = (&together.map, case.shape) {
        assert_eq!(map.dims(), [10, 1, height, width]);
    }
    Ok(())
}

fn bits<C: Config + Sync>(model: &C::Model, case: &Case<C>) -> Result<Vec<u32>> {
    let mut bits: Vec<u32> =
        model.score(&some_samples(case)?, &Rng::new(1))?.total.iter().map(|s| s.to_bits()).collect();
    for (_, tensor) in model.weights().state()?.iter() {
        let tensor = tensor.to_dtype(candle_core::DType::F32)?; // indices of trees are integers
        bits.extend(tensor.flatten_all()?.to_vec1::<f32>()?.iter().map(|x| x.to_bits()));
    }
    Ok(bits)
}

/// The same bytes again, and others from another seed.
fn one_seed_one_result<C: Config + Sync>(case: &Case<C>) -> Result<()> {
    assert_ne!(bits(&fitted(case, 3)?, case)?, bits(&fitted(case, 4)?, case)?);
    the_same_bytes_from_one_thread(case)
}

/// The same bytes again, also from one thread in place of all.
fn the_same_bytes_from_one_thread<C: Config + Sync>(case: &Case<C>) -> Result<()> {
    let first = bits(&fitted(case, 3)?, case)?;
    assert_eq!(first, bits(&fitted(case, 3)?, case)?);
    let pool = rayon::ThreadPoolBuilder::new().num_threads(1).build().expect("a pool of one thread");
    let alone =
        pool.install(|| fitted(case, 3).and_then(|model| bits(&model, case)).map_err(|e| e.to_string()));
    assert_eq!(Ok(first), alone);
    Ok(())
}

fn saved_and_loaded_scores_the_same<C: Config + Sync>(case: &Case<C>) -> Result<()> {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let path = dir.path().join("weights.safetensors");
    let trained = fitted(case, 0)?;
    trained.weights().save(&path)?;
    let text = toml::to_string(&case.config).expect("a configuration is TOML");
    let config: C = toml::from_str(&text).expect("what was written is read");
    let loaded = config.build(case.shape, Rng::new(99), &Device::Cpu)?;
    // What is fitted and not trained is not there before; the error says so.
    match bits(&loaded, case) {
        Ok(bits_before) => assert_ne!(bits(&trained, case)?, bits_before),
        Err(error) => assert!(error.to_string().contains("is not there yet: fit the model"), "{error}"),
    }
    loaded.weights().load(&path)?;
    assert_eq!(bits(&trained, case)?, bits(&loaded, case)?);
    Ok(())
}

fn wrong_shapes_are_refused<C: Config + Sync>(case: &Case<C>) -> Result<()> {
    let model = build(case, 0)?;
    let mut dims = case.shape.batch_dims(2);
    *dims.last_mut().expect("a sample has dimensions") += 1;
    let xs = Rng::new(0).randn(dims, &Device::Cpu)?;
    let error = model.score(&xs, &Rng::new(0)).expect_err("another shape").to_string();
    assert!(error.contains("expected") && error.contains("found"), "{error}");
    Ok(())
}

fn not_a_number_does_not_become_a_score<C: Config + Sync>(case: &Case<C>) -> Result<()> {
    let model = build(case, 0)?;
    let xs = some_samples(case)?.affine(f64::NAN, 0.0)?;
    // Either an error, or scores that say so; the programs refuse both.
    if let Ok(scores) = model.score(&xs, &Rng::new(0)) {
        assert!(scores.total.iter().all(|score| !score.is_finite()), "{:?}", scores.total);
    }
    Ok(())
}

/// Stops after so many steps, and keeps the last checkpoint.
#[derive(Default)]
struct Stopper {
    stop_after: usize,
    steps: usize,
    kept: Option<Vec<u8>>,
}

impl Monitor for Stopper {
    fn event(&mut self, event: &Event<'_>) -> Result<()> {
        self.steps += usize::from(matches!(event, Event::Step { .. }));
        Ok(())
    }

    fn checkpoint(&mut self, checkpoint: &Checkpoint) -> Result<()> {
        self.kept = Some(checkpoint.to_bytes()?);
        Ok(())
    }

    fn weights(&mut self, _: &str, _: usize, _: &State) -> Result<()> {
        Ok(())
    }

    fn stop(&mut self) -> Option<Stop> {
        (self.steps == self.stop_after).then_some(Stop::Interrupt)
    }
}

fn interrupted_training_ends_at_the_same_bytes<C: Config + Sync>(case: &Case<C>) -> Result<()> {
    [1, 3].into_iter().try_for_each(|steps| interrupted_after(case, steps))
}

/// A fit that is stopped after so many steps goes on from the last checkpoint, or begins again where none was kept yet.
pub(crate) fn interrupted_after<C: Config + Sync>(case: &Case<C>, stop_after: usize) -> Result<()> {
    let whole = bits(&fitted(case, 0)?, case)?;
    let mut stopper = Stopper { stop_after, ..Stopper::default() };
    let every = Every { checkpoint: Some(1), ..Every::default() };
    let stopped = build(case, 0)?
        .fit(&set(case)?, &mut Run::new(Rng::new(0), &Device::Cpu, &mut stopper).keeping(every));
    assert!(matches!(stopped, Err(Error::Stopped(Stop::Interrupt))), "{stopped:?}");
    // Another seed for the weights: all that matters must come from the checkpoint. Without one the fit begins again.
    let mut model = build(case, if stopper.kept.is_some() { 77 } else { 0 })?;
    let mut quiet = Quiet;
    let mut run = Run::new(Rng::new(0), &Device::Cpu, &mut quiet);
    if let Some(bytes) = stopper.kept {
        run = run.resuming(Checkpoint::from_bytes("kept", &bytes, &Device::Cpu)?);
    }
    model.fit(&set(case)?, &mut run)?;
    assert_eq!(whole, bits(&model, case)?, "stopped after {stop_after} steps");
    Ok(())
}

/// Mean losses of each epoch.
#[derive(Default)]
struct Listener {
    epochs: Vec<Vec<(String, f64)>>,
}

impl Monitor for Listener {
    fn event(&mut self, event: &Event<'_>) -> Result<()> {
        if let Event::Epoch { losses, .. } = event {
            self.epochs.push(losses.to_vec());
        }
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

fn a_loss_falls<C: Config + Sync>(case: &Case<C>) -> Result<()> {
    let mut listener = Listener::default();
    build(case, 0)?.fit(&set(case)?, &mut Run::new(Rng::new(0), &Device::Cpu, &mut listener))?;
    // Of the phases that tell it: each has losses of its own.
    let of =
        |epoch: &Vec<(String, f64)>| epoch.iter().find(|(name, _)| name == case.falling).map(|told| told.1);
    let told: Vec<f64> = listener.epochs.iter().filter_map(of).collect();
    let (first, last) = (told[0], told[told.len() - 1]);
    assert!(last < 0.8 * first, "{} went from {first} to {last}", case.falling);
    Ok(())
}

fn a_supervised_family_wants_labels<C: Config + Sync>(case: &Case<C>) -> Result<()> {
    if C::FAMILY.supervision == Supervision::Supervised {
        let normal = TrainSet::of_normal(normals(case.shape, N, 5)?);
        let fitted = build(case, 0)?.fit(&normal, &mut Run::new(Rng::new(0), &Device::Cpu, &mut Quiet));
        let error = fitted.expect_err("no labels").to_string();
        assert!(error.contains("abnormal"), "{error}");
    }
    Ok(())
}

fn unknown_fields_are_refused<C: Config + Sync>(case: &Case<C>) -> Result<()> {
    let text = toml::to_string(&case.config).expect("a configuration is TOML");
    let error = toml::from_str::<C>(&format!("{text}\nw_conn = 1\n")).expect_err("no such field").to_string();
    assert!(error.contains("unknown field `w_conn`"), "{error}");
    Ok(())
}
