//! The loop on a toy training: averages, events, resume to the same bytes, divergence, interruption.

use super::*;
use crate::data::Samples;
use crate::{SampleShape, Stop};
use candle_core::Var;
use std::sync::Arc;

/// Walks one number towards the mean of what it sees, by gradient descent, with noise from its step's stream.
struct Toy {
    at: Var,
    diverge_at: Option<usize>,
    n_steps: usize,
}

impl Toy {
    fn new() -> Result<Self> {
        Ok(Self { at: Var::new(&[0f32], &Device::Cpu)?, diverge_at: None, n_steps: 0 })
    }
}

impl Training for Toy {
    fn state(&self) -> Result<State> {
        let mut state = State::new();
        state.put("at", self.at.as_tensor().copy()?);
        Ok(state)
    }

    fn restore(&mut self, state: &State) -> Result<()> {
        Ok(self.at.set(state.require("at")?)?)
    }

    fn step(&mut self, batch: &Batch, rng: &Rng) -> Result<Losses> {
        let noise = rng.fork("noise").randn(1, &Device::Cpu)?;
        let target = batch.xs.mean_all()?.reshape(1)?;
        let loss = (self.at.as_tensor() - (target + (noise * 0.01)?)?)?.sqr()?.sum_all()?;
        let grads = loss.backward()?;
        let grad = grads.get(&self.at).expect("the loss depends on it");
        self.at.set(&(self.at.as_tensor() - (grad * 0.1)?)?.detach())?;
        self.n_steps += 1;
        let value = if self.diverge_at == Some(self.n_steps) { f32::NAN } else { loss.to_scalar()? };
        Ok(Losses { values: vec![("distance", value)], notes: Vec::new() })
    }
}

#[derive(Default)]
struct Recorder {
    lines: Vec<String>,
    phases: Vec<String>,
    last: Option<Vec<u8>>,
    steps: usize,
    stop_after: Option<usize>,
}

impl Monitor for Recorder {
    fn event(&mut self, event: &Event<'_>) -> Result<()> {
        match event {
            Event::Step { .. } => self.steps += 1,
            Event::Phase { name, from_epoch, steps_before, .. } => {
                self.phases.push(format!("{name} from epoch {from_epoch} after {steps_before} steps"));
            }
            Event::Epoch { epoch, losses, .. } => self.lines.push(format!("{epoch} {losses:?}")),
            _ => {}
        }
        Ok(())
    }

    fn checkpoint(&mut self, checkpoint: &Checkpoint) -> Result<()> {
        self.last = Some(checkpoint.to_bytes()?);
        Ok(())
    }

    fn weights(&mut self, _: &str, _: usize, _: &State) -> Result<()> {
        Ok(())
    }

    fn stop(&mut self) -> Option<Stop> {
        (self.stop_after == Some(self.steps)).then_some(Stop::Interrupt)
    }
}

const PHASE: Phase<'_> = Phase { name: "walk", epochs: 4, batch: 8 };

fn source() -> Samples {
    let values = Rng::new(9).normals(60 * 2).iter().map(|x| x + 3.0).collect();
    Samples::new(SampleShape::from(2), values).expect("whole rows")
}

fn train(toy: &mut Toy, recorder: &mut Recorder, resume: Option<Checkpoint>) -> Result<()> {
    let set = TrainSet::of_normal(Arc::new(source()));
    let every = Every { checkpoint: Some(1), ..Every::default() };
    let mut run = Run::new(Rng::new(1), &Device::Cpu, recorder).keeping(every);
    if let Some(checkpoint) = resume {
        run = run.resuming(checkpoint);
    }
    run.train(&PHASE, &source(), &set, toy)
}

fn at(toy: &Toy) -> Result<f32> {
    Ok(toy.at.to_vec1::<f32>()?[0])
}

#[test]
fn learns_and_reports_each_epoch() -> Result<()> {
    let (mut toy, mut recorder) = (Toy::new()?, Recorder::default());
    train(&mut toy, &mut recorder, None)?;
    assert!((at(&toy)? - 3.0).abs() < 0.3, "{}", at(&toy)?);
    // 60 samples are 7 full batches of 8; the other 4 are left out.
    assert_eq!((recorder.lines.len(), recorder.steps), (4, 28));
    Ok(())
}

#[test]
fn a_training_that_was_stopped_anywhere_ends_at_the_same_bytes() -> Result<()> {
    let (mut whole, mut told) = (Toy::new()?, Recorder::default());
    train(&mut whole, &mut told, None)?;
    for stop_after in [1, 6, 7, 8, 27] {
        let mut recorder = Recorder { stop_after: Some(stop_after), ..Recorder::default() };
        let stopped = train(&mut Toy::new()?, &mut recorder, None);
        assert!(matches!(stopped, Err(Error::Stopped(Stop::Interrupt))), "{stopped:?}");
        let bytes = recorder.last.take().expect("a checkpoint");
        let checkpoint = Checkpoint::from_bytes("memory", &bytes, &Device::Cpu)?;
        assert_eq!(checkpoint.to_bytes()?, bytes);
        let (mut toy, mut rest) = (Toy::new()?, Recorder { lines: recorder.lines, ..Recorder::default() });
        train(&mut toy, &mut rest, Some(checkpoint))?;
        assert_eq!(at(&toy)?.to_bits(), at(&whole)?.to_bits(), "stopped after {stop_after}");
        assert_eq!(rest.lines, told.lines, "stopped after {stop_after}");
        assert_eq!(rest.last, told.last);
    }
    Ok(())
}

#[test]
fn steps_count_through_all_phases_also_of_a_resumed_run() -> Result<()> {
    let set = TrainSet::of_normal(Arc::new(source()));
    let phases = [Phase { name: "a", ..PHASE }, Phase { name: "b", batch: 20, ..PHASE }, PHASE];
    // Phase a has 4 epochs of 7 steps, b 4 of 3.
    let mut stopped = Recorder { stop_after: Some(28 + 7), ..Recorder::default() };
    let mut run = Run::new(Rng::new(1), &Device::Cpu, &mut stopped);
    assert!(phases.iter().try_for_each(|phase| run.train(phase, &source(), &set, &mut Toy::new()?)).is_err());
    assert_eq!(stopped.phases, ["a from epoch 0 after 0 steps", "b from epoch 0 after 28 steps"]);

    let bytes = stopped.last.expect("a checkpoint");
    let mut rest = Recorder::default();
    let checkpoint = Checkpoint::from_bytes("memory", &bytes, &Device::Cpu)?;
    let mut run = Run::new(Rng::new(1), &Device::Cpu, &mut rest).resuming(checkpoint);
    phases.iter().try_for_each(|phase| run.train(phase, &source(), &set, &mut Toy::new()?))?;
    assert_eq!(rest.phases, ["b from epoch 2 after 28 steps", "walk from epoch 0 after 40 steps"]);
    Ok(())
}

#[test]
fn a_loss_that_is_not_finite_ends_the_training() -> Result<()> {
    let mut toy = Toy { diverge_at: Some(10), ..Toy::new()? };
    let error = train(&mut toy, &mut Recorder::default(), None).expect_err("NaN at the tenth step");
    assert_eq!(error.to_string(), "training diverged: loss `distance` is NaN at step 9");
    Ok(())
}

#[test]
fn too_few_samples_for_a_batch_are_refused() -> Result<()> {
    let set = TrainSet::of_normal(Arc::new(source()));
    let mut quiet = Quiet;
    let mut run = Run::new(Rng::new(1), &Device::Cpu, &mut quiet);
    for batch in [0, 61] {
        let error =
            run.train(&Phase { batch, ..PHASE }, &source(), &set, &mut Toy::new()?).expect_err("refused");
        assert_eq!(
            error.to_string(),
            format!("config field `batch`: must be between 1 and the 60 training samples, is {batch}")
        );
    }
    Ok(())
}

#[test]
fn a_checkpoint_of_another_training_is_refused() -> Result<()> {
    let at = Position { phase: "other".into(), finished: vec![], epoch: 1, step: 0, sums: vec![] };
    let foreign = Checkpoint { at, state: State::new() };
    let error = train(&mut Toy::new()?, &mut Recorder::default(), Some(foreign)).expect_err("another phase");
    assert!(
        error.to_string().contains("stands in phase `other`, this training begins with `walk`"),
        "{error}"
    );
    Ok(())
}
