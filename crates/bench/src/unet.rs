//! A training step of a U-Net that predicts noise (Ho et al., 2020): two halvings, attention at a quarter of the size.

use crate::Workload;
use crate::flops::Products;
use candle_core::{Device, Tensor};
use candle_nn::VarBuilder;
use flicker_core::losses::mse;
use flicker_core::nn::{Activation, Conv2d, ConvSpec, GroupNorm, Linear, activate};
use flicker_core::optim::{Adam, AdamConfig, Optimizer};
use flicker_core::{Result, Rng, Weights};
use flicker_kernels::{attention, bias_add, upsample_nearest2d};

/// How large a U-Net, and its batch.
#[derive(Clone, Copy)]
pub(crate) struct Dims {
    pub(crate) batch: usize,
    /// Height and width of the images.
    pub(crate) size: usize,
    /// Channels of the first maps; they double with each halving.
    pub(crate) base: usize,
}

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

/// Two halvings and two doublings with skips across. The numbers in names say by how much the maps are halved.
struct UNet {
    time1: Linear,
    time2: Linear,
    first: Conv2d,
    in1: Residual,
    down2: Conv2d,
    in2: Residual,
    down4: Conv2d,
    mid1: Residual,
    attention: Attention,
    mid2: Residual,
    up2: Conv2d,
    out2: Residual,
    up1: Conv2d,
    out1: Residual,
    norm: GroupNorm,
    last: Conv2d,
}

impl UNet {
    fn new(base: usize, vb: &VarBuilder<'_>) -> Result<Self> {
        let [c1, c2, c4] = [base, 2 * base, 4 * base];
        Ok(Self {
            time1: Linear::new(TIME[0], TIME[1], Activation::Silu, &vb.pp("time1"))?,
            time2: Linear::new(TIME[1], TIME[1], Activation::None, &vb.pp("time2"))?,
            first: conv3(1, c1, 1, &vb.pp("first"))?,
            in1: Residual::new(c1, c1, &vb.pp("in1"))?,
            down2: conv3(c1, c1, 2, &vb.pp("down2"))?,
            in2: Residual::new(c1, c2, &vb.pp("in2"))?,
            down4: conv3(c2, c2, 2, &vb.pp("down4"))?,
            mid1: Residual::new(c2, c4, &vb.pp("mid1"))?,
            attention: Attention::new(c4, &vb.pp("attention"))?,
            mid2: Residual::new(c4, c4, &vb.pp("mid2"))?,
            up2: conv3(c4, c2, 1, &vb.pp("up2"))?,
            out2: Residual::new(c4, c2, &vb.pp("out2"))?,
            up1: conv3(c2, c1, 1, &vb.pp("up1"))?,
            out1: Residual::new(c2, c1, &vb.pp("out1"))?,
            norm: norm(c1, Activation::Silu, &vb.pp("norm"))?,
            last: conv3(c1, 1, 1, &vb.pp("last"))?,
        })
    }

    /// Images `(B, 1, S, S)` and their embedded times `(B, 32)` to the noise in them.
    fn forward(&self, xs: &Tensor, times: &Tensor) -> Result<Tensor> {
        let time = activate(&self.time2.forward(&self.time1.forward(times)?)?, Activation::Silu)?;
        let at1 = self.in1.forward(&self.first.forward(xs)?, &time)?;
        let at2 = self.in2.forward(&self.down2.forward(&at1)?, &time)?;
        let mid = self.mid1.forward(&self.down4.forward(&at2)?, &time)?;
        let mid = self.mid2.forward(&self.attention.forward(&mid)?, &time)?;
        let up = self.up2.forward(&upsample_nearest2d(&mid, 2)?)?;
        let up = self.out2.forward(&Tensor::cat(&[&up, &at2], 1)?, &time)?;
        let up = self.up1.forward(&upsample_nearest2d(&up, 2)?)?;
        let up = self.out1.forward(&Tensor::cat(&[&up, &at1], 1)?, &time)?;
        self.last.forward(&self.norm.forward(&up)?)
    }
}

/// A step: predict the noise in images, mean squared error, Adam.
pub(crate) fn training(dims: Dims, device: &Device) -> Result<Workload> {
    let Dims { batch, size, base } = dims;
    let weights = Weights::new(Rng::new(0), device);
    let network = UNet::new(base, &weights.builder())?;
    let mut optimizer = Adam::new(weights.vars(""), AdamConfig::new(1e-4))?;
    let images = |purpose: &str| Rng::new(0).fork(purpose).randn((batch, 1, size, size), device);
    let (xs, noise) = (images("images")?, images("noise")?);
    let times = Rng::new(0).fork("times").randn((batch, TIME[0]), device)?;
    Ok(Workload::new(Some(flops(dims)), move || {
        let loss = mse(&network.forward(&xs, &times)?, &noise)?;
        optimizer.step(&loss.backward()?)?;
        Ok(loss)
    }))
}

fn flops(Dims { batch, size, base }: Dims) -> f64 {
    let ([c1, c2, c4], [s1, s2, s4]) = ([base, 2 * base, 4 * base], [size, size / 2, size / 4]);
    let mut first = Products::default();
    first.conv(batch, [1, c1], 3, s1);
    let mut time1 = Products::default();
    time1.linear(batch, TIME[0], TIME[1]);
    let mut inner = Products::default();
    inner.linear(batch, TIME[1], TIME[1]);
    for (c, c_out, size) in
        [(c1, c1, s1), (c1, c2, s2), (c2, c4, s4), (c4, c4, s4), (c4, c2, s2), (c2, c1, s1)]
    {
        inner.conv(batch, [c, c_out], 3, size);
        inner.linear(batch, TIME[1], c_out);
        inner.conv(batch, [c_out, c_out], 3, size);
        if c != c_out {
            inner.conv(batch, [c, c_out], 1, size);
        }
    }
    for (c, c_out, size) in [(c1, c1, s2), (c2, c2, s4), (c4, c2, s2), (c2, c1, s1), (c1, 1, s1)] {
        inner.conv(batch, [c, c_out], 3, size); // halving, doubling, the last one
    }
    for _ in ["query", "key", "value", "out"] {
        inner.conv(batch, [c4, c4], 1, s4);
    }
    for _ in ["scores", "mixture"] {
        inner.linear(batch * s4 * s4, c4, s4 * s4);
    }
    first.trained() + time1.trained() + 3.0 * inner.all()
}
