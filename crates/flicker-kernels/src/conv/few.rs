//! The gradient by the input of so few pixels (one image, as when a single sample is scored) that packing the weights would
//! cost more than the products: here the pixels are unfolded and packed, and the weights are read in place.

use super::forward::TERMS;
use super::geometry::{Geometry, Phase};
use super::source::{Chunk, Layout, load};
use crate::panels::Panels;
use crate::product::Product;
use crate::simd::{Element, Isa};
use crate::threads::{Scratch, Shared, for_each};

/// Points of one phase, over the whole batch, up to which this way is better.
const FEW: usize = 16;
/// Input channels that one task takes.
const ROWS: usize = 24;

/// Whether [`input_grad`] here costs less than packing the weights does.
pub(super) fn is_better(g: &Geometry, phases: &[&Phase]) -> bool {
    let points = phases.iter().map(|p| g.batch * p.gather.points.0 * p.gather.points.1).max();
    points.is_some_and(|n| n <= FEW) && g.c_in >= ROWS
}

/// One phase: its unfolded pixels, terms × points, and where each term's weight lies.
struct Unfolded<'a, T: Element> {
    phase: &'a Phase,
    pixels: Panels<T>,
    weights: Vec<usize>,
}

impl<'a, T: Element> Unfolded<'a, T> {
    fn new(isa: Isa, g: &Geometry, phase: &'a Phase, group: usize, dy: &[T]) -> Self {
        let gather = &phase.gather;
        let chunk = Chunk { images: 0..g.batch, rows: 0..gather.points.0 };
        let layout = Layout::new(gather, &chunk);
        let mut copy = Scratch::new(layout.copied);
        let source = load(gather, &chunk, &layout, group, dy, &mut copy);
        let (points, terms) = (layout.points(gather, &chunk), layout.terms(gather));
        let mut pixels = Panels::new(isa, terms.len(), points.len());
        pixels.fill(|first, used, width, panel| {
            for (row, term) in panel.chunks_exact_mut(width).zip(&terms) {
                let pixels = points[first..first + used].iter().map(|p| source[p + term]);
                row.iter_mut().zip(pixels.chain(std::iter::repeat(T::default()))).for_each(|(to, v)| *to = v);
            }
        });
        let kernel = |o: usize| phase.kernel_taps.iter().map(move |tap| o * g.c_in * g.taps() + tap);
        Self { phase, pixels, weights: (0..g.c_out).flat_map(kernel).collect() }
    }

    /// The sums of some input channels at the points of panel `j`: channels × width.
    fn multiply(&self, isa: Isa, w: &[T], rows: &[usize], j: usize) -> Scratch<T> {
        let width = self.pixels.cut.width(j);
        let mut out = Scratch::new(rows.len() * width);
        for first in (0..self.weights.len()).step_by(TERMS) {
            let range = first..self.weights.len().min(first + TERMS);
            let product = Product {
                a: w,
                rows,
                sums: &self.weights[range.clone()],
                b: self.pixels.part(j, range),
                out: &mut out,
                width,
                add: first > 0,
            };
            T::multiply(isa, product);
        }
        out
    }

    /// Where point `p` lies in the gradient of the input: image, and offset within a channel.
    fn place(&self, g: &Geometry, p: usize) -> (usize, usize) {
        let points = self.phase.gather.points;
        let (image, i, j) = (p / (points.0 * points.1), p / points.1 % points.0, p % points.1);
        let row = i * g.stride.0 + self.phase.first.0;
        (image, row * g.size_in.1 + j * g.stride.1 + self.phase.first.1)
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
    let unfolded: Vec<_> = phases.iter().map(|p| Unfolded::new(isa, g, p, group, dy)).collect();
    let plane = g.size_in.0 * g.size_in.1;
    let work = g.batch * plane * w.len() / (g.stride.0 * g.stride.1);
    for_each(g.c_in.div_ceil(ROWS), work, |task| {
        let channels = task * ROWS..g.c_in.min((task + 1) * ROWS);
        let rows: Vec<usize> = channels.clone().map(|c| c * g.taps()).collect();
        // All phases of one block of channels in turn: its weights stay in the cache.
        for u in &unfolded {
            for j in 0..u.pixels.cut.panels() {
                let (first, width) = (u.pixels.cut.first(j), u.pixels.cut.width(j));
                let sums = u.multiply(isa, w, &rows, j);
                for p in 0..u.pixels.cut.used(j) {
                    let (image, pixel) = u.place(g, first + p);
                    let start = (image * g.groups + group) * g.c_in + channels.start;
                    for (n, row) in sums.chunks_exact(width).take(rows.len()).enumerate() {
                        let at = (start + n) * plane + pixel;
                        // SAFETY: these channels belong to this task alone.
                        let to = unsafe { dx.part(at..at + 1) };
                        to[0] = row[p];
                    }
                }
            }
        }
    });
}
