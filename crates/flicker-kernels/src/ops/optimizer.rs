//! The steps of the optimizers, each one pass over memory, written into the variables: Adam (Kingma and Ba, 2015),
//! AdamW (Loshchilov and Hutter, 2019), RMSProp, SGD with momentum, and the moving average of weights. The formulas
//! are PyTorch's.

use super::adapter::{fast, slice};
use super::in_place::with_mut;
use super::parallel::{GRAIN, PIECE};
use super::real::Real;
use super::simd::kernel;
use candle_core::{DType, Result, Storage, Tensor, Var, bail};
use rayon::prelude::*;

/// How weights are drawn to 0.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum WeightDecay {
    /// Not at all.
    None,
    /// `gradient += decay · weight`: a penalty in the loss.
    L2(f64),
    /// `weight *= 1 - lr · decay` beside the step: AdamW.
    Decoupled(f64),
}

impl WeightDecay {
    /// (what multiplies the weight first, what of the weight is added to the gradient)
    fn factors(self, lr: f64) -> (f64, f64) {
        match self {
            Self::None => (1.0, 0.0),
            Self::L2(decay) => (1.0, decay),
            Self::Decoupled(decay) => (1.0 - lr * decay, 0.0),
        }
    }
}

/// The numbers of one Adam step.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct AdamStep {
    /// Learning rate.
    pub lr: f64,
    /// Decay of the mean of gradients.
    pub beta1: f64,
    /// Decay of the mean of squared gradients.
    pub beta2: f64,
    /// Added to the root of the second mean.
    pub eps: f64,
    /// Weight decay.
    pub weight_decay: WeightDecay,
    /// Which step this is, from 1.
    pub step: usize,
}

/// The numbers of one RMSProp step: as in PyTorch, not centred, without momentum.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RmsPropStep {
    /// Learning rate.
    pub lr: f64,
    /// Decay of the mean of squared gradients.
    pub alpha: f64,
    /// Added to the root of the mean.
    pub eps: f64,
    /// Weight decay.
    pub weight_decay: WeightDecay,
}

/// The numbers of one step of stochastic gradient descent.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SgdStep {
    /// Learning rate.
    pub lr: f64,
    /// Decay of the velocity; 0 for none.
    pub momentum: f64,
    /// Whether the step looks ahead along the velocity.
    pub nesterov: bool,
    /// Weight decay.
    pub weight_decay: WeightDecay,
}

/// One step of Adam or AdamW; `m` and `v` are zeros before the first.
pub fn adam_step(param: &Var, grad: &Tensor, m: &Var, v: &Var, s: &AdamStep) -> Result<()> {
    check("adam", param, &[grad, m, v])?;
    if s.step == 0 {
        bail!("adam: steps are counted from 1, got 0");
    }
    let (keep, l2) = s.weight_decay.factors(s.lr);
    let (c1, c2) = (1.0 - s.beta1.powf(s.step as f64), 1.0 - s.beta2.powf(s.step as f64));
    if fast(&[param, grad, m, v]) {
        let k = [keep, l2, s.beta1, s.beta2, s.lr / c1, 1.0 / c2.sqrt(), s.eps];
        return match param.dtype() {
            DType::F32 => update3::<f32, 7>(param, grad, m, v, k, adam::<f32>),
            _ => update3::<f64, 7>(param, grad, m, v, k, adam::<f64>),
        };
    }
    let p = param.as_detached_tensor();
    let g = (grad.detach() + (&p * l2)?)?;
    let mean = ((m.as_detached_tensor() * s.beta1)? + (&g * (1.0 - s.beta1))?)?;
    let square = ((v.as_detached_tensor() * s.beta2)? + (g.sqr()? * (1.0 - s.beta2))?)?;
    let root = ((square.sqrt()? / c2.sqrt())? + s.eps)?;
    param.set(&((p * keep)? - ((&mean / root)? * (s.lr / c1))?)?)?;
    m.set(&mean)?;
    v.set(&square)
}

/// One step of RMSProp; `v` is zeros before the first.
pub fn rmsprop_step(param: &Var, grad: &Tensor, v: &Var, s: &RmsPropStep) -> Result<()> {
    check("rmsprop", param, &[grad, v])?;
    let (keep, l2) = s.weight_decay.factors(s.lr);
    if fast(&[param, grad, v]) {
        let k = [keep, l2, s.alpha, s.lr, s.eps];
        return match param.dtype() {
            DType::F32 => update2::<f32, 5>(param, grad, v, k, rmsprop::<f32>),
            _ => update2::<f64, 5>(param, grad, v, k, rmsprop::<f64>),
        };
    }
    let p = param.as_detached_tensor();
    let g = (grad.detach() + (&p * l2)?)?;
    let square = ((v.as_detached_tensor() * s.alpha)? + (g.sqr()? * (1.0 - s.alpha))?)?;
    param.set(&((p * keep)? - ((g / (square.sqrt()? + s.eps)?)? * s.lr)?)?)?;
    v.set(&square)
}

/// One step of gradient descent; `velocity` is zeros before the first.
pub fn sgd_step(param: &Var, grad: &Tensor, velocity: &Var, s: &SgdStep) -> Result<()> {
    check("sgd", param, &[grad, velocity])?;
    let (keep, l2) = s.weight_decay.factors(s.lr);
    if fast(&[param, grad, velocity]) {
        let k = [keep, l2, s.momentum, s.lr, if s.nesterov { 1.0 } else { 0.0 }];
        return match param.dtype() {
            DType::F32 => update2::<f32, 5>(param, grad, velocity, k, sgd::<f32>),
            _ => update2::<f64, 5>(param, grad, velocity, k, sgd::<f64>),
        };
    }
    let p = param.as_detached_tensor();
    let g = (grad.detach() + (&p * l2)?)?;
    let b = ((velocity.as_detached_tensor() * s.momentum)? + &g)?;
    let direction = if s.nesterov { (g + (&b * s.momentum)?)? } else { b.clone() };
    param.set(&((p * keep)? - (direction * s.lr)?)?)?;
    velocity.set(&b)
}

/// `average += (1 - decay) · (param - average)`.
pub fn ema_step(average: &Var, param: &Tensor, decay: f64) -> Result<()> {
    check("moving average", average, &[param])?;
    if fast(&[average, param]) {
        return match average.dtype() {
            DType::F32 => update1::<f32>(average, param, decay),
            _ => update1::<f64>(average, param, decay),
        };
    }
    let old = average.as_detached_tensor();
    average.set(&(&old + ((param.detach() - &old)? * (1.0 - decay))?)?)
}

fn check(name: &str, param: &Var, others: &[&Tensor]) -> Result<()> {
    if let Some(t) = others.iter().find(|t| t.dims() != param.dims()) {
        bail!("{name}: expected tensors of the parameter's shape {:?}, got {:?}", param.dims(), t.dims());
    }
    let ids: Vec<_> = others.iter().map(|t| t.id()).chain([param.id()]).collect();
    if (1..ids.len()).any(|i| ids[..i].contains(&ids[i])) {
        bail!("{name}: the parameter, its gradient and its state must be different tensors");
    }
    Ok(())
}

/// Calls `f` with the elements of a CPU tensor.
fn with_slice<T: Real, R>(t: &Tensor, f: impl FnOnce(&[T]) -> Result<R>) -> Result<R> {
    let t = t.contiguous()?;
    let (storage, layout) = t.storage_and_layout();
    match &*storage {
        Storage::Cpu(s) => f(slice(s, layout)?),
        _ => bail!("expected a tensor on the cpu"),
    }
}

/// Length of the pieces that a thread takes.
fn piece(n: usize) -> usize {
    if n < 2 * GRAIN || rayon::current_num_threads() == 1 {
        return n.max(1);
    }
    n.div_ceil(4 * rayon::current_num_threads()).max(GRAIN).next_multiple_of(PIECE)
}

type Run3<T, const N: usize> = fn(&mut [T], &[T], &mut [T], &mut [T], [T; N]);
type Run2<T, const N: usize> = fn(&mut [T], &[T], &mut [T], [T; N]);

fn update3<T: Real, const N: usize>(
    param: &Var,
    grad: &Tensor,
    m: &Var,
    v: &Var,
    k: [f64; N],
    run: Run3<T, N>,
) -> Result<()> {
    let k = k.map(T::from_f64);
    let all = |p: &mut [T], g: &[T], m: &mut [T], v: &mut [T]| -> Result<()> {
        let n = piece(p.len());
        if n >= p.len() {
            run(p, g, m, v, k);
            return Ok(());
        }
        let parts =
            p.par_chunks_mut(n).zip(g.par_chunks(n)).zip(m.par_chunks_mut(n)).zip(v.par_chunks_mut(n));
        parts.for_each(|(((p, g), m), v)| run(p, g, m, v, k));
        Ok(())
    };
    with_slice(grad, |g| with_mut(m, |m| with_mut(v, |v| with_mut(param, |p| all(p, g, m, v)))))
}

fn update2<T: Real, const N: usize>(
    param: &Var,
    grad: &Tensor,
    v: &Var,
    k: [f64; N],
    run: Run2<T, N>,
) -> Result<()> {
    let k = k.map(T::from_f64);
    let all = |p: &mut [T], g: &[T], v: &mut [T]| -> Result<()> {
        let n = piece(p.len());
        if n >= p.len() {
            run(p, g, v, k);
            return Ok(());
        }
        let parts = p.par_chunks_mut(n).zip(g.par_chunks(n)).zip(v.par_chunks_mut(n));
        parts.for_each(|((p, g), v)| run(p, g, v, k));
        Ok(())
    };
    with_slice(grad, |g| with_mut(v, |v| with_mut(param, |p| all(p, g, v))))
}

fn update1<T: Real>(average: &Var, param: &Tensor, decay: f64) -> Result<()> {
    let k = T::from_f64(1.0 - decay);
    let all = |a: &mut [T], p: &[T]| -> Result<()> {
        let n = piece(a.len());
        a.par_chunks_mut(n).zip(p.par_chunks(n)).for_each(|(a, p)| ema(a, p, k));
        Ok(())
    };
    with_slice(param, |p| with_mut(average, |a| all(a, p)))
}

kernel! {
    fn adam[T: Real](p: &mut [T], g: &[T], m: &mut [T], v: &mut [T], k: [T; 7]) {
        let [keep, l2, beta1, beta2, rate, root, eps] = k;
        let (one, n) = (T::one(), p.len());
        let (g, m, v) = (&g[..n], &mut m[..n], &mut v[..n]);
        for i in 0..n {
            let g = g[i] + l2 * p[i];
            m[i] += (g - m[i]) * (one - beta1);
            v[i] = v[i] * beta2 + g * g * (one - beta2);
            p[i] = p[i] * keep - rate * m[i] / (v[i].sqrt() * root + eps);
        }
    }
}

kernel! {
    fn rmsprop[T: Real](p: &mut [T], g: &[T], v: &mut [T], k: [T; 5]) {
        let [keep, l2, alpha, lr, eps] = k;
        let n = p.len();
        let (g, v) = (&g[..n], &mut v[..n]);
        for i in 0..n {
            let g = g[i] + l2 * p[i];
            v[i] = v[i] * alpha + g * g * (T::one() - alpha);
            p[i] = p[i] * keep - lr * g / (v[i].sqrt() + eps);
        }
    }
}

kernel! {
    fn sgd[T: Real](p: &mut [T], g: &[T], velocity: &mut [T], k: [T; 5]) {
        let [keep, l2, momentum, lr, ahead] = k;
        let n = p.len();
        let (g, velocity) = (&g[..n], &mut velocity[..n]);
        for i in 0..n {
            let g = g[i] + l2 * p[i];
            velocity[i] = velocity[i] * momentum + g;
            let looking = g + momentum * velocity[i];
            let direction = if ahead > T::zero() { looking } else { velocity[i] };
            p[i] = p[i] * keep - lr * direction;
        }
    }
}

kernel! {
    fn ema[T: Real](average: &mut [T], p: &[T], k: T) {
        for (a, p) in average.iter_mut().zip(p) {
            *a += (*p - *a) * k;
        }
    }
}
