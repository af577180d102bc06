//! The step: corruption or draws, one loss, one update.

use crate::score::losses;
use crate::variant::draw;
use crate::{Autoencoder, Schedule, Variant};
use candle_core::{Device, Tensor};
use flicker_core::losses::gaussian_kl;
use flicker_core::nn::Mode;
use flicker_core::optim::{Adam, Optimizer};
use flicker_core::run::{Batch, Losses, Training, Watched, restore, snapshot};
use flicker_core::{Detector, Result, Rng, State};

/// The losses of one batch, on the graph.
#[derive(Clone, Debug)]
pub struct StepLosses {
    /// What is minimised: the reconstruction's loss, or the negative evidence lower bound a value.
    pub total: Tensor,
    /// The loss of the reconstruction, a mean over all values.
    pub reconstruction: Tensor,
    /// The divergence of the codes' distributions from N(0, 1), a mean over the samples; of a variational autoencoder only.
    pub kl: Option<Tensor>,
}

impl StepLosses {
    /// The losses on `xs`, with batch statistics in the norms, and corruption or codes drawn from `rng`.
    ///
    /// # Errors
    /// If the shape is not the model's.
    pub fn on(model: &Autoencoder, xs: &Tensor, rng: &Rng) -> Result<Self> {
        let config = model.config();
        match config.variant {
            Variant::Plain {} => Self::given(model, xs, xs, None),
            Variant::Denoising { corruption } => {
                Self::given(model, xs, &corruption.apply(xs, &mut rng.fork("corruption"))?, None)
            }
            Variant::Variational { .. } => {
                let noise = rng.fork("code").randn((xs.dim(0)?, config.network.code()), xs.device())?;
                Self::given(model, xs, xs, Some(&noise))
            }
        }
    }

    /// The losses on `xs` with what is drawn given: the network's `input`, and of a variational autoencoder the standard normal
    /// `noise` `(B, K)` of the codes (without it, the means are decoded).
    ///
    /// # Errors
    /// If a shape is another.
    pub fn given(model: &Autoencoder, xs: &Tensor, input: &Tensor, noise: Option<&Tensor>) -> Result<Self> {
        let (config, network) = (model.config(), model.network());
        let code = network.encode(input, Mode::Training)?;
        let (Some(log_variance), Variant::Variational { beta, .. }) = (&code.log_variance, config.variant)
        else {
            let reconstruction = config.loss.mean(&network.decode(&code.mean, Mode::Training)?, xs)?;
            return Ok(Self { total: reconstruction.clone(), reconstruction, kl: None });
        };
        let zs =
            noise.map_or_else(|| Ok(code.mean.clone()), |noise| draw(&code.mean, log_variance, noise))?;
        let reconstruction = config.loss.mean(&network.decode(&zs, Mode::Training)?, xs)?;
        let kl = gaussian_kl(&code.mean, log_variance)?;
        let values = (xs.elem_count() / xs.dim(0)?.max(1)) as f64;
        let nats = (&reconstruction * config.variant.nats_per_loss(&config.loss))?;
        let total = (nats + (&kl * (beta / values))?)?;
        Ok(Self { total, reconstruction, kl: Some(kl) })
    }
}

/// One step: the losses on `xs` and one update. Answers with the losses before the update.
///
/// # Errors
/// If the shape is not the model's.
pub fn step(model: &Autoencoder, optimizer: &mut Adam, xs: &Tensor, rng: &Rng) -> Result<StepLosses> {
    let losses = StepLosses::on(model, xs, rng)?;
    optimizer.step(&losses.total.backward()?)?;
    Ok(losses)
}

/// A model under training.
pub(crate) struct Descent<'a> {
    model: &'a Autoencoder,
    optimizer: Adam,
    /// Steps done, and steps in all.
    at: usize,
    steps: usize,
}

impl<'a> Descent<'a> {
    pub(crate) fn new(model: &'a Autoencoder, steps: usize) -> Result<Self> {
        Ok(Self { model, optimizer: model.optimizer()?, at: 0, steps })
    }
}

impl Training for Descent<'_> {
    fn state(&self) -> Result<State> {
        let mut state = snapshot(self.model.weights(), [("adam", &self.optimizer)])?;
        state.put("steps", Tensor::new(self.at as i64, &Device::Cpu)?);
        Ok(state)
    }

    fn restore(&mut self, state: &State) -> Result<()> {
        restore(self.model.weights(), [("adam", &mut self.optimizer)], state)?;
        self.at = state.require("steps")?.to_scalar::<i64>()? as usize;
        Ok(())
    }

    fn step(&mut self, batch: &Batch, rng: &Rng) -> Result<Losses> {
        let config = self.model.config();
        if config.schedule == Schedule::Cosine {
            let done = self.at as f64 / self.steps as f64;
            let multiplier = (1.0 + (std::f64::consts::PI * done).cos()) / 2.0;
            self.optimizer.set_learning_rate(config.learning_rate * multiplier);
        }
        self.at += 1;
        let losses = step(self.model, &mut self.optimizer, &batch.xs, rng)?;
        match &losses.kl {
            None => Losses::of([("reconstruction", &losses.reconstruction)]),
            Some(kl) => {
                Losses::of([("elbo", &losses.total), ("reconstruction", &losses.reconstruction), ("kl", kl)])
            }
        }
    }

    fn watch(&mut self, xs: &Tensor, _: &Rng) -> Result<Option<Watched>> {
        let (losses, x_hat) = losses(&self.model.config().loss, self.model.frozen(), xs)?;
        Ok(Some(Watched { losses, reconstruction: Some(x_hat) }))
    }
}
