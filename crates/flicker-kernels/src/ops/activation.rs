//! Activations, alone and as the last step of other operators.
//!
//! At exactly 0 the gradients are PyTorch's: 0 for ReLU, the slope for leaky ReLU.

use super::adapter::{Op1, Op2, View, apply1, apply2, fast};
use super::real::Real;
use crate::kernel::{Math, kernel};
use crate::threads::{fill, unset};
use candle_core::{Result, Shape, Tensor, bail};
use std::marker::PhantomData;

/// What follows a linear map or a normalization, elementwise.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Activation {
    /// The identity.
    None,
    /// `max(x, 0)`.
    Relu,
    /// `x` where x > 0, else `slope · x`; the slope is not negative.
    LeakyRelu(f64),
    /// `x · sigmoid(x)`, also called swish.
    Silu,
    /// `tanh(x)`.
    Tanh,
    /// `1 / (1 + e^-x)`.
    Sigmoid,
}

/// Applies an activation to a tensor of any shape.
///
/// ```
/// use candle_core::{Device, Tensor};
/// use flicker_kernels::{Activation, activate};
/// let x = Tensor::new(&[-2f32, 0.0, 3.0], &Device::Cpu)?;
/// assert_eq!(activate(&x, Activation::LeakyRelu(0.5))?.to_vec1::<f32>()?, [-1.0, 0.0, 3.0]);
/// # Ok::<(), candle_core::Error>(())
/// ```
pub fn activate(x: &Tensor, activation: Activation) -> Result<Tensor> {
    activation.check()?;
    match activation {
        Activation::None => Ok(x.clone()),
        _ if fast(&[x]) => apply1(x, Forward(activation)),
        _ => activation.composed(x),
    }
}

impl Activation {
    /// Refuses a negative slope: the sign of the result would no longer tell the sign of the argument.
    pub(crate) fn check(self) -> Result<()> {
        match self {
            Self::LeakyRelu(slope) if !(slope >= 0.0 && slope.is_finite()) => {
                bail!("leaky relu: expected a slope of at least 0, got {slope}")
            }
            _ => Ok(()),
        }
    }

    /// The same from candle's operators, those with right first and second derivatives.
    pub(crate) fn composed(self, x: &Tensor) -> Result<Tensor> {
        let sigmoid = |x: &Tensor| (((x * 0.5)?.tanh()? + 1.0)? * 0.5)?.contiguous();
        match self {
            Self::None => Ok(x.clone()),
            Self::Relu => x.le(0f64)?.where_cond(&x.zeros_like()?, x),
            Self::LeakyRelu(slope) => x.gt(0f64)?.where_cond(x, &(x * slope)?),
            Self::Silu => x * sigmoid(x)?,
            Self::Tanh => x.tanh(),
            Self::Sigmoid => sigmoid(x),
        }
    }

    /// The gradient by the argument, given the result's gradient `g`; both may be differentiated again.
    pub(crate) fn gradient(self, x: &Tensor, y: &Tensor, g: &Tensor) -> Result<Tensor> {
        match self {
            Self::None => Ok(g.clone()),
            // The slope is constant in pieces; candle wants a gradient for whatever tracks, so y must not.
            Self::Relu | Self::LeakyRelu(_) => apply2(&y.detach(), g, Slope(self)),
            Self::Silu => apply2(x, g, Slope(self)),
            Self::Tanh | Self::Sigmoid => apply2(y, g, Slope(self)),
        }
    }

    /// Whether the gradient can do without the argument, from the result alone.
    pub(crate) fn by_result(self) -> bool {
        self != Self::Silu
    }
}

/// An activation as a type, so that a loop is compiled for each.
pub(crate) trait Act<T>: Copy + Send + Sync {
    /// The result for z.
    fn y<M: Math>(self, z: T) -> T;
    /// The derivative at z, times g.
    fn pull<M: Math>(self, z: T, g: T) -> T;
}

#[derive(Clone, Copy)]
pub(crate) struct Identity;
#[derive(Clone, Copy)]
pub(crate) struct Relu;
#[derive(Clone, Copy)]
pub(crate) struct Leaky<T>(pub(crate) T);
#[derive(Clone, Copy)]
pub(crate) struct Silu;
#[derive(Clone, Copy)]
pub(crate) struct Tanh;
#[derive(Clone, Copy)]
pub(crate) struct Sigmoid;

impl<T: Real> Act<T> for Identity {
    #[inline(always)]
    fn y<M: Math>(self, z: T) -> T {
        z
    }
    #[inline(always)]
    fn pull<M: Math>(self, _: T, g: T) -> T {
        g
    }
}

impl<T: Real> Act<T> for Relu {
    #[inline(always)]
    fn y<M: Math>(self, z: T) -> T {
        if z <= T::zero() { T::zero() } else { z }
    }
    #[inline(always)]
    fn pull<M: Math>(self, z: T, g: T) -> T {
        if z <= T::zero() { T::zero() } else { g }
    }
}

impl<T: Real> Act<T> for Leaky<T> {
    #[inline(always)]
    fn y<M: Math>(self, z: T) -> T {
        if z > T::zero() { z } else { z * self.0 }
    }
    #[inline(always)]
    fn pull<M: Math>(self, z: T, g: T) -> T {
        if z > T::zero() { g } else { g * self.0 }
    }
}

impl<T: Real> Act<T> for Silu {
    #[inline(always)]
    fn y<M: Math>(self, z: T) -> T {
        z * z.sigmoid::<M>()
    }
    #[inline(always)]
    fn pull<M: Math>(self, z: T, g: T) -> T {
        let s = z.sigmoid::<M>();
        g * s * (T::one() + z * (T::one() - s))
    }
}

impl<T: Real> Act<T> for Tanh {
    #[inline(always)]
    fn y<M: Math>(self, z: T) -> T {
        z.tanh::<M>()
    }
    #[inline(always)]
    fn pull<M: Math>(self, z: T, g: T) -> T {
        let y = z.tanh::<M>();
        g * (T::one() - y * y)
    }
}

impl<T: Real> Act<T> for Sigmoid {
    #[inline(always)]
    fn y<M: Math>(self, z: T) -> T {
        z.sigmoid::<M>()
    }
    #[inline(always)]
    fn pull<M: Math>(self, z: T, g: T) -> T {
        let y = z.sigmoid::<M>();
        g * y * (T::one() - y)
    }
}

/// Calls an expression with the activation as a type: `with_type!(activation, T, act => expression)`.
macro_rules! with_type {
    ($activation:expr, $t:ty, $act:ident => $body:expr) => {{
        use $crate::ops::activation as a;
        match $activation {
            a::Activation::None => {
                let $act = a::Identity;
                $body
            }
            a::Activation::Relu => {
                let $act = a::Relu;
                $body
            }
            a::Activation::LeakyRelu(slope) => {
                let $act = a::Leaky(<$t>::from_f64(slope));
                $body
            }
            a::Activation::Silu => {
                let $act = a::Silu;
                $body
            }
            a::Activation::Tanh => {
                let $act = a::Tanh;
                $body
            }
            a::Activation::Sigmoid => {
                let $act = a::Sigmoid;
                $body
            }
        }
    }};
}
pub(crate) use with_type;

kernel! {
    fn forward[T: Real, A: Act<T>](act: A, x: &[T], y: &mut [T]) {
        for (y, x) in y.iter_mut().zip(x) {
            *y = act.y::<M>(*x);
        }
    }
}

kernel! {
    /// y = act(y), where y lies.
    fn forward_in_place[T: Real, A: Act<T>](act: A, y: &mut [T]) {
        for y in y {
            *y = act.y::<M>(*y);
        }
    }
}

kernel! {
    fn zip2[T: Real, F: Fn2<T>](a: &[T], b: &[T], y: &mut [T], f: F) {
        for ((y, a), b) in y.iter_mut().zip(a).zip(b) {
            *y = f.at::<M>(*a, *b);
        }
    }
}

struct Forward(Activation);

impl Op1 for Forward {
    const NAME: &'static str = "activation";

    fn forward<T: Real>(&self, x: View<'_, T>) -> Result<(Vec<T>, Shape)> {
        let mut y = unset(x.data.len());
        with_type!(self.0, T, act => {
            fill(&mut y, |from, y| forward(act, &x.data[from..from + y.len()], y));
        });
        Ok((y, x.dims.into()))
    }

    fn backward(&self, x: &Tensor, y: &Tensor, g: &Tensor) -> Result<Tensor> {
        self.0.gradient(x, y, g)
    }
}

/// A function of two numbers as a type.
pub(crate) trait Fn2<T>: Copy + Send + Sync {
    fn at<M: Math>(self, s: T, g: T) -> T;
}

/// `g · f'`, where f' is a function of the result (of the argument for SiLU).
#[derive(Clone, Copy)]
struct Slope<A>(A);
/// `g · d(f')/ds`, where s is what `Slope` takes f' from.
#[derive(Clone, Copy)]
struct Bend<A>(PhantomData<A>);

macro_rules! fn2 {
    ($kind:ident<$act:ty>, |$this:ident, $s:ident, $g:ident| $body:expr) => {
        impl<T: Real> Fn2<T> for $kind<$act> {
            #[inline(always)]
            fn at<M: Math>(self, $s: T, $g: T) -> T {
                let $this = self;
                let _ = $this;
                $body
            }
        }
    };
}
fn2!(Slope<Relu>, |_f, s, g| if s <= T::zero() { T::zero() } else { g });
fn2!(Slope<Leaky<T>>, |f, s, g| if s > T::zero() { g } else { g * f.0.0 });
fn2!(Slope<Tanh>, |_f, s, g| g * (T::one() - s * s));
fn2!(Slope<Sigmoid>, |_f, s, g| g * s * (T::one() - s));
fn2!(Slope<Silu>, |_f, s, g| Silu.pull::<M>(s, g));
fn2!(Bend<Tanh>, |_f, s, g| -(s + s) * g);
fn2!(Bend<Sigmoid>, |_f, s, g| (T::one() - s - s) * g);
fn2!(Bend<Silu>, |_f, s, g| {
    let y = s.sigmoid::<M>();
    let two = T::one() + T::one();
    g * y * (T::one() - y) * (two + s * (T::one() - y - y))
});

fn map2<T: Real>(a: View<'_, T>, b: View<'_, T>, f: impl Fn2<T>) -> Result<(Vec<T>, Shape)> {
    if a.dims != b.dims {
        bail!("activation: expected a gradient of shape {:?}, got {:?}", a.dims, b.dims);
    }
    let mut y = unset(a.data.len());
    fill(&mut y, |from, y| zip2(&a.data[from..from + y.len()], &b.data[from..from + y.len()], y, f));
    Ok((y, a.dims.into()))
}

impl Op2 for Slope<Activation> {
    const NAME: &'static str = "activation gradient";

    fn forward<T: Real>(&self, s: View<'_, T>, g: View<'_, T>) -> Result<(Vec<T>, Shape)> {
        match self.0 {
            Activation::Relu => map2(s, g, Slope(Relu)),
            Activation::LeakyRelu(slope) => map2(s, g, Slope(Leaky(T::from_f64(slope)))),
            Activation::Silu => map2(s, g, Slope(Silu)),
            Activation::Tanh => map2(s, g, Slope(Tanh)),
            Activation::Sigmoid => map2(s, g, Slope(Sigmoid)),
            Activation::None => Ok((g.data.to_vec(), g.dims.into())),
        }
    }

    fn backward(&self, s: &Tensor, g: &Tensor, _: &Tensor, u: &Tensor) -> Result<[Option<Tensor>; 2]> {
        let by_s = if s.track_op() { Some(apply2(s, &(g * u)?, Curve(self.0))?) } else { None };
        let by_g = if g.track_op() { Some(apply2(s, u, Slope(self.0))?) } else { None };
        Ok([by_s, by_g])
    }
}

/// `Bend` as an operator: the last derivative that is known.
struct Curve(Activation);

impl Op2 for Curve {
    const NAME: &'static str = "activation curvature";

    fn forward<T: Real>(&self, s: View<'_, T>, g: View<'_, T>) -> Result<(Vec<T>, Shape)> {
        match self.0 {
            Activation::Silu => map2(s, g, Bend::<Silu>(PhantomData)),
            Activation::Tanh => map2(s, g, Bend::<Tanh>(PhantomData)),
            Activation::Sigmoid => map2(s, g, Bend::<Sigmoid>(PhantomData)),
            _ => bail!("activation: {:?} has no curvature", self.0),
        }
    }

    fn backward(&self, _: &Tensor, _: &Tensor, _: &Tensor, _: &Tensor) -> Result<[Option<Tensor>; 2]> {
        bail!("third derivatives of {:?} are not known", self.0)
    }
}
