//! What moves parameters without gradients of its own: optimizers, averages, clipping.

use crate::compare::{Kind, Precision, Row, error, largest};
use candle_core::{Device, Tensor, Var};
use flicker_core::optim::{
    Adam, AdamConfig, AdamW, AdamWConfig, Ema, Optimizer, RmsProp, RmsPropConfig, Sgd, SgdConfig,
    clip_grad_norm,
};
use flicker_core::{Result, Rng};

type Vars = Vec<(String, Var)>;
/// Makes an optimizer of some variables.
type Make = fn(Vars) -> Result<Box<dyn Optimizer>>;

/// Steps after which parameters are compared.
const STEPS: u64 = 5;

/// Checks each.
pub(crate) fn check(precision: &Precision) -> anyhow::Result<Vec<Row>> {
    let optimizers: [(&str, Make); 4] = [
        ("Adam", |vars| {
            Ok(Box::new(Adam::new(vars, AdamConfig { weight_decay: 0.1, ..AdamConfig::new(0.01) })?))
        }),
        ("AdamW", |vars| {
            Ok(Box::new(AdamW::new(vars, AdamWConfig { weight_decay: 0.1, ..AdamWConfig::new(0.01) })?))
        }),
        ("RMSProp, centred, momentum", |vars| {
            let config = RmsPropConfig { centered: true, momentum: 0.9, ..RmsPropConfig::new(0.01) };
            Ok(Box::new(RmsProp::new(vars, config)?))
        }),
        ("SGD, Nesterov", |vars| {
            Ok(Box::new(Sgd::new(vars, SgdConfig { momentum: 0.9, nesterov: true, ..SgdConfig::new(0.1) })?))
        }),
    ];
    let mut rows = Vec::new();
    for (name, make) in optimizers {
        rows.push(row(precision, name, |device| {
            let vars = vars(device)?;
            let mut optimizer = make(vars.clone())?;
            for step in 0..STEPS {
                optimizer.step(&loss(&vars, step)?.backward()?)?;
            }
            let mut found = values(&vars);
            // In the order of the names, so that both sides agree.
            found.extend(optimizer.state()?.values().cloned());
            Ok(found)
        })?);
    }
    rows.push(row(precision, "moving average", |device| {
        let vars = vars(device)?;
        let mut average = Ema::new(&vars, 0.9)?;
        for step in 0..STEPS {
            for (_, var) in &vars {
                var.set(&(var.as_tensor() + drawn(var, step)?)?.detach())?;
            }
            average.update()?;
        }
        average.swap()?;
        Ok(values(&vars))
    })?);
    rows.push(row(precision, "gradient clipping", |device| {
        let vars = vars(device)?;
        let mut grads = loss(&vars, 0)?.backward()?;
        let norm = clip_grad_norm(&mut grads, &vars, 1.0)?;
        let mut found = vec![Tensor::new(norm, &Device::Cpu)?];
        found.extend(vars.iter().filter_map(|(_, var)| grads.get(var.as_tensor()).cloned()));
        Ok(found)
    })?);
    Ok(rows)
}

/// The largest error of what `run` gives on the device.
fn row(precision: &Precision, name: &str, run: impl Fn(&Device) -> Result<Vec<Tensor>>) -> Result<Row> {
    let reference = run(&Device::Cpu)?;
    let found = precision.on_device(|| run(&precision.device))?;
    let mut result = if reference.len() == found.len() { 0.0 } else { f64::INFINITY };
    for (reference, found) in reference.iter().zip(&found) {
        result = largest(result, error(reference, found)?);
    }
    Ok(Row { name: name.to_string(), result, gradient: None, allowed: precision.allowed(Kind::Sum) })
}

fn vars(device: &Device) -> Result<Vars> {
    let rng = Rng::new(1);
    let var = |(name, dims): (&str, &[usize])| -> Result<(String, Var)> {
        Ok((name.to_string(), Var::from_tensor(&rng.fork(name).randn(dims, device)?)?))
    };
    [("bias", &[300][..]), ("weight", &[300, 200][..])].into_iter().map(var).collect()
}

/// Numbers in the shape of `var`, others at each step.
fn drawn(var: &Var, step: u64) -> Result<Tensor> {
    Rng::new(2).fork_index(step).randn(var.shape(), var.device())
}

/// A loss whose gradients are `drawn`.
fn loss(vars: &Vars, step: u64) -> Result<Tensor> {
    let mut sum = Tensor::new(0f32, vars[0].1.device())?;
    for (_, var) in vars {
        sum = (sum + (var.as_tensor() * drawn(var, step)?)?.sum_all()?)?;
    }
    Ok(sum)
}

fn values(vars: &Vars) -> Vec<Tensor> {
    vars.iter().map(|(_, var)| var.as_detached_tensor()).collect()
}
