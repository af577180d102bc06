//! f-AnoGAN: a Wasserstein GAN learns to make normal images, then an encoder learns to find the latent of an image in one
//! pass; what the generator cannot give back is abnormal.
//!
//! Schlegl, Seeböck, Waldstein, Langs and Schmidt-Erfurth, *f-AnoGAN: Fast unsupervised anomaly detection with generative
//! adversarial networks*, Medical Image Analysis 54, 2019. With G the generator, E the encoder and f the features of the
//! critic D,
//!
//! - the critic minimises `mean D(G(z)) − mean D(x) + λ mean (‖∇D(x̃)‖₂ − 1)²`, the generator `−mean D(G(z))`,
//! - the encoder minimises `mean (x − G(E(x)))² + κ mean (f(x) − f(G(E(x))))²` (training `izi_f`), the first term alone
//!   (`izi`), or `mean (z − E(G(z)))²` (`ziz`),
//! - the score is the loss of `izi_f`, each image by itself.
//!
//! [`Config::paper`] is the authors' code, [`Config::a03ki`] a port with dense networks whose result on MNIST is published.
//! The penalty's second derivatives need no setting: ∇D is a forward computation here ([`Critic::input_gradient`]).
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
//! let networks = fanogan::Architecture::Convolutional { features: 4 };
//! let config = fanogan::Config { networks, epochs: 1, encoder_epochs: 1, batch: 4, ..fanogan::Config::paper() };
//! let mut model = config.build((1, 8, 8).into(), Rng::new(1), &device)?;
//! model.fit(&TrainSet::of_normal(Arc::new(normal)), &mut Run::new(Rng::new(2), &device, &mut Quiet))?;
//! let xs = Rng::new(3).randn((2, 1, 8, 8), &device)?;
//! assert_eq!(model.score(&xs, &Rng::new(4))?.total.len(), 2);
//! # Ok(())
//! # }
//! ```

mod chain;
mod config;
mod model;
mod networks;
mod norm;
mod training;

pub use chain::Chain;
pub use config::{Architecture, Config, EncoderOptimizer, EncoderTraining, LatentRange};
pub use model::{FAnoGan, Networks};
pub use networks::{Critic, Encoder, Generator};
pub use training::{
    Optimizers, StepLosses, encoder_loss, encoder_step, generator_loss, gradient_penalty, step,
};
