//! The gradient of a convolution by its input, which is also the transposed convolution.
//!
//! Input pixels with the same residue modulo the stride read the output's gradient through the same taps, so each residue
//! (phase) is a convolution of step 1 with a part of the kernel, and no product meets an inserted zero. The phases are
//! computed together, from one padded copy of the gradient, and interleaved when they are stored.

use super::forward::{Channels, Part, Sums, each_chunk};
use super::geometry::{Geometry, Phase, phases};
use super::source::Chunk;
use super::{few, scatter};
use crate::panels::{Cut, Panels};
use crate::simd::{Element, Isa};
use crate::threads::{Scratch, Shared};
use crate::transpose::transpose;
use std::ops::Range;

/// `dx` from `dy`; every number of `dx` is written.
pub(super) fn input_grad<T: Element>(isa: Isa, g: &Geometry, dy: &[T], w: &[T], dx: &mut [T]) {
    let all = phases(g);
    if scatter::is_better::<T>(isa, g, &all) {
        return scatter::input_grad(isa, g, dy, w, dx);
    }
    if all.iter().any(|p| p.gather.taps.is_empty()) {
        dx.fill(T::default());
    }
    let phases: Vec<&Phase> = all.iter().filter(|p| !p.gather.taps.is_empty()).collect();
    if phases.is_empty() {
        return;
    }
    let taps: Vec<&[usize]> = phases.iter().map(|p| &p.kernel_taps[..]).collect();
    let dx = Shared::new(dx);
    let weights_len = g.c_out * g.c_in * g.taps();
    for group in 0..g.groups {
        let w = &w[group * weights_len..][..weights_len];
        if few::is_better(g, &phases) {
            few::input_grad(isa, g, (&phases, group), dy, w, &dx);
            continue;
        }
        let weights = Panels::backward_weights(isa, w, (g.c_out, g.c_in, g.taps()), &taps);
        let part = |(p, weights): (&&Phase, _)| Part { gather: p.gather.clone(), weights };
        let parts: Vec<_> = phases.iter().zip(weights).map(part).collect();
        let store = Store { isa, g, group, phases: &phases };
        each_chunk(isa, (g.batch, group), dy, &parts, true, |chunk, panels, sums| {
            store.chunk(chunk, panels, sums, &dx);
        });
    }
}

/// How the sums of the phases are written.
struct Store<'a> {
    isa: Isa,
    g: &'a Geometry,
    group: usize,
    phases: &'a [&'a Phase],
}

impl Store<'_> {
    fn chunk<T: Element>(&self, chunk: &Chunk, panels: Range<usize>, sums: &[Sums<T>], dx: &Shared<'_, T>) {
        let g = self.g;
        if g.stride == (1, 1) {
            let channels =
                Channels { group: self.group, n_groups: g.groups, per_group: g.c_in, size: g.size_in };
            return channels.store(self.isa, chunk, panels, &sums[0], dx, &|_, _| ());
        }
        for j in panels {
            // Channel-first copies of each phase: channels × points.
            let copies: Vec<Scratch<T>> = sums
                .iter()
                .map(|s| {
                    let (from, width) = s.panel(j);
                    let mut copy = Scratch::new(width * s.points);
                    transpose(self.isa, (from, width), (&mut copy, s.points), (s.points, width));
                    copy
                })
                .collect();
            let mut first = 0;
            for same_rows in self.phases.chunk_by(|a, b| a.first.0 == b.first.0) {
                let copies = &copies[first..first + same_rows.len()];
                for i in 0..chunk.images.len() {
                    self.interleave(chunk, i, (j, sums[0].cut), same_rows, copies, dx);
                }
                first += same_rows.len();
            }
        }
    }

    /// Writes the rows of image `i` of the chunk that have one residue, for the channels of panel `j`.
    fn interleave<T: Element>(
        &self,
        chunk: &Chunk,
        i: usize,
        (j, cut): (usize, Cut),
        phases: &[&Phase],
        copies: &[Scratch<T>],
        dx: &Shared<'_, T>,
    ) {
        let g = self.g;
        let channel = ((chunk.images.start + i) * g.groups + self.group) * g.c_in + cut.first(j);
        let rows = chunk.rows_of(&phases[0].gather);
        for n in 0..cut.used(j) {
            for (r, row) in rows.clone().enumerate() {
                let row = row * g.stride.0 + phases[0].first.0;
                let start = ((channel + n) * g.size_in.0 + row) * g.size_in.1;
                // SAFETY: this row of this channel belongs to this task alone.
                let to = unsafe { dx.part(start, g.size_in.1) };
                let line = |k: usize| {
                    let columns = phases[k].gather.points.1;
                    let points = chunk.images.len() * rows.len() * columns;
                    &copies[k][n * points + (i * rows.len() + r) * columns..][..columns]
                };
                if let ([_, _], 2) = (phases, g.stride.1) {
                    zip_two(to, line(0), line(1));
                } else {
                    for (k, phase) in phases.iter().enumerate() {
                        let to = to[phase.first.1..].iter_mut().step_by(g.stride.1);
                        to.zip(line(k)).for_each(|(to, &from)| *to = from);
                    }
                }
            }
        }
    }
}

/// Writes `even` and `odd` in turn.
fn zip_two<T: Copy>(to: &mut [T], even: &[T], odd: &[T]) {
    for ((to, &a), &b) in to.chunks_exact_mut(2).zip(even).zip(odd) {
        (to[0], to[1]) = (a, b);
    }
    if even.len() > odd.len() {
        to[2 * odd.len()] = even[odd.len()];
    }
}
