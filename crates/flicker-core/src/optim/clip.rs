//! Clipping of the gradient's norm: Pascanu, Mikolov and Bengio, 2012 (<https://arxiv.org/abs/1211.5063>,
//! algorithm 1).

use super::require_positive;
use crate::Result;
use candle_core::backprop::GradStore;
use candle_core::{CpuStorage, DType, Storage, Tensor, Var};
use rayon::prelude::*;

/// Elements whose squares are summed in one go. The sums of the stretches are added in their order, so the result does
/// not depend on the number of threads.
const STRETCH: usize = 1 << 14;

/// Scales all gradients of `vars` by one factor so that their common Euclidean norm is at most `max_norm`, and returns
/// the norm that they had, as `torch.nn.utils.clip_grad_norm_`: the factor is `max_norm / (norm + 1e-6)`, at most 1.
///
/// The norm is accumulated in f64, in the order of `vars`. A norm that is not finite is returned as it is, and the
/// gradients stay as they are, where PyTorch makes all of them NaN; the caller must look at it, or at the loss.
///
/// # Errors
/// If `max_norm` is not positive, or candle refuses an operation.
pub fn clip_grad_norm(grads: &mut GradStore, vars: &[(String, Var)], max_norm: f64) -> Result<f64> {
    require_positive("max_norm", max_norm)?;
    let mut squares = 0.0;
    for (_, var) in vars {
        if let Some(grad) = grads.get(var.as_tensor()) {
            squares += sum_of_squares(grad)?;
        }
    }
    let norm = squares.sqrt();
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

fn sum_of_squares(grad: &Tensor) -> Result<f64> {
    let grad = grad.contiguous()?;
    let (storage, layout) = grad.storage_and_layout();
    if let (Storage::Cpu(CpuStorage::F32(all)), Some((start, end))) = (&*storage, layout.contiguous_offsets())
    {
        let stretches = all[start..end].par_chunks(STRETCH).map(sum_of_squares_f32);
        return Ok(stretches.collect::<Vec<f64>>().iter().sum());
    }
    drop(storage);
    Ok(grad.to_dtype(DType::F64)?.sqr()?.sum_all()?.to_scalar()?)
}

/// Eight running sums, so that the processor can add them at once.
fn sum_of_squares_f32(xs: &[f32]) -> f64 {
    let square = |&x: &f32| f64::from(x) * f64::from(x);
    let (eights, rest) = xs.as_chunks::<8>();
    let mut sums = [0.0; 8];
    for eight in eights {
        for (sum, x) in sums.iter_mut().zip(eight) {
            *sum += square(x);
        }
    }
    sums.iter().sum::<f64>() + rest.iter().map(square).sum::<f64>()
}
