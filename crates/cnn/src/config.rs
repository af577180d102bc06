//! The numbers of a classifier, and what they must satisfy.

use crate::Classifier;
use candle_core::Device;
use flicker_core::{Error, Family, Result, Rng, SampleShape, Supervision};
use serde::{Deserialize, Serialize};

/// The numbers of a classifier.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Channels after each convolution; a pooling follows each.
    pub channels: Vec<usize>,
    /// Side of the kernels; there is no padding.
    pub kernel: usize,
    /// Side and stride of the poolings' windows.
    pub pool: usize,
    /// Width of the dense layer.
    pub hidden: usize,
    /// What is done about abnormal samples being few.
    pub balance: Balance,
    /// Epochs over the training samples, normal and abnormal.
    pub epochs: usize,
    /// Samples a step.
    pub batch: usize,
    /// Adam's learning rate.
    pub learning_rate: f64,
    /// Adam's L2 penalty.
    pub weight_decay: f64,
}

/// What is done about abnormal samples being few.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Balance {
    /// Nothing.
    None,
    /// Each class weighs in the loss by `n / (2 n_class)`, n training samples of which n_class are of the class.
    ClassWeights,
    /// The rarer class is repeated until an epoch holds as many samples of it as of the other.
    Oversampling,
}

impl Config {
    /// The repository's code: two convolutions of 3×3 with poolings by 4, 256, Adam at 1e-4, 5 epochs, batches of 128.
    pub fn published() -> Self {
        Self {
            channels: vec![32, 64],
            kernel: 3,
            pool: 4,
            hidden: 256,
            balance: Balance::None,
            epochs: 5,
            batch: 128,
            learning_rate: 1e-4,
            weight_decay: 0.0,
        }
    }

    /// What the repository's README says: three convolutions. The third one's channels are not written there; doubled as before.
    pub fn three_layers() -> Self {
        Self { channels: vec![32, 64, 128], ..Self::published() }
    }

    /// Ours for few abnormal samples in small images: poolings by 2, oversampling, Adam at 1e-3.
    pub fn balanced() -> Self {
        Self { pool: 2, balance: Balance::Oversampling, learning_rate: 1e-3, ..Self::published() }
    }

    /// Checks the numbers against images of `shape`, and answers with channels, height and width after each pooling.
    pub(crate) fn check(&self, shape: SampleShape) -> Result<Vec<(usize, usize, usize)>> {
        let SampleShape::Image { channels, height, width } = shape else {
            return Err(Error::config("model", format!("cnn takes images, found a {shape}")));
        };
        if self.channels.is_empty() || self.channels.contains(&0) {
            let problem = format!("needs at least one number, each at least 1, is {:?}", self.channels);
            return Err(Error::config("config.channels", problem));
        }
        let numbers = [
            ("kernel", self.kernel),
            ("pool", self.pool),
            ("hidden", self.hidden),
            ("epochs", self.epochs),
            ("batch", self.batch),
        ];
        if let Some((field, _)) = numbers.iter().find(|(_, value)| *value == 0) {
            return Err(Error::config(format!("config.{field}"), "must be at least 1, is 0"));
        }
        let mut sizes = vec![(channels, height, width)];
        for (i, &channels) in self.channels.iter().enumerate() {
            let (_, height, width) = sizes[i];
            let smaller = |side: usize| (side + 1).saturating_sub(self.kernel) / self.pool;
            let (h, w) = (smaller(height), smaller(width));
            if h == 0 || w == 0 {
                let problem = format!(
                    "{}x{} is too small: convolution {i} gets {height}x{width}, and {kernel}x{kernel} kernels with a pooling by {pool} need at least {least}x{least}",
                    sizes[0].1,
                    sizes[0].2,
                    kernel = self.kernel,
                    pool = self.pool,
                    least = self.kernel + self.pool - 1,
                );
                return Err(Error::config("data.size", problem));
            }
            sizes.push((channels, h, w));
        }
        Ok(sizes)
    }
}

impl flicker_core::Config for Config {
    type Model = Classifier;

    const FAMILY: Family = Family {
        name: "cnn",
        supervision: Supervision::Supervised,
        input: "images",
        source: "LeCun et al. 1998; architecture of Anormaly-detection-AI-models, 2023",
    };

    fn build(&self, shape: SampleShape, rng: Rng, device: &Device) -> Result<Classifier> {
        Classifier::new(self.clone(), shape, rng, device)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_published_sizes_follow_from_the_images() -> Result<()> {
        let sizes = Config::published().check((3, 256, 256).into())?;
        assert_eq!(sizes, [(3, 256, 256), (32, 63, 63), (64, 15, 15)]); // 64·15·15 = 14,400
        assert_eq!(Config::published().check((1, 28, 28).into())?[2], (64, 1, 1));
        Ok(())
    }

    #[test]
    fn what_cannot_work_is_refused_by_name() {
        let said = |config: &Config, shape: SampleShape| config.check(shape).unwrap_err().to_string();
        assert_eq!(
            said(&Config::three_layers(), (1, 28, 32).into()),
            "config field `data.size`: 28x32 is too small: convolution 2 gets 1x1, and 3x3 kernels with a pooling by 4 need at least 6x6"
        );
        assert_eq!(
            said(&Config::published(), 9.into()),
            "config field `model`: cnn takes images, found a row of 9 features"
        );
        let none = Config { pool: 0, ..Config::published() };
        assert_eq!(said(&none, (1, 28, 28).into()), "config field `config.pool`: must be at least 1, is 0");
    }
}
