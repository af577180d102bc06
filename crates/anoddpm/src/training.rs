//! One step of training: noise at a random step for each image, the loss, a clipped gradient, and the averaged weights.

use crate::AnoDdpm;
use crate::objective::Times;
use candle_core::{DType, Tensor};
use flicker_core::optim::{AdamW, AdamWConfig, Ema, Optimizer, clip_grad_norm};
use flicker_core::run::{Batch, Losses, Training, Watched};
use flicker_core::{Detector as _, Result, Rng, State};

/// AdamW and the averaged weights.
pub struct Optimizers {
    adam: AdamW,
    pub(crate) ema: Ema,
}

impl Optimizers {
    /// Fresh ones for a model's variables.
    ///
    /// # Errors
    /// [`flicker_core::Error::Config`] if a rate cannot work.
    pub fn new(model: &AnoDdpm) -> Result<Self> {
        let vars = model.weights.vars("");
        let config = AdamWConfig {
            weight_decay: model.config.weight_decay,
            ..AdamWConfig::new(model.config.learning_rate)
        };
        Ok(Self { ema: Ema::new(&vars, model.config.ema_decay)?, adam: AdamW::new(vars, config)? })
    }
}

/// One step on `xs` `(B, C, S, S)` with this noise at these steps; the loss before it, and the gradient's norm.
///
/// # Errors
/// If the shapes are not the model's.
pub fn step(
    model: &AnoDdpm,
    optimizers: &mut Optimizers,
    xs: &Tensor,
    noise: &Tensor,
    times: &Times,
) -> Result<(Tensor, f64)> {
    let loss = model.loss(xs, noise, times)?;
    let mut grads = loss.backward()?;
    let norm = clip_grad_norm(&mut grads, &model.weights.vars(""), model.config.clip_norm)?;
    optimizers.adam.step(&grads)?;
    optimizers.ema.update()?;
    Ok((loss.detach(), norm))
}

/// A model under training.
pub(crate) struct Denoising<'a> {
    pub(crate) model: &'a AnoDdpm,
    pub(crate) optimizers: Optimizers,
}

impl Training for Denoising<'_> {
    fn state(&self) -> Result<State> {
        let mut state = State::new();
        state.put_all("weights", self.model.weights.state()?);
        state.put_all("adam", self.optimizers.adam.state()?);
        state.put_all("average", self.optimizers.ema.state()?);
        Ok(state)
    }

    fn restore(&mut self, state: &State) -> Result<()> {
        self.model.weights.restore("checkpoint", &state.part("weights"))?;
        self.optimizers.adam.restore(&state.part("adam"))?;
        self.optimizers.ema.restore(&state.part("average"))
    }

    fn step(&mut self, batch: &Batch, rng: &Rng) -> Result<Losses> {
        let config = &self.model.config;
        let n = batch.indices.len();
        let weighting = (config.weighting, config.correction);
        let times = Times::draw(weighting, config.steps, config.train_below, n, &mut rng.fork("steps"));
        let streams = rng.fork("noise");
        let mut rngs: Vec<Rng> = (0..n).map(|i| streams.fork_index(i as u64)).collect();
        let noise = config.noise.draw(self.model.dims, &times.ts, &mut rngs, batch.xs.device())?;
        let (loss, norm) = step(self.model, &mut self.optimizers, &batch.xs, &noise, &times)?;
        let mut losses = Losses::of([("noise", &loss)])?;
        losses.values.push(("gradient_norm", norm as f32));
        Ok(losses)
    }

    /// Scores with the averaged weights.
    fn watch(&mut self, xs: &Tensor, rng: &Rng) -> Result<Option<Watched>> {
        self.optimizers.ema.swap()?;
        let scores = self.model.score(xs, rng);
        self.optimizers.ema.swap()?;
        let scores = scores?;
        let reconstruction = scores.reconstruction.map(|x_hat| x_hat.to_dtype(DType::F32)).transpose()?;
        Ok(Some(Watched { losses: scores.total, reconstruction }))
    }
}
