//! Models against the same models in PyTorch: forward pass, one step's gradients, ten steps' losses, and the scores after.
//! The makers lie beside the fixtures.

use candle_core::backprop::GradStore;
use candle_core::{Device, Tensor};
use flicker_core::{Config as _, Detector as _, Result, Rng, State, Weights};

/// Loads a fixture.
fn fixture(bytes: &[u8]) -> Result<State> {
    Ok(State::from_bytes("fixture", bytes, &Device::Cpu)?.0)
}

/// The largest difference, relative to the largest expected number.
#[track_caller]
fn check_close(name: &str, found: &Tensor, expected: &Tensor, tolerance: f32) -> Result<()> {
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
fn check_gradients(prefix: &str, weights: &Weights, grads: &GradStore, fixture: &State) -> Result<()> {
    let expected = fixture.part("grad");
    let vars = weights.vars(prefix);
    assert!(!vars.is_empty());
    for (name, var) in vars {
        let found = grads.get(&var).unwrap_or_else(|| panic!("no gradient for {name}"));
        check_close(&name, found, expected.require(&name)?, 3e-4)?;
    }
    Ok(())
}

fn losses_of(told: &flicker_core::run::Losses) -> Vec<f32> {
    told.values.iter().map(|(_, value)| *value).collect()
}

fn ganomaly_from(fixture: &State) -> Result<ganomaly::Ganomaly> {
    let config = ganomaly::Config {
        latent: 8,
        features: 2,
        extra_layers: 1,
        batch: 3,
        reinit_below: 0.0,
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
    let config = ae::Config { widths: vec![8, 5, 3], batch: 6, ..ae::Config::tutorial() };
    let model = config.build(12.into(), Rng::new(0), &Device::Cpu)?;
    model.weights().restore("fixture", &fixture.part("weights"))?;
    Ok(model)
}

#[test]
fn ae_gradients() -> Result<()> {
    let fixture = fixture(include_bytes!("../fixtures/ae/ae.safetensors"))?;
    let model = ae_from(&fixture)?;
    let xs = fixture.require("x")?;
    let loss = ae::loss(&model, xs)?;
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
        losses.push(ae::step(&model, &mut optimizer, xs)?.to_scalar::<f32>()?);
    }
    check_close("losses", &Tensor::from_vec(losses, 10, &Device::Cpu)?, fixture.require("losses")?, 1e-4)?;
    let scores = model.score(xs, &Rng::new(0))?.total;
    check_close("scores", &Tensor::from_vec(scores, 6, &Device::Cpu)?, fixture.require("scores")?, 1e-3)
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
