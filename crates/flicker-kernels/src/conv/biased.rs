//! A convolution with its bias and the activation that follows, added while the sums are in the cache.

use super::forward::forward;
use super::op::{ConvOp, Pass};
use crate::ops::{Activation, ChannelSum, Op3, Real, View, add_then, apply1, with_type};
use crate::simd::Isa;
use crate::threads::unset;
use candle_core::{Result, Shape, Tensor};

/// `act(x ∗ w + b)`, for an activation whose gradient follows from its result.
pub(super) struct Biased {
    pub(super) conv: ConvOp,
    pub(super) activation: Activation,
}

impl Op3 for Biased {
    const NAME: &'static str = "flicker-conv2d-bias";

    fn forward<T: Real>(&self, [x, w, b]: [View<'_, T>; 3]) -> Result<(Vec<T>, Shape)> {
        let (g, isa) = (self.conv.geometry(x.dims, w.dims)?, Isa::best());
        // The convolution writes every number of its result.
        let mut y = unset(g.out_len());
        with_type!(self.activation, T, act => {
            forward(isa, &g, x.data, w.data, &mut y, &|channel, part| add_then(act, b.data[channel], part));
        });
        Ok((y, (g.batch, g.groups * g.c_out, g.size_out.0, g.size_out.1).into()))
    }

    fn backward(&self, [x, w, b]: [&Tensor; 3], y: &Tensor, g: &Tensor) -> Result<[Option<Tensor>; 3]> {
        let g = &self.activation.gradient(y, y, g)?;
        let by = |arg: &Tensor, pass, left: &Tensor, right: &Tensor| {
            arg.track_op().then(|| self.conv.with(pass).apply(left, right)).transpose()
        };
        let db = b.track_op().then(|| apply1(g, ChannelSum)).transpose()?;
        Ok([by(x, Pass::InputGrad, g, w)?, by(w, Pass::WeightGrad, x, g)?, db])
    }
}
