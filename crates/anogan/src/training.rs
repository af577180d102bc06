//! The two phases: the adversarial game, and an encoder that learns to invert the generator.

use crate::{Adversarial, AnoGan, Config};
use candle_core::Tensor;
use flicker_core::losses::{bce_with_logits, mse};
use flicker_core::nn::{Activation, Mode, activate};
use flicker_core::optim::{Adam, AdamConfig, Optimizer};
use flicker_core::run::{Batch, Losses, Training, restore, snapshot};
use flicker_core::{Result, Rng, State, Weights};

/// Adam for generator, discriminator and encoder.
pub struct Optimizers {
    generator: Adam,
    discriminator: Adam,
    encoder: Adam,
    /// The generator's beside the encoder.
    tuner: Adam,
}

impl Optimizers {
    /// Fresh optimizers for a model's variables.
    ///
    /// # Errors
    /// [`flicker_core::Error::Config`] if a learning rate or a decay rate cannot work.
    pub fn new(config: &Config, weights: &Weights) -> Result<Self> {
        let adam = |prefix: &str, learning_rate| {
            let (beta1, beta2) = (config.beta1, config.beta2);
            let numbers = AdamConfig { learning_rate, beta1, beta2, eps: 1e-8, weight_decay: 0.0 };
            Adam::new(weights.vars(prefix), numbers)
        };
        Ok(Self {
            generator: adam("generator.", config.learning_rate_generator)?,
            discriminator: adam("discriminator.", config.learning_rate_discriminator)?,
            encoder: adam("encoder.", config.encoder_learning_rate)?,
            tuner: adam("generator.", config.encoder_learning_rate)?,
        })
    }
}

impl Adversarial {
    /// How far `logits` `(B, 1)` are from saying that all images are real, or that all are generated: a scalar.
    pub(crate) fn loss(self, logits: &Tensor, real: bool) -> Result<Tensor> {
        let target = if real { logits.ones_like()? } else { logits.zeros_like()? };
        match self {
            Self::CrossEntropy => bce_with_logits(logits, &target),
            Self::LeastSquares => mse(logits, &target),
            Self::LeastSquaresOfSigmoid => mse(&activate(logits, Activation::Sigmoid)?, &target),
        }
    }

    /// What D says, as it is compared with 0 and 1: `(B, 1)`.
    pub(crate) fn output(self, logits: &Tensor) -> Result<Tensor> {
        match self {
            Self::LeastSquares => Ok(logits.clone()),
            Self::CrossEntropy | Self::LeastSquaresOfSigmoid => activate(logits, Activation::Sigmoid),
        }
    }
}

/// The generator's loss for the latents `zs` `(B, Z)`: a scalar. The discriminator is looked through, frozen.
///
/// # Errors
/// If the shape is not the model's.
pub fn generator_loss(model: &AnoGan, zs: &Tensor) -> Result<Tensor> {
    let fake = model.networks.generator.forward(zs, Mode::Training)?;
    let logits = model.frozen.discriminator.forward(&fake, Mode::Training)?;
    model.config.adversarial.loss(&logits, true)
}

/// The discriminator's loss on images `xs` `(B, C, S, S)` and on those of latents `zs` `(B, Z)`, the sum of both, and the
/// mean that it says of either: three scalars. Each kind is a batch of its own to the norms, as in the tutorial's code.
///
/// # Errors
/// If the shape is not the model's.
pub fn discriminator_loss(model: &AnoGan, xs: &Tensor, zs: &Tensor) -> Result<[Tensor; 3]> {
    let kind = model.config.adversarial;
    let fake = model.frozen.generator.forward(zs, Mode::Training)?.detach();
    let of_fake = model.networks.discriminator.forward(&fake, Mode::Training)?;
    let of_real = model.networks.discriminator.forward(xs, Mode::Training)?;
    let loss = (kind.loss(&of_fake, false)? + kind.loss(&of_real, true)?)?;
    Ok([loss, kind.output(&of_real)?.mean_all()?, kind.output(&of_fake)?.mean_all()?])
}

/// One step of the game: the generator's, then the discriminator's on fresh latents.
///
/// # Errors
/// If a shape is not the model's.
pub fn step(
    model: &AnoGan,
    optimizers: &mut Optimizers,
    xs: &Tensor,
    [for_generator, for_discriminator]: [&Tensor; 2],
) -> Result<Losses> {
    let generator = generator_loss(model, for_generator)?;
    optimizers.generator.step(&generator.backward()?)?;
    let [discriminator, real, fake] = discriminator_loss(model, xs, for_discriminator)?;
    optimizers.discriminator.step(&discriminator.backward()?)?;
    Losses::of([
        ("generator", &generator),
        ("discriminator", &discriminator),
        ("d_real", &real),
        ("d_fake", &fake),
    ])
}

/// The encoder's loss on images `xs` `(B, C, S, S)`: the mean of `(x − G(E(x)))²`, G being in evaluation mode, and frozen
/// unless it goes on learning.
///
/// # Errors
/// If the shape is not the model's, or there is no encoder.
pub fn encoder_loss(model: &AnoGan, xs: &Tensor) -> Result<Tensor> {
    let zs = model.encoder()?.forward(xs, Mode::Training)?;
    let networks = if model.config.tune_generator { &model.networks } else { &model.frozen };
    mse(&networks.generator.forward(&zs, Mode::Evaluation)?, xs)
}

/// The adversarial game.
pub(crate) struct Game<'a> {
    pub(crate) model: &'a AnoGan,
    pub(crate) optimizers: &'a mut Optimizers,
}

impl Training for Game<'_> {
    fn state(&self) -> Result<State> {
        snapshot(
            &self.model.weights,
            [("generator", &self.optimizers.generator), ("discriminator", &self.optimizers.discriminator)],
        )
    }

    fn restore(&mut self, state: &State) -> Result<()> {
        restore(
            &self.model.weights,
            [
                ("generator", &mut self.optimizers.generator),
                ("discriminator", &mut self.optimizers.discriminator),
            ],
            state,
        )
    }

    fn step(&mut self, batch: &Batch, rng: &Rng) -> Result<Losses> {
        let n = batch.xs.dim(0)?;
        let zs = |purpose: &str| self.model.latents(n, &mut rng.fork(purpose));
        step(self.model, self.optimizers, &batch.xs, [&zs("generator")?, &zs("discriminator")?])
    }
}

/// The encoder's training.
pub(crate) struct Inversion<'a> {
    pub(crate) model: &'a AnoGan,
    pub(crate) optimizers: &'a mut Optimizers,
}

impl Training for Inversion<'_> {
    fn state(&self) -> Result<State> {
        snapshot(
            &self.model.weights,
            [("encoder", &self.optimizers.encoder), ("tuner", &self.optimizers.tuner)],
        )
    }

    fn restore(&mut self, state: &State) -> Result<()> {
        restore(
            &self.model.weights,
            [("encoder", &mut self.optimizers.encoder), ("tuner", &mut self.optimizers.tuner)],
            state,
        )
    }

    fn step(&mut self, batch: &Batch, _: &Rng) -> Result<Losses> {
        let loss = encoder_loss(self.model, &batch.xs)?;
        let grads = loss.backward()?;
        self.optimizers.encoder.step(&grads)?;
        if self.model.config.tune_generator {
            self.optimizers.tuner.step(&grads)?;
        }
        Losses::of([("reconstruction", &loss)])
    }
}
