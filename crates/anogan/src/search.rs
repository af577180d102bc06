//! The search: gradient descent on the latents of a whole batch at once, the networks being frozen.
//!
//! The loss that is differentiated is the sum of the images' own losses, norms are in evaluation mode, and Adam moves each
//! number by itself; so an image's search takes the same way in any batch. Only the latents have a gradient, and each step
//! has a graph of its own.

use crate::{AnoGan, Reduction};
use candle_core::{Tensor, Var};
use flicker_core::nn::Mode;
use flicker_core::optim::AdamConfig;
use flicker_core::{Error, Result};
use flicker_kernels::{AdamStep, WeightDecay, adam_step};

/// What an image's loss must fall below, as a share of the lowest one so far, to count as progress.
const PROGRESS: f32 = 0.999;

/// Losses of images `(B)` at their latents, on the graph.
#[derive(Clone, Debug)]
pub struct Parts {
    /// L_R: Σ |x − G(z)| over the pixels, or its mean.
    pub residual: Tensor,
    /// L_D: Σ |f(x) − f(G(z))| over the features of the discriminator, or its mean.
    pub discrimination: Tensor,
    /// G(z), `(B, C, S, S)`.
    pub x_hat: Tensor,
}

impl Parts {
    /// (1 − λ) L_R + λ L_D: `(B)`.
    ///
    /// # Errors
    /// If candle refuses an operation.
    pub fn loss(&self, lambda: f64) -> Result<Tensor> {
        Ok(((&self.residual * (1.0 - lambda))? + (&self.discrimination * lambda)?)?)
    }
}

/// Images to search for.
struct Targets {
    xs: Tensor,
    features: Tensor,
}

impl Targets {
    fn rows(&self, rows: &Tensor) -> Result<Self> {
        let [xs, features] = [&self.xs, &self.features].map(|t| t.index_select(rows, 0));
        Ok(Self { xs: xs?, features: features? })
    }
}

impl AnoGan {
    /// The losses of images `xs` `(B, C, S, S)` at latents `zs` `(B, Z)`.
    ///
    /// # Errors
    /// If a shape is not the model's.
    pub fn losses(&self, xs: &Tensor, zs: &Tensor) -> Result<Parts> {
        self.losses_at(&self.targets(xs)?, zs)
    }

    /// The latents `(B, Z)` at which the searches for images `xs` `(B, C, S, S)` end that start from `starts` `(B, Z)`, and
    /// the steps that each took.
    ///
    /// # Errors
    /// If a shape is not the model's.
    pub fn search(&self, xs: &Tensor, starts: &Tensor) -> Result<(Tensor, Vec<usize>)> {
        Descent::new(self, self.targets(xs)?, starts)?.run()
    }

    fn targets(&self, xs: &Tensor) -> Result<Targets> {
        Ok(Targets {
            xs: xs.detach(),
            features: self.frozen.discriminator.features(xs, Mode::Evaluation)?.detach(),
        })
    }

    fn losses_at(&self, to: &Targets, zs: &Tensor) -> Result<Parts> {
        let x_hat = self.frozen.generator.forward(zs, Mode::Evaluation)?;
        let features = self.frozen.discriminator.features(&x_hat, Mode::Evaluation)?;
        let distance = |a: &Tensor, b: &Tensor| -> Result<Tensor> {
            let difference = (a - b)?.flatten_from(1)?;
            let absolute = (&difference * difference.detach().sign()?)?;
            Ok(match self.config.reduction {
                Reduction::Sum => absolute.sum(1)?,
                Reduction::Mean => absolute.mean(1)?,
            })
        };
        Ok(Parts {
            residual: distance(&x_hat, &to.xs)?,
            discrimination: distance(&features, &to.features)?,
            x_hat,
        })
    }
}

/// The searches of a batch, those that are still under way.
struct Descent<'a> {
    model: &'a AnoGan,
    to: Targets,
    z: Var,
    first: Var,
    second: Var,
    /// Where each search under way stands in the batch.
    places: Vec<usize>,
    /// The lowest loss of each, and how many steps ago progress was made.
    lowest: Vec<(f32, usize)>,
    /// The end of each search of the batch, and its steps.
    ends: Vec<Option<(Tensor, usize)>>,
}

impl<'a> Descent<'a> {
    fn new(model: &'a AnoGan, to: Targets, starts: &Tensor) -> Result<Self> {
        let n = to.xs.dim(0)?;
        let expected = [n, model.config.latent];
        if starts.dims() != expected {
            let (expected, found) = (format!("{expected:?}"), format!("{:?}", starts.dims()));
            return Err(Error::Shape { what: "latents to start from".into(), expected, found });
        }
        let zeros = || Var::zeros(starts.shape(), starts.dtype(), starts.device());
        Ok(Self {
            model,
            to,
            z: Var::from_tensor(&starts.copy()?)?,
            first: zeros()?,
            second: zeros()?,
            places: (0..n).collect(),
            lowest: vec![(f32::INFINITY, 0); n],
            ends: vec![None; n],
        })
    }

    fn run(mut self) -> Result<(Tensor, Vec<usize>)> {
        let steps = self.model.config.search_steps;
        for step in 0..steps {
            self.step(step)?;
            if self.places.is_empty() {
                break;
            }
        }
        for (row, place) in self.places.iter().enumerate() {
            self.ends[*place] = Some((self.z.as_detached_tensor().narrow(0, row, 1)?.copy()?, steps));
        }
        let (latents, steps): (Vec<Tensor>, Vec<usize>) = self.ends.into_iter().flatten().unzip();
        Ok((Tensor::cat(&latents, 0)?, steps))
    }

    fn step(&mut self, step: usize) -> Result<()> {
        let config = &self.model.config;
        let losses = self.model.losses_at(&self.to, &self.z)?.loss(config.lambda)?;
        if config.search_patience > 0 {
            let losses = losses.to_vec1::<f32>()?;
            if self.any_ended(&losses) {
                // Those that ended stay where they are: the step is taken again without them.
                self.leave_ended(step)?;
                return if self.places.is_empty() { Ok(()) } else { self.move_on(step, None) };
            }
        }
        self.move_on(step, Some(losses))
    }

    /// Moves every latent against its gradient.
    fn move_on(&mut self, step: usize, losses: Option<Tensor>) -> Result<()> {
        let config = &self.model.config;
        let losses = match losses {
            Some(losses) => losses,
            None => self.model.losses_at(&self.to, &self.z)?.loss(config.lambda)?,
        };
        let grads = losses.sum_all()?.backward()?;
        let Some(grad) = grads.get(&self.z) else { return Ok(()) };
        let AdamConfig { beta1, beta2, eps, .. } = AdamConfig::new(1.0);
        let lr =
            config.search_rates.iter().rev().find(|rate| rate.from <= step).map_or(0.0, |rate| rate.rate);
        let adam = AdamStep { lr, beta1, beta2, eps, weight_decay: WeightDecay::None, step: step + 1 };
        adam_step(&self.z, grad, &self.first, &self.second, &adam)?;
        if let Some((low, high)) = config.prior.limits(config.search_bound) {
            self.z.set(&self.z.as_detached_tensor().clamp(low as f32, high as f32)?)?;
        }
        Ok(())
    }

    /// Counts the steps without progress, and says whether anyone has had too many.
    fn any_ended(&mut self, losses: &[f32]) -> bool {
        for ((lowest, since), loss) in self.lowest.iter_mut().zip(losses) {
            if *loss < *lowest * PROGRESS || lowest.is_infinite() {
                (*lowest, *since) = (*loss, 0);
            } else {
                *since += 1;
            }
        }
        self.lowest.iter().any(|(_, since)| *since >= self.model.config.search_patience)
    }

    /// Takes out the searches that have ended.
    fn leave_ended(&mut self, step: usize) -> Result<()> {
        let patience = self.model.config.search_patience;
        let (stay, ended): (Vec<usize>, Vec<usize>) =
            (0..self.places.len()).partition(|&row| self.lowest[row].1 < patience);
        for row in ended {
            let z = self.z.as_detached_tensor().narrow(0, row, 1)?.copy()?;
            self.ends[self.places[row]] = Some((z, step));
        }
        self.places = stay.iter().map(|&row| self.places[row]).collect();
        self.lowest = stay.iter().map(|&row| self.lowest[row]).collect();
        if stay.is_empty() {
            return Ok(());
        }
        let rows: Vec<u32> = stay.iter().map(|&row| row as u32).collect();
        let rows = Tensor::from_vec(rows, stay.len(), self.z.device())?;
        self.to = self.to.rows(&rows)?;
        let kept = |var: &Var| -> Result<Var> {
            Ok(Var::from_tensor(&var.as_detached_tensor().index_select(&rows, 0)?)?)
        };
        (self.z, self.first, self.second) = (kept(&self.z)?, kept(&self.first)?, kept(&self.second)?);
        Ok(())
    }
}

#[cfg(test)]
mod tests;
