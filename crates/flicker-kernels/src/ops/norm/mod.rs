//! Normalizations: batch norm (Ioffe and Szegedy, 2015), group norm (Wu and He, 2018) and layer norm (Ba et al.,
//! 2016), each with the activation that follows in the same pass.
//!
//! Variances are the biased ones, as everywhere in this literature; only the running variance of batch norm is
//! unbiased, as in PyTorch.

mod batch;
mod block;
mod operator;
mod sums;

use super::activation::{Activation, activate};
use super::adapter::fast;
use super::in_place::with_mut;
use super::linear::along_channels;
use super::real::Real;
use candle_core::{DType, Result, Tensor, Var, bail};
use operator::{Moments, Spec, Statistics};

/// Batch norm with the statistics of the batch, in training: x (B, C, …), gamma and beta (C).
///
/// `running = (1 - momentum) · running + momentum · statistic` is written into the two variables, the variance with
/// the divisor n − 1. An error if there is one value per channel, as its variance says nothing.
#[allow(clippy::too_many_arguments)]
pub fn batch_norm_train(
    x: &Tensor,
    gamma: &Tensor,
    beta: &Tensor,
    running_mean: &Var,
    running_var: &Var,
    momentum: f64,
    eps: f64,
    activation: Activation,
) -> Result<Tensor> {
    activation.check()?;
    let (b, c, hw) = check_channels("batch norm", x, &[gamma, beta, running_mean, running_var])?;
    if b * hw < 2 {
        bail!("batch norm: training needs at least 2 values per channel, got x {:?}", x.dims());
    }
    let spec = Spec { statistics: Statistics::Batch { b, c, hw }, eps, activation, affine: true };
    if fast(&[x, gamma, beta, running_mean, running_var]) {
        let (y, moments) = operator::normalize(x, gamma, beta, spec)?;
        match x.dtype() {
            DType::F32 => update_running::<f32>(&moments, running_mean, running_var, momentum, b * hw)?,
            _ => update_running::<f64>(&moments, running_mean, running_var, momentum, b * hw)?,
        }
        return Ok(y);
    }
    let (mean, var) = operator::batch_moments(&x.detach().reshape((b, c, hw))?)?;
    let unbiased = (var.flatten_all()? * ((b * hw) as f64 / (b * hw - 1) as f64))?;
    let mix = |old: &Tensor, new: &Tensor| (old * (1.0 - momentum))? + (new * momentum)?;
    running_mean.set(&mix(&running_mean.as_detached_tensor(), &mean.flatten_all()?)?)?;
    running_var.set(&mix(&running_var.as_detached_tensor(), &unbiased)?)?;
    spec.composed(x, gamma, beta)
}

/// Batch norm with the running statistics, in evaluation: each sample's result depends on that sample alone.
pub fn batch_norm_eval(
    x: &Tensor,
    gamma: &Tensor,
    beta: &Tensor,
    running_mean: &Tensor,
    running_var: &Tensor,
    eps: f64,
    activation: Activation,
) -> Result<Tensor> {
    activation.check()?;
    let (b, c, hw) = check_channels("batch norm", x, &[gamma, beta, running_mean, running_var])?;
    let (mean, var) = (running_mean.detach(), running_var.detach());
    let scale = (gamma / (var + eps)?.sqrt()?)?;
    let shift = (beta - (mean * &scale)?)?;
    if fast(&[x, &scale, &shift]) {
        let affine = scale.track_op() || shift.track_op();
        let spec = Spec { statistics: Statistics::Fixed { b, c, hw }, eps, activation, affine };
        return Ok(operator::normalize(x, &scale, &shift, spec)?.0);
    }
    let scaled = x.broadcast_mul(&along_channels(&scale, x.rank())?)?;
    activate(&scaled.broadcast_add(&along_channels(&shift, x.rank())?)?, activation)
}

/// Group norm: x (B, C, …) in `groups` groups of channels, gamma and beta (C).
pub fn group_norm(
    x: &Tensor,
    gamma: &Tensor,
    beta: &Tensor,
    groups: usize,
    eps: f64,
    activation: Activation,
) -> Result<Tensor> {
    activation.check()?;
    let (b, c, hw) = check_channels("group norm", x, &[gamma, beta])?;
    if groups == 0 || c % groups != 0 {
        bail!("group norm: expected a number of groups that divides the {c} channels, got {groups}");
    }
    block_norm(x, gamma, beta, Statistics::Block { b, groups, channels: c / groups, hw }, eps, activation)
}

/// Layer norm over the last dimensions, which are those of gamma and beta: (C, H, W) or only the last.
pub fn layer_norm(
    x: &Tensor,
    gamma: &Tensor,
    beta: &Tensor,
    eps: f64,
    activation: Activation,
) -> Result<Tensor> {
    activation.check()?;
    let (rank, d) = (x.rank(), gamma.dims());
    if d.is_empty() || d.len() > rank || x.dims()[rank - d.len()..] != *d || beta.dims() != d {
        let b = beta.dims();
        bail!(
            "layer norm: expected gamma and beta of x's last dimensions {:?}, got {d:?} and {b:?}",
            x.dims()
        );
    }
    let channels = gamma.elem_count();
    let b = x.elem_count() / channels.max(1);
    block_norm(x, gamma, beta, Statistics::Block { b, groups: 1, channels, hw: 1 }, eps, activation)
}

fn block_norm(
    x: &Tensor,
    gamma: &Tensor,
    beta: &Tensor,
    statistics: Statistics,
    eps: f64,
    activation: Activation,
) -> Result<Tensor> {
    let spec = Spec { statistics, eps, activation, affine: true };
    if x.elem_count() == 0 {
        bail!("normalization: x {:?} has no element", x.dims());
    }
    match fast(&[x, gamma, beta]) {
        true => Ok(operator::normalize(x, gamma, beta, spec)?.0),
        false => spec.composed(x, gamma, beta),
    }
}

/// (B, C, product of the rest) of x, if every vector has C elements.
fn check_channels(name: &str, x: &Tensor, vectors: &[&Tensor]) -> Result<(usize, usize, usize)> {
    let [b, c, rest @ ..] = x.dims() else {
        bail!("{name}: expected x (B, C, …), got {:?}", x.dims());
    };
    if let Some(v) = vectors.iter().find(|v| v.dims() != [*c]) {
        bail!("{name}: expected vectors ({c}) for x {:?}, got {:?}", x.dims(), v.dims());
    }
    if x.elem_count() == 0 {
        bail!("{name}: x {:?} has no element", x.dims());
    }
    Ok((*b, *c, rest.iter().product()))
}

fn update_running<T: Real>(moments: &Moments, mean: &Var, var: &Var, momentum: f64, n: usize) -> Result<()> {
    let mix = |running: &mut [T], new: &[f64], factor: f64| {
        for (r, s) in running.iter_mut().zip(new) {
            *r = T::from_f64((1.0 - momentum) * r.to_f64() + momentum * factor * s);
        }
        Ok(())
    };
    with_mut(mean, |r| mix(r, &moments.mean, 1.0))?;
    with_mut(var, |r| mix(r, &moments.var, n as f64 / (n - 1) as f64))
}
