//! Softmax over the last dimension and scaled dot-product attention (Vaswani et al., 2017, equation 1).

use super::adapter::{Op1, Op2, View, apply1, apply2, fast};
use super::real::Real;
use crate::kernel::kernel;
use crate::threads::{Shared, for_elements, unset};
use candle_core::{D, Result, Shape, Tensor, bail};

/// `e^x / Σ e^x` over the last dimension.
pub fn softmax_last(x: &Tensor) -> Result<Tensor> {
    if x.rank() == 0 || x.elem_count() == 0 {
        bail!("softmax: expected at least one element in the last dimension, got {:?}", x.dims());
    }
    if fast(&[x]) {
        return apply1(x, Softmax);
    }
    // The maximum only shifts: it needs no gradient.
    let e = x.broadcast_sub(&x.detach().max_keepdim(D::Minus1)?)?.exp()?;
    e.broadcast_div(&e.sum_keepdim(D::Minus1)?)
}

/// `softmax(q kᵀ / sqrt(d)) v` for q (…, N, d), k (…, M, d) and v (…, M, e): (…, N, e).
pub fn attention(q: &Tensor, k: &Tensor, v: &Tensor) -> Result<Tensor> {
    let r = q.rank();
    let agree = r >= 2
        && k.rank() == r
        && v.rank() == r
        && q.dims()[..r - 2] == k.dims()[..r - 2]
        && k.dims()[..r - 1] == v.dims()[..r - 1]
        && q.dims()[r - 1] == k.dims()[r - 1];
    if !agree {
        let (q, k, v) = (q.dims(), k.dims(), v.dims());
        bail!("attention: expected q (…, N, d), k (…, M, d) and v (…, M, e), got {q:?}, {k:?} and {v:?}");
    }
    let scale = 1.0 / (q.dims()[r - 1] as f64).sqrt();
    // The scale goes to the smaller factor, before the product.
    let scores = (q * scale)?.contiguous()?.matmul(&k.transpose(r - 2, r - 1)?.contiguous()?)?;
    softmax_last(&scores)?.matmul(&v.contiguous()?)
}

struct Softmax;

impl Op1 for Softmax {
    const NAME: &'static str = "softmax";

    fn forward<T: Real>(&self, x: View<'_, T>) -> Result<(Vec<T>, Shape)> {
        let n = x.dims[x.dims.len() - 1];
        let mut y = unset(x.data.len());
        let shared = Shared::new(&mut y);
        for_elements(x.data.len() / n, 4 * x.data.len(), |i| {
            // SAFETY: row i belongs to this task alone.
            softmax_row(&x.data[i * n..(i + 1) * n], unsafe { shared.part(i * n, n) });
        });
        Ok((y, x.dims.into()))
    }

    fn backward(&self, _: &Tensor, y: &Tensor, g: &Tensor) -> Result<Tensor> {
        apply2(y, g, Gradient)
    }
}

/// `y · (g - Σ g y)`.
struct Gradient;

impl Op2 for Gradient {
    const NAME: &'static str = "softmax gradient";

    fn forward<T: Real>(&self, y: View<'_, T>, g: View<'_, T>) -> Result<(Vec<T>, Shape)> {
        let n = y.dims[y.dims.len() - 1];
        let mut dx = unset(y.data.len());
        let shared = Shared::new(&mut dx);
        for_elements(y.data.len() / n, 2 * y.data.len(), |i| {
            let at = i * n..(i + 1) * n;
            // SAFETY: row i belongs to this task alone.
            gradient_row(&y.data[at.clone()], &g.data[at], unsafe { shared.part(i * n, n) });
        });
        Ok((dx, y.dims.into()))
    }

    fn backward(&self, y: &Tensor, g: &Tensor, _: &Tensor, u: &Tensor) -> Result<[Option<Tensor>; 2]> {
        let by_g = if g.track_op() { Some(apply2(y, u, Gradient)?) } else { None };
        if !y.track_op() {
            return Ok([None, by_g]);
        }
        // d/dy of <u, y (g - <g, y>)> = u (g - <g, y>) - g <u, y>.
        let dot = |a: &Tensor| (a * y)?.sum_keepdim(D::Minus1);
        let by_y = ((u * g.broadcast_sub(&dot(g)?)?)? - g.broadcast_mul(&dot(u)?)?)?;
        Ok([Some(by_y), by_g])
    }
}

#[inline(always)]
fn tree<T: Real>(mut lanes: [T; 16], join: impl Fn(T, T) -> T) -> T {
    for width in [8, 4, 2, 1] {
        for j in 0..width {
            lanes[j] = join(lanes[j], lanes[j + width]);
        }
    }
    lanes[0]
}

/// Folds pairs of elements into 16 lanes, each lane in the order of the elements.
#[inline(always)]
fn lanes<T: Real>(x: &[T], y: &[T], start: T, f: impl Fn(T, T, T) -> T) -> [T; 16] {
    let y = &y[..x.len()];
    let mut lanes = [start; 16];
    let full = x.len() / 16 * 16;
    for (x, y) in x[..full].chunks_exact(16).zip(y[..full].chunks_exact(16)) {
        for j in 0..16 {
            lanes[j] = f(lanes[j], x[j], y[j]);
        }
    }
    for j in full..x.len() {
        lanes[j - full] = f(lanes[j - full], x[j], y[j]);
    }
    lanes
}

kernel! {
    fn softmax_row[T: Real](x: &[T], y: &mut [T]) {
        let larger = |a: T, b: T| if b > a { b } else { a };
        let largest = tree(lanes(x, x, T::LOWEST, |largest, x, _| larger(largest, x)), larger);
        for (y, x) in y.iter_mut().zip(x) {
            *y = (*x - largest).exp::<M>();
        }
        let factor = T::one() / tree(lanes(y, y, T::zero(), |sum, y, _| sum + y), |a, b| a + b);
        for y in y {
            *y *= factor;
        }
    }
}

kernel! {
    fn gradient_row[T: Real](y: &[T], g: &[T], dx: &mut [T]) {
        let dot = tree(lanes(y, g, T::zero(), |sum, y, g| sum + y * g), |a, b| a + b);
        for ((d, y), g) in dx.iter_mut().zip(y).zip(g) {
            *d = *y * (*g - dot);
        }
    }
}
