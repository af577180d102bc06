//! Models against the same models in PyTorch: forward pass, one step's gradients, ten steps' losses, and the scores after.
//! The makers lie beside the fixtures.

use candle_core::backprop::GradStore;
use candle_core::{Device, Tensor};
use flicker_core::{Config as _, Detector as _, Result, Rng, State, Weights};

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
