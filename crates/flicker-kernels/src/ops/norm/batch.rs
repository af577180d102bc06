//! Loops of batch norm, x (b, c, hw): a task per channel, or per 64 columns where hw is 1.

use super::super::activation::Act;
use super::super::parallel::{Shared, for_each, unset};
use super::super::real::Real;
use super::super::simd::kernel;
use super::operator::Moments;

/// Columns that a task takes where hw is 1.
const WIDTH: usize = 64;

/// Elements after which a sum in T goes over into one in f64.
const FLUSH: usize = 4096;

/// Sums of two quantities in 16 lanes each; the order is that of the shapes alone.
pub(super) struct Sums<T> {
    lanes: [[T; 16]; 2],
    pending: usize,
    total: [f64; 2],
}

impl<T: Real> Sums<T> {
    #[inline(always)]
    pub(super) fn new() -> Self {
        Self { lanes: [[T::zero(); 16]; 2], pending: 0, total: [0.0; 2] }
    }

    /// Adds `f(x, g)` of each pair of elements.
    #[inline(always)]
    pub(super) fn add(&mut self, x: &[T], g: &[T], f: impl Fn(T, T) -> (T, T)) {
        let g = &g[..x.len()];
        let [mut first, mut second] = self.lanes;
        let full = x.len() / 16 * 16;
        for (x, g) in x[..full].chunks_exact(16).zip(g[..full].chunks_exact(16)) {
            for j in 0..16 {
                let (p, q) = f(x[j], g[j]);
                first[j] += p;
                second[j] += q;
            }
        }
        for j in full..x.len() {
            let (p, q) = f(x[j], g[j]);
            first[j - full] += p;
            second[j - full] += q;
        }
        self.lanes = [first, second];
        self.pending += x.len();
        if self.pending >= FLUSH {
            self.flush();
        }
    }

    #[inline(always)]
    fn flush(&mut self) {
        for (total, lanes) in self.total.iter_mut().zip(&mut self.lanes) {
            // Halves are added to halves, so that the sum is a short tree.
            for width in [8, 4, 2, 1] {
                for j in 0..width {
                    let right = lanes[j + width];
                    lanes[j] += right;
                }
            }
            *total += lanes[0].to_f64();
            *lanes = [T::zero(); 16];
        }
        self.pending = 0;
    }

    #[inline(always)]
    pub(super) fn finish(mut self) -> [f64; 2] {
        self.flush();
        self.total
    }
}

/// The planes of channel `ch` in (b, c, hw): where each starts.
#[inline(always)]
fn planes([b, c, hw]: [usize; 3], ch: usize) -> impl Iterator<Item = usize> {
    (0..b).map(move |i| (i * c + ch) * hw)
}

pub(super) fn forward<T: Real, A: Act<T>>(
    x: &[T],
    gamma: &[T],
    beta: &[T],
    dims: [usize; 3],
    eps: f64,
    act: A,
) -> (Vec<T>, Moments) {
    let [_, c, hw] = dims;
    let mut y = unset(x.len());
    let mut moments = Moments { mean: vec![0.0; c], var: vec![0.0; c] };
    {
        let y = Shared::new(&mut y);
        let (mean, var) = (Shared::new(&mut moments.mean), Shared::new(&mut moments.var));
        let width = if hw == 1 { WIDTH } else { 1 };
        for_each(c.div_ceil(width), x.len(), |i| {
            let (from, n) = (i * width, width.min(c - i * width));
            // SAFETY: channels from.. belong to this task alone.
            let (mean, var) = unsafe { (mean.part(from, n), var.part(from, n)) };
            if hw == 1 {
                columns_forward(x, &y, gamma, beta, c, from, mean, var, eps, act);
            } else {
                channel_forward(x, &y, gamma[i], beta[i], dims, i, &mut mean[0], &mut var[0], eps, act);
            }
        });
    }
    (y, moments)
}

kernel! {
    fn channel_forward[T: Real, A: Act<T>](
        x: &[T], y: &Shared<'_, T>, gamma: T, beta: T, dims: [usize; 3], ch: usize,
        mean_out: &mut f64, var_out: &mut f64, eps: f64, act: A,
    ) {
        let [b, _, hw] = dims;
        let n = (b * hw) as f64;
        let mut sums = Sums::new();
        for at in planes(dims, ch) {
            sums.add(&x[at..at + hw], &x[at..at + hw], |x, _| (x, T::zero()));
        }
        *mean_out = sums.finish()[0] / n;
        let mean = T::from_f64(*mean_out);
        let mut sums = Sums::new();
        for at in planes(dims, ch) {
            sums.add(&x[at..at + hw], &x[at..at + hw], |x, _| (x - mean, (x - mean) * (x - mean)));
        }
        // The first sum is what rounding the mean to T left out.
        let [left, square] = sums.finish();
        *var_out = (square / n - (left / n) * (left / n)).max(0.0);
        let scale = T::from_f64(gamma.to_f64() / (*var_out + eps).sqrt());
        for at in planes(dims, ch) {
            // SAFETY: the planes of a channel belong to its task alone.
            let y = unsafe { y.part(at, hw) };
            for (y, x) in y.iter_mut().zip(&x[at..at + hw]) {
                *y = act.y((*x - mean) * scale + beta);
            }
        }
    }
}

kernel! {
    fn columns_forward[T: Real, A: Act<T>](
        x: &[T], y: &Shared<'_, T>, gamma: &[T], beta: &[T], c: usize, from: usize,
        mean_out: &mut [f64], var_out: &mut [f64], eps: f64, act: A,
    ) {
        let (n, width) = ((x.len() / c) as f64, mean_out.len());
        let (mut sum, mut mean, mut scale) = ([T::zero(); WIDTH], [T::zero(); WIDTH], [T::zero(); WIDTH]);
        let (sum, mean, scale) = (&mut sum[..width], &mut mean[..width], &mut scale[..width]);
        let (gamma, beta) = (&gamma[from..from + width], &beta[from..from + width]);
        for rows in x.chunks(FLUSH * c) {
            sum.fill(T::zero());
            for row in rows.chunks_exact(c) {
                for (s, x) in sum.iter_mut().zip(&row[from..]) {
                    *s += *x;
                }
            }
            for (m, s) in mean_out.iter_mut().zip(&*sum) {
                *m += s.to_f64() / n;
            }
        }
        for (m, out) in mean.iter_mut().zip(&*mean_out) {
            *m = T::from_f64(*out);
        }
        for rows in x.chunks(FLUSH * c) {
            sum.fill(T::zero());
            for row in rows.chunks_exact(c) {
                for ((s, x), m) in sum.iter_mut().zip(&row[from..]).zip(&*mean) {
                    *s += (*x - *m) * (*x - *m);
                }
            }
            for (v, s) in var_out.iter_mut().zip(&*sum) {
                *v += s.to_f64() / n;
            }
        }
        for ((s, g), var) in scale.iter_mut().zip(gamma).zip(&*var_out) {
            *s = T::from_f64(g.to_f64() / (*var + eps).sqrt());
        }
        for (r, row) in x.chunks_exact(c).enumerate() {
            // SAFETY: these columns belong to this task alone.
            let y = unsafe { y.part(r * c + from, width) };
            let row = &row[from..from + width];
            for j in 0..width {
                y[j] = act.y((row[j] - mean[j]) * scale[j] + beta[j]);
            }
        }
    }
}

#[allow(clippy::too_many_arguments)]
pub(super) fn backward<T: Real, A: Act<T>>(
    x: &[T],
    gamma: &[T],
    beta: &[T],
    g: &[T],
    dims: [usize; 3],
    moments: &Moments,
    eps: f64,
    act: A,
) -> Vec<T> {
    let [_, c, hw] = dims;
    let mut all = unset(x.len() + 2 * c);
    {
        let (dx, vectors) = all.split_at_mut(x.len());
        let (dgamma, dbeta) = vectors.split_at_mut(c);
        let (dx, dgamma, dbeta) = (Shared::new(dx), Shared::new(dgamma), Shared::new(dbeta));
        let width = if hw == 1 { WIDTH } else { 1 };
        for_each(c.div_ceil(width), 2 * x.len(), |i| {
            let (from, n) = (i * width, width.min(c - i * width));
            let mut constants = [[T::zero(); 4]; WIDTH];
            for (j, k) in constants[..n].iter_mut().enumerate() {
                let inv = moments.inv(from + j, eps);
                let scale = gamma[from + j].to_f64() * inv;
                *k = [
                    T::from_f64(moments.mean[from + j]),
                    T::from_f64(scale),
                    beta[from + j],
                    T::from_f64(inv),
                ];
            }
            // SAFETY: channels from.. belong to this task alone.
            let (dgamma, dbeta) = unsafe { (dgamma.part(from, n), dbeta.part(from, n)) };
            if hw == 1 {
                columns_backward(x, g, &dx, c, from, &constants[..n], dgamma, dbeta, act);
            } else {
                channel_backward(x, g, &dx, dims, i, constants[0], &mut dgamma[0], &mut dbeta[0], act);
            }
        });
    }
    all
}

kernel! {
    fn channel_backward[T: Real, A: Act<T>](
        x: &[T], g: &[T], dx: &Shared<'_, T>, dims: [usize; 3], ch: usize,
        constants: [T; 4], dgamma: &mut T, dbeta: &mut T, act: A,
    ) {
        let [b, _, hw] = dims;
        let [mean, scale, beta, inv] = constants;
        let n = (b * hw) as f64;
        let pull = |x: T, g: T| act.pull((x - mean) * scale + beta, g);
        let mut sums = Sums::new();
        for at in planes(dims, ch) {
            sums.add(&x[at..at + hw], &g[at..at + hw], |x, g| {
                let g = pull(x, g);
                (g, g * (x - mean))
            });
        }
        let [plain, times_x] = sums.finish();
        (*dbeta, *dgamma) = (T::from_f64(plain), T::from_f64(times_x * inv.to_f64()));
        let k0 = T::from_f64(plain / n);
        let k1 = T::from_f64(times_x * inv.to_f64() * inv.to_f64() / n);
        for at in planes(dims, ch) {
            // SAFETY: the planes of a channel belong to its task alone.
            let dx = unsafe { dx.part(at, hw) };
            for ((d, x), g) in dx.iter_mut().zip(&x[at..at + hw]).zip(&g[at..at + hw]) {
                *d = scale * (pull(*x, *g) - k0 - k1 * (*x - mean));
            }
        }
    }
}

kernel! {
    fn columns_backward[T: Real, A: Act<T>](
        x: &[T], g: &[T], dx: &Shared<'_, T>, c: usize, from: usize,
        constants: &[[T; 4]], dgamma: &mut [T], dbeta: &mut [T], act: A,
    ) {
        let (n, width) = (x.len() / c, constants.len());
        let mut k = [[T::zero(); WIDTH]; 4];
        for (j, constants) in constants.iter().enumerate() {
            for i in 0..4 {
                k[i][j] = constants[i];
            }
        }
        let [mean, scale, beta, inv] = [&k[0][..width], &k[1][..width], &k[2][..width], &k[3][..width]];
        let (mut k0, mut k1) = ([T::zero(); WIDTH], [T::zero(); WIDTH]);
        let (k0, k1) = (&mut k0[..width], &mut k1[..width]);
        for r in 0..n {
            let (x, g) = (&x[r * c + from..][..width], &g[r * c + from..][..width]);
            for j in 0..width {
                let p = act.pull((x[j] - mean[j]) * scale[j] + beta[j], g[j]);
                k0[j] += p;
                k1[j] += p * (x[j] - mean[j]);
            }
        }
        let divisor = T::from_f64(1.0 / n as f64);
        for j in 0..width {
            (dbeta[j], dgamma[j]) = (k0[j], k1[j] * inv[j]);
            (k0[j], k1[j]) = (k0[j] * divisor, k1[j] * inv[j] * inv[j] * divisor);
        }
        for r in 0..n {
            let (x, g) = (&x[r * c + from..][..width], &g[r * c + from..][..width]);
            // SAFETY: these columns belong to this task alone.
            let dx = unsafe { dx.part(r * c + from, width) };
            for j in 0..width {
                let p = act.pull((x[j] - mean[j]) * scale[j] + beta[j], g[j]);
                dx[j] = scale[j] * (p - k0[j] - k1[j] * (x[j] - mean[j]));
            }
        }
    }
}

/// `act(x · scale + shift)`, with no statistics.
pub(super) fn forward_fixed<T: Real, A: Act<T>>(
    x: &[T],
    scale: &[T],
    shift: &[T],
    [b, c, hw]: [usize; 3],
    act: A,
) -> (Vec<T>, Moments) {
    let mut y = unset(x.len());
    {
        let y = Shared::new(&mut y);
        for_each(b, x.len(), |i| {
            let at = i * c * hw;
            // SAFETY: sample i belongs to this task alone.
            sample_fixed(&x[at..at + c * hw], scale, shift, unsafe { y.part(at, c * hw) }, hw, act);
        });
    }
    (y, Moments::default())
}

kernel! {
    fn sample_fixed[T: Real, A: Act<T>](x: &[T], scale: &[T], shift: &[T], y: &mut [T], hw: usize, act: A) {
        if hw == 1 {
            for (((y, x), k), s) in y.iter_mut().zip(x).zip(scale).zip(shift) {
                *y = act.y(*x * *k + *s);
            }
            return;
        }
        for ((y, x), (k, s)) in y.chunks_exact_mut(hw).zip(x.chunks_exact(hw)).zip(scale.iter().zip(shift)) {
            for (y, x) in y.iter_mut().zip(x) {
                *y = act.y(*x * *k + *s);
            }
        }
    }
}

pub(super) fn backward_fixed<T: Real, A: Act<T>>(
    x: &[T],
    scale: &[T],
    shift: &[T],
    g: &[T],
    [b, c, hw]: [usize; 3],
    sums: bool,
    act: A,
) -> Vec<T> {
    let mut all = unset(x.len() + 2 * c);
    let (dx, vectors) = all.split_at_mut(x.len());
    vectors.fill(T::zero());
    {
        let dx = Shared::new(dx);
        for_each(b, x.len(), |i| {
            let (at, len) = (i * c * hw, c * hw);
            // SAFETY: sample i belongs to this task alone.
            let dx = unsafe { dx.part(at, len) };
            sample_fixed_backward(&x[at..at + len], &g[at..at + len], scale, shift, dx, hw, act);
        });
    }
    if sums {
        let (dscale, dshift) = vectors.split_at_mut(c);
        let (dscale, dshift) = (Shared::new(dscale), Shared::new(dshift));
        for_each(c, x.len(), |ch| {
            let [p, q] = channel_fixed_sums(x, g, scale[ch], shift[ch], [b, c, hw], ch, act);
            // SAFETY: element ch belongs to this task alone.
            unsafe { (dshift.part(ch, 1)[0], dscale.part(ch, 1)[0]) = (T::from_f64(p), T::from_f64(q)) };
        });
    }
    all
}

kernel! {
    fn sample_fixed_backward[T: Real, A: Act<T>](
        x: &[T], g: &[T], scale: &[T], shift: &[T], dx: &mut [T], hw: usize, act: A,
    ) {
        for (i, (k, s)) in scale.iter().zip(shift).enumerate() {
            let (x, g) = (&x[i * hw..(i + 1) * hw], &g[i * hw..(i + 1) * hw]);
            for ((d, x), g) in dx[i * hw..(i + 1) * hw].iter_mut().zip(x).zip(g) {
                *d = *k * act.pull(*x * *k + *s, *g);
            }
        }
    }
}

kernel! {
    fn channel_fixed_sums[T: Real, A: Act<T>](
        x: &[T], g: &[T], scale: T, shift: T, dims: [usize; 3], ch: usize, act: A,
    ) -> [f64; 2] {
        let hw = dims[2];
        let mut sums = Sums::new();
        for at in planes(dims, ch) {
            sums.add(&x[at..at + hw], &g[at..at + hw], |x, g| {
                let g = act.pull(x * scale + shift, g);
                (g, g * x)
            });
        }
        sums.finish()
    }
}
