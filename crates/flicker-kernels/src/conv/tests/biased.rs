//! The convolution with bias and activation against the three operators one after the other.

use super::report::{Order, note};
use super::{both_ways, tensor, way};
use crate::{Activation, ConvSpec, activate, bias_add, conv2d, conv2d_bias};
use candle_core::{DType, Result, Tensor, Var};

const ALL: [Activation; 6] = [
    Activation::None,
    Activation::Relu,
    Activation::LeakyRelu(0.2),
    Activation::Silu,
    Activation::Tanh,
    Activation::Sigmoid,
];

#[test]
fn values_and_gradients_are_those_of_the_three_operators() -> Result<()> {
    both_ways(agrees)
}

fn agrees() -> Result<()> {
    let spec = ConvSpec { groups: 3, ..ConvSpec::square(2, 1) };
    let x = Var::from_tensor(&tensor((5, 6, 17, 12), 1))?;
    let w = Var::from_tensor(&tensor((9, 2, 3, 3), 2))?;
    let b = Var::from_tensor(&tensor((1, 1, 1, 9), 3).flatten_all()?)?;
    for activation in ALL {
        let fused = conv2d_bias(&x, &w, &b, &spec, activation)?;
        let apart = activate(&bias_add(&conv2d(&x, &w, &spec)?, &b, Activation::None)?, activation)?;
        let weights = tensor(apart.dims4()?, 4);
        let grads = |y: &Tensor| (y * &weights)?.sum_all()?.backward();
        let (of_fused, of_apart) = (grads(&fused)?, grads(&apart)?);
        let (operator, way) = ("convolution with bias", way(DType::F64)?);
        note(operator, Order::Result, &way, difference(&fused, &apart)?, 0.0);
        assert_eq!(difference(&fused, &apart)?, 0.0, "{activation:?}");
        for var in [&x, &w, &b] {
            let (a, b) = (of_fused.get(var).unwrap(), of_apart.get(var).unwrap());
            note(operator, Order::First, &way, difference(a, b)?, 1e-12);
            assert!(difference(a, b)? < 1e-12, "{activation:?} {:?}", var.dims());
        }
    }
    Ok(())
}

#[test]
fn a_bias_that_does_not_fit_is_refused() -> Result<()> {
    let (x, w) = (tensor((1, 2, 5, 5), 1), tensor((4, 2, 3, 3), 2));
    let b = tensor((1, 1, 1, 3), 3).flatten_all()?;
    let error = conv2d_bias(&x, &w, &b, &ConvSpec::square(1, 1), Activation::None).unwrap_err();
    assert!(error.to_string().contains("expected a bias (4)"), "{error}");
    Ok(())
}

fn difference(a: &Tensor, b: &Tensor) -> Result<f64> {
    (a - b)?.abs()?.max_all()?.to_scalar()
}
