//! The quadratic program of the one-class support vector machine, by sequential minimal optimization: pairs of multipliers
//! are moved, chosen by the second-order rule of Fan, Chen and Lin, 2005 (as LIBSVM does).
//!
//! minimize ½ αᵀ K α over 0 ≤ αᵢ ≤ 1 with Σ αᵢ = ν N. With LIBSVM's bounds the paper's αᵢ are these, divided by ν N.

use candle_core::Tensor;
use flicker_core::Result;
use flicker_core::rows::{product, with_values};
use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

/// Numbers that the kernel's kept rows may take: 256 MiB.
const KEPT: usize = 64 << 20;
/// Rows of the kernel that are computed together at the start.
const TOGETHER: usize = 256;

/// The Gaussian kernel of training rows, of which rows are computed when needed and kept while there is room.
pub(crate) struct Kernel {
    xs: Tensor,
    squares: Vec<f32>,
    gamma: f64,
    kept: HashMap<usize, Arc<Vec<f32>>>,
    order: VecDeque<usize>,
}

/// `exp(-γ max(0, ‖a‖² + ‖b‖² - 2 a·b))`.
pub(crate) fn gaussian(gamma: f64, a: f32, b: f32, ab: f32) -> f32 {
    (-gamma as f32 * (a + b - 2.0 * ab).max(0.0)).exp()
}

impl Kernel {
    /// Of the rows `xs` (N, F), whose squares are given.
    pub(crate) fn new(xs: Tensor, squares: Vec<f32>, gamma: f64) -> Self {
        Self { xs, squares, gamma, kept: HashMap::new(), order: VecDeque::new() }
    }

    fn n(&self) -> usize {
        self.squares.len()
    }

    /// Row `i`.
    fn row(&mut self, i: usize) -> Result<Arc<Vec<f32>>> {
        if let Some(row) = self.kept.get(&i) {
            return Ok(row.clone());
        }
        let row = Arc::new(self.rows(i, 1)?.remove(0));
        if self.order.len() >= (KEPT / self.n()).max(2)
            && let Some(oldest) = self.order.pop_front()
        {
            self.kept.remove(&oldest);
        }
        self.order.push_back(i);
        self.kept.insert(i, row.clone());
        Ok(row)
    }

    fn rows(&self, first: usize, n: usize) -> Result<Vec<Vec<f32>>> {
        let products = product(&self.xs.narrow(0, first, n)?, &self.xs)?; // (n, N)
        with_values(&products, |products| {
            let row = |(i, products): (usize, &[f32])| {
                let a = self.squares[first + i];
                let mut row: Vec<f32> = products
                    .iter()
                    .zip(&self.squares)
                    .map(|(ab, b)| gaussian(self.gamma, a, *b, *ab))
                    .collect();
                row[first + i] = 1.0; // which rounding may miss
                row
            };
            products.chunks(self.n()).enumerate().map(row).collect()
        })
    }
}

/// Where the search stands.
pub(crate) struct Search {
    kernel: Kernel,
    /// The multipliers.
    pub(crate) alpha: Vec<f64>,
    /// K α, the gradient.
    gradient: Vec<f64>,
}

impl Search {
    /// The start of Schölkopf et al.: the first ν N multipliers are at their bound.
    pub(crate) fn new(kernel: Kernel, nu: f64) -> Result<Self> {
        let n = kernel.n();
        let total = nu * n as f64;
        let whole = (total.floor() as usize).min(n);
        let mut alpha = vec![0.0; n];
        alpha[..whole].fill(1.0);
        if whole < n {
            alpha[whole] = total - whole as f64;
        }
        let mut gradient = vec![0.0; n];
        let used = (whole + 1).min(n);
        for first in (0..used).step_by(TOGETHER) {
            for (i, row) in kernel.rows(first, TOGETHER.min(used - first))?.iter().enumerate() {
                let weight = alpha[first + i];
                gradient.iter_mut().zip(row).for_each(|(g, k)| *g += weight * f64::from(*k));
            }
        }
        Ok(Self { kernel, alpha, gradient })
    }

    /// Moves one pair. Answers with the violation of the optimality conditions before; below `tolerance` nothing is moved.
    pub(crate) fn step(&mut self, tolerance: f64) -> Result<f64> {
        let up = |i: usize| self.alpha[i] < 1.0;
        let down = |i: usize| self.alpha[i] > 0.0;
        let n = self.alpha.len();
        // The multiplier that gains most by growing, and the smallest gradient of those that may shrink.
        let smallest =
            (0..n).filter(|&i| up(i)).min_by(|&a, &b| self.gradient[a].total_cmp(&self.gradient[b]));
        let Some(i) = smallest else { return Ok(0.0) };
        let row_i = self.kernel.row(i)?;
        let (mut j, mut best, mut violation) = (i, 0.0, 0.0f64);
        for t in (0..n).filter(|&t| down(t)) {
            let apart = self.gradient[t] - self.gradient[i];
            violation = violation.max(apart);
            let gain = apart * apart / curvature(row_i[t]);
            if apart > 0.0 && gain > best {
                (j, best) = (t, gain);
            }
        }
        if violation < tolerance || j == i {
            return Ok(violation);
        }
        let wanted = (self.gradient[j] - self.gradient[i]) / curvature(row_i[j]);
        let (room_i, room_j) = (1.0 - self.alpha[i], self.alpha[j]);
        let moved = wanted.min(room_i).min(room_j);
        // At a bound exactly, so that the sets of those that may move are right.
        self.alpha[i] = if moved == room_i { 1.0 } else { self.alpha[i] + moved };
        self.alpha[j] = if moved == room_j { 0.0 } else { self.alpha[j] - moved };
        let row_j = self.kernel.row(j)?;
        for (g, (a, b)) in self.gradient.iter_mut().zip(row_i.iter().zip(row_j.iter())) {
            *g += moved * (f64::from(*a) - f64::from(*b));
        }
        Ok(violation)
    }

    /// ρ: the mean gradient of multipliers strictly between the bounds, or, without any, the middle of what the others allow.
    pub(crate) fn rho(&self) -> f64 {
        let pairs = || self.alpha.iter().zip(&self.gradient);
        let free: Vec<f64> = pairs().filter(|(a, _)| **a > 0.0 && **a < 1.0).map(|(_, g)| *g).collect();
        if !free.is_empty() {
            return free.iter().sum::<f64>() / free.len() as f64;
        }
        let highest = pairs().filter(|(a, _)| **a >= 1.0).map(|(_, g)| *g).fold(f64::NEG_INFINITY, f64::max);
        let lowest = pairs().filter(|(a, _)| **a <= 0.0).map(|(_, g)| *g).fold(f64::INFINITY, f64::min);
        (highest + lowest) / 2.0
    }
}

/// `K_ii + K_jj - 2 K_ij`, kept from zero.
fn curvature(k: f32) -> f64 {
    (2.0 - 2.0 * f64::from(k)).max(1e-12)
}
