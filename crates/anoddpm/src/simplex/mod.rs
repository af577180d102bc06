//! OpenSimplex noise (K. Spencer, 2014; not OpenSimplex2, and not Perlin's simplex noise) in two, three and four dimensions,
//! and the octave fields that AnoDDPM takes its noise from (Wyatt et al. 2022, section 3.3).
//!
//! The noise at a point is a sum over the vertices of a lattice (A₂, A₃ or A₄, whose shortest vectors are √2 long):
//!
//! ```text
//! n(p) = 1/norm · Σ_v max(0, 2 − |p − v|²)⁴ · g_v · (p − v)
//! ```
//!
//! with a gradient `g_v` that a seeded permutation picks for each vertex. [`Simplex`] and [`Fractal::field`] give the numbers of
//! the program of 2014, which leaves out a vertex here and there at the rim of its sphere. [`fields`], which is what a diffusion
//! takes its noise from and is many times faster, adds up all vertices; at single points it differs from them by less than 10⁻⁴
//! times the sum of the octaves' amplitudes, and is smoother.
//!
//! ```
//! use anoddpm::simplex::{Fractal, Simplex, Slice, fields};
//! assert!((Simplex::new(0).noise3(0.1, 0.2, 0.3) - 0.5029854976828478).abs() < 1e-12);
//! let published = Fractal { octaves: 6, persistence: 0.8, frequency: 64.0 };
//! let slices = [Slice { seed: 1, t: 250.0, offset: [0.0; 3] }, Slice { seed: 2, t: 10.0, offset: [0.0; 3] }];
//! assert_eq!(fields(&published, (28, 28), &slices).len(), 2 * 28 * 28);
//! ```

mod cell;
mod fractal;
mod gradients;
mod permutation;
mod points;
mod splat;
#[cfg(test)]
mod tests;

pub use fractal::{Fractal, Slice, fields};
pub use permutation::Simplex;
