//! Right factors of the products: matrices cut into panels of one or two vectors of columns, each panel stored row by row,
//! with zeros where the last one reaches beyond the matrix.

use crate::product::Rows;
use crate::simd::{Element, Isa};
use crate::threads::{Scratch, Shared, for_elements};
use crate::transpose::transpose;
use std::ops::Range;

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

/// A matrix of `rows` × `cut.columns` numbers, as the products read it: panel by panel.
pub(crate) struct Panels<'a, T: Element> {
    data: Data<'a, T>,
    pub(crate) rows: usize,
    pub(crate) cut: Cut,
}

enum Data<'a, T: Element> {
    /// One panel after the other.
    Packed(Scratch<T>),
    /// Row by row, with columns that fill whole vectors.
    InPlace(&'a [T]),
    /// Column by column: each part is packed when it is asked for.
    ByColumn(&'a [T]),
}

impl<'a, T: Element> Panels<'a, T> {
    /// An unfilled matrix.
    pub(crate) fn new(isa: Isa, rows: usize, columns: usize) -> Self {
        let cut = Cut::new::<T>(isa, columns);
        Self { data: Data::Packed(Scratch::new(rows * cut.stored())), rows, cut }
    }

    /// A matrix that is read where it lies, row by row; none if its columns do not fill whole vectors.
    pub(crate) fn in_place(isa: Isa, matrix: &'a [T], rows: usize, columns: usize) -> Option<Self> {
        let cut = Cut::new::<T>(isa, columns);
        (cut.stored() == columns).then_some(Self { data: Data::InPlace(matrix), rows, cut })
    }

    /// A matrix that lies column by column, and of which each part is asked for only once or twice.
    pub(crate) fn by_column(isa: Isa, matrix: &'a [T], rows: usize, columns: usize) -> Self {
        Self { data: Data::ByColumn(matrix), rows, cut: Cut::new::<T>(isa, columns) }
    }

    /// Rows `rows` of panel `j`; `buffer` holds them where they are packed only now.
    pub(crate) fn part<'s>(
        &'s self,
        isa: Isa,
        j: usize,
        rows: Range<usize>,
        buffer: &'s mut Option<Scratch<T>>,
    ) -> Rows<'s, T> {
        let (first, width) = (self.cut.first(j), self.cut.width(j));
        match &self.data {
            Data::Packed(data) => {
                let start = self.rows * first;
                Rows { data: &data[start + rows.start * width..start + rows.end * width], stride: width }
            }
            Data::InPlace(data) => {
                let stride = self.cut.columns;
                Rows {
                    data: &data[rows.start * stride + first..(rows.end - 1) * stride + first + width],
                    stride,
                }
            }
            Data::ByColumn(data) => {
                let panel = buffer.insert(Scratch::new(rows.len() * width));
                zero_unused(panel, self.cut.used(j), width);
                let from = &data[first * self.rows + rows.start..];
                transpose(isa, (from, self.rows), (panel, width), (self.cut.used(j), rows.len()));
                Rows { data: panel, stride: width }
            }
        }
    }

    /// Everything, for writing; nothing of a matrix that is not packed.
    pub(crate) fn shared(&mut self) -> Shared<'_, T> {
        match &mut self.data {
            Data::Packed(data) => Shared::new(data),
            Data::InPlace(_) | Data::ByColumn(_) => Shared::new(&mut []),
        }
    }

    /// Fills each panel, in parallel, by `fill(first column, used columns, stored width, panel)`.
    pub(crate) fn fill(&mut self, fill: impl Fn(usize, usize, usize, &mut [T]) + Sync + Send) {
        let (rows, cut) = (self.rows, self.cut);
        let shared = self.shared();
        for_elements(cut.panels(), rows * cut.columns, |j| {
            let start = rows * cut.first(j);
            // SAFETY: each task takes the range of its own panel.
            let panel = unsafe { shared.part(start, rows * cut.width(j)) };
            fill(cut.first(j), cut.used(j), cut.width(j), panel);
        });
    }

    /// Fills all panels with the rows of a matrix, in parallel.
    pub(crate) fn fill_rows<'r>(&mut self, row: impl Fn(usize) -> &'r [T] + Sync + Send) {
        /// Panels that are filled together, so that what is read of a row is longer than one cache line.
        const TOGETHER: usize = 4;
        let (rows, cut) = (self.rows, self.cut);
        let shared = self.shared();
        for_elements(cut.panels().div_ceil(TOGETHER), rows * cut.columns, |group| {
            let group = group * TOGETHER..cut.panels().min((group + 1) * TOGETHER);
            for i in 0..rows {
                let from = row(i);
                for j in group.clone() {
                    let (first, used, width) = (cut.first(j), cut.used(j), cut.width(j));
                    // SAFETY: each task takes the ranges of its own panels.
                    let to = unsafe { shared.part(rows * first + i * width, width) };
                    copy_short(&from[first..first + used], &mut to[..used]);
                    to[used..].fill(T::default());
                }
            }
        });
    }

    /// The weights of one group as (channel, tap) × output channel, for so many points.
    pub(crate) fn forward_weights(
        isa: Isa,
        w: &'a [T],
        (c_out, terms): (usize, usize),
        points: usize,
    ) -> Self {
        /// Points that are one chunk.
        const ONE_CHUNK: usize = 128;
        if points <= ONE_CHUNK {
            return Self::by_column(isa, w, terms, c_out);
        }
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
        for_elements(cut.panels() * pieces, w.len(), |task| {
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
                    let block = unsafe { shared.part(start, chosen.len() * width) };
                    for (row, &tap) in block.chunks_exact_mut(width).zip(*chosen) {
                        row.copy_from_slice(&kernel[tap * width..][..width]);
                    }
                }
            }
        });
        drop(shared);
        all
    }

    /// The weights of one group as output channel × (input channel, tap), as they are stored. They are packed only where
    /// each is used for more than a few points.
    pub(crate) fn plain_weights(
        isa: Isa,
        w: &'a [T],
        (c_out, columns): (usize, usize),
        points: usize,
    ) -> Self {
        const FEW: usize = 8;
        if let Some(panels) = (points <= FEW).then(|| Self::in_place(isa, w, c_out, columns)).flatten() {
            return panels;
        }
        let mut panels = Self::new(isa, c_out, columns);
        panels.fill_rows(|row| &w[row * columns..(row + 1) * columns]);
        panels
    }
}

/// Copies a few vectors' worth of numbers, without the call that `copy_from_slice` makes where the length is not known.
#[inline(always)]
pub(crate) fn copy_short<T: Copy>(from: &[T], to: &mut [T]) {
    let ((from, from_rest), (to, to_rest)) = (from.as_chunks::<8>(), to.as_chunks_mut::<8>());
    to.iter_mut().zip(from).for_each(|(to, from)| *to = *from);
    to_rest.iter_mut().zip(from_rest).for_each(|(to, from)| *to = *from);
}

/// Writes zeros to the columns from `used` on.
pub(crate) fn zero_unused<T: Element>(panel: &mut [T], used: usize, width: usize) {
    if used < width {
        panel.chunks_exact_mut(width).for_each(|row| row[used..].fill(T::default()));
    }
}
