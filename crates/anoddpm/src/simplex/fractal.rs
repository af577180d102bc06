//! Octave fields: sums of slices of the three-dimensional noise, each at half the wavelength of the one before.

use super::Simplex;
use super::splat::{Band, Octave, Table};
use flicker_core::{Vectorise, vectorised};
use rayon::prelude::*;
use std::f64::consts::PI;

/// A sum of octaves: `Σ_k persistence^k · noise3(x/f_k, y/f_k, t/f_k)` with `f_0 = frequency` and `f_k = f_{k-1} / 2`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Fractal {
    /// How many.
    pub octaves: u32,
    /// Amplitude of each next octave, as a share of the one before.
    pub persistence: f64,
    /// Wavelength of the first octave in pixels (the published code's name for it).
    pub frequency: f64,
}

/// Which noise, and where it is cut.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Slice {
    /// The seed of the permutation.
    pub seed: i64,
    /// The third coordinate: AnoDDPM takes the time step.
    pub t: f64,
    /// What is added to a pixel's `[x, y, t]`, in pixels of the first octave. At 0 every field has its lattice's origin, where
    /// the noise is 0 whatever the seed, in the corner.
    pub offset: [f64; 3],
}

/// Rows of a field that are made in one piece: what fits a processor's first cache, and what threads share work by.
const BAND: usize = 32;

impl Fractal {
    /// The amplitude and wavelength of each octave.
    fn octaves(&self) -> impl Iterator<Item = (f64, f64)> {
        let (persistence, frequency) = (self.persistence, self.frequency);
        (0..self.octaves as i32).map(move |k| (persistence.powi(k), frequency / 2f64.powi(k)))
    }

    /// The sum at one point, in pixels of the first octave.
    pub fn at(&self, noise: &Simplex, [x, y, t]: [f64; 3]) -> f64 {
        self.octaves().map(|(amplitude, f)| amplitude * noise.noise3(x / f, y / f, t / f)).sum()
    }

    /// The variance of the sum over all seeds and places, in closed form.
    ///
    /// At a random place the expected square of one octave is the density of vertices (½) times the integral over the sphere of
    /// `((2 − r²)⁴/103)² · |g|²/3 · r²`, with `|g|² = 153` for each gradient:
    /// `σ₁² = ½ · 51/103² · 4π · ∫₀^√2 r⁴ (2 − r²)⁸ dr = 0.0985`; the integral is `512 √2 · B(5/2, 9)`, and the octaves are
    /// as good as independent. The fields of the published numbers have standard deviation 0.505 so.
    pub fn variance(&self) -> f64 {
        // B(5/2, 9) = 8! / (5/2 · 7/2 · … · 21/2)
        let beta =
            (1..9).map(f64::from).product::<f64>() / (0..9).map(|i| 2.5 + f64::from(i)).product::<f64>();
        let octave = 0.5 * 51.0 / 103f64.powi(2) * 4.0 * PI * 512.0 * 2f64.sqrt() * beta;
        self.octaves().map(|(amplitude, _)| amplitude * amplitude * octave).sum()
    }

    /// One field `(height, width)` in f64, rows first: pixel `(row, column)` is the sum at `(column, row, t)` plus the offset,
    /// as [`Fractal::at`] has it.
    pub fn field(&self, (height, width): (usize, usize), slice: &Slice) -> Vec<f64> {
        let mut values = vec![0.0; height * width];
        let noise = Simplex::new(slice.seed);
        values.par_chunks_mut(width.max(1)).enumerate().for_each(|(row, values)| {
            for (column, value) in values.iter_mut().enumerate() {
                let [x, y, t] = slice.offset;
                *value = self.at(&noise, [column as f64 + x, row as f64 + y, slice.t + t]);
            }
        });
        values
    }

    /// The rows from `first` on that `values` holds.
    fn band(&self, noise: &Simplex, slice: &Slice, first: usize, width: usize, values: &mut [f32]) {
        if values.is_empty() {
            return;
        }
        let rows = values.len() / width;
        let mut band = Band::new(first, rows, width);
        // The widest registers of the processor, chosen as it runs. No operation is fused: the bytes are everywhere the same.
        vectorised(Sum { fractal: *self, noise, slice, band: &mut band });
        for (row, values) in values.chunks_mut(width).enumerate() {
            values.copy_from_slice(band.row(row));
        }
    }
}

/// All octaves of a band.
struct Sum<'a> {
    fractal: Fractal,
    noise: &'a Simplex,
    slice: &'a Slice,
    band: &'a mut Band,
}

impl Vectorise for Sum<'_> {
    type Output = ();

    #[inline(always)]
    fn run(self) {
        let mut table = Table::default();
        let [x, y, t] = self.slice.offset;
        for (amplitude, wavelength) in self.fractal.octaves() {
            let z = (self.slice.t + t) / wavelength;
            let octave = Octave { wavelength, offset: [x, y], z, amplitude };
            octave.add_to(self.noise, self.band, &mut table);
        }
    }
}

/// A field `(height, width)` for each slice, one after the other, in f32; made by all threads, to the same bytes for any number
/// of them.
pub fn fields(fractal: &Fractal, (height, width): (usize, usize), slices: &[Slice]) -> Vec<f32> {
    let size = height * width;
    let mut values = vec![0.0; slices.len() * size];
    if size == 0 {
        return values;
    }
    let noises: Vec<Simplex> = slices.par_iter().map(|slice| Simplex::new(slice.seed)).collect();
    let all = values.par_chunks_mut(size).zip(slices).zip(&noises);
    all.for_each(|((values, slice), noise)| {
        let bands = values.par_chunks_mut(BAND * width).enumerate();
        bands.for_each(|(band, values)| fractal.band(noise, slice, band * BAND, width, values));
    });
    values
}
