//! Random shapes against twins that are as plain as possible, the same bytes on any number of threads, and errors.

use candle_core::{DType, Device, Result, Tensor, Var};
use flicker_kernels::*;
use proptest::prelude::*;

const ALL: [Activation; 6] = [
    Activation::None,
    Activation::Relu,
    Activation::LeakyRelu(0.1),
    Activation::Silu,
    Activation::Tanh,
    Activation::Sigmoid,
];

fn numbers(dims: &[usize], seed: u64) -> Vec<f64> {
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 11) as f64 / (1u64 << 53) as f64 * 4.0 - 2.0
    };
    (0..dims.iter().product()).map(|_| next()).collect()
}

fn tensor(dims: &[usize], seed: u64) -> Tensor {
    Tensor::from_vec(numbers(dims, seed), dims, &Device::Cpu).unwrap()
}

/// Applied one number at a time: its value and its slope.
fn plain(act: Activation, x: f64) -> (f64, f64) {
    let s = 1.0 / (1.0 + (-x).exp());
    match act {
        Activation::None => (x, 1.0),
        Activation::Relu => (x.max(0.0), if x > 0.0 { 1.0 } else { 0.0 }),
        Activation::LeakyRelu(k) => (if x > 0.0 { x } else { k * x }, if x > 0.0 { 1.0 } else { k }),
        Activation::Silu => (x * s, s + x * s * (1.0 - s)),
        Activation::Tanh => (x.tanh(), 1.0 - x.tanh().powi(2)),
        Activation::Sigmoid => (s, s * (1.0 - s)),
    }
}

#[track_caller]
fn close(name: &str, got: &Tensor, want: &[f64], tolerance: f64) {
    let got = got.to_dtype(DType::F64).unwrap().flatten_all().unwrap().to_vec1::<f64>().unwrap();
    assert_eq!(got.len(), want.len(), "{name}");
    for (i, (g, w)) in got.iter().zip(want).enumerate() {
        assert!((g - w).abs() <= tolerance * (1.0 + w.abs()), "{name}[{i}]: {g} not {w}");
    }
}

/// Normalizes the elements with the same label, then gamma and beta by another label; (y, dx, dgamma, dbeta).
fn plain_norm(
    x: &[f64],
    g: &[f64],
    gamma: &[f64],
    beta: &[f64],
    act: Activation,
    set: impl Fn(usize) -> usize,
    channel: impl Fn(usize) -> usize,
) -> [Vec<f64>; 4] {
    let n_sets = (0..x.len()).map(&set).max().unwrap() + 1;
    let [mut n, mut mean, mut var, mut s0, mut s1] = [0; 5].map(|_| vec![0.0; n_sets]);
    (0..x.len()).for_each(|i| (n[set(i)] += 1.0, mean[set(i)] += x[i]).1);
    (0..n_sets).for_each(|s| mean[s] /= n[s]);
    (0..x.len()).for_each(|i| var[set(i)] += (x[i] - mean[set(i)]).powi(2) / n[set(i)]);
    let inv = |i: usize| 1.0 / (var[set(i)] + 1e-3).sqrt();
    let standard: Vec<f64> = (0..x.len()).map(|i| (x[i] - mean[set(i)]) * inv(i)).collect();
    let z = |i: usize| plain(act, standard[i] * gamma[channel(i)] + beta[channel(i)]);
    let (mut dgamma, mut dbeta) = (vec![0.0; gamma.len()], vec![0.0; gamma.len()]);
    for i in 0..x.len() {
        let p = g[i] * z(i).1;
        dgamma[channel(i)] += p * standard[i];
        dbeta[channel(i)] += p;
        s0[set(i)] += p * gamma[channel(i)] / n[set(i)];
        s1[set(i)] += p * gamma[channel(i)] * standard[i] / n[set(i)];
    }
    let dx = |i: usize| (g[i] * z(i).1 * gamma[channel(i)] - s0[set(i)] - standard[i] * s1[set(i)]) * inv(i);
    [(0..x.len()).map(|i| z(i).0).collect(), (0..x.len()).map(dx).collect(), dgamma, dbeta]
}

/// Both element types against the twin; `f` gets x, gamma and beta.
#[track_caller]
fn check_norm(
    name: &str,
    dims: &[usize],
    affine: &[usize],
    act: Activation,
    f: impl Fn(&Tensor, &Tensor, &Tensor) -> Result<Tensor>,
    set: impl Fn(usize) -> usize,
    channel: impl Fn(usize) -> usize,
) {
    let (x, g) = (numbers(dims, 1), numbers(dims, 2));
    let (gamma, beta) = (numbers(affine, 3), numbers(affine, 4));
    let want = plain_norm(&x, &g, &gamma, &beta, act, set, channel);
    for (dtype, tolerance) in [(DType::F64, 1e-9), (DType::F32, 1e-3)] {
        let make = |d: &[usize], seed| Var::from_tensor(&tensor(d, seed).to_dtype(dtype).unwrap()).unwrap();
        let (x, gamma, beta) = (make(dims, 1), make(affine, 3), make(affine, 4));
        let y = f(&x, &gamma, &beta).unwrap();
        let g = tensor(dims, 2).to_dtype(dtype).unwrap();
        let grads = (&y * g).unwrap().sum_all().unwrap().backward().unwrap();
        close(&format!("{name} {act:?} y {dims:?}"), &y, &want[0], tolerance);
        for (k, v) in [&x, &gamma, &beta].into_iter().enumerate() {
            close(&format!("{name} {act:?} d{k} {dims:?}"), grads.get(v).unwrap(), &want[k + 1], tolerance);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn batch_norm(b in 2..9usize, c in 1..140usize, hw in 1..40usize, flat: bool, act in 0..6usize) {
        let hw = if flat { 1 } else { hw };
        let dims = if flat { vec![b, c] } else { vec![b, c, hw] };
        check_norm("batch norm", &dims, &[c], ALL[act], |x, w, s| {
            let (mean, var) = (Var::zeros(c, x.dtype(), x.device())?, Var::ones(c, x.dtype(), x.device())?);
            batch_norm_train(x, w, s, &mean, &var, 0.1, 1e-3, ALL[act])
        }, |i| i / hw % c, |i| i / hw % c);
    }

    #[test]
    fn group_norm_any(b in 1..5usize, groups in 1..5usize, per in 1..6usize, hw in 1..50usize, act in 0..6usize) {
        let c = groups * per;
        prop_assume!(per * hw > 1);
        check_norm("group norm", &[b, c, hw], &[c], ALL[act], |x, w, s| {
            group_norm(x, w, s, groups, 1e-3, ALL[act])
        }, |i| i / (per * hw), |i| i / hw % c);
    }

    #[test]
    fn layer_norm_any(rows in 1..9usize, c in 1..4usize, n in 2..300usize, act in 0..6usize) {
        check_norm("layer norm", &[rows, c, n], &[c, n], ALL[act], |x, w, s| {
            layer_norm(x, w, s, 1e-3, ALL[act])
        }, |i| i / (c * n), |i| i % (c * n));
    }

    #[test]
    fn matrices(m in 1..40usize, k in 1..40usize, n in 1..40usize, act in 0..6usize) {
        let (x, w, b) = (numbers(&[m, k], 1), numbers(&[n, k], 2), numbers(&[n], 3));
        let dot = |i: usize, j: usize| (0..k).map(|l| x[i * k + l] * w[j * k + l]).sum::<f64>() + b[j];
        let want: Vec<f64> = (0..m * n).map(|i| plain(ALL[act], dot(i / n, i % n)).0).collect();
        let y = linear(&tensor(&[m, k], 1), &tensor(&[n, k], 2), Some(&tensor(&[n], 3)), ALL[act]).unwrap();
        close("linear", &y, &want, 1e-12);
    }

    #[test]
    fn pools(h in 1..12usize, w in 1..12usize, k in 1..5usize, s in 1..5usize, p in 0..3usize) {
        prop_assume!(2 * p <= k && h + 2 * p >= k && w + 2 * p >= k);
        let (oh, ow) = ((h + 2 * p - k) / s + 1, (w + 2 * p - k) / s + 1);
        let x = numbers(&[2, h, w], 1);
        let at = |plane: usize, r: usize, c: usize| {
            (r >= p && c >= p && r < h + p && c < w + p).then(|| x[(plane * h + r - p) * w + c - p])
        };
        let (mut max, mut mean) = (vec![], vec![]);
        for o in 0..2 * oh * ow {
            let (plane, r, c) = (o / (oh * ow), o / ow % oh * s, o % ow * s);
            let window = (0..k * k).filter_map(|i| at(plane, r + i / k, c + i % k));
            let window: Vec<f64> = window.collect();
            max.push(window.iter().copied().fold(f64::MIN, f64::max));
            mean.push(window.iter().sum::<f64>() / (k * k) as f64);
        }
        let x = tensor(&[1, 2, h, w], 1);
        close("max", &max_pool2d(&x, Window::square(k, s, p)).unwrap(), &max, 0.0);
        close("mean", &avg_pool2d(&x, Window::square(k, s, p)).unwrap(), &mean, 1e-12);
    }

    #[test]
    fn softmax(rows in 1..6usize, n in 1..70usize) {
        let x = numbers(&[rows, n], 1);
        let sum = |r: usize| x[r * n..(r + 1) * n].iter().map(|v| v.exp()).sum::<f64>();
        let want: Vec<f64> = (0..rows * n).map(|i| x[i].exp() / sum(i / n)).collect();
        let x = tensor(&[rows, n], 1);
        close("softmax", &softmax_last(&x).unwrap(), &want, 1e-12);
        close("softmax", &softmax_last(&x.to_dtype(DType::F32).unwrap()).unwrap(), &want, 1e-6);
    }
}

/// The bytes of results and gradients of every operator, at sizes that are worth several threads.
fn everything() -> Result<Vec<u32>> {
    let make = |d: &[usize], seed| Var::from_tensor(&tensor(d, seed).to_dtype(DType::F32)?);
    let (x, flat) = (make(&[16, 24, 20, 20], 1)?, make(&[600, 400], 2)?);
    let (w, b) = (make(&[24], 3)?, make(&[24], 4)?);
    let (wf, bf, m) = (make(&[400], 5)?, make(&[400], 6)?, make(&[500, 400], 7)?);
    let running = || Ok::<_, candle_core::Error>((make(&[24], 8)?, make(&[24], 9)?));
    let running_flat = (make(&[400], 8)?, make(&[400], 9)?);
    let (mean, var) = running()?;
    let act = Activation::Silu;
    let results = [
        activate(&x, act)?,
        batch_norm_train(&x, &w, &b, &mean, &var, 0.1, 1e-5, act)?,
        batch_norm_train(&flat, &wf, &bf, &running_flat.0, &running_flat.1, 0.1, 1e-5, act)?,
        batch_norm_eval(&x, &w, &b, &w.sqr()?, &b.sqr()?, 1e-5, act)?,
        group_norm(&x, &w, &b, 8, 1e-5, act)?,
        layer_norm(&flat, &wf, &bf, 1e-5, act)?,
        linear(&flat, &m, None, Activation::Tanh)?,
        linear(&flat, &m, Some(make(&[500], 10)?.as_tensor()), act)?,
        bias_add(&x, &b, Activation::Relu)?,
        max_pool2d(&x, Window::square(3, 2, 1))?,
        avg_pool2d(&x, Window::square(3, 2, 1))?,
        upsample_nearest2d(&x, 2)?,
        upsample_bilinear2d(&x, 33, 27)?,
        softmax_last(&flat)?,
    ];
    let mut bytes = vec![];
    for (i, y) in results.iter().enumerate() {
        let g = tensor(y.dims(), 20 + i as u64).to_dtype(DType::F32)?;
        let grads = (y * g)?.sum_all()?.backward()?;
        let found = [&x, &flat, &w, &b, &wf, &bf, &m].into_iter().filter_map(|v| grads.get(v));
        for t in found.chain([y, mean.as_tensor(), var.as_tensor()]) {
            bytes.extend(t.flatten_all()?.to_vec1::<f32>()?.iter().map(|v| v.to_bits()));
        }
    }
    let (p, g) = (make(&[600, 400], 11)?, make(&[600, 400], 12)?);
    let (first, second) = (make(&[600, 400], 13)?, Var::from_tensor(&flat.sqr()?)?);
    let weight_decay = WeightDecay::Decoupled(0.1);
    let s = AdamStep { lr: 0.1, beta1: 0.9, beta2: 0.9, eps: 1e-8, weight_decay, step: 3 };
    adam_step(&p, &g, &first, &second, &s)?;
    bytes.extend(p.flatten_all()?.to_vec1::<f32>()?.iter().map(|v| v.to_bits()));
    Ok(bytes)
}

#[test]
fn the_same_bytes_on_any_number_of_threads() {
    let on = |n| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(n).build().unwrap();
        pool.install(everything).unwrap()
    };
    let one = on(1);
    assert!(one.len() > 1_000_000);
    assert!(one == on(2), "1 and 2 threads differ");
    assert!(one == on(16), "1 and 16 threads differ");
}

#[track_caller]
fn refused(result: Result<Tensor>, part: &str) {
    let message = result.unwrap_err().to_string();
    assert!(message.contains(part), "{message:?} does not say {part:?}");
}

#[test]
fn errors_say_what_is_wrong() -> Result<()> {
    let t = |d: &[usize]| tensor(d, 1);
    let v = |n: usize| Var::from_tensor(&t(&[n])).unwrap();
    let none = Activation::None;
    let bn =
        |x: &[usize], c: usize| batch_norm_train(&t(x), &t(&[c]), &t(&[c]), &v(c), &v(c), 0.1, 1e-5, none);
    refused(bn(&[1, 3], 3), "at least 2 values per channel, got x [1, 3]");
    refused(bn(&[1, 3, 1, 1], 3), "at least 2 values per channel");
    refused(bn(&[4, 3], 2), "expected vectors (3)");
    refused(bn(&[4], 4), "expected x (B, C, …)");
    refused(group_norm(&t(&[2, 6, 2]), &t(&[6]), &t(&[6]), 4, 1e-5, none), "divides the 6 channels, got 4");
    refused(layer_norm(&t(&[2, 6]), &t(&[5]), &t(&[5]), 1e-5, none), "last dimensions [2, 6], got [5]");
    refused(linear(&t(&[2, 3]), &t(&[4, 5]), None, none), "expected x (…, 5) for weights (4, 5), got [2, 3]");
    refused(linear(&t(&[2, 5]), &t(&[4, 5]), Some(&t(&[5])), none), "expected a bias (4)");
    refused(bias_add(&t(&[2, 3]), &t(&[2]), none), "expected x (B, C, …) and a bias (C)");
    refused(max_pool2d(&t(&[1, 1, 2, 2]), Window::square(3, 1, 0)), "does not fit an image 2×2");
    refused(avg_pool2d(&t(&[1, 1, 4, 4]), Window::square(2, 1, 2)), "at most half of the kernel");
    refused(upsample_nearest2d(&t(&[1, 1, 2, 2]), 0), "factor of at least 1");
    refused(activate(&t(&[2]), Activation::LeakyRelu(-0.1)), "slope of at least 0, got -0.1");
    refused(attention(&t(&[2, 3, 4]), &t(&[2, 5, 3]), &t(&[2, 5, 3])), "attention: expected q");
    let s = SgdStep { lr: 0.1, momentum: 0.0, nesterov: false, weight_decay: WeightDecay::None };
    let (p, q) = (v(3), v(3));
    let wrong = sgd_step(&p, &t(&[4]), Some(&q), &s).unwrap_err().to_string();
    assert!(wrong.contains("parameter's shape [3], got [4]"), "{wrong}");
    assert!(sgd_step(&p, &q, Some(&q), &s).unwrap_err().to_string().contains("different tensors"));
    Ok(())
}

/// In every place of the window, by the kernels for tiles and for other windows, and by the composition.
#[test]
fn a_nan_is_the_largest() -> Result<()> {
    for at in 0..4 {
        let mut values = vec![3.0, -1.0, 7.0, 7.0];
        values[at] = f64::NAN;
        let x = Tensor::from_vec(values, (1, 1, 2, 2), &Device::Cpu)?;
        for window in [Window::square(2, 2, 0), Window::square(2, 1, 0)] {
            let max = || max_pool2d(&x, window)?.flatten_all()?.to_vec1::<f64>();
            for found in [max()?, with_compositions(max)?] {
                assert!(found[0].is_nan(), "place {at}, {window:?}: {found:?}");
            }
        }
    }
    Ok(())
}

#[test]
fn frozen_arguments_get_no_gradient() -> Result<()> {
    let x = Var::from_tensor(&tensor(&[4, 3, 2], 1))?;
    let w = tensor(&[3], 2);
    for y in [
        group_norm(&x, &w, &w, 1, 1e-5, Activation::Relu)?,
        batch_norm_eval(&x, &w, &w, &w, &w.sqr()?, 1e-5, Activation::Relu)?,
    ] {
        let grads = y.sqr()?.sum_all()?.backward()?;
        assert!(grads.get(&x).is_some() && grads.get(&w).is_none());
    }
    Ok(())
}
