//! The numbers of an autoencoder, and what they must satisfy.

use crate::{Autoencoder, Corruption, Loss, NetworkConfig, Score, Variant};
use candle_core::Device;
use flicker_core::nn::Activation;
use flicker_core::{Error, Family, Result, Rng, SampleShape, Supervision};
use serde::{Deserialize, Serialize};

/// The numbers of an autoencoder.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// The network: dense, convolutional or pooled.
    pub network: NetworkConfig,
    /// The range of what the network gives back.
    pub output: Output,
    /// Plain, denoising or variational.
    pub variant: Variant,
    /// What the reconstruction is trained by.
    pub loss: Loss,
    /// What the score is made of.
    pub score: Score,
    /// Epochs over the normal samples.
    pub epochs: usize,
    /// Samples a step; at least 2 with batch norm.
    pub batch: usize,
    /// Adam's learning rate.
    pub learning_rate: f64,
    /// How the learning rate goes over the training.
    pub schedule: Schedule,
    /// Adam's L2 penalty.
    pub weight_decay: f64,
}

/// The last activation, which bounds what can be reconstructed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Output {
    /// Within (-1, 1).
    Tanh,
    /// Within (0, 1).
    Sigmoid,
    /// Unbounded, as standardised tables need it.
    Linear,
}

impl Output {
    pub(crate) fn activation(self) -> Activation {
        match self {
            Self::Tanh => Activation::Tanh,
            Self::Sigmoid => Activation::Sigmoid,
            Self::Linear => Activation::None,
        }
    }
}

/// How the learning rate goes over all steps of the training.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Schedule {
    /// It stays.
    Constant,
    /// It falls to 0 along half a wave of the cosine.
    Cosine,
}

impl Config {
    /// The tutorial's numbers: 784-512-256-128-64-32-16 and back, batch norm at both ends, tanh, Adam at 1e-2, 160 epochs.
    pub fn tutorial() -> Self {
        Self {
            network: NetworkConfig::tutorial(&[512, 256, 128, 64, 32, 16]),
            output: Output::Tanh,
            variant: Variant::Plain {},
            loss: Loss::Mse {},
            score: Score::Error {},
            epochs: 160,
            batch: 64,
            learning_rate: 1e-2,
            schedule: Schedule::Constant,
            weight_decay: 1e-5,
        }
    }

    /// The same network at a learning rate that it can follow: Adam at 1e-3, 30 epochs.
    pub fn steady() -> Self {
        Self { learning_rate: 1e-3, epochs: 30, ..Self::tutorial() }
    }

    /// The tutorial's second part, on credit-card transactions: 29-16-8-4 and back, ReLU after every layer, a sigmoid at the
    /// end (which no standardised value below 0 or above 1 can leave), Adam at 1e-2, batches of 32, 100 epochs.
    pub fn credit_card_tutorial() -> Self {
        Self {
            network: NetworkConfig::Dense {
                widths: vec![16, 8, 4],
                batch_norm: false,
                encoder: crate::Hidden::Relu,
                code: crate::Hidden::Relu,
                decoder: crate::Hidden::Relu,
            },
            output: Output::Sigmoid,
            epochs: 100,
            batch: 32,
            ..Self::tutorial()
        }
    }

    /// Ours for standardised tables: a denoising autoencoder that must fill in masked values, scored by residuals in units of
    /// their spread on the training normals.
    pub fn table() -> Self {
        Self {
            network: NetworkConfig::Dense {
                widths: vec![128, 64],
                batch_norm: false,
                encoder: crate::Hidden::Tanh,
                code: crate::Hidden::Linear,
                decoder: crate::Hidden::Tanh,
            },
            output: Output::Linear,
            variant: Variant::Denoising { corruption: Corruption::Masking { p: 0.3 } },
            score: Score::Scaled {},
            epochs: 8,
            batch: 512,
            learning_rate: 1e-3,
            schedule: Schedule::Cosine,
            weight_decay: 0.0,
            ..Self::tutorial()
        }
    }

    /// The autoencoder of the repository "Anormaly-detection-AI-models" (Pchaewon, 2023), whose sizes follow from the image's:
    /// two halvings, a pooling by 4, 256-128-256, Adam at 1e-4, 5 epochs. It has no scoring; ours is the error.
    pub fn pooled() -> Self {
        Self {
            network: NetworkConfig::Pooled { channels: [32, 64], pool: 4, hidden: 256, code: 128 },
            output: Output::Linear,
            epochs: 5,
            batch: 128,
            learning_rate: 1e-4,
            ..Self::tutorial()
        }
    }

    /// Ours for images in [-1, 1] whose sides can be halved twice: strided convolutions with batch norm and a code of 16.
    pub fn convolutional() -> Self {
        Self {
            network: NetworkConfig::Convolutional { channels: vec![16, 32], code: 16, batch_norm: true },
            epochs: 100,
            learning_rate: 1e-3,
            ..Self::tutorial()
        }
    }

    /// [`Config::convolutional`] as a variational autoencoder: the decoder's standard deviation is 0.3, the KL counts once.
    pub fn variational() -> Self {
        Self {
            variant: Variant::Variational { sigma: 0.3, beta: 1.0 },
            score: Score::Elbo {},
            ..Self::convolutional()
        }
    }

    pub(crate) fn check(&self, shape: SampleShape) -> Result<()> {
        self.network.check(shape)?;
        self.variant.check(&self.loss)?;
        self.loss.check(shape)?;
        self.score.check(&self.variant)?;
        if self.epochs == 0 {
            return Err(Error::config("config.epochs", "must be at least 1, is 0"));
        }
        let least = if self.network.has_batch_norm() { 2 } else { 1 };
        if self.batch < least {
            let why = if least == 2 { " for batch normalization" } else { "" };
            return Err(Error::config(
                "config.batch",
                format!("{} is too few{why}, which needs at least {least}", self.batch),
            ));
        }
        Ok(())
    }
}

impl flicker_core::Config for Config {
    type Model = Autoencoder;

    const FAMILY: Family = Family {
        name: "ae",
        supervision: Supervision::NormalOnly,
        input: "images and tables",
        source: "Hinton and Salakhutdinov 2006; Vincent et al. 2010 (denoising); Kingma and Welling 2013 (variational); \
                 architectures of the Business Analytics tutorial on anomaly detection, 2022, and of Anormaly-detection-AI-models, 2023",
    };

    fn build(&self, shape: SampleShape, rng: Rng, device: &Device) -> Result<Autoencoder> {
        Autoencoder::new(self.clone(), shape, rng, device)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use flicker_core::Config as _;

    #[track_caller]
    fn check(config: &Config, shape: impl Into<SampleShape>, said: &str) {
        let built = config.build(shape.into(), Rng::new(0), &Device::Cpu);
        assert_eq!(built.expect_err("cannot work").to_string(), said);
    }

    #[test]
    fn what_cannot_work_is_refused_by_name() {
        check(
            &Config::convolutional(),
            (1, 30, 28),
            "config field `data.size`: 30x28 cannot be halved 2 times, as `config.network.channels` asks",
        );
        check(
            &Config::convolutional(),
            9,
            "config field `config.network`: takes images, found a row of 9 features",
        );
        check(
            &Config::pooled(),
            (3, 12, 32),
            "config field `data.size`: 12x32 has no 4x4 window left after two halvings, expected at least 16",
        );
        check(
            &Config { variant: Variant::Variational { sigma: 0.0, beta: 1.0 }, ..Config::table() },
            9,
            "config field `config.variant.sigma`: must be above 0, is 0",
        );
        check(
            &Config { score: Score::Elbo {}, ..Config::table() },
            9,
            "config field `config.score`: elbo needs the variational variant",
        );
        check(
            &Config { loss: Loss::Ssim { range: 1.0 }, ..Config::steady() },
            (1, 8, 28),
            "config field `config.loss`: ssim needs images of at least 11x11 pixels, found a image 1x8x28",
        );
        check(
            &Config { loss: Loss::Ssim { range: 1.0 }, ..Config::variational() },
            (1, 28, 28),
            "config field `config.loss`: ssim is no likelihood, which a variational autoencoder needs; use mse or l1",
        );
        check(
            &Config { batch: 1, ..Config::steady() },
            9,
            "config field `config.batch`: 1 is too few for batch normalization, which needs at least 2",
        );
    }
}
