//! Pulls against candle's first derivatives, and the derivatives of pulls against central differences, in f64, layer by
//! layer.

use super::*;
use crate::norm::LayerNorm;
use candle_core::{DType, Device, Shape, Var};
use candle_nn::var_builder::SimpleBackend;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

const LEAKY: Activation = Activation::LeakyRelu(0.2);

/// Numbers that look random, the same each time, none of them near 0 where activations bend.
fn numbers(shape: &Shape, seed: f64) -> Result<Tensor> {
    let number = |i: usize| {
        let x = (3.7 * (i as f64 + 1.3) * (1.0 + seed)).sin() * 1.3;
        x + 0.02f64.copysign(x)
    };
    let values: Vec<f64> = (0..shape.elem_count()).map(number).collect();
    Ok(Tensor::from_vec(values, shape, &Device::Cpu)?)
}

/// Variables in f64 whatever the initial value asked for.
#[derive(Clone, Default)]
struct Doubles(Arc<Mutex<BTreeMap<String, Var>>>);

impl SimpleBackend for Doubles {
    fn get(&self, shape: Shape, name: &str, _: Init, _: DType, _: &Device) -> candle_core::Result<Tensor> {
        let mut vars = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let seed = 0.11 * (vars.len() + 1) as f64;
        let values = numbers(&shape, seed).map_err(candle_core::Error::wrap)?;
        let var = vars.entry(name.to_string()).or_insert(Var::from_tensor(&values)?);
        Ok(var.as_tensor().clone())
    }

    fn get_unchecked(&self, name: &str, _: DType, _: &Device) -> candle_core::Result<Tensor> {
        candle_core::bail!("no variable named `{name}`")
    }

    fn contains_tensor(&self, _: &str) -> bool {
        true
    }
}

/// `Σ (p² + c p)` over the pull `p` of a gradient: a function with second derivatives of the chain in it.
fn of_pull(chain: &Chain, x: &Tensor) -> Result<Tensor> {
    let (y, traces) = chain.trace(x)?;
    let pulled = chain.pull(&traces, &numbers(y.shape(), 0.5)?)?;
    let weights = numbers(pulled.shape(), 0.3)?;
    Ok((pulled.sqr()? + (pulled * weights)?)?.sum_all()?)
}

#[track_caller]
fn check(name: &str, dims: &[usize], build: impl Fn(&VarBuilder<'_>) -> Result<Vec<Layer>>) -> Result<()> {
    let backend = Doubles::default();
    let vb = VarBuilder::from_backend(Box::new(backend.clone()), DType::F64, Device::Cpu);
    let chain = Chain::new(build(&vb)?);
    let x = Var::from_tensor(&numbers(&dims.into(), 0.0)?)?;
    pull_is_the_first_derivative(name, &chain, &x)?;
    let found = of_pull(&chain, &x)?.backward()?;
    let mut vars: Vec<(String, Var)> = vec![("x".into(), x.clone())];
    vars.extend(backend.0.lock().unwrap_or_else(PoisonError::into_inner).clone());
    for (of, var) in vars {
        let start = var.flatten_all()?.to_vec1::<f64>()?;
        let derivative = match found.get(&var) {
            Some(grad) => grad.flatten_all()?.to_vec1::<f64>()?,
            None => vec![0.0; start.len()],
        };
        for i in 0..start.len() {
            let at = |delta: f64| -> Result<f64> {
                let mut moved = start.clone();
                moved[i] += delta;
                var.set(&Tensor::from_vec(moved, var.dims(), &Device::Cpu)?)?;
                Ok(of_pull(&chain, &x)?.to_scalar()?)
            };
            const H: f64 = 1e-5;
            let expected = (at(H)? - at(-H)?) / (2.0 * H);
            let error = (derivative[i] - expected).abs() / expected.abs().max(1.0);
            assert!(
                error < 1e-6,
                "{name}, {of}[{i}]: {} by the graph, {expected} by differences",
                derivative[i]
            );
        }
        var.set(&Tensor::from_vec(start, var.dims(), &Device::Cpu)?)?;
    }
    Ok(())
}

#[track_caller]
fn pull_is_the_first_derivative(name: &str, chain: &Chain, x: &Var) -> Result<()> {
    let (y, traces) = chain.trace(x)?;
    let g = numbers(y.shape(), 0.5)?;
    let pulled = chain.pull(&traces, &g)?.detach();
    let grads = (y * g)?.sum_all()?.backward()?;
    let expected = grads.get(x).expect("x is a variable");
    let error = (pulled - expected)?.abs()?.max_all()?.to_scalar::<f64>()?;
    assert!(error < 1e-10, "{name}: the pull is off by {error}");
    Ok(())
}

fn any() -> Init {
    Init::Const(0.0)
}

#[test]
fn linear_maps() -> Result<()> {
    for activation in [Activation::None, Activation::Relu, LEAKY] {
        check("linear", &[3, 4], |vb| Ok(vec![Layer::linear((4, 2), (any(), any()), activation, vb)?]))?;
    }
    Ok(())
}

#[test]
fn convolutions() -> Result<()> {
    // Strides that reach the last row and strides that do not; with a bias and without.
    for (kernel, stride, padding, size) in
        [(3, 1, 1, 4), (4, 2, 1, 6), (3, 2, 1, 6), (1, 1, 0, 3), (3, 2, 0, 6)]
    {
        check(&format!("convolution {kernel} {stride}"), &[2, 2, size, size], |vb| {
            let spec = ConvSpec::square(stride, padding);
            let (size, init) = ((2, 3, kernel), (any(), (padding == 1).then(any)));
            Ok(vec![Layer::conv(size, spec, init, LEAKY, vb)?])
        })?;
    }
    Ok(())
}

#[test]
fn norms() -> Result<()> {
    for activation in [Activation::None, Activation::Relu, LEAKY] {
        check("layer norm", &[2, 3, 2, 2], |vb| {
            Ok(vec![Layer::LayerNorm(LayerNorm::new(3, activation, vb)?)])
        })?;
    }
    Ok(())
}

#[test]
fn pooling_activations_and_shapes() -> Result<()> {
    check("halving", &[2, 2, 4, 4], |_| Ok(vec![Layer::Halve]))?;
    check("activation", &[2, 5], |_| Ok(vec![Layer::Activation(LEAKY)]))?;
    check("reshaping", &[2, 2, 3, 1], |_| Ok(vec![Layer::Reshape(vec![6])]))
}

#[test]
fn sums_of_chains() -> Result<()> {
    check("residual block", &[2, 2, 4, 4], |vb| {
        let keeping = ConvSpec::square(1, 1);
        let conv =
            |name: &str| Layer::conv((2, 2, 3), keeping, (any(), None), Activation::None, &vb.pp(name));
        let norm = |name: &str| LayerNorm::new(2, LEAKY, &vb.pp(name)).map(Layer::LayerNorm);
        let main = vec![norm("norm1")?, conv("conv1")?, norm("norm2")?, conv("conv2")?, Layer::Halve];
        let point = (any(), Some(any()));
        let shortcut = vec![
            Layer::Halve,
            Layer::conv((2, 2, 1), ConvSpec::square(1, 0), point, Activation::None, &vb.pp("shortcut"))?,
        ];
        Ok(vec![Layer::Sum(Chain::new(main), Chain::new(shortcut)), Layer::Reshape(vec![8])])
    })
}

#[test]
fn what_couples_samples_or_is_curved_has_no_pull() -> Result<()> {
    let vb = VarBuilder::from_backend(Box::new(Doubles::default()), DType::F64, Device::Cpu);
    let norm = BatchNorm::new(2, 1e-5, any(), LEAKY, &vb)?;
    for layer in [Layer::BatchNorm(norm), Layer::Activation(Activation::Tanh), Layer::Double] {
        let chain = Chain::new(vec![layer]);
        let (y, traces) = chain.trace(&numbers(&(2, 2, 2, 2).into(), 0.0)?)?;
        let error = chain.pull(&traces, &y).expect_err("no pull").to_string();
        assert!(error.contains("a critic cannot have"), "{error}");
    }
    Ok(())
}
