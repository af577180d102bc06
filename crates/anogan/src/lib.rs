//! AnoGAN: a generator learns to make normal images from random latents; for each new image the latent is searched for whose
//! image is nearest, and what remains is how abnormal it is.
//!
//! Schlegl, Seeböck, Waldstein, Schmidt-Erfurth and Langs, *Unsupervised Anomaly Detection with Generative Adversarial
//! Networks to Guide Marker Discovery*, 2017 (<https://arxiv.org/abs/1703.05921>). With G the generator and f an
//! intermediate layer of the discriminator,
//!
//! - residual loss: `L_R(z) = Σ |x − G(z)|` (equation 2),
//! - discrimination loss: `L_D(z) = Σ |f(x) − f(G(z))|` (equation 4),
//! - a search minimises `(1 − λ) L_R(z) + λ L_D(z)` over z by gradient descent, G and f being fixed (equation 5),
//! - the score is the same at the end of the search (equation 6).
//!
//! [`Config::tutorial`] has the layers and numbers of <https://github.com/GunhoChoi/AnoGAN-Pytorch> as the tutorial that
//! this family follows uses them; [`Config::egbad`] those of Zenati et al. 2018, whose search is the one that works. Of
//! either code these faults are left out: gradients of z that pile up over the steps, norms in training mode while scoring,
//! images in [0, 1] against a tanh in [-1, 1], one sum for a whole batch. An encoder that learns where to start
//! (`encoder_epochs`) makes a short search do.
//!
//! ```
//! use candle_core::Device;
//! use flicker_core::data::Samples;
//! use flicker_core::run::{Quiet, Run};
//! use flicker_core::{Config as _, Detector as _, Rng, SampleShape, TrainSet};
//! use std::sync::Arc;
//!
//! # fn main() -> flicker_core::Result<()> {
//! let device = Device::Cpu;
//! let normal = Samples::new(SampleShape::from((1, 8, 8)), Rng::new(0).uniforms(8 * 64, -1.0, 1.0))?;
//! let networks = anogan::Architecture::Tutorial { generator: 16, discriminator: 2 };
//! let config = anogan::Config { networks, epochs: 1, batch: 4, search_steps: 5, ..anogan::Config::tutorial() };
//! let mut model = config.build((1, 8, 8).into(), Rng::new(1), &device)?;
//! model.fit(&TrainSet::of_normal(Arc::new(normal)), &mut Run::new(Rng::new(2), &device, &mut Quiet))?;
//! let xs = Rng::new(3).randn((2, 1, 8, 8), &device)?;
//! assert_eq!(model.score(&xs, &Rng::new(4))?.total.len(), 2);
//! # Ok(())
//! # }
//! ```

mod check_up;
mod config;
mod model;
mod networks;
mod prior;
mod search;
mod training;

pub use config::{Adversarial, Architecture, Config, Rate, Reduction, Scoring};
pub use model::{AnoGan, Networks};
pub use networks::{Discriminator, Encoder, Generator};
pub use prior::Prior;
pub use search::Parts;
pub use training::{Optimizers, discriminator_loss, encoder_loss, generator_loss, step};
