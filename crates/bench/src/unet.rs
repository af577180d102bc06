//! A training step of a U-Net that predicts noise (Ho et al., 2020), small: 32×32, base 32, attention at 8×8.

use crate::Workload;
use crate::flops::Products;
use candle_core::{Device, Tensor};
use candle_nn::VarBuilder;
use flicker_core::losses::mse;
use flicker_core::nn::{Activation, Conv2d, ConvSpec, GroupNorm, Linear, activate};
use flicker_core::optim::{Adam, AdamConfig, Optimizer};
use flicker_core::{Result, Rng, Weights};
use flicker_kernels::{attention, bias_add, upsample_nearest2d};

const BATCH: usize = 16;
const SIZE: usize = 32;
/// Features of the embedded time, before and after its two linear maps.
const TIME: [usize; 2] = [32, 128];

fn conv3(c: usize, c_out: usize, stride: usize, vb: &VarBuilder<'_>) -> Result<Conv2d> {
    Conv2d::new(c, c_out, 3, ConvSpec::square(stride, 1), vb)
}

fn conv1(c: usize, c_out: usize, vb: &VarBuilder<'_>) -> Result<Conv2d> {
    Conv2d::new(c, c_out, 1, ConvSpec::square(1, 0), vb)
}

fn norm(channels: usize, activation: Activation, vb: &VarBuilder<'_>) -> Result<GroupNorm> {
    GroupNorm::new(8, channels, 1e-5, activation, vb)
}

/// Two convolutions with norms before them, the time added between, around a skip.
struct Residual {
    norm1: GroupNorm,
    conv1: Conv2d,
    time: Linear,
    norm2: GroupNorm,
    conv2: Conv2d,
    skip: Option<Conv2d>,
}

impl Residual {
    fn new(c: usize, c_out: usize, vb: &VarBuilder<'_>) -> Result<Self> {
        let skip = || conv1(c, c_out, &vb.pp("skip"));
        Ok(Self {
            norm1: norm(c, Activation::Silu, &vb.pp("norm1"))?,
            conv1: conv3(c, c_out, 1, &vb.pp("conv1"))?,
            time: Linear::new(TIME[1], c_out, Activation::None, &vb.pp("time"))?,
            norm2: norm(c_out, Activation::Silu, &vb.pp("norm2"))?,
            conv2: conv3(c_out, c_out, 1, &vb.pp("conv2"))?,
            skip: (c != c_out).then(skip).transpose()?,
        })
    }

    /// `(B, C, H, W)` and the activated time `(B, 128)` to `(B, C', H, W)`.
    fn forward(&self, xs: &Tensor, time: &Tensor) -> Result<Tensor> {
        let hs = self.conv1.forward(&self.norm1.forward(xs)?)?;
        let hs = bias_add(&hs, &self.time.forward(time)?, Activation::None)?;
        let hs = self.conv2.forward(&self.norm2.forward(&hs)?)?;
        Ok(match &self.skip {
            Some(skip) => (hs + skip.forward(xs)?)?,
            None => (hs + xs)?,
        })
    }
}

/// Attention of each pixel to all, with one head, around a skip.
struct Attention {
    norm: GroupNorm,
    query: Conv2d,
    key: Conv2d,
    value: Conv2d,
    out: Conv2d,
}

impl Attention {
    fn new(c: usize, vb: &VarBuilder<'_>) -> Result<Self> {
        let conv = |name: &str| conv1(c, c, &vb.pp(name));
        Ok(Self {
            norm: norm(c, Activation::None, &vb.pp("norm"))?,
            query: conv("query")?,
            key: conv("key")?,
            value: conv("value")?,
            out: conv("out")?,
        })
    }

    fn forward(&self, xs: &Tensor) -> Result<Tensor> {
        let (b, c, h, w) = xs.dims4()?;
        let normed = self.norm.forward(xs)?;
        let pixels = |conv: &Conv2d| -> Result<Tensor> {
            Ok(conv.forward(&normed)?.reshape((b, c, h * w))?.transpose(1, 2)?) // (B, HW, C)
        };
        let seen = attention(&pixels(&self.query)?, &pixels(&self.key)?, &pixels(&self.value)?)?;
        let seen = seen.transpose(1, 2)?.reshape((b, c, h, w))?;
        Ok((xs + self.out.forward(&seen)?)?)
    }
}

/// Two halvings and two doublings with skips across.
struct UNet {
    time1: Linear,
    time2: Linear,
    first: Conv2d,
    in32: Residual,
    down16: Conv2d,
    in16: Residual,
    down8: Conv2d,
    mid1: Residual,
    attention: Attention,
    mid2: Residual,
    up16: Conv2d,
    out16: Residual,
    up32: Conv2d,
    out32: Residual,
    norm: GroupNorm,
    last: Conv2d,
}

impl UNet {
    fn new(vb: &VarBuilder<'_>) -> Result<Self> {
        Ok(Self {
            time1: Linear::new(TIME[0], TIME[1], Activation::Silu, &vb.pp("time1"))?,
            time2: Linear::new(TIME[1], TIME[1], Activation::None, &vb.pp("time2"))?,
            first: conv3(1, 32, 1, &vb.pp("first"))?,
            in32: Residual::new(32, 32, &vb.pp("in32"))?,
            down16: conv3(32, 32, 2, &vb.pp("down16"))?,
            in16: Residual::new(32, 64, &vb.pp("in16"))?,
            down8: conv3(64, 64, 2, &vb.pp("down8"))?,
            mid1: Residual::new(64, 128, &vb.pp("mid1"))?,
            attention: Attention::new(128, &vb.pp("attention"))?,
            mid2: Residual::new(128, 128, &vb.pp("mid2"))?,
            up16: conv3(128, 64, 1, &vb.pp("up16"))?,
            out16: Residual::new(128, 64, &vb.pp("out16"))?,
            up32: conv3(64, 32, 1, &vb.pp("up32"))?,
            out32: Residual::new(64, 32, &vb.pp("out32"))?,
            norm: norm(32, Activation::Silu, &vb.pp("norm"))?,
            last: conv3(32, 1, 1, &vb.pp("last"))?,
        })
    }

    /// Images `(B, 1, 32, 32)` and their embedded times `(B, 32)` to the noise in them.
    fn forward(&self, xs: &Tensor, times: &Tensor) -> Result<Tensor> {
        let time = activate(&self.time2.forward(&self.time1.forward(times)?)?, Activation::Silu)?;
        let at32 = self.in32.forward(&self.first.forward(xs)?, &time)?;
        let at16 = self.in16.forward(&self.down16.forward(&at32)?, &time)?;
        let mid = self.mid1.forward(&self.down8.forward(&at16)?, &time)?;
        let mid = self.mid2.forward(&self.attention.forward(&mid)?, &time)?;
        let up = self.up16.forward(&upsample_nearest2d(&mid, 2)?)?;
        let up = self.out16.forward(&Tensor::cat(&[&up, &at16], 1)?, &time)?;
        let up = self.up32.forward(&upsample_nearest2d(&up, 2)?)?;
        let up = self.out32.forward(&Tensor::cat(&[&up, &at32], 1)?, &time)?;
        self.last.forward(&self.norm.forward(&up)?)
    }
}

/// A step: predict the noise in 16 images, mean squared error, Adam.
pub(crate) fn training(device: &Device) -> Result<Workload> {
    let weights = Weights::new(Rng::new(0), device);
    let network = UNet::new(&weights.builder())?;
    let mut optimizer = Adam::new(weights.vars(""), AdamConfig::new(1e-4))?;
    let images = |purpose: &str| Rng::new(0).fork(purpose).randn((BATCH, 1, SIZE, SIZE), device);
    let (xs, noise) = (images("images")?, images("noise")?);
    let times = Rng::new(0).fork("times").randn((BATCH, TIME[0]), device)?;
    Ok(Workload::new(Some(flops()), move || {
        let loss = mse(&network.forward(&xs, &times)?, &noise)?;
        optimizer.step(&loss.backward()?)?;
        Ok(loss)
    }))
}

fn flops() -> f64 {
    let mut first = Products::default();
    first.conv(BATCH, [1, 32], 3, 32);
    let mut time1 = Products::default();
    time1.linear(BATCH, TIME[0], TIME[1]);
    let mut inner = Products::default();
    inner.linear(BATCH, TIME[1], TIME[1]);
    for (c, c_out, size) in
        [(32, 32, 32), (32, 64, 16), (64, 128, 8), (128, 128, 8), (128, 64, 16), (64, 32, 32)]
    {
        inner.conv(BATCH, [c, c_out], 3, size);
        inner.linear(BATCH, TIME[1], c_out);
        inner.conv(BATCH, [c_out, c_out], 3, size);
        if c != c_out {
            inner.conv(BATCH, [c, c_out], 1, size);
        }
    }
    for (c, c_out, size) in [(32, 32, 16), (64, 64, 8), (128, 64, 16), (64, 32, 32), (32, 1, 32)] {
        inner.conv(BATCH, [c, c_out], 3, size); // halving, doubling, the last one
    }
    for _ in ["query", "key", "value", "out"] {
        inner.conv(BATCH, [128, 128], 1, 8);
    }
    for _ in ["scores", "mixture"] {
        inner.linear(BATCH * 64, 128, 64);
    }
    first.trained() + time1.trained() + 3.0 * inner.all()
}
