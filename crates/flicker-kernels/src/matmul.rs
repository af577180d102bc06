//! The product of two matrices of any strides, by the inner loop of the convolutions: the left factor is read in place,
//! the right one is packed in panels, and what follows the product is done while its rows are in the cache.

use crate::panels::{Cut, Panels, copy_short, zero_unused};
use crate::product::{Product, Rows};
use crate::row::RowProduct;
use crate::simd::{Element, Isa};
use crate::threads::{Scratch, Shared, for_each};
use crate::transpose::{Strided, transpose, transpose_raw};
use std::ops::Range;

/// Rows of the result that one task takes with one panel: eight tiles.
const ROWS: usize = 96;
/// Terms of the sum that are worked on together; the same everywhere, so that the bytes of a row do not depend on the others.
const TERMS: usize = 256;

/// Rows of the result up to which the right factor streams past each, where it lies row by row: packing it would cost more.
const FEW: usize = 4;

/// A matrix in memory: number (i, j) lies at `i · strides.0 + j · strides.1`.
#[derive(Clone, Copy)]
pub(crate) struct Matrix<'a, T> {
    pub(crate) data: &'a [T],
    pub(crate) strides: (usize, usize),
}

impl<T: Element> Matrix<'_, T> {
    fn transposed(self) -> Self {
        Self { strides: (self.strides.1, self.strides.0), ..self }
    }

    /// Its `rows` × `columns` numbers in panels.
    fn packed(self, isa: Isa, rows: usize, columns: usize) -> Panels<'static, T> {
        let mut panels = Panels::new(isa, rows, columns);
        let (data, (by_row, by_column)) = (self.data, self.strides);
        if by_column == 1 {
            panels.fill_rows(|row| &data[row * by_row..row * by_row + columns]);
            return panels;
        }
        panels.fill(|first, used, width, panel| {
            zero_unused(panel, used, width);
            if by_row == 1 {
                return transpose(isa, (&data[first * by_column..], by_column), (panel, width), (used, rows));
            }
            for (i, row) in panel.chunks_exact_mut(width).enumerate() {
                let from = data[i * by_row + first * by_column..].iter().step_by(by_column);
                row[..used].iter_mut().zip(from).for_each(|(to, &from)| *to = from);
            }
        });
        panels
    }
}

/// Writes the product of `a` (m × k) and `b` (k × n) to `out`, row by row, after `finish(part of a row, its columns)` has
/// passed over each part.
///
/// Where `b` would have to be transposed and `a` is the smaller one, the transposed product is computed instead, with `b` in
/// place; each number is the same sum in the same order either way.
pub(crate) fn matmul<T: Element>(
    isa: Isa,
    (m, k, n): (usize, usize, usize),
    a: Matrix<'_, T>,
    b: Matrix<'_, T>,
    out: &mut [T],
    finish: &(dyn Fn(&mut [T], Range<usize>) + Sync),
) {
    assert_eq!(out.len(), m * n, "result of another size");
    if out.is_empty() {
        return;
    }
    if k == 0 {
        out.fill(T::default());
        return out.chunks_exact_mut(n).for_each(|row| finish(row, 0..n));
    }
    let out = Shared::new(out);
    if b.strides.1 == 1 && m <= FEW && n.is_multiple_of(isa.lanes::<T>()) {
        return few_rows(isa, (m, k, n), a, b, &out, finish);
    }
    if b.strides.1 != 1 && m <= n {
        return each_block(isa, (n, k, m), b.transposed(), a.transposed(), |columns, rows, sums, width| {
            let from = Strided { start: sums.as_ptr(), stride: width };
            let start = rows.start * n + columns.start;
            let to = Strided { start: out.block(start, n, (rows.len(), columns.len())), stride: n };
            // SAFETY: `sums` has `columns.len()` rows of `width` numbers, `block` has checked the other side, and this block
            // of the result belongs to this task alone.
            unsafe { transpose_raw(isa, from, to, (columns.len(), rows.len())) };
            for row in rows {
                // SAFETY: as above.
                finish(unsafe { out.part(row * n + columns.start, columns.len()) }, columns.clone());
            }
        });
    }
    each_block(isa, (m, k, n), a, b, |rows, columns, sums, width| {
        for (row, sums) in rows.zip(sums.chunks_exact(width)) {
            // SAFETY: this part of this row belongs to this task alone.
            let to = unsafe { out.part(row * n + columns.start, columns.len()) };
            copy_short(&sums[..columns.len()], to);
            finish(to, columns.clone());
        }
    });
}

/// [`matmul`] for few rows, with `b` in place, row by row.
fn few_rows<T: Element>(
    isa: Isa,
    (m, k, n): (usize, usize, usize),
    a: Matrix<'_, T>,
    b: Matrix<'_, T>,
    out: &Shared<'_, T>,
    finish: &(dyn Fn(&mut [T], Range<usize>) + Sync),
) {
    /// Columns that are worth a thread's while.
    const COLUMNS: usize = 256;
    let (lanes, threads) = (isa.lanes::<T>(), rayon::current_num_threads());
    let pieces = if threads == 1 { 1 } else { (n / COLUMNS).clamp(1, 2 * threads) };
    let cut = |i: usize| n / lanes * i / pieces * lanes;
    for_each(pieces, m * k * n, |piece| {
        let columns = cut(piece)..cut(piece + 1);
        let mut part = Scratch::new(columns.len());
        for row in 0..m {
            // SAFETY: these columns belong to this task alone.
            let to = unsafe { out.part(row * n + columns.start, columns.len()) };
            for first in (0..k).step_by(TERMS) {
                let terms = first..k.min(first + TERMS);
                let left: Vec<T> = terms.map(|s| a.data[row * a.strides.0 + s * a.strides.1]).collect();
                let data = &b.data[first * b.strides.0 + columns.start..];
                let right = Rows { data, stride: b.strides.0 };
                let sums: &mut [T] = if first == 0 { &mut *to } else { &mut part };
                T::multiply_row(isa, RowProduct { a: &left, b: right, out: sums });
                if first > 0 {
                    to.iter_mut().zip(part.iter()).for_each(|(to, &sum)| *to += sum);
                }
            }
            finish(to, columns.clone());
        }
    });
}

/// As [`each_block`], for a result of one block of rows and a `b` that lies row by row: each panel is asked for only once, so a
/// few of them are packed where they are used, and do not go through memory.
fn one_block<T: Element>(
    isa: Isa,
    (m, k, n): (usize, usize, usize),
    a: Matrix<'_, T>,
    b: Matrix<'_, T>,
    store: impl Fn(Range<usize>, Range<usize>, &[T], usize) + Sync + Send,
) {
    /// Panels that are packed together, at most: what is read of a row is long, and the sums stay in the second-level cache.
    const TOGETHER: usize = 64;
    let cut = Cut::new::<T>(isa, n);
    let together = TOGETHER.min(cut.panels().div_ceil(rayon::current_num_threads()));
    // Of the left factor, each part lies in one piece: its rows may be so far apart that they share few places in the cache.
    let rows: Vec<usize> = (0..m).map(|i| i * TERMS).collect();
    let terms: Vec<usize> = (0..TERMS).collect();
    for_each(cut.panels().div_ceil(together), m * n * k, |group| {
        let group = group * together..cut.panels().min((group + 1) * together);
        let start = cut.first(group.start);
        let widths: usize = group.clone().map(|j| cut.width(j)).sum();
        let mut packed = Scratch::new(TERMS * widths);
        let mut left = Scratch::new(m * TERMS);
        let mut sums = Scratch::new(m * widths);
        for part in (0..k).step_by(TERMS).map(|first| first..k.min(first + TERMS)) {
            for (i, s) in part.clone().enumerate() {
                let from = &b.data[s * b.strides.0..][..n];
                for j in group.clone() {
                    let (first, used, width) = (cut.first(j), cut.used(j), cut.width(j));
                    let to = &mut packed[TERMS * (first - start) + i * width..][..width];
                    copy_short(&from[first..first + used], &mut to[..used]);
                    to[used..].fill(T::default());
                }
            }
            for (i, to) in left.chunks_exact_mut(TERMS).enumerate() {
                let from = a.data[i * a.strides.0 + part.start * a.strides.1..].iter().step_by(a.strides.1);
                to[..part.len()].iter_mut().zip(from).for_each(|(to, &from)| *to = from);
            }
            for j in group.clone() {
                let (first, width) = (cut.first(j) - start, cut.width(j));
                let product = Product {
                    a: &left,
                    rows: &rows,
                    sums: &terms[..part.len()],
                    b: Rows { data: &packed[TERMS * first..][..part.len() * width], stride: width },
                    out: &mut sums[m * first..][..m * width],
                    width,
                    add: part.start > 0,
                };
                T::multiply(isa, product);
            }
        }
        for j in group {
            let (first, used, width) = (cut.first(j), cut.used(j), cut.width(j));
            store(0..m, first..first + used, &sums[m * (first - start)..][..m * width], width);
        }
    });
}

/// Calls `store(rows, columns, sums, width of a row of sums)` for blocks that together cover the product.
fn each_block<T: Element>(
    isa: Isa,
    (m, k, n): (usize, usize, usize),
    a: Matrix<'_, T>,
    b: Matrix<'_, T>,
    store: impl Fn(Range<usize>, Range<usize>, &[T], usize) + Sync + Send,
) {
    if m <= ROWS && b.strides.1 == 1 {
        return one_block(isa, (m, k, n), a, b, store);
    }
    let panels = b.packed(isa, k, n);
    let rows: Vec<usize> = (0..m).map(|i| i * a.strides.0).collect();
    let terms: Vec<usize> = (0..k).map(|s| s * a.strides.1).collect();
    let blocks = m.div_ceil(ROWS);
    for_each(panels.cut.panels() * blocks, m * n * k, |task| {
        // A block of rows stays in the second-level cache while the panels pass by.
        let (block, j) = (task / panels.cut.panels(), task % panels.cut.panels());
        let (first, width) = (panels.cut.first(j), panels.cut.width(j));
        let range = block * ROWS..m.min((block + 1) * ROWS);
        let mut sums = Scratch::new(range.len() * width);
        for start in (0..k).step_by(TERMS) {
            let part = start..k.min(start + TERMS);
            let mut buffer = None;
            let product = Product {
                a: a.data,
                rows: &rows[range.clone()],
                sums: &terms[part.clone()],
                b: panels.part(isa, j, part, &mut buffer),
                out: &mut sums,
                width,
                add: start > 0,
            };
            T::multiply(isa, product);
        }
        store(range, first..first + panels.cut.used(j), &sums, width);
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    fn numbers(n: usize, step: f64) -> Vec<f64> {
        (0..n).map(|i| (i as f64 * step).sin()).collect()
    }

    #[test]
    fn as_the_definition_says() {
        for isa in Isa::available() {
            for (m, k, n) in [
                (1, 1, 1),
                (65, 300, 40),
                (13, 7, 130),
                (100, 520, 3),
                (2, 0, 3),
                (200, 16, 33),
                (3, 520, 64),
                (50, 600, 1100),
            ] {
                for (a_t, b_t) in [(false, false), (false, true), (true, false), (true, true)] {
                    let (a, b) = (numbers(m * k, 1.3), numbers(k * n, 0.7));
                    let left = Matrix { data: &a, strides: if a_t { (1, m) } else { (k, 1) } };
                    let right = Matrix { data: &b, strides: if b_t { (1, k) } else { (n, 1) } };
                    let mut out = vec![f64::NAN; m * n];
                    matmul(isa, (m, k, n), left, right, &mut out, &|part, columns| {
                        part.iter_mut().zip(columns).for_each(|(y, j)| *y += j as f64);
                    });
                    for (at, &y) in out.iter().enumerate() {
                        let (i, j) = (at / n, at % n);
                        let term = |s: usize| {
                            a[i * left.strides.0 + s * left.strides.1]
                                * b[s * right.strides.0 + j * right.strides.1]
                        };
                        let exact = (0..k).map(term).sum::<f64>() + j as f64;
                        assert!(
                            (y - exact).abs() < 1e-12 * (k + 1) as f64,
                            "{isa:?} {m} {k} {n} {a_t} {b_t}: {y} {exact}"
                        );
                    }
                }
            }
        }
    }

    #[test]
    fn a_row_does_not_depend_on_the_others() {
        let (k, n) = (300, 40);
        let (a, b) = (numbers(65 * k, 1.3), numbers(k * n, 0.7));
        for b_t in [false, true] {
            let right = Matrix { data: &b, strides: if b_t { (1, k) } else { (n, 1) } };
            let rows = |m: usize| {
                let mut out = vec![0.0; m * n];
                matmul(
                    Isa::best(),
                    (m, k, n),
                    Matrix { data: &a, strides: (k, 1) },
                    right,
                    &mut out,
                    &|_, _| (),
                );
                out
            };
            assert_eq!(rows(65)[..n], rows(1));
        }
    }
}
