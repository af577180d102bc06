//! Transposing a block of a matrix, between channel-first images and channel-last panels.

use crate::simd::{Element, Isa};

/// One side of a transposition: where a matrix starts, and the distance of its rows.
#[derive(Clone, Copy)]
pub(crate) struct Strided<P> {
    pub(crate) start: P,
    pub(crate) stride: usize,
}

/// `to[c · to_stride + r] = from[r · from_stride + c]` for `rows` × `columns` numbers.
pub(crate) fn transpose<T: Element>(
    isa: Isa,
    (from, from_stride): (&[T], usize),
    (to, to_stride): (&mut [T], usize),
    (rows, columns): (usize, usize),
) {
    if rows == 0 || columns == 0 {
        return;
    }
    assert!((rows - 1) * from_stride + columns <= from.len(), "source too short");
    assert!((columns - 1) * to_stride + rows <= to.len(), "target too short");
    let from = Strided { start: from.as_ptr(), stride: from_stride };
    let to = Strided { start: to.as_mut_ptr(), stride: to_stride };
    // SAFETY: the two asserts.
    unsafe { transpose_raw(isa, from, to, (rows, columns)) };
}

/// As [`transpose`], for a target whose rows other threads may write between.
///
/// # Safety
/// All `rows` × `columns` numbers of both sides lie inside their allocations, and nobody else uses those of the target.
pub(crate) unsafe fn transpose_raw<T: Element>(
    isa: Isa,
    from: Strided<*const T>,
    to: Strided<*mut T>,
    (rows, columns): (usize, usize),
) {
    let Some(square) = T::square(isa) else {
        // SAFETY: the caller's promise.
        return unsafe { small(from, to, (rows, columns)) };
    };
    // Some columns at a time, so that the lines of the target are whole before they leave the cache.
    for first in (0..columns).step_by(COLUMNS) {
        let last = columns.min(first + COLUMNS);
        for r in (0..rows).step_by(square) {
            for c in (first..last).step_by(square) {
                let (n_rows, n_columns) = ((rows - r).min(square), (last - c).min(square));
                // SAFETY: the block lies inside both matrices.
                unsafe {
                    let from = Strided { start: from.start.add(r * from.stride + c), ..from };
                    let to = Strided { start: to.start.add(c * to.stride + r), ..to };
                    if n_rows == square && n_columns == square {
                        T::transpose_square(isa, from, to);
                    } else {
                        small(from, to, (n_rows, n_columns));
                    }
                }
            }
        }
    }
}

/// Columns of the source that are transposed together.
const COLUMNS: usize = 64;

/// One number after the other.
///
/// # Safety
/// As [`transpose_raw`].
unsafe fn small<T: Copy>(from: Strided<*const T>, to: Strided<*mut T>, (rows, columns): (usize, usize)) {
    for c in 0..columns {
        for r in 0..rows {
            // SAFETY: the caller vouches for these numbers.
            unsafe { *to.start.add(c * to.stride + r) = *from.start.add(r * from.stride + c) };
        }
    }
}

/// 8 × 8 numbers: halves of rows r and r + 4 side by side, then two rounds of interleaving.
///
/// # Safety
/// As [`transpose_raw`], for 8 rows and columns.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2")]
pub(crate) unsafe fn transpose_8x8_avx2(from: Strided<*const f32>, to: Strided<*mut f32>) {
    use std::arch::x86_64::*;
    for half in 0..2 {
        // SAFETY: the caller vouches for the 8 rows of 8 numbers on both sides.
        unsafe {
            let row = |r: usize| {
                let at = from.start.add(r * from.stride + 4 * half);
                // As below: the same part of the next columns is asked for in time.
                _mm_prefetch::<_MM_HINT_T0>(at.wrapping_add(COLUMNS + 4 * half * from.stride).cast());
                let (low, high) = (_mm_loadu_ps(at), _mm_loadu_ps(at.add(4 * from.stride)));
                _mm256_insertf128_ps::<1>(_mm256_castps128_ps256(low), high)
            };
            let (a, b, c, d) = (row(0), row(1), row(2), row(3));
            let (ab_low, ab_high) = (_mm256_unpacklo_ps(a, b), _mm256_unpackhi_ps(a, b));
            let (cd_low, cd_high) = (_mm256_unpacklo_ps(c, d), _mm256_unpackhi_ps(c, d));
            let lines = [
                _mm256_shuffle_ps::<0b01_00_01_00>(ab_low, cd_low),
                _mm256_shuffle_ps::<0b11_10_11_10>(ab_low, cd_low),
                _mm256_shuffle_ps::<0b01_00_01_00>(ab_high, cd_high),
                _mm256_shuffle_ps::<0b11_10_11_10>(ab_high, cd_high),
            ];
            for (i, line) in lines.into_iter().enumerate() {
                _mm256_storeu_ps(to.start.add((4 * half + i) * to.stride), line);
            }
        }
    }
}

/// 16 × 16 numbers: three rounds of interleaving by 1, 2 and 4 numbers, the last one twice.
///
/// # Safety
/// As [`transpose_raw`], for 16 rows and columns.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f")]
pub(crate) unsafe fn transpose_16x16_avx512(from: Strided<*const f32>, to: Strided<*mut f32>) {
    use std::arch::x86_64::*;
    // SAFETY: the caller vouches for the 16 rows of 16 numbers on both sides.
    unsafe {
        // quads[4 i + k]: in each 128-bit lane l, number 4 l + k of rows 4 i to 4 i + 3.
        let mut quads = [_mm512_setzero_ps(); 16];
        for i in 0..4 {
            let row = |r: usize| {
                let at = from.start.add((4 * i + r) * from.stride);
                // Too many rows for the processor to foresee: the same part of the next columns is asked for in time.
                _mm_prefetch::<_MM_HINT_T0>(at.wrapping_add(COLUMNS).cast());
                _mm512_loadu_ps(at)
            };
            let (a, b, c, d) = (row(0), row(1), row(2), row(3));
            let (ab_low, ab_high) = (_mm512_unpacklo_ps(a, b), _mm512_unpackhi_ps(a, b));
            let (cd_low, cd_high) = (_mm512_unpacklo_ps(c, d), _mm512_unpackhi_ps(c, d));
            quads[4 * i] = _mm512_shuffle_ps::<0b01_00_01_00>(ab_low, cd_low);
            quads[4 * i + 1] = _mm512_shuffle_ps::<0b11_10_11_10>(ab_low, cd_low);
            quads[4 * i + 2] = _mm512_shuffle_ps::<0b01_00_01_00>(ab_high, cd_high);
            quads[4 * i + 3] = _mm512_shuffle_ps::<0b11_10_11_10>(ab_high, cd_high);
        }
        for k in 0..4 {
            let (p, q, r, s) = (quads[k], quads[4 + k], quads[8 + k], quads[12 + k]);
            // Lanes 0 and 2, then 1 and 3, of rows 0 to 7 and of rows 8 to 15.
            let (top_even, bottom_even) =
                (_mm512_shuffle_f32x4::<0b10_00_10_00>(p, q), _mm512_shuffle_f32x4::<0b10_00_10_00>(r, s));
            let (top_odd, bottom_odd) =
                (_mm512_shuffle_f32x4::<0b11_01_11_01>(p, q), _mm512_shuffle_f32x4::<0b11_01_11_01>(r, s));
            let lines = [
                _mm512_shuffle_f32x4::<0b10_00_10_00>(top_even, bottom_even),
                _mm512_shuffle_f32x4::<0b10_00_10_00>(top_odd, bottom_odd),
                _mm512_shuffle_f32x4::<0b11_01_11_01>(top_even, bottom_even),
                _mm512_shuffle_f32x4::<0b11_01_11_01>(top_odd, bottom_odd),
            ];
            for (lane, line) in lines.into_iter().enumerate() {
                _mm512_storeu_ps(to.start.add((4 * lane + k) * to.stride), line);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_number_arrives() {
        for (rows, columns) in [(1, 1), (8, 8), (7, 9), (16, 24), (33, 17), (3, 40), (48, 130), (70, 64)] {
            let (from_stride, to_stride) = (columns + 3, rows + 2);
            let from: Vec<f32> = (0..rows * from_stride).map(|i| i as f32).collect();
            for isa in Isa::available() {
                let mut to = vec![-1.; columns * to_stride];
                transpose(isa, (&from, from_stride), (&mut to, to_stride), (rows, columns));
                for (i, &v) in to.iter().enumerate() {
                    let (c, r) = (i / to_stride, i % to_stride);
                    let expected = if r < rows { from[r * from_stride + c] } else { -1. };
                    assert_eq!(v, expected, "{isa:?} {rows} {columns} at {r} {c}");
                }
            }
        }
    }
}
