//! The gradient by the input of so few pixels (one image, as when a single sample is scored) that packing the weights would cost more than
//! the products: here the pixels are unfolded and packed, and the weights are read in place.

use super::forward::TERMS;
use super::geometry::{Gather, Geometry, Phase};
use super::source::{Chunk, Layout, copy_line, load};
use crate::panels::Panels;
use crate::product::Product;
use crate::simd::{Element, Isa};
use crate::threads::{Scratch, Shared, for_each, for_elements};
use std::ops::Range;

/// Points of one phase, over the whole batch, up to which this way is better.
const FEW: usize = 16;
/// Channels that are multiplied together: one tile.
const ROWS: usize = 12;

/// Whether [`input_grad`] here costs less than packing the weights does.
pub(super) fn is_better(g: &Geometry, phases: &[&Phase]) -> bool {
    let points = phases.iter().map(|p| g.batch * p.gather.points.0 * p.gather.points.1).max();
    points.is_some_and(|n| n <= FEW) && g.c_in >= 2 * ROWS
}

/// All points of some taps: their pixels as terms × points, and where each term's weight lies.
struct Unfolded<'a, T: Element> {
    pixels: Panels<'a, T>,
    weights: Vec<usize>,
}

impl<T: Element> Unfolded<'_, T> {
    /// Room for the pixels.
    fn new(isa: Isa, batch: usize, gather: &Gather, weights: Vec<usize>) -> Self {
        let points = batch * gather.points.0 * gather.points.1;
        Self { pixels: Panels::new(isa, gather.terms(), points), weights }
    }

    /// Reads the pixels of one group.
    fn fill(&mut self, batch: usize, gather: &Gather, group: usize, from: &[T]) {
        let chunk = Chunk { images: 0..batch, rows: 0..gather.points.0 };
        let layout = Layout::new(gather, &chunk);
        let mut copy = Scratch::new(layout.copied);
        let source = load(gather, &chunk, &layout, group, from, &mut copy);
        let (points, terms) = (layout.points(gather, &chunk), layout.terms(gather));
        self.pixels.fill(|first, used, width, panel| {
            let points = &points[first..first + used];
            // The points of one row of an image lie side by side, and no panel cuts a row.
            let whole_rows = gather.step.1 == 1 && width.is_multiple_of(gather.points.1);
            let run = if whole_rows { gather.points.1 } else { 1 };
            for (row, term) in panel.chunks_exact_mut(width).zip(&terms) {
                let (row, unused) = row.split_at_mut(used);
                unused.fill(T::default());
                for (to, points) in row.chunks_mut(run).zip(points.chunks(run)) {
                    copy_line(&source[points[0] + term..][..to.len()], to);
                }
            }
        });
    }

    /// Adds, for the channels whose weights begin at `rows`, what the terms `range` give at the points of panel `j`:
    /// channels × width.
    fn multiply(&self, isa: Isa, w: &[T], rows: &[usize], j: usize, range: Range<usize>, out: &mut [T]) {
        let mut buffer = None;
        let product = Product {
            a: w,
            rows,
            sums: &self.weights[range.clone()],
            add: range.start > 0,
            b: self.pixels.part(isa, j, range, &mut buffer),
            out,
            width: self.pixels.cut.width(j),
        };
        T::multiply(isa, product);
    }

    /// Its terms, a block at a time.
    fn blocks(&self) -> impl Iterator<Item = Range<usize>> {
        let n = self.weights.len();
        (0..n).step_by(TERMS).map(move |first| first..n.min(first + TERMS))
    }
}

impl Phase {
    /// Where point `p` lies in the gradient of the input: image, and offset within a channel.
    fn place(&self, g: &Geometry, p: usize) -> (usize, usize) {
        let points = self.gather.points;
        let (image, i, j) = (p / (points.0 * points.1), p / points.1 % points.0, p % points.1);
        let row = i * g.stride.0 + self.first.0;
        (image, row * g.size_in.1 + j * g.stride.1 + self.first.1)
    }
}

/// Writes the pixels of `dx` that belong to `phases`, of one group with the weights `w`.
pub(super) fn input_grad<T: Element>(
    isa: Isa,
    g: &Geometry,
    (phases, group): (&[&Phase], usize),
    dy: &[T],
    w: &[T],
    dx: &Shared<'_, T>,
) {
    let room = |phase: &&Phase| {
        let kernel = |o: usize| phase.kernel_taps.iter().map(move |tap| o * g.c_in * g.taps() + tap);
        Unfolded::new(isa, g.batch, &phase.gather, (0..g.c_out).flat_map(kernel).collect())
    };
    let mut unfolded: Vec<_> = phases.iter().map(room).collect();
    let numbers: usize = unfolded.iter().map(|u| u.weights.len() * u.pixels.cut.columns).sum();
    let shared = Shared::new(&mut unfolded);
    for_elements(phases.len(), numbers, |i| {
        // SAFETY: this phase's pixels belong to this task alone.
        let own = unsafe { shared.part(i, 1) };
        own[0].fill(g.batch, &phases[i].gather, group, dy);
    });
    let plane = g.size_in.0 * g.size_in.1;
    let work = g.batch * plane * w.len() / (g.stride.0 * g.stride.1);
    let n_blocks = unfolded.iter().map(|u| u.blocks().count()).max().unwrap_or(0);
    for_each(g.c_in.div_ceil(ROWS), work, |task| {
        let channels = task * ROWS..g.c_in.min((task + 1) * ROWS);
        let rows: Vec<usize> = channels.clone().map(|c| c * g.taps()).collect();
        let mut sums: Vec<_> =
            unfolded.iter().map(|u| Scratch::new(rows.len() * u.pixels.cut.stored())).collect();
        // All phases of a block in turn: its weights, which hold the taps of every phase, stay in the cache.
        for block in 0..n_blocks {
            for (u, sums) in unfolded.iter().zip(&mut sums) {
                let cut = u.pixels.cut;
                if let Some(range) = u.blocks().nth(block) {
                    for j in 0..cut.panels() {
                        let out = &mut sums[rows.len() * cut.first(j)..][..rows.len() * cut.width(j)];
                        u.multiply(isa, w, &rows, j, range.clone(), out);
                    }
                }
            }
        }
        for ((u, phase), sums) in unfolded.iter().zip(phases).zip(&sums) {
            let cut = u.pixels.cut;
            for p in 0..cut.columns {
                let (image, pixel) = phase.place(g, p);
                let (start, j) = ((image * g.groups + group) * g.c_in + channels.start, p / cut.width(0));
                for n in 0..rows.len() {
                    let at = (start + n) * plane + pixel;
                    // SAFETY: these channels belong to this task alone.
                    let to = unsafe { dx.part(at, 1) };
                    to[0] = sums[rows.len() * cut.first(j) + n * cut.width(j) + p - cut.first(j)];
                }
            }
        }
    });
}
