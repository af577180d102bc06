//! One pass over a parameter and what moves with it: shared among threads, compiled for each instruction set.
//!
//! Each element is computed alone, so the bytes depend neither on the split nor on the instruction set.

use crate::kernel::kernel;
use crate::linger::awake;
use crate::ops::adapter::slice;
use crate::ops::in_place::with_mut;
pub(super) use crate::ops::real::Real;
use crate::threads::{GRAIN_ELEMENTS as GRAIN, PIECE};
use candle_core::{Result, Storage, Tensor, Var, bail};
use rayon::prelude::*;

/// Elements whose squares are summed in one go; the sums of these stretches are added in their order.
const STRETCH: usize = 1 << 14;

/// Whether a kernel has one of its parts, known when it is compiled.
pub(super) trait Switch: Copy + Send + Sync {
    const ON: bool;
}

/// The part is there.
#[derive(Clone, Copy)]
pub(super) struct On;

/// The part is not there; its slice is empty.
#[derive(Clone, Copy)]
pub(super) struct Off;

impl Switch for On {
    const ON: bool = true;
}

impl Switch for Off {
    const ON: bool = false;
}

/// Calls `run` with the elements of `read` and of the variables `moved`, all of one shape, in parts that cover them.
pub(super) fn pass<T: Real, const N: usize>(
    read: &Tensor,
    moved: [&Var; N],
    run: impl Fn(&[T], [&mut [T]; N]) + Sync,
) -> Result<()> {
    let read = read.contiguous()?;
    let (storage, layout) = read.storage_and_layout();
    let Storage::Cpu(storage) = &*storage else { bail!("expected a tensor on the cpu") };
    let read = slice(storage, layout)?;
    gather(&moved, Vec::with_capacity(N), &mut |all| {
        match <[&mut [T]; N]>::try_from(all) {
            Ok(all) if read.len() < 2 * GRAIN => run(read, all),
            Ok(all) => awake(|| share(read, all, &run)),
            Err(all) => bail!("expected {N} variables, got {}", all.len()),
        }
        Ok(())
    })
}

type Visit<'a, T> = dyn FnMut(Vec<&mut [T]>) -> Result<()> + 'a;

/// Calls `run` with the elements of all of `vars`, after those that are gathered already.
fn gather<T: Real>(vars: &[&Var], gathered: Vec<&mut [T]>, run: &mut Visit<'_, T>) -> Result<()> {
    let Some((first, rest)) = vars.split_first() else { return run(gathered) };
    with_mut(first, |elements| {
        let mut gathered: Vec<&mut [T]> = gathered;
        gathered.push(elements);
        gather(rest, gathered, run)
    })
}

/// Halves the elements between threads.
fn share<T: Real, const N: usize>(
    read: &[T],
    all: [&mut [T]; N],
    run: &(impl Fn(&[T], [&mut [T]; N]) + Sync),
) {
    if read.len() < 2 * GRAIN {
        return run(read, all);
    }
    let middle = (read.len() / 2).next_multiple_of(PIECE);
    let (left_read, right_read) = read.split_at(middle);
    let mut right: [&mut [T]; N] = std::array::from_fn(|_| Default::default());
    let mut rights = right.iter_mut();
    let left = all.map(|elements| {
        let (left, right) = elements.split_at_mut(middle);
        if let Some(place) = rights.next() {
            *place = right;
        }
        left
    });
    rayon::join(|| share(left_read, left, run), || share(right_read, right, run));
}

/// `Σ x²`.
pub(super) fn squares<T: Real>(x: &[T]) -> f64 {
    if x.len() < 2 * GRAIN {
        return x.chunks(STRETCH).map(|stretch| squares_of_stretch(stretch)).sum();
    }
    awake(|| x.par_chunks(STRETCH).map(|stretch| squares_of_stretch(stretch)).collect::<Vec<f64>>())
        .iter()
        .sum()
}

kernel! {
    fn squares_of_stretch[T: Real](x: &[T]) -> f64 {
        // Eight running sums, so that the processor can add them at once.
        let (eights, rest) = x.as_chunks::<8>();
        let mut sums = [0.0; 8];
        for eight in eights {
            for (sum, x) in sums.iter_mut().zip(eight) {
                *sum += x.double() * x.double();
            }
        }
        sums.iter().sum::<f64>() + rest.iter().map(|x| x.double() * x.double()).sum::<f64>()
    }
}

kernel! {
    fn adam[T: Real](p: &mut [T], g: &[T], m: &mut [T], v: &mut [T], k: [T; 8]) {
        let [keep, l2, beta1_rest, beta2, beta2_rest, rate, root_correction, eps] = k;
        let n = p.len();
        let (g, m, v) = (&g[..n], &mut m[..n], &mut v[..n]);
        for i in 0..n {
            let g = g[i] + l2 * p[i];
            m[i] += beta1_rest * (g - m[i]);
            v[i] = beta2 * v[i] + beta2_rest * g * g;
            p[i] = keep * p[i] - rate * m[i] / (v[i].sqrt() / root_correction + eps);
        }
    }
}

kernel! {
    fn rmsprop[T: Real, C: Switch, V: Switch](
        p: &mut [T],
        g: &[T],
        square_mean: &mut [T],
        mean: &mut [T],
        change: &mut [T],
        _centered: C,
        _momentum: V,
        k: [T; 7],
    ) {
        let [keep, l2, alpha, rest, momentum, lr, eps] = k;
        let n = p.len();
        let (g, square_mean) = (&g[..n], &mut square_mean[..n]);
        let mean = &mut mean[..if C::ON { n } else { 0 }];
        let change = &mut change[..if V::ON { n } else { 0 }];
        for i in 0..n {
            let g = g[i] + l2 * p[i];
            square_mean[i] = alpha * square_mean[i] + rest * g * g;
            let mut power = square_mean[i];
            if C::ON {
                mean[i] += rest * (g - mean[i]);
                power -= mean[i] * mean[i];
                // PyTorch takes the root of the bare difference, which rounding can make negative (NaN) under a constant
                // gradient. A NaN stays one.
                power = if power < T::zero() { T::zero() } else { power };
            }
            let mut step = g / (power.sqrt() + eps);
            if V::ON {
                step += momentum * change[i];
                change[i] = step;
            }
            p[i] = keep * p[i] - lr * step;
        }
    }
}

kernel! {
    fn sgd[T: Real, V: Switch](p: &mut [T], g: &[T], velocity: &mut [T], _momentum: V, k: [T; 5]) {
        let [keep, l2, momentum, lr, ahead] = k;
        let n = p.len();
        let g = &g[..n];
        let velocity = &mut velocity[..if V::ON { n } else { 0 }];
        for i in 0..n {
            let mut direction = g[i] + l2 * p[i];
            if V::ON {
                velocity[i] = momentum * velocity[i] + direction;
                let looking = direction + momentum * velocity[i];
                direction = if ahead > T::zero() { looking } else { velocity[i] };
            }
            p[i] = keep * p[i] - lr * direction;
        }
    }
}

kernel! {
    fn ema[T: Real](average: &mut [T], p: &[T], k: [T; 2]) {
        let [decay, rest] = k;
        for (a, p) in average.iter_mut().zip(p) {
            *a = decay * *a + rest * *p;
        }
    }
}
