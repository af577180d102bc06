//! First and second derivatives against central differences, in f64.

use super::report::Order;
use super::{both_ways, compare, numbers, tensor, way};
use crate::conv::{ConvSpec, conv_transpose2d, conv2d};
use candle_core::{DType, Device, Result, Tensor, Var};

const STEP: f64 = 1e-5;

/// A weighted sum of cubes of the convolution, so that no derivative up to the third vanishes.
fn loss(y: &Tensor) -> Result<Tensor> {
    let weights = Tensor::from_vec(numbers(y.elem_count(), 9), y.shape(), &Device::Cpu)?;
    (y.powf(3.)? * weights)?.sum_all()
}

/// The gradient of `loss` by both operands, still differentiable.
fn first(f: &impl Fn(&Tensor, &Tensor) -> Result<Tensor>, a: &Var, b: &Var) -> Result<[Tensor; 2]> {
    let grads = loss(&f(a, b)?)?.backward()?;
    Ok([grads.get(a).unwrap().clone(), grads.get(b).unwrap().clone()])
}

/// `Σ gradient²` over both operands: its derivative is a second derivative of everything.
fn penalty(f: &impl Fn(&Tensor, &Tensor) -> Result<Tensor>, a: &Var, b: &Var) -> Result<Tensor> {
    let [ga, gb] = first(f, a, b)?;
    ga.sqr()?.sum_all()? + gb.sqr()?.sum_all()?
}

/// Central differences of `value` by each number of `at`.
fn differences(at: &Tensor, value: impl Fn(&Var) -> Result<Tensor>) -> Result<Vec<f64>> {
    let numbers: Vec<f64> = at.flatten_all()?.to_vec1()?;
    let shifted = |i: usize, step: f64| -> Result<f64> {
        let mut moved = numbers.clone();
        moved[i] += step;
        value(&Var::from_vec(moved, at.shape(), &Device::Cpu)?)?.to_scalar()
    };
    (0..numbers.len()).map(|i| Ok((shifted(i, STEP)? - shifted(i, -STEP)?) / (2. * STEP))).collect()
}

fn flat(t: &Tensor) -> Result<Vec<f64>> {
    t.flatten_all()?.to_vec1()
}

/// Whether gradients keep their graphs here. candle reads the setting from the environment; where it is absent, the test
/// of this name runs again in a process that has it.
fn keeps_graphs(test: &str) -> bool {
    const KEY: &str = "CANDLE_GRAD_DO_NOT_DETACH";
    if std::env::var(KEY).is_ok_and(|value| value == "1") {
        return true;
    }
    let this = std::env::current_exe().unwrap();
    let name = format!("conv::tests::derivatives::{test}");
    let output = std::process::Command::new(this).args(["--exact", &name]).env(KEY, "1").output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && said.contains("1 passed"), "{said}");
    false
}

#[track_caller]
fn check(operator: &str, f: impl Fn(&Tensor, &Tensor) -> Result<Tensor>, a: &Tensor, b: &Tensor) {
    let run = || -> Result<()> {
        let way = way(DType::F64)?;
        let (noted_1, noted_2) = ((operator, Order::First, &way[..]), (operator, Order::Second, &way[..]));
        let (va, vb) = (Var::from_tensor(a)?, Var::from_tensor(b)?);
        let [ga, gb] = first(&f, &va, &vb)?;
        compare(noted_1, &flat(&ga)?, &differences(a, |a| loss(&f(a, &vb)?))?, 1e-8, "first by a");
        compare(noted_1, &flat(&gb)?, &differences(b, |b| loss(&f(&va, b)?))?, 1e-8, "first by b");
        let grads = penalty(&f, &va, &vb)?.backward()?;
        let (ga, gb) = (flat(grads.get(&va).unwrap())?, flat(grads.get(&vb).unwrap())?);
        compare(noted_2, &ga, &differences(a, |a| penalty(&f, a, &vb))?, 1e-7, "second by a");
        compare(noted_2, &gb, &differences(b, |b| penalty(&f, &va, b))?, 1e-7, "second by b");
        Ok(())
    };
    both_ways(run).unwrap();
}

#[test]
fn derivatives_of_the_convolution() {
    if !keeps_graphs("derivatives_of_the_convolution") {
        return;
    }
    let square = ConvSpec::square;
    for (x, w, spec) in [
        ((2, 2, 5, 4), (3, 2, 3, 3), square(2, 1)),
        ((1, 4, 5, 6), (2, 2, 2, 3), ConvSpec { groups: 2, dilation: (2, 1), ..square(1, 1) }),
        ((1, 2, 6, 5), (2, 2, 4, 2), ConvSpec { stride: (2, 3), ..square(1, 0) }),
    ] {
        check("convolution", |x, w| conv2d(x, w, &spec), &tensor(x, 1), &tensor(w, 2));
    }
}

#[test]
fn derivatives_of_the_transposed_convolution() {
    if !keeps_graphs("derivatives_of_the_transposed_convolution") {
        return;
    }
    let square = ConvSpec::square;
    for (x, w, spec, padding) in [
        ((2, 2, 2, 3), (2, 3, 4, 4), square(2, 1), (0, 0)),
        ((1, 2, 3, 2), (2, 2, 3, 3), square(2, 1), (1, 0)),
        ((1, 4, 2, 2), (4, 1, 2, 2), ConvSpec { groups: 2, dilation: (2, 2), ..square(1, 0) }, (1, 1)),
    ] {
        check(
            "transposed convolution",
            |x, w| conv_transpose2d(x, w, &spec, padding),
            &tensor(x, 1),
            &tensor(w, 2),
        );
    }
}
