//! What is done to samples before the network sees them: contrast of each for itself, and the training normals' range.

use crate::Contrast;
use candle_core::{Device, Tensor};
use flicker_core::data::{Source, chunks, tensor};
use flicker_core::graph::{Binary, Graph, Unary, Value};
use flicker_core::run::{Losses, Run};
use flicker_core::{Result, Weights};

/// Samples whose range is looked at together.
const BLOCK: usize = 4096;

/// The samples `xs` with their contrast normalized.
pub(crate) fn contrasted(xs: &Tensor, contrast: Contrast) -> Result<Tensor> {
    if contrast == Contrast::None {
        return Ok(xs.clone());
    }
    let rows = xs.flatten_from(1)?;
    let rows = rows.broadcast_sub(&rows.mean_keepdim(1)?)?;
    // A sample without any contrast stays zero.
    let scale = rows.abs()?.mean_keepdim(1)?.maximum(f32::MIN_POSITIVE as f64)?;
    Ok(rows.broadcast_div(&scale)?.reshape(xs.shape())?)
}

/// [`contrasted`] in a graph.
pub(crate) fn describe_contrasted(graph: &mut Graph, xs: Value, contrast: Contrast) -> Result<Value> {
    if contrast == Contrast::None {
        return Ok(xs);
    }
    let mean = graph.mean_keeping(xs);
    let off = graph.binary(Binary::Sub, xs, mean)?;
    let size = graph.unary(Unary::Abs, off);
    let size = graph.mean_keeping(size);
    let least = graph.number(f64::from(f32::MIN_POSITIVE))?;
    let size = graph.binary(Binary::Max, size, least)?;
    graph.binary(Binary::Div, off, size)
}

/// [`rescaled`] in a graph.
pub(crate) fn describe_rescaled(graph: &mut Graph, xs: Value, low: f32, high: f32) -> Result<Value> {
    let width = f64::from(high) - f64::from(low);
    let scale = if width > 0.0 { 1.0 / width } else { 1.0 };
    graph.affine_by(xs, scale, -f64::from(low) * scale)
}

/// The samples `xs` with `low` at 0 and `high` at 1.
pub(crate) fn rescaled(xs: &Tensor, low: f32, high: f32) -> Result<Tensor> {
    let width = f64::from(high) - f64::from(low);
    let scale = if width > 0.0 { 1.0 / width } else { 1.0 };
    Ok(xs.affine(scale, -f64::from(low) * scale)?)
}

/// Finds the smallest and the largest value of the training normals.
pub(crate) fn fit_range(
    weights: &Weights,
    source: &dyn Source,
    contrast: Contrast,
    run: &mut Run<'_>,
) -> Result<()> {
    let all: Vec<usize> = (0..source.len()).collect();
    let blocks: Vec<&[usize]> = chunks(&all, BLOCK).collect();
    let (mut low, mut high) = (f32::INFINITY, f32::NEG_INFINITY);
    run.pass("range", blocks.len(), &mut |block, _| {
        let xs = contrasted(&tensor(source, blocks[block], &Device::Cpu)?, contrast)?;
        for x in xs.flatten_all()?.to_vec1::<f32>()? {
            (low, high) = (low.min(x), high.max(x));
        }
        Ok(Some(Losses::default()))
    })?;
    weights.set_fitted("range", &Tensor::new(&[low, high], &Device::Cpu)?)
}
