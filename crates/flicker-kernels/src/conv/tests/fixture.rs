//! Values and gradients of PyTorch in f64, found in f64 and in f32; `tests/fixtures/kernels/make_conv.py` writes the file.

use super::report::Order;
use super::{both_ways, compare, numbers, way};
use crate::conv::{ConvSpec, conv_transpose2d, conv2d};
use candle_core::{DType, Device, Result, Tensor, Var};

const FILE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/fixtures/kernels/conv.safetensors");

fn flat(t: &Tensor) -> Result<Vec<f64>> {
    t.to_dtype(DType::F64)?.flatten_all()?.to_vec1()
}

#[test]
fn pytorch_agrees() -> Result<()> {
    both_ways(|| agrees(DType::F64, 1e-12).and_then(|()| agrees(DType::F32, 2e-5)))
}

fn agrees(dtype: DType, tolerance: f64) -> Result<()> {
    let way = way(dtype)?;
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
            let drawn = Tensor::from_vec(numbers(a * b * c * d, seed), shape(at), &Device::Cpu)?;
            Var::from_tensor(&drawn.to_dtype(dtype)?)
        };
        let (x, w) = (operand(10, 1)?, operand(14, 2)?);
        let conv =
            ConvSpec { stride: (n(1), n(2)), padding: (n(3), n(4)), dilation: (n(5), n(6)), groups: n(7) };
        let y = match n(0) {
            0 => conv2d(&x, &w, &conv)?,
            _ => conv_transpose2d(&x, &w, &conv, (n(8), n(9)))?,
        };
        let weights =
            Tensor::from_vec(numbers(y.elem_count(), 3), y.shape(), &Device::Cpu)?.to_dtype(dtype)?;
        let grads = (&y * weights)?.sum_all()?.backward()?;
        let what = |name: &str| format!("case {i} {spec:?} {name}");
        assert_eq!(y.dims(), get("y").dims(), "{}", what("shape"));
        let operator = if n(0) == 0 { "convolution" } else { "transposed convolution" };
        let (dx, dw) = (grads.get(&x).unwrap(), grads.get(&w).unwrap());
        for (name, order, found) in
            [("y", Order::Result, &y), ("dx", Order::First, dx), ("dw", Order::First, dw)]
        {
            let noted = (operator, order, &way[..]);
            compare(noted, &flat(found)?, &flat(&get(name))?, tolerance, &what(name));
        }
    }
    Ok(())
}
