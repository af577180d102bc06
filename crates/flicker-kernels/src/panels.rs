//! Right factors of the products: matrices cut into panels of one or two vectors of columns, each panel stored row by row,
//! with zeros where the last one reaches beyond the matrix.

use crate::simd::{Element, Isa};
use crate::threads::{Scratch, Shared, for_each};
use crate::transpose::transpose;

/// Output channels that one task packs.
const PIECE: usize = 32;

/// How `columns` columns are cut into panels.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cut {
    pub(crate) columns: usize,
    lanes: usize,
}

impl Cut {
    pub(crate) fn new<T: Element>(isa: Isa, columns: usize) -> Self {
        Self { columns, lanes: isa.lanes::<T>() }
    }

    pub(crate) fn panels(self) -> usize {
        self.columns.div_ceil(2 * self.lanes)
    }

    /// First column of panel `j`.
    pub(crate) fn first(self, j: usize) -> usize {
        j * 2 * self.lanes
    }

    /// Columns of the matrix in panel `j`.
    pub(crate) fn used(self, j: usize) -> usize {
        (self.columns - self.first(j)).min(2 * self.lanes)
    }

    /// Stored columns of panel `j`: one or two vectors.
    pub(crate) fn width(self, j: usize) -> usize {
        if self.used(j) > self.lanes { 2 * self.lanes } else { self.lanes }
    }

    /// Stored columns of all panels.
    pub(crate) fn stored(self) -> usize {
        let last = self.panels() - 1;
        self.first(last) + self.width(last)
    }
}

/// A matrix of `rows` × `cut.columns` numbers in panels.
pub(crate) struct Panels<T: Element> {
    data: Scratch<T>,
    pub(crate) rows: usize,
    pub(crate) cut: Cut,
}

impl<T: Element> Panels<T> {
    /// An unfilled matrix.
    pub(crate) fn new(isa: Isa, rows: usize, columns: usize) -> Self {
        let cut = Cut::new::<T>(isa, columns);
        Self { data: Scratch::new(rows * cut.stored()), rows, cut }
    }

    /// Rows `rows` of panel `j`.
    pub(crate) fn part(&self, j: usize, rows: std::ops::Range<usize>) -> &[T] {
        let (start, width) = (self.rows * self.cut.first(j), self.cut.width(j));
        &self.data[start + rows.start * width..start + rows.end * width]
    }

    /// Everything, for writing.
    pub(crate) fn shared(&mut self) -> Shared<'_, T> {
        Shared::new(&mut self.data)
    }

    /// Fills each panel, in parallel, by `fill(first column, used columns, stored width, panel)`.
    pub(crate) fn fill(&mut self, fill: impl Fn(usize, usize, usize, &mut [T]) + Sync + Send) {
        let (rows, cut) = (self.rows, self.cut);
        let shared = self.shared();
        for_each(cut.panels(), rows * cut.columns * 4, |j| {
            let start = rows * cut.first(j);
            // SAFETY: each task takes the range of its own panel.
            let panel = unsafe { shared.part(start..start + rows * cut.width(j)) };
            fill(cut.first(j), cut.used(j), cut.width(j), panel);
        });
    }

    /// The weights of one group as (channel, tap) × output channel.
    pub(crate) fn forward_weights(isa: Isa, w: &[T], c_out: usize, terms: usize) -> Self {
        let mut panels = Self::new(isa, terms, c_out);
        panels.fill(|first, used, width, panel| {
            zero_unused(panel, used, width);
            let rows = &w[first * terms..(first + used) * terms];
            transpose(isa, (rows, terms), (panel, width), (used, terms));
        });
        panels
    }

    /// The weights of one group, for each phase as (output channel, tap of the phase) × input channel; `phases` holds the
    /// numbers of each phase's taps.
    pub(crate) fn backward_weights(
        isa: Isa,
        w: &[T],
        (c_out, c_in, taps): (usize, usize, usize),
        phases: &[&[usize]],
    ) -> Vec<Self> {
        let mut all: Vec<Self> = phases.iter().map(|p| Self::new(isa, c_out * p.len(), c_in)).collect();
        let cut = Cut::new::<T>(isa, c_in);
        let shared: Vec<_> = all.iter_mut().map(Self::shared).collect();
        // Output channels are shared out too, since a layer of few input channels has one panel only.
        let pieces = c_out.div_ceil(PIECE);
        for_each(cut.panels() * pieces, w.len() * 4, |task| {
            let (j, piece) = (task / pieces, task % pieces);
            let (first, used, width) = (cut.first(j), cut.used(j), cut.width(j));
            let mut kernel = Scratch::new(taps * width);
            zero_unused(&mut kernel, used, width);
            for o in piece * PIECE..c_out.min((piece + 1) * PIECE) {
                let from = &w[(o * c_in + first) * taps..][..used * taps];
                transpose(isa, (from, taps), (&mut kernel, width), (used, taps));
                for (chosen, shared) in phases.iter().zip(&shared) {
                    let start = c_out * chosen.len() * first + o * chosen.len() * width;
                    // SAFETY: each task takes its own output channels of its own panel.
                    let block = unsafe { shared.part(start..start + chosen.len() * width) };
                    for (row, &tap) in block.chunks_exact_mut(width).zip(*chosen) {
                        row.copy_from_slice(&kernel[tap * width..][..width]);
                    }
                }
            }
        });
        drop(shared);
        all
    }

    /// The weights of one group as output channel × (input channel, tap), as they are stored.
    pub(crate) fn plain_weights(isa: Isa, w: &[T], c_out: usize, columns: usize) -> Self {
        let mut panels = Self::new(isa, c_out, columns);
        panels.fill(|first, used, width, panel| {
            zero_unused(panel, used, width);
            for (row, from) in panel.chunks_exact_mut(width).zip(w.chunks_exact(columns)) {
                row[..used].copy_from_slice(&from[first..first + used]);
            }
        });
        panels
    }
}

/// Writes zeros to the columns from `used` on.
pub(crate) fn zero_unused<T: Element>(panel: &mut [T], used: usize, width: usize) {
    if used < width {
        panel.chunks_exact_mut(width).for_each(|row| row[used..].fill(T::default()));
    }
}
