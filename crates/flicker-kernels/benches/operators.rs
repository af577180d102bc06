//! Criterion's view of the operators: `cargo bench -p flicker-kernels [-- NAME]`. For a change and its before; the comparison with
//! PyTorch is `cargo xtask bench op:`.
#![allow(missing_docs)] // criterion's macro writes a public item

use candle_core::{CpuStorage, CustomOp1, DType, Device, Layout, Result, Shape, Tensor, Var};
use criterion::{Criterion, Throughput, criterion_group};
use flicker_kernels::{
    Activation, AdamStep, ConvSpec, WeightDecay, Window, activate, adam_step, attention, avg_pool2d,
    batch_norm_train, bias_add, conv_transpose2d, conv2d, conv2d_weight_grad, group_norm, in_pool,
    layer_norm, linear, max_pool2d, prepare_process, softmax_last, upsample_bilinear2d, upsample_nearest2d,
};
use std::hint::black_box;
use std::time::Duration;

/// Name, batch, channels in and out, size; kernel, stride, padding.
type Layer = (&'static str, usize, [usize; 2], usize, [usize; 3]);
const LAYERS: [Layer; 7] = [
    ("gan-1-64@32", 64, [1, 64], 32, [4, 2, 1]),
    ("gan-64-128@16", 64, [64, 128], 16, [4, 2, 1]),
    ("gan-128-256@8", 64, [128, 256], 8, [4, 2, 1]),
    ("unet-32-32@32", 16, [32, 32], 32, [3, 1, 1]),
    ("unet-64-32k1@32", 16, [64, 32], 32, [1, 1, 0]),
    ("unet-128-128@8", 16, [128, 128], 8, [3, 1, 1]),
    ("one-128-256@8", 1, [128, 256], 8, [4, 2, 1]),
];
const IMAGE: [usize; 4] = [64, 64, 16, 16];
const LEAKY: Activation = Activation::LeakyRelu(0.2);

fn numbers(dims: &[usize]) -> Result<Tensor> {
    let values = (0..dims.iter().product::<usize>()).map(|i| ((i * 7919) % 1000) as f32 / 1000.0 - 0.5);
    Tensor::from_iter(values, &Device::Cpu)?.reshape(dims)
}

fn var(dims: &[usize]) -> Result<Var> {
    Var::from_tensor(&numbers(dims)?)
}

fn convolutions(criterion: &mut Criterion) -> Result<()> {
    for (name, batch, [c, c_out], size, [kernel, stride, padding]) in LAYERS {
        let spec = ConvSpec::square(stride, padding);
        let x = numbers(&[batch, c, size, size])?;
        let w = numbers(&[c_out, c, kernel, kernel])?;
        let y = conv2d(&x, &w, &spec)?;
        let rest = size + 2 * padding - (y.dim(2)? - 1) * stride - kernel;
        let mut group = criterion.benchmark_group(name);
        group.throughput(Throughput::Elements(2 * (y.elem_count() * c * kernel * kernel) as u64));
        group.bench_function("forward", |b| b.iter(|| conv2d(black_box(&x), &w, &spec)));
        group.bench_function("input", |b| {
            b.iter(|| conv_transpose2d(black_box(&y), &w, &spec, (rest, rest)));
        });
        group.bench_function("weight", |b| {
            b.iter(|| conv2d_weight_grad(black_box(&x), &y, (kernel, kernel), &spec));
        });
        group.finish();
    }
    Ok(())
}

/// Forward and backward pass of `f`, with the gradient of its result handed in.
fn both_passes(
    criterion: &mut Criterion,
    name: &str,
    shapes: &[&[usize]],
    f: impl Fn(&[Var]) -> Result<Tensor>,
) -> Result<()> {
    let inputs = shapes.iter().map(|dims| var(dims)).collect::<Result<Vec<_>>>()?;
    let dy = numbers(f(&inputs)?.dims())?;
    criterion.bench_function(name, |b| {
        b.iter(|| f(black_box(&inputs))?.apply_op1(Inject(dy.clone()))?.backward());
    });
    Ok(())
}

/// Has a gradient that is given.
struct Inject(Tensor);

impl CustomOp1 for Inject {
    fn name(&self) -> &'static str {
        "inject"
    }

    fn cpu_fwd(&self, _: &CpuStorage, _: &Layout) -> Result<(CpuStorage, Shape)> {
        Ok((CpuStorage::F32(vec![0.0]), ().into()))
    }

    fn bwd(&self, _: &Tensor, _: &Tensor, _: &Tensor) -> Result<Option<Tensor>> {
        Ok(Some(self.0.clone()))
    }
}

fn norms(c: &mut Criterion) -> Result<()> {
    let (mean, variance) =
        (Var::zeros(64, DType::F32, &Device::Cpu)?, Var::ones(64, DType::F32, &Device::Cpu)?);
    both_passes(c, "batch norm", &[&IMAGE, &[64], &[64]], |t| {
        batch_norm_train(&t[0], &t[1], &t[2], &mean, &variance, 0.1, 1e-5, LEAKY)
    })?;
    both_passes(c, "group norm", &[&[16, 32, 32, 32], &[32], &[32]], |t| {
        group_norm(&t[0], &t[1], &t[2], 8, 1e-5, Activation::Silu)
    })?;
    both_passes(c, "layer norm", &[&[1024, 512], &[512], &[512]], |t| {
        layer_norm(&t[0], &t[1], &t[2], 1e-5, LEAKY)
    })
}

fn others(c: &mut Criterion) -> Result<()> {
    both_passes(c, "SiLU", &[&IMAGE], |t| activate(&t[0], Activation::Silu))?;
    both_passes(c, "tanh", &[&IMAGE], |t| activate(&t[0], Activation::Tanh))?;
    both_passes(c, "leaky ReLU", &[&IMAGE], |t| activate(&t[0], LEAKY))?;
    both_passes(c, "bias", &[&IMAGE, &[64]], |t| bias_add(&t[0], &t[1], Activation::None))?;
    both_passes(c, "max pool", &[&IMAGE], |t| max_pool2d(&t[0], Window::square(2, 2, 0)))?;
    both_passes(c, "average pool", &[&IMAGE], |t| avg_pool2d(&t[0], Window::square(2, 2, 0)))?;
    both_passes(c, "nearest", &[&IMAGE], |t| upsample_nearest2d(&t[0], 2))?;
    both_passes(c, "bilinear", &[&IMAGE], |t| upsample_bilinear2d(&t[0], 32, 32))?;
    both_passes(c, "softmax", &[&[4096, 64]], |t| softmax_last(&t[0]))?;
    both_passes(c, "attention", &[&[16, 64, 128]; 3].map(|dims| &dims[..]), |t| {
        attention(&t[0], &t[1], &t[2])
    })?;
    both_passes(c, "linear", &[&[256, 784], &[512, 784], &[512]], |t| {
        linear(&t[0], &t[1], Some(t[2].as_tensor()), Activation::Relu)
    })?;
    let (p, g, m, v) = (var(&[1 << 20])?, numbers(&[1 << 20])?, var(&[1 << 20])?, var(&[1 << 20])?);
    v.set(&v.sqr()?)?;
    let weight_decay = WeightDecay::None;
    let step = AdamStep { lr: 1e-3, beta1: 0.9, beta2: 0.999, eps: 1e-8, weight_decay, step: 10 };
    c.bench_function("Adam", |b| b.iter(|| adam_step(&p, &g, &m, &v, &step)));
    Ok(())
}

fn operators(criterion: &mut Criterion) {
    let done = convolutions(criterion).and_then(|()| norms(criterion)).and_then(|()| others(criterion));
    done.expect("the shapes fit");
}

criterion_group! {
    name = all;
    config = Criterion::default().sample_size(20).warm_up_time(Duration::from_millis(300)).measurement_time(Duration::from_secs(1));
    targets = operators
}

fn main() {
    prepare_process();
    in_pool(|| {
        all();
        Criterion::default().configure_from_args().final_summary();
    });
}
