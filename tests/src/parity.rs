//! Models against the same models in PyTorch: forward pass, one step's gradients, ten steps' losses, and the scores after.
//! The makers lie beside the fixtures.

use candle_core::backprop::GradStore;
use candle_core::{Device, Tensor};
use flicker_core::data::Samples;
use flicker_core::{Config as _, Detector as _, Result, Rng, SampleShape, State, Weights};

/// Loads a fixture.
pub(crate) fn fixture(bytes: &[u8]) -> Result<State> {
    Ok(State::from_bytes("fixture", bytes, &Device::Cpu)?.0)
}

/// The largest difference, relative to the largest expected number.
#[track_caller]
pub(crate) fn check_close(name: &str, found: &Tensor, expected: &Tensor, tolerance: f32) -> Result<()> {
    assert_eq!(found.dims(), expected.dims(), "{name}");
    let values = |t: &Tensor| -> Result<Vec<f32>> { Ok(t.flatten_all()?.to_vec1()?) };
    let (found, expected) = (values(found)?, values(expected)?);
    let scale = expected.iter().fold(1e-12f32, |m, x| m.max(x.abs()));
    let worst = found.iter().zip(&expected).fold(0f32, |m, (a, b)| m.max((a - b).abs())) / scale;
    assert!(
        worst <= tolerance,
        "{name}: differs by {worst:e} of the largest value {scale:e}, allowed {tolerance:e}"
    );
    Ok(())
}

/// Every trained variable under `prefix` has the gradient that PyTorch found.
#[track_caller]
pub(crate) fn check_gradients(
    prefix: &str,
    weights: &Weights,
    grads: &GradStore,
    fixture: &State,
) -> Result<()> {
    let expected = fixture.part("grad");
    let vars = weights.vars(prefix);
    assert!(!vars.is_empty());
    for (name, var) in vars {
        let found = grads.get(&var).unwrap_or_else(|| panic!("no gradient for {name}"));
        check_close(&name, found, expected.require(&name)?, 3e-4)?;
    }
    Ok(())
}

pub(crate) fn losses_of(told: &flicker_core::run::Losses) -> Vec<f32> {
    told.values.iter().map(|(_, value)| *value).collect()
}

fn ganomaly_from(fixture: &State) -> Result<ganomaly::Ganomaly> {
    let config = ganomaly::Config {
        latent: 8,
        features: 2,
        extra_layers: 1,
        batch: 3,
        reinit_below: 0.0,
        score: ganomaly::Score::Latent {},
        ..ganomaly::Config::paper()
    };
    let model = config.build((1, 32, 32).into(), Rng::new(0), &Device::Cpu)?;
    model.weights().restore("fixture", &fixture.part("weights"))?;
    Ok(model)
}

#[test]
fn ganomaly_forward_and_gradients() -> Result<()> {
    use flicker_core::nn::Mode;
    let fixture = fixture(include_bytes!("../fixtures/ganomaly/ganomaly.safetensors"))?;
    let model = ganomaly_from(&fixture)?;
    let xs = fixture.require("x")?;
    let (x_hat, z, z_hat) = model.networks().reconstruct(xs, Mode::Training)?;
    let (logits, features) = model.networks().discriminator.forward(xs, Mode::Training)?;
    for (name, found) in
        [("x_hat", x_hat), ("z", z), ("z_hat", z_hat), ("logits", logits), ("features", features)]
    {
        check_close(name, &found, fixture.require(name)?, 1e-5)?;
    }
    let losses = ganomaly::StepLosses::on(&model, xs)?;
    check_gradients("generator.", model.weights(), &losses.generator.backward()?, &fixture)?;
    check_gradients("discriminator.", model.weights(), &losses.discriminator.backward()?, &fixture)?;
    // The generator's loss reaches the discriminator's weights through nothing.
    let grads = losses.generator.backward()?;
    assert!(model.weights().vars("discriminator.").iter().all(|(_, var)| grads.get(var).is_none()));
    Ok(())
}

#[test]
fn ganomaly_ten_steps_and_scores() -> Result<()> {
    let fixture = fixture(include_bytes!("../fixtures/ganomaly/ganomaly.safetensors"))?;
    let model = ganomaly_from(&fixture)?;
    let mut optimizers = ganomaly::Optimizers::new(model.config(), model.weights())?;
    let xs = fixture.require("x")?;
    let mut losses = Vec::new();
    for _ in 0..10 {
        losses.extend(losses_of(&ganomaly::step(&model, &mut optimizers, xs, &Rng::new(0))?));
    }
    check_close(
        "losses",
        &Tensor::from_vec(losses, (10, 5), &Device::Cpu)?,
        fixture.require("losses")?,
        1e-4,
    )?;
    let scores = model.score(xs, &Rng::new(0))?.total;
    check_close("scores", &Tensor::from_vec(scores, 3, &Device::Cpu)?, fixture.require("scores")?, 1e-3)
}

fn ae_from(fixture: &State) -> Result<ae::Autoencoder> {
    let network = ae::NetworkConfig::tutorial(&[8, 5, 3]);
    let config = ae::Config { network, batch: 6, ..ae::Config::tutorial() };
    let model = config.build(12.into(), Rng::new(0), &Device::Cpu)?;
    model.weights().restore("fixture", &fixture.part("weights"))?;
    Ok(model)
}

#[test]
fn ae_gradients() -> Result<()> {
    let fixture = fixture(include_bytes!("../fixtures/ae/ae.safetensors"))?;
    let model = ae_from(&fixture)?;
    let loss = ae::StepLosses::on(&model, fixture.require("x")?, &Rng::new(0))?.total;
    check_gradients("", model.weights(), &loss.backward()?, &fixture)
}

#[test]
fn ae_ten_steps_and_scores() -> Result<()> {
    let fixture = fixture(include_bytes!("../fixtures/ae/ae.safetensors"))?;
    let model = ae_from(&fixture)?;
    let mut optimizer = model.optimizer()?;
    let xs = fixture.require("x")?;
    let mut losses = Vec::new();
    for _ in 0..10 {
        losses.push(ae::step(&model, &mut optimizer, xs, &Rng::new(0))?.total.to_scalar::<f32>()?);
    }
    check_close("losses", &Tensor::from_vec(losses, 10, &Device::Cpu)?, fixture.require("losses")?, 1e-4)?;
    let scores = model.score(xs, &Rng::new(0))?.total;
    check_close("scores", &Tensor::from_vec(scores, 6, &Device::Cpu)?, fixture.require("scores")?, 1e-3)
}

/// One of the models of `make_variants.py`: forward pass, one step's gradients, ten steps' losses. `noise` says that what a step is
/// given is the codes' noise, not the network's input.
fn ae_variant(
    name: &str,
    config: &ae::Config,
    shape: SampleShape,
    noise: bool,
) -> Result<(ae::Autoencoder, State)> {
    use flicker_core::nn::Mode;
    use flicker_core::optim::Optimizer;
    let fixture = fixture(include_bytes!("../fixtures/ae/variants.safetensors"))?.part(name);
    let model = config.build(shape, Rng::new(0), &Device::Cpu)?;
    let weights = fixture.part("weights");
    let start = || -> Result<()> {
        let mut state = model.weights().state()?;
        weights.iter().for_each(|(name, tensor)| state.put(name.clone(), tensor.clone()));
        model.weights().restore("fixture", &state)
    };
    start()?;
    let (xs, given) = (fixture.require("x")?, fixture.require("given")?);
    let code = model.network().encode(xs, Mode::Training)?.mean;
    check_close("x_hat", &model.network().decode(&code, Mode::Training)?, fixture.require("x_hat")?, 1e-5)?;
    start()?;
    let mut optimizer = model.optimizer()?;
    let mut losses = Vec::new();
    for step in 0..10 {
        let (input, noise) = if noise { (xs, Some(given)) } else { (given, None) };
        let loss = ae::StepLosses::given(&model, xs, input, noise)?.total;
        let grads = loss.backward()?;
        if step == 0 {
            check_gradients("", model.weights(), &grads, &fixture)?;
        }
        optimizer.step(&grads)?;
        losses.push(loss.to_scalar::<f32>()?);
    }
    check_close("losses", &Tensor::from_vec(losses, 10, &Device::Cpu)?, fixture.require("losses")?, 1e-4)?;
    Ok((model, fixture))
}

#[track_caller]
fn check_scores(model: &ae::Autoencoder, fixture: &State, expected: &str) -> Result<()> {
    let found = model.score(fixture.require("x")?, &Rng::new(0))?.total;
    let found = Tensor::from_vec(found.clone(), found.len(), &Device::Cpu)?;
    check_close(expected, &found, fixture.require(expected)?, 1e-3)
}

#[test]
fn ae_variational() -> Result<()> {
    let network = ae::NetworkConfig::Convolutional { channels: vec![3, 4], code: 3, batch_norm: true };
    let variant = ae::Variant::Variational { sigma: 0.5, beta: 0.7 };
    let config =
        ae::Config { network, variant, learning_rate: 1e-2, weight_decay: 0.0, ..ae::Config::variational() };
    let (model, fixture) = ae_variant("variational", &config, (1, 8, 12).into(), true)?;
    check_scores(&model, &fixture, "scores")
}

#[test]
fn ae_pooled_denoising() -> Result<()> {
    let network = ae::NetworkConfig::Pooled { channels: [3, 4], pool: 4, hidden: 8, code: 5 };
    let loss = ae::Loss::L1 {};
    let config = ae::Config { network, loss, learning_rate: 1e-2, weight_decay: 0.0, ..ae::Config::pooled() };
    let (model, fixture) = ae_variant("pooled", &config, (2, 16, 20).into(), false)?;
    check_scores(&model, &fixture, "scores")
}

#[test]
fn ae_structural_similarity() -> Result<()> {
    let network = ae::NetworkConfig::Convolutional { channels: vec![3, 4], code: 5, batch_norm: false };
    let loss = ae::Loss::Ssim { range: 2.0 };
    let config =
        ae::Config { network, loss, learning_rate: 1e-2, weight_decay: 0.0, ..ae::Config::convolutional() };
    let (model, fixture) = ae_variant("similarity", &config, (2, 12, 16).into(), false)?;
    check_scores(&model, &fixture, "scores")
}

#[test]
fn ae_of_tables_and_its_scores() -> Result<()> {
    let network = ae::NetworkConfig::Dense {
        widths: vec![6, 4],
        batch_norm: false,
        encoder: ae::Hidden::Tanh,
        code: ae::Hidden::Linear,
        decoder: ae::Hidden::Tanh,
    };
    let scores = [
        (ae::Score::Latent {}, "scores"),
        (ae::Score::Scaled {}, "scaled"),
        (ae::Score::LogScaled {}, "log_scaled"),
    ];
    for (score, expected) in scores {
        let config = ae::Config {
            network: network.clone(),
            variant: ae::Variant::Plain {},
            score,
            learning_rate: 1e-2,
            ..ae::Config::table()
        };
        let (model, mut fixture) = ae_variant("table", &config, 9.into(), false)?;
        let rows = fixture.require("x")?.flatten_all()?.to_vec1::<f32>()?;
        model.fit_statistics(&Samples::new(9, rows)?)?;
        if expected != "scores" {
            let bytes = include_bytes!("../fixtures/ae/variants.safetensors");
            let all = State::from_bytes("fixture", bytes, &Device::Cpu)?.0;
            fixture.put(expected, all.require(&format!("table.{expected}"))?.clone());
        }
        check_scores(&model, &fixture, expected)?;
    }
    Ok(())
}

#[test]
fn cnn() -> Result<()> {
    use flicker_core::optim::Optimizer;
    let fixture = fixture(include_bytes!("../fixtures/cnn/cnn.safetensors"))?;
    let config = cnn::Config {
        channels: vec![3, 4],
        pool: 2,
        hidden: 6,
        learning_rate: 1e-2,
        ..cnn::Config::published()
    };
    let model = config.build((2, 11, 14).into(), Rng::new(0), &Device::Cpu)?;
    model.weights().restore("fixture", &fixture.part("weights"))?;
    let (xs, weights) = (fixture.require("x")?, fixture.require("class_weights")?);
    let labels = fixture.require("labels")?.to_dtype(candle_core::DType::U32)?;
    check_close("outputs", &model.network().forward(xs)?, fixture.require("outputs")?, 1e-5)?;
    let mut optimizer = model.optimizer()?;
    let mut losses = Vec::new();
    for step in 0..10 {
        let loss = cnn::loss(&model, xs, &labels, (step % 2 == 0).then_some(weights))?;
        let grads = loss.backward()?;
        if step == 0 {
            check_gradients("", model.weights(), &grads, &fixture)?;
        }
        optimizer.step(&grads)?;
        losses.push(loss.to_scalar::<f32>()?);
    }
    check_close("losses", &Tensor::from_vec(losses, 10, &Device::Cpu)?, fixture.require("losses")?, 1e-4)?;
    let scores = model.score(xs, &Rng::new(0))?;
    for (name, found) in [("scores", scores.total), ("logits", scores.parts[0].1.clone())] {
        check_close(name, &Tensor::from_vec(found, 5, &Device::Cpu)?, fixture.require(name)?, 1e-3)?;
    }
    Ok(())
}

fn anoddpm_from(fixture: &State, loss: anoddpm::Loss) -> Result<anoddpm::AnoDdpm> {
    let config = anoddpm::Config {
        base: 4,
        multipliers: vec![1, 1],
        residual_blocks: 1,
        attention_sizes: vec![4],
        groups: 2,
        learning_rate: 1e-3,
        loss,
        ..anoddpm::Config::paper()
    };
    let model = config.build((1, 8, 8).into(), Rng::new(0), &Device::Cpu)?;
    model.weights().restore("fixture", &fixture.part("weights"))?;
    Ok(model)
}

fn anoddpm_times() -> anoddpm::Times {
    anoddpm::Times { ts: vec![0, 3, 250, 799], weights: vec![1.0; 4] }
}

/// The gradients are those of the hybrid loss, which has the simple one in it.
#[test]
fn anoddpm_forward_and_gradients() -> Result<()> {
    let fixture = fixture(include_bytes!("../fixtures/anoddpm/anoddpm.safetensors"))?;
    let model = anoddpm_from(&fixture, anoddpm::Loss::Hybrid)?;
    let (xs, noise, times) = (fixture.require("x")?, fixture.require("noise")?, anoddpm_times());
    let xt = model.noised(xs, noise, &times.ts)?;
    check_close("xt", &xt, fixture.require("xt")?, 1e-6)?;
    check_close("answer", &model.network().forward(&xt, &times.ts)?, fixture.require("answer")?, 1e-5)?;
    let loss = model.loss(xs, noise, &times)?;
    check_close("hybrid", &loss, fixture.require("hybrid")?, 1e-5)?;
    check_gradients("", model.weights(), &loss.backward()?, &fixture)
}

#[test]
fn anoddpm_ten_steps() -> Result<()> {
    let fixture = fixture(include_bytes!("../fixtures/anoddpm/anoddpm.safetensors"))?;
    let model = anoddpm_from(&fixture, anoddpm::Loss::L2)?;
    let mut optimizers = anoddpm::Optimizers::new(&model)?;
    let (xs, noise) = (fixture.require("x")?, fixture.require("noise")?);
    let mut losses = Vec::new();
    for _ in 0..10 {
        let (loss, _) = anoddpm::step(&model, &mut optimizers, xs, noise, &anoddpm_times())?;
        losses.push(loss.to_scalar::<f32>()?);
    }
    check_close("losses", &Tensor::from_vec(losses, 10, &Device::Cpu)?, fixture.require("losses")?, 1e-4)
}
