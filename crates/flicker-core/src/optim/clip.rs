//! Clipping of the gradient's norm: Pascanu, Mikolov and Bengio, 2012 (<https://arxiv.org/abs/1211.5063>,
//! algorithm 1).

use super::require_positive;
use crate::Result;
use candle_core::backprop::GradStore;
use candle_core::{Tensor, Var};
use flicker_kernels::sum_of_squares;

/// Scales all gradients of `vars` by one factor so that their common Euclidean norm is at most `max_norm`, and returns
/// the norm that they had, as `torch.nn.utils.clip_grad_norm_`: the factor is `max_norm / (norm + 1e-6)`, at most 1.
///
/// The norm is accumulated in the order of `vars`, on the CPU in f64. A norm that is not finite is returned as it is, and the
/// gradients stay as they are, where PyTorch makes all of them NaN; the caller must look at it, or at the loss.
///
/// # Errors
/// If `max_norm` is not positive, or candle refuses an operation.
pub fn clip_grad_norm(grads: &mut GradStore, vars: &[(String, Var)], max_norm: f64) -> Result<f64> {
    require_positive("max_norm", max_norm)?;
    let found: Vec<&Tensor> = vars.iter().filter_map(|(_, var)| grads.get(var.as_tensor())).collect();
    let norm = sum_of_squares(&found)?.sqrt();
    let factor = max_norm / (norm + 1e-6);
    if !norm.is_finite() || factor >= 1.0 {
        return Ok(norm);
    }
    for (_, var) in vars {
        if let Some(grad) = grads.remove(var.as_tensor()) {
            // A new tensor, because the memory of a gradient may belong to another one too.
            grads.insert(var.as_tensor(), (grad * factor)?);
        }
    }
    Ok(norm)
}
