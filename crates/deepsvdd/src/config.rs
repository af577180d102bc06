//! The numbers of Deep SVDD, and what they must satisfy.

use crate::DeepSvdd;
use candle_core::Device;
use flicker_core::{Error, Family, Result, Rng, SampleShape, Supervision};
use serde::{Deserialize, Serialize};

/// The numbers of Deep SVDD.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// What is minimized.
    pub objective: Objective,
    /// ν: the share of training samples that the soft boundary may leave outside. Without meaning for one class.
    pub nu: f64,
    /// Epochs before the radius of the soft boundary moves.
    pub warm_up_epochs: usize,
    /// What is done to each sample for itself, first of all.
    pub contrast: Contrast,
    /// Whether the smallest and largest value of the training normals are mapped to 0 and 1. The autoencoder then ends in a
    /// sigmoid.
    pub rescale: bool,
    /// Slope of the leaky ReLUs below zero.
    pub leak: f64,
    /// Samples a step, at least 2.
    pub batch: usize,
    /// Adam's learning rate in both phases.
    pub learning_rate: f64,
    /// Epochs after which the learning rate of either phase is a tenth.
    pub milestone: usize,
    /// Epochs of the autoencoder; 0 starts from random weights.
    pub pretrain_epochs: usize,
    /// Adam's L2 penalty in the autoencoder's phase.
    pub pretrain_weight_decay: f64,
    /// Epochs of the objective.
    pub epochs: usize,
    /// Adam's L2 penalty in the objective's phase: λ / 2 of the paper's λ.
    pub weight_decay: f64,
    /// The network.
    pub network: Network,
}

/// What is minimized.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Objective {
    /// The mean squared distance from the centre (equation 4).
    OneClass,
    /// The squared radius and what lies outside of it (equation 3).
    SoftBoundary,
}

/// What is done to each sample for itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Contrast {
    /// Nothing.
    None,
    /// Global contrast normalization by L1: less the sample's mean, divided by its mean absolute value.
    L1,
}

/// The network φ.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum Network {
    /// For square images: 5×5 convolutions, each with batch norm, leaky ReLU and 2×2 max pooling, then a linear map.
    Lenet {
        /// Channels of the convolutions.
        channels: Vec<usize>,
        /// L; a multiple of 16, since the autoencoder reads it as a map of 4×4.
        latent: usize,
    },
    /// For tables, or images as rows of pixels: linear maps with leaky ReLU between them.
    Dense {
        /// Widths; the last one is L.
        widths: Vec<usize>,
    },
}

impl Config {
    /// The authors' numbers for MNIST, one class: the network of 8 and 4 channels, 150 and 150 epochs, learning rate 1e-4, a
    /// tenth of it from epoch 50 on, batches of 200 (their code's README); the L1 contrast and the rescaling (their code's
    /// data sets). The code has a leak of 0.01; the paper has 0.1 (from memory), and 100 epochs of fine tuning where the code
    /// has one milestone.
    pub fn paper() -> Self {
        Self {
            objective: Objective::OneClass,
            nu: 0.1,
            warm_up_epochs: 10,
            contrast: Contrast::L1,
            rescale: true,
            leak: 0.01,
            batch: 200,
            learning_rate: 1e-4,
            milestone: 50,
            pretrain_epochs: 150,
            pretrain_weight_decay: 0.5e-3,
            epochs: 150,
            weight_decay: 0.5e-6,
            network: Network::Lenet { channels: vec![8, 4], latent: 32 },
        }
    }

    /// The authors' numbers for CIFAR-10: 32, 64 and 128 channels, 128 latents, 350 epochs of the autoencoder. Their code has
    /// a milestone of its own for that phase, 250; here it is that of both.
    pub fn paper_cifar() -> Self {
        Self {
            pretrain_epochs: 350,
            pretrain_weight_decay: 0.5e-6,
            network: Network::Lenet { channels: vec![32, 64, 128], latent: 128 },
            ..Self::paper()
        }
    }

    pub(crate) fn check(&self, shape: SampleShape) -> Result<()> {
        let require = |fits: bool, field: &str, problem: String| {
            if fits { Ok(()) } else { Err(Error::config(format!("config.{field}"), problem)) }
        };
        require(self.nu > 0.0 && self.nu < 1.0, "nu", format!("must lie between 0 and 1, is {}", self.nu))?;
        let leak = self.leak;
        require((0.0..1.0).contains(&leak), "leak", format!("must lie in [0, 1), is {leak}"))?;
        require(
            self.batch >= 2,
            "batch",
            format!("{} is too few for batch norm, which needs 2", self.batch),
        )?;
        require(self.epochs > 0, "epochs", "must be at least 1, is 0".into())?;
        match &self.network {
            Network::Dense { widths } => require(
                !widths.is_empty() && !widths.contains(&0),
                "network.widths",
                format!("needs at least one width, each at least 1, is {widths:?}"),
            ),
            Network::Lenet { channels, latent } => {
                let fits = !channels.is_empty() && !channels.contains(&0);
                let problem = format!("needs at least one number, each at least 1, is {channels:?}");
                require(fits, "network.channels", problem)?;
                let problem = format!("must be a multiple of 16, is {latent}");
                require(*latent > 0 && latent.is_multiple_of(16), "network.latent", problem)?;
                let sizes = sizes(channels.len());
                let fits = matches!(shape, SampleShape::Image { height, width, .. } if height == width && sizes.contains(&height));
                let problem =
                    format!("{} convolutions need square images of {sizes:?}, found {shape}", channels.len());
                require(fits, "network.channels", problem)
            }
        }
    }
}

/// Sizes of images that so many convolutions take: the autoencoder grows its map of 4×4 to them by doubling, two of them also
/// to 28, by way of 16 and 14.
fn sizes(n: usize) -> Vec<usize> {
    let mut sizes: Vec<usize> =
        u32::try_from(n).ok().and_then(|n| 4usize.checked_shl(n)).into_iter().collect();
    if n == 2 {
        sizes.push(28);
    }
    sizes
}

impl flicker_core::Config for Config {
    type Model = DeepSvdd;

    const FAMILY: Family = Family {
        name: "deepsvdd",
        supervision: Supervision::NormalOnly,
        input: "images and tables",
        source: "Ruff et al. 2018",
    };

    fn build(&self, shape: SampleShape, rng: Rng, device: &Device) -> Result<DeepSvdd> {
        DeepSvdd::new(self.clone(), shape, rng, device)
    }
}
