//! Times the operators, and one training step of a dense autoencoder, against the same in PyTorch (`ops_bench.py`
//! beside this file, which starts this program).
//!
//! `ops_bench NAME,NAME… SECONDS` prints one JSON object: name → [median wall ms, CPU ms a step, steps].
#![allow(clippy::print_stdout)]

use candle_core::{CpuStorage, CustomOp1, DType, Device, Layout, Result, Shape, Tensor, Var};
use flicker_kernels::*;
use std::time::Instant;

type Step = Box<dyn FnMut() -> Result<()>>;

fn main() -> Result<()> {
    let args: Vec<String> = std::env::args().collect();
    let [_, names, seconds] = &args[..] else { candle_core::bail!("usage: ops_bench NAME,NAME… SECONDS") };
    let seconds: f64 = seconds.parse().map_err(candle_core::Error::wrap)?;
    let rows =
        rayon::scope(|_| names.split(',').map(|name| measure(name, seconds)).collect::<Result<Vec<_>>>())?;
    println!("{{{}}}", rows.join(", "));
    Ok(())
}

fn measure(name: &str, seconds: f64) -> Result<String> {
    let mut step = workload(name)?;
    for _ in 0..3 {
        step()?;
    }
    let (start, cpu, mut walls) = (Instant::now(), cpu_ms(), vec![]);
    while walls.len() < 5 || start.elapsed().as_secs_f64() < seconds {
        let t = Instant::now();
        step()?;
        walls.push(t.elapsed().as_secs_f64() * 1e3);
    }
    let (cpu, n) = ((cpu_ms() - cpu) / walls.len() as f64, walls.len());
    walls.sort_by(f64::total_cmp);
    Ok(format!("\"{name}\": [{:.4}, {cpu:.4}, {n}]", walls[n / 2]))
}

/// Time that all threads of this process ran.
fn cpu_ms() -> f64 {
    let Ok(tasks) = std::fs::read_dir("/proc/self/task") else { return f64::NAN };
    let read = |path: std::path::PathBuf| std::fs::read_to_string(path.join("schedstat")).ok();
    let ns = |text: String| text.split(' ').next().and_then(|v| v.parse::<f64>().ok());
    tasks.flatten().filter_map(|t| read(t.path()).and_then(ns)).sum::<f64>() / 1e6
}

fn numbers(dims: &[usize]) -> Result<Tensor> {
    let n = dims.iter().product::<usize>();
    let v: Vec<f32> = (0..n).map(|i| ((i as f32) * 1.37).sin()).collect();
    Tensor::from_vec(v, dims, &Device::Cpu)
}

fn var(dims: &[usize]) -> Result<Var> {
    Var::from_tensor(&numbers(dims)?)
}

/// Forward and backward of one operator, with a gradient handed in.
fn operator(inputs: Vec<Var>, f: impl Fn(&[Var]) -> Result<Tensor> + 'static) -> Result<Step> {
    let g = numbers(f(&inputs)?.dims())?;
    Ok(Box::new(move || {
        f(&inputs)?.apply_op1(Inject(g.clone()))?.backward()?;
        Ok(())
    }))
}

/// Has a gradient that is given, as PyTorch's `y.backward(g)`.
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

fn workload(name: &str) -> Result<Step> {
    let image = || var(&[64, 64, 16, 16]);
    let (leaky, silu) = (Activation::LeakyRelu(0.2), Activation::Silu);
    match name {
        "ae65" => dense_autoencoder(65),
        "ae256" => dense_autoencoder(256),
        "bn" | "bn4" => {
            let (c, x) = if name == "bn" { (64, image()?) } else { (256, var(&[64, 256, 4, 4])?) };
            let (mean, v) =
                (Var::zeros(c, DType::F32, &Device::Cpu)?, Var::ones(c, DType::F32, &Device::Cpu)?);
            operator(vec![x, var(&[c])?, var(&[c])?], move |t| {
                batch_norm_train(&t[0], &t[1], &t[2], &mean, &v, 0.1, 1e-5, leaky)
            })
        }
        "gn" => operator(vec![var(&[16, 32, 32, 32])?, var(&[32])?, var(&[32])?], move |t| {
            group_norm(&t[0], &t[1], &t[2], 8, 1e-5, silu)
        }),
        "ln" => operator(vec![var(&[1024, 512])?, var(&[512])?, var(&[512])?], move |t| {
            layer_norm(&t[0], &t[1], &t[2], 1e-5, leaky)
        }),
        "silu" => operator(vec![image()?], move |t| activate(&t[0], silu)),
        "tanh" => operator(vec![image()?], |t| activate(&t[0], Activation::Tanh)),
        "leaky" => operator(vec![image()?], move |t| activate(&t[0], leaky)),
        "bias" => operator(vec![image()?, var(&[64])?], |t| bias_add(&t[0], &t[1], Activation::None)),
        "max" => operator(vec![image()?], |t| max_pool2d(&t[0], Window::square(2, 2, 0))),
        "avg" => operator(vec![image()?], |t| avg_pool2d(&t[0], Window::square(2, 2, 0))),
        "nearest" => operator(vec![image()?], |t| upsample_nearest2d(&t[0], 2)),
        "bilinear" => operator(vec![image()?], |t| upsample_bilinear2d(&t[0], 32, 32)),
        "softmax" => operator(vec![var(&[4096, 64])?], |t| softmax_last(&t[0])),
        "attention" => {
            operator(vec![var(&[16, 64, 128])?, var(&[16, 64, 128])?, var(&[16, 64, 128])?], |t| {
                attention(&t[0], &t[1], &t[2])
            })
        }
        "linear" => operator(vec![var(&[256, 784])?, var(&[512, 784])?, var(&[512])?], |t| {
            linear(&t[0], &t[1], Some(t[2].as_tensor()), Activation::Relu)
        }),
        "adam" => adam_alone(),
        _ => candle_core::bail!("no workload {name}"),
    }
}

fn step_number(step: usize) -> AdamStep {
    let weight_decay = WeightDecay::None;
    AdamStep { lr: 1e-3, beta1: 0.9, beta2: 0.999, eps: 1e-8, weight_decay, step }
}

fn adam_alone() -> Result<Step> {
    let (p, g, m, v) = (var(&[1 << 20])?, numbers(&[1 << 20])?, var(&[1 << 20])?, var(&[1 << 20])?);
    v.set(&v.sqr()?)?;
    let mut n = 0;
    Ok(Box::new(move || {
        n += 1;
        adam_step(&p, &g, &m, &v, &step_number(n))
    }))
}

const SIZES: [usize; 13] = [784, 512, 256, 128, 64, 32, 16, 32, 64, 128, 256, 512, 784];

/// One training step of 784-512-…-16-…-784 with batch norm: forward, backward, Adam.
fn dense_autoencoder(batch: usize) -> Result<Step> {
    let x = (numbers(&[batch, 784])? * 0.5)?.affine(1.0, 0.5)?;
    let scaled = |dims: &[usize]| Var::from_tensor(&(numbers(dims)? * 0.05)?);
    let mut layers = vec![];
    for (i, pair) in SIZES.windows(2).enumerate() {
        let (from, to) = (pair[0], pair[1]);
        let ones = |n: usize| Var::ones(n, DType::F32, &Device::Cpu);
        let zeros = |n: usize| Var::zeros(n, DType::F32, &Device::Cpu);
        let norm = if i < 11 { Some((ones(to)?, zeros(to)?, zeros(to)?, ones(to)?)) } else { None };
        layers.push((scaled(&[to, from])?, zeros(to)?, norm));
    }
    let mut state = vec![];
    for (w, b, norm) in &layers {
        let more = norm.iter().flat_map(|(gamma, beta, ..)| [gamma, beta]);
        for p in [w, b].into_iter().chain(more) {
            let zeros = || Var::zeros(p.shape(), DType::F32, &Device::Cpu);
            state.push((p.clone(), zeros()?, zeros()?));
        }
    }
    let mut n = 0;
    Ok(Box::new(move || {
        let mut h = x.clone();
        for (w, b, norm) in &layers {
            let last = norm.is_none();
            let act = if last { Activation::Sigmoid } else { Activation::None };
            h = linear(&h, w, Some(b.as_tensor()), act)?;
            if let Some((gamma, beta, mean, v)) = norm {
                h = batch_norm_train(&h, gamma, beta, mean, v, 0.1, 1e-5, Activation::Relu)?;
            }
        }
        let grads = (h - &x)?.sqr()?.mean_all()?.backward()?;
        n += 1;
        for (p, m, v) in &state {
            if let Some(g) = grads.get(p) {
                adam_step(p, g, m, v, &step_number(n))?;
            }
        }
        Ok(())
    }))
}
