//! The public functions: operands of any layout, the composition for other devices, and errors.

use super::{assert_close, numbers, tensor};
use crate::conv::{ConvSpec, composition, conv_transpose2d, conv2d, op::Sizes};
use candle_core::{DType, Device, Result, Tensor, Var};

fn flat(t: &Tensor) -> Vec<f64> {
    t.to_dtype(DType::F64).unwrap().flatten_all().unwrap().to_vec1().unwrap()
}

#[test]
fn layout_of_operands_does_not_matter() -> Result<()> {
    let spec = ConvSpec::square(2, 1);
    let (x, w) = (tensor((3, 5, 9, 8), 1), tensor((7, 5, 3, 4), 2));
    let expected = flat(&conv2d(&x, &w, &spec)?);
    let transposed = x.transpose(2, 3)?.contiguous()?.transpose(2, 3)?;
    let offset = Tensor::cat(&[&x, &x, &x], 0)?.narrow(0, 3, 3)?;
    let strided = Tensor::cat(&[&w, &w], 1)?.narrow(1, 5, 5)?;
    for (x, w) in [(&transposed, &w), (&offset, &w), (&x, &strided), (&transposed, &strided)] {
        assert_eq!(flat(&conv2d(x, w, &spec)?), expected);
    }
    let y = tensor((3, 7, 4, 4), 3);
    let expected = flat(&conv_transpose2d(&y, &w, &spec, (0, 0))?);
    let y = y.transpose(0, 1)?.contiguous()?.transpose(0, 1)?;
    assert_eq!(flat(&conv_transpose2d(&y, &strided, &spec, (0, 0))?), expected);
    Ok(())
}

/// Gradients of `Σ f(a, b) · weights` by both operands.
fn gradients(
    f: impl Fn(&Tensor, &Tensor) -> Result<Tensor>,
    a: &Tensor,
    b: &Tensor,
) -> Result<[Vec<f64>; 3]> {
    let (a, b) = (Var::from_tensor(a)?, Var::from_tensor(b)?);
    let y = f(&a, &b)?;
    let weights = Tensor::from_vec(numbers(y.elem_count(), 9), y.shape(), &Device::Cpu)?;
    let grads = (&y * weights)?.sum_all()?.backward()?;
    Ok([flat(&y), flat(grads.get(&a).unwrap()), flat(grads.get(&b).unwrap())])
}

#[test]
fn composition_agrees_with_the_kernels() -> Result<()> {
    let square = ConvSpec::square;
    for (size, kernel, spec) in [
        ((8, 8), (4, 4), square(2, 1)),
        ((9, 8), (3, 3), square(2, 1)),
        ((16, 13), (3, 3), square(2, 1)),
        ((5, 6), (3, 2), ConvSpec { groups: 2, ..square(1, 0) }),
        ((9, 7), (2, 3), ConvSpec { stride: (3, 2), padding: (0, 3), dilation: (2, 1), groups: 2 }),
    ] {
        let (x, w) = (tensor((2, 4, size.0, size.1), 1), tensor((6, 4 / spec.groups, kernel.0, kernel.1), 2));
        let ours = gradients(|x, w| conv2d(x, w, &spec), &x, &w)?;
        let (_, _, oh, ow) = conv2d(&x, &w, &spec)?.dims4()?;
        let sizes = Sizes { size_in: size, size_out: (oh, ow), kernel };
        let composed = gradients(|x, w| composition::conv2d(x, w, &sizes, &spec), &x, &w)?;
        let dy = tensor((2, 6, oh, ow), 3);
        let minimal = |o: usize, n: usize, s: usize, k: usize, d: usize, p: usize| {
            n + 2 * p - (o - 1) * s - d * (k - 1) - 1
        };
        let padding = (
            minimal(oh, size.0, spec.stride.0, kernel.0, spec.dilation.0, spec.padding.0),
            minimal(ow, size.1, spec.stride.1, kernel.1, spec.dilation.1, spec.padding.1),
        );
        let ours_t = gradients(|x, w| conv_transpose2d(x, w, &spec, padding), &dy, &w)?;
        let composed_t = gradients(|x, w| composition::conv_transpose2d(x, w, &sizes, &spec), &dy, &w)?;
        for (ours, composed) in ours.iter().chain(&ours_t).zip(composed.iter().chain(&composed_t)) {
            assert_close(ours, composed, 1e-12, &format!("{size:?} {kernel:?} {spec:?}"));
        }
    }
    Ok(())
}

#[test]
fn other_number_types_take_the_composition() -> Result<()> {
    let (x, w) = (tensor((2, 3, 6, 6), 1), tensor((4, 3, 3, 3), 2));
    let spec = ConvSpec::square(1, 1);
    let y = conv2d(&x.to_dtype(DType::BF16)?, &w.to_dtype(DType::BF16)?, &spec)?;
    assert_eq!(y.dtype(), DType::BF16);
    assert_close(&flat(&y), &flat(&conv2d(&x, &w, &spec)?), 2e-2, "bf16");
    Ok(())
}

#[test]
fn frozen_operands_get_no_gradient() -> Result<()> {
    let (x, w) = (Var::from_tensor(&tensor((1, 2, 4, 4), 1))?, tensor((3, 2, 3, 3), 2));
    let grads = conv2d(&x, &w, &ConvSpec::square(1, 1))?.sum_all()?.backward()?;
    assert!(grads.get(&x).is_some() && grads.get(&w).is_none());
    Ok(())
}

#[track_caller]
fn assert_error(result: Result<Tensor>, part: &str) {
    let message = result.unwrap_err().to_string();
    assert!(message.contains(part), "{message}");
}

#[test]
fn bad_shapes_are_errors() {
    let (x, w) = (tensor((1, 2, 4, 4), 1), tensor((4, 2, 3, 3), 2));
    let square = ConvSpec::square;
    let spec = square(1, 0);
    assert_error(
        conv2d(&x, &tensor((4, 2, 5, 3), 2), &spec),
        "reaches over 5 pixels, the padded input has 4 only",
    );
    assert_error(conv2d(&x, &tensor((4, 3, 3, 3), 2), &spec), "expected 3 input channels");
    assert_error(conv2d(&x, &w, &ConvSpec { groups: 2, ..spec }), "expected 4 input channels");
    assert_error(conv2d(&x, &w, &square(0, 0)), "at least 1");
    assert_error(conv2d(&x, &w.to_dtype(DType::F32).unwrap(), &spec), "the weights are F32");
    assert_error(conv2d(&x.squeeze(0).unwrap(), &w, &spec), "unexpected rank");
    assert_error(conv_transpose2d(&x, &w, &spec, (0, 0)), "expected 4 input channels");
    let w = tensor((2, 4, 3, 3), 2);
    assert_error(conv_transpose2d(&x, &w, &square(2, 0), (2, 0)), "output padding must be smaller");
    assert_error(conv_transpose2d(&x, &w, &square(1, 3), (0, 0)), "leaves nothing");
}
