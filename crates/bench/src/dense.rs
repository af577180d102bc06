//! Dense autoencoders: that of the family, and one with a norm after every hidden layer.

use crate::Workload;
use crate::flops::Products;
use candle_core::{Device, Tensor};
use candle_nn::{Init, VarBuilder};
use flicker_core::losses::mse;
use flicker_core::nn::{Activation, BatchNorm, Linear, Mode};
use flicker_core::optim::{Adam, AdamConfig, Optimizer};
use flicker_core::{Config as _, Result, Rng, SampleShape, Weights};

const WIDTHS: [usize; 13] = [784, 512, 256, 128, 64, 32, 16, 32, 64, 128, 256, 512, 784];

fn flops(batch: usize) -> f64 {
    let mut products = Products::default();
    for width in WIDTHS.windows(2) {
        products.linear(batch, width[0], width[1]);
    }
    products.trained()
}

fn samples(batch: usize, low: f32, device: &Device) -> Result<Tensor> {
    let values = Rng::new(0).fork("samples").uniforms(batch * WIDTHS[0], low, 1.0);
    Ok(Tensor::from_vec(values, (batch, WIDTHS[0]), device)?)
}

/// A step of the family, by its own training.
pub(crate) fn family(batch: usize, device: &Device) -> Result<Workload> {
    let config = ae::Config { batch, ..ae::Config::steady() };
    let model = config.build(SampleShape::from(WIDTHS[0]), Rng::new(0), device)?;
    let mut optimizer = model.optimizer()?;
    let xs = samples(batch, -1.0, device)?;
    // The norm before the first layer has parameters, so that layer's gradient by its input is needed.
    let mut first = Products::default();
    first.linear(batch, WIDTHS[0], WIDTHS[1]);
    Ok(Workload::new(Some(flops(batch) + first.all()), move || {
        Ok(ae::step(&model, &mut optimizer, &xs, &Rng::new(0))?.total)
    }))
}

/// A step of the autoencoder with a norm after every hidden layer.
pub(crate) fn normed(batch: usize, device: &Device) -> Result<Workload> {
    let weights = Weights::new(Rng::new(0), device);
    let network = Normed::new(&weights.builder())?;
    let mut optimizer = Adam::new(weights.vars(""), AdamConfig::new(1e-3))?;
    let xs = samples(batch, 0.0, device)?;
    Ok(Workload::new(Some(flops(batch)), move || {
        let loss = mse(&network.forward(&xs)?, &xs)?;
        optimizer.step(&loss.backward()?)?;
        Ok(loss)
    }))
}

/// Linear, batch norm, ReLU; the last layer ends in a sigmoid instead.
struct Normed {
    hidden: Vec<(Linear, BatchNorm)>,
    last: Linear,
}

impl Normed {
    fn new(vb: &VarBuilder<'_>) -> Result<Self> {
        let layer = |i: usize, activation| {
            Linear::new(WIDTHS[i], WIDTHS[i + 1], activation, &vb.pp(format!("layer{i}")))
        };
        let hidden = |i: usize| {
            let vb = vb.pp(format!("norm{i}"));
            let norm = BatchNorm::new(WIDTHS[i + 1], 1e-5, Init::Const(1.0), Activation::Relu, &vb)?;
            Ok((layer(i, Activation::None)?, norm))
        };
        let last = WIDTHS.len() - 2;
        Ok(Self {
            hidden: (0..last).map(hidden).collect::<Result<_>>()?,
            last: layer(last, Activation::Sigmoid)?,
        })
    }

    fn forward(&self, xs: &Tensor) -> Result<Tensor> {
        let mut xs = xs.clone();
        for (linear, norm) in &self.hidden {
            xs = norm.forward(&linear.forward(&xs)?, Mode::Training)?;
        }
        self.last.forward(&xs)
    }
}
