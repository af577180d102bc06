//! The gradient by the input where the input has few channels, or fewer pixels than the kernel has taps: every output pixel
//! is multiplied with the whole kernel, and the products are added to where the kernel lies.

use super::forward::{Part, each_chunk};
use super::geometry::{Gather, Geometry, Phase, Reach};
use crate::matmul::{Matrix, matmul};
use crate::panels::{Cut, Panels};
use crate::simd::{Element, Isa};
use crate::threads::Shared;
use std::ops::Range;

/// Work, in vectors multiplied, that adding one product to its place is worth.
const ADDITION: usize = 2;

/// Whether [`input_grad`] here costs less than gathering does.
pub(super) fn is_better<T: Element>(isa: Isa, g: &Geometry, phases: &[Phase]) -> bool {
    let vectors = |columns| Cut::new::<T>(isa, columns).stored() / isa.lanes::<T>();
    let gathered: usize =
        phases.iter().map(|p| p.gather.points.0 * p.gather.points.1 * p.gather.terms()).sum();
    let columns = g.c_in * g.taps();
    let points = g.size_out.0 * g.size_out.1;
    points * (g.c_out * vectors(columns) + ADDITION * columns) < gathered * vectors(g.c_in)
}

/// Whether the kernel covers each image exactly, as in the last layer of an encoder.
fn is_whole(g: &Geometry) -> bool {
    g.groups == 1
        && g.size_out == (1, 1)
        && g.kernel == g.size_in
        && g.padding == (0, 0)
        && g.dilation == (1, 1)
}

/// `dx` from `dy`; every number of `dx` is written.
pub(super) fn input_grad<T: Element>(isa: Isa, g: &Geometry, dy: &[T], w: &[T], dx: &mut [T]) {
    if is_whole(g) {
        // The kernel lies once on each image, and each product in a place of its own: a product of two matrices.
        let (m, k, n) = (g.batch, g.c_out, g.c_in * g.taps());
        let matrix = |data, columns| Matrix { data, strides: (columns, 1) };
        return matmul(isa, (m, k, n), matrix(dy, k), matrix(w, n), dx, &|_, _| ());
    }
    dx.fill(T::default());
    // All points of an image in one row: a chunk never cuts an image, whose points add to the same pixels.
    let points = (1, g.size_out.0 * g.size_out.1);
    let gather = Gather {
        channels: g.c_out,
        channels_total: g.c_out * g.groups,
        size: points,
        points,
        step: (1, 1),
        reach: Reach::of([(0, 0)].iter()),
        taps: vec![(0, 0)],
    };
    let columns = g.c_in * g.taps();
    let dx = Shared::new(dx);
    // Tasks may share out the panels only where no channel lies in two of them.
    let whole_channels = (2 * isa.lanes::<T>()).is_multiple_of(g.taps());
    for group in 0..g.groups {
        let w = &w[group * g.c_out * columns..][..g.c_out * columns];
        let weights = Panels::plain_weights(isa, w, (g.c_out, columns), g.batch * points.1);
        let parts = [Part { gather: gather.clone(), weights }];
        each_chunk(isa, (g.batch, group), dy, &parts, whole_channels, |chunk, panels, sums| {
            for j in panels {
                let (from, width) = sums[0].panel(j);
                for run in runs(g, sums[0].cut.first(j), sums[0].cut.used(j)) {
                    let images = from.chunks_exact(points.1 * width).zip(chunk.images.clone());
                    for (products, image) in images {
                        let plane = g.size_in.0 * g.size_in.1;
                        let start = ((image * g.groups + group) * g.c_in + run.channel) * plane;
                        // SAFETY: this image's channel belongs to this task alone.
                        let to = unsafe { dx.part(start, plane) };
                        run.add(g, &products[run.first..], width, to);
                    }
                }
            }
        });
    }
}

/// Columns of a panel that belong to one row of the kernel of one channel.
struct Run {
    /// First column, within the panel.
    first: usize,
    channel: usize,
    kernel_row: usize,
    kernel_columns: Range<usize>,
}

/// The columns `first..first + used`, cut into runs.
fn runs(g: &Geometry, first: usize, used: usize) -> Vec<Run> {
    let mut runs = Vec::new();
    let mut at = first;
    while at < first + used {
        let kw = at % g.kernel.1;
        let len = (g.kernel.1 - kw).min(first + used - at);
        runs.push(Run {
            first: at - first,
            channel: at / g.taps(),
            kernel_row: at % g.taps() / g.kernel.1,
            kernel_columns: kw..kw + len,
        });
        at += len;
    }
    runs
}

impl Run {
    /// Adds the products of all points of an image, rows of `width` numbers in `from`, to the plane of the channel.
    fn add<T: Element>(&self, g: &Geometry, from: &[T], width: usize, plane: &mut [T]) {
        for oh in 0..g.size_out.0 {
            let row = (oh * g.stride.0 + self.kernel_row * g.dilation.0).wrapping_sub(g.padding.0);
            if row >= g.size_in.0 {
                continue;
            }
            let line = &mut plane[row * g.size_in.1..][..g.size_in.1];
            for ow in 0..g.size_out.1 {
                let products = &from[(oh * g.size_out.1 + ow) * width..][..self.kernel_columns.len()];
                let start = (ow * g.stride.1 + self.kernel_columns.start).wrapping_sub(g.padding.1);
                let inside =
                    line.get_mut(start..start.wrapping_add(products.len())).filter(|_| g.dilation.1 == 1);
                if let Some(sums) = inside {
                    sums.iter_mut().zip(products).for_each(|(sum, &product)| *sum += product);
                    continue;
                }
                for (kw, &product) in self.kernel_columns.clone().zip(products) {
                    let column = (ow * g.stride.1 + kw * g.dilation.1).wrapping_sub(g.padding.1);
                    if let Some(sum) = line.get_mut(column) {
                        *sum += product;
                    }
                }
            }
        }
    }
}
