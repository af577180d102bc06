//! The noise at single points, in any of the three dimensions.

use super::gradients::{FOUR, THREE, TWO};
use super::{Simplex, cell};

/// What differs between dimensions. A vertex of indices `i` lies at `i + squish · Σi`, and a point `p` has the (broken)
/// indices `p + stretch · Σp`.
struct Lattice {
    stretch: f64,
    squish: f64,
    /// What the sum is divided by.
    norm: f64,
    /// How far the index of a vertex within √2 of a point can be from the point's own: √2 times the length of a row of the
    /// matrix that takes points to indices, `√(2 (1 + 2·stretch + N·stretch²))`, rounded up.
    reach: f64,
}

const PLANE: Lattice =
    Lattice { stretch: -0.211_324_865_405_187, squish: 0.366_025_403_784_439, norm: 47.0, reach: 1.1548 };
const HYPER: Lattice =
    Lattice { stretch: -0.138_196_601_125_011, squish: 0.309_016_994_374_947, norm: 30.0, reach: 1.2650 };

impl Simplex {
    /// The noise at `(x, y)`: in (-1, 1), 0 at every vertex of the lattice, standard deviation 0.37.
    pub fn noise2(&self, x: f64, y: f64) -> f64 {
        sum(&PLANE, [x, y], |vertex| TWO[(self.entry(vertex) & 0x0E) / 2])
    }

    /// The noise at `(x, y, z)`; standard deviation 0.31.
    ///
    /// The program of 2014 leaves a vertex out here and there at the rim of its sphere, where it hardly counts; this follows it.
    pub fn noise3(&self, x: f64, y: f64, z: f64) -> f64 {
        let stretched = (x + y + z) * (-1.0 / 6.0);
        let indices = [x + stretched, y + stretched, z + stretched];
        let base = indices.map(f64::floor);
        let squished = base.iter().sum::<f64>() / 3.0;
        let from_base = [x - (base[0] + squished), y - (base[1] + squished), z - (base[2] + squished)];
        let (steps, n) = cell::vertices(std::array::from_fn(|axis| indices[axis] - base[axis]));
        let parts = steps[..n].iter().map(|step| {
            let squished = step.iter().sum::<i64>() as f64 / 3.0;
            let way = std::array::from_fn(|axis| from_base[axis] - step[axis] as f64 - squished);
            bump(way, || THREE[self.third(std::array::from_fn(|axis| base[axis] as i64 + step[axis]))])
        });
        parts.sum::<f64>() / 103.0
    }

    /// The noise at `(x, y, z, w)`. Here all vertices within reach are added up; the program of 2014 may leave one out at the rim
    /// of its sphere, where it hardly counts.
    pub fn noise4(&self, x: f64, y: f64, z: f64, w: f64) -> f64 {
        sum(&HYPER, [x, y, z, w], |vertex| FOUR[(self.entry(vertex) & 0xFC) / 4])
    }
}

/// The sum over all vertices within √2 of `point`.
fn sum<const N: usize>(lattice: &Lattice, point: [f64; N], gradient: impl Fn([i64; N]) -> [f64; N]) -> f64 {
    let stretched = point.map(|x| x + lattice.stretch * point.iter().sum::<f64>());
    let base = stretched.map(f64::floor);
    let squished = lattice.squish * base.iter().sum::<f64>();
    let from_base: [f64; N] = std::array::from_fn(|axis| point[axis] - (base[axis] + squished));
    let low = |axis: usize| (stretched[axis] - base[axis] - lattice.reach).ceil() as i64;
    let high = |axis: usize| (stretched[axis] - base[axis] + lattice.reach).floor() as i64;
    let mut step: [i64; N] = std::array::from_fn(low);
    let mut total = 0.0;
    loop {
        let squished = lattice.squish * step.iter().sum::<i64>() as f64;
        let d: [f64; N] = std::array::from_fn(|axis| from_base[axis] - step[axis] as f64 - squished);
        total += bump(d, || gradient(std::array::from_fn(|axis| base[axis] as i64 + step[axis])));
        // The next step, as an odometer counts.
        let Some(axis) = (0..N).find(|&axis| step[axis] < high(axis)) else { break };
        step[axis] += 1;
        for (earlier, step) in step.iter_mut().enumerate().take(axis) {
            *step = low(earlier);
        }
    }
    total / lattice.norm
}

/// What a vertex adds to a point that is `way` from it.
fn bump<const N: usize>(way: [f64; N], gradient: impl FnOnce() -> [f64; N]) -> f64 {
    let room = 2.0 - way.iter().map(|x| x * x).sum::<f64>();
    if room <= 0.0 {
        return 0.0;
    }
    let slope: f64 = gradient().iter().zip(&way).map(|(g, x)| g * x).sum();
    room.powi(2).powi(2) * slope
}
