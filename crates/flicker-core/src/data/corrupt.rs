//! Made abnormal samples: pure noise, and corruptions of real samples.
//!
//! The published tutorial of the dense autoencoder takes N(0, 1) images for abnormal ones, which any rule tells from
//! digits; the corruptions are the harder questions. Each sample is drawn from a stream of its own, forked by its index,
//! so that it is the same in any order and on any thread.

use super::source::{check_index, check_read};
use super::{Lesion, Source};
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
    /// Draws a spot with an uneven outline and a soft edge at a drawn place of what is not dark: a lesion in tissue.
    Lesion(Lesion),
}

/// A source whose samples are those of another one, corrupted.
pub struct Corrupted {
    base: Arc<dyn Source>,
    corruption: Corruption,
    values: [f32; 2],
    clip: bool,
    rng: Rng,
}

/// Where each sample of a [`Corrupted`] was changed.
struct ChangedPlaces(Arc<Corrupted>);

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

    /// Masks of the samples, 1 where they were changed; for corruptions of a place: patches and lesions.
    pub fn masks(self: &Arc<Self>) -> Option<Arc<dyn Source>> {
        let of_a_place = matches!(self.corruption, Corruption::Patch { .. } | Corruption::Lesion(_));
        of_a_place.then(|| Arc::new(ChangedPlaces(self.clone())) as Arc<dyn Source>)
    }
}

impl Source for ChangedPlaces {
    fn len(&self) -> usize {
        self.0.len()
    }

    fn shape(&self) -> SampleShape {
        match self.0.shape() {
            SampleShape::Image { height, width, .. } => (1, height, width).into(),
            table @ SampleShape::Table { .. } => table,
        }
    }

    fn read(&self, index: usize, out: &mut [f32]) -> Result<()> {
        check_read(self, index, out)?;
        let Corrupted { base, corruption, values, rng, .. } = &*self.0;
        let SampleShape::Image { height, width, .. } = base.shape() else { return Ok(()) };
        let mut rng = rng.fork_index(index as u64);
        match *corruption {
            Corruption::Patch { size: side } => {
                let [top, left] = place_of_patch([height, width], side, &mut rng);
                out.fill(0.0);
                for row in out.chunks_exact_mut(width).skip(top).take(side) {
                    row[left..left + side].fill(1.0);
                }
            }
            Corruption::Lesion(lesion) => {
                let mut image = vec![0.0; base.shape().elements()];
                base.read(index, &mut image)?;
                let spot = lesion.draw([height, width], *values, &mut rng, &image);
                out.iter_mut().zip(&spot.cover).for_each(|(mask, cover)| *mask = f32::from(*cover >= 0.5));
            }
            _ => out.fill(0.0), // no mask is handed out for these
        }
        Ok(())
    }

    fn id(&self, index: usize) -> String {
        self.0.id(index)
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
            (Self::Lesion(lesion), shape) => match lesion.problem(shape) {
                Some(problem) => problem,
                None => return Ok(()),
            },
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
            Self::Lesion(lesion) => {
                let spot = lesion.draw(size, [low, high], rng, out);
                spot.paint([low, high], out);
            }
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Gaussian { .. } => "gaussian",
            Self::SaltAndPepper { .. } => "salt_and_pepper",
            Self::Patch { .. } => "patch",
            Self::Permuted => "permuted",
            Self::Lesion(_) => "lesion",
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
    let [top, left] = place_of_patch([height, width], side, rng);
    for plane in out.chunks_exact_mut(height * width) {
        for row in plane.chunks_exact_mut(width).skip(top).take(side) {
            row[left..left + side].copy_from_slice(&rng.uniforms(side, low, high));
        }
    }
}

/// Top and left of the square.
fn place_of_patch([height, width]: [usize; 2], side: usize, rng: &mut Rng) -> [usize; 2] {
    [rng.below(height - side + 1), rng.below(width - side + 1)]
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
mod tests;
