//! The first steps of every family, trained by its own `fit`, on the CPU and on the device from the same seed.

use crate::compare::{Precision, Row, error, largest};
use candle_core::{Device, Tensor};
use flicker_core::data::{Samples, Source, Subset};
use flicker_core::run::{Checkpoint, Event, Every, Monitor, Run};
use flicker_core::{Config, Detector, Result, Rng, SampleShape, State, Stop, Supervision, TrainSet};
use std::collections::BTreeSet;
use std::sync::Arc;

/// Samples in the one batch of an epoch, and epochs: so many steps.
const BATCH: usize = 16;
const STEPS: usize = 3;

/// Checks each family.
pub(crate) fn check(precision: &Precision) -> anyhow::Result<Vec<Row>> {
    let ae = ae::Config { epochs: STEPS, batch: BATCH, ..ae::Config::steady() };
    let ganomaly =
        ganomaly::Config { features: 16, epochs: STEPS, batch: BATCH, ..ganomaly::Config::paper() };
    let conv = ae::Config { epochs: STEPS, batch: BATCH, ..ae::Config::variational() };
    let pooled = ae::Config { epochs: STEPS, batch: BATCH, ..ae::Config::pooled() };
    let table = ae::Config { epochs: STEPS, batch: BATCH, ..ae::Config::table() };
    let cnn = cnn::Config { epochs: STEPS, batch: BATCH, ..cnn::Config::published() };
    let anogan = anogan::Config { epochs: STEPS, batch: BATCH, search_steps: 3, ..anogan::Config::egbad() };
    let fanogan = fanogan::Config {
        networks: fanogan::Architecture::Residual { features: 8 },
        epochs: STEPS,
        batch: BATCH,
        encoder_epochs: 1,
        ..fanogan::Config::paper()
    };
    let deepsvdd =
        deepsvdd::Config { pretrain_epochs: 0, epochs: STEPS, batch: BATCH, ..deepsvdd::Config::paper() };
    let anoddpm = anoddpm::Config { epochs: STEPS, batch: BATCH, ..anoddpm::Config::small() };
    let mut rows = family(precision, &ae, 784.into())?;
    rows.extend(family(precision, &conv, (1, 28, 28).into())?);
    rows.extend(family(precision, &pooled, (3, 32, 32).into())?);
    rows.extend(family(precision, &table, 29.into())?);
    rows.extend(family(precision, &cnn, (3, 64, 64).into())?);
    rows.extend(family(precision, &ganomaly, (1, 32, 32).into())?);
    rows.extend(family(precision, &anogan, (1, 28, 28).into())?);
    rows.extend(family(precision, &fanogan, (1, 32, 32).into())?);
    rows.extend(family(precision, &deepsvdd, (1, 28, 28).into())?);
    rows.extend(family(precision, &anoddpm, (1, 32, 32).into())?);
    Ok(rows)
}

/// The rows of one family. What is too far apart on one batch is looked at on another, and the nearer counts: an activation
/// within rounding of its kink falls to either side, and takes gradients with it, on one batch in many; a fault shows on all.
fn family<C: Config>(precision: &Precision, config: &C, shape: SampleShape) -> Result<Vec<Row>> {
    let mut rows = on_a_batch(precision, config, shape, 1)?;
    if rows.iter().any(|row| !row.holds()) {
        for (row, again) in rows.iter_mut().zip(on_a_batch(precision, config, shape, 2)?) {
            if again.result < row.result {
                row.result = again.result;
            }
        }
    }
    Ok(rows)
}

/// The rows of one family on the batch of a seed.
fn on_a_batch<C: Config>(
    precision: &Precision,
    config: &C,
    shape: SampleShape,
    seed: u64,
) -> Result<Vec<Row>> {
    let reference = train(config, shape, &Device::Cpu, seed)?;
    let found = precision.on_device(|| train(config, shape, &precision.device, seed))?;
    let coarse = precision.products || precision.convolutions;
    let row = |what: &str, result: f64, f32: f64, tf32: f64| Row {
        name: format!("{}: {what}", C::FAMILY.name),
        result,
        gradient: None,
        allowed: if coarse { tf32 } else { f32 },
    };
    let moments =
        |trained: &Trained| trained.first.iter().filter(|(name, _)| name.ends_with(GRADIENT)).count();
    let statistics = worst(&reference.first, &found.first, |name| name.contains(".running_"))?;
    // After one step the first moment of Adam is the gradient, but for a factor. Roundings pile up through the layers.
    let gradients = worst_gradient(&reference.first, &found.first)?;
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

fn train<C: Config>(config: &C, shape: SampleShape, device: &Device, seed: u64) -> Result<Trained> {
    let samples =
        Samples::new(shape, Rng::new(seed).fork("samples").uniforms(BATCH * shape.elements(), -1.0, 1.0))?;
    let mut listener = Listener { losses: Vec::new(), first: None };
    let mut model = config.build(shape, Rng::new(2), device)?;
    let every = Every { checkpoint: Some(1), ..Every::default() };
    let mut run = Run::new(Rng::new(3), device, &mut listener).keeping(every);
    model.fit(&train_set::<C>(samples)?, &mut run)?;
    let xs = Rng::new(4).randn_samples(8, shape, device)?;
    let scores = model.score(&xs, &Rng::new(5))?.total;
    Ok(Trained { losses: listener.losses, first: listener.first.unwrap_or_default(), scores })
}

/// One batch: normals alone, or half of them labelled as abnormal for a supervised family.
fn train_set<C: Config>(samples: Samples) -> Result<TrainSet> {
    let samples: Arc<dyn Source> = Arc::new(samples);
    if C::FAMILY.supervision != Supervision::Supervised {
        return Ok(TrainSet::of_normal(samples));
    }
    let half = |range: std::ops::Range<usize>| Subset::new(samples.clone(), range.collect());
    let normal = TrainSet::of_normal(Arc::new(half(0..BATCH / 2)?));
    Ok(TrainSet { abnormal: Some(Arc::new(half(BATCH / 2..BATCH)?)), ..normal })
}

/// The largest error of the tensors whose names are `wanted`; a tensor that one side lacks is infinitely far.
fn worst(reference: &State, found: &State, wanted: impl Fn(&str) -> bool) -> Result<f64> {
    let mut worst = if reference.len() == found.len() && !reference.is_empty() { 0.0 } else { f64::INFINITY };
    for (name, tensor) in reference.iter().filter(|(name, _)| wanted(name)) {
        worst = largest(worst, found.get(name).map_or(Ok(f64::INFINITY), |found| error(tensor, found))?);
    }
    Ok(worst)
}

/// What the first step's gradients of a network end in, among the state of its optimizer.
const GRADIENT: &str = ".first_moment";

/// A gradient's rounding errors come from terms that may cancel out: the gradient of a bias before a batch norm is the small rest
/// of sums as large as other gradients of the network. So an error counts as a share of its tensor's largest number plus this
/// share of its network's largest: with 1e-3 allowed, 1e-4 of the largest is granted. PyTorch's own two ways to write the batch
/// norm of the autoencoder differ in f32 by up to 1.1e-2 of such a bias's gradient and 4.5e-5 of the network's largest (six
/// seeds), and agree in f64.
const OF_THE_NETWORK: f64 = 1e-1;

/// The largest error of a gradient, as above; the networks are the parts of the state.
fn worst_gradient(reference: &State, found: &State) -> Result<f64> {
    let mut worst = if reference.len() == found.len() && !reference.is_empty() { 0.0 } else { f64::INFINITY };
    for network in networks(reference) {
        let is_gradient = |name: &str| name.starts_with(&network) && name.ends_with(GRADIENT);
        let gradients: Vec<_> = reference.iter().filter(|(name, _)| is_gradient(name)).collect();
        let sizes = gradients.iter().map(|(_, gradient)| size(gradient)).collect::<Result<Vec<f64>>>()?;
        let floor = OF_THE_NETWORK * sizes.iter().copied().fold(0.0, largest);
        for ((name, gradient), size) in gradients.into_iter().zip(sizes) {
            let share = found.get(name).map_or(Ok(f64::INFINITY), |found| error(gradient, found))?;
            worst = largest(worst, share * size / (size + floor).max(f64::MIN_POSITIVE));
        }
    }
    Ok(worst)
}

/// The first parts of the gradients' names, each with its dot.
fn networks(state: &State) -> BTreeSet<String> {
    let gradients = state.iter().filter(|(name, _)| name.ends_with(GRADIENT));
    gradients.filter_map(|(name, _)| Some(format!("{}.", name.split_once('.')?.0))).collect()
}

/// The largest number, without its sign.
fn size(t: &Tensor) -> Result<f64> {
    Ok(f64::from(t.to_device(&Device::Cpu)?.abs()?.max_all()?.to_scalar::<f32>()?))
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
        if let Event::Step { losses, .. } = event
            && !losses.values.is_empty()
        {
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

#[cfg(test)]
mod tests {
    use super::*;
    use candle_core::{DType, Var};
    use flicker_kernels::{Activation, batch_norm_train, linear, with_compositions};

    fn state(gradients: &[(&str, &[f32])]) -> State {
        let mut state = State::new();
        for (name, numbers) in gradients {
            let gradient = Tensor::new(*numbers, &Device::Cpu).expect("numbers");
            state.put(format!("{name}{GRADIENT}"), gradient);
        }
        state
    }

    #[test]
    fn an_error_counts_within_its_network() -> Result<()> {
        let reference = state(&[("g.bias", &[1e-5, 0.0]), ("g.weight", &[1.0]), ("d.bias", &[1e-5, 0.0])]);
        let off = |by_g: f32, by_d: f32| {
            let (g, d) = ([1e-5, by_g], [1e-5, by_d]);
            worst_gradient(&reference, &state(&[("g.bias", &g), ("g.weight", &[1.0]), ("d.bias", &d)]))
        };
        // The rounding error of a sum whose terms are as large as the weight's gradient, and the same where there is none.
        assert!(off(1e-7, 0.0)? < 1e-4 && off(0.0, 1e-7)? > 9e-3);
        // A thousandth of the network's largest is found, in the smallest gradient too.
        assert!(off(-1e-3, 0.0)? > 5e-3);
        assert!(worst_gradient(&reference, &state(&[("g.bias", &[1e-5, 0.0])]))?.is_infinite());
        assert!(off(f32::NAN, 0.0)?.is_nan());
        Ok(())
    }

    /// The gradient of a bias two layers before a batch norm: what tanh bends of a shift that the norm takes away again.
    fn gradient_of_a_bias(dtype: DType) -> Result<(Vec<f64>, f64)> {
        let rng = Rng::new(7);
        let numbers = |purpose: u64, dims: &[usize], scale: f64| -> Result<Tensor> {
            Ok((rng.fork_index(purpose).randn(dims, &Device::Cpu)?.to_dtype(dtype)? * scale)?)
        };
        // The code hardly differs between samples, as in an autoencoder that has not learned anything yet.
        let code = (numbers(0, &[16, 16], 1e-3)? + 0.1)?;
        let (w1, b1) =
            (Var::from_tensor(&numbers(1, &[64, 16], 0.1)?)?, Var::from_tensor(&numbers(2, &[64], 0.1)?)?);
        let w2 = Var::from_tensor(&numbers(3, &[100, 64], 0.05)?)?;
        let vector = |x: f64| Var::from_tensor(&Tensor::ones(100, dtype, &Device::Cpu)?.affine(x, 0.0)?);
        let (gamma, beta, mean, var) = (vector(1.0)?, vector(0.0)?, vector(0.0)?, vector(1.0)?);
        let hidden = linear(&code, &w1, Some(&b1), Activation::Tanh)?;
        let xs = linear(&hidden, &w2, None, Activation::None)?;
        let ys = batch_norm_train(&xs, &gamma, &beta, &mean, &var, 0.1, 1e-5, Activation::Tanh)?;
        let grads = (ys - numbers(4, &[16, 100], 1.0)?)?.sqr()?.mean_all()?.backward()?;
        let all =
            [&w1, &b1, &w2, &gamma, &beta].map(|v| grads.get(v.as_tensor()).expect("a gradient").clone());
        let in_f64 = |t: &Tensor| t.to_dtype(DType::F64)?.flatten_all()?.to_vec1::<f64>();
        let mut size = 0.0;
        for gradient in &all {
            size = in_f64(gradient)?.iter().map(|g| g.abs()).fold(size, largest);
        }
        Ok((in_f64(&all[1])?, size))
    }

    /// Such gradients differ between two right ways to compute them in f32 by far more than a share of themselves, by a few
    /// roundings of the network's largest; in f64 they agree, so no way is wrong.
    #[test]
    fn cancelled_gradients_differ_by_rounding_alone() -> Result<()> {
        let apart = |dtype| -> Result<(f64, f64)> {
            let ((kernels, largest_of_all), composed) =
                (gradient_of_a_bias(dtype)?, with_compositions(|| gradient_of_a_bias(dtype))?.0);
            let own = kernels.iter().map(|g| g.abs()).fold(0.0, largest);
            let off = kernels.iter().zip(&composed).map(|(a, b)| (a - b).abs()).fold(0.0, largest);
            Ok((off / own, off / largest_of_all))
        };
        let ((of_itself, of_the_network), (exact, _)) = (apart(DType::F32)?, apart(DType::F64)?);
        assert!(exact < 1e-9, "in f64 the two ways differ by {exact}");
        assert!(of_itself > 100.0 * of_the_network, "{of_itself} of itself, {of_the_network} of the network");
        assert!(of_the_network < 1e-3 * OF_THE_NETWORK, "{of_the_network} of the network's largest");
        Ok(())
    }
}
