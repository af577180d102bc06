//! The optimizers against PyTorch's numbers (`tests/fixtures/optim`, with its maker), and what PyTorch does not say.

mod ema_and_clip;
mod restore;

use super::*;
use candle_core::Tensor;
use candle_core::{DType, Device, Var};
use serde_json::Value;
use std::collections::BTreeMap;

const NAMES: [&str; 2] = ["bias", "weight"];
const DIMS: [&[usize]; 2] = [&[4], &[2, 3]];

fn fixture() -> Value {
    serde_json::from_str(include_str!("../../tests/fixtures/optim/optim.json")).expect("the fixture is JSON")
}

fn numbers(value: &Value) -> Vec<f64> {
    value.as_array().expect("an array").iter().map(|x| x.as_f64().expect("a number")).collect()
}

/// The parameters with the ten values `flat`, and one more that no loss uses.
fn vars(flat: &[f64], dtype: DType) -> Result<Vec<(String, Var)>> {
    let named = |(name, tensor): (&str, Tensor)| Ok((name.to_string(), Var::from_tensor(&tensor)?));
    let mut vars: Vec<(String, Var)> =
        NAMES.into_iter().zip(shaped(flat, dtype)?).map(named).collect::<Result<_>>()?;
    vars.push(named(("unused", Tensor::new(&[1.0, 2.0], &Device::Cpu)?.to_dtype(dtype)?))?);
    Ok(vars)
}

fn shaped(flat: &[f64], dtype: DType) -> Result<[Tensor; 2]> {
    let tensor =
        |values: &[f64], dims: &[usize]| Tensor::from_slice(values, dims, &Device::Cpu)?.to_dtype(dtype);
    Ok([tensor(&flat[..4], DIMS[0])?, tensor(&flat[4..], DIMS[1])?])
}

fn flat(vars: &[(String, Var)]) -> Result<Vec<f64>> {
    let mut all = Vec::new();
    for (_, var) in &vars[..2] {
        all.extend(var.to_dtype(DType::F64)?.flatten_all()?.to_vec1::<f64>()?);
    }
    Ok(all)
}

/// Bits of everything in a state.
fn contents(state: &State) -> Result<BTreeMap<String, Vec<u64>>> {
    let bits = |tensor: &Tensor| -> Result<Vec<u64>> {
        let values = tensor.to_dtype(DType::F64)?.flatten_all()?.to_vec1::<f64>()?;
        Ok(values.into_iter().map(f64::to_bits).collect())
    };
    state.iter().map(|(name, tensor)| Ok((name.clone(), bits(tensor)?))).collect()
}

/// A store whose gradients are the ten values `grad`: those of the loss Σ x·grad.
fn grads(vars: &[(String, Var)], grad: &[f64]) -> Result<GradStore> {
    let [bias, weight] = shaped(grad, vars[0].1.dtype())?;
    let loss = ((vars[0].1.as_tensor() * bias)?.sum_all()? + (vars[1].1.as_tensor() * weight)?.sum_all()?)?;
    Ok(loss.backward()?)
}

#[track_caller]
fn assert_close(found: &[f64], expected: &[f64], tolerance: f64, what: &str) {
    assert_eq!(found.len(), expected.len(), "{what}");
    for (i, (a, b)) in found.iter().zip(expected).enumerate() {
        assert!(
            (a - b).abs() <= tolerance * b.abs().max(1.0),
            "{what}, element {i}: expected {b}, found {a}"
        );
    }
}

/// Ten steps in f64 and in f32, by the kernels and as other devices take them.
#[track_caller]
fn check<R: Rule + Copy>(name: &str, config: R) {
    for (dtype, tolerance) in [(DType::F64, 1e-13), (DType::F32, 1e-6)] {
        let steps = || check_steps(name, config, dtype, tolerance).expect(name);
        steps();
        flicker_kernels::with_compositions(steps);
    }
}

fn check_steps<R: Rule + Copy>(name: &str, config: R, dtype: DType, tolerance: f64) -> Result<()> {
    let fixture = fixture();
    let vars = vars(&numbers(&fixture["start"]), dtype)?;
    let mut optimizer = Stepper::new(vars.clone(), config)?;
    let expected = fixture["optimizers"][name].as_array().expect("ten steps");
    assert_eq!(expected.len(), 10);
    for (step, expected) in expected.iter().enumerate() {
        optimizer.step(&grads(&vars, &numbers(&fixture["grads"][step]))?)?;
        let what = format!("{name} in {dtype:?}, step {step}");
        assert_close(&flat(&vars)?, &numbers(expected), tolerance, &what);
    }
    assert_eq!(vars[2].1.to_dtype(DType::F64)?.to_vec1::<f64>()?, [1.0, 2.0]);
    let state = optimizer.state()?;
    assert_eq!(state["bias.step"].to_scalar::<i64>()?, 10);
    assert_eq!(state["unused.step"].to_scalar::<i64>()?, 0);
    Ok(())
}

#[test]
fn adam() {
    let config = AdamConfig::new(0.01);
    check("adam", config);
    check(
        "adam_betas_eps",
        AdamConfig { learning_rate: 0.02, beta1: 0.5, beta2: 0.9, eps: 1e-3, weight_decay: 0.0 },
    );
    check("adam_weight_decay", AdamConfig { weight_decay: 0.1, ..config });
}

#[test]
fn adam_w() {
    let config = AdamWConfig::new(0.01);
    check("adamw", config);
    check("adamw_weight_decay", AdamWConfig { weight_decay: 0.3, ..config });
}

#[test]
fn rms_prop() {
    let config = RmsPropConfig::new(0.01);
    check("rms_prop", config);
    check("rms_prop_alpha_eps", RmsPropConfig { alpha: 0.9, eps: 1e-2, ..config });
    check("rms_prop_momentum", RmsPropConfig { momentum: 0.9, ..config });
    check("rms_prop_centered", RmsPropConfig { centered: true, ..config });
    check("rms_prop_all", RmsPropConfig { centered: true, momentum: 0.5, weight_decay: 0.1, ..config });
}

#[test]
fn sgd() {
    let config = SgdConfig::new(0.1);
    check("sgd", config);
    check("sgd_momentum", SgdConfig { momentum: 0.9, ..config });
    check("sgd_nesterov", SgdConfig { momentum: 0.9, nesterov: true, ..config });
    check("sgd_all", SgdConfig { momentum: 0.5, nesterov: true, weight_decay: 0.2, ..config });
}

#[test]
fn centered_rms_prop_stays_finite_under_a_constant_gradient() -> Result<()> {
    let var = Var::new(&[0f32; 64], &Device::Cpu)?;
    let config = RmsPropConfig { centered: true, alpha: 0.9, ..RmsPropConfig::new(1e-6) };
    let mut optimizer = RmsProp::new(vec![("x".into(), var.clone())], config)?;
    let slopes = Tensor::arange(1f32, 65., &Device::Cpu)?;
    for _ in 0..500 {
        optimizer.step(&(var.as_tensor() * (&slopes * 0.1)?)?.sum_all()?.backward()?)?;
    }
    assert!(var.to_vec1::<f32>()?.iter().all(|x| x.is_finite()));
    Ok(())
}

/// Bits of 100,001 numbers after three steps of parameters of at most `piece` elements.
fn moved<R: Rule + Copy>(config: R, piece: usize, threads: usize) -> Result<Vec<u32>> {
    let n = 100_001;
    let values: Vec<f32> = crate::Rng::new(0).normals(n);
    let slopes: Vec<f32> = crate::Rng::new(1).normals(n);
    let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().expect("a pool");
    let named = |(i, values): (usize, &[f32])| -> Result<(String, Var)> {
        Ok((i.to_string(), Var::from_slice(values, values.len(), &Device::Cpu)?))
    };
    let vars = values.chunks(piece).enumerate().map(named).collect::<Result<Vec<_>>>()?;
    let mut optimizer = Stepper::new(vars.clone(), config)?;
    for _ in 0..3 {
        let mut loss = Tensor::new(0f32, &Device::Cpu)?;
        for ((_, var), slopes) in vars.iter().zip(slopes.chunks(piece)) {
            let slopes = Tensor::from_slice(slopes, slopes.len(), &Device::Cpu)?;
            loss = (loss + (var.as_tensor() * slopes)?.sum_all()?)?;
        }
        let grads = loss.backward()?;
        pool.install(|| optimizer.step(&grads))?;
    }
    let mut bits = Vec::new();
    for (_, var) in vars {
        bits.extend(var.to_vec1::<f32>()?.into_iter().map(f32::to_bits));
    }
    Ok(bits)
}

#[test]
fn a_large_parameter_moves_as_its_pieces_on_any_number_of_threads() -> Result<()> {
    fn check<R: Rule + Copy>(config: R) -> Result<()> {
        let whole = moved(config, 100_001, 5)?;
        assert_eq!(whole, moved(config, 100_001, 1)?);
        assert_eq!(whole, moved(config, 9_000, 1)?);
        Ok(())
    }
    check(AdamConfig::new(0.01))?;
    check(RmsPropConfig { momentum: 0.9, ..RmsPropConfig::new(0.01) })?;
    check(SgdConfig::new(0.01))
}

#[test]
fn the_norm_is_the_same_on_any_number_of_threads() -> Result<()> {
    let n = 100_001;
    let slopes = Tensor::from_vec(crate::Rng::new(1).normals(n), n, &Device::Cpu)?;
    let norm = |threads: usize| -> Result<u64> {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().expect("a pool");
        let var = Var::zeros(n, DType::F32, &Device::Cpu)?;
        let mut grads = (var.as_tensor() * &slopes)?.sum_all()?.backward()?;
        let norm = pool.install(|| clip_grad_norm(&mut grads, &[("x".into(), var)], 1.0))?;
        Ok(norm.to_bits())
    };
    assert_eq!(norm(1)?, norm(5)?);
    Ok(())
}

#[test]
fn schedules() {
    let fixture = fixture();
    let check = |name: &str, schedule: &Schedule| {
        schedule.validate().expect(name);
        let found: Vec<f64> = (0..13).map(|step| schedule.multiplier(step)).collect();
        assert_close(&found, &numbers(&fixture["schedules"][name]), 1e-14, name);
    };
    check("linear", &Schedule::Linear { steps: 8, last: 0.25 });
    check("cosine", &Schedule::Cosine { steps: 12, last: 0.0 });
    check("cosine_last", &Schedule::Cosine { steps: 12, last: 0.1 });
    let then = Box::new(Schedule::Cosine { steps: 8, last: 0.0 });
    check("warm_up", &Schedule::WarmUp { steps: 4, first: 0.2, then });
    assert_eq!(Schedule::Constant {}.multiplier(7), 1.0);
    assert_eq!(Schedule::Cosine { steps: 12, last: 0.1 }.multiplier(40), 0.1);
}

#[test]
fn a_schedule_is_read_from_a_file() {
    let read = |text: &str| serde_json::from_str::<Schedule>(text).map_err(|e| e.to_string());
    let nested = r#"{"kind":"warm_up","steps":4,"first":0.2,"then":{"kind":"cosine","steps":8}}"#;
    let then = Box::new(Schedule::Cosine { steps: 8, last: 0.0 });
    assert_eq!(read(nested), Ok(Schedule::WarmUp { steps: 4, first: 0.2, then }));
    assert_eq!(read(r#"{"kind":"constant"}"#), Ok(Schedule::Constant {}));
    for wrong in [
        r#"{"kind":"constant","steps":3}"#,
        r#"{"kind":"linear"}"#,
        r#"{"kind":"cosine","steps":3,"final":0.1}"#,
        r#"{"kind":"step","steps":3}"#,
    ] {
        assert!(read(wrong).is_err(), "{wrong}");
    }
}

/// The message with which a configuration is refused.
#[track_caller]
fn check_refused(validated: Result<()>, message: &str) {
    assert_eq!(validated.expect_err(message).to_string(), message);
}

#[test]
fn numbers_that_cannot_work_are_refused() {
    let adam = AdamConfig::new(1e-3);
    let with = |change: fn(&mut AdamConfig)| {
        let mut config = adam;
        change(&mut config);
        Adam::new(vec![], config).map(|_| ())
    };
    check_refused(
        with(|c| c.learning_rate = 0.0),
        "config field `learning_rate`: 0 is not a positive number",
    );
    check_refused(
        with(|c| c.learning_rate = f64::NAN),
        "config field `learning_rate`: NaN is not a positive number",
    );
    check_refused(with(|c| c.beta1 = 1.0), "config field `beta1`: 1 is not in [0, 1)");
    check_refused(with(|c| c.beta2 = -0.1), "config field `beta2`: -0.1 is not in [0, 1)");
    check_refused(with(|c| c.eps = -1.0), "config field `eps`: -1 is not a positive number");
    check_refused(
        with(|c| c.weight_decay = -1.0),
        "config field `weight_decay`: -1 is neither zero nor a positive number",
    );
    check_refused(
        SgdConfig { nesterov: true, ..SgdConfig::new(0.1) }.validate(),
        "config field `nesterov`: it needs a momentum above 0, found 0",
    );
    check_refused(
        RmsPropConfig { alpha: 1.5, ..RmsPropConfig::new(0.1) }.validate(),
        "config field `alpha`: 1.5 is not in [0, 1)",
    );
    check_refused(
        Schedule::Cosine { steps: 0, last: 0.0 }.validate(),
        "config field `steps`: 0 is too few, at least 1 is needed",
    );
    check_refused(Ema::new(&[], 1.0).map(|_| ()), "config field `decay`: 1 is not in [0, 1)");
    let unknown = r#"{"learning_rate":0.1,"beta1":0.9,"beta2":0.9,"eps":1e-8,"amsgrad":true}"#;
    assert!(serde_json::from_str::<AdamConfig>(unknown).is_err());
}
