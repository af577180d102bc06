//! The numbers of each method, and what they must satisfy.

use crate::Classic;
use candle_core::Device;
use flicker_core::{Error, Family, Result, Rng, SampleShape, Supervision};
use serde::{Deserialize, Serialize};

/// A method and its numbers: `method = "…"` beside the method's own fields.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "method", rename_all = "snake_case")]
pub enum Config {
    /// Principal components.
    Pca(Pca),
    /// k nearest neighbours.
    Knn(Knn),
    /// Isolation forest.
    IsolationForest(IsolationForest),
    /// One-class support vector machine.
    OneClassSvm(OneClassSvm),
    /// Local outlier factor.
    Lof(Lof),
    /// Clusters of an encoder's latents.
    LatentKmeans(LatentKmeans),
    /// Mahalanobis distance.
    Mahalanobis(Mahalanobis),
}

/// Principal components.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Pca {
    /// How many are kept.
    pub components: Components,
}

/// How many principal components are kept.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged, expecting = "expected a number of components, or a share of the variance between 0 and 1")]
pub enum Components {
    /// So many.
    Count(usize),
    /// As few as explain this share of the training variance.
    Share(f64),
}

/// k nearest neighbours.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Knn {
    /// k.
    pub neighbours: usize,
    /// Which distance is the score.
    pub distance: Distance,
}

/// Which of the k distances is the score.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Distance {
    /// That of the k-th neighbour (Ramaswamy et al., 2000).
    Kth,
    /// The mean of all k (Angiulli and Pizzuti, 2002).
    Mean,
}

/// Isolation forest.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct IsolationForest {
    /// Trees.
    pub trees: usize,
    /// ψ: training samples that each tree sees, drawn without replacement; all of them where there are fewer.
    pub samples: usize,
}

/// One-class support vector machine.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OneClassSvm {
    /// ν: bound from above of the share of training samples outside, and from below of the share of support vectors.
    pub nu: f64,
    /// γ of the kernel exp(-γ ‖x - y‖²).
    pub gamma: Gamma,
    /// The largest violation of the optimality conditions at which the search ends, at multipliers in [0, 1] as in LIBSVM.
    pub tolerance: f64,
}

/// The width of the kernel.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged, expecting = "expected a positive number or \"scale\"")]
pub enum Gamma {
    /// γ itself.
    Value(f64),
    /// 1 / (F · variance of all training values).
    Rule(Scale),
}

/// The one rule for γ.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Scale {
    /// 1 / (F · variance of all training values).
    Scale,
}

/// Local outlier factor.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Lof {
    /// k: neighbours that a density is measured over.
    pub neighbours: usize,
}

/// Clusters of an encoder's latents.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LatentKmeans {
    /// Clusters.
    pub clusters: usize,
    /// Starts by k-means++, of which the best is kept.
    pub starts: usize,
    /// Most rounds of a start.
    pub rounds: usize,
    /// What makes latents of samples.
    pub encoder: Encoder,
}

/// Mahalanobis distance.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Mahalanobis {
    /// How far the covariance is drawn towards a multiple of the identity.
    pub shrinkage: Shrinkage,
    /// What makes latents of samples.
    pub encoder: Encoder,
}

/// δ: the covariance becomes (1 - δ) Σ + δ (tr Σ / F) I.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged, expecting = "expected a number from 0 to 1 or \"ledoit_wolf\"")]
pub enum Shrinkage {
    /// δ itself. With 0, directions in which the training samples do not vary have no part in the distance.
    Value(f64),
    /// By a rule.
    Rule(ShrinkageRule),
}

/// The one rule for δ.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ShrinkageRule {
    /// That which is expected to come nearest to the true covariance (Ledoit and Wolf, 2004).
    LedoitWolf,
}

/// What makes latents of samples.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum Encoder {
    /// The samples are their own latents.
    Identity {},
    /// Coordinates along the first principal components.
    Pca {
        /// How many.
        components: usize,
    },
    /// The encoder of a dense autoencoder that is trained first: ReLU between the layers, the code and the output linear.
    Autoencoder {
        /// Widths of its layers; the last one is the latent. The decoder mirrors them.
        widths: Vec<usize>,
        /// Epochs over the normal samples.
        epochs: usize,
        /// Samples a step.
        batch: usize,
        /// Adam's learning rate.
        learning_rate: f64,
    },
}

impl Config {
    /// The isolation forest as published: 100 trees of 256 samples (Liu et al., 2008, section 4).
    pub fn paper_isolation_forest() -> Self {
        Self::IsolationForest(IsolationForest { trees: 100, samples: 256 })
    }

    pub(crate) fn check(&self, features: usize) -> Result<()> {
        match self {
            Self::Pca(Pca { components: Components::Count(k) }) => components("components", *k, features),
            Self::Pca(Pca { components: Components::Share(share) }) => {
                let fits = *share > 0.0 && *share < 1.0;
                require(fits, "components", || {
                    format!("{share} is no share of the variance between 0 and 1, and no whole number")
                })
            }
            Self::Knn(Knn { neighbours, .. }) | Self::Lof(Lof { neighbours }) => {
                at_least_1("neighbours", *neighbours)
            }
            Self::IsolationForest(IsolationForest { trees, samples }) => {
                at_least_1("trees", *trees)?;
                require(*samples >= 2, "samples", || format!("must be at least 2, is {samples}"))
            }
            Self::OneClassSvm(svm) => svm.check(),
            Self::LatentKmeans(kmeans) => kmeans.check(features),
            Self::Mahalanobis(mahalanobis) => mahalanobis.check(features),
        }
    }
}

impl OneClassSvm {
    fn check(&self) -> Result<()> {
        let Self { nu, gamma, tolerance } = *self;
        require(nu > 0.0 && nu < 1.0, "nu", || format!("must lie between 0 and 1, is {nu}"))?;
        if let Gamma::Value(gamma) = gamma {
            let fits = gamma > 0.0 && gamma.is_finite();
            require(fits, "gamma", || format!("must be a positive number or \"scale\", is {gamma}"))?;
        }
        let fits = tolerance > 0.0 && tolerance < 1.0;
        require(fits, "tolerance", || format!("must lie between 0 and 1, is {tolerance}"))
    }
}

impl LatentKmeans {
    fn check(&self, features: usize) -> Result<()> {
        at_least_1("clusters", self.clusters)?;
        at_least_1("starts", self.starts)?;
        at_least_1("rounds", self.rounds)?;
        self.encoder.check(features)
    }
}

impl Mahalanobis {
    /// Latents whose covariance has eigenvectors in some seconds.
    const WIDEST: usize = 2048;

    fn check(&self, features: usize) -> Result<()> {
        if let Shrinkage::Value(share) = self.shrinkage {
            let fits = (0.0..=1.0).contains(&share);
            let problem = || format!("must lie between 0 and 1 or be \"ledoit_wolf\", is {share}");
            require(fits, "shrinkage", problem)?;
        }
        self.encoder.check(features)?;
        let width = self.encoder.width(features);
        require(width <= Self::WIDEST, "encoder", || {
            format!(
                "a covariance of {width} features is too dear, an encoder must leave at most {}",
                Self::WIDEST
            )
        })
    }
}

impl Encoder {
    /// How many numbers a latent has.
    fn width(&self, features: usize) -> usize {
        match self {
            Self::Identity {} => features,
            Self::Pca { components } => *components,
            Self::Autoencoder { widths, .. } => widths.last().copied().unwrap_or(0),
        }
    }

    fn check(&self, features: usize) -> Result<()> {
        match self {
            Self::Identity {} => Ok(()),
            Self::Pca { components: k } => components("encoder.components", *k, features),
            Self::Autoencoder { widths, epochs, batch, .. } => {
                let fits = !widths.is_empty() && !widths.contains(&0);
                require(fits, "encoder.widths", || {
                    format!("needs at least one width, each at least 1, is {widths:?}")
                })?;
                at_least_1("encoder.epochs", *epochs)?;
                at_least_1("encoder.batch", *batch)
            }
        }
    }
}

fn components(field: &str, k: usize, features: usize) -> Result<()> {
    let fits = k >= 1 && k < features;
    require(fits, field, || {
        format!("must be between 1 and {} (features less one), is {k}", features.saturating_sub(1))
    })
}

fn at_least_1(field: &str, number: usize) -> Result<()> {
    require(number >= 1, field, || "must be at least 1, is 0".into())
}

fn require(fits: bool, field: &str, problem: impl FnOnce() -> String) -> Result<()> {
    if fits { Ok(()) } else { Err(Error::config(format!("config.{field}"), problem())) }
}

impl flicker_core::Config for Config {
    type Model = Classic;

    const FAMILY: Family = Family {
        name: "classic",
        supervision: Supervision::NormalOnly,
        input: "images (as rows of pixels) and tables",
        source: "Pearson 1901; Ramaswamy et al. 2000; Liu et al. 2008; Schölkopf et al. 2001; Breunig et al. 2000; MacQueen 1967; Mahalanobis 1936",
    };

    fn build(&self, shape: SampleShape, rng: Rng, device: &Device) -> Result<Classic> {
        Classic::new(self, shape, rng, device)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> std::result::Result<Config, String> {
        toml::from_str(text).map_err(|error| error.message().to_string())
    }

    #[test]
    fn methods_are_told_apart_and_written_back() {
        let check = |text: &str, config: Config| {
            assert_eq!(parse(text), Ok(config.clone()));
            assert_eq!(parse(&toml::to_string(&config).expect("TOML")), Ok(config));
        };
        check("method = \"pca\"\ncomponents = 16", Config::Pca(Pca { components: Components::Count(16) }));
        check("method = \"pca\"\ncomponents = 0.9", Config::Pca(Pca { components: Components::Share(0.9) }));
        check("method = \"lof\"\nneighbours = 20", Config::Lof(Lof { neighbours: 20 }));
        let svm = OneClassSvm { nu: 0.1, gamma: Gamma::Rule(Scale::Scale), tolerance: 1e-3 };
        let text = "method = \"one_class_svm\"\nnu = 0.1\ngamma = \"scale\"\ntolerance = 0.001";
        check(text, Config::OneClassSvm(svm.clone()));
        check(
            &text.replace("\"scale\"", "0.5"),
            Config::OneClassSvm(OneClassSvm { gamma: Gamma::Value(0.5), ..svm }),
        );
        let (shrinkage, encoder) = (Shrinkage::Rule(ShrinkageRule::LedoitWolf), Encoder::Identity {});
        check(
            "method = \"mahalanobis\"\nshrinkage = \"ledoit_wolf\"\nencoder = { kind = \"identity\" }",
            Config::Mahalanobis(Mahalanobis { shrinkage, encoder }),
        );
    }

    #[test]
    fn what_cannot_work_is_named() {
        let check = |text: &str, said: &str| {
            let message = parse(text).and_then(|config| config.check(10).map_err(|e| e.to_string()));
            assert!(message.clone().is_err_and(|message| message.contains(said)), "{message:?}");
        };
        check("method = \"pca\"\ncomponents = 10", "config.components`: must be between 1 and 9");
        check("method = \"pca\"\ncomponents = 1.5", "config.components`: 1.5 is no share");
        check(
            "method = \"knn\"\nneighbours = 0\ndistance = \"kth\"",
            "config.neighbours`: must be at least 1",
        );
        check("method = \"isolation_forest\"\ntrees = 9\nsamples = 1", "config.samples`: must be at least 2");
        check("method = \"one_class_svm\"\nnu = 1.0\ngamma = 1.0\ntolerance = 0.1", "config.nu`");
        check("method = \"lof\"\nneighbours = 2\nk = 3", "unknown field `k`");
        let mahalanobis = "method = \"mahalanobis\"\nencoder = { kind = \"identity\" }\nshrinkage = ";
        check(&format!("{mahalanobis}1.5"), "config.shrinkage`: must lie between 0 and 1");
        check(&format!("{mahalanobis}\"oas\""), "expected a number from 0 to 1 or \"ledoit_wolf\"");
        check("method = \"dbscan\"", "unknown variant `dbscan`");
    }
}
