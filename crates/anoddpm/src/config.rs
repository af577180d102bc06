//! The numbers of an AnoDDPM, and what they must satisfy.

use crate::{AnoDdpm, Betas, Noise, Scale, Schedule};
use candle_core::Device;
use flicker_core::{Error, Family, Result, Rng, SampleShape, Supervision};
use serde::{Deserialize, Serialize};

/// What the network predicts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Prediction {
    /// The noise `ε`.
    Epsilon,
    /// The image `x_0`.
    Image,
    /// `v = √ᾱ ε − √(1−ᾱ) x_0` (Salimans and Ho, 2022, <https://arxiv.org/abs/2202.00512>, appendix D).
    Velocity,
}

/// The training loss of an image.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Loss {
    /// Mean absolute difference.
    L1,
    /// Mean squared difference (Ho et al., equation 14).
    L2,
    /// The squared difference, and the step's term of the variational bound in bits a number.
    Hybrid,
}

/// How the steps that are trained are drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Weighting {
    /// Each alike, below `train_below`.
    None,
    /// Step `t` as often as `T − t` says; its loss is multiplied as [`Correction`] says.
    PropT,
    /// Each of all `T` alike; its loss is multiplied as [`Correction`] says.
    Uniform,
}

/// What the loss of a step that is drawn with probability `p` is multiplied by. Without weighting it is 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Correction {
    /// `1 / (T p)`, as importance sampling has it: the expected loss is that of steps drawn alike.
    Unbiased,
    /// `p / T`, as the authors' code has it: what comes often weighs more on top, and the loss is about `T²` times smaller. (The
    /// code that theirs comes from divides.)
    Published,
}

/// The fixed variance of a step back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Variance {
    /// `β_t`.
    Large,
    /// The posterior's `β̃_t`.
    Small,
}

/// How an image's score follows from its error map.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ImageScore {
    /// The mean.
    Mean,
    /// The largest value.
    Max,
    /// The mean of this share of the pixels, the largest ones; at least one pixel.
    Top(f64),
}

/// How `x_λ` is brought back.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "kind", deny_unknown_fields)]
pub enum Reverse {
    /// The posterior's mean and noise (Ho et al., algorithm 2), every so many steps; 1 is published. What larger strides cost is
    /// in the crate's `NOTES.md`: on digits nothing at λ 250 up to 25, 0.06 of AUROC at λ 50 by 10.
    Ancestral {
        /// Steps taken at once.
        every: usize,
    },
    /// DDIM's steps (Song et al. 2020).
    Ddim {
        /// Steps taken at once.
        every: usize,
        /// Share of the posterior's deviation; 0 is deterministic.
        eta: f64,
    },
}

impl Reverse {
    pub(crate) fn every(&self) -> usize {
        match *self {
            Self::Ancestral { every } | Self::Ddim { every, .. } => every,
        }
    }
}

/// The numbers of an AnoDDPM.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Channels that the multipliers multiply.
    pub base: usize,
    /// Channels of each level, as multiples of `base`; each level after the first has half the size.
    pub multipliers: Vec<usize>,
    /// Residual blocks of a level on the way down; one more on the way up.
    pub residual_blocks: usize,
    /// Sizes of maps (in pixels) that have attention.
    pub attention_sizes: Vec<usize>,
    /// Heads of each attention, in training and in scoring. (The authors' detection leaves theirs at 1.)
    pub heads: usize,
    /// Groups of the group norms.
    pub groups: usize,
    /// Steps of the diffusion, `T`.
    pub steps: usize,
    /// The variance schedule.
    pub schedule: Betas,
    /// What the network predicts.
    pub prediction: Prediction,
    /// The training loss.
    pub loss: Loss,
    /// How trained steps are drawn.
    pub weighting: Weighting,
    /// What the losses of steps that are not drawn alike are multiplied by.
    pub correction: Correction,
    /// The fixed variance of a step back.
    pub variance: Variance,
    /// Without weighting, only steps below this are trained (`sample_distance`).
    pub train_below: usize,
    /// Epochs over the normal images.
    pub epochs: usize,
    /// Images a step.
    pub batch: usize,
    /// AdamW's learning rate.
    pub learning_rate: f64,
    /// AdamW's weight decay.
    pub weight_decay: f64,
    /// Decay of the averaged weights, which are the ones that score.
    pub ema_decay: f64,
    /// Largest norm of a step's gradient.
    pub clip_norm: f64,
    /// Steps that an image is taken there and back, `λ`.
    pub distance: usize,
    /// Reconstructions that are averaged.
    pub draws: usize,
    /// Standard deviation, in pixels, of the Gaussian that smooths the error map; 0 leaves it, as published.
    pub smoothing: f64,
    /// How the score follows from the error map.
    pub image_score: ImageScore,
    /// The noise.
    pub noise: Noise,
    /// The way back.
    pub reverse: Reverse,
}

impl Config {
    /// The published numbers (the authors' settings 28; 256×256 images, 100 volumes an epoch).
    pub fn paper() -> Self {
        Self {
            base: 128,
            multipliers: vec![1, 1, 2, 2, 4, 4],
            residual_blocks: 2,
            attention_sizes: vec![32, 16, 8],
            heads: 2,
            groups: 32,
            steps: 1000,
            schedule: Betas::Linear,
            prediction: Prediction::Epsilon,
            loss: Loss::L2,
            weighting: Weighting::None,
            correction: Correction::Published,
            variance: Variance::Large,
            train_below: 800,
            epochs: 3001,
            batch: 1,
            learning_rate: 1e-4,
            weight_decay: 0.0,
            ema_decay: 0.9999,
            clip_norm: 1.0,
            distance: 250,
            draws: 1,
            smoothing: 0.0,
            image_score: ImageScore::Mean,
            noise: Noise::paper(),
            reverse: Reverse::Ancestral { every: 1 },
        }
    }

    /// For images of 28 or 32 pixels on two cores: a small network, noise of variance 1 whose wavelengths fit the image, steps
    /// trained no further than they are used, and 10 steps back in place of 250.
    pub fn small() -> Self {
        Self {
            base: 16,
            multipliers: vec![1, 2, 2],
            residual_blocks: 1,
            attention_sizes: vec![8, 7],
            heads: 2,
            groups: 8,
            correction: Correction::Unbiased,
            train_below: 300,
            epochs: 8,
            batch: 32,
            learning_rate: 1e-3,
            ema_decay: 0.99,
            noise: Noise::Simplex {
                octaves: 3,
                persistence: 0.8,
                frequency: 8.0,
                offset: true,
                scale: Scale::Unit,
            },
            reverse: Reverse::Ancestral { every: 25 },
            ..Self::paper()
        }
    }

    /// Checks the numbers against images of `shape` and answers with `[channels, height, width]`.
    pub(crate) fn check(&self, shape: SampleShape) -> Result<[usize; 3]> {
        let SampleShape::Image { channels, height, width } = shape else {
            return Err(Error::config("model", format!("anoddpm takes images, found a {shape}")));
        };
        if height != width {
            let problem = format!("anoddpm takes square images, found {height}x{width}");
            return Err(Error::config("data.size", problem));
        }
        let factor = 1usize.checked_shl(self.multipliers.len().saturating_sub(1) as u32).unwrap_or(0);
        if factor == 0 || height == 0 || !height.is_multiple_of(factor) {
            let problem = format!(
                "{height} is not a multiple of {factor}, to which {} levels halve",
                self.multipliers.len()
            );
            return Err(Error::config("data.size", problem));
        }
        self.check_numbers()?;
        self.noise.check()?;
        Schedule::new(self.schedule, self.steps)?;
        Ok([channels, height, width])
    }

    fn check_numbers(&self) -> Result<()> {
        let wrong = |field: &str, problem: String| Err(Error::config(format!("config.{field}"), problem));
        for (field, value) in [
            ("base", self.base),
            ("multipliers", self.multipliers.len()),
            ("residual_blocks", self.residual_blocks),
            ("heads", self.heads),
            ("groups", self.groups),
            ("train_below", self.train_below),
            ("epochs", self.epochs),
            ("batch", self.batch),
            ("draws", self.draws),
            ("reverse.every", self.reverse.every()),
        ] {
            if value == 0 {
                return wrong(field, "must be at least 1, is 0".into());
            }
        }
        for multiplier in &self.multipliers {
            let channels = multiplier * self.base;
            if channels == 0 || !channels.is_multiple_of(self.groups) || !channels.is_multiple_of(self.heads)
            {
                let problem = format!(
                    "{multiplier} times {} channels are no multiple of {} groups and {} heads",
                    self.base, self.groups, self.heads
                );
                return wrong("multipliers", problem);
            }
        }
        if !self.base.is_multiple_of(2) {
            return wrong(
                "base",
                format!("must be even, for sines and cosines of the step, is {}", self.base),
            );
        }
        if self.distance > self.steps {
            return wrong("distance", format!("must be at most {} steps, is {}", self.steps, self.distance));
        }
        if let ImageScore::Top(share) = self.image_score
            && !(share > 0.0 && share <= 1.0)
        {
            return wrong("image_score.top", format!("must be in (0, 1], is {share}"));
        }
        if let Reverse::Ddim { eta, .. } = self.reverse
            && !(0.0..=1.0).contains(&eta)
        {
            return wrong("reverse.eta", format!("must be in [0, 1], is {eta}"));
        }
        if !(0.0..=100.0).contains(&self.smoothing) {
            return wrong("smoothing", format!("must be 0 to 100 pixels, is {}", self.smoothing));
        }
        if !(self.clip_norm.is_finite() && self.clip_norm > 0.0) {
            return wrong("clip_norm", format!("must be positive, is {}", self.clip_norm));
        }
        Ok(())
    }
}

impl flicker_core::Config for Config {
    type Model = AnoDdpm;

    const FAMILY: Family = Family {
        name: "anoddpm",
        supervision: Supervision::NormalOnly,
        input: "square images",
        source: "Wyatt et al. 2022, AnoDDPM (CVPR workshops)",
    };

    fn build(&self, shape: SampleShape, rng: Rng, device: &Device) -> Result<AnoDdpm> {
        AnoDdpm::new(self.clone(), shape, rng, device)
    }
}
