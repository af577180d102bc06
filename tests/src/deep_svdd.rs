//! Deep SVDD: the conformance suite, and parity with PyTorch from a fixture whose maker lies beside it.

use crate::conformance::{Case, check, interrupted_after};
use crate::parity::{check_close, check_gradients, fixture};
use candle_core::{Device, Tensor};
use deepsvdd::{Config, Contrast, DeepSvdd, Network, Objective};
use flicker_core::optim::Optimizer as _;
use flicker_core::{Config as _, Detector as _, Result, Rng, State};

fn small(objective: Objective, network: Network) -> Config {
    Config {
        objective,
        warm_up_epochs: 1,
        batch: 8,
        learning_rate: 3e-3,
        milestone: 3,
        pretrain_epochs: 2,
        epochs: 4,
        network,
        ..Config::paper()
    }
}

#[test]
fn images_conform() -> Result<()> {
    let network = Network::Lenet { channels: vec![4, 2], latent: 16 };
    let case =
        Case { config: small(Objective::OneClass, network), shape: (1, 16, 16).into(), falling: "svdd" };
    check(&case)?;
    // The range is found in step 1, 8 steps are the autoencoder's, the centre is step 10, then come 16 of the objective.
    [9, 10, 11, 20].into_iter().try_for_each(|steps| interrupted_after(&case, steps))
}

#[test]
fn tables_conform() -> Result<()> {
    let network = Network::Dense { widths: vec![8, 4] };
    let config =
        Config { contrast: Contrast::None, rescale: false, ..small(Objective::SoftBoundary, network) };
    let case = Case { config, shape: 9.into(), falling: "svdd" };
    check(&case)?;
    interrupted_after(&case, 20)
}

#[test]
fn the_networks_are_the_authors() -> Result<()> {
    for (config, shape, encoder, decoder) in [
        // 8·25 + 4·8·25 + 196·32, and 4·2·25 + 8·4·25 + 8·25.
        (Config::paper(), (1, 28, 28), 200 + 800 + 6272, 200 + 800 + 200),
        // 32·3·25 + 64·32·25 + 128·64·25 + 2048·128, and 128·8·25 + 64·128·25 + 32·64·25 + 3·32·25.
        (
            Config::paper_cifar(),
            (3, 32, 32),
            2400 + 51_200 + 204_800 + 262_144,
            25_600 + 204_800 + 51_200 + 2400,
        ),
    ] {
        let config = Config { rescale: false, ..config };
        let model = config.build(shape.into(), Rng::new(0), &Device::Cpu)?;
        let count = |prefix| model.weights().vars(prefix).iter().map(|(_, v)| v.elem_count()).sum::<usize>();
        assert_eq!((count("encoder."), count("decoder.")), (encoder, decoder));
        let xs = Rng::new(1).randn((2, shape.0, shape.1, shape.2), &Device::Cpu)?;
        assert!(deepsvdd::pretraining_loss(&model, &xs)?.to_scalar::<f32>()?.is_finite());
    }
    Ok(())
}

fn torch() -> Result<State> {
    fixture(include_bytes!("../fixtures/deepsvdd/deepsvdd.safetensors"))
}

fn model_from(fixture: &State, objective: Objective) -> Result<DeepSvdd> {
    let config = Config {
        objective,
        nu: 0.3,
        batch: 6,
        learning_rate: 1e-3,
        weight_decay: 1e-2,
        network: Network::Lenet { channels: vec![3, 2], latent: 16 },
        ..Config::paper()
    };
    let model = config.build((1, 16, 16).into(), Rng::new(0), &Device::Cpu)?;
    model.weights().restore("fixture", &fixture.part("weights"))?;
    Ok(model)
}

#[test]
fn forward_and_gradients() -> Result<()> {
    let fixture = torch()?;
    let xs = fixture.require("x")?;
    let model = model_from(&fixture, Objective::OneClass)?;
    check_close("latents", &model.latents(xs)?, fixture.require("latents")?, 1e-5)?;
    let loss = deepsvdd::pretraining_loss(&model, xs)?;
    check_close("loss", &loss.reshape(1)?, fixture.require("pretraining.loss")?, 1e-5)?;
    check_gradients("", model.weights(), &loss.backward()?, &fixture.part("pretraining"))?;
    let grads = deepsvdd::loss(&model, xs)?.0.backward()?;
    check_gradients("encoder.", model.weights(), &grads, &fixture.part("one_class"))?;
    let model = model_from(&fixture, Objective::SoftBoundary)?;
    let grads = deepsvdd::loss(&model, xs)?.0.backward()?;
    check_gradients("encoder.", model.weights(), &grads, &fixture.part("soft_boundary"))
}

#[test]
fn ten_steps_and_scores() -> Result<()> {
    let fixture = torch()?;
    let xs = fixture.require("x")?;
    let model = model_from(&fixture, Objective::SoftBoundary)?;
    let mut optimizer = model.optimizer()?;
    assert_eq!(optimizer.learning_rate(), 1e-3);
    let (mut losses, mut radii) = (Vec::new(), Vec::new());
    for _ in 0..10 {
        losses.push(deepsvdd::step(&model, &mut optimizer, xs, true)?.to_scalar::<f32>()?);
        radii.extend(model.weights().fitted("radius")?.to_vec1::<f32>()?);
    }
    check_close("losses", &Tensor::new(losses, &Device::Cpu)?, fixture.require("losses")?, 1e-4)?;
    check_close("radii", &Tensor::new(radii, &Device::Cpu)?, fixture.require("radii")?, 1e-4)?;
    let scores = Tensor::new(model.score(xs, &Rng::new(0))?.total, &Device::Cpu)?;
    check_close("scores", &scores, fixture.require("scores")?, 1e-3)
}
