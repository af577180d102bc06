//! The numbers of an autoencoder, and what they must satisfy.

use crate::Autoencoder;
use candle_core::Device;
use flicker_core::nn::Activation;
use flicker_core::{Error, Family, Result, Rng, SampleShape, Supervision};
use serde::{Deserialize, Serialize};

/// The numbers of a dense autoencoder.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Widths of the encoder's layers; the last one is the code. The decoder mirrors them.
    pub widths: Vec<usize>,
    /// Whether batch norm stands before the first layer and after the last one.
    pub batch_norm: bool,
    /// The range of what the network gives back.
    pub output: Output,
    /// Epochs over the normal samples.
    pub epochs: usize,
    /// Samples a step; at least 2 with batch norm.
    pub batch: usize,
    /// Adam's learning rate.
    pub learning_rate: f64,
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

impl Config {
    /// The tutorial's numbers: 784-512-256-128-64-32-16 and back, batch norm at both ends, tanh, Adam at 1e-2, 160 epochs.
    pub fn tutorial() -> Self {
        Self {
            widths: vec![512, 256, 128, 64, 32, 16],
            batch_norm: true,
            output: Output::Tanh,
            epochs: 160,
            batch: 64,
            learning_rate: 1e-2,
            weight_decay: 1e-5,
        }
    }

    /// The same network at a learning rate that it can follow: Adam at 1e-3, 30 epochs.
    pub fn steady() -> Self {
        Self { learning_rate: 1e-3, epochs: 30, ..Self::tutorial() }
    }

    pub(crate) fn check(&self) -> Result<()> {
        if self.widths.is_empty() || self.widths.contains(&0) {
            let problem = format!("needs at least one width, each at least 1, is {:?}", self.widths);
            return Err(Error::config("config.widths", problem));
        }
        if self.epochs == 0 {
            return Err(Error::config("config.epochs", "must be at least 1, is 0"));
        }
        let least = if self.batch_norm { 2 } else { 1 };
        if self.batch < least {
            let why = if self.batch_norm { " for batch normalization" } else { "" };
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
        source: "Hinton and Salakhutdinov 2006; architecture of the Business Analytics tutorial on anomaly detection, 2022",
    };

    fn build(&self, shape: SampleShape, rng: Rng, device: &Device) -> Result<Autoencoder> {
        Autoencoder::new(self.clone(), shape, rng, device)
    }
}
