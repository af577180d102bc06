//! Convolution, its gradient by the input (which is the transposed convolution) and its gradient by the weights: one closed
//! family of three bilinear maps, the derivative of each written with the other two, so that derivatives of any order come
//! from the same kernels.
//!
//! On the CPU, f32 and f64 take the kernels of this module; on every other device or number type each of the three maps is
//! a composition of candle's own operators (`composition`).

mod biased;
mod composition;
mod few;
mod forward;
mod geometry;
mod input_grad;
mod op;
#[cfg(test)]
mod reference;
mod scatter;
mod source;
#[cfg(test)]
mod tests;
mod weight_grad;

use crate::ops::{Activation, activate, apply3, bias_add};
use crate::route::has_kernels;
use biased::Biased;
use candle_core::{Result, Tensor, bail};
use op::{ConvOp, Pass, Sizes};

/// How a kernel moves over an image; each pair is (rows, columns).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ConvSpec {
    /// Pixels from one output to the next.
    pub stride: (usize, usize),
    /// Zeros added on each side.
    pub padding: (usize, usize),
    /// Pixels from one tap of the kernel to the next.
    pub dilation: (usize, usize),
    /// Number of groups of channels that are convolved apart.
    pub groups: usize,
}

impl ConvSpec {
    /// The same stride and padding along both sides, no dilation, one group.
    pub const fn square(stride: usize, padding: usize) -> Self {
        Self { stride: (stride, stride), padding: (padding, padding), dilation: (1, 1), groups: 1 }
    }
}

/// Convolution (cross-correlation, as in every deep learning framework) of `x` (B, C, H, W) with `w`
/// (C', C / groups, kernel height, kernel width); gives (B, C', H', W') with
/// `H' = ⌊(H + 2·padding − dilation·(kernel − 1) − 1) / stride⌋ + 1`, and W' likewise.
///
/// ```
/// use candle_core::{DType, Device, Tensor};
/// use flicker_kernels::{ConvSpec, conv2d};
/// let x = Tensor::ones((2, 3, 8, 8), DType::F32, &Device::Cpu)?;
/// let w = Tensor::ones((5, 3, 4, 4), DType::F32, &Device::Cpu)?;
/// assert_eq!(conv2d(&x, &w, &ConvSpec::square(2, 1))?.dims(), [2, 5, 4, 4]);
/// # Ok::<(), candle_core::Error>(())
/// ```
///
/// # Errors
/// When the shapes, number types or devices do not fit, or the kernel is larger than the padded image.
pub fn conv2d(x: &Tensor, w: &Tensor, spec: &ConvSpec) -> Result<Tensor> {
    let sizes = conv2d_sizes(x, w, spec)?;
    ConvOp { pass: Pass::Forward, sizes, spec: *spec }.apply(x, w)
}

/// [`conv2d`] with a bias `b` (C') and the activation that follows: `act(x ∗ w + b)`, in one pass over the result.
///
/// # Errors
/// As [`conv2d`], and when the bias has another shape, number type or device.
pub fn conv2d_bias(
    x: &Tensor,
    w: &Tensor,
    b: &Tensor,
    spec: &ConvSpec,
    activation: Activation,
) -> Result<Tensor> {
    let sizes = conv2d_sizes(x, w, spec)?;
    if b.dims() != [w.dims()[0]] || b.dtype() != x.dtype() || !b.device().same_device(x.device()) {
        bail!("conv2d: expected a bias ({}) of the image's type and device, found {b:?}", w.dims()[0]);
    }
    activation.check()?;
    let conv = ConvOp { pass: Pass::Forward, sizes, spec: *spec };
    if !has_kernels(x) {
        return bias_add(&conv.apply(x, w)?, b, activation);
    }
    if activation.by_result() {
        apply3(x, w, b, Biased { conv, activation })
    } else {
        activate(&apply3(x, w, b, Biased { conv, activation: Activation::None })?, activation)
    }
}

/// The sizes of a convolution of `x` with `w`, checked.
fn conv2d_sizes(x: &Tensor, w: &Tensor, spec: &ConvSpec) -> Result<Sizes> {
    let ((_, c, height, width), (c_out, c_in, kernel_h, kernel_w)) = operands(x, w, spec)?;
    if c != c_in * spec.groups || c_out % spec.groups != 0 {
        bail!(
            "conv2d: an input of {c} channels, weights {:?} and {} groups do not fit: expected {} input channels and output channels that the groups divide",
            w.dims(),
            spec.groups,
            c_in * spec.groups
        );
    }
    let side = |n, k, i: fn((usize, usize)) -> usize| {
        geometry::conv_size(n, k, i(spec.stride), i(spec.padding), i(spec.dilation))
    };
    let size_out = (side(height, kernel_h, |p| p.0)?, side(width, kernel_w, |p| p.1)?);
    Ok(Sizes { size_in: (height, width), size_out, kernel: (kernel_h, kernel_w) })
}

/// Transposed convolution of `x` (B, C, H, W) with `w` (C, C' / groups, kernel height, kernel width): the gradient of
/// [`conv2d`] by its input; gives (B, C', H', W') with
/// `H' = (H − 1)·stride − 2·padding + dilation·(kernel − 1) + output padding + 1`, and W' likewise.
///
/// # Errors
/// When the shapes, number types or devices do not fit, when nothing is left after the padding is taken off, or when the
/// output padding is neither smaller than the stride nor than the dilation.
pub fn conv_transpose2d(
    x: &Tensor,
    w: &Tensor,
    spec: &ConvSpec,
    output_padding: (usize, usize),
) -> Result<Tensor> {
    let ((_, c, height, width), (c_w, _, kernel_h, kernel_w)) = operands(x, w, spec)?;
    if c != c_w || c % spec.groups != 0 {
        bail!(
            "conv_transpose2d: an input of {c} channels, weights {:?} and {} groups do not fit: expected {c_w} input channels, divided by the groups",
            w.dims(),
            spec.groups
        );
    }
    let side = |n, k, i: fn((usize, usize)) -> usize| {
        geometry::transposed_size(
            n,
            k,
            (i(spec.stride), i(spec.padding), i(spec.dilation)),
            i(output_padding),
        )
    };
    let size_in = (side(height, kernel_h, |p| p.0)?, side(width, kernel_w, |p| p.1)?);
    let sizes = Sizes { size_in, size_out: (height, width), kernel: (kernel_h, kernel_w) };
    ConvOp { pass: Pass::InputGrad, sizes, spec: *spec }.apply(x, w)
}

/// Gradient of [`conv2d`] by its weights: from the image `x` (B, C, H, W) and the gradient of the output `dy`
/// (B, C', H', W') to (C', C / groups, kernel height, kernel width). [`conv2d`] and [`conv_transpose2d`] call it by
/// themselves in a backward pass; it is public as the third operator of the family.
///
/// # Errors
/// When the shapes, number types or devices do not fit.
pub fn conv2d_weight_grad(
    x: &Tensor,
    dy: &Tensor,
    kernel: (usize, usize),
    spec: &ConvSpec,
) -> Result<Tensor> {
    let ((batch, c, height, width), (batch_y, c_out, height_out, width_out)) = operands(x, dy, spec)?;
    let side = |n, k, i: fn((usize, usize)) -> usize| {
        geometry::conv_size(n, k, i(spec.stride), i(spec.padding), i(spec.dilation))
    };
    let largest = (side(height, kernel.0, |p| p.0)?, side(width, kernel.1, |p| p.1)?);
    let fits = batch == batch_y && height_out <= largest.0 && width_out <= largest.1;
    if !fits || c % spec.groups != 0 || c_out % spec.groups != 0 {
        bail!(
            "conv2d_weight_grad: an image {:?} and a gradient {:?} do not fit {spec:?}",
            x.dims(),
            dy.dims()
        );
    }
    let sizes = Sizes { size_in: (height, width), size_out: (height_out, width_out), kernel };
    ConvOp { pass: Pass::WeightGrad, sizes, spec: *spec }.apply(x, dy)
}

type Four = (usize, usize, usize, usize);

/// Checks what both operators ask for, and gives the shapes.
fn operands(x: &Tensor, w: &Tensor, spec: &ConvSpec) -> Result<(Four, Four)> {
    geometry::check_spec(spec)?;
    if x.dtype() != w.dtype() {
        bail!("convolution: the image is {:?}, the weights are {:?}", x.dtype(), w.dtype());
    }
    if !x.device().same_device(w.device()) {
        bail!("convolution: the image is on {:?}, the weights are on {:?}", x.device(), w.device());
    }
    let shapes = (x.dims4()?, w.dims4()?);
    if x.elem_count() == 0 || w.elem_count() == 0 {
        bail!("convolution: neither side may be empty, found {:?} and {:?}", x.dims(), w.dims());
    }
    Ok(shapes)
}
