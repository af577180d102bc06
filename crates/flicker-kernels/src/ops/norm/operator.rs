//! One operator for every normalization, `act((x - mean) / sqrt(var + eps) · gamma + beta)`; the kinds differ in what
//! the mean and the variance run over.
//!
//! Its backward is one operator too. An operator has one result, so the three gradients come as one vector, (dx,
//! dgamma, dbeta), of which the caller takes views.

use super::super::activation::{Activation, with_type};
use super::super::adapter::{Op3, View, apply3};
use super::super::real::Real;
use super::super::second_order::twice;
use super::{batch, block};
use candle_core::{Result, Shape, Tensor, bail};
use std::sync::{Arc, OnceLock};

/// What is normalized together.
#[derive(Clone, Copy, Debug)]
pub(super) enum Statistics {
    /// Each channel of x (b, c, hw), over the batch.
    Batch { b: usize, c: usize, hw: usize },
    /// Nothing: mean 0, variance 1 (evaluation, with the running statistics inside gamma and beta).
    Fixed { b: usize, c: usize, hw: usize },
    /// Each of x's blocks: (b, groups, channels · hw), with a gamma for each channel.
    Block { b: usize, groups: usize, channels: usize, hw: usize },
}

/// A normalization but for its tensors.
#[derive(Clone, Copy, Debug)]
pub(super) struct Spec {
    pub(super) statistics: Statistics,
    pub(super) eps: f64,
    pub(super) activation: Activation,
    /// Whether anyone asks for the gradients of gamma and beta.
    pub(super) affine: bool,
}

/// Mean and (biased) variance of each channel or block.
#[derive(Debug, Default)]
pub(super) struct Moments {
    pub(super) mean: Vec<f64>,
    pub(super) var: Vec<f64>,
}

impl Moments {
    pub(super) fn inv(&self, i: usize, eps: f64) -> f64 {
        1.0 / (self.var[i] + eps).sqrt()
    }
}

/// Applies the operator; also gives the moments that it found.
pub(super) fn normalize(
    x: &Tensor,
    gamma: &Tensor,
    beta: &Tensor,
    spec: Spec,
) -> Result<(Tensor, Arc<Moments>)> {
    let moments = Arc::new(OnceLock::new());
    let y = apply3(x, gamma, beta, Normalize { spec, moments: moments.clone() })?;
    let Some(found) = moments.get() else { bail!("normalization: no moments") };
    Ok((y, Arc::clone(found)))
}

impl Spec {
    /// The same from candle's operators.
    pub(super) fn composed(&self, x: &Tensor, gamma: &Tensor, beta: &Tensor) -> Result<Tensor> {
        let (standard, b, c, hw) = match self.statistics {
            Statistics::Fixed { b, c, hw } => (x.clone(), b, c, hw),
            Statistics::Batch { b, c, hw } => {
                let x = x.reshape((b, c, hw))?;
                let (mean, var) = batch_moments(&x)?;
                (self.standard(&x, &mean, &var)?, b, c, hw)
            }
            Statistics::Block { b, groups, channels, hw } => {
                let x = x.reshape((b * groups, channels * hw))?;
                let mean = x.mean_keepdim(1)?;
                let var = x.broadcast_sub(&mean)?.sqr()?.mean_keepdim(1)?;
                (self.standard(&x, &mean, &var)?, b, groups * channels, hw)
            }
        };
        let y = standard.reshape((b, c, hw))?.broadcast_mul(&gamma.reshape((1, c, 1))?)?;
        let y = y.broadcast_add(&beta.reshape((1, c, 1))?)?.reshape(x.shape())?;
        self.activation.composed(&y)
    }

    fn standard(&self, x: &Tensor, mean: &Tensor, var: &Tensor) -> Result<Tensor> {
        x.broadcast_sub(mean)?.broadcast_div(&(var + self.eps)?.sqrt()?)
    }
}

/// Mean and variance of each channel of (b, c, hw), as (1, c, 1).
pub(super) fn batch_moments(x: &Tensor) -> Result<(Tensor, Tensor)> {
    let mean = x.mean_keepdim((0, 2))?;
    let var = x.broadcast_sub(&mean)?.sqr()?.mean_keepdim((0, 2))?;
    Ok((mean, var))
}

struct Normalize {
    spec: Spec,
    /// Set by the forward pass.
    moments: Arc<OnceLock<Arc<Moments>>>,
}

impl Op3 for Normalize {
    const NAME: &'static str = "normalization";

    fn forward<T: Real>(&self, [x, gamma, beta]: [View<'_, T>; 3]) -> Result<(Vec<T>, Shape)> {
        let Spec { statistics, eps, activation, .. } = self.spec;
        let (x_, gamma, beta) = (x.data, gamma.data, beta.data);
        let (y, moments) = with_type!(activation, T, act => match statistics {
            Statistics::Batch { b, c, hw } => batch::forward(x_, gamma, beta, [b, c, hw], eps, act),
            Statistics::Fixed { b, c, hw } => batch::forward_fixed(x_, gamma, beta, [b, c, hw], act),
            Statistics::Block { b, groups, channels, hw } => {
                block::forward(x_, gamma, beta, [b, groups, channels, hw], eps, act)
            }
        });
        // A second forward of the same operator does not happen: each call makes its own.
        let _ = self.moments.set(Arc::new(moments));
        Ok((y, x.dims.into()))
    }

    fn backward(&self, args: [&Tensor; 3], _: &Tensor, g: &Tensor) -> Result<[Option<Tensor>; 3]> {
        let [x, gamma, beta] = args;
        let Some(moments) = self.moments.get() else { bail!("normalization: backward before forward") };
        let affine = Tensor::stack(&[gamma.flatten_all()?, beta.flatten_all()?], 0)?;
        let all = apply3(x, &affine, g, Gradient { spec: self.spec, moments: moments.clone() })?;
        let (n, m) = (x.elem_count(), gamma.elem_count());
        let part = |like: &Tensor, from: usize, wanted: bool| match like.track_op() && wanted {
            true => all.narrow(0, from, like.elem_count())?.reshape(like.shape()).map(Some),
            false => Ok(None),
        };
        let affine = self.spec.affine;
        Ok([part(x, 0, true)?, part(gamma, n, affine)?, part(beta, n + m, affine)?])
    }
}

/// (x, (gamma, beta), g) → (dx, dgamma, dbeta) as one vector.
struct Gradient {
    spec: Spec,
    moments: Arc<Moments>,
}

impl Op3 for Gradient {
    const NAME: &'static str = "normalization gradient";

    fn forward<T: Real>(&self, [x, affine, g]: [View<'_, T>; 3]) -> Result<(Vec<T>, Shape)> {
        if g.dims != x.dims {
            bail!("normalization: expected a gradient of shape {:?}, got {:?}", x.dims, g.dims);
        }
        let Spec { statistics, eps, activation, affine: sums } = self.spec;
        let (gamma, beta) = affine.data.split_at(affine.data.len() / 2);
        let (x, g, m) = (x.data, g.data, &*self.moments);
        let all = with_type!(activation, T, act => match statistics {
            Statistics::Batch { b, c, hw } => batch::backward(x, gamma, beta, g, [b, c, hw], m, eps, act),
            Statistics::Fixed { b, c, hw } => batch::backward_fixed(x, gamma, beta, g, [b, c, hw], sums, act),
            Statistics::Block { b, groups, channels, hw } => {
                block::backward(x, gamma, beta, g, [b, groups, channels, hw], m, eps, act)
            }
        });
        let n = all.len();
        Ok((all, n.into()))
    }

    fn backward(&self, args: [&Tensor; 3], _: &Tensor, u: &Tensor) -> Result<[Option<Tensor>; 3]> {
        let [x, affine, g] = args;
        let n = x.elem_count();
        let by_x = u.narrow(0, 0, n)?.reshape(x.shape())?;
        let by_affine = u.narrow(0, n, affine.elem_count())?.reshape(affine.shape())?;
        let f = |t: &[Tensor]| self.spec.composed(&t[0], &t[1].get(0)?, &t[1].get(1)?);
        let found = twice(f, &[x, affine], g, &[by_x, by_affine])?;
        let wanted = |(d, t): (Tensor, &Tensor)| t.track_op().then_some(d);
        let mut found = found.into_iter().zip(args).map(wanted);
        Ok([found.next().flatten(), found.next().flatten(), found.next().flatten()])
    }
}
