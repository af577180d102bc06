//! Shapes of what the operations of a graph give.

use super::Node;
use crate::nn::ConvSpec;
use crate::{Error, Result};

/// The shape of one sample of what two values give together.
pub(super) fn broadcast(a: &Node, b: &Node) -> Result<Vec<usize>> {
    let full = |node: &Node| -> Vec<usize> {
        let batch = node.batched.then_some(usize::MAX); // a size that nothing but a batch has
        batch.into_iter().chain(node.dims.iter().copied()).collect()
    };
    let (left, right) = (full(a), full(b));
    let rank = left.len().max(right.len());
    let at = |dims: &[usize], axis: usize| (axis + dims.len()).checked_sub(rank).map_or(1, |at| dims[at]);
    let mut dims = Vec::new();
    for axis in 0..rank {
        match (at(&left, axis), at(&right, axis)) {
            (1, size) | (size, 1) => dims.push(size),
            (size, other) if size == other => dims.push(size),
            _ => return Err(mismatch("operation on two values", &a.dims, &b.dims)),
        }
    }
    if (a.batched || b.batched) && dims.first() == Some(&usize::MAX) {
        dims.remove(0);
    }
    if dims.contains(&usize::MAX) {
        return Err(mismatch("operation on two values", &a.dims, &b.dims));
    }
    Ok(dims)
}

/// `(C, H, W)` under a convolution.
pub(super) fn conv_dims(x: &[usize], weight: &[usize], spec: &ConvSpec) -> Result<Vec<usize>> {
    let (&[channels, height, width], &[outputs, inputs, rows, columns]) = (x, weight) else {
        return Err(mismatch("convolution", weight, x));
    };
    expect("channels of a convolution", inputs * spec.groups, channels)?;
    let side = |size: usize, kernel: usize, stride: usize, padding: usize, dilation: usize| {
        let reach = dilation * (kernel - 1) + 1;
        (size + 2 * padding).checked_sub(reach).map(|left| left / stride + 1)
    };
    let height = side(height, rows, spec.stride.0, spec.padding.0, spec.dilation.0);
    let width = side(width, columns, spec.stride.1, spec.padding.1, spec.dilation.1);
    height
        .zip(width)
        .map(|(height, width)| vec![outputs, height, width])
        .ok_or_else(|| mismatch("convolution", weight, x))
}

/// `(C, H, W)` under a transposed convolution.
pub(super) fn conv_transpose_dims(
    x: &[usize],
    weight: &[usize],
    spec: &ConvSpec,
    output_padding: (usize, usize),
) -> Result<Vec<usize>> {
    let (&[channels, height, width], &[inputs, outputs, rows, columns]) = (x, weight) else {
        return Err(mismatch("transposed convolution", weight, x));
    };
    expect("channels of a transposed convolution", inputs, channels)?;
    let side = |size: usize, kernel: usize, stride: usize, padding: usize, dilation: usize, more: usize| {
        ((size - 1) * stride + dilation * (kernel - 1) + 1 + more).checked_sub(2 * padding)
    };
    let height = side(height, rows, spec.stride.0, spec.padding.0, spec.dilation.0, output_padding.0);
    let width = side(width, columns, spec.stride.1, spec.padding.1, spec.dilation.1, output_padding.1);
    height
        .zip(width)
        .map(|(height, width)| vec![outputs * spec.groups, height, width])
        .ok_or_else(|| mismatch("transposed convolution", weight, x))
}

/// Refuses another size than the expected one.
pub(super) fn expect(what: &str, expected: usize, found: usize) -> Result<()> {
    if expected == found { Ok(()) } else { Err(wrong(what, expected, found.to_string())) }
}

pub(super) fn wrong(what: &str, expected: usize, found: String) -> Error {
    Error::Shape { what: what.into(), expected: expected.to_string(), found }
}

fn mismatch(what: &str, expected: &[usize], found: &[usize]) -> Error {
    Error::Shape { what: what.into(), expected: format!("{expected:?}"), found: format!("{found:?}") }
}
