//! Products with a left factor of one row, as when one sample is scored: each number of the right factor is used once, so what
//! counts is that it is read in the order in which it lies, and that nothing is copied.
//!
//! Each sum runs over its terms in their order, as in [`crate::product`]: the bytes of a row do not depend on its batch.

use crate::product::Rows;
use crate::simd::{Element, Vector};

/// `out[n] = Σ_s a[s] · b[s][n]`: some rows at a time stream past the sums, which stay in the first-level cache.
pub(crate) struct RowProduct<'a, T> {
    /// Left factor, one number for each term.
    pub(crate) a: &'a [T],
    /// Right factor, `a.len()` rows of `out.len()` numbers.
    pub(crate) b: Rows<'a, T>,
    /// Result; whole vectors.
    pub(crate) out: &'a mut [T],
}

/// Rows that stream past together.
const STREAMS: usize = 4;

/// Computes `p` with vectors `V`.
///
/// # Safety
/// The processor has the instruction set of `V`.
#[inline(always)]
pub(crate) unsafe fn row_with<T: Element, V: Vector<T>>(p: RowProduct<'_, T>) {
    let RowProduct { a, b, out } = p;
    let right = a.len().checked_sub(1).map_or(0, |last| last * b.stride + out.len());
    assert!(b.data.len() >= right, "right factor too short");
    assert!(out.len().is_multiple_of(V::LANES), "expected whole vectors");
    out.fill(T::default());
    let mut s = 0;
    while s < a.len() {
        let rest = &b.data[s * b.stride..];
        // SAFETY: the instruction set is the caller's promise; the asserts above hold, and these terms are there.
        s += unsafe {
            match a.len() - s {
                n if n >= STREAMS => stream::<T, V, STREAMS>(&a[s..], Rows { data: rest, ..b }, out),
                _ => stream::<T, V, 1>(&a[s..], Rows { data: rest, ..b }, out),
            }
        };
    }
}

/// Adds the first `N` terms, and returns `N`.
///
/// # Safety
/// As [`row_with`]; there are `N` numbers in `a`, and as many rows of `out.len()` numbers, whole vectors, in `b`.
#[inline(always)]
unsafe fn stream<T: Element, V: Vector<T>, const N: usize>(a: &[T], b: Rows<'_, T>, out: &mut [T]) -> usize {
    // SAFETY: the caller's promises; `at` and the vector that begins there lie within each row and within `out`.
    unsafe {
        let left: [V; N] = std::array::from_fn(|i| V::splat(a[i]));
        let start = b.data.as_ptr();
        for at in (0..out.len()).step_by(V::LANES) {
            let to = out.as_mut_ptr().add(at);
            let mut sum = V::load(to);
            for (i, left) in left.iter().enumerate() {
                sum = sum.add_product(*left, V::load(start.add(i * b.stride + at)));
            }
            sum.store(to);
        }
    }
    N
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::simd::Isa;

    #[test]
    fn as_the_definition_says() {
        for isa in Isa::available() {
            for (terms, columns, stride) in [(1, 16, 16), (3, 32, 40), (9, 64, 64), (0, 16, 16)] {
                let a: Vec<f64> = (0..terms).map(|i| (i as f64 * 1.3).sin()).collect();
                let b: Vec<f64> = (0..terms * stride).map(|i| (i as f64 * 0.7).cos()).collect();
                let mut out = vec![f64::NAN; columns];
                f64::multiply_row(isa, RowProduct { a: &a, b: Rows { data: &b, stride }, out: &mut out });
                for (n, found) in out.iter().enumerate() {
                    let exact: f64 = (0..terms).map(|s| a[s] * b[s * stride + n]).sum();
                    assert!((found - exact).abs() < 1e-14 * (terms + 1) as f64, "{isa:?} {terms} at {n}");
                }
            }
        }
    }
}
