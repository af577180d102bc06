//! Whole families: AnoGAN's search, scores of GANomaly and f-AnoGAN, training and partial diffusion of AnoDDPM.
//!
//! Weights and images are the same numbers as in the twins, so that what both give can be compared. Only the noise of a
//! diffusion is drawn apart.

use crate::Workload;
use candle_core::{Device, Tensor};
use flicker_core::{Config, Detector, Result, Rng, SampleShape, Weights};

/// Numbers in [-0.5, 0.5) without a pattern, exact in both programs up to the last division.
fn numbers(dims: &[usize], device: &Device) -> Result<Tensor> {
    const PRIME: usize = 1_000_003;
    let number = |i: usize| ((i * i * 7919 % PRIME) as f64 / PRIME as f64 - 0.5) as f32;
    Ok(Tensor::from_vec((0..dims.iter().product()).map(number).collect(), dims, device)?)
}

/// Gives every weight such numbers, in a size that neither vanishes nor grows from layer to layer.
fn fill(weights: &Weights) -> Result<()> {
    weights.redraw("", &Rng::new(0), |name, value, _| {
        let (dims, numbers) = (value.dims(), numbers(value.dims(), value.device())?);
        Ok(match name.rsplit('.').next() {
            Some("running_mean" | "running_var") => None,
            _ if dims.len() > 1 => {
                let inputs = dims[1..].iter().product::<usize>() as f64;
                Some((numbers * (24.0 / inputs).sqrt())?)
            }
            Some("weight") => Some(((numbers * 0.2)? + 1.0)?), // of a norm
            _ => Some((numbers * 0.2)?),
        })
    })
}

/// A model for images of `size`², with such weights.
fn model<C: Config>(config: &C, size: usize, device: &Device) -> Result<C::Model> {
    let model = config.build(SampleShape::from((1, size, size)), Rng::new(0), device)?;
    fill(model.weights())?;
    Ok(model)
}

/// In [-1, 1).
fn images(batch: usize, size: usize, device: &Device) -> Result<Tensor> {
    Ok((numbers(&[batch, 1, size, size], device)? * 2.0)?)
}

/// `steps` of the 500 steps of AnoGAN's search, from given latents, at the numbers of Zenati et al. Answers with the latents.
pub(crate) fn search(batch: usize, steps: usize, device: &Device) -> Result<Workload> {
    let config = anogan::Config { search_steps: steps, ..anogan::Config::egbad() };
    let (xs, starts) = (images(batch, 28, device)?, (numbers(&[batch, config.latent], device)? * 4.0)?);
    let model = model(&config, 28, device)?;
    Ok(Workload::new(None, move || Ok(model.search(&xs, &starts)?.0)))
}

/// The scores of images, with all that a score comes with: parts, reconstructions, maps.
fn scores<C: Config>(config: &C, batch: usize, size: usize, device: &Device) -> Result<Workload>
where
    C::Model: 'static,
{
    let (model, xs) = (model(config, size, device)?, images(batch, size, device)?);
    Ok(Workload::new(None, move || Ok(Tensor::new(model.score(&xs, &Rng::new(0))?.total, &Device::Cpu)?)))
}

/// GANomaly as published, 32×32.
pub(crate) fn ganomaly(batch: usize, device: &Device) -> Result<Workload> {
    scores(&ganomaly::Config::paper(), batch, 32, device)
}

/// f-AnoGAN's dense networks with the published result on MNIST, 28×28.
pub(crate) fn fanogan(batch: usize, device: &Device) -> Result<Workload> {
    scores(&fanogan::Config::a03ki(), batch, 28, device)
}

/// f-AnoGAN's residual networks as published, 64×64.
pub(crate) fn fanogan_residual(batch: usize, device: &Device) -> Result<Workload> {
    scores(&fanogan::Config::paper(), batch, 64, device)
}

/// AnoDDPM's default for 32×32 with Gaussian noise: the noise that both sides can draw as fast as they can.
pub(crate) fn small_diffusion() -> anoddpm::Config {
    anoddpm::Config { noise: anoddpm::Noise::Gaussian {}, ..anoddpm::Config::small() }
}

/// The published network for 64×64 at a quarter of its channels.
pub(crate) fn quarter_diffusion() -> anoddpm::Config {
    anoddpm::Config {
        base: 32,
        multipliers: vec![1, 2, 3, 4],
        groups: 8,
        batch: 4,
        noise: anoddpm::Noise::Gaussian {},
        reverse: anoddpm::Reverse::Ancestral { every: 25 },
        ..anoddpm::Config::paper()
    }
}

/// A training step by the family's own training: loss, clipped gradient, AdamW, averaged weights. The noise is given.
pub(crate) fn denoising(config: &anoddpm::Config, size: usize, device: &Device) -> Result<Workload> {
    let (n, model) = (config.batch, model(config, size, device)?);
    let xs = images(n, size, device)?;
    let noise = (numbers(&[n, 1, size, size], device)?.flip(&[3])? * 12f64.sqrt())?;
    let times = anoddpm::Times { ts: (0..n).map(|i| 37 * i % 250).collect(), weights: vec![1.0; n] };
    let mut optimizers = anoddpm::Optimizers::new(&model)?;
    Ok(Workload::new(None, move || Ok(anoddpm::step(&model, &mut optimizers, &xs, &noise, &times)?.0)))
}

/// Images taken to step 250 and back. Answers with what comes back.
pub(crate) fn partial_diffusion(
    config: &anoddpm::Config,
    batch: usize,
    size: usize,
    device: &Device,
) -> Result<Workload> {
    let (model, xs) = (model(config, size, device)?, images(batch, size, device)?);
    let rngs: Vec<Rng> = (0..batch).map(|i| Rng::new(0).fork_index(i as u64)).collect();
    Ok(Workload::new(None, move || model.reconstruct(&xs, &rngs)))
}
