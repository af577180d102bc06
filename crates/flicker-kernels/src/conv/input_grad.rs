//! The gradient of a convolution by its input, which is also the transposed convolution.
//!
//! Input pixels with the same residue modulo the stride read the output's gradient through the same taps, so each residue
//! (phase) is a convolution of step 1 with a part of the kernel, and no product meets an inserted zero.

use super::forward::{each_chunk, panel_of};
use super::geometry::{Geometry, phases};
use super::panels::Panels;
use crate::simd::{Element, Isa};
use crate::threads::Shared;

/// `dx` from `dy`; every number of `dx` is written.
pub(super) fn input_grad<T: Element>(isa: Isa, g: &Geometry, dy: &[T], w: &[T], dx: &mut [T]) {
    let phases = phases(g);
    if phases.iter().any(|p| p.gather.taps.is_empty()) {
        dx.fill(T::default());
    }
    let dx = Shared::new(dx);
    let weights_len = g.c_out * g.c_in * g.taps();
    let (height, width_in) = g.size_in;
    for group in 0..g.groups {
        let w = &w[group * weights_len..][..weights_len];
        for phase in phases.iter().filter(|p| !p.gather.taps.is_empty()) {
            let weights = Panels::backward_weights(isa, w, (g.c_out, g.c_in), g.taps(), &phase.kernel_taps);
            let gather = &phase.gather;
            each_chunk(isa, g.batch, gather, group, dy, &weights, |chunk, panels, out: &[T]| {
                let points = chunk.points_per_image(gather);
                for (i, image) in chunk.images.clone().enumerate() {
                    for j in panels.clone() {
                        let (from, width) = panel_of(out, weights.cut, &panels, chunk.points(gather), j);
                        let channel = (image * g.groups + group) * g.c_in + weights.cut.first(j);
                        for n in 0..weights.cut.used(j) {
                            for (r, row) in chunk.rows.clone().enumerate() {
                                let start =
                                    ((channel + n) * height + row * g.stride.0 + phase.first.0) * width_in;
                                // SAFETY: this row belongs to this task alone: phases run one after another.
                                let to = unsafe { dx.part(start..start + width_in) };
                                for (c, v) in to[phase.first.1..].iter_mut().step_by(g.stride.1).enumerate() {
                                    *v = from[(i * points + r * gather.points.1 + c) * width + n];
                                }
                            }
                        }
                    }
                }
            });
        }
    }
}
