//! Loops of group and layer norm, x (b, groups, channels, hw): a task per block. Layer norm is one group of channels
//! of one element each.

use super::super::activation::Act;
use super::super::linear::column_sums;
use super::super::real::Real;
use super::operator::Moments;
use super::sums::Sums;
use crate::kernel::kernel;
use crate::threads::{Shared, for_elements, unset};

pub(super) fn forward<T: Real, A: Act<T>>(
    x: &[T],
    gamma: &[T],
    beta: &[T],
    [b, groups, channels, hw]: [usize; 4],
    eps: f64,
    act: A,
) -> (Vec<T>, Moments) {
    let (rows, m) = (b * groups, channels * hw);
    let mut y = unset(x.len());
    let mut moments = Moments { mean: vec![0.0; rows], var: vec![0.0; rows] };
    {
        let y = Shared::new(&mut y);
        let (mean, var) = (Shared::new(&mut moments.mean), Shared::new(&mut moments.var));
        for_elements(rows, x.len(), |r| {
            let (x, ch) = (&x[r * m..(r + 1) * m], r % groups * channels);
            let (gamma, beta) = (&gamma[ch..ch + channels], &beta[ch..ch + channels]);
            // SAFETY: block r belongs to this task alone.
            let (y, mean, var) = unsafe { (y.part(r * m, m), mean.part(r, 1), var.part(r, 1)) };
            (mean[0], var[0]) = row_moments(x);
            let inv = 1.0 / (var[0] + eps).sqrt();
            row_forward(x, y, gamma, beta, hw, T::from_f64(mean[0]), T::from_f64(inv), act);
        });
    }
    (y, moments)
}

kernel! {
    fn row_moments[T: Real](x: &[T]) -> (f64, f64) {
        let n = x.len() as f64;
        let mut sums = Sums::new();
        for x in x.chunks(1024) {
            sums.add(x, x, |x, _| (x, T::zero()));
        }
        let mean_out = sums.finish()[0] / n;
        let mean = T::from_f64(mean_out);
        let mut sums = Sums::new();
        for x in x.chunks(1024) {
            sums.add(x, x, |x, _| (x - mean, (x - mean) * (x - mean)));
        }
        // The first sum is what rounding the mean to T left out.
        let [left, square] = sums.finish();
        (mean_out, (square / n - (left / n) * (left / n)).max(0.0))
    }
}

kernel! {
    fn row_forward[T: Real, A: Act<T>](
        x: &[T], y: &mut [T], gamma: &[T], beta: &[T], hw: usize, mean: T, inv: T, act: A,
    ) {
        if hw == 1 {
            for (((y, x), k), s) in y.iter_mut().zip(x).zip(gamma).zip(beta) {
                *y = act.y::<M>((*x - mean) * inv * *k + *s);
            }
            return;
        }
        for ((y, x), (k, s)) in y.chunks_exact_mut(hw).zip(x.chunks_exact(hw)).zip(gamma.iter().zip(beta)) {
            let k = inv * *k;
            for (y, x) in y.iter_mut().zip(x) {
                *y = act.y::<M>((*x - mean) * k + *s);
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
    dims: [usize; 4],
    moments: &Moments,
    eps: f64,
    act: A,
) -> Vec<T> {
    let [b, groups, channels, hw] = dims;
    let c = groups * channels;
    let mut all = unset(x.len() + 2 * c);
    let (dx, vectors) = all.split_at_mut(x.len());
    let (dgamma, dbeta) = vectors.split_at_mut(c);
    // Sums over hw, one for each sample and channel; where hw is 1 they would be as large as x.
    let n_partial = if hw == 1 { 0 } else { b * c };
    let (mut by_gamma, mut by_beta) = (unset(n_partial), unset(n_partial));
    rows_backward(x, gamma, beta, g, dims, moments, eps, dx, &mut by_gamma, &mut by_beta, act);
    if hw == 1 {
        affine_of_elements(x, gamma, beta, g, dims, moments, eps, dgamma, dbeta, act);
    } else {
        dgamma.fill(T::zero());
        dbeta.fill(T::zero());
        column_sums(&by_gamma, dgamma);
        column_sums(&by_beta, dbeta);
    }
    all
}

#[allow(clippy::too_many_arguments)]
fn rows_backward<T: Real, A: Act<T>>(
    x: &[T],
    gamma: &[T],
    beta: &[T],
    g: &[T],
    [b, groups, channels, hw]: [usize; 4],
    moments: &Moments,
    eps: f64,
    dx: &mut [T],
    by_gamma: &mut [T],
    by_beta: &mut [T],
    act: A,
) {
    let m = channels * hw;
    let n_partial = if hw == 1 { 0 } else { channels };
    let (dx, by_gamma, by_beta) = (Shared::new(dx), Shared::new(by_gamma), Shared::new(by_beta));
    for_elements(b * groups, 2 * x.len(), |r| {
        let (x, g, ch) = (&x[r * m..(r + 1) * m], &g[r * m..(r + 1) * m], r % groups * channels);
        let (gamma, beta) = (&gamma[ch..ch + channels], &beta[ch..ch + channels]);
        let (mean, inv) = (T::from_f64(moments.mean[r]), T::from_f64(moments.inv(r, eps)));
        // SAFETY: block r belongs to this task alone.
        let (dx, by_gamma, by_beta) = unsafe {
            (
                dx.part(r * m, m),
                by_gamma.part(r * n_partial, n_partial),
                by_beta.part(r * n_partial, n_partial),
            )
        };
        if hw == 1 {
            elements_backward(x, g, dx, gamma, beta, mean, inv, act);
        } else {
            block_backward(x, g, dx, gamma, beta, hw, mean, inv, by_gamma, by_beta, act);
        }
    });
}

kernel! {
    fn elements_backward[T: Real, A: Act<T>](
        x: &[T], g: &[T], dx: &mut [T], gamma: &[T], beta: &[T], mean: T, inv: T, act: A,
    ) {
        let n = x.len() as f64;
        for ((((d, x), g), k), s) in dx.iter_mut().zip(x).zip(g).zip(gamma).zip(beta) {
            *d = act.pull::<M>((*x - mean) * inv * *k + *s, *g) * *k;
        }
        let mut sums = Sums::new();
        for (x, d) in x.chunks(1024).zip(dx.chunks(1024)) {
            sums.add(x, d, |x, d| (d, d * (x - mean)));
        }
        let [plain, times_x] = sums.finish();
        let i = inv.to_f64();
        let (k0, k1) = (T::from_f64(plain / n), T::from_f64(times_x * i * i / n));
        for (d, x) in dx.iter_mut().zip(x) {
            *d = inv * (*d - k0 - k1 * (*x - mean));
        }
    }
}

kernel! {
    fn block_backward[T: Real, A: Act<T>](
        x: &[T], g: &[T], dx: &mut [T], gamma: &[T], beta: &[T], hw: usize, mean: T, inv: T,
        by_gamma: &mut [T], by_beta: &mut [T], act: A,
    ) {
        let (n, i) = (x.len() as f64, inv.to_f64());
        let (mut plain, mut times_x) = (0.0, 0.0);
        for (ch, (k, s)) in gamma.iter().zip(beta).enumerate() {
            let (x, g) = (&x[ch * hw..(ch + 1) * hw], &g[ch * hw..(ch + 1) * hw]);
            let dx = &mut dx[ch * hw..(ch + 1) * hw];
            let scale = inv * *k;
            for ((d, x), g) in dx.iter_mut().zip(x).zip(g) {
                *d = act.pull::<M>((*x - mean) * scale + *s, *g);
            }
            let mut sums = Sums::new();
            for (x, d) in x.chunks(1024).zip(dx.chunks(1024)) {
                sums.add(x, d, |x, d| (d, d * (x - mean)));
            }
            let [p, q] = sums.finish();
            (by_beta[ch], by_gamma[ch]) = (T::from_f64(p), T::from_f64(q * i));
            plain += p * k.to_f64();
            times_x += q * k.to_f64();
        }
        let (k0, k1) = (T::from_f64(i * plain / n), T::from_f64(i * i * i * times_x / n));
        for (ch, k) in gamma.iter().enumerate() {
            let (scale, at) = (inv * *k, ch * hw..(ch + 1) * hw);
            for (d, x) in dx[at.clone()].iter_mut().zip(&x[at]) {
                *d = scale * *d - k0 - k1 * (*x - mean);
            }
        }
    }
}

/// Gradients of an element-wise gamma and beta: sums over the rows, a task per 256 columns.
#[allow(clippy::too_many_arguments)]
fn affine_of_elements<T: Real, A: Act<T>>(
    x: &[T],
    gamma: &[T],
    beta: &[T],
    g: &[T],
    [b, groups, channels, _]: [usize; 4],
    moments: &Moments,
    eps: f64,
    dgamma: &mut [T],
    dbeta: &mut [T],
    act: A,
) {
    const WIDTH: usize = 256;
    let c = groups * channels;
    let convert = |i: usize| [T::from_f64(moments.mean[i]), T::from_f64(moments.inv(i, eps))];
    let constants: Vec<[T; 2]> = (0..b * groups).map(convert).collect();
    let per_group = channels.div_ceil(WIDTH);
    let (dgamma, dbeta) = (Shared::new(dgamma), Shared::new(dbeta));
    for_elements(groups * per_group, x.len(), |i| {
        let (group, part) = (i / per_group, i % per_group);
        let (from, width) = (group * channels + part * WIDTH, WIDTH.min(channels - part * WIDTH));
        // SAFETY: these columns belong to this task alone.
        let (dgamma, dbeta) = unsafe { (dgamma.part(from, width), dbeta.part(from, width)) };
        let (gamma, beta) = (&gamma[from..from + width], &beta[from..from + width]);
        dgamma.fill(T::zero());
        dbeta.fill(T::zero());
        for s in 0..b {
            let at = s * c + from..s * c + from + width;
            add_affine(
                &x[at.clone()],
                &g[at],
                gamma,
                beta,
                constants[s * groups + group],
                dgamma,
                dbeta,
                act,
            );
        }
    });
}

kernel! {
    fn add_affine[T: Real, A: Act<T>](
        x: &[T], g: &[T], gamma: &[T], beta: &[T], constants: [T; 2], dgamma: &mut [T], dbeta: &mut [T], act: A,
    ) {
        let ([mean, inv], n) = (constants, x.len());
        let (g, gamma, beta) = (&g[..n], &gamma[..n], &beta[..n]);
        let (dgamma, dbeta) = (&mut dgamma[..n], &mut dbeta[..n]);
        for j in 0..n {
            let standard = (x[j] - mean) * inv;
            let p = act.pull::<M>(standard * gamma[j] + beta[j], g[j]);
            dbeta[j] += p;
            dgamma[j] += p * standard;
        }
    }
}
