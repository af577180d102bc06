//! Times each pass of the convolutions of DCGAN, GANomaly and a U-Net; `conv_bench.py` beside it runs this program and
//! PyTorch in turn and prints the ratios.
//!
//! `conv_bench [ROUNDS [FILTER]]` prints a line `layer pass cpu_ms wall_ms gflops` for each, medians over the rounds; the
//! number of threads is `RAYON_NUM_THREADS`.
#![allow(clippy::print_stdout)]

use candle_core::{Device, Result, Tensor};
use flicker_kernels::{ConvSpec, conv_transpose2d, conv2d, conv2d_weight_grad, keep_freed_memory};
use std::time::Instant;

/// name, batch, channels in, size, channels out, kernel, stride, padding
type Layer = (&'static str, usize, usize, usize, usize, usize, usize, usize);
const LAYERS: &[Layer] = &[
    ("gan-1-64@32", 64, 1, 32, 64, 4, 2, 1),
    ("gan-64-128@16", 64, 64, 16, 128, 4, 2, 1),
    ("gan-128-256@8", 64, 128, 8, 256, 4, 2, 1),
    ("gan-256-1@4", 64, 256, 4, 1, 4, 1, 0),
    ("gan-256-100@4", 64, 256, 4, 100, 4, 1, 0),
    ("unet-1-32@32", 16, 1, 32, 32, 3, 1, 1),
    ("unet-32-32@32", 16, 32, 32, 32, 3, 1, 1),
    ("unet-64-32@32", 16, 64, 32, 32, 3, 1, 1),
    ("unet-64-32k1@32", 16, 64, 32, 32, 1, 1, 0),
    ("unet-32-32s2@32", 16, 32, 32, 32, 3, 2, 1),
    ("unet-64-64@16", 16, 64, 16, 64, 3, 1, 1),
    ("unet-128-64@16", 16, 128, 16, 64, 3, 1, 1),
    ("unet-128-128@8", 16, 128, 8, 128, 3, 1, 1),
    ("unet-128-128k1@8", 16, 128, 8, 128, 1, 1, 0),
    ("unet-32-1@32", 16, 32, 32, 1, 3, 1, 1),
    ("one-128-256@8", 1, 128, 8, 256, 4, 2, 1),
    ("one-256-100@4", 1, 256, 4, 100, 4, 1, 0),
    ("one-1-64@32", 1, 1, 32, 64, 4, 2, 1),
    ("one-64-128@16", 1, 64, 16, 128, 4, 2, 1),
];

/// Processor time of all threads of this process, in ms.
#[allow(unsafe_code)]
fn cpu_ms() -> f64 {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: `time` is a valid place for the answer.
    unsafe { libc::clock_gettime(libc::CLOCK_PROCESS_CPUTIME_ID, &raw mut time) };
    time.tv_sec as f64 * 1e3 + time.tv_nsec as f64 / 1e6
}

fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

fn tensor(shape: (usize, usize, usize, usize)) -> Result<Tensor> {
    let n = shape.0 * shape.1 * shape.2 * shape.3;
    Tensor::from_iter((0..n).map(|i| ((i * 7919) % 1000) as f32 / 1000. - 0.5), &Device::Cpu)?.reshape(shape)
}

/// Medians of processor and wall time of `f`, in ms; calls that are too short for the clock are timed together.
fn time(rounds: usize, flops: f64, f: impl Fn() -> Result<()>) -> Result<(f64, f64)> {
    let calls = (2e9 / flops).clamp(1., 1000.) as usize;
    f()?;
    let (mut cpu, mut wall) = (Vec::new(), Vec::new());
    for _ in 0..rounds {
        let (start, start_cpu) = (Instant::now(), cpu_ms());
        for _ in 0..calls {
            f()?;
        }
        cpu.push((cpu_ms() - start_cpu) / calls as f64);
        wall.push(start.elapsed().as_secs_f64() * 1e3 / calls as f64);
    }
    Ok((median(&mut cpu), median(&mut wall)))
}

fn main() -> Result<()> {
    keep_freed_memory();
    let args: Vec<String> = std::env::args().skip(1).collect();
    let rounds = args.first().and_then(|a| a.parse().ok()).unwrap_or(7);
    let filter = args.get(1).map_or("", String::as_str);
    for &(name, batch, c_in, size, c_out, kernel, stride, padding) in LAYERS {
        if !name.contains(filter) {
            continue;
        }
        let spec = ConvSpec::square(stride, padding);
        let (x, w) = (tensor((batch, c_in, size, size))?, tensor((c_out, c_in, kernel, kernel))?);
        let y = conv2d(&x, &w, &spec)?;
        let flops = 2. * (y.elem_count() * c_in * kernel * kernel) as f64;
        let report = |pass: &str, (cpu, wall): (f64, f64)| {
            println!("{name} {pass} {cpu:.4} {wall:.4} {:.1}", flops / cpu / 1e6);
        };
        report("forward", time(rounds, flops, || conv2d(&x, &w, &spec).map(|_| ()))?);
        let dy = y.ones_like()?;
        report("input", time(rounds, flops, || input_grad(&dy, &w, &spec, size))?);
        report(
            "weight",
            time(rounds, flops, || conv2d_weight_grad(&x, &dy, (kernel, kernel), &spec).map(|_| ()))?,
        );
    }
    Ok(())
}

/// The gradient of the input alone: the transposed convolution of the output's gradient.
fn input_grad(dy: &Tensor, w: &Tensor, spec: &ConvSpec, size: usize) -> Result<()> {
    let (k, s, p) = (w.dim(2)?, spec.stride.0, spec.padding.0);
    let out = size + 2 * p - (dy.dim(2)? - 1) * s - k;
    conv_transpose2d(dy, w, spec, (out, out)).map(|_| ())
}
