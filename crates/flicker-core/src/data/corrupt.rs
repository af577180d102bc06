//! Made abnormal samples: pure noise, and corruptions of real samples.
//!
//! The published tutorial of the dense autoencoder takes N(0, 1) images for abnormal ones, which any rule tells from
//! digits; the corruptions are the harder questions. Each sample is drawn from a stream of its own, forked by its index,
//! so that it is the same in any order and on any thread.

use super::Source;
use super::source::{check_index, check_read};
use crate::{Error, Result, Rng, SampleShape};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// Samples whose values are independent standard normal numbers.
#[derive(Debug)]
pub struct NoiseImages {
    shape: SampleShape,
    len: usize,
    clip: Option<[f32; 2]>,
    rng: Rng,
}

impl NoiseImages {
    /// `len` samples of `shape`, clipped to `[low, high]` if told to.
    pub fn new(len: usize, shape: impl Into<SampleShape>, clip: Option<[f32; 2]>, rng: Rng) -> Self {
        Self { shape: shape.into(), len, clip, rng }
    }
}

impl Source for NoiseImages {
    fn len(&self) -> usize {
        self.len
    }

    fn shape(&self) -> SampleShape {
        self.shape
    }

    fn read(&self, index: usize, out: &mut [f32]) -> Result<()> {
        check_read(self, index, out)?;
        out.copy_from_slice(&self.rng.fork_index(index as u64).normals(out.len()));
        clip(self.clip, out);
        Ok(())
    }

    fn id(&self, index: usize) -> String {
        format!("noise-{index}")
    }
}

/// What is done to a real sample to make it abnormal.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum Corruption {
    /// Adds normal noise of this standard deviation to every value.
    Gaussian {
        /// Standard deviation, above 0.
        sigma: f32,
    },
    /// Sets a pixel, in all its channels, to the lowest or the highest value, as likely the one as the other.
    SaltAndPepper {
        /// Probability of a pixel to be hit, in `(0, 1]`.
        p: f64,
    },
    /// Fills a square at a drawn place with independent values, uniform between the lowest and the highest.
    Patch {
        /// Side of the square in pixels.
        size: usize,
    },
    /// Puts the pixels in a drawn order: the histogram stays and the picture goes.
    Permuted,
}

/// A source whose samples are those of another one, corrupted.
pub struct Corrupted {
    base: Arc<dyn Source>,
    corruption: Corruption,
    values: [f32; 2],
    clip: bool,
    rng: Rng,
}

impl Corrupted {
    /// The samples of `base`, corrupted. `values` are the lowest and the highest value of the base, such as `[0, 1]`
    /// or `[-1, 1]`: salt, pepper and patches are made of them, and with `clip` every value is kept between them.
    ///
    /// # Errors
    /// If a number of the corruption is out of its range, or a patch does not fit the images.
    pub fn new(
        base: Arc<dyn Source>,
        corruption: Corruption,
        values: [f32; 2],
        clip: bool,
        rng: Rng,
    ) -> Result<Self> {
        if !(values[0] < values[1] && values[0].is_finite() && values[1].is_finite()) {
            return Err(Error::config(
                "corruption.values",
                format!("{values:?} is not a lowest and a highest value"),
            ));
        }
        corruption.check(base.shape())?;
        Ok(Self { base, corruption, values, clip, rng })
    }
}

impl Corruption {
    fn check(self, shape: SampleShape) -> Result<()> {
        let problem = match (self, shape) {
            (Self::Gaussian { sigma }, _) if !(sigma > 0.0 && sigma.is_finite()) => {
                format!("sigma is {sigma}, expected a finite number above 0")
            }
            (Self::SaltAndPepper { p }, _) if !(p > 0.0 && p <= 1.0) => {
                format!("p is {p}, expected 0 < p <= 1")
            }
            (Self::Patch { .. }, SampleShape::Table { .. }) => {
                "a patch needs images, the samples are rows of a table".into()
            }
            (Self::Patch { size }, SampleShape::Image { height, width, .. })
                if size == 0 || size > height.min(width) =>
            {
                format!("a patch of {size} pixels a side does not fit images of {height}x{width}")
            }
            _ => return Ok(()),
        };
        Err(Error::config("corruption", problem))
    }

    fn apply(self, shape: SampleShape, [low, high]: [f32; 2], rng: &mut Rng, out: &mut [f32]) {
        let size = match shape {
            SampleShape::Image { height, width, .. } => [height, width],
            SampleShape::Table { features } => [1, features],
        };
        let pixels = size[0] * size[1];
        match self {
            Self::Gaussian { sigma } => {
                for (value, noise) in out.iter_mut().zip(rng.normals(shape.elements())) {
                    *value += sigma * noise;
                }
            }
            Self::SaltAndPepper { p } => {
                for pixel in 0..pixels {
                    let (hit, salt) = (rng.uniform() < p, rng.uniform() < 0.5);
                    if hit {
                        out.iter_mut()
                            .skip(pixel)
                            .step_by(pixels)
                            .for_each(|x| *x = if salt { high } else { low });
                    }
                }
            }
            Self::Patch { size: side } => patch(size, side, [low, high], rng, out),
            Self::Permuted => permute(pixels, rng, out),
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Gaussian { .. } => "gaussian",
            Self::SaltAndPepper { .. } => "salt_and_pepper",
            Self::Patch { .. } => "patch",
            Self::Permuted => "permuted",
        }
    }
}

impl Source for Corrupted {
    fn len(&self) -> usize {
        self.base.len()
    }

    fn shape(&self) -> SampleShape {
        self.base.shape()
    }

    fn read(&self, index: usize, out: &mut [f32]) -> Result<()> {
        check_index(self, index)?;
        self.base.read(index, out)?;
        self.corruption.apply(self.shape(), self.values, &mut self.rng.fork_index(index as u64), out);
        clip(self.clip.then_some(self.values), out);
        Ok(())
    }

    fn id(&self, index: usize) -> String {
        format!("{}-{}", self.corruption.name(), self.base.id(index))
    }
}

/// Fills one square of `side` pixels, at the same place in every plane of `out`.
fn patch([height, width]: [usize; 2], side: usize, [low, high]: [f32; 2], rng: &mut Rng, out: &mut [f32]) {
    let (top, left) = (rng.below(height - side + 1), rng.below(width - side + 1));
    for plane in out.chunks_exact_mut(height * width) {
        for row in plane.chunks_exact_mut(width).skip(top).take(side) {
            row[left..left + side].copy_from_slice(&rng.uniforms(side, low, high));
        }
    }
}

/// Puts the pixels of every plane of `out` in one drawn order.
fn permute(pixels: usize, rng: &mut Rng, out: &mut [f32]) {
    let order = rng.permutation(pixels);
    for plane in out.chunks_exact_mut(pixels) {
        let old = plane.to_vec();
        for (value, &from) in plane.iter_mut().zip(&order) {
            *value = old[from];
        }
    }
}

fn clip(range: Option<[f32; 2]>, out: &mut [f32]) {
    if let Some([low, high]) = range {
        for value in out {
            *value = value.max(low).min(high);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::Images;
    use super::*;

    /// 16 images of 2×20×20, every pixel 102 (0.4) in the first channel and 204 (0.8) in the second.
    fn flat() -> Arc<dyn Source> {
        let image = [[102; 400], [204; 400]].concat();
        Arc::new(Images::new((2, 20, 20), image.repeat(16), "test-").expect("16 images"))
    }

    fn read(source: &dyn Source, index: usize) -> Vec<f32> {
        let mut out = vec![f32::NAN; source.shape().elements()];
        source.read(index, &mut out).expect("a sample");
        out
    }

    fn corrupted(corruption: Corruption, clip: bool) -> Corrupted {
        Corrupted::new(flat(), corruption, [0.0, 1.0], clip, Rng::new(1)).expect("a corruption that works")
    }

    #[test]
    fn each_index_has_its_own_numbers_in_any_order() {
        for corruption in [
            Corruption::Gaussian { sigma: 0.1 },
            Corruption::SaltAndPepper { p: 0.2 },
            Corruption::Patch { size: 5 },
        ] {
            let (source, again) = (corrupted(corruption, false), corrupted(corruption, false));
            let last = read(&again, 15);
            assert_eq!(read(&source, 0), read(&again, 0));
            assert_eq!(read(&source, 15), last);
            assert_ne!(read(&source, 0), last, "{corruption:?}");
        }
    }

    #[test]
    fn gaussian_noise_has_its_deviation_and_the_clip_holds() {
        let mean_square = |clip| {
            let out = read(&corrupted(Corruption::Gaussian { sigma: 0.5 }, clip), 3);
            assert_eq!(clip, out.iter().all(|x| (0.0..=1.0).contains(x)));
            out[..400].iter().map(|x| (x - 0.4) * (x - 0.4)).sum::<f32>() / 400.0
        };
        assert!((mean_square(false).sqrt() - 0.5).abs() < 0.06);
        assert!(mean_square(true).sqrt() < 0.45);
    }

    #[test]
    fn salt_and_pepper_hits_all_channels_of_a_pixel() {
        let out = read(&corrupted(Corruption::SaltAndPepper { p: 0.3 }, false), 0);
        let hit = |x: f32| x == 0.0 || x == 1.0;
        let hits = out[..400].iter().filter(|&&x| hit(x)).count();
        assert!((80..160).contains(&hits), "{hits} of 400 at p 0.3");
        assert!(
            (0..400).all(|i| hit(out[i]) == hit(out[400 + i]) && (!hit(out[i]) || out[i] == out[400 + i]))
        );
        let salt = out[..400].iter().filter(|&&x| x == 1.0).count();
        assert!((hits / 4..hits * 3 / 4).contains(&salt));
    }

    #[test]
    fn a_patch_is_one_square() {
        let out = read(&corrupted(Corruption::Patch { size: 4 }, false), 7);
        let changed: Vec<usize> = (0..400).filter(|&i| out[i] != 0.4).collect();
        let (row, column) = (changed[0] / 20, changed[0] % 20);
        let square: Vec<usize> = (0..16).map(|i| (row + i / 4) * 20 + column + i % 4).collect();
        assert_eq!(changed, square);
        assert_eq!((400..800).filter(|&i| out[i] != 0.8).map(|i| i - 400).collect::<Vec<_>>(), square);
    }

    #[test]
    fn a_permutation_keeps_the_pixels_of_all_channels_together() {
        let bytes: Vec<u8> = (0..50).chain(100..150).collect();
        let base: Arc<dyn Source> = Arc::new(Images::new((2, 5, 10), bytes, "").expect("one image"));
        let before = read(&*base, 0);
        let source =
            Corrupted::new(base, Corruption::Permuted, [0.0, 1.0], true, Rng::new(0)).expect("it fits");
        let after = read(&source, 0);
        assert_ne!(before, after);
        assert!((0..50).all(|i| (after[50 + i] - after[i] - 100.0 / 255.0).abs() < 1e-6));
        let sorted = |mut values: Vec<f32>| {
            values.sort_by(f32::total_cmp);
            values
        };
        assert_eq!(sorted(after), sorted(before));
    }

    #[test]
    fn pure_noise_is_standard_normal_and_clipped_if_told() {
        let noise = |clip| NoiseImages::new(30, (1, 28, 28), clip, Rng::new(3));
        let all: Vec<f32> = (0..30).flat_map(|index| read(&noise(None), index)).collect();
        let mean_square = all.iter().map(|x| x * x).sum::<f32>() / all.len() as f32;
        assert!((mean_square - 1.0).abs() < 0.03, "{mean_square}");
        assert_ne!(all[..784], all[784..1568]);
        assert!(read(&noise(Some([0.0, 1.0])), 0).iter().all(|x| (0.0..=1.0).contains(x)));
        assert!(noise(None).read(30, &mut [0.0; 784]).is_err());
    }

    #[test]
    fn numbers_out_of_range_are_refused() {
        let refused =
            |corruption, values| Corrupted::new(flat(), corruption, values, true, Rng::new(0)).is_err();
        assert!(refused(Corruption::Gaussian { sigma: 0.0 }, [0.0, 1.0]));
        assert!(refused(Corruption::SaltAndPepper { p: 1.5 }, [0.0, 1.0]));
        assert!(refused(Corruption::Patch { size: 21 }, [0.0, 1.0]));
        assert!(refused(Corruption::Permuted, [1.0, 1.0]));
    }
}
