//! The one inner loop of the convolutions: a matrix product whose left factor is read in place through two tables of
//! offsets, so that no image is ever unfolded into columns.
//!
//! `out[r][n] (+)= Σ_s a[rows[r] + sums[s]] · b[s][n]`, with `n` running over one panel of one or two vectors. With rows
//! = pixels and sums = (channel, tap) it is a convolution; with rows = (channel, tap) and sums = pixels it is the
//! gradient of the weights. The idea of convolving through a table of addresses is that of Dukhan, "The Indirect
//! Convolution Algorithm" (arXiv:1907.02129); here one sum of two tables takes the place of a full table of pointers.

use crate::simd::{Element, Vector};

/// The operands of one product; see the module.
pub(crate) struct Product<'a, T> {
    /// What the tables point into.
    pub(crate) a: &'a [T],
    /// Offset of each row of the result.
    pub(crate) rows: &'a [usize],
    /// Offset of each term of the sum.
    pub(crate) sums: &'a [usize],
    /// Right factor, `sums.len()` rows of `width` numbers.
    pub(crate) b: Rows<'a, T>,
    /// Result, `rows.len()` rows of `width` numbers.
    pub(crate) out: &'a mut [T],
    /// One or two vectors, in numbers.
    pub(crate) width: usize,
    /// Whether to add to `out` or to overwrite it.
    pub(crate) add: bool,
}

/// Rows of numbers that start `stride` apart.
#[derive(Clone, Copy)]
pub(crate) struct Rows<'a, T> {
    pub(crate) data: &'a [T],
    pub(crate) stride: usize,
}

/// Computes `p` with vectors `V`, in tiles of `M0` rows and, for the rest, of `M1` and `M2` rows.
///
/// # Safety
/// The processor has the instruction set of `V`.
#[inline(always)]
pub(crate) unsafe fn multiply_with<T, V, const M0: usize, const M1: usize, const M2: usize>(p: Product<'_, T>)
where
    T: Element,
    V: Vector<T>,
{
    let reach = p.rows.iter().max().zip(p.sums.iter().max());
    assert!(reach.is_none_or(|(r, s)| r + s < p.a.len()), "a table points outside the source");
    let right = p.sums.len().checked_sub(1).map_or(0, |last| last * p.b.stride + p.width);
    assert!(p.b.data.len() >= right && p.out.len() >= p.rows.len() * p.width, "panel too short");
    assert!(p.width == V::LANES || p.width == 2 * V::LANES, "width must be one or two vectors");
    // SAFETY: the instruction set is the caller's promise. The asserts above hold: each `rows[r] + sums[s]` is an index
    // of `a`, `b` has `sums.len()` rows and `out` `rows.len()` rows of `width` numbers, and `width` is the one that
    // the tile is compiled for.
    unsafe {
        if p.width == V::LANES {
            rows::<T, V, M0, M1, M2, 1>(p);
        } else {
            rows::<T, V, M0, M1, M2, 2>(p);
        }
    }
}

/// Walks over the rows in tiles.
///
/// # Safety
/// As [`multiply_with`], and the bounds that it checks hold for `NV` vectors.
#[inline(always)]
unsafe fn rows<T, V, const M0: usize, const M1: usize, const M2: usize, const NV: usize>(
    mut p: Product<'_, T>,
) where
    T: Element,
    V: Vector<T>,
{
    let mut done = 0;
    while done < p.rows.len() {
        // SAFETY: the caller's promises, of which these are parts.
        done += unsafe {
            match p.rows.len() - done {
                n if n > M1 => tile::<T, V, M0, NV>(&mut p, done),
                n if n > M2 => tile::<T, V, M1, NV>(&mut p, done),
                _ => tile::<T, V, M2, NV>(&mut p, done),
            }
        };
    }
}

/// Computes up to `M` rows, from row `done` on, and returns how many; where fewer are left, the last one is computed again and not stored.
///
/// # Safety
/// As [`rows`]; `done` is below the number of rows.
#[inline(always)]
unsafe fn tile<T, V, const M: usize, const NV: usize>(p: &mut Product<'_, T>, done: usize) -> usize
where
    T: Element,
    V: Vector<T>,
{
    let rest = &p.rows[done..];
    let n = rest.len().min(M);
    let offsets: [usize; M] = std::array::from_fn(|m| rest[m.min(n - 1)]);
    // SAFETY: the instruction set is the caller's promise; every address read is inside `a` or `b`, and every address
    // written is inside the first `n` rows of `out`, by the bounds that `multiply_with` checks.
    unsafe {
        let mut acc = [[V::splat(T::default()); NV]; M];
        let mut b = p.b.data.as_ptr();
        for &s in p.sums {
            let a = p.a.as_ptr().add(s);
            let right: [V; NV] = std::array::from_fn(|v| V::load(b.add(v * V::LANES)));
            for m in 0..M {
                let left = V::splat(*a.add(offsets[m]));
                for v in 0..NV {
                    acc[m][v] = acc[m][v].add_product(left, right[v]).pinned();
                }
            }
            b = b.wrapping_add(p.b.stride);
        }
        let mut out = p.out.as_mut_ptr().add(done * NV * V::LANES);
        for row in acc.iter().take(n) {
            for (v, &sum) in row.iter().enumerate() {
                let at = out.add(v * V::LANES);
                let sum = if p.add { V::load(at).add(sum) } else { sum };
                sum.store(at);
            }
            out = out.add(NV * V::LANES);
        }
    }
    n
}
