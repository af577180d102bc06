//! The gradient of a convolution by its weights.
//!
//! The sum runs over images and pixels in one fixed order; threads share the rows and columns of the result, never the
//! sum, so the bytes do not depend on their number.

use super::geometry::{Gather, Geometry};
use super::source::{Chunk, Layout, pad};
use crate::panels::{Cut, Panels, zero_unused};
use crate::product::Product;
use crate::simd::{Element, Isa};
use crate::threads::{Scratch, Shared, for_each, for_elements};
use crate::transpose::transpose;

/// Points that are copied and transposed together.
const POINTS: usize = 1024;
/// Points of one sum; one panel of so many rows stays in the cache.
const SUM: usize = 256;
/// Rows of the result that one task takes.
const ROWS: usize = 96;

/// `dw` from `x` and `dy`; every number of `dw` is written.
pub(super) fn weight_grad<T: Element>(isa: Isa, g: &Geometry, x: &[T], dy: &[T], dw: &mut [T]) {
    match exchanged::<T>(isa, g) {
        Some(other) => by_exchange(isa, g, &other, (x, dy), dw),
        None => add_chunks(isa, g, x, dy, dw),
    }
}

/// The same sums with the image and the gradient in each other's place, where that fills more of the vectors: they run over
/// output channels, of which the last layer of a network has one or three. The gradient is then what the kernel moves over,
/// the other way round.
fn exchanged<T: Element>(isa: Isa, g: &Geometry) -> Option<Geometry> {
    let border =
        |kernel: usize, dilation: usize, padding: usize| (dilation * (kernel - 1)).checked_sub(padding);
    let padding =
        (border(g.kernel.0, g.dilation.0, g.padding.0)?, border(g.kernel.1, g.dilation.1, g.padding.1)?);
    let better = 2 * g.c_out <= isa.lanes::<T>() && g.c_in >= 4 * g.c_out;
    (better && g.stride == (1, 1)).then_some(Geometry {
        c_in: g.c_out,
        c_out: g.c_in,
        size_in: g.size_out,
        size_out: g.size_in,
        padding,
        ..*g
    })
}

/// `dw` by the exchanged sums: what comes out is turned round, and its channels are exchanged.
fn by_exchange<T: Element>(isa: Isa, g: &Geometry, other: &Geometry, (x, dy): (&[T], &[T]), dw: &mut [T]) {
    let (mut turned, taps) = (Scratch::new(dw.len()), g.taps());
    add_chunks(isa, other, dy, x, &mut turned);
    for (i, kernel) in dw.chunks_exact_mut(taps).enumerate() {
        let (group, o, c) = (i / (g.c_in * g.c_out), i / g.c_in % g.c_out, i % g.c_in);
        let from = &turned[((group * g.c_in + c) * g.c_out + o) * taps..][..taps];
        kernel.iter_mut().zip(from.iter().rev()).for_each(|(to, &from)| *to = from);
    }
}

/// `dw`, by one chunk of points after the other.
fn add_chunks<T: Element>(isa: Isa, g: &Geometry, x: &[T], dy: &[T], dw: &mut [T]) {
    let gather = Gather::forward(g);
    let chunks = Chunk::cut(g.batch, gather.points, POINTS);
    let cut = Cut::new::<T>(isa, g.c_out);
    let terms = gather.terms();
    // The transposed result, in panels.
    let mut sums = Scratch::new(terms * cut.stored());
    for group in 0..g.groups {
        sums.fill(T::default());
        for chunk in &chunks {
            add_chunk(isa, g, &gather, chunk, group, (x, dy), cut, &mut sums);
        }
        let dw = &mut dw[group * g.c_out * terms..][..g.c_out * terms];
        for j in 0..cut.panels() {
            let from = &sums[terms * cut.first(j)..][..terms * cut.width(j)];
            let to = &mut dw[cut.first(j) * terms..][..cut.used(j) * terms];
            transpose(isa, (from, cut.width(j)), (to, terms), (terms, cut.used(j)));
        }
    }
}

/// Adds what the images of one chunk give.
#[allow(clippy::too_many_arguments)]
fn add_chunk<T: Element>(
    isa: Isa,
    g: &Geometry,
    gather: &Gather,
    chunk: &Chunk,
    group: usize,
    (x, dy): (&[T], &[T]),
    cut: Cut,
    sums: &mut [T],
) {
    let layout = Layout::new(gather, chunk);
    let (points, terms) = (layout.points(gather, chunk), layout.terms(gather));
    let mut copy = Scratch::new(layout.copied);
    let mut right = Panels::new(isa, points.len(), g.c_out);
    prepare(isa, g, gather, chunk, group, (x, dy), &layout, &mut copy, &mut right);
    let plane = gather.size.0 * gather.size.1;
    let first = (chunk.images.start * gather.channels_total + group * gather.channels) * plane;
    let source: &[T] = if layout.copied == 0 { &x[first..] } else { &copy };
    let blocks = terms.len().div_ceil(ROWS);
    let work = points.len() * terms.len() * g.c_out;
    let sums = Shared::new(sums);
    for_each(cut.panels() * blocks, work, |task| {
        let (j, block) = (task / blocks, task % blocks);
        let rows = block * ROWS..terms.len().min((block + 1) * ROWS);
        let start = terms.len() * cut.first(j);
        // SAFETY: each task takes its own rows of its own panel.
        let out = unsafe { sums.part(start + rows.start * cut.width(j), rows.len() * cut.width(j)) };
        for first in (0..points.len()).step_by(SUM) {
            let range = first..points.len().min(first + SUM);
            let mut buffer = None;
            T::multiply(
                isa,
                Product {
                    a: source,
                    rows: &terms[rows.clone()],
                    sums: &points[range.clone()],
                    b: right.part(isa, j, range, &mut buffer),
                    out,
                    width: cut.width(j),
                    add: true,
                },
            );
        }
    });
}

/// Copies the images with their borders, and transposes the gradient of the output to points × channels.
#[allow(clippy::too_many_arguments)]
fn prepare<T: Element>(
    isa: Isa,
    g: &Geometry,
    gather: &Gather,
    chunk: &Chunk,
    group: usize,
    (x, dy): (&[T], &[T]),
    layout: &Layout,
    copy: &mut Scratch<T>,
    right: &mut Panels<'_, T>,
) {
    let per_image = chunk.points_per_image(gather);
    let (cut, n_points) = (right.cut, right.rows);
    let copied = layout.copied / chunk.images.len();
    let plane = gather.size.0 * gather.size.1;
    let plane_out = g.size_out.0 * g.size_out.1;
    let (copy, right) = (Shared::new(copy), right.shared());
    for_elements(chunk.images.len(), layout.copied + n_points * g.c_out, |i| {
        let image = chunk.images.start + i;
        if copied > 0 {
            let from = &x[(image * gather.channels_total + group * gather.channels) * plane..];
            // SAFETY: each task takes its own image.
            pad(gather, chunk, from, unsafe { copy.part(i * copied, copied) });
        }
        for j in 0..cut.panels() {
            let (width, used) = (cut.width(j), cut.used(j));
            let start = n_points * cut.first(j) + i * per_image * width;
            // SAFETY: each task takes the points of its own image.
            let to = unsafe { right.part(start, per_image * width) };
            zero_unused(to, used, width);
            let channel = (image * g.groups + group) * g.c_out + cut.first(j);
            let from = &dy[channel * plane_out + chunk.rows.start * g.size_out.1..];
            transpose(isa, (from, plane_out), (to, width), (used, per_image));
        }
    });
}
