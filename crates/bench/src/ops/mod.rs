//! Single operators: `op:NAME`. Arguments are the same numbers on both sides, so results can be compared.

mod conv;

use crate::Workload;
use candle_core::{CpuStorage, CustomOp1, DType, Device, Layout, Shape, Tensor, Var};
use flicker_core::Result;
use flicker_kernels::{
    Activation, AdamStep, WeightDecay, Window, activate, adam_step, attention, avg_pool2d, batch_norm_train,
    bias_add, group_norm, layer_norm, linear, max_pool2d, softmax_last, upsample_bilinear2d,
    upsample_nearest2d,
};

const NAMES: [&str; 16] = [
    "bn",
    "bn4",
    "gn",
    "ln",
    "silu",
    "tanh",
    "leaky",
    "bias",
    "max",
    "avg",
    "nearest",
    "bilinear",
    "softmax",
    "attention",
    "linear",
    "adam",
];

const IMAGE: [usize; 4] = [64, 64, 16, 16];
const LEAKY: Activation = Activation::LeakyRelu(0.2);

/// The names, with `op:` before them.
pub(crate) fn names() -> Vec<String> {
    conv::names().into_iter().chain(NAMES.map(str::to_string)).map(|name| format!("op:{name}")).collect()
}

/// Forward and backward pass of one operator; or one pass of a convolution (`LAYER/PASS`); or a step of Adam.
pub(crate) fn workload(name: &str, device: &Device) -> Result<Workload> {
    let op =
        |shapes: &[&[usize]], f: fn(&[Var]) -> candle_core::Result<Tensor>| operator(None, shapes, device, f);
    match name {
        "bn" => batch_norm(&IMAGE, device),
        "bn4" => batch_norm(&[64, 256, 4, 4], device),
        "gn" => op(&[&[16, 32, 32, 32], &[32], &[32]], |t| {
            group_norm(&t[0], &t[1], &t[2], 8, 1e-5, Activation::Silu)
        }),
        "ln" => op(&[&[1024, 512], &[512], &[512]], |t| layer_norm(&t[0], &t[1], &t[2], 1e-5, LEAKY)),
        "silu" => op(&[&IMAGE], |t| activate(&t[0], Activation::Silu)),
        "tanh" => op(&[&IMAGE], |t| activate(&t[0], Activation::Tanh)),
        "leaky" => op(&[&IMAGE], |t| activate(&t[0], LEAKY)),
        "bias" => op(&[&IMAGE, &[64]], |t| bias_add(&t[0], &t[1], Activation::None)),
        "max" => op(&[&IMAGE], |t| max_pool2d(&t[0], Window::square(2, 2, 0))),
        "avg" => op(&[&IMAGE], |t| avg_pool2d(&t[0], Window::square(2, 2, 0))),
        "nearest" => op(&[&IMAGE], |t| upsample_nearest2d(&t[0], 2)),
        "bilinear" => op(&[&IMAGE], |t| upsample_bilinear2d(&t[0], 32, 32)),
        "softmax" => op(&[&[4096, 64]], |t| softmax_last(&t[0])),
        // Two products forward, four backward.
        "attention" => {
            let shapes: [&[usize]; 3] = [&[16, 64, 128]; 3];
            operator(Some(12.0 * (16 * 64 * 64 * 128) as f64), &shapes, device, |t| {
                attention(&t[0], &t[1], &t[2])
            })
        }
        // One product forward, two backward.
        "linear" => {
            let shapes: [&[usize]; 3] = [&[256, 784], &[512, 784], &[512]];
            operator(Some(6.0 * (256 * 784 * 512) as f64), &shapes, device, |t| {
                linear(&t[0], &t[1], Some(t[2].as_tensor()), Activation::Relu)
            })
        }
        "adam" => adam(device),
        _ => conv::workload(name, device),
    }
}

/// Numbers in [-0.5, 0.5), exact in both programs.
fn numbers(dims: &[usize], device: &Device) -> Result<Tensor> {
    let n = dims.iter().product::<usize>();
    let values: Vec<f32> = (0..n).map(|i| ((i * 7919) % 1000) as f32 / 1000.0 - 0.5).collect();
    Ok(Tensor::from_vec(values, dims, device)?)
}

fn var(dims: &[usize], device: &Device) -> Result<Var> {
    Ok(Var::from_tensor(&numbers(dims, device)?)?)
}

/// Forward and backward pass of `f`, with the gradient of its result handed in.
fn operator(
    flops: Option<f64>,
    shapes: &[&[usize]],
    device: &Device,
    f: impl Fn(&[Var]) -> candle_core::Result<Tensor> + 'static,
) -> Result<Workload> {
    let inputs = shapes.iter().map(|dims| var(dims, device)).collect::<Result<Vec<_>>>()?;
    let dy = numbers(f(&inputs)?.dims(), device)?;
    Ok(Workload::new(flops, move || {
        let grads = f(&inputs)?.apply_op1(Inject(dy.clone()))?.backward()?;
        let dx = grads.get(&inputs[0]).cloned();
        dx.ok_or_else(|| flicker_core::Error::config("workload", "the first argument got no gradient"))
    }))
}

/// Has a gradient that is given, as PyTorch's `y.backward(dy)`.
struct Inject(Tensor);

impl CustomOp1 for Inject {
    fn name(&self) -> &'static str {
        "inject"
    }

    fn cpu_fwd(&self, _: &CpuStorage, _: &Layout) -> candle_core::Result<(CpuStorage, Shape)> {
        Ok((CpuStorage::F32(vec![0.0]), ().into()))
    }

    fn bwd(&self, _: &Tensor, _: &Tensor, _: &Tensor) -> candle_core::Result<Option<Tensor>> {
        Ok(Some(self.0.clone()))
    }
}

fn batch_norm(dims: &[usize], device: &Device) -> Result<Workload> {
    let c = dims[1];
    let (mean, variance) = (Var::zeros(c, DType::F32, device)?, Var::ones(c, DType::F32, device)?);
    operator(None, &[dims, &[c], &[c]], device, move |t| {
        batch_norm_train(&t[0], &t[1], &t[2], &mean, &variance, 0.1, 1e-5, LEAKY)
    })
}

/// A step of Adam over 2^20 parameters.
fn adam(device: &Device) -> Result<Workload> {
    const N: usize = 1 << 20;
    let (p, g) = (var(&[N], device)?, numbers(&[N], device)?);
    let (m, v) = (Var::zeros(N, DType::F32, device)?, Var::zeros(N, DType::F32, device)?);
    let mut step = 0;
    Ok(Workload::new(None, move || {
        step += 1;
        let weight_decay = WeightDecay::None;
        let at = AdamStep { lr: 1e-3, beta1: 0.9, beta2: 0.999, eps: 1e-8, weight_decay, step };
        adam_step(&p, &g, &m, &v, &at)?;
        Ok(p.as_detached_tensor())
    }))
}
