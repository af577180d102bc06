//! Transposing a block of a matrix, between channel-first images and channel-last panels.

use crate::simd::{Element, Isa};

/// `to[c · to_stride + r] = from[r · from_stride + c]` for `rows` × `columns` numbers.
pub(crate) fn transpose<T: Element>(
    _isa: Isa,
    from: &[T],
    from_stride: usize,
    to: &mut [T],
    to_stride: usize,
    rows: usize,
    columns: usize,
) {
    const BLOCK: usize = 16;
    for r0 in (0..rows).step_by(BLOCK) {
        for c0 in (0..columns).step_by(BLOCK) {
            for c in c0..columns.min(c0 + BLOCK) {
                let line = &mut to[c * to_stride..];
                for r in r0..rows.min(r0 + BLOCK) {
                    line[r] = from[r * from_stride + c];
                }
            }
        }
    }
}
