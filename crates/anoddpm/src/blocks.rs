//! What the U-Net is made of. Letters in shapes: B images, C channels, H rows, W columns, E features of the embedded step.

use candle_core::Tensor;
use candle_nn::{Init, VarBuilder};
use flicker_core::Result;
use flicker_core::nn::{
    Activation, Conv2d, ConvSpec, GroupNorm, Linear, Window, attention, avg_pool2d, bias_add, conv2d_bias,
    upsample_nearest2d,
};

/// 3×3 kernels that keep the size.
pub(crate) const KEEPING: ConvSpec = ConvSpec::square(1, 1);
/// 1×1 kernels.
const POINTWISE: ConvSpec = ConvSpec::square(1, 0);

pub(crate) fn norm(
    groups: usize,
    channels: usize,
    activation: Activation,
    vb: &VarBuilder<'_>,
) -> Result<GroupNorm> {
    GroupNorm::new(groups, channels, 1e-5, activation, vb)
}

/// A convolution with bias that starts as 0, so that a block starts as its skip.
#[derive(Clone, Debug)]
pub(crate) struct ZeroConv {
    weight: Tensor,
    bias: Tensor,
    spec: ConvSpec,
}

impl ZeroConv {
    pub(crate) fn new(inputs: usize, outputs: usize, kernel: usize, vb: &VarBuilder<'_>) -> Result<Self> {
        let weight = vb.get_with_hints((outputs, inputs, kernel, kernel), "weight", Init::Const(0.0))?;
        let bias = vb.get_with_hints(outputs, "bias", Init::Const(0.0))?;
        Ok(Self { weight, bias, spec: if kernel == 3 { KEEPING } else { POINTWISE } })
    }

    pub(crate) fn forward(&self, xs: &Tensor) -> Result<Tensor> {
        Ok(conv2d_bias(xs, &self.weight, &self.bias, &self.spec, Activation::None)?)
    }
}

/// What a residual block does to the size.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Size {
    Kept,
    Halved,
    Doubled,
}

impl Size {
    fn apply(self, xs: &Tensor) -> Result<Tensor> {
        Ok(match self {
            Self::Kept => xs.clone(),
            Self::Halved => avg_pool2d(xs, Window::square(2, 2, 0))?,
            Self::Doubled => upsample_nearest2d(xs, 2)?,
        })
    }
}

/// Two convolutions with norms before them, the step added between, around a skip. The size changes inside, on both ways
/// (BigGAN's blocks).
#[derive(Clone, Debug)]
pub(crate) struct Residual {
    norm1: GroupNorm,
    conv1: Conv2d,
    time: Linear,
    norm2: GroupNorm,
    conv2: ZeroConv,
    skip: Option<Conv2d>,
    size: Size,
}

impl Residual {
    pub(crate) fn new(
        [inputs, outputs]: [usize; 2],
        embedded: usize,
        groups: usize,
        size: Size,
        vb: &VarBuilder<'_>,
    ) -> Result<Self> {
        let skip = || Conv2d::new(inputs, outputs, 1, POINTWISE, &vb.pp("skip"));
        Ok(Self {
            norm1: norm(groups, inputs, Activation::Silu, &vb.pp("norm1"))?,
            conv1: Conv2d::new(inputs, outputs, 3, KEEPING, &vb.pp("conv1"))?,
            time: Linear::new(embedded, outputs, Activation::None, &vb.pp("time"))?,
            norm2: norm(groups, outputs, Activation::Silu, &vb.pp("norm2"))?,
            conv2: ZeroConv::new(outputs, outputs, 3, &vb.pp("conv2"))?,
            skip: (inputs != outputs).then(skip).transpose()?,
            size,
        })
    }

    /// `(B, C, H, W)` and the activated step `(B, E)` to `(B, C', H', W')`.
    pub(crate) fn forward(&self, xs: &Tensor, time: &Tensor) -> Result<Tensor> {
        let hs = self.conv1.forward(&self.size.apply(&self.norm1.forward(xs)?)?)?;
        let hs = bias_add(&hs, &self.time.forward(time)?, Activation::None)?;
        let hs = self.conv2.forward(&self.norm2.forward(&hs)?)?;
        let xs = self.size.apply(xs)?;
        Ok(match &self.skip {
            Some(skip) => (skip.forward(&xs)? + hs)?,
            None => (xs + hs)?,
        })
    }
}

/// Attention of each pixel to all, around a skip.
#[derive(Clone, Debug)]
pub(crate) struct Attention {
    norm: GroupNorm,
    project: Conv2d,
    out: ZeroConv,
    heads: usize,
}

impl Attention {
    pub(crate) fn new(channels: usize, heads: usize, groups: usize, vb: &VarBuilder<'_>) -> Result<Self> {
        Ok(Self {
            norm: norm(groups, channels, Activation::None, &vb.pp("norm"))?,
            project: Conv2d::new(channels, 3 * channels, 1, POINTWISE, &vb.pp("project"))?,
            out: ZeroConv::new(channels, channels, 1, &vb.pp("out"))?,
            heads,
        })
    }

    /// The shape `(B, C, H, W)` is kept.
    pub(crate) fn forward(&self, xs: &Tensor) -> Result<Tensor> {
        let (b, c, h, w) = xs.dims4()?;
        let each = c / self.heads;
        // Channels of the projection: for each head its queries, keys and values.
        let projected = self.project.forward(&self.norm.forward(xs)?)?;
        let projected = projected.reshape((b * self.heads, 3, each, h * w))?;
        let part = |i: usize| -> Result<Tensor> {
            Ok(projected.narrow(1, i, 1)?.squeeze(1)?.transpose(1, 2)?.contiguous()?) // (B·heads, HW, C/heads)
        };
        let seen = attention(&part(0)?, &part(1)?, &part(2)?)?;
        let seen = seen.transpose(1, 2)?.contiguous()?.reshape((b, c, h, w))?;
        Ok((xs + self.out.forward(&seen)?)?)
    }
}
