//! The two phases: a Wasserstein GAN with gradient penalty (Gulrajani et al., 2017, <https://arxiv.org/abs/1704.00028>), and
//! the encoder.

use crate::networks::Critic;
use crate::{Config, EncoderOptimizer, EncoderTraining, FAnoGan};
use candle_core::{Device, Tensor};
use flicker_core::losses::mse;
use flicker_core::nn::Mode;
use flicker_core::optim::{Adam, AdamConfig, Optimizer, RmsProp, RmsPropConfig};
use flicker_core::run::{Batch, Losses, Training, restore, snapshot};
use flicker_core::{Result, Rng, State, Weights};

/// One optimizer for each network, and the steps that the critic has done.
pub struct Optimizers {
    generator: Adam,
    critic: Adam,
    encoder: Box<dyn Optimizer>,
    /// The generator's beside the encoder.
    tuner: Adam,
    critic_steps: i64,
}

impl Optimizers {
    /// Fresh optimizers for a model's variables.
    ///
    /// # Errors
    /// [`flicker_core::Error::Config`] if a learning rate or a decay rate cannot work.
    pub fn new(config: &Config, weights: &Weights) -> Result<Self> {
        let (beta1, beta2) = (config.beta1, config.beta2);
        let adam = |learning_rate| AdamConfig { learning_rate, beta1, beta2, eps: 1e-8, weight_decay: 0.0 };
        let (rate, vars) = (config.encoder_learning_rate, weights.vars("encoder."));
        Ok(Self {
            generator: Adam::new(weights.vars("generator."), adam(config.learning_rate))?,
            critic: Adam::new(weights.vars("critic."), adam(config.learning_rate))?,
            encoder: match config.encoder_optimizer {
                EncoderOptimizer::Adam => Box::new(Adam::new(vars, adam(rate))?),
                EncoderOptimizer::RmsProp => {
                    let numbers = RmsPropConfig { alpha: 0.9, eps: 1e-10, ..RmsPropConfig::new(rate) };
                    Box::new(RmsProp::new(vars, numbers)?)
                }
            },
            tuner: Adam::new(weights.vars("generator."), adam(rate))?,
            critic_steps: 0,
        })
    }
}

/// The gradient penalty: the mean of `(‖∇ₓD(x̃)‖₂ − 1)²` at `x̃ = ε x + (1 − ε) G(z)`, a scalar. `real` and `fake` are
/// `(B, C, S, S)`, `mix` holds one ε an image, `(B, 1, 1, 1)`.
///
/// # Errors
/// If a shape is another.
pub fn gradient_penalty(critic: &Critic, real: &Tensor, fake: &Tensor, mix: &Tensor) -> Result<Tensor> {
    let between = (real.broadcast_mul(mix)? + fake.broadcast_mul(&(1.0 - mix)?)?)?.detach();
    let squares = critic.input_gradient(&between)?.flatten_from(1)?.sqr()?.sum(1)?;
    // Where the gradient is exactly 0 its norm has no slope; the small number makes that 0 in place of infinite.
    let norms = (squares + 1e-20)?.sqrt()?;
    Ok((norms - 1.0)?.sqr()?.mean_all()?)
}

/// The losses of one step of the game, as scalars on the graph.
#[derive(Clone, Debug)]
pub struct StepLosses {
    /// `mean D(G(z)) − mean D(x) + λ · penalty`.
    pub critic: Tensor,
    /// The penalty alone.
    pub penalty: Tensor,
    /// `mean D(x) − mean D(G(z))`: the estimate of the Wasserstein distance.
    pub distance: Tensor,
}

impl StepLosses {
    /// The critic's losses on images `xs` `(B, C, S, S)`, with latents `zs` `(B, Z)` and `mix` `(B, 1, 1, 1)`.
    ///
    /// # Errors
    /// If a shape is not the model's.
    pub fn on(model: &FAnoGan, xs: &Tensor, zs: &Tensor, mix: &Tensor) -> Result<Self> {
        let fake = model.frozen.generator.forward(zs, Mode::Training)?.detach();
        let critic = &model.networks.critic;
        let distance = (critic.forward(xs)?.mean_all()? - critic.forward(&fake)?.mean_all()?)?;
        let penalty = gradient_penalty(critic, xs, &fake, mix)?;
        let loss = ((&penalty * model.config.gradient_penalty)? - &distance)?;
        Ok(Self { critic: loss, penalty, distance })
    }
}

/// The generator's loss `−mean D(G(z))` for latents `zs` `(B, Z)`: a scalar. The critic is looked through, frozen.
///
/// # Errors
/// If the shape is not the model's.
pub fn generator_loss(model: &FAnoGan, zs: &Tensor) -> Result<Tensor> {
    let fake = model.networks.generator.forward(zs, Mode::Training)?;
    Ok(model.frozen.critic.forward(&fake)?.mean_all()?.neg()?)
}

/// One step of the game: the critic's, and after every `n_critic` of them the generator's with the same latents, as in the
/// code of [`Config::a03ki`]. The authors' code draws new ones and lets the generator begin.
///
/// # Errors
/// If a shape is not the model's.
pub fn step(
    model: &FAnoGan,
    optimizers: &mut Optimizers,
    xs: &Tensor,
    zs: &Tensor,
    mix: &Tensor,
) -> Result<Losses> {
    let losses = StepLosses::on(model, xs, zs, mix)?;
    optimizers.critic.step(&losses.critic.backward()?)?;
    optimizers.critic_steps += 1;
    if optimizers.critic_steps % model.config.n_critic as i64 == 0 {
        optimizers.generator.step(&generator_loss(model, zs)?.backward()?)?;
    }
    Losses::of([("critic", &losses.critic), ("penalty", &losses.penalty), ("distance", &losses.distance)])
}

/// The encoder's loss on images `xs` `(B, C, S, S)` (or, for `ziz`, on as many latents `zs` `(B, Z)`), and its parts by
/// name; all scalars.
///
/// # Errors
/// If a shape is not the model's.
pub fn encoder_loss(model: &FAnoGan, xs: &Tensor, zs: &Tensor) -> Result<[(&'static str, Tensor); 2]> {
    let (encoder, frozen) = (&model.networks.encoder, &model.frozen);
    let generator = if model.config.tune_generator { &model.networks.generator } else { &frozen.generator };
    let generate = |zs: &Tensor| generator.forward(zs, Mode::Evaluation);
    if model.config.encoder_training == EncoderTraining::Ziz {
        let loss = mse(&encoder.forward(&generate(zs)?.detach(), Mode::Training)?, zs)?;
        return Ok([("encoder", loss.clone()), ("latent", loss)]);
    }
    let x_hat = generate(&encoder.forward(xs, Mode::Training)?)?;
    let image = mse(&x_hat, xs)?;
    if model.config.encoder_training == EncoderTraining::Izi {
        return Ok([("encoder", image.clone()), ("image", image)]);
    }
    let feature = mse(&frozen.critic.features(&x_hat)?, &frozen.critic.features(xs)?.detach())?;
    Ok([("encoder", (&image + (feature * model.config.kappa)?)?), ("image", image)])
}

/// One step of the encoder.
///
/// # Errors
/// If a shape is not the model's.
pub fn encoder_step(
    model: &FAnoGan,
    optimizers: &mut Optimizers,
    xs: &Tensor,
    zs: &Tensor,
) -> Result<Losses> {
    let [(name, loss), (part, value)] = encoder_loss(model, xs, zs)?;
    let grads = loss.backward()?;
    optimizers.encoder.step(&grads)?;
    if model.config.tune_generator {
        optimizers.tuner.step(&grads)?;
    }
    Losses::of([(name, &loss), (part, &value)])
}

/// The adversarial game.
pub(crate) struct Game<'a> {
    pub(crate) model: &'a FAnoGan,
    pub(crate) optimizers: &'a mut Optimizers,
}

const STEPS: &str = "critic_steps";

impl Training for Game<'_> {
    fn state(&self) -> Result<State> {
        let mut state = snapshot(
            &self.model.weights,
            [("generator", &self.optimizers.generator), ("critic", &self.optimizers.critic)],
        )?;
        state.put(STEPS, Tensor::new(self.optimizers.critic_steps, &Device::Cpu)?);
        Ok(state)
    }

    fn restore(&mut self, state: &State) -> Result<()> {
        restore(
            &self.model.weights,
            [("generator", &mut self.optimizers.generator), ("critic", &mut self.optimizers.critic)],
            state,
        )?;
        self.optimizers.critic_steps = state.require(STEPS)?.to_scalar()?;
        Ok(())
    }

    fn step(&mut self, batch: &Batch, rng: &Rng) -> Result<Losses> {
        let n = batch.xs.dim(0)?;
        let zs = self.model.latents(n, &mut rng.fork("latents"))?;
        let mix = Tensor::from_vec(rng.fork("mix").uniforms(n, 0.0, 1.0), (n, 1, 1, 1), batch.xs.device())?;
        step(self.model, self.optimizers, &batch.xs, &zs, &mix)
    }
}

/// The encoder's training.
pub(crate) struct Encoding<'a> {
    pub(crate) model: &'a FAnoGan,
    pub(crate) optimizers: &'a mut Optimizers,
}

impl Training for Encoding<'_> {
    fn state(&self) -> Result<State> {
        snapshot(
            &self.model.weights,
            [("encoder", &*self.optimizers.encoder), ("tuner", &self.optimizers.tuner)],
        )
    }

    fn restore(&mut self, state: &State) -> Result<()> {
        restore(
            &self.model.weights,
            [("encoder", &mut *self.optimizers.encoder), ("tuner", &mut self.optimizers.tuner)],
            state,
        )
    }

    fn step(&mut self, batch: &Batch, rng: &Rng) -> Result<Losses> {
        let zs = self.model.latents(batch.xs.dim(0)?, &mut rng.fork("latents"))?;
        encoder_step(self.model, self.optimizers, &batch.xs, &zs)
    }
}
