//! One step of the adversarial game: losses, gradients and the order of updates.

use crate::model::latent_distance;
use crate::{Config, Ganomaly};
use candle_core::{DType, Tensor};
use flicker_core::losses::{bce_with_logits, l1, mse};
use flicker_core::nn::Mode;
use flicker_core::optim::{Adam, AdamConfig, Optimizer};
use flicker_core::run::{Batch, Losses, Training, Watched, restore, snapshot};
use flicker_core::{Result, Rng, State, Weights};

/// Adam for each side.
pub struct Optimizers {
    generator: Adam,
    discriminator: Adam,
}

impl Optimizers {
    /// Fresh optimizers for a model's variables.
    ///
    /// # Errors
    /// [`flicker_core::Error::Config`] if the learning rate or a decay rate cannot work.
    pub fn new(config: &Config, weights: &Weights) -> Result<Self> {
        let adam = AdamConfig {
            learning_rate: config.learning_rate,
            beta1: config.beta1,
            beta2: config.beta2,
            eps: 1e-8,
            weight_decay: 0.0,
        };
        Ok(Self {
            generator: Adam::new(weights.vars("generator."), adam)?,
            discriminator: Adam::new(weights.vars("discriminator."), adam)?,
        })
    }
}

/// The losses of one step, as scalars on the graph.
#[derive(Clone, Debug)]
pub struct StepLosses {
    /// Equation 1: squared distance of the discriminator's features of image and reconstruction.
    pub adversarial: Tensor,
    /// Equation 2: absolute distance of image and reconstruction.
    pub contextual: Tensor,
    /// Equation 3: squared distance of the two latents.
    pub encoder: Tensor,
    /// Equation 4: the weighted sum of the three.
    pub generator: Tensor,
    /// Binary cross entropy of the discriminator.
    pub discriminator: Tensor,
}

impl StepLosses {
    /// The losses on one batch `(B, C, S, S)`. No variable is changed but the running statistics.
    ///
    /// The paper writes norms; the authors' code takes means over all elements. Kept. The code runs the discriminator
    /// twice more, for the generator's loss; its values are the same, so the features of the real images are reused here.
    ///
    /// # Errors
    /// If the shape is not the model's.
    pub fn on(model: &Ganomaly, xs: &Tensor) -> Result<Self> {
        let (networks, config) = (&model.networks, &model.config);
        let (x_hat, z, z_hat) = networks.reconstruct(xs, Mode::Training)?;
        let (real, features) = networks.discriminator.forward(xs, Mode::Training)?;
        let (fake, _) = networks.discriminator.forward(&x_hat.detach(), Mode::Training)?;
        // The same weights, frozen: the gradient goes through the discriminator to the generator alone.
        let (_, features_hat) = model.frozen.discriminator.forward(&x_hat, Mode::Training)?;
        let adversarial = mse(&features_hat, &features.detach())?;
        let contextual = l1(&x_hat, xs)?;
        let encoder = mse(&z_hat, &z)?;
        let generator = (((&adversarial * config.w_adversarial)? + (&contextual * config.w_contextual)?)?
            + (&encoder * config.w_encoder)?)?;
        let discriminator = ((bce_with_logits(&real, &real.ones_like()?)?
            + bce_with_logits(&fake, &fake.zeros_like()?)?)?
            * 0.5)?;
        Ok(Self { adversarial, contextual, encoder, generator, discriminator })
    }
}

/// One step: both losses from the same forward pass, then the generator's update, then the discriminator's; the
/// discriminator is drawn anew where its loss fell below the bound.
///
/// # Errors
/// If the shape is not the model's.
pub fn step(model: &Ganomaly, optimizers: &mut Optimizers, xs: &Tensor, rng: &Rng) -> Result<Losses> {
    let losses = StepLosses::on(model, xs)?;
    optimizers.generator.step(&losses.generator.backward()?)?;
    optimizers.discriminator.step(&losses.discriminator.backward()?)?;
    let mut told = Losses::of([
        ("generator", &losses.generator),
        ("adversarial", &losses.adversarial),
        ("contextual", &losses.contextual),
        ("encoder", &losses.encoder),
        ("discriminator", &losses.discriminator),
    ])?;
    let loss = losses.discriminator.to_scalar::<f32>()?;
    if f64::from(loss) < model.config.reinit_below {
        redraw_discriminator(&model.weights, rng)?;
        told.notes.push(format!("the discriminator's loss fell to {loss:.1e}: its weights are drawn anew"));
    }
    Ok(told)
}

/// Initial values again for convolutions and norms; the optimizer's moments are kept, as in the authors' code.
fn redraw_discriminator(weights: &Weights, rng: &Rng) -> Result<()> {
    weights.redraw("discriminator.", &rng.fork("redraw"), |name, value, rng| {
        let normal = |rng: &mut Rng, mean: f64| -> Result<Tensor> {
            Ok((rng.randn(value.shape(), value.device())? * 0.02)?.affine(1.0, mean)?)
        };
        match (value.rank(), name.rsplit('.').next()) {
            (4, _) => normal(rng, 0.0).map(Some),
            (_, Some("weight")) => normal(rng, 1.0).map(Some),
            (_, Some("bias")) => Ok(Some(value.zeros_like()?)),
            _ => Ok(None),
        }
    })
}

/// A model under training.
pub(crate) struct Game<'a> {
    pub(crate) model: &'a Ganomaly,
    pub(crate) optimizers: Optimizers,
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
        step(self.model, &mut self.optimizers, &batch.xs, rng)
    }

    /// The latent's distance, whatever the score: neighbours are learned after the last epoch.
    fn watch(&mut self, xs: &Tensor, _: &Rng) -> Result<Option<Watched>> {
        let (x_hat, z, z_hat) = self.model.frozen.reconstruct(xs, Mode::Evaluation)?;
        let reconstruction = Some(x_hat.detach().to_dtype(DType::F32)?);
        Ok(Some(Watched { losses: latent_distance(&z, &z_hat)?, reconstruction }))
    }
}
