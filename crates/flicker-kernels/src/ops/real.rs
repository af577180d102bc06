//! The two element types of the fast paths, f32 and f64, and exponentials that the compiler can vectorise.

use crate::kernel::Math;
use crate::simd::Element;
use candle_core::{CpuStorage, Result, bail};

/// An element of a fast path.
///
/// The f32 exponentials are branch-free polynomials with an error of about two units in the last place; those of f64
/// are the standard library's.
pub(crate) trait Real: Element + std::ops::Neg<Output = Self> {
    /// Negative infinity.
    const LOWEST: Self;
    /// The elements of a storage of this type.
    fn slice_mut(storage: &mut CpuStorage) -> Result<&mut [Self]>;
    /// `e^x`; 0 below the smallest normal number, infinite from 2^127.5 on.
    fn exp<M: Math>(self) -> Self;
    /// `tanh(x)`.
    fn tanh<M: Math>(self) -> Self;
    /// `sqrt(x)`.
    fn sqrt(self) -> Self;
    /// The same number in f64.
    fn double(self) -> f64;
    /// `1 / (1 + e^-x)`.
    #[inline(always)]
    fn sigmoid<M: Math>(self) -> Self {
        Self::one() / (Self::one() + (-self).exp::<M>())
    }
}

impl Real for f32 {
    const LOWEST: Self = f32::NEG_INFINITY;

    fn slice_mut(storage: &mut CpuStorage) -> Result<&mut [Self]> {
        let CpuStorage::F32(v) = storage else { bail!("expected f32") };
        Ok(v)
    }

    #[inline(always)]
    fn exp<M: Math>(self) -> Self {
        // Beyond either end the scale is 0 or infinite by itself.
        let (scale, q) = expm1_parts::<M>(self.clamp(-88.0, 89.0));
        scale * (1.0 + q)
    }

    #[inline(always)]
    fn tanh<M: Math>(self) -> Self {
        // tanh(x) = e / (e + 2) with e = expm1(2|x|): no cancellation near 0, and 1 beyond 10.
        let (scale, q) = expm1_parts::<M>((2.0 * self.abs()).clamp(0.0, 20.0));
        let e = M::mul_add(scale, q, scale - 1.0);
        (e / (e + 2.0)).copysign(self)
    }

    #[inline(always)]
    fn sqrt(self) -> Self {
        f32::sqrt(self)
    }

    #[inline(always)]
    fn double(self) -> f64 {
        f64::from(self)
    }
}

/// `(2^n, expm1(r))` with `x = n ln 2 + r` and `|r| ≤ ln 2 / 2`, for x in [-88, 89]; NaN stays NaN. 2^-127 is 0 here, 2^128
/// infinite.
#[inline(always)]
fn expm1_parts<M: Math>(x: f32) -> (f32, f32) {
    // Adding 1.5 · 2^23 rounds to an integer, which then lies in the low bits of the sum.
    const ROUND: f32 = 12_582_912.0;
    // ln 2 in two parts; the first has so few bits that n times it is exact.
    const LN2_HIGH: f32 = 0.693_359_4;
    const LN2_LOW: f32 = -2.121_944_4e-4;
    let t = M::mul_add(x, std::f32::consts::LOG2_E, ROUND);
    let n = t - ROUND;
    let r = M::mul_add(-n, LN2_LOW, M::mul_add(-n, LN2_HIGH, x));
    // Taylor to r^7: the first term left out is below 6e-9 of the result.
    let p = M::mul_add(r, 1.0 / 5040.0, 1.0 / 720.0);
    let p = M::mul_add(r, M::mul_add(r, p, 1.0 / 120.0), 1.0 / 24.0);
    let p = M::mul_add(r, M::mul_add(r, p, 1.0 / 6.0), 0.5);
    let q = M::mul_add(r * r, p, r);
    let scale = f32::from_bits((t.to_bits() << 23).wrapping_add(127 << 23));
    (scale, q)
}

impl Real for f64 {
    const LOWEST: Self = f64::NEG_INFINITY;

    fn slice_mut(storage: &mut CpuStorage) -> Result<&mut [Self]> {
        let CpuStorage::F64(v) = storage else { bail!("expected f64") };
        Ok(v)
    }

    #[inline(always)]
    fn exp<M: Math>(self) -> Self {
        f64::exp(self)
    }

    #[inline(always)]
    fn tanh<M: Math>(self) -> Self {
        f64::tanh(self)
    }

    #[inline(always)]
    fn sqrt(self) -> Self {
        f64::sqrt(self)
    }

    #[inline(always)]
    fn double(self) -> f64 {
        self
    }
}

#[cfg(test)]
mod tests {
    use super::Real;
    use crate::kernel::{Fused, Math, Separate};

    /// Largest relative error over [low, high], in units of f32's epsilon.
    fn error(low: f64, high: f64, f: impl Fn(f32) -> f32, exact: impl Fn(f64) -> f64) -> f64 {
        let n = 200_000;
        let points = (0..=n).map(|i| (low + (high - low) * f64::from(i) / f64::from(n)) as f32);
        let relative = |x: f32| ((f64::from(f(x)) - exact(x.into())) / exact(x.into())).abs();
        points.filter(|x| *x != 0.0).map(relative).fold(0.0, f64::max) / f64::from(f32::EPSILON)
    }

    #[test]
    fn exponentials_are_close() {
        close::<Separate>();
        close::<Fused>();
    }

    fn close<M: Math>() {
        let exp = error(-87.0, 88.0, <f32 as Real>::exp::<M>, f64::exp);
        let tanh = error(-12.0, 12.0, <f32 as Real>::tanh::<M>, f64::tanh);
        let tanh_near_0 = error(-0.01, 0.01, <f32 as Real>::tanh::<M>, f64::tanh);
        let sigmoid = error(-80.0, 80.0, <f32 as Real>::sigmoid::<M>, |x| 1.0 / (1.0 + (-x).exp()));
        for (name, e) in [("exp", exp), ("tanh", tanh), ("tanh near 0", tanh_near_0), ("sigmoid", sigmoid)] {
            assert!(e < 2.5, "{name}: {e} epsilon");
        }
    }

    #[test]
    fn ends_of_the_line() {
        ends::<Separate>();
        ends::<Fused>();
    }

    fn ends<M: Math>() {
        let exp = |x: f32| Real::exp::<M>(x);
        assert_eq!(exp(0.0), 1.0);
        for far in [-89.0, -200.0, -1e30, f32::NEG_INFINITY] {
            assert_eq!((exp(far), exp(-far)), (0.0, f32::INFINITY), "{far}");
        }
        // Where 2^n has just become 0 or infinite, the other factor is neither.
        for step in 0..4000 {
            let x = 87.0 + step as f32 * 5e-4;
            assert!(exp(x) >= 6e37 && (0.0..2e-38).contains(&exp(-x)), "{x}");
        }
        assert!(exp(f32::NAN).is_nan() && Real::tanh::<M>(f32::NAN).is_nan());
        assert_eq!(Real::tanh::<M>(f32::INFINITY), 1.0);
        assert_eq!(Real::tanh::<M>(-0f32).to_bits(), (-0f32).to_bits());
        assert_eq!(f32::NEG_INFINITY.sigmoid::<M>(), 0.0);
        assert_eq!(f32::INFINITY.sigmoid::<M>(), 1.0);
    }
}
