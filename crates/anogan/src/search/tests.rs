//! What a search does, on an untrained model: its way down, its independence of the batch, its ends.

use super::*;
use crate::{Architecture, Config, Prior, Rate, Reduction};
use candle_core::Device;
use flicker_core::{Config as _, Detector as _, Rng};

fn model(config: &Config) -> Result<AnoGan> {
    config.build((1, 8, 8).into(), Rng::new(0), &Device::Cpu)
}

fn config() -> Config {
    Config {
        networks: Architecture::Tutorial { generator: 16, discriminator: 2 },
        latent: 4,
        prior: Prior::Normal { sd: 1.0 },
        search_steps: 40,
        search_rates: vec![Rate { from: 0, rate: 0.05 }, Rate { from: 30, rate: 0.01 }],
        lambda: 0.1,
        reduction: Reduction::Mean,
        ..Config::tutorial()
    }
}

/// Images that the model can make, and where another search for them starts.
fn images(model: &AnoGan) -> Result<(Tensor, Tensor)> {
    let xs = model.generate(6, &mut Rng::new(1))?;
    Ok((xs, model.latents(6, &mut Rng::new(2))?))
}

fn losses(model: &AnoGan, xs: &Tensor, zs: &Tensor) -> Result<Vec<f32>> {
    Ok(model.losses(xs, zs)?.loss(model.config().lambda)?.to_vec1()?)
}

#[test]
fn a_search_goes_down_for_every_image() -> Result<()> {
    let model = model(&config())?;
    let (xs, starts) = images(&model)?;
    let (zs, steps) = model.search(&xs, &starts)?;
    assert_eq!(steps, [40; 6]);
    let (before, after) = (losses(&model, &xs, &starts)?, losses(&model, &xs, &zs)?);
    assert!(before.iter().zip(&after).all(|(before, after)| after < before), "{before:?} {after:?}");
    assert!(after.iter().sum::<f32>() < 0.5 * before.iter().sum::<f32>(), "{before:?} {after:?}");
    Ok(())
}

#[test]
fn weights_get_no_gradient_and_do_not_move() -> Result<()> {
    let model = model(&config())?;
    let (xs, starts) = images(&model)?;
    let z = Var::from_tensor(&starts)?;
    let grads = model.losses(&xs, &z)?.loss(0.1)?.sum_all()?.backward()?;
    assert!(grads.get(&z).is_some());
    assert!(model.weights().vars("").iter().all(|(_, var)| grads.get(var).is_none()));
    Ok(())
}

#[test]
fn an_image_alone_takes_the_same_way_also_where_others_end_early() -> Result<()> {
    for search_patience in [0, 4] {
        let model = model(&Config { search_patience, ..config() })?;
        let (xs, starts) = images(&model)?;
        let (together, steps) = model.search(&xs, &starts)?;
        for (i, &whole) in steps.iter().enumerate() {
            let (alone, own) = model.search(&xs.narrow(0, i, 1)?, &starts.narrow(0, i, 1)?)?;
            let far = (alone - together.narrow(0, i, 1)?)?.abs()?.max_all()?.to_scalar::<f32>()?;
            assert!(far < 1e-4 && own[0] == whole, "image {i}: {far}, {own:?} and {whole}");
        }
    }
    Ok(())
}

#[test]
fn a_search_without_progress_ends_early() -> Result<()> {
    let rates = vec![Rate { from: 0, rate: 1e-9 }];
    let model = model(&Config { search_patience: 5, search_rates: rates, ..config() })?;
    let (xs, starts) = images(&model)?;
    let (_, steps) = model.search(&xs, &starts)?;
    assert_eq!(steps, [5; 6]); // the first loss is progress, five more are none
    Ok(())
}

#[test]
fn a_bound_holds_and_more_restarts_are_never_worse() -> Result<()> {
    let bounded = model(&Config { search_bound: 0.5, ..config() })?;
    let (xs, starts) = images(&bounded)?;
    let (zs, _) = bounded.search(&xs, &starts)?;
    assert!(zs.abs()?.max_all()?.to_scalar::<f32>()? <= 0.5);
    let score = |search_restarts| model(&Config { search_restarts, ..config() })?.score(&xs, &Rng::new(3));
    let (one, three) = (score(1)?.total, score(3)?.total);
    assert!(one.iter().zip(&three).all(|(one, three)| three <= one), "{one:?} {three:?}");
    assert_ne!(one, three);
    Ok(())
}

#[test]
fn latents_of_another_shape_are_refused() -> Result<()> {
    let model = model(&config())?;
    let (xs, starts) = images(&model)?;
    let error = model.search(&xs, &starts.narrow(0, 0, 5)?).expect_err("too few").to_string();
    assert_eq!(error, "latents to start from: expected [6, 4], found [5, 4]");
    Ok(())
}
