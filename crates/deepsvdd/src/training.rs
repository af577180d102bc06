//! The two phases: the autoencoder that gives φ its first weights, and the objective.

use crate::{DeepSvdd, Objective};
use candle_core::{Device, Tensor};
use flicker_core::nn::Mode;
use flicker_core::optim::{Adam, Optimizer};
use flicker_core::run::{Batch, Losses, Training, Watched, restore, snapshot};
use flicker_core::{Detector, Error, Result, Rng, State};

/// The autoencoder's loss on `xs`: squared errors, added up over each sample, their mean over the batch.
///
/// # Errors
/// If the shape is not the model's, or the range is not known yet.
pub fn pretraining_loss(model: &DeepSvdd, xs: &Tensor) -> Result<Tensor> {
    let xs = model.input(xs)?;
    let x_hat = model.decoder.forward(&model.encoder.forward(&xs, Mode::Training)?, Mode::Training)?;
    let errors = (x_hat.flatten_from(1)? - xs.flatten_from(1)?)?.sqr()?.sum(1)?; // (B)
    Ok(errors.mean_all()?)
}

/// The objective on `xs`, on the graph, without weight decay (which is the optimizer's), and the squared distances from the
/// centre, (B).
///
/// # Errors
/// If the shape is not the model's, or range and centre are not known yet.
pub fn loss(model: &DeepSvdd, xs: &Tensor) -> Result<(Tensor, Tensor)> {
    let distances = model.distances(&model.encoder.forward(&model.input(xs)?, Mode::Training)?)?;
    let loss = match model.config().objective {
        // Equation 4.
        Objective::OneClass => distances.mean_all()?,
        // Equation 3. R is no variable of the gradient step: it is set by a quantile (section 3.2).
        Objective::SoftBoundary => {
            let inside = model.radius()?.powi(2);
            let outside = (&distances - inside)?.relu()?.mean_all()?;
            outside.affine(1.0 / model.config().nu, inside)?
        }
    };
    Ok((loss, distances))
}

/// One step of the objective on `xs`; `moves_radius` says whether R then becomes the (1-ν)-quantile of the batch's distances.
/// Answers with the loss before the update.
///
/// # Errors
/// As [`loss`].
pub fn step(model: &DeepSvdd, optimizer: &mut Adam, xs: &Tensor, moves_radius: bool) -> Result<Tensor> {
    let (loss, distances) = loss(model, xs)?;
    optimizer.step(&loss.backward()?)?;
    if moves_radius {
        let distances = distances.detach().sqrt()?.to_vec1::<f32>()?;
        let radius = quantile(distances, 1.0 - model.config().nu);
        model.weights().set_fitted("radius", &Tensor::new(&[radius], &Device::Cpu)?)?;
    }
    Ok(loss)
}

/// The quantile between the two nearest values, as NumPy's default.
fn quantile(mut values: Vec<f32>, share: f64) -> f32 {
    values.sort_by(f32::total_cmp);
    let place = share * values.len().saturating_sub(1) as f64;
    let (below, rest) = (place.floor() as usize, place.fract() as f32);
    match (values.get(below), values.get(below + 1)) {
        (Some(a), Some(b)) => a + (b - a) * rest,
        (Some(a), None) => *a,
        _ => f32::NAN,
    }
}

/// What both phases have: a model, an optimizer, and how many steps are done.
struct Steps<'a> {
    model: &'a DeepSvdd,
    optimizer: Adam,
    done: u32,
    in_epoch: usize,
}

impl Steps<'_> {
    fn epoch(&self) -> usize {
        self.done as usize / self.in_epoch
    }

    /// The learning rate of this epoch; the step counts as done from now on.
    fn next(&mut self) {
        let config = self.model.config();
        let factor = if self.epoch() >= config.milestone { 0.1 } else { 1.0 };
        self.optimizer.set_learning_rate(config.learning_rate * factor);
        self.done += 1;
    }

    fn state(&self) -> Result<State> {
        let mut state = snapshot(self.model.weights(), [("adam", &self.optimizer)])?;
        state.put("steps", Tensor::new(&[self.done], &Device::Cpu)?);
        Ok(state)
    }

    fn restore(&mut self, state: &State) -> Result<()> {
        restore(self.model.weights(), [("adam", &mut self.optimizer)], state)?;
        let done = state.require("steps")?.to_vec1::<u32>()?;
        self.done = done.first().copied().ok_or_else(|| Error::Weights {
            origin: "checkpoint".into(),
            problem: "`steps` is empty, expected one number".into(),
        })?;
        Ok(())
    }
}

/// The autoencoder under training.
pub(crate) struct Pretraining<'a>(Steps<'a>);

impl<'a> Pretraining<'a> {
    pub(crate) fn new(model: &'a DeepSvdd, in_epoch: usize) -> Result<Self> {
        Ok(Self(Steps { model, optimizer: model.pretraining_optimizer()?, done: 0, in_epoch }))
    }
}

impl Training for Pretraining<'_> {
    fn state(&self) -> Result<State> {
        self.0.state()
    }

    fn restore(&mut self, state: &State) -> Result<()> {
        self.0.restore(state)
    }

    fn step(&mut self, batch: &Batch, _: &Rng) -> Result<Losses> {
        self.0.next();
        let loss = pretraining_loss(self.0.model, &batch.xs)?;
        self.0.optimizer.step(&loss.backward()?)?;
        Losses::of([("reconstruction", &loss)])
    }
}

/// φ under training by the objective.
pub(crate) struct Objected<'a>(Steps<'a>);

impl<'a> Objected<'a> {
    pub(crate) fn new(model: &'a DeepSvdd, in_epoch: usize) -> Result<Self> {
        Ok(Self(Steps { model, optimizer: model.optimizer()?, done: 0, in_epoch }))
    }
}

impl Training for Objected<'_> {
    fn state(&self) -> Result<State> {
        self.0.state()
    }

    fn restore(&mut self, state: &State) -> Result<()> {
        self.0.restore(state)
    }

    fn step(&mut self, batch: &Batch, _: &Rng) -> Result<Losses> {
        let model = self.0.model;
        let moves = model.config().objective == Objective::SoftBoundary
            && self.0.epoch() >= model.config().warm_up_epochs;
        self.0.next();
        Losses::of([("svdd", &step(model, &mut self.0.optimizer, &batch.xs, moves)?)])
    }

    fn watch(&mut self, xs: &Tensor, rng: &Rng) -> Result<Option<Watched>> {
        Ok(Some(Watched { losses: self.0.model.score(xs, rng)?.total, reconstruction: None }))
    }
}

#[cfg(test)]
mod tests {
    use super::quantile;

    #[test]
    fn quantiles_are_numpys() {
        assert_eq!(quantile(vec![4.0, 1.0, 3.0, 2.0], 0.5), 2.5);
        assert_eq!(quantile(vec![1.0, 2.0, 3.0], 0.9), 2.8);
        assert_eq!(quantile(vec![7.0], 0.3), 7.0);
    }
}
