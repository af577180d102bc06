//! Enlarging of (B, C, H, W): nearest by an integer factor, and bilinear. Both are linear maps, and the backward of
//! each is its transpose.

use super::adapter::{Op1, View, apply1, fast};
use super::real::Real;
use crate::kernel::kernel;
use crate::threads::{Shared, for_elements, unset};
use candle_core::{Device, Result, Shape, Tensor, bail};

/// Repeats every pixel `factor` × `factor` times.
pub fn upsample_nearest2d(x: &Tensor, factor: usize) -> Result<Tensor> {
    let (b, c, h, w) = x.dims4()?;
    if factor == 0 {
        bail!("upsampling: expected a factor of at least 1, got 0");
    }
    if fast(&[x]) {
        return apply1(x, Repeat(factor));
    }
    let wide = x.reshape((b, c, h, 1, w, 1))?.broadcast_as((b, c, h, factor, w, factor))?;
    wide.contiguous()?.reshape((b, c, h * factor, w * factor))
}

/// Bilinear interpolation to (height, width), pixels being areas: PyTorch's `align_corners=False`.
pub fn upsample_bilinear2d(x: &Tensor, height: usize, width: usize) -> Result<Tensor> {
    let (b, c, h, w) = x.dims4()?;
    if h * w * height * width == 0 {
        bail!("upsampling: expected sizes of at least 1, got {h}×{w} to {height}×{width}");
    }
    if fast(&[x]) {
        let op = Bilinear { rows: Axis::new(h, height), columns: Axis::new(w, width), transposed: false };
        return apply1(x, op);
    }
    // Both axes as products with their matrices of weights.
    let across = Axis::new(w, width).matrix(x)?;
    let down = Axis::new(h, height).matrix(x)?;
    let y = x.contiguous()?.reshape((b * c * h, w))?.matmul(&across)?.reshape((b * c, h, width))?;
    let y = y.transpose(1, 2)?.contiguous()?.reshape((b * c * width, h))?.matmul(&down)?;
    y.reshape((b * c, width, height))?.transpose(1, 2)?.contiguous()?.reshape((b, c, height, width))
}

struct Repeat(usize);
/// Sums of factor × factor pixels.
struct BlockSum(usize);

impl Op1 for Repeat {
    const NAME: &'static str = "nearest upsampling";

    fn forward<T: Real>(&self, x: View<'_, T>) -> Result<(Vec<T>, Shape)> {
        let (f, &[b, c, h, w]) = (self.0, x.dims) else { bail!("expected (B, C, H, W), got {:?}", x.dims) };
        let mut y = unset(x.data.len() * f * f);
        let len = y.len();
        let shared = Shared::new(&mut y);
        for_elements(b * c, len, |i| {
            // SAFETY: plane i belongs to this task alone.
            let y = unsafe { shared.part(i * h * w * f * f, h * w * f * f) };
            repeat_plane(&x.data[i * h * w..(i + 1) * h * w], y, w, f);
        });
        Ok((y, (b, c, h * f, w * f).into()))
    }

    fn backward(&self, _: &Tensor, _: &Tensor, g: &Tensor) -> Result<Tensor> {
        apply1(g, BlockSum(self.0))
    }
}

impl Op1 for BlockSum {
    const NAME: &'static str = "nearest upsampling gradient";

    fn forward<T: Real>(&self, x: View<'_, T>) -> Result<(Vec<T>, Shape)> {
        let (f, &[b, c, fh, fw]) = (self.0, x.dims) else { bail!("expected (B, C, H, W), got {:?}", x.dims) };
        let (h, w) = (fh / f, fw / f);
        let mut y = unset(b * c * h * w);
        let shared = Shared::new(&mut y);
        for_elements(b * c, x.data.len(), |i| {
            // SAFETY: plane i belongs to this task alone.
            let y = unsafe { shared.part(i * h * w, h * w) };
            sum_plane(&x.data[i * fh * fw..(i + 1) * fh * fw], y, w, f);
        });
        Ok((y, (b, c, h, w).into()))
    }

    fn backward(&self, _: &Tensor, _: &Tensor, g: &Tensor) -> Result<Tensor> {
        apply1(g, Repeat(self.0))
    }
}

kernel! {
    fn repeat_plane[T: Real](x: &[T], y: &mut [T], w: usize, f: usize) {
        for (x, y) in x.chunks_exact(w).zip(y.chunks_exact_mut(w * f * f)) {
            let (first, rest) = y.split_at_mut(w * f);
            if f == 2 {
                for (y, x) in first.chunks_exact_mut(2).zip(x) {
                    (y[0], y[1]) = (*x, *x);
                }
            } else {
                for (y, x) in first.chunks_exact_mut(f).zip(x) {
                    y.fill(*x);
                }
            }
            for row in rest.chunks_exact_mut(w * f) {
                row.copy_from_slice(first);
            }
        }
    }
}

kernel! {
    fn sum_plane[T: Real](x: &[T], y: &mut [T], w: usize, f: usize) {
        for (x, y) in x.chunks_exact(w * f * f).zip(y.chunks_exact_mut(w)) {
            if f == 2 {
                let (upper, lower) = x.split_at(2 * w);
                for ((y, u), l) in y.iter_mut().zip(upper.chunks_exact(2)).zip(lower.chunks_exact(2)) {
                    *y = (u[0] + u[1]) + (l[0] + l[1]);
                }
                continue;
            }
            y.fill(T::zero());
            for row in x.chunks_exact(w * f) {
                for (y, x) in y.iter_mut().zip(row.chunks_exact(f)) {
                    *y += x.iter().fold(T::zero(), |a, b| a + *b);
                }
            }
        }
    }
}

/// One axis of a bilinear map: for each pixel of the result, two source pixels and the weight of the second.
#[derive(Clone, Debug)]
struct Axis {
    from: usize,
    taps: Vec<(usize, usize, f64)>,
}

impl Axis {
    fn new(from: usize, to: usize) -> Self {
        let scale = from as f64 / to as f64;
        let tap = |i: usize| {
            let centre = ((i as f64 + 0.5) * scale - 0.5).max(0.0);
            let low = (centre as usize).min(from - 1);
            (low, (low + 1).min(from - 1), centre - low as f64)
        };
        Self { from, taps: (0..to).map(tap).collect() }
    }

    /// The map as a matrix (from, to) on the device and in the number type of `like`.
    fn matrix(&self, like: &Tensor) -> Result<Tensor> {
        let to = self.taps.len();
        let mut m = vec![0f64; self.from * to];
        for (i, (low, high, t)) in self.taps.iter().enumerate() {
            m[low * to + i] += 1.0 - t;
            m[high * to + i] += t;
        }
        // Converted before it moves: not every device has f64.
        Tensor::from_vec(m, (self.from, to), &Device::Cpu)?.to_dtype(like.dtype())?.to_device(like.device())
    }
}

#[derive(Clone, Debug)]
struct Bilinear {
    rows: Axis,
    columns: Axis,
    transposed: bool,
}

impl Op1 for Bilinear {
    const NAME: &'static str = "bilinear upsampling";

    fn forward<T: Real>(&self, x: View<'_, T>) -> Result<(Vec<T>, Shape)> {
        let &[b, c, _, _] = x.dims else { bail!("expected (B, C, H, W), got {:?}", x.dims) };
        let small = (self.rows.from, self.columns.from);
        let large = (self.rows.taps.len(), self.columns.taps.len());
        let ((h, w), (oh, ow)) = if self.transposed { (large, small) } else { (small, large) };
        let mut y = unset(b * c * oh * ow);
        let work = x.data.len().max(y.len());
        let shared = Shared::new(&mut y);
        for_elements(b * c, work, |i| {
            // SAFETY: plane i belongs to this task alone.
            let y = unsafe { shared.part(i * oh * ow, oh * ow) };
            let x = &x.data[i * h * w..(i + 1) * h * w];
            if self.transposed { self.scatter(x, y) } else { self.gather(x, y) }
        });
        Ok((y, (b, c, oh, ow).into()))
    }

    fn backward(&self, _: &Tensor, _: &Tensor, g: &Tensor) -> Result<Tensor> {
        apply1(g, Self { transposed: !self.transposed, ..self.clone() })
    }
}

impl Bilinear {
    fn gather<T: Real>(&self, x: &[T], y: &mut [T]) {
        let w = self.columns.from;
        for ((r0, r1, t), y) in self.rows.taps.iter().zip(y.chunks_exact_mut(self.columns.taps.len())) {
            let (upper, lower) = (&x[r0 * w..(r0 + 1) * w], &x[r1 * w..(r1 + 1) * w]);
            let (t0, t1) = (T::from_f64(1.0 - t), T::from_f64(*t));
            for ((c0, c1, s), y) in self.columns.taps.iter().zip(y) {
                let (s0, s1) = (T::from_f64(1.0 - s), T::from_f64(*s));
                *y = t0 * (s0 * upper[*c0] + s1 * upper[*c1]) + t1 * (s0 * lower[*c0] + s1 * lower[*c1]);
            }
        }
    }

    fn scatter<T: Real>(&self, x: &[T], y: &mut [T]) {
        let w = self.columns.from;
        y.fill(T::zero());
        for ((r0, r1, t), x) in self.rows.taps.iter().zip(x.chunks_exact(self.columns.taps.len())) {
            let (t0, t1) = (T::from_f64(1.0 - t), T::from_f64(*t));
            for ((c0, c1, s), x) in self.columns.taps.iter().zip(x) {
                let (s0, s1) = (T::from_f64(1.0 - s) * *x, T::from_f64(*s) * *x);
                y[r0 * w + c0] += t0 * s0;
                y[r0 * w + c1] += t0 * s1;
                y[r1 * w + c0] += t1 * s0;
                y[r1 * w + c1] += t1 * s1;
            }
        }
    }
}
