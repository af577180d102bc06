//! Values and gradients of PyTorch in f64; `tests/fixtures/kernels/make_conv.py` writes the file.

use super::{assert_close, both_ways, numbers};
use crate::conv::{ConvSpec, conv_transpose2d, conv2d};
use candle_core::{Device, Result, Tensor, Var};

const FILE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/fixtures/kernels/conv.safetensors");

fn flat(t: &Tensor) -> Result<Vec<f64>> {
    t.flatten_all()?.to_vec1()
}

#[test]
fn pytorch_agrees() -> Result<()> {
    both_ways(agrees)
}

fn agrees() -> Result<()> {
    let file = candle_core::safetensors::load(FILE, &Device::Cpu)?;
    let n_cases = file.keys().filter(|k| k.ends_with(".spec")).count();
    assert!(n_cases >= 30, "the fixture has {n_cases} cases only");
    for i in 0..n_cases {
        let get = |name: &str| file[&format!("{i}.{name}")].clone();
        let spec: Vec<i64> = get("spec").to_vec1()?;
        let n = |i: usize| spec[i] as usize;
        let shape = |i: usize| (n(i), n(i + 1), n(i + 2), n(i + 3));
        let operand = |at: usize, seed: u64| {
            let (a, b, c, d) = shape(at);
            Var::from_vec(numbers(a * b * c * d, seed), shape(at), &Device::Cpu)
        };
        let (x, w) = (operand(10, 1)?, operand(14, 2)?);
        let conv =
            ConvSpec { stride: (n(1), n(2)), padding: (n(3), n(4)), dilation: (n(5), n(6)), groups: n(7) };
        let y = match n(0) {
            0 => conv2d(&x, &w, &conv)?,
            _ => conv_transpose2d(&x, &w, &conv, (n(8), n(9)))?,
        };
        let weights = Tensor::from_vec(numbers(y.elem_count(), 3), y.shape(), &Device::Cpu)?;
        let grads = (&y * weights)?.sum_all()?.backward()?;
        let what = |name: &str| format!("case {i} {spec:?} {name}");
        assert_eq!(y.dims(), get("y").dims(), "{}", what("shape"));
        assert_close(&flat(&y)?, &flat(&get("y"))?, 1e-12, &what("y"));
        assert_close(&flat(grads.get(&x).unwrap())?, &flat(&get("dx"))?, 1e-12, &what("dx"));
        assert_close(&flat(grads.get(&w).unwrap())?, &flat(&get("dw"))?, 1e-12, &what("dw"));
    }
    Ok(())
}
