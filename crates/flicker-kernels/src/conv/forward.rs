//! The convolution itself, and the products over gathered pixels that the gradient of the input shares with it.

use super::geometry::{Gather, Geometry};
use super::source::{Chunk, Layout, load};
use crate::panels::{Cut, Panels};
use crate::product::Product;
use crate::simd::{Element, Isa};
use crate::threads::{Scratch, Shared, for_each};
use crate::transpose::{Strided, transpose_raw};
use std::ops::Range;

/// Sums that are worked on together: they stay in the second-level cache.
const SUMS: usize = 1 << 16;
/// Output points that are worked on together, at least and at most.
const POINTS: (usize, usize) = (128, 512);
/// Terms of the sum that are worked on together: one panel of so many rows stays in the cache. The same everywhere, so that
/// an image gets the same bytes alone and in a batch.
pub(super) const TERMS: usize = 256;

/// Points read from one source through one set of taps, and the weights of those taps.
pub(super) struct Part<'a, T: Element> {
    pub(super) gather: Gather,
    pub(super) weights: Panels<'a, T>,
}

/// The sums of one part over one chunk and some panels of output channels: panel by panel, points × width.
pub(super) struct Sums<T: Element> {
    data: Scratch<T>,
    pub(super) cut: Cut,
    first_panel: usize,
    pub(super) points: usize,
}

impl<T: Element> Sums<T> {
    /// The sums of panel `j`, and the width of their rows.
    pub(super) fn panel(&self, j: usize) -> (&[T], usize) {
        let (start, width) = (self.start(j), self.cut.width(j));
        (&self.data[start..start + width * self.points], width)
    }

    fn panel_mut(&mut self, j: usize) -> &mut [T] {
        let (start, width) = (self.start(j), self.cut.width(j));
        &mut self.data[start..start + width * self.points]
    }

    fn start(&self, j: usize) -> usize {
        (self.cut.first(j) - self.cut.first(self.first_panel)) * self.points
    }
}

/// `y = x ∗ w`; every number of `y` is written, and then passed over once by `finish(channel, part of its plane)`.
pub(super) fn forward<T: Element>(
    isa: Isa,
    g: &Geometry,
    x: &[T],
    w: &[T],
    y: &mut [T],
    finish: &(dyn Fn(usize, &mut [T]) + Sync),
) {
    let gather = Gather::forward(g);
    let y = Shared::new(y);
    let weights_len = g.c_out * gather.terms();
    for group in 0..g.groups {
        let w = &w[group * weights_len..][..weights_len];
        let weights =
            Panels::forward_weights(isa, w, (g.c_out, gather.terms()), g.batch * g.size_out.0 * g.size_out.1);
        let parts = [Part { gather: gather.clone(), weights }];
        each_chunk(isa, (g.batch, group), x, &parts, true, |chunk, panels, sums| {
            let channels = Channels { group, n_groups: g.groups, per_group: g.c_out, size: g.size_out };
            channels.store(isa, chunk, panels, &sums[0], &y, finish);
        });
    }
}

/// The channels of one group of an image-shaped result, whose points are the pixels of the result.
pub(super) struct Channels {
    pub(super) group: usize,
    pub(super) n_groups: usize,
    pub(super) per_group: usize,
    pub(super) size: (usize, usize),
}

impl Channels {
    /// Writes the sums of a chunk to where they belong, then calls `finish(channel, its points)`.
    pub(super) fn store<T: Element>(
        &self,
        isa: Isa,
        chunk: &Chunk,
        panels: Range<usize>,
        sums: &Sums<T>,
        to: &Shared<'_, T>,
        finish: &dyn Fn(usize, &mut [T]),
    ) {
        let plane = self.size.0 * self.size.1;
        let points = chunk.rows.len() * self.size.1;
        for (i, image) in chunk.images.clone().enumerate() {
            for j in panels.clone() {
                let ((from, width), used) = (sums.panel(j), sums.cut.used(j));
                let channel = self.group * self.per_group + sums.cut.first(j);
                let start = (image * self.n_groups * self.per_group + channel) * plane
                    + chunk.rows.start * self.size.1;
                let from = &from[i * points * width..][..points * width];
                let from = Strided { start: from.as_ptr(), stride: width };
                let block = Strided { start: to.block(start, plane, (used, points)), stride: plane };
                // SAFETY: `from` has `points` rows of `width` numbers, `block` has checked the other side, and these
                // images, channels and rows belong to this task alone.
                unsafe { transpose_raw(isa, from, block, (points, used)) };
                for n in 0..used {
                    // SAFETY: as above.
                    finish(channel + n, unsafe { to.part(start + n * plane, points) });
                }
            }
        }
    }
}

/// Multiplies the pixels of each chunk with each panel of weights, and hands the sums of all parts to
/// `store(chunk, panels, sums)`. A task takes one chunk and, where `split`, a range of panels; the sums do not depend on
/// that. All parts have the same channels and the same reach, and the first has the most rows and columns of points.
pub(super) fn each_chunk<T: Element>(
    isa: Isa,
    (batch, group): (usize, usize),
    x: &[T],
    parts: &[Part<'_, T>],
    split: bool,
    store: impl Fn(&Chunk, Range<usize>, &[Sums<T>]) + Sync + Send,
) {
    let (points, cut) = (parts[0].gather.points, parts[0].weights.cut);
    let target = (SUMS / (parts.len() * cut.stored())).clamp(POINTS.0, POINTS.1);
    let chunks = Chunk::cut(batch, points, target);
    let threads = rayon::current_num_threads();
    let wanted = match chunks.len() {
        _ if !split || threads == 1 => 1,
        // Each task copies the border of its chunk for itself: of a single one not more often than needed.
        1 => threads,
        n if n >= 2 * threads => 1,
        _ => 2 * threads,
    };
    let pieces = wanted.div_ceil(chunks.len().max(1)).min(cut.panels());
    let terms: usize = parts.iter().map(|p| p.gather.terms()).sum();
    let work = batch * points.0 * points.1 * terms * cut.columns;
    for_each(chunks.len() * pieces, work, |task| {
        let (chunk, piece) = (&chunks[task / pieces], task % pieces);
        let panels = piece * cut.panels() / pieces..(piece + 1) * cut.panels() / pieces;
        let layout = Layout::new(&parts[0].gather, chunk);
        let mut copy = Scratch::new(layout.copied);
        let source = load(&parts[0].gather, chunk, &layout, group, x, &mut copy);
        let sums: Vec<_> =
            parts.iter().map(|p| multiply(isa, p, chunk, &layout, source, panels.clone())).collect();
        store(chunk, panels, &sums);
    });
}

/// The sums of one part.
fn multiply<T: Element>(
    isa: Isa,
    part: &Part<'_, T>,
    chunk: &Chunk,
    layout: &Layout,
    source: &[T],
    panels: Range<usize>,
) -> Sums<T> {
    let Part { gather, weights } = part;
    let cut = weights.cut;
    let (points, terms) = (layout.points(gather, chunk), layout.terms(gather));
    let stored = cut.first(panels.end - 1) + cut.width(panels.end - 1) - cut.first(panels.start);
    let data = Scratch::new(points.len() * stored);
    let mut sums = Sums { data, cut, first_panel: panels.start, points: points.len() };
    for first in (0..terms.len()).step_by(TERMS) {
        let range = first..terms.len().min(first + TERMS);
        for j in panels.clone() {
            let mut buffer = None;
            let product = Product {
                a: source,
                rows: &points,
                sums: &terms[range.clone()],
                b: weights.part(isa, j, range.clone(), &mut buffer),
                out: sums.panel_mut(j),
                width: cut.width(j),
                add: first > 0,
            };
            T::multiply(isa, product);
        }
    }
    sums
}
