//! Linear maps: `y = act(x wᵀ + b)`, and the bias of a convolution. Their gradients are products, sums and activation
//! gradients, each an operator with a backward of its own, so derivatives of every order are right.

use super::activation::{Activation, activate, forward_in_place, with_type};
use super::adapter::{Op1, Op2, Op3, View, apply1, apply2, apply3, fast};
use super::real::Real;
use crate::kernel::kernel;
use crate::matmul::{self, Matrix};
use crate::simd::Isa;
use crate::threads::{Shared, for_elements, unset};
use candle_core::{Result, Shape, Tensor, bail};
use std::ops::Range;

/// `act(x wᵀ + b)` for x (…, K), w (N, K) and b (N): (…, N).
///
/// ```
/// use candle_core::{Device, Tensor};
/// use flicker_kernels::{Activation, linear};
/// let cpu = Device::Cpu;
/// let (x, w, b) = (Tensor::new(&[[1f32, 2.0]], &cpu)?, Tensor::new(&[[3f32, -4.0]], &cpu)?, Tensor::new(&[1f32], &cpu)?);
/// assert_eq!(linear(&x, &w, Some(&b), Activation::Relu)?.to_vec2::<f32>()?, [[0.0]]);
/// # Ok::<(), candle_core::Error>(())
/// ```
pub fn linear(x: &Tensor, w: &Tensor, b: Option<&Tensor>, activation: Activation) -> Result<Tensor> {
    activation.check()?;
    let (n, k) = w.dims2()?;
    if x.rank() == 0 || x.dims()[x.rank() - 1] != k {
        bail!("linear: expected x (…, {k}) for weights ({n}, {k}), got {:?}", x.dims());
    }
    if let Some(b) = b.filter(|b| b.dims() != [n]) {
        bail!("linear: expected a bias ({n}) for weights ({n}, {k}), got {:?}", b.dims());
    }
    let mut dims = x.dims().to_vec();
    dims[x.rank() - 1] = n;
    let x = if x.rank() == 2 { x.clone() } else { x.reshape(((), k))? };
    let y = linear2(&x, w, b, activation)?;
    if dims.len() == 2 { Ok(y) } else { y.reshape(dims) }
}

fn linear2(x: &Tensor, w: &Tensor, b: Option<&Tensor>, activation: Activation) -> Result<Tensor> {
    if !fast(&[&[x, w], b.as_slice()].concat()) {
        let y = x.matmul(&w.t()?)?;
        let y = if let Some(b) = b { y.broadcast_add(b)? } else { y };
        return activate(&y, activation);
    }
    let Some(b) = b else { return activate(&matmul(x, w, false, true)?, activation) };
    if activation.by_result() {
        apply3(x, w, b, Linear(activation))
    } else {
        activate(&apply3(x, w, b, Linear(Activation::None))?, activation)
    }
}

/// `aᵀ b` of a (N, K) and b (N, L): (K, L), without a transposed copy.
///
/// ```
/// use candle_core::{Device, Tensor};
/// let x = Tensor::new(&[[1f32, 2.0], [3.0, 4.0]], &Device::Cpu)?;
/// assert_eq!(flicker_kernels::transposed_product(&x, &x)?.to_vec2::<f32>()?, [[10.0, 14.0], [14.0, 20.0]]);
/// # Ok::<(), candle_core::Error>(())
/// ```
///
/// # Errors
/// When the arguments are no matrices of the same number of rows.
pub fn transposed_product(a: &Tensor, b: &Tensor) -> Result<Tensor> {
    if fast(&[a, b]) { matmul(a, b, true, false) } else { a.t()?.matmul(b) }
}

/// `act(x + b)` for x (B, C, …), with one number for each channel, b (C), or for each channel of each sample, b (B, C): a
/// layer's bias, or the time in a diffusion network.
///
/// # Errors
/// When b has another shape, or the activation's slope is negative.
pub fn bias_add(x: &Tensor, b: &Tensor, activation: Activation) -> Result<Tensor> {
    activation.check()?;
    if x.rank() < 2 || (b.dims() != &x.dims()[1..2] && b.dims() != &x.dims()[..2]) {
        bail!("bias: expected x (B, C, …) and a bias (C) or (B, C), got {:?} and {:?}", x.dims(), b.dims());
    }
    if !fast(&[x, b]) {
        let mut dims = vec![1; x.rank()];
        dims[2 - b.rank()..2].copy_from_slice(b.dims());
        return activate(&x.broadcast_add(&b.reshape(dims)?)?, activation);
    }
    if activation.by_result() {
        apply2(x, b, Bias(activation))
    } else {
        activate(&apply2(x, b, Bias(Activation::None))?, activation)
    }
}

/// (C) as (1, C, 1, …), to broadcast against (B, C, …).
pub(crate) fn along_channels(t: &Tensor, rank: usize) -> Result<Tensor> {
    let mut dims = vec![1; rank];
    dims[1] = t.elem_count();
    t.reshape(dims)
}

/// The product of matrices, either transposed first.
pub(crate) fn matmul(a: &Tensor, b: &Tensor, a_t: bool, b_t: bool) -> Result<Tensor> {
    apply2(a, b, MatMul { a_t, b_t })
}

struct Linear(Activation);

impl Op3 for Linear {
    const NAME: &'static str = "linear";

    fn forward<T: Real>(&self, [x, w, b]: [View<'_, T>; 3]) -> Result<(Vec<T>, Shape)> {
        with_type!(self.0, T, act => product(x, w, MatMul { a_t: false, b_t: true }, &|part, columns| {
            add_row(part, &b.data[columns]);
            forward_in_place(act, part);
        }))
    }

    fn backward(&self, [x, w, b]: [&Tensor; 3], y: &Tensor, g: &Tensor) -> Result<[Option<Tensor>; 3]> {
        let g = &self.0.gradient(y, y, g)?;
        let [dx, dw] = MatMul { a_t: false, b_t: true }.backward(x, w, y, g)?;
        let db = if b.track_op() { Some(apply1(g, ChannelSum)?) } else { None };
        Ok([dx, dw, db])
    }
}

#[derive(Clone, Copy)]
struct MatMul {
    a_t: bool,
    b_t: bool,
}

impl Op2 for MatMul {
    const NAME: &'static str = "matmul";

    fn forward<T: Real>(&self, a: View<'_, T>, b: View<'_, T>) -> Result<(Vec<T>, Shape)> {
        product(a, b, *self, &|_, _| ())
    }

    fn backward(&self, a: &Tensor, b: &Tensor, _: &Tensor, g: &Tensor) -> Result<[Option<Tensor>; 2]> {
        // C = A B: dA = G Bᵀ and dB = Aᵀ G; a transposed argument gets the transposed gradient.
        let by_a = match (a.track_op(), self.a_t) {
            (false, _) => None,
            (true, false) => Some(matmul(g, b, false, !self.b_t)?),
            (true, true) => Some(matmul(b, g, self.b_t, true)?),
        };
        let by_b = match (b.track_op(), self.b_t) {
            (false, _) => None,
            (true, false) => Some(matmul(a, g, !self.a_t, false)?),
            (true, true) => Some(matmul(g, a, true, self.a_t)?),
        };
        Ok([by_a, by_b])
    }
}

/// The product of two matrices, either transposed first, each part of a row passed to `finish` with its columns.
fn product<T: Real>(
    a: View<'_, T>,
    b: View<'_, T>,
    MatMul { a_t, b_t }: MatMul,
    finish: &(dyn Fn(&mut [T], Range<usize>) + Sync),
) -> Result<(Vec<T>, Shape)> {
    let (&[a0, a1], &[b0, b1]) = (a.dims, b.dims) else {
        bail!("matmul: expected two matrices, got {:?} and {:?}", a.dims, b.dims);
    };
    let (m, k) = if a_t { (a1, a0) } else { (a0, a1) };
    let (k2, n) = if b_t { (b1, b0) } else { (b0, b1) };
    if k != k2 {
        bail!("matmul: expected inner dimensions to agree, got {:?} and {:?}", a.dims, b.dims);
    }
    let a = Matrix { data: a.data, strides: if a_t { (1, a1) } else { (a1, 1) } };
    let b = Matrix { data: b.data, strides: if b_t { (1, b1) } else { (b1, 1) } };
    let mut c = unset(m * n);
    matmul::matmul(Isa::best(), (m, k, n), a, b, &mut c, finish);
    Ok((c, (m, n).into()))
}

kernel! {
    /// Adds `row` to each row of `y`.
    fn add_row[T: Real](y: &mut [T], row: &[T]) {
        for y in y.chunks_exact_mut(row.len()) {
            for (y, r) in y.iter_mut().zip(row) {
                *y += *r;
            }
        }
    }
}

/// Calls `run` for parts of a matrix with `n` columns, each of whole rows and about the size of a cache.
fn by_rows<T: Real>(y: &mut [T], n: usize, run: impl Fn(&mut [T]) + Sync + Send) {
    if y.is_empty() {
        return;
    }
    let (rows, len) = ((8192 / n).max(1), y.len());
    let parts = len.div_ceil(rows * n);
    let shared = Shared::new(y);
    for_elements(parts, len, |i| {
        let from = i * rows * n;
        // SAFETY: part i is rows i·rows.. and no other task has them.
        run(unsafe { shared.part(from, (rows * n).min(len - from)) });
    });
}

kernel! {
    fn plus_then[T: Real, A: super::activation::Act<T>](act: A, x: &[T], b: T, y: &mut [T]) {
        for (y, x) in y.iter_mut().zip(x) {
            *y = act.y::<M>(*x + b);
        }
    }
}

kernel! {
    /// `y = act(y + b)`.
    fn add_then[T: Real, A: super::activation::Act<T>](act: A, b: T, y: &mut [T]) {
        for y in y.iter_mut() {
            *y = act.y::<M>(*y + b);
        }
    }
}

struct Bias(Activation);

impl Op2 for Bias {
    const NAME: &'static str = "bias";

    fn forward<T: Real>(&self, x: View<'_, T>, b: View<'_, T>) -> Result<(Vec<T>, Shape)> {
        // With one number for each plane it is as if there were one sample, with all channels.
        let (c, hw) = (b.data.len(), x.dims[2..].iter().product::<usize>());
        let mut y = unset(x.data.len());
        if hw == 1 {
            y.copy_from_slice(x.data);
            with_type!(self.0, T, act => by_rows(&mut y, c, |rows| {
                add_row(rows, b.data);
                forward_in_place(act, rows);
            }));
        } else {
            let shared = Shared::new(&mut y);
            with_type!(self.0, T, act => for_elements(x.dims[0] * x.dims[1], x.data.len(), |i| {
                // SAFETY: plane i belongs to this task alone.
                let y = unsafe { shared.part(i * hw, hw) };
                plus_then(act, &x.data[i * hw..(i + 1) * hw], b.data[i % c], y);
            }));
        }
        Ok((y, x.dims.into()))
    }

    fn backward(&self, x: &Tensor, b: &Tensor, y: &Tensor, g: &Tensor) -> Result<[Option<Tensor>; 2]> {
        let g = self.0.gradient(y, y, g)?;
        let sums = || match b.rank() {
            1 => apply1(&g, ChannelSum),
            _ => apply1(&g.reshape((1, b.elem_count(), ()))?, ChannelSum)?.reshape(b.shape()),
        };
        let db = b.track_op().then(sums).transpose()?;
        Ok([x.track_op().then_some(g), db])
    }
}

/// (B, C, …) → (C): the sum over all but the second dimension.
pub(crate) struct ChannelSum;

impl Op1 for ChannelSum {
    const NAME: &'static str = "channel sum";

    fn forward<T: Real>(&self, x: View<'_, T>) -> Result<(Vec<T>, Shape)> {
        let (b, c, hw) = (x.dims[0], x.dims[1], x.dims[2..].iter().product::<usize>());
        let mut sums = vec![T::zero(); c];
        if hw == 1 {
            column_sums(x.data, &mut sums);
        } else {
            // Small neighbouring channels together: the lines of one channel alone lie a power of two apart.
            let width = (256 / hw.max(1)).clamp(1, 16);
            let shared = Shared::new(&mut sums);
            for_elements(c.div_ceil(width), x.data.len(), |i| {
                let (from, n) = (i * width, width.min(c - i * width));
                let mut totals = [0.0; 16];
                for sample in 0..b {
                    for (k, total) in totals[..n].iter_mut().enumerate() {
                        *total += lane_sum(&x.data[(sample * c + from + k) * hw..][..hw]).to_f64();
                    }
                }
                // SAFETY: channels from.. belong to this task alone.
                let own = unsafe { shared.part(from, n) };
                own.iter_mut().zip(totals).for_each(|(sum, total)| *sum = T::from_f64(total));
            });
        }
        Ok((sums, c.into()))
    }

    fn backward(&self, x: &Tensor, _: &Tensor, u: &Tensor) -> Result<Tensor> {
        along_channels(u, x.rank())?.broadcast_as(x.shape())?.contiguous()
    }
}

kernel! {
    fn lane_sum[T: Real](x: &[T]) -> T {
        let mut lanes = [T::zero(); 16];
        let chunks = x.chunks_exact(16);
        for (l, v) in lanes.iter_mut().zip(chunks.remainder()) {
            *l += *v;
        }
        for chunk in chunks {
            for (l, v) in lanes.iter_mut().zip(chunk) {
                *l += *v;
            }
        }
        lanes.iter().fold(T::zero(), |a, b| a + *b)
    }
}

/// Sums of the columns of a row-major matrix, in partial sums of 64 rows.
pub(crate) fn column_sums<T: Real>(x: &[T], sums: &mut [T]) {
    let n = sums.len();
    let mut partial = vec![T::zero(); n];
    for rows in x.chunks(64 * n.max(1)) {
        partial.fill(T::zero());
        add_rows(rows, &mut partial);
        add_row(sums, &partial);
    }
}

kernel! {
    fn add_rows[T: Real](rows: &[T], sums: &mut [T]) {
        for row in rows.chunks_exact(sums.len()) {
            for (s, v) in sums.iter_mut().zip(row) {
                *s += *v;
            }
        }
    }
}
