//! Loops of batch norm, x (b, c, hw): a task per channel (some neighbours where they are small), or per 64 columns where hw
//! is 1.

use super::super::activation::Act;
use super::super::real::Real;
use super::operator::Moments;
use super::sums::{FLUSH, Sums};
use crate::kernel::kernel;
use crate::threads::{Shared, for_elements, unset};

/// Columns that a task takes where hw is 1.
const WIDTH: usize = 64;

/// Elements of a sample that a task takes at least, where that many channels are few enough: lines of the planes of one
/// channel, a power of two apart, would drive each other out of the cache before they are read again.
const TOGETHER: usize = 256;

/// Most channels of a task where hw is more than 1.
const CHANNELS: usize = 16;

/// Channels that a task takes.
fn channels_of_a_task(hw: usize) -> usize {
    if hw == 1 { WIDTH } else { (TOGETHER / hw.max(1)).clamp(1, CHANNELS) }
}

/// The planes of channels `from..from + n` in (b, c, hw), sample by sample: number among them, and where it starts.
#[inline(always)]
fn planes([b, c, hw]: [usize; 3], from: usize, n: usize) -> impl Iterator<Item = (usize, usize)> {
    (0..b).flat_map(move |i| (0..n).map(move |k| (k, (i * c + from + k) * hw)))
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
        let width = channels_of_a_task(hw);
        for_elements(c.div_ceil(width), x.len(), |i| {
            let (from, n) = (i * width, width.min(c - i * width));
            // SAFETY: channels from.. belong to this task alone.
            let (mean, var) = unsafe { (mean.part(from, n), var.part(from, n)) };
            if hw == 1 {
                columns_forward(x, &y, gamma, beta, c, from, mean, var, eps, act);
            } else {
                channels_forward(x, &y, gamma, beta, dims, from, mean, var, eps, act);
            }
        });
    }
    (y, moments)
}

kernel! {
    fn channels_forward[T: Real, A: Act<T>](
        x: &[T], y: &Shared<'_, T>, gamma: &[T], beta: &[T], dims: [usize; 3], from: usize,
        mean_out: &mut [f64], var_out: &mut [f64], eps: f64, act: A,
    ) {
        let ([b, _, hw], width) = (dims, mean_out.len());
        let n = (b * hw) as f64;
        let (mut sums, mut mean, mut scale) = ([Sums::new(); CHANNELS], [T::zero(); CHANNELS], [T::zero(); CHANNELS]);
        for (k, at) in planes(dims, from, width) {
            sums[k].add(&x[at..at + hw], &x[at..at + hw], |x, _| (x, T::zero()));
        }
        for k in 0..width {
            mean_out[k] = sums[k].finish()[0] / n;
            (mean[k], sums[k]) = (T::from_f64(mean_out[k]), Sums::new());
        }
        for (k, at) in planes(dims, from, width) {
            let mean = mean[k];
            sums[k].add(&x[at..at + hw], &x[at..at + hw], |x, _| (x - mean, (x - mean) * (x - mean)));
        }
        for k in 0..width {
            // The first sum is what rounding the mean to T left out.
            let [left, square] = sums[k].finish();
            var_out[k] = (square / n - (left / n) * (left / n)).max(0.0);
            scale[k] = T::from_f64(gamma[from + k].to_f64() / (var_out[k] + eps).sqrt());
        }
        for (k, at) in planes(dims, from, width) {
            let (mean, scale, beta) = (mean[k], scale[k], beta[from + k]);
            // SAFETY: the planes of a channel belong to its task alone.
            let y = unsafe { y.part(at, hw) };
            for (y, x) in y.iter_mut().zip(&x[at..at + hw]) {
                *y = act.y::<M>((*x - mean) * scale + beta);
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
                y[j] = act.y::<M>((row[j] - mean[j]) * scale[j] + beta[j]);
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
        let width = channels_of_a_task(hw);
        for_elements(c.div_ceil(width), 2 * x.len(), |i| {
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
                channels_backward(x, g, &dx, dims, from, &constants[..n], dgamma, dbeta, act);
            }
        });
    }
    all
}

kernel! {
    fn channels_backward[T: Real, A: Act<T>](
        x: &[T], g: &[T], dx: &Shared<'_, T>, dims: [usize; 3], from: usize,
        constants: &[[T; 4]], dgamma: &mut [T], dbeta: &mut [T], act: A,
    ) {
        let ([b, _, hw], width) = (dims, constants.len());
        let n = (b * hw) as f64;
        let (mut sums, mut k0, mut k1) = ([Sums::new(); CHANNELS], [T::zero(); CHANNELS], [T::zero(); CHANNELS]);
        for (k, at) in planes(dims, from, width) {
            let [mean, scale, beta, _] = constants[k];
            sums[k].add(&x[at..at + hw], &g[at..at + hw], |x, g| {
                let g = act.pull::<M>((x - mean) * scale + beta, g);
                (g, g * (x - mean))
            });
        }
        for k in 0..width {
            let ([plain, times_x], inv) = (sums[k].finish(), constants[k][3].to_f64());
            (dbeta[k], dgamma[k]) = (T::from_f64(plain), T::from_f64(times_x * inv));
            k0[k] = T::from_f64(plain / n);
            k1[k] = T::from_f64(times_x * inv * inv / n);
        }
        for (k, at) in planes(dims, from, width) {
            let ([mean, scale, beta, _], k0, k1) = (constants[k], k0[k], k1[k]);
            // SAFETY: the planes of a channel belong to its task alone.
            let dx = unsafe { dx.part(at, hw) };
            for ((d, x), g) in dx.iter_mut().zip(&x[at..at + hw]).zip(&g[at..at + hw]) {
                *d = scale * (act.pull::<M>((*x - mean) * scale + beta, *g) - k0 - k1 * (*x - mean));
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
                let p = act.pull::<M>((x[j] - mean[j]) * scale[j] + beta[j], g[j]);
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
                let p = act.pull::<M>((x[j] - mean[j]) * scale[j] + beta[j], g[j]);
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
        for_elements(b, x.len(), |i| {
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
                *y = act.y::<M>(*x * *k + *s);
            }
            return;
        }
        for ((y, x), (k, s)) in y.chunks_exact_mut(hw).zip(x.chunks_exact(hw)).zip(scale.iter().zip(shift)) {
            for (y, x) in y.iter_mut().zip(x) {
                *y = act.y::<M>(*x * *k + *s);
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
        for_elements(b, x.len(), |i| {
            let (at, len) = (i * c * hw, c * hw);
            // SAFETY: sample i belongs to this task alone.
            let dx = unsafe { dx.part(at, len) };
            sample_fixed_backward(&x[at..at + len], &g[at..at + len], scale, shift, dx, hw, act);
        });
    }
    if sums {
        let (dscale, dshift) = vectors.split_at_mut(c);
        let (dscale, dshift) = (Shared::new(dscale), Shared::new(dshift));
        let width = channels_of_a_task(hw).min(CHANNELS);
        for_elements(c.div_ceil(width), x.len(), |i| {
            let (from, n) = (i * width, width.min(c - i * width));
            // SAFETY: channels from.. belong to this task alone.
            let (dscale, dshift) = unsafe { (dscale.part(from, n), dshift.part(from, n)) };
            channels_fixed_sums(x, g, scale, shift, [b, c, hw], from, dscale, dshift, act);
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
                *d = *k * act.pull::<M>(*x * *k + *s, *g);
            }
        }
    }
}

kernel! {
    fn channels_fixed_sums[T: Real, A: Act<T>](
        x: &[T], g: &[T], scale: &[T], shift: &[T], dims: [usize; 3], from: usize,
        dscale: &mut [T], dshift: &mut [T], act: A,
    ) {
        let (hw, mut sums) = (dims[2], [Sums::new(); CHANNELS]);
        for (k, at) in planes(dims, from, dscale.len()) {
            let (scale, shift) = (scale[from + k], shift[from + k]);
            sums[k].add(&x[at..at + hw], &g[at..at + hw], |x, g| {
                let g = act.pull::<M>(x * scale + shift, g);
                (g, g * x)
            });
        }
        for (k, sums) in sums[..dscale.len()].iter().enumerate() {
            let [p, q] = sums.finish();
            (dshift[k], dscale[k]) = (T::from_f64(p), T::from_f64(q));
        }
    }
}
