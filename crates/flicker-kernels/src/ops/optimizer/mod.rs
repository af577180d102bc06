//! The steps of the optimizers, each one pass over memory, written into the variables: Adam (Kingma and Ba, 2015),
//! AdamW (Loshchilov and Hutter, 2019), RMSProp (Tieleman and Hinton, 2012; centred: Graves, 2013), SGD with momentum,
//! and the moving average of weights. The formulas are PyTorch's.

mod pass;

use super::adapter::{fast, slice};
use candle_core::{DType, Device, Result, Storage, Tensor, Var, bail};
use pass::{Off, On, pass};

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

/// The numbers of one RMSProp step.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RmsPropStep {
    /// Learning rate.
    pub lr: f64,
    /// Decay of the means.
    pub alpha: f64,
    /// Added to the root of the mean.
    pub eps: f64,
    /// Share of the last change that is kept; not used without [`RmsPropState::change`].
    pub momentum: f64,
    /// Weight decay.
    pub weight_decay: WeightDecay,
}

/// What moves with a parameter under RMSProp; zeros before the first step.
#[derive(Clone, Copy, Debug)]
pub struct RmsPropState<'a> {
    /// The mean of squared gradients.
    pub square_mean: &'a Var,
    /// The mean of gradients, where the step is by their standard deviation rather than their root mean square.
    pub mean: Option<&'a Var>,
    /// The last change, where there is momentum.
    pub change: Option<&'a Var>,
}

/// The numbers of one step of stochastic gradient descent.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SgdStep {
    /// Learning rate.
    pub lr: f64,
    /// Decay of the velocity; not used without one.
    pub momentum: f64,
    /// Whether the step looks ahead along the velocity.
    pub nesterov: bool,
    /// Weight decay.
    pub weight_decay: WeightDecay,
}

/// Calls a generic function for the element type of a tensor that [`fast`] has let through.
macro_rules! by_type {
    ($tensor:expr, $run:ident($($arg:expr),*)) => {
        match $tensor.dtype() {
            DType::F32 => $run::<f32>($($arg),*),
            _ => $run::<f64>($($arg),*),
        }
    };
}

/// One step of Adam or AdamW; `m` and `v` are zeros before the first.
///
/// # Errors
/// If the shapes differ, two of the tensors are one, or the step is 0.
pub fn adam_step(param: &Var, grad: &Tensor, m: &Var, v: &Var, s: &AdamStep) -> Result<()> {
    check("adam", param, &[grad, m, v])?;
    if s.step == 0 {
        bail!("adam: steps are counted from 1, got 0");
    }
    let (keep, l2) = s.weight_decay.factors(s.lr);
    let rate = s.lr / (1.0 - s.beta1.powf(s.step as f64));
    let root_correction = (1.0 - s.beta2.powf(s.step as f64)).sqrt();
    if fast(&[param, grad, m, v]) {
        let k = [keep, l2, 1.0 - s.beta1, s.beta2, 1.0 - s.beta2, rate, root_correction, s.eps];
        return by_type!(param, adam(param, grad, m, v, k));
    }
    let p = param.as_detached_tensor();
    let g = (grad.detach() + (&p * l2)?)?;
    let mean = ((m.as_detached_tensor() * s.beta1)? + (&g * (1.0 - s.beta1))?)?;
    let square = ((v.as_detached_tensor() * s.beta2)? + (g.sqr()? * (1.0 - s.beta2))?)?;
    let root = ((square.sqrt()? / root_correction)? + s.eps)?;
    param.set(&((p * keep)? - ((&mean / root)? * rate)?)?)?;
    m.set(&mean)?;
    v.set(&square)
}

/// One step of RMSProp.
///
/// # Errors
/// If the shapes differ, or two of the tensors are one.
pub fn rmsprop_step(param: &Var, grad: &Tensor, state: RmsPropState<'_>, s: &RmsPropStep) -> Result<()> {
    let RmsPropState { square_mean, mean, change } = state;
    let optional = [mean, change].into_iter().flatten().map(Var::as_tensor);
    let mut tensors: Vec<&Tensor> = [grad, square_mean].into_iter().chain(optional).collect();
    check("rmsprop", param, &tensors)?;
    tensors.push(param);
    let (keep, l2) = s.weight_decay.factors(s.lr);
    if fast(&tensors) {
        let k = [keep, l2, s.alpha, 1.0 - s.alpha, s.momentum, s.lr, s.eps];
        return by_type!(param, rmsprop(param, grad, state, k));
    }
    let p = param.as_detached_tensor();
    let g = (grad.detach() + (&p * l2)?)?;
    let square = ((square_mean.as_detached_tensor() * s.alpha)? + (g.sqr()? * (1.0 - s.alpha))?)?;
    let mut power = square.clone();
    if let Some(mean) = mean {
        let next = ((mean.as_detached_tensor() * s.alpha)? + (&g * (1.0 - s.alpha))?)?;
        power = (power - next.sqr()?)?.maximum(0.0)?;
        mean.set(&next)?;
    }
    let mut step = (g / (power.sqrt()? + s.eps)?)?;
    if let Some(change) = change {
        step = ((change.as_detached_tensor() * s.momentum)? + step)?;
        change.set(&step)?;
    }
    param.set(&((p * keep)? - (step * s.lr)?)?)?;
    square_mean.set(&square)
}

/// One step of gradient descent; the velocity is zeros before the first, and absent where there is no momentum.
///
/// # Errors
/// If the shapes differ, or two of the tensors are one.
pub fn sgd_step(param: &Var, grad: &Tensor, velocity: Option<&Var>, s: &SgdStep) -> Result<()> {
    let mut tensors: Vec<&Tensor> = [grad].into_iter().chain(velocity.map(Var::as_tensor)).collect();
    check("sgd", param, &tensors)?;
    tensors.push(param);
    let (keep, l2) = s.weight_decay.factors(s.lr);
    if fast(&tensors) {
        let k = [keep, l2, s.momentum, s.lr, if s.nesterov { 1.0 } else { 0.0 }];
        return by_type!(param, sgd(param, grad, velocity, k));
    }
    let p = param.as_detached_tensor();
    let mut direction = (grad.detach() + (&p * l2)?)?;
    if let Some(velocity) = velocity {
        let next = ((velocity.as_detached_tensor() * s.momentum)? + &direction)?;
        direction = if s.nesterov { (direction + (&next * s.momentum)?)? } else { next.clone() };
        velocity.set(&next)?;
    }
    param.set(&((p * keep)? - (direction * s.lr)?)?)
}

/// `average ← decay · average + (1 - decay) · param`.
///
/// # Errors
/// If the shapes differ, or both are one tensor.
pub fn ema_step(average: &Var, param: &Tensor, decay: f64) -> Result<()> {
    check("moving average", average, &[param])?;
    if fast(&[average, param]) {
        return by_type!(average, ema(average, param, [decay, 1.0 - decay]));
    }
    average.set(&((average.as_detached_tensor() * decay)? + (param.detach() * (1.0 - decay))?)?)
}

/// `Σ x²` over all elements of all tensors, in their order: on the CPU in f64, elsewhere each tensor's sum in its own number
/// type (in f32 for a smaller one). The order of each sum depends on the shapes alone, and a device is waited for once.
///
/// # Errors
/// If candle refuses an operation.
pub fn sum_of_squares(xs: &[&Tensor]) -> Result<f64> {
    if xs.iter().all(|x| fast(&[x])) {
        return xs.iter().map(|x| squares(x)).sum();
    }
    let sum = |x: &&Tensor| {
        let small = x.dtype().size_in_bytes() < 4;
        let x = if small { x.detach().to_dtype(DType::F32)? } else { x.detach() };
        x.sqr()?.sum_all()
    };
    let sums = Tensor::stack(&xs.iter().map(sum).collect::<Result<Vec<_>>>()?, 0)?.to_device(&Device::Cpu)?;
    Ok(sums.to_dtype(DType::F64)?.to_vec1::<f64>()?.iter().sum())
}

fn squares(x: &Tensor) -> Result<f64> {
    let x = x.contiguous()?;
    let (storage, layout) = x.storage_and_layout();
    match &*storage {
        Storage::Cpu(s) if x.dtype() == DType::F32 => Ok(pass::squares::<f32>(slice(s, layout)?)),
        Storage::Cpu(s) => Ok(pass::squares::<f64>(slice(s, layout)?)),
        _ => bail!("expected a tensor on the cpu"),
    }
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

fn adam<T: pass::Real>(p: &Var, g: &Tensor, m: &Var, v: &Var, k: [f64; 8]) -> Result<()> {
    let k = k.map(T::from_f64);
    pass(g, [p, m, v], |g, [p, m, v]| pass::adam(p, g, m, v, k))
}

fn rmsprop<T: pass::Real>(p: &Var, g: &Tensor, state: RmsPropState<'_>, k: [f64; 7]) -> Result<()> {
    let k = k.map(T::from_f64);
    let RmsPropState { square_mean: s, mean, change } = state;
    match (mean, change) {
        (None, None) => pass(g, [p, s], |g, [p, s]| {
            pass::rmsprop(p, g, s, &mut [], &mut [], Off, Off, k);
        }),
        (Some(m), None) => pass(g, [p, s, m], |g, [p, s, m]| {
            pass::rmsprop(p, g, s, m, &mut [], On, Off, k);
        }),
        (None, Some(c)) => pass(g, [p, s, c], |g, [p, s, c]| {
            pass::rmsprop(p, g, s, &mut [], c, Off, On, k);
        }),
        (Some(m), Some(c)) => pass(g, [p, s, m, c], |g, [p, s, m, c]| {
            pass::rmsprop(p, g, s, m, c, On, On, k);
        }),
    }
}

fn sgd<T: pass::Real>(p: &Var, g: &Tensor, velocity: Option<&Var>, k: [f64; 5]) -> Result<()> {
    let k = k.map(T::from_f64);
    match velocity {
        None => pass(g, [p], |g, [p]| pass::sgd(p, g, &mut [], Off, k)),
        Some(v) => pass(g, [p, v], |g, [p, v]| pass::sgd(p, g, v, On, k)),
    }
}

fn ema<T: pass::Real>(average: &Var, param: &Tensor, k: [f64; 2]) -> Result<()> {
    let k = k.map(T::from_f64);
    pass(param, [average], |p, [a]| pass::ema(a, p, k))
}
