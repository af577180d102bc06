//! Losses, each as its mean over a batch (to train by) and by sample (to score with), equal to PyTorch's where it has
//! them.
//!
//! candle's own binary cross entropy is NaN for large logits, and its gradient of `|x|` at 0 is 1; here the first is
//! finite and the second is 0, as in PyTorch.
//!
//! B: batch, C: channels, H and W: height and width, K: classes or latent dimensions.

mod ssim;
#[cfg(test)]
mod tests;

pub use ssim::{describe_ssim, ssim, ssim_map, ssim_per_sample};

use crate::{Error, Result};
use candle_core::{DType, Tensor};

/// Mean squared error over all elements: a scalar.
///
/// # Errors
/// If the shapes differ.
pub fn mse(input: &Tensor, target: &Tensor) -> Result<Tensor> {
    Ok(squared_error(input, target)?.mean_all()?)
}

/// Mean squared error of each sample: `(B, …)` to `(B)`.
///
/// # Errors
/// If the shapes differ.
pub fn mse_per_sample(input: &Tensor, target: &Tensor) -> Result<Tensor> {
    sample_means(&squared_error(input, target)?)
}

fn squared_error(input: &Tensor, target: &Tensor) -> Result<Tensor> {
    require_same_shape("mse", input, target)?;
    Ok((input - target)?.sqr()?)
}

/// Mean absolute error over all elements: a scalar.
///
/// # Errors
/// If the shapes differ.
pub fn l1(input: &Tensor, target: &Tensor) -> Result<Tensor> {
    Ok(absolute_error(input, target)?.mean_all()?)
}

/// Mean absolute error of each sample: `(B, …)` to `(B)`.
///
/// # Errors
/// If the shapes differ.
pub fn l1_per_sample(input: &Tensor, target: &Tensor) -> Result<Tensor> {
    sample_means(&absolute_error(input, target)?)
}

fn absolute_error(input: &Tensor, target: &Tensor) -> Result<Tensor> {
    require_same_shape("l1", input, target)?;
    let difference = (input - target)?;
    // |d| = d · sign(d), whose gradient sign(d) is 0 at 0.
    Ok((&difference * difference.detach().sign()?)?)
}

/// Mean binary cross entropy of `sigmoid(logits)` with `targets` in `[0, 1]` over all elements: a scalar.
///
/// # Errors
/// If the shapes differ.
pub fn bce_with_logits(logits: &Tensor, targets: &Tensor) -> Result<Tensor> {
    Ok(binary_cross_entropy(logits, targets)?.mean_all()?)
}

/// Mean binary cross entropy of each sample: `(B, …)` to `(B)`.
///
/// # Errors
/// If the shapes differ.
pub fn bce_with_logits_per_sample(logits: &Tensor, targets: &Tensor) -> Result<Tensor> {
    sample_means(&binary_cross_entropy(logits, targets)?)
}

/// `max(x, 0) - x·t + log(1 + exp(-|x|))`, which no logit makes infinite.
///
/// At x = 0 candle takes 1 for the slope of both `max(x, 0)` and `|x|`; their errors cancel, and the gradient is
/// `1 - t - 1/2`, the right one.
fn binary_cross_entropy(logits: &Tensor, targets: &Tensor) -> Result<Tensor> {
    require_same_shape("bce_with_logits", logits, targets)?;
    let softplus = ((logits.abs()?.neg()?.exp()? + 1.0)?.log()? + logits.relu()?)?;
    Ok((softplus - (logits * targets)?)?)
}

/// Cross entropy of `softmax(logits)` with the classes `labels`, averaged with the weight of each label's class: a
/// scalar.
///
/// # Shapes
/// - `logits`: `(B, K)`
/// - `labels`: `(B)`, u32, below K
/// - `class_weights`: `(K)`; all 1 if absent
///
/// # Errors
/// If a shape differs from these, or a label is not below K.
pub fn cross_entropy(logits: &Tensor, labels: &Tensor, class_weights: Option<&Tensor>) -> Result<Tensor> {
    let entropies = cross_entropy_per_sample(logits, labels, class_weights)?;
    match class_weights {
        None => Ok(entropies.mean_all()?),
        Some(weights) => Ok((entropies.sum_all()? / weights.index_select(labels, 0)?.sum_all()?)?),
    }
}

/// Cross entropy of each sample, times the weight of its label's class: `(B)`. Shapes and errors are those of
/// [`cross_entropy`].
///
/// # Errors
/// If a shape differs from these, or a label is not below K.
pub fn cross_entropy_per_sample(
    logits: &Tensor,
    labels: &Tensor,
    class_weights: Option<&Tensor>,
) -> Result<Tensor> {
    require_labels(logits, labels)?;
    let log_p = log_softmax(logits)?;
    let entropies = log_p.gather(&labels.unsqueeze(1)?, 1)?.squeeze(1)?.neg()?;
    let Some(weights) = class_weights else { return Ok(entropies) };
    if weights.dims() != [logits.dim(1)?] {
        let expected = format!("({})", logits.dim(1)?);
        return Err(shape("class weights", expected, weights));
    }
    Ok((entropies * weights.index_select(labels, 0)?)?)
}

/// Logarithm of softmax over the last of two dimensions. The shift by the maximum changes nothing, so it is outside the
/// gradient.
fn log_softmax(logits: &Tensor) -> Result<Tensor> {
    let shifted = logits.broadcast_sub(&logits.detach().max_keepdim(1)?)?;
    Ok(shifted.broadcast_sub(&shifted.exp()?.sum_keepdim(1)?.log()?)?)
}

fn require_labels(logits: &Tensor, labels: &Tensor) -> Result<()> {
    let &[n, n_classes] = logits.dims() else {
        return Err(shape("logits", "(batch, classes)".into(), logits));
    };
    if labels.dims() != [n] || labels.dtype() != DType::U32 {
        return Err(shape("labels", format!("({n}) of U32"), labels));
    }
    // A look-up beyond the end is undefined on an accelerator, so it is not left to candle.
    let labels = labels.to_vec1::<u32>()?;
    match labels.iter().position(|&label| label as usize >= n_classes) {
        None => Ok(()),
        Some(row) => {
            let problem = format!("row {row}: expected a class below {n_classes}, found {}", labels[row]);
            Err(Error::data("labels", problem))
        }
    }
}

/// Kullback–Leibler divergence of the diagonal Gaussian with the given mean and logarithm of variance from the standard
/// one, averaged over the batch: a scalar. Kingma and Welling, 2013 (<https://arxiv.org/abs/1312.6114>, appendix B).
///
/// # Errors
/// If the shapes differ.
pub fn gaussian_kl(mean: &Tensor, log_variance: &Tensor) -> Result<Tensor> {
    Ok(gaussian_kl_per_sample(mean, log_variance)?.mean_all()?)
}

/// That divergence of each sample: `½ Σ (μ² + σ² - 1 - log σ²)`, `(B, …)` to `(B)`.
///
/// # Errors
/// If the shapes differ.
pub fn gaussian_kl_per_sample(mean: &Tensor, log_variance: &Tensor) -> Result<Tensor> {
    require_same_shape("gaussian_kl", mean, log_variance)?;
    let terms = (((mean.sqr()? + log_variance.exp()?)? - 1.0)? - log_variance)?;
    Ok((terms.flatten_from(1)?.sum(1)? * 0.5)?)
}

/// The mean of each sample: `(B, …)` to `(B)`.
fn sample_means(values: &Tensor) -> Result<Tensor> {
    if values.rank() < 2 {
        return Ok(values.flatten_all()?);
    }
    Ok(values.flatten_from(1)?.mean(1)?)
}

fn require_same_shape(what: &str, input: &Tensor, target: &Tensor) -> Result<()> {
    if input.dims() == target.dims() {
        return Ok(());
    }
    Err(shape(what, format!("{:?}", input.dims()), target))
}

fn shape(what: &str, expected: String, found: &Tensor) -> Error {
    Error::Shape { what: what.into(), expected, found: format!("{:?} of {:?}", found.dims(), found.dtype()) }
}
