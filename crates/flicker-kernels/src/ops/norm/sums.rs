//! Sums over many elements, whose order is that of the shapes alone.

use super::super::real::Real;

/// Elements after which a sum in T goes over into one in f64.
pub(super) const FLUSH: usize = 4096;

/// Sums of two quantities in 16 lanes each; the order is that of the shapes alone.
#[derive(Clone, Copy)]
pub(super) struct Sums<T> {
    lanes: [[T; 16]; 2],
    pending: usize,
    total: [f64; 2],
}

impl<T: Real> Sums<T> {
    #[inline(always)]
    pub(super) fn new() -> Self {
        Self { lanes: [[T::zero(); 16]; 2], pending: 0, total: [0.0; 2] }
    }

    /// Adds `f(x, g)` of each pair of elements.
    #[inline(always)]
    pub(super) fn add(&mut self, x: &[T], g: &[T], f: impl Fn(T, T) -> (T, T)) {
        let g = &g[..x.len()];
        let [mut first, mut second] = self.lanes;
        let full = x.len() / 16 * 16;
        for (x, g) in x[..full].chunks_exact(16).zip(g[..full].chunks_exact(16)) {
            for j in 0..16 {
                let (p, q) = f(x[j], g[j]);
                first[j] += p;
                second[j] += q;
            }
        }
        for j in full..x.len() {
            let (p, q) = f(x[j], g[j]);
            first[j - full] += p;
            second[j - full] += q;
        }
        self.lanes = [first, second];
        self.pending += x.len();
        if self.pending >= FLUSH {
            self.flush();
        }
    }

    #[inline(always)]
    fn flush(&mut self) {
        for (total, lanes) in self.total.iter_mut().zip(&mut self.lanes) {
            // Halves are added to halves, so that the sum is a short tree.
            for width in [8, 4, 2, 1] {
                for j in 0..width {
                    let right = lanes[j + width];
                    lanes[j] += right;
                }
            }
            *total += lanes[0].to_f64();
            *lanes = [T::zero(); 16];
        }
        self.pending = 0;
    }

    #[inline(always)]
    pub(super) fn finish(mut self) -> [f64; 2] {
        self.flush();
        self.total
    }
}
