//! Max and average pooling of (B, C, H, W). Windows lie wholly inside the padded image, so a rest at the lower and
//! right edge is left out, as in PyTorch with `ceil_mode=False`.

use super::adapter::{Op1, View, apply1, fast};
use super::real::Real;
use super::resize::{repeat_plane, sum_plane};
use crate::kernel::kernel;
use crate::threads::{Shared, for_elements, unset};
use candle_core::{Result, Shape, Tensor, bail};
use std::sync::{Arc, OnceLock};

/// A pooling window: (height, width) each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    /// Size of the window.
    pub kernel: (usize, usize),
    /// Distance of neighbouring windows.
    pub stride: (usize, usize),
    /// Rows and columns added on each side; at most half of the kernel.
    pub padding: (usize, usize),
}

impl Window {
    /// A square window.
    pub fn square(kernel: usize, stride: usize, padding: usize) -> Self {
        Self { kernel: (kernel, kernel), stride: (stride, stride), padding: (padding, padding) }
    }

    /// The size of the result for an image of this size.
    pub fn out(&self, (h, w): (usize, usize)) -> Result<(usize, usize)> {
        let Self { kernel, stride, padding } = *self;
        let one = |n: usize, k: usize, s: usize, p: usize| {
            (k > 0 && s > 0 && 2 * p <= k && n + 2 * p >= k).then(|| (n + 2 * p - k) / s + 1)
        };
        let sizes = (one(h, kernel.0, stride.0, padding.0), one(w, kernel.1, stride.1, padding.1));
        let (Some(oh), Some(ow)) = sizes else {
            bail!("pooling: {self:?} does not fit an image {h}×{w} (padding is at most half of the kernel)");
        };
        Ok((oh, ow))
    }
}

/// The largest value of each window; padding never wins. The gradient goes to the first largest in reading order.
pub fn max_pool2d(x: &Tensor, window: Window) -> Result<Tensor> {
    let (b, c, h, w) = x.dims4()?;
    let (oh, ow) = window.out((h, w))?;
    if fast(&[x]) {
        let geometry = Geometry { window, planes: b * c, b, c, h, w, oh, ow };
        return apply1(x, MaxPool { geometry, winners: Arc::new(OnceLock::new()) });
    }
    // candle's values are right where windows tile the image, its gradient is not: the maximum is composed.
    max_over_offsets(x, window, (oh, ow))
}

/// The mean of each window with the padding's zeros counted, as in PyTorch by default.
pub fn avg_pool2d(x: &Tensor, window: Window) -> Result<Tensor> {
    let (b, c, h, w) = x.dims4()?;
    let (oh, ow) = window.out((h, w))?;
    let geometry = Geometry { window, planes: b * c, b, c, h, w, oh, ow };
    if fast(&[x]) {
        return apply1(x, AvgPool(geometry));
    }
    let padded = pad(x, window)?;
    let mut sum: Option<Tensor> = None;
    for part in offsets(&padded, window, (oh, ow)) {
        let part = part?;
        sum = Some(if let Some(sum) = sum { (sum + part)? } else { part });
    }
    match sum {
        Some(sum) => sum / (window.kernel.0 * window.kernel.1) as f64,
        None => bail!("pooling: empty window"),
    }
}

fn pad(x: &Tensor, window: Window) -> Result<Tensor> {
    let (ph, pw) = window.padding;
    x.contiguous()?.pad_with_zeros(2, ph, ph)?.pad_with_zeros(3, pw, pw)
}

/// For each offset inside the window, the elements there of all windows: (B, C, oh, ow).
fn offsets(
    padded: &Tensor,
    window: Window,
    (oh, ow): (usize, usize),
) -> impl Iterator<Item = Result<Tensor>> {
    let Window { kernel, stride, .. } = window;
    let every = move |from: usize, stride: usize, n: usize| {
        let ids: Vec<u32> = (0..n).map(|i| (from + i * stride) as u32).collect();
        Tensor::from_vec(ids, n, padded.device())
    };
    (0..kernel.0 * kernel.1).map(move |i| {
        let (rows, columns) = (every(i / kernel.1, stride.0, oh)?, every(i % kernel.1, stride.1, ow)?);
        padded.index_select(&rows, 2)?.index_select(&columns, 3)
    })
}

fn max_over_offsets(x: &Tensor, window: Window, out: (usize, usize)) -> Result<Tensor> {
    // Zeros would win over negative values: the padding becomes the lowest number.
    let padded = pad(x, window)?;
    let inside = pad(&x.ones_like()?.detach(), window)?.gt(0f64)?;
    let lowest = (padded.ones_like()?.detach() * f64::NEG_INFINITY)?;
    let padded = inside.where_cond(&padded, &lowest)?;
    let mut best: Option<Tensor> = None;
    for part in offsets(&padded, window, out) {
        let part = part?;
        best = Some(match best {
            // A NaN is larger than all: it alone differs from itself.
            Some(best) => (part.gt(&best)? + part.ne(&part)?)?.where_cond(&part, &best)?,
            None => part,
        });
    }
    best.map_or_else(|| bail!("pooling: empty window"), Ok)
}

#[derive(Clone, Copy, Debug)]
struct Geometry {
    window: Window,
    planes: usize,
    b: usize,
    c: usize,
    h: usize,
    w: usize,
    oh: usize,
    ow: usize,
}

impl Geometry {
    fn large(&self) -> (usize, Shape) {
        (self.h * self.w, (self.b, self.c, self.h, self.w).into())
    }

    fn small(&self) -> (usize, Shape) {
        (self.oh * self.ow, (self.b, self.c, self.oh, self.ow).into())
    }

    /// The side of square windows that tile the image without a rest, if they do.
    fn tile(&self) -> Option<usize> {
        let Window { kernel: (k, l), stride, padding } = self.window;
        let tiles = k == l && stride == (k, k) && padding == (0, 0);
        (tiles && self.h.is_multiple_of(k) && self.w.is_multiple_of(k)).then_some(k)
    }

    /// Rows (columns with `axis` 1) of the image that window `o` covers.
    #[inline(always)]
    fn covered(&self, axis: usize, o: usize) -> std::ops::Range<usize> {
        let Window { kernel, stride, padding } = self.window;
        let (k, s, p, n) = match axis {
            0 => (kernel.0, stride.0, padding.0, self.h),
            _ => (kernel.1, stride.1, padding.1, self.w),
        };
        (o * s).saturating_sub(p)..(o * s + k - p).min(n)
    }

    /// Calls `f(plane of x, plane of y)` for each plane, in parallel; `y` has `len` elements a plane.
    fn each_plane<T: Copy + Send + Sync, U: Send>(
        &self,
        x: &[T],
        y: &mut [U],
        len: usize,
        f: impl Fn(&[T], &mut [U], usize) + Sync + Send,
    ) {
        let (x_len, work) = (x.len() / self.planes.max(1), x.len().max(y.len()));
        let y = Shared::new(y);
        for_elements(self.planes, work, |i| {
            // SAFETY: plane i belongs to this task alone.
            f(&x[i * x_len..(i + 1) * x_len], unsafe { y.part(i * len, len) }, i);
        });
    }
}

struct AvgPool(Geometry);
/// The transpose of `AvgPool`: each element of the small image is spread over its window.
struct AvgSpread(Geometry);

impl Op1 for AvgPool {
    const NAME: &'static str = "average pooling";

    fn forward<T: Real>(&self, x: View<'_, T>) -> Result<(Vec<T>, Shape)> {
        let g = self.0;
        let (len, shape) = g.small();
        let factor = T::from_f64(1.0 / (g.window.kernel.0 * g.window.kernel.1) as f64);
        let mut y = unset(g.planes * len);
        g.each_plane(x.data, &mut y, len, |x, y, _| {
            if let Some(k) = g.tile() {
                sum_plane(x, y, g.ow, k);
                return scale(y, factor);
            }
            for (o, y) in y.iter_mut().enumerate() {
                let (rows, columns) = (g.covered(0, o / g.ow), g.covered(1, o % g.ow));
                let mut sum = T::zero();
                for row in rows {
                    for v in &x[row * g.w..][columns.clone()] {
                        sum += *v;
                    }
                }
                *y = sum * factor;
            }
        });
        Ok((y, shape))
    }

    fn backward(&self, _: &Tensor, _: &Tensor, g: &Tensor) -> Result<Tensor> {
        apply1(g, AvgSpread(self.0))
    }
}

impl Op1 for AvgSpread {
    const NAME: &'static str = "average pooling gradient";

    fn forward<T: Real>(&self, x: View<'_, T>) -> Result<(Vec<T>, Shape)> {
        let g = self.0;
        let (len, shape) = g.large();
        let factor = T::from_f64(1.0 / (g.window.kernel.0 * g.window.kernel.1) as f64);
        let mut y = unset(g.planes * len);
        g.each_plane(x.data, &mut y, len, |x, y, _| {
            if let Some(k) = g.tile() {
                repeat_plane(x, y, g.ow, k);
                return scale(y, factor);
            }
            y.fill(T::zero());
            for (o, x) in x.iter().enumerate() {
                let (rows, columns) = (g.covered(0, o / g.ow), g.covered(1, o % g.ow));
                let v = *x * factor;
                for row in rows {
                    for y in &mut y[row * g.w..][columns.clone()] {
                        *y += v;
                    }
                }
            }
        });
        Ok((y, shape))
    }

    fn backward(&self, _: &Tensor, _: &Tensor, g: &Tensor) -> Result<Tensor> {
        apply1(g, AvgPool(self.0))
    }
}

struct MaxPool {
    geometry: Geometry,
    /// Where in its plane each maximum lies; set by the forward pass.
    winners: Arc<OnceLock<Vec<u32>>>,
}

impl Op1 for MaxPool {
    const NAME: &'static str = "max pooling";

    fn forward<T: Real>(&self, x: View<'_, T>) -> Result<(Vec<T>, Shape)> {
        let g = self.geometry;
        let (len, shape) = g.small();
        if u32::try_from(g.h * g.w).is_err() {
            bail!("max pooling: {}×{} is too large an image", g.h, g.w);
        }
        let (mut winners, mut y) = (unset(g.planes * len), unset(g.planes * len));
        let y_shared = Shared::new(&mut y);
        g.each_plane(x.data, &mut winners, len, |x, winners, i| {
            // SAFETY: plane i belongs to this task alone.
            let y = unsafe { y_shared.part(i * len, len) };
            if g.tile() == Some(2) {
                return max_of_four(x, y, winners, g.w);
            }
            for (o, (winner, y)) in winners.iter_mut().zip(y).enumerate() {
                *winner = first_largest(x, g.w, g.covered(0, o / g.ow), g.covered(1, o % g.ow)) as u32;
                *y = x[*winner as usize];
            }
        });
        let _ = self.winners.set(winners);
        Ok((y, shape))
    }

    fn backward(&self, _: &Tensor, _: &Tensor, g: &Tensor) -> Result<Tensor> {
        apply1(g, MaxScatter { geometry: self.geometry, winners: self.winners.clone() })
    }
}

kernel! {
    fn scale[T: Real](y: &mut [T], factor: T) {
        for y in y {
            *y *= factor;
        }
    }
}

kernel! {
    /// Windows of 2 × 2 that tile the plane: the first of the largest, in reading order; a NaN is larger than all.
    fn max_of_four[T: Real](x: &[T], y: &mut [T], winners: &mut [u32], w: usize) {
        let rows = y.chunks_exact_mut(w / 2).zip(winners.chunks_exact_mut(w / 2)).zip(x.chunks_exact(2 * w));
        for (r, ((y, winners), x)) in rows.enumerate() {
            let (upper, lower) = x.split_at(w);
            let pairs = upper.chunks_exact(2).zip(lower.chunks_exact(2));
            for (j, ((y, winner), (u, l))) in y.iter_mut().zip(winners).zip(pairs).enumerate() {
                let mut best = (u[0], 0);
                for (v, at) in [(u[1], 1), (l[0], w as u32), (l[1], w as u32 + 1)] {
                    #[allow(clippy::eq_op)] // true for NaN alone
                    let better = v > best.0 || v != v;
                    best = if better { (v, at) } else { best };
                }
                *y = best.0;
                *winner = (2 * r * w + 2 * j) as u32 + best.1;
            }
        }
    }
}

/// The first of the largest elements; a NaN is larger than all.
#[inline(always)]
fn first_largest<T: Real>(
    x: &[T],
    w: usize,
    rows: std::ops::Range<usize>,
    columns: std::ops::Range<usize>,
) -> usize {
    let mut best = (rows.start * w + columns.start, T::LOWEST);
    for row in rows {
        for column in columns.clone() {
            let v = x[row * w + column];
            #[allow(clippy::eq_op)] // true for NaN alone
            if v > best.1 || v != v {
                best = (row * w + column, v);
            }
        }
    }
    best.0
}

/// Each element of the small image goes to where its maximum was.
struct MaxScatter {
    geometry: Geometry,
    winners: Arc<OnceLock<Vec<u32>>>,
}

impl Op1 for MaxScatter {
    const NAME: &'static str = "max pooling gradient";

    fn forward<T: Real>(&self, x: View<'_, T>) -> Result<(Vec<T>, Shape)> {
        let g = self.geometry;
        let (len, shape) = g.large();
        let Some(winners) = self.winners.get() else { bail!("max pooling: backward before forward") };
        let mut y = unset(g.planes * len);
        g.each_plane(x.data, &mut y, len, |x, y, i| {
            y.fill(T::zero());
            for (x, winner) in x.iter().zip(&winners[i * x.len()..]) {
                y[*winner as usize] += *x;
            }
        });
        Ok((y, shape))
    }

    fn backward(&self, _: &Tensor, _: &Tensor, g: &Tensor) -> Result<Tensor> {
        apply1(g, MaxGather { geometry: self.geometry, winners: self.winners.clone() })
    }
}

/// The transpose of `MaxScatter`.
struct MaxGather {
    geometry: Geometry,
    winners: Arc<OnceLock<Vec<u32>>>,
}

impl Op1 for MaxGather {
    const NAME: &'static str = "max pooling second gradient";

    fn forward<T: Real>(&self, x: View<'_, T>) -> Result<(Vec<T>, Shape)> {
        let g = self.geometry;
        let (len, shape) = g.small();
        let Some(winners) = self.winners.get() else { bail!("max pooling: backward before forward") };
        let mut y = unset(g.planes * len);
        g.each_plane(x.data, &mut y, len, |x, y, i| {
            for (y, winner) in y.iter_mut().zip(&winners[i * len..]) {
                *y = x[*winner as usize];
            }
        });
        Ok((y, shape))
    }

    fn backward(&self, _: &Tensor, _: &Tensor, g: &Tensor) -> Result<Tensor> {
        apply1(g, MaxScatter { geometry: self.geometry, winners: self.winners.clone() })
    }
}
