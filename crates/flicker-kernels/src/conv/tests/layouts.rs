//! The public functions: operands of any layout and number type, and errors.

use super::{assert_close, both_ways, tensor};
use crate::conv::{ConvSpec, conv_transpose2d, conv2d};
use candle_core::{DType, Result, Tensor, Var};

fn flat(t: &Tensor) -> Vec<f64> {
    t.to_dtype(DType::F64).unwrap().flatten_all().unwrap().to_vec1().unwrap()
}

#[test]
fn layout_of_operands_does_not_matter() -> Result<()> {
    both_ways(layouts)
}

fn layouts() -> Result<()> {
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
    both_ways(|| {
        let (x, w) = (Var::from_tensor(&tensor((1, 2, 4, 4), 1))?, tensor((3, 2, 3, 3), 2));
        let grads = conv2d(&x, &w, &ConvSpec::square(1, 1))?.sum_all()?.backward()?;
        assert!(grads.get(&x).is_some() && grads.get(&w).is_none());
        Ok(())
    })
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
