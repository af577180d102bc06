//! From indices to tensors.

use super::Source;
use crate::{Error, Result};
use candle_core::{Device, Tensor};
use rayon::prelude::*;

/// The samples at `indices`, `(B, C, H, W)` or `(B, F)`, f32.
///
/// # Errors
/// If `indices` is empty, a sample cannot be read, or the device refuses the copy.
pub fn tensor(source: &dyn Source, indices: &[usize], device: &Device) -> Result<Tensor> {
    let values = gather(source, indices)?;
    Ok(Tensor::from_vec(values, source.shape().batch_dims(indices.len()), device)?)
}

/// The values of the samples at `indices`, one after the other, decoded in parallel.
///
/// # Errors
/// If `indices` is empty or a sample cannot be read.
pub fn gather(source: &dyn Source, indices: &[usize]) -> Result<Vec<f32>> {
    let elements = source.shape().elements();
    if indices.is_empty() || elements == 0 {
        let found = format!("{} samples of {elements} values", indices.len());
        return Err(Error::Shape { what: "batch".into(), expected: "at least one sample".into(), found });
    }
    let mut values = vec![0.0; indices.len() * elements];
    values
        .par_chunks_mut(elements)
        .zip(indices.par_iter())
        .with_min_len(8) // converting one small image is less work than handing it to a thread
        .try_for_each(|(out, &index)| source.read(index, out))?;
    Ok(values)
}

/// The batches of an epoch of training: `n` indices each, in the given order; a last batch that is not full is left
/// out, since batch statistics of a few samples would disturb the training. An `n` of 0 counts as 1.
pub fn batches(order: &[usize], n: usize) -> impl ExactSizeIterator<Item = &[usize]> + Clone {
    order.chunks_exact(n.max(1))
}

/// All of `indices`, at most `n` at once, for scoring. An `n` of 0 counts as 1.
pub fn chunks(indices: &[usize], n: usize) -> impl ExactSizeIterator<Item = &[usize]> + Clone {
    indices.chunks(n.max(1))
}

#[cfg(test)]
mod tests {
    use super::super::Samples;
    use super::*;

    #[test]
    fn training_leaves_the_rest_out_and_scoring_does_not() {
        let order = [4, 2, 0, 1, 3];
        assert_eq!(batches(&order, 2).collect::<Vec<_>>(), [[4, 2], [0, 1]]);
        assert_eq!(chunks(&order, 2).map(<[usize]>::len).collect::<Vec<_>>(), [2, 2, 1]);
        assert_eq!(batches(&order, 0).len(), 5);
    }

    #[test]
    fn a_tensor_has_the_samples_in_order() -> Result<()> {
        let samples = Samples::new(2, (0..200).map(|i| i as f32).collect())?;
        let xs = tensor(&samples, &[3, 0, 99], &Device::Cpu)?;
        assert_eq!(xs.to_vec2::<f32>()?, [[6.0, 7.0], [0.0, 1.0], [198.0, 199.0]]);
        assert!(tensor(&samples, &[], &Device::Cpu).is_err());
        assert!(tensor(&samples, &[100], &Device::Cpu).is_err());
        Ok(())
    }
}
