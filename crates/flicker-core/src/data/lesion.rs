//! Lesions drawn into healthy images: spots with an uneven outline and a soft edge, of a drawn size, place and contrast.
//!
//! They stand for what no data set at hand has: images of a healthy person's tissue with abnormal places that are known to
//! the pixel. Everything is drawn from the sample's own stream, so that a lesion is the same each time it is read.

use crate::{Rng, SampleShape};
use serde::{Deserialize, Serialize};
use std::f64::consts::{PI, TAU};

/// What is drawn. Lengths are shares of an image's shorter side, contrasts shares of the range of its values.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Lesion {
    /// Smallest and largest mean radius; never below one pixel.
    pub radius: [f64; 2],
    /// Smallest and largest change of the values in the middle. Brighter or darker as drawn; the other where the values
    /// have no room for it.
    pub contrast: [f64; 2],
    /// Width of the edge, over which the change falls to nothing, as a share of the radius. The outline of the mask runs
    /// where half of the change is left.
    pub edge: f64,
    /// Values above this are tissue: a lesion lies in it, and changes nothing else. Where an image has none, anywhere.
    pub tissue: f64,
}

/// A drawn lesion.
pub(super) struct Spot {
    /// How much of the change each pixel gets, from 0 to 1.
    pub(super) cover: Vec<f64>,
    /// The change in the middle, as a share of the range, with its sign.
    change: f64,
}

impl Lesion {
    /// Why it cannot be drawn into samples of `shape`, if so.
    pub(super) fn problem(self, shape: SampleShape) -> Option<String> {
        let within = |[low, high]: [f64; 2]| 0.0 < low && low <= high && high <= 1.0;
        if !matches!(shape, SampleShape::Image { .. }) {
            Some("a lesion needs images, the samples are rows of a table".into())
        } else if !within(self.radius) || !within(self.contrast) {
            let (radius, contrast) = (self.radius, self.contrast);
            Some(format!("radius {radius:?}, contrast {contrast:?}; expected 0 < smallest <= largest <= 1"))
        } else if !(0.0..=2.0).contains(&self.edge) || !(0.0..1.0).contains(&self.tissue) {
            let (edge, tissue) = (self.edge, self.tissue);
            Some(format!("edge {edge} and tissue {tissue}, expected 0 to 2 and 0 to below 1"))
        } else {
            None
        }
    }

    /// Draws a lesion for `image` (channel first), whose values run from `low` to `high`.
    pub(super) fn draw(self, size: [usize; 2], [low, high]: [f32; 2], rng: &mut Rng, image: &[f32]) -> Spot {
        let [height, width] = size;
        let pixels = height * width;
        let n_channels = image.len() / pixels;
        let share = |pixel: usize| -> f64 {
            let sum: f64 = image.iter().skip(pixel).step_by(pixels).map(|&value| f64::from(value)).sum();
            (sum / n_channels as f64 - f64::from(low)) / f64::from(high - low)
        };
        let shares: Vec<f64> = (0..pixels).map(share).collect();
        let mut tissue: Vec<bool> = shares.iter().map(|&share| share > self.tissue).collect();
        if !tissue.contains(&true) {
            tissue.fill(true);
        }
        let places: Vec<usize> = (0..pixels).filter(|&pixel| tissue[pixel]).collect();
        let centre = places[rng.below(places.len())];
        let outline = Outline::draw(self.radius.map(|share| share * height.min(width) as f64), rng);
        let cover = (0..pixels).map(|pixel| {
            let down = (pixel / width) as f64 - (centre / width) as f64;
            let right = (pixel % width) as f64 - (centre % width) as f64;
            if tissue[pixel] { outline.cover(down, right, self.edge) } else { 0.0 }
        });
        let cover: Vec<f64> = cover.collect();
        let change = between(self.contrast, rng);
        let change = if rng.uniform() < 0.5 { change } else { -change };
        let inside = |pixel: &usize| cover[*pixel] >= 0.5;
        let n = (0..pixels).filter(inside).count().max(1) as f64;
        let mean = (0..pixels).filter(inside).map(|pixel| shares[pixel]).sum::<f64>() / n;
        let fits = |change: f64| (0.0..=1.0).contains(&(mean + change));
        Spot { change: if !fits(change) && fits(-change) { -change } else { change }, cover }
    }
}

impl Spot {
    /// Changes every channel of `image` alike, within its range.
    pub(super) fn paint(&self, [low, high]: [f32; 2], image: &mut [f32]) {
        for plane in image.chunks_exact_mut(self.cover.len()) {
            for (value, cover) in plane.iter_mut().zip(&self.cover).filter(|(_, cover)| **cover > 0.0) {
                *value = (*value + (self.change * cover) as f32 * (high - low)).clamp(low, high);
            }
        }
    }
}

/// The outline of a lesion: an ellipse with waves.
struct Outline {
    radius: f64,
    /// Shorter axis by longer axis.
    flatness: f64,
    turn: f64,
    /// Height, as a share of the radius, and phase of the waves with 2, 3, 4 and 5 crests.
    waves: [(f64, f64); 4],
}

impl Outline {
    fn draw(radius: [f64; 2], rng: &mut Rng) -> Self {
        let radius = between(radius, rng).max(1.0);
        let flatness = between([0.6, 1.0], rng);
        let turn = between([0.0, PI], rng);
        let waves = std::array::from_fn(|_| (between([0.0, 0.08], rng), between([0.0, TAU], rng)));
        Self { radius, flatness, turn, waves }
    }

    /// How much of the change a place off the centre gets: 1 inside, 0 outside, half on the outline.
    fn cover(&self, down: f64, right: f64, edge: f64) -> f64 {
        let (sin, cos) = self.turn.sin_cos();
        let (along, across) = (right * cos + down * sin, (down * cos - right * sin) / self.flatness);
        let angle = across.atan2(along);
        let crests = (2u8..).zip(self.waves);
        let waves: f64 =
            crests.map(|(n, (height, phase))| height * (f64::from(n) * angle + phase).cos()).sum();
        // 0 in the centre, 1 on the outline. The mean radius of the ellipse is kept.
        let distance = along.hypot(across) * self.flatness.sqrt() / (self.radius * (1.0 + waves));
        if edge == 0.0 {
            return f64::from(u8::from(distance <= 1.0));
        }
        let t = ((1.0 - distance) / edge + 0.5).clamp(0.0, 1.0);
        t * t * (3.0 - 2.0 * t)
    }
}

fn between([low, high]: [f64; 2], rng: &mut Rng) -> f64 {
    low + (high - low) * rng.uniform()
}
