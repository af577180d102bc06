//! Second derivatives, as a gradient penalty needs them, against central differences of the first, in f64.
//!
//! candle keeps the graph of a gradient only with `CANDLE_GRAD_DO_NOT_DETACH=1`, so a test without it runs itself
//! again in a process with it.

mod report;

use candle_core::{DType, Device, Result, Tensor, Var};
use flicker_kernels::*;
use report::{Order, note};

const ALL: [(&str, Activation); 6] = [
    ("none", Activation::None),
    ("relu", Activation::Relu),
    ("leaky", Activation::LeakyRelu(0.2)),
    ("silu", Activation::Silu),
    ("tanh", Activation::Tanh),
    ("sigmoid", Activation::Sigmoid),
];

/// Runs `body` where gradients keep their graphs.
fn with_graphs(test: &str, body: impl FnOnce() -> Result<()>) -> Result<()> {
    const KEY: &str = "CANDLE_GRAD_DO_NOT_DETACH";
    if std::env::var(KEY).is_ok_and(|v| v == "1") {
        return body();
    }
    let this = std::env::current_exe()?;
    let status = std::process::Command::new(this).args(["--exact", test]).env(KEY, "1").status()?;
    assert!(status.success(), "{test} failed where gradients keep their graphs");
    Ok(())
}

/// Numbers that look random, the same each time.
fn numbers(dims: &[usize], seed: f64) -> Result<Tensor> {
    let n = dims.iter().product::<usize>();
    let v: Vec<f64> = (0..n).map(|i| (3.7 * (i as f64 + 1.3) * (1.0 + seed)).sin() * 1.7).collect();
    Tensor::from_vec(v, dims, &Device::Cpu)
}

/// `sum of (weighted sum of the gradients of <f, g>)²` over all inputs, and its gradients by them.
fn penalty(f: &dyn Fn(&[Tensor]) -> Result<Tensor>, vars: &[Var], g: &Tensor) -> Result<Tensor> {
    let args: Vec<Tensor> = vars.iter().map(|v| v.as_tensor().clone()).collect();
    let grads = (f(&args)? * g)?.sum_all()?.backward()?;
    let mut sum = Tensor::new(0f64, &Device::Cpu)?;
    for (i, v) in vars.iter().enumerate() {
        if let Some(d) = grads.get(v) {
            sum = (sum + (d.sqr()? + (d * numbers(d.dims(), i as f64)?)?)?.sum_all()?)?;
        }
    }
    Ok(sum)
}

/// Largest error of a second derivative, as a share of 1 + its size.
const ALLOWED: f64 = 2e-5;

/// Through the kernels, and through the compositions that other devices get; `name` is the operator's, or one after a colon.
#[track_caller]
fn check(name: &str, shapes: &[&[usize]], f: &dyn Fn(&[Tensor]) -> Result<Tensor>) -> Result<()> {
    check_one_way(name, "kernels, f64", shapes, f)?;
    with_compositions(|| check_one_way(name, "compositions, f64", shapes, f))
}

#[track_caller]
fn check_one_way(
    name: &str,
    way: &str,
    shapes: &[&[usize]],
    f: &dyn Fn(&[Tensor]) -> Result<Tensor>,
) -> Result<()> {
    let make = |(i, s): (usize, &&[usize])| Var::from_tensor(&numbers(s, 0.37 * i as f64)?);
    let vars: Vec<Var> = shapes.iter().enumerate().map(make).collect::<Result<_>>()?;
    let args: Vec<Tensor> = vars.iter().map(|v| v.as_tensor().clone()).collect();
    // The gradient handed in depends on the inputs too, as it does inside a network.
    let g = numbers(f(&args)?.dims(), 0.91)?;
    let found = penalty(f, &vars, &g)?.backward()?;
    let (h, mut worst) = (1e-5, 0f64);
    for (k, var) in vars.iter().enumerate() {
        let d = match found.get(var) {
            Some(d) => d.flatten_all()?.to_vec1::<f64>()?,
            None => vec![0.0; var.elem_count()],
        };
        let start = var.flatten_all()?.to_vec1::<f64>()?;
        for i in 0..start.len() {
            let at = |x: f64| -> Result<f64> {
                let mut moved = start.clone();
                moved[i] = x;
                var.set(&Tensor::from_vec(moved, var.shape(), &Device::Cpu)?)?;
                penalty(f, &vars, &g)?.to_scalar::<f64>()
            };
            let want = (at(start[i] + h)? - at(start[i] - h)?) / (2.0 * h);
            at(start[i])?;
            let off = (d[i] - want).abs() / (1.0 + want.abs());
            assert!(off < ALLOWED, "{name}, {way}, input {k}, element {i}: {} not {want}", d[i]);
            worst = worst.max(off);
        }
    }
    note(name.split(':').next().unwrap_or(name), Order::Second, way, worst, ALLOWED);
    Ok(())
}

#[test]
fn activations() -> Result<()> {
    with_graphs("activations", || {
        for (name, act) in ALL {
            check(&format!("activation {name}"), &[&[3, 5]], &|t| activate(&activate(&t[0], act)?, act))?;
        }
        Ok(())
    })
}

#[test]
fn linear_and_bias() -> Result<()> {
    with_graphs("linear_and_bias", || {
        for (name, act) in ALL {
            check(&format!("linear: {name}"), &[&[3, 4], &[5, 4], &[5]], &|t| {
                linear(&t[0], &t[1], Some(&t[2]), act)
            })?;
            check(&format!("bias: {name}"), &[&[2, 3, 2, 2], &[3]], &|t| bias_add(&t[0], &t[1], act))?;
            check(&format!("bias: of each sample, {name}"), &[&[2, 3, 2, 2], &[2, 3]], &|t| {
                bias_add(&t[0], &t[1], act)
            })?;
            check(&format!("convolution with bias: {name}"), &[&[2, 1, 3, 3], &[2, 1, 2, 2], &[2]], &|t| {
                conv2d_bias(&t[0], &t[1], &t[2], &ConvSpec::square(1, 1), act)
            })?;
        }
        check("transposed product", &[&[4, 3], &[4, 2]], &|t| transposed_product(&t[0], &t[1]))?;
        check("transposed product of a matrix with itself", &[&[4, 3]], &|t| {
            transposed_product(&t[0], &t[0])
        })?;
        check("linear: two layers", &[&[3, 4], &[5, 4], &[2, 5]], &|t| {
            let h = linear(&t[0], &t[1], None, Activation::Tanh)?;
            linear(&h, &t[2], None, Activation::LeakyRelu(0.2))
        })
    })
}

#[test]
fn normalizations() -> Result<()> {
    with_graphs("normalizations", || {
        for (name, act) in ALL {
            check(&format!("batch norm, training: {name}"), &[&[4, 2, 2], &[2], &[2]], &|t| {
                let running = Var::zeros(2, DType::F64, &Device::Cpu)?;
                let other = Var::ones(2, DType::F64, &Device::Cpu)?;
                batch_norm_train(&t[0], &t[1], &t[2], &running, &other, 0.1, 1e-3, act)
            })?;
            check(&format!("batch norm, evaluation: {name}"), &[&[3, 2, 2], &[2], &[2]], &|t| {
                let (mean, var) = (numbers(&[2], 0.2)?, (numbers(&[2], 0.1)? + 3.0)?);
                batch_norm_eval(&t[0], &t[1], &t[2], &mean, &var, 1e-3, act)
            })?;
            check(&format!("group norm: {name}"), &[&[2, 4, 3], &[4], &[4]], &|t| {
                group_norm(&t[0], &t[1], &t[2], 2, 1e-3, act)
            })?;
            check(&format!("layer norm: {name}"), &[&[2, 2, 3], &[2, 3], &[2, 3]], &|t| {
                layer_norm(&t[0], &t[1], &t[2], 1e-3, act)
            })?;
        }
        Ok(())
    })
}

#[test]
fn pooling_and_resizing() -> Result<()> {
    with_graphs("pooling_and_resizing", || {
        let window = Window::square(3, 2, 1);
        let square = |y: Tensor| y.sqr();
        check("max pooling", &[&[1, 2, 5, 4]], &|t| square(max_pool2d(&t[0], window)?))?;
        check("average pooling", &[&[1, 2, 5, 4]], &|t| square(avg_pool2d(&t[0], window)?))?;
        check("nearest upsampling", &[&[1, 2, 2, 3]], &|t| square(upsample_nearest2d(&t[0], 2)?))?;
        check("bilinear resizing", &[&[1, 2, 2, 3]], &|t| square(upsample_bilinear2d(&t[0], 5, 4)?))
    })
}

#[test]
fn softmax_and_attention() -> Result<()> {
    with_graphs("softmax_and_attention", || {
        check("softmax", &[&[3, 5]], &|t| softmax_last(&t[0]))?;
        check("attention", &[&[2, 3, 2], &[2, 4, 2], &[2, 4, 3]], &|t| attention(&t[0], &t[1], &t[2]))
    })
}

#[test]
fn a_third_derivative_is_an_error() -> Result<()> {
    with_graphs("a_third_derivative_is_an_error", || {
        let x = Var::from_tensor(&numbers(&[2, 6], 0.0)?)?;
        let ones = Tensor::ones(6, DType::F64, &Device::Cpu)?;
        let y = layer_norm(&x, &ones, &ones, 1e-3, Activation::None)?;
        let first = y.powf(3.0)?.sum_all()?.backward()?;
        let second = first.get(&x).unwrap().sqr()?.sum_all()?.backward()?;
        let third = second.get(&x).unwrap().sqr()?.sum_all()?.backward();
        assert!(third.unwrap_err().to_string().contains("third derivatives"));
        Ok(())
    })
}
