//! The convolution itself, and the products over gathered pixels that the gradient of the input shares with it.

use super::geometry::{Gather, Geometry};
use super::panels::{Cut, Panels};
use super::source::{Chunk, Layout, load};
use crate::product::Product;
use crate::simd::{Element, Isa};
use crate::threads::{Scratch, Shared, for_each};
use std::ops::Range;

/// Output points that are worked on together: their partial sums stay in the second-level cache.
const POINTS: usize = 512;
/// Terms of the sum that are worked on together: one panel of so many rows stays in the cache.
const TERMS: usize = 256;

/// `y = x ∗ w`; every number of `y` is written.
pub(super) fn forward<T: Element>(isa: Isa, g: &Geometry, x: &[T], w: &[T], y: &mut [T]) {
    let gather = Gather::forward(g);
    let y = Shared::new(y);
    let weights_len = g.c_out * gather.terms();
    let plane = g.size_out.0 * g.size_out.1;
    for group in 0..g.groups {
        let w = &w[group * weights_len..][..weights_len];
        let weights = Panels::forward_weights(isa, w, g.c_out, gather.terms());
        each_chunk(isa, g.batch, &gather, group, x, &weights, |chunk, panels, out: &[T]| {
            let points = chunk.points_per_image(&gather);
            let first_point = chunk.rows.start * g.size_out.1;
            for (i, image) in chunk.images.clone().enumerate() {
                for j in panels.clone() {
                    let (from, width) = panel_of(out, weights.cut, &panels, chunk.points(&gather), j);
                    let channel = (image * g.groups + group) * g.c_out + weights.cut.first(j);
                    for n in 0..weights.cut.used(j) {
                        let start = (channel + n) * plane + first_point;
                        // SAFETY: this image, channel and range of rows belong to this task alone.
                        let to = unsafe { y.part(start..start + points) };
                        for (p, v) in to.iter_mut().enumerate() {
                            *v = from[(i * points + p) * width + n];
                        }
                    }
                }
            }
        });
    }
}

/// The part of the partial sums that belongs to panel `j`, and the panel's width.
pub(super) fn panel_of<'a, T>(
    out: &'a [T],
    cut: Cut,
    panels: &Range<usize>,
    points: usize,
    j: usize,
) -> (&'a [T], usize) {
    let start = (cut.first(j) - cut.first(panels.start)) * points;
    (&out[start..start + cut.width(j) * points], cut.width(j))
}

/// Multiplies the pixels of each chunk with each panel of weights, and hands the sums, panel by panel, points × width, to
/// `store(chunk, panels, sums)`. A task takes one chunk and a range of panels; the sums do not depend on that.
pub(super) fn each_chunk<T: Element>(
    isa: Isa,
    batch: usize,
    gather: &Gather,
    group: usize,
    x: &[T],
    weights: &Panels<T>,
    store: impl Fn(&Chunk, Range<usize>, &[T]) + Sync + Send,
) {
    let chunks = Chunk::cut(batch, gather.points, POINTS);
    let n_panels = weights.cut.panels();
    let wanted =
        if chunks.len() < 2 * rayon::current_num_threads() { 2 * rayon::current_num_threads() } else { 1 };
    let pieces = wanted.div_ceil(chunks.len().max(1)).min(n_panels);
    let work = batch * gather.points.0 * gather.points.1 * gather.terms() * weights.cut.columns;
    for_each(chunks.len() * pieces, work, |task| {
        let (chunk, piece) = (&chunks[task / pieces], task % pieces);
        let panels = piece * n_panels / pieces..(piece + 1) * n_panels / pieces;
        let layout = Layout::new(gather, chunk);
        let mut copy = Scratch::new(layout.copied);
        let source = load(gather, chunk, &layout, group, x, &mut copy);
        let points = layout.points(gather, chunk);
        let terms = layout.terms(gather);
        let mut out = Scratch::new(points.len() * weights.cut.stored());
        for first in (0..terms.len()).step_by(TERMS) {
            let range = first..terms.len().min(first + TERMS);
            let mut rest = &mut out[..];
            for j in panels.clone() {
                let (now, later) = rest.split_at_mut(points.len() * weights.cut.width(j));
                rest = later;
                T::multiply(
                    isa,
                    Product {
                        a: source,
                        rows: &points,
                        sums: &terms[range.clone()],
                        b: weights.part(j, range.clone()),
                        out: now,
                        width: weights.cut.width(j),
                        add: first > 0,
                    },
                );
            }
        }
        store(chunk, panels, &out);
    });
}
