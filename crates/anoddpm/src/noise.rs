//! What an image is disturbed with: Gaussian noise, or octave fields of simplex noise.

use crate::simplex::{Fractal, Slice, fields};
use candle_core::{Device, Tensor};
use flicker_core::{Error, Result, Rng};
use serde::{Deserialize, Serialize};

/// The kind of noise, the same on the way there and back.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "kind", deny_unknown_fields)]
pub enum Noise {
    /// Independent standard normal numbers.
    Gaussian {},
    /// Octaves of simplex noise, a field of its own seed for each image and channel, with the image's step as third coordinate.
    Simplex {
        /// How many octaves.
        octaves: u32,
        /// Amplitude of each next octave, as a share of the one before.
        persistence: f64,
        /// Wavelength of the first octave in pixels. 64 at 256 pixels is published; a quarter of the width elsewhere.
        frequency: f64,
        /// Whether each field is cut from a random place. Without it the upper left corner is near the lattice's origin, where
        /// the noise is small whatever the seed.
        offset: bool,
        /// What the field is divided by.
        scale: Scale,
    },
}

/// What a simplex field is divided by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Scale {
    /// Nothing, as published: its standard deviation is about 0.5, where the diffusion's algebra takes it to be 1.
    Raw,
    /// The standard deviation over all fields, in closed form ([`Fractal::variance`]): variance 1 at each pixel.
    Unit,
    /// The field's own standard deviation, after its own mean is taken away: variance 1 in each field, and no brightness.
    Field,
}

impl Noise {
    /// The published simplex noise.
    pub fn paper() -> Self {
        Self::Simplex { octaves: 6, persistence: 0.8, frequency: 64.0, offset: false, scale: Scale::Raw }
    }

    pub(crate) fn check(&self) -> Result<()> {
        let &Self::Simplex { octaves, persistence, frequency, .. } = self else { return Ok(()) };
        let wrong =
            |field: &str, problem: String| Err(Error::config(format!("config.noise.{field}"), problem));
        if !(1..=16).contains(&octaves) {
            return wrong("octaves", format!("must be 1 to 16, is {octaves}"));
        }
        if !(persistence.is_finite() && persistence > 0.0) {
            return wrong("persistence", format!("must be positive, is {persistence}"));
        }
        // Below, a field costs ever more and is white noise.
        let last = frequency / 2f64.powi(octaves as i32 - 1);
        if !(frequency.is_finite() && last >= 0.1) {
            let problem =
                format!("{frequency} halved for {octaves} octaves ends at {last} pixels, below 0.1");
            return wrong("frequency", problem);
        }
        Ok(())
    }

    /// Noise `(B, C, H, W)`: image `i` at step `ts[i]` from the stream `rngs[i]` alone.
    ///
    /// # Errors
    /// If there are not as many streams as steps, or the device refuses the copy.
    pub fn draw(
        &self,
        [c, h, w]: [usize; 3],
        ts: &[usize],
        rngs: &mut [Rng],
        device: &Device,
    ) -> Result<Tensor> {
        if ts.len() != rngs.len() {
            let (expected, found) = (format!("{} steps", rngs.len()), format!("{}", ts.len()));
            return Err(Error::Shape { what: "steps of the noise".into(), expected, found });
        }
        let values = match *self {
            Self::Gaussian {} => rngs.iter_mut().flat_map(|rng| rng.normals(c * h * w)).collect(),
            Self::Simplex { octaves, persistence, frequency, offset, scale } => {
                let fractal = Fractal { octaves, persistence, frequency };
                // The permutation repeats after 256 cells, so any place is one of these.
                let place = |rng: &mut Rng| rng.uniform() * 256.0 * frequency;
                let mut slices = Vec::with_capacity(ts.len() * c);
                for (t, rng) in ts.iter().zip(rngs) {
                    for _ in 0..c {
                        let seed = rng.next_u64() as i64;
                        let offset = if offset { std::array::from_fn(|_| place(rng)) } else { [0.0; 3] };
                        slices.push(Slice { seed, t: *t as f64, offset });
                    }
                }
                let mut values = fields(&fractal, (h, w), &slices);
                scaled(&mut values, h * w, scale, &fractal);
                values
            }
        };
        Ok(Tensor::from_vec(values, (ts.len(), c, h, w), device)?)
    }
}

fn scaled(values: &mut [f32], size: usize, scale: Scale, fractal: &Fractal) {
    match scale {
        Scale::Raw => {}
        Scale::Unit => {
            let factor = (1.0 / fractal.variance().sqrt()) as f32;
            values.iter_mut().for_each(|value| *value *= factor);
        }
        Scale::Field => {
            for field in values.chunks_mut(size.max(1)) {
                let n = field.len() as f64;
                let mean = field.iter().map(|&x| f64::from(x)).sum::<f64>() / n;
                let variance = field.iter().map(|&x| (f64::from(x) - mean).powi(2)).sum::<f64>() / n;
                let factor = 1.0 / variance.sqrt().max(1e-12);
                field.iter_mut().for_each(|value| *value = ((f64::from(*value) - mean) * factor) as f32);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn simplex(scale: Scale) -> Noise {
        Noise::Simplex { octaves: 3, persistence: 0.8, frequency: 8.0, offset: true, scale }
    }

    fn draw(noise: Noise, n: usize) -> Result<Vec<Vec<f32>>> {
        let mut rngs: Vec<Rng> = (0..n).map(|i| Rng::new(1).fork_index(i as u64)).collect();
        let ts: Vec<usize> = (0..n).map(|i| 10 * i).collect();
        Ok(noise.draw([2, 32, 32], &ts, &mut rngs, &Device::Cpu)?.flatten_from(1)?.to_vec2()?)
    }

    #[test]
    fn each_image_has_its_own_field_whatever_its_batch() -> Result<()> {
        for noise in [Noise::Gaussian {}, simplex(Scale::Raw), Noise::paper()] {
            let (two, four) = (draw(noise, 2)?, draw(noise, 4)?);
            assert_eq!(two, four[..2]);
            assert_ne!(four[0], four[1]);
            assert_ne!(four[0][..1024], four[0][1024..], "channels");
        }
        Ok(())
    }

    #[test]
    fn scales_give_variance_one() -> Result<()> {
        let square = |xs: &[f32]| xs.iter().map(|&x| f64::from(x).powi(2)).sum::<f64>() / xs.len() as f64;
        let unit = draw(simplex(Scale::Unit), 200)?.concat();
        assert!((square(&unit) - 1.0).abs() < 0.08, "{}", square(&unit));
        let raw = draw(simplex(Scale::Raw), 200)?.concat();
        assert!(square(&raw) < 0.3, "{}", square(&raw));
        for image in draw(simplex(Scale::Field), 3)? {
            assert!((square(&image[..1024]) - 1.0).abs() < 1e-4);
        }
        Ok(())
    }
}
