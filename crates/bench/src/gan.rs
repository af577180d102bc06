//! The workloads of adversarial networks on images of 32×32: DCGAN, GANomaly, AnoGAN's search, encoder and decoder.

use crate::Workload;
use crate::flops::Products;
use candle_core::{Device, Tensor, Var};
use candle_nn::VarBuilder;
use flicker_core::losses::{bce_with_logits, l1};
use flicker_core::nn::{
    Activation, BatchNorm, Conv2d, ConvSpec, ConvTranspose2d, Mode, activate, dcgan_norm, dcgan_weight,
};
use flicker_core::optim::{Adam, AdamConfig, Optimizer};
use flicker_core::{Config as _, Result, Rng, SampleShape, Weights};

const BATCH: usize = 64;
const SIZE: usize = 32;
const LATENT: usize = 100;
/// Channels of the maps of 16×16, 8×8 and 4×4.
const CHANNELS: [usize; 3] = [64, 128, 256];

const LEAKY: Activation = Activation::LeakyRelu(0.2);
/// 4×4 kernels that halve or double the size.
const HALVING: ConvSpec = ConvSpec::square(2, 1);
/// 4×4 kernels over all of a 4×4 map.
const WHOLE: ConvSpec = ConvSpec::square(1, 0);

fn norm(channels: usize, activation: Activation, vb: &VarBuilder<'_>) -> Result<BatchNorm> {
    BatchNorm::new(channels, 1e-5, dcgan_norm(), activation, vb)
}

/// `(B, 1, 32, 32)` to `(B, outputs, 1, 1)`, by features `(B, 256, 4, 4)`: DCGAN's discriminator at width 1.
struct Encoder {
    first: Conv2d,
    blocks: Vec<(Conv2d, BatchNorm)>,
    last: Conv2d,
}

impl Encoder {
    fn new(outputs: usize, vb: &VarBuilder<'_>) -> Result<Self> {
        let conv = |inputs, outputs, spec, name: &str| {
            Conv2d::without_bias(inputs, outputs, 4, spec, dcgan_weight(), &vb.pp(name))
        };
        let block = |c: &[usize]| {
            let name = format!("down{}", c[1]);
            Ok((conv(c[0], c[1], HALVING, &name)?, norm(c[1], LEAKY, &vb.pp(format!("{name}_norm")))?))
        };
        Ok(Self {
            first: conv(1, CHANNELS[0], HALVING, "first")?,
            blocks: CHANNELS.windows(2).map(block).collect::<Result<_>>()?,
            last: conv(CHANNELS[2], outputs, WHOLE, "last")?,
        })
    }

    /// What it ends in, and the features before.
    fn forward(&self, xs: &Tensor, mode: Mode) -> Result<(Tensor, Tensor)> {
        let features = self.features(xs, mode)?;
        Ok((self.last.forward(&features)?, features))
    }

    fn features(&self, xs: &Tensor, mode: Mode) -> Result<Tensor> {
        let mut xs = self.first.forward_then(xs, LEAKY)?;
        for (conv, norm) in &self.blocks {
            xs = norm.forward(&conv.forward(&xs)?, mode)?;
        }
        Ok(xs)
    }

    fn products(batch: usize, outputs: usize) -> Products {
        let mut products = Products::default();
        products.conv(batch, [1, CHANNELS[0]], 4, 16);
        products.conv(batch, [CHANNELS[0], CHANNELS[1]], 4, 8);
        products.conv(batch, [CHANNELS[1], CHANNELS[2]], 4, 4);
        products.conv(batch, [CHANNELS[2], outputs], 4, 1);
        products
    }
}

/// `(B, 100, 1, 1)` to `(B, 1, 32, 32)` in [-1, 1]: the encoder's mirror image, with ReLU.
struct Generator {
    ups: Vec<(ConvTranspose2d, BatchNorm)>,
    last: ConvTranspose2d,
}

impl Generator {
    fn new(vb: &VarBuilder<'_>) -> Result<Self> {
        let up = |inputs, outputs, spec, name: &str| {
            ConvTranspose2d::without_bias(inputs, outputs, 4, spec, dcgan_weight(), &vb.pp(name))
        };
        let block = |inputs, outputs, spec| {
            let name = format!("up{outputs}");
            let norm = norm(outputs, Activation::Relu, &vb.pp(format!("{name}_norm")))?;
            Ok((up(inputs, outputs, spec, &name)?, norm))
        };
        let [low, middle, high] = CHANNELS;
        let ups = [block(LATENT, high, WHOLE), block(high, middle, HALVING), block(middle, low, HALVING)];
        Ok(Self { ups: ups.into_iter().collect::<Result<_>>()?, last: up(low, 1, HALVING, "last")? })
    }

    fn forward(&self, zs: &Tensor, mode: Mode) -> Result<Tensor> {
        let mut xs = zs.clone();
        for (conv, norm) in &self.ups {
            xs = norm.forward(&conv.forward(&xs)?, mode)?;
        }
        activate(&self.last.forward(&xs)?, Activation::Tanh)
    }

    fn products(batch: usize) -> Products {
        let mut products = Products::default();
        products.conv(batch, [CHANNELS[2], LATENT], 4, 1);
        products.conv(batch, [CHANNELS[1], CHANNELS[2]], 4, 4);
        products.conv(batch, [CHANNELS[0], CHANNELS[1]], 4, 8);
        products.conv(batch, [1, CHANNELS[0]], 4, 16);
        products
    }
}

/// Uniform in [-1, 1).
fn images(batch: usize, device: &Device) -> Result<Tensor> {
    let values = Rng::new(0).fork("images").uniforms(batch * SIZE * SIZE, -1.0, 1.0);
    Ok(Tensor::from_vec(values, (batch, 1, SIZE, SIZE), device)?)
}

fn adam(learning_rate: f64) -> AdamConfig {
    AdamConfig { beta1: 0.5, ..AdamConfig::new(learning_rate) }
}

/// A step of DCGAN (Radford et al., 2016): the discriminator on real and generated images, then the generator through the
/// frozen discriminator.
pub(crate) fn dcgan(device: &Device) -> Result<Workload> {
    let weights = Weights::new(Rng::new(0), device);
    let generator = Generator::new(&weights.builder().pp("generator"))?;
    let discriminator = Encoder::new(1, &weights.builder().pp("discriminator"))?;
    let frozen = Encoder::new(1, &weights.frozen_builder().pp("discriminator"))?;
    let mut of_generator = Adam::new(weights.vars("generator."), adam(2e-4))?;
    let mut of_discriminator = Adam::new(weights.vars("discriminator."), adam(2e-4))?;
    let (xs, noise, mut step) = (images(BATCH, device)?, Rng::new(0).fork("noise"), 0);
    let (g, d) = (Generator::products(BATCH), Encoder::products(BATCH, 1));
    let flops = g.trained() + 2.0 * d.trained() + 2.0 * d.all();
    Ok(Workload::new(Some(flops), move || {
        let zs = noise.fork_index(step).randn((BATCH, LATENT, 1, 1), xs.device())?;
        step += 1;
        let fakes = generator.forward(&zs, Mode::Training)?;
        let (on_real, _) = discriminator.forward(&xs, Mode::Training)?;
        let (on_fake, _) = discriminator.forward(&fakes.detach(), Mode::Training)?;
        let loss = (bce_with_logits(&on_real, &on_real.ones_like()?)?
            + bce_with_logits(&on_fake, &on_fake.zeros_like()?)?)?;
        of_discriminator.step(&loss.backward()?)?;
        let (on_fake, _) = frozen.forward(&fakes, Mode::Training)?;
        of_generator.step(&bce_with_logits(&on_fake, &on_fake.ones_like()?)?.backward()?)?;
        Ok(loss)
    }))
}

/// A step of the family at its published numbers, by its own training. Answers with the generator's loss.
pub(crate) fn ganomaly(device: &Device) -> Result<Workload> {
    let config = ganomaly::Config { batch: BATCH, ..ganomaly::Config::paper() };
    let model = config.build(SampleShape::from((1, SIZE, SIZE)), Rng::new(0), device)?;
    let mut optimizers = ganomaly::Optimizers::new(&config, flicker_core::Detector::weights(&model))?;
    let xs = images(BATCH, device)?;
    let (e, g, d) =
        (Encoder::products(BATCH, LATENT), Generator::products(BATCH), Encoder::products(BATCH, 1));
    // Encoder, decoder, second encoder; the discriminator on real and fake; through the frozen one, whose last layer has
    // no part in the generator's loss.
    let flops = e.trained() + 3.0 * g.all() + 3.0 * e.all() + 2.0 * d.trained() + 2.0 * d.all() - d.last();
    Ok(Workload::new(Some(flops), move || {
        let losses = ganomaly::step(&model, &mut optimizers, &xs, &Rng::new(0))?;
        let loss = losses.values.iter().find(|(name, _)| *name == "generator").map_or(f32::NAN, |l| l.1);
        Ok(Tensor::new(loss, &Device::Cpu)?)
    }))
}

/// A step of AnoGAN's search (Schlegl et al., 2017): generator and discriminator in evaluation mode and frozen, Adam moves
/// the latents.
pub(crate) fn latent_search(device: &Device) -> Result<Workload> {
    const N: usize = 65;
    let weights = Weights::new(Rng::new(0), device);
    let generator = Generator::new(&weights.frozen_builder().pp("generator"))?;
    let discriminator = Encoder::new(1, &weights.frozen_builder().pp("discriminator"))?;
    let xs = images(N, device)?;
    let features = discriminator.features(&xs, Mode::Evaluation)?;
    let zs = Var::from_tensor(&Rng::new(0).fork("latents").randn((N, LATENT, 1, 1), device)?)?;
    let mut optimizer = Adam::new(vec![("z".to_string(), zs.clone())], AdamConfig::new(1e-2))?;
    let (g, d) = (Generator::products(N), Encoder::products(N, 1));
    Ok(Workload::new(Some(2.0 * (g.all() + d.all() - d.last())), move || {
        let fakes = generator.forward(&zs, Mode::Evaluation)?;
        let residual = (l1(&fakes, &xs)? * (0.9 * xs.elem_count() as f64))?;
        let found = discriminator.features(&fakes, Mode::Evaluation)?;
        let discrimination = (l1(&found, &features)? * (0.1 * features.elem_count() as f64))?;
        let loss = (residual + discrimination)?;
        optimizer.step(&loss.backward()?)?;
        Ok(loss)
    }))
}

/// A forward pass of encoder and decoder in evaluation mode, without gradients.
pub(crate) fn inference(batch: usize, device: &Device) -> Result<Workload> {
    let weights = Weights::new(Rng::new(0), device);
    let encoder = Encoder::new(LATENT, &weights.frozen_builder().pp("encoder"))?;
    let decoder = Generator::new(&weights.frozen_builder().pp("decoder"))?;
    let xs = images(batch, device)?;
    let flops = Encoder::products(batch, LATENT).all() + Generator::products(batch).all();
    Ok(Workload::new(Some(flops), move || {
        let (zs, _) = encoder.forward(&xs, Mode::Evaluation)?;
        decoder.forward(&zs, Mode::Evaluation)
    }))
}
