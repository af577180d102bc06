//! Averaged weights against their formula, clipping against PyTorch.

use super::*;

#[test]
fn clipping() -> Result<()> {
    clip_all()?;
    flicker_kernels::with_compositions(clip_all)
}

fn clip_all() -> Result<()> {
    let fixture = fixture();
    for dtype in [DType::F64, DType::F32] {
        for case in fixture["clip"].as_array().expect("cases") {
            let vars = vars(&[0.0; 10], dtype)?;
            let mut store = grads(&vars, &numbers(&fixture["grads"][0]))?;
            let norm = clip_grad_norm(&mut store, &vars, case["max_norm"].as_f64().expect("a number"))?;
            let tolerance = if dtype == DType::F64 { 1e-14 } else { 1e-7 };
            assert_close(&[norm], &numbers(&serde_json::json!([case["norm"]])), tolerance, "norm");
            let mut found = Vec::new();
            for (_, var) in &vars[..2] {
                let grad = store.get(var.as_tensor()).expect("a gradient");
                found.extend(grad.to_dtype(DType::F64)?.flatten_all()?.to_vec1::<f64>()?);
            }
            assert_close(&found, &numbers(&case["grads"]), tolerance, "gradients");
            assert!(store.get(vars[2].1.as_tensor()).is_none());
        }
    }
    Ok(())
}

#[test]
fn the_norm_of_many_gradients() -> Result<()> {
    let n = 100_003;
    let var = Var::zeros(n, DType::F32, &Device::Cpu)?;
    let slopes = Tensor::arange(0f32, n as f32, &Device::Cpu)?;
    let mut store = (var.as_tensor() * slopes)?.sum_all()?.backward()?;
    let norm = clip_grad_norm(&mut store, &[("x".into(), var)], 1.0)?;
    let n = n as f64;
    assert_close(&[norm], &[(n * (n - 1.0) * (2.0 * n - 1.0) / 6.0).sqrt()], 1e-12, "norm");
    Ok(())
}

#[test]
fn a_norm_that_is_not_finite_is_told_and_changes_nothing() -> Result<()> {
    let vars = vars(&[0.0; 10], DType::F32)?;
    let mut store = grads(&vars, &[f64::INFINITY, 1., 1., 1., 1., 1., 1., 1., 1., 1.])?;
    assert_eq!(clip_grad_norm(&mut store, &vars, 1.0)?, f64::INFINITY);
    let bias = store.get(vars[0].1.as_tensor()).expect("a gradient").to_vec1::<f32>()?;
    assert_eq!(bias, [f32::INFINITY, 1., 1., 1.]);
    assert!(clip_grad_norm(&mut store, &vars, 0.0).is_err());
    Ok(())
}

/// Values of the first two parameters at step `t`, and their average by its definition.
fn averaged(decay: f64, steps: usize) -> Vec<f64> {
    let value = |step: usize, i: usize| (step * step) as f64 * 0.1 + i as f64;
    let mut mean: Vec<f64> = (0..10).map(|i| value(0, i)).collect();
    for step in 1..=steps {
        for (i, mean) in mean.iter_mut().enumerate() {
            *mean = decay * *mean + (1.0 - decay) * value(step, i);
        }
    }
    mean
}

fn set(vars: &[(String, Var)], step: usize) -> Result<()> {
    let values: Vec<f64> = (0..10).map(|i| (step * step) as f64 * 0.1 + f64::from(i)).collect();
    for ((_, var), tensor) in vars.iter().zip(shaped(&values, vars[0].1.dtype())?) {
        var.set(&tensor)?;
    }
    Ok(())
}

#[test]
fn averages() -> Result<()> {
    average_all()?;
    flicker_kernels::with_compositions(average_all)
}

fn average_all() -> Result<()> {
    for (dtype, tolerance) in [(DType::F64, 1e-14), (DType::F32, 1e-6)] {
        let vars = vars(&averaged(0.9, 0), dtype)?;
        let mut ema = Ema::new(&vars, 0.9)?;
        for step in 1..=6 {
            set(&vars, step)?;
            ema.update()?;
        }
        let (trained, expected) = (flat(&vars)?, averaged(0.9, 6));
        assert_ne!(trained, expected);
        ema.swap()?;
        assert_close(&flat(&vars)?, &expected, tolerance, "swapped in");
        ema.swap()?;
        assert_eq!(flat(&vars)?, trained);

        let other = super::vars(&[0.0; 10], dtype)?;
        ema.copy_to(&other)?;
        assert_close(&flat(&other)?, &expected, tolerance, "copied");
        assert!(ema.copy_to(&other[..2]).is_err());
    }
    Ok(())
}

#[test]
fn restored_averages_go_on_as_before() -> Result<()> {
    let vars = vars(&averaged(0.9, 0), DType::F32)?;
    let mut ema = Ema::new(&vars, 0.9)?;
    set(&vars, 1)?;
    ema.update()?;
    let state = ema.state()?;
    let before = contents(&state)?;
    set(&vars, 2)?;
    ema.update()?;
    let mut resumed = Ema::new(&vars, 0.9)?;
    resumed.restore(&state)?;
    resumed.update()?;
    assert_eq!(contents(&resumed.state()?)?, contents(&ema.state()?)?);
    assert_eq!(contents(&state)?, before);
    assert_ne!(contents(&state)?, contents(&ema.state()?)?);

    let mut foreign = state;
    foreign.remove("unused");
    let error = resumed.restore(&foreign).expect_err("a name is missing");
    assert_eq!(error.to_string(), "averaged weights: expected 3 tensors, found 2; `unused` is missing");
    Ok(())
}
