//! AnoGAN and f-AnoGAN against the same models in PyTorch: forward pass, gradients of one step (the penalty's second
//! derivatives too), losses of ten steps of each phase, and what comes of searching and scoring.

use crate::parity::{check_close, fixture, losses_of};
use candle_core::backprop::GradStore;
use candle_core::{Device, Tensor};
use flicker_core::nn::Mode;
use flicker_core::{Config as _, Detector as _, Result, Rng, State, Weights};

/// Every trained variable under `prefix` has the gradient that PyTorch found, to 5e-4 of itself, or to 1e-6 of the largest
/// gradient, which is eight roundings of f32: a shift before a norm has no gradient but the rest of terms that cancel, and in
/// what order they are added is each side's own affair.
fn check_gradients(prefix: &str, weights: &Weights, grads: &GradStore, expected: &State) -> Result<()> {
    let largest = |t: &Tensor| -> Result<f32> { Ok(t.abs()?.flatten_all()?.max(0)?.to_scalar()?) };
    let vars = weights.vars(prefix);
    assert!(!vars.is_empty());
    let mut most = 0f32;
    for (name, _) in &vars {
        most = most.max(largest(expected.require(name)?)?);
    }
    for (name, var) in vars {
        let expected = expected.require(&name)?;
        let found = grads.get(&var).map_or_else(|| var.zeros_like(), |grad| Ok(grad.clone()))?;
        let (error, scale) = (largest(&(found - expected)?)?, largest(expected)?.max(2e-3 * most));
        assert!(error <= 5e-4 * scale, "{name}: differs by {error:e}, the largest value is {scale:e}");
    }
    Ok(())
}

fn anogan_from(fixture: &State) -> Result<anogan::AnoGan> {
    let config = anogan::Config {
        networks: anogan::Architecture::Tutorial { generator: 16, discriminator: 2 },
        latent: 5,
        batch: 4,
        encoder_epochs: 1,
        encoder_features: 2,
        search_steps: 10,
        search_rates: vec![anogan::Rate { from: 0, rate: 1e-2 }],
        lambda: 0.1,
        ..anogan::Config::tutorial()
    };
    let model = config.build((1, 8, 8).into(), Rng::new(0), &Device::Cpu)?;
    model.weights().restore("fixture", &fixture.part("weights"))?;
    Ok(model)
}

/// Latents of the steps, the generator's and the discriminator's.
fn latents(fixture: &State, step: usize) -> Result<[Tensor; 2]> {
    let zs = fixture.require("zs")?.get(step)?;
    Ok([zs.get(0)?, zs.get(1)?])
}

#[test]
fn anogan_forward_and_gradients() -> Result<()> {
    use flicker_core::optim::{Adam, AdamConfig, Optimizer as _};
    let fixture = fixture(include_bytes!("../fixtures/anogan/anogan.safetensors"))?;
    let (model, xs) = (anogan_from(&fixture)?, fixture.require("x")?);
    let [for_generator, for_discriminator] = latents(&fixture, 0)?;
    let fake = model.networks().generator.forward(&for_generator, Mode::Training)?;
    check_close("fake", &fake, fixture.require("fake")?, 1e-5)?;
    let grads = anogan::generator_loss(&model, &for_generator)?.backward()?;
    check_gradients("generator.", model.weights(), &grads, &fixture.part("grad"))?;
    // The generator's loss reaches the discriminator's weights through nothing.
    assert!(model.weights().vars("discriminator.").iter().all(|(_, var)| grads.get(var).is_none()));
    // The discriminator's loss comes after the generator's step.
    let adam = AdamConfig { learning_rate: 1e-3, beta1: 0.5, beta2: 0.999, eps: 1e-8, weight_decay: 0.0 };
    Adam::new(model.weights().vars("generator."), adam)?.step(&grads)?;
    let [loss, ..] = anogan::discriminator_loss(&model, xs, &for_discriminator)?;
    check_gradients("discriminator.", model.weights(), &loss.backward()?, &fixture.part("grad"))?;
    let logits = model.networks().discriminator.forward(xs, Mode::Training)?;
    check_close("logits", &logits, fixture.require("logits")?, 1e-4)
}

#[test]
fn anogan_ten_steps() -> Result<()> {
    let fixture = fixture(include_bytes!("../fixtures/anogan/anogan.safetensors"))?;
    let (model, xs) = (anogan_from(&fixture)?, fixture.require("x")?);
    let mut optimizers = anogan::Optimizers::new(model.config(), model.weights())?;
    let mut losses = Vec::new();
    for step in 0..10 {
        let [a, b] = latents(&fixture, step)?;
        losses.extend(losses_of(&anogan::step(&model, &mut optimizers, xs, [&a, &b])?));
    }
    check_close("losses", &Tensor::from_vec(losses, (10, 4), &Device::Cpu)?, fixture.require("losses")?, 1e-4)
}

#[test]
fn anogan_encoder_and_search() -> Result<()> {
    use flicker_core::optim::{Adam, AdamConfig, Optimizer as _};
    let fixture = fixture(include_bytes!("../fixtures/anogan/anogan.safetensors"))?;
    let (model, xs) = (anogan_from(&fixture)?, fixture.require("x")?);
    let adam = AdamConfig { learning_rate: 1e-3, beta1: 0.5, beta2: 0.999, eps: 1e-8, weight_decay: 0.0 };
    let mut encoder = Adam::new(model.weights().vars("encoder."), adam)?;
    let mut losses = Vec::new();
    for step in 0..10 {
        let loss = anogan::encoder_loss(&model, xs)?;
        losses.push(loss.to_scalar::<f32>()?);
        let grads = loss.backward()?;
        if step == 0 {
            check_gradients("encoder.", model.weights(), &grads, &fixture.part("grad"))?;
        }
        encoder.step(&grads)?;
    }
    let losses = Tensor::from_vec(losses, 10, &Device::Cpu)?;
    check_close("encoder losses", &losses, fixture.require("encoder_losses")?, 1e-4)?;

    let start = fixture.require("start")?;
    let first = model.losses(xs, start)?.loss(0.1)?.sum_all()?;
    check_close("first loss", &first, &fixture.require("search_losses")?.get(0)?, 1e-4)?;
    let (zs, steps) = model.search(xs, start)?;
    assert_eq!(steps, [10; 4]);
    check_close("latents", &zs, fixture.require("z")?, 1e-3)?;
    let parts = model.losses(xs, &zs)?;
    check_close("residual", &parts.residual.detach(), fixture.require("residual")?, 1e-3)?;
    check_close("discrimination", &parts.discrimination.detach(), fixture.require("discrimination")?, 1e-3)
}

fn fanogan_from(fixture: &State, networks: fanogan::Architecture, size: usize) -> Result<fanogan::FAnoGan> {
    let config = fanogan::Config {
        networks,
        latent: 5,
        batch: 4,
        n_critic: 2,
        learning_rate: 1e-3,
        beta1: 0.5,
        beta2: 0.999,
        encoder_learning_rate: 1e-3,
        kappa: 0.5,
        score_feature: 0.5,
        ..fanogan::Config::paper()
    };
    let model = config.build((1, size, size).into(), Rng::new(0), &Device::Cpu)?;
    model.weights().restore("fixture", &fixture.part("weights"))?;
    Ok(model)
}

fn check_fanogan(bytes: &[u8], networks: fanogan::Architecture, size: usize) -> Result<()> {
    let fixture = fixture(bytes)?;
    fanogan_gradients(&fixture, &fanogan_from(&fixture, networks, size)?)?;
    fanogan_steps(&fixture, &fanogan_from(&fixture, networks, size)?)?;
    fanogan_encoder(&fixture, &fanogan_from(&fixture, networks, size)?)
}

fn fanogan_gradients(fixture: &State, model: &fanogan::FAnoGan) -> Result<()> {
    let xs = fixture.require("x")?;
    let (zs, mix) = (fixture.require("zs")?.get(0)?, fixture.require("mix")?.get(0)?);
    let critic = &model.networks().critic;
    check_close("D(x)", &critic.forward(xs)?, fixture.require("scored")?, 1e-5)?;
    let fake = fixture.require("fake")?;
    let between = (xs.broadcast_mul(&mix)? + fake.broadcast_mul(&(1.0 - &mix)?)?)?;
    check_close("∇D", &critic.input_gradient(&between)?, fixture.require("gradient")?, 1e-5)?;
    // Second derivatives: the penalty's gradients by the critic's weights.
    let grads = fanogan::gradient_penalty(critic, xs, fake, &mix)?.backward()?;
    check_gradients("critic.", model.weights(), &grads, &fixture.part("penalty"))?;
    let losses = fanogan::StepLosses::on(model, xs, &zs, &mix)?;
    check_gradients("critic.", model.weights(), &losses.critic.backward()?, &fixture.part("grad"))
}

fn fanogan_steps(fixture: &State, model: &fanogan::FAnoGan) -> Result<()> {
    let xs = fixture.require("x")?;
    let mut optimizers = fanogan::Optimizers::new(model.config(), model.weights())?;
    let mut losses = Vec::new();
    for step in 0..10 {
        let (zs, mix) = (fixture.require("zs")?.get(step)?, fixture.require("mix")?.get(step)?);
        losses.extend(losses_of(&fanogan::step(model, &mut optimizers, xs, &zs, &mix)?));
    }
    let losses = Tensor::from_vec(losses, (10, 3), &Device::Cpu)?;
    check_close("losses", &losses, fixture.require("losses")?, 5e-4)
}

fn fanogan_encoder(fixture: &State, model: &fanogan::FAnoGan) -> Result<()> {
    let xs = fixture.require("x")?;
    let mut optimizers = fanogan::Optimizers::new(model.config(), model.weights())?;
    let scores = model.score(xs, &Rng::new(0))?;
    let tensor = |values: Vec<f32>| Tensor::from_vec(values, 4, &Device::Cpu);
    for (name, values) in scores.parts {
        check_close(name, &tensor(values)?, fixture.require(name)?, 1e-4)?;
    }
    check_close("scores", &tensor(scores.total)?, fixture.require("scores")?, 1e-4)?;
    let zs = fixture.require("zs")?.get(0)?; // ziz alone looks at it
    let before = model.weights().state()?;
    let [(_, loss), _] = fanogan::encoder_loss(model, xs, &zs)?;
    check_gradients("encoder.", model.weights(), &loss.backward()?, &fixture.part("grad"))?;
    model.weights().restore("before", &before)?; // running statistics have moved
    let mut losses = Vec::new();
    for _ in 0..10 {
        losses.extend(losses_of(&fanogan::encoder_step(model, &mut optimizers, xs, &zs)?));
    }
    let losses = Tensor::from_vec(losses, (10, 2), &Device::Cpu)?;
    check_close("encoder losses", &losses, fixture.require("encoder_losses")?, 5e-4)
}

#[test]
fn fanogan_dense() -> Result<()> {
    let networks = fanogan::Architecture::Dense { width: 4, norm_eps: 0.8 };
    check_fanogan(include_bytes!("../fixtures/fanogan/dense.safetensors"), networks, 6)
}

#[test]
fn fanogan_convolutional() -> Result<()> {
    let networks = fanogan::Architecture::Convolutional { features: 3 };
    check_fanogan(include_bytes!("../fixtures/fanogan/convolutional.safetensors"), networks, 8)
}

#[test]
fn fanogan_residual() -> Result<()> {
    let networks = fanogan::Architecture::Residual { features: 2 };
    check_fanogan(include_bytes!("../fixtures/fanogan/residual.safetensors"), networks, 16)
}
