//! Results and first derivatives against PyTorch in f64, and in f32 within its rounding.
//!
//! The fixture is written by `tests/fixtures/kernels/ops.py`.

mod report;

use candle_core::{DType, Device, Result, Tensor, Var};
use flicker_kernels::*;
use report::{Order, note};
use std::collections::HashMap;

const ACTIVATIONS: [(&str, Activation); 6] = [
    ("none", Activation::None),
    ("relu", Activation::Relu),
    ("leaky", Activation::LeakyRelu(0.2)),
    ("silu", Activation::Silu),
    ("tanh", Activation::Tanh),
    ("sigmoid", Activation::Sigmoid),
];

struct Fixture {
    tensors: HashMap<String, Tensor>,
    dtype: DType,
}

impl Fixture {
    fn load(dtype: DType) -> Result<Self> {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/fixtures/kernels/ops.safetensors");
        Ok(Self { tensors: candle_core::safetensors::load(path, &Device::Cpu)?, dtype })
    }

    fn get(&self, name: &str) -> Result<Tensor> {
        self.tensors[name].to_dtype(self.dtype)
    }

    fn var(&self, name: &str) -> Result<Var> {
        Var::from_tensor(&self.get(name)?)
    }

    /// Result and gradients of `f` by each input against the fixture's, the inputs being laid out in every way.
    #[track_caller]
    fn check(&self, case: &str, inputs: &[&str], f: impl Fn(&[Tensor]) -> Result<Tensor>) {
        for layout in [Layout::Plain, Layout::Offset, Layout::Strided] {
            if let Err(e) = self.check_layout(case, inputs, layout, &f) {
                panic!("{case}: {e}");
            }
        }
    }

    #[track_caller]
    fn check_layout(
        &self,
        case: &str,
        inputs: &[&str],
        layout: Layout,
        f: impl Fn(&[Tensor]) -> Result<Tensor>,
    ) -> Result<()> {
        let vars = inputs.iter().map(|i| self.var(&format!("{case}.{i}"))).collect::<Result<Vec<_>>>()?;
        let args = vars.iter().map(|v| layout.of(v)).collect::<Result<Vec<_>>>()?;
        let y = f(&args)?;
        let operator = operator(case);
        self.close(&operator, Order::Result, &format!("{case}.y"), &y)?;
        let g = self.get(&format!("{case}.g"))?;
        let grads = (&y * layout.of(&g)?)?.sum_all()?.backward()?;
        for (name, var) in inputs.iter().zip(&vars) {
            let d = grads.get(var).unwrap_or_else(|| panic!("{case}: no gradient by {name}"));
            self.close(&operator, Order::First, &format!("{case}.d{name}"), d)?;
        }
        Ok(())
    }

    #[track_caller]
    fn close(&self, operator: &str, order: Order, name: &str, got: &Tensor) -> Result<()> {
        let want = &self.tensors[name];
        assert_eq!(got.dims(), want.dims(), "{name}");
        let off = (got.to_dtype(DType::F64)? - want)?.abs()?.flatten_all()?;
        let size = want.abs()?.max_all()?.to_scalar::<f64>()?;
        let worst = off.max(0)?.to_scalar::<f64>()?;
        let tolerance = match self.dtype {
            DType::F64 => 1e-11,
            DType::F32 => 1e-5,
            _ => 0.02,
        };
        note(operator, order, &self.way()?, worst / (1.0 + size), tolerance);
        assert!(worst <= tolerance * (1.0 + size), "{name} in {:?}: off by {worst}, of {size}", self.dtype);
        Ok(())
    }

    /// Which code computes, in which type of number.
    fn way(&self) -> Result<String> {
        let kernels = has_kernels(&Tensor::zeros(1, self.dtype, &Device::Cpu)?);
        let code = if kernels { "kernels" } else { "compositions" };
        Ok(format!("{code}, {}", self.dtype.as_str()))
    }
}

/// The operator of a case of the fixture.
fn operator(case: &str) -> String {
    const NAMES: [(&str, &str); 12] = [
        ("bneval", "batch norm, evaluation"),
        ("bn", "batch norm, training"),
        ("gn", "group norm"),
        ("ln", "layer norm"),
        ("linear", "linear"),
        ("bias", "bias"),
        ("max", "max pooling"),
        ("avg", "average pooling"),
        ("nearest", "nearest upsampling"),
        ("bilinear", "bilinear resizing"),
        ("softmax", "softmax"),
        ("attention", "attention"),
    ];
    match (case.strip_prefix("act."), NAMES.iter().find(|(start, _)| case.starts_with(start))) {
        (Some(activation), _) => format!("activation {activation}"),
        (None, Some((_, name))) => (*name).to_string(),
        (None, None) => panic!("{case}: no operator of this name"),
    }
}

/// How an argument lies in memory.
#[derive(Clone, Copy, Debug)]
enum Layout {
    Plain,
    /// In the middle of a larger tensor.
    Offset,
    /// Transposed there and back.
    Strided,
}

impl Layout {
    fn of(self, t: &Tensor) -> Result<Tensor> {
        match self {
            Self::Plain => Ok(t.clone()),
            Self::Offset => {
                let (zeros, n) = (t.zeros_like()?, t.dims()[0]);
                Tensor::cat(&[&zeros, t, &zeros], 0)?.narrow(0, n, n)
            }
            Self::Strided if t.rank() < 2 => Ok(t.clone()),
            Self::Strided => t.transpose(0, t.rank() - 1)?.contiguous()?.transpose(0, t.rank() - 1),
        }
    }
}

/// Runs a test in both element types of the kernels, through the kernels and through the compositions of candle's
/// operators that other devices get, and in f16, which has no kernels.
fn both(test: impl Fn(&Fixture) -> Result<()>) -> Result<()> {
    all_ways(DType::F16, test)
}

/// The same with bf16 for f16, where a step's small constants would be 0.
fn optimizers(test: impl Fn(&Fixture) -> Result<()>) -> Result<()> {
    all_ways(DType::BF16, test)
}

fn all_ways(half: DType, test: impl Fn(&Fixture) -> Result<()>) -> Result<()> {
    for dtype in [DType::F64, DType::F32] {
        let fixture = Fixture::load(dtype)?;
        test(&fixture)?;
        with_compositions(|| test(&fixture))?;
    }
    test(&Fixture::load(half)?)
}

#[test]
fn activations() -> Result<()> {
    both(|f| {
        for (name, act) in ACTIVATIONS {
            f.check(&format!("act.{name}"), &["x"], |t| activate(&t[0], act));
        }
        Ok(())
    })
}

#[test]
fn batch_norm() -> Result<()> {
    both(|f| {
        for (name, act) in ACTIVATIONS {
            for case in [format!("bn2d.{name}"), format!("bn4d.{name}")] {
                f.check(&case, &["x", "w", "b"], |t| {
                    let (mean, var) = (f.var(&format!("{case}.mean"))?, f.var(&format!("{case}.var"))?);
                    let y = batch_norm_train(&t[0], &t[1], &t[2], &mean, &var, 0.2, 1e-3, act)?;
                    f.close("batch norm, training", Order::Result, &format!("{case}.mean1"), &mean)?;
                    f.close("batch norm, training", Order::Result, &format!("{case}.var1"), &var)?;
                    Ok(y)
                });
            }
            for case in [format!("bneval2d.{name}"), format!("bneval4d.{name}")] {
                f.check(&case, &["x", "w", "b"], |t| {
                    let (mean, var) = (f.get(&format!("{case}.mean"))?, f.get(&format!("{case}.var"))?);
                    batch_norm_eval(&t[0], &t[1], &t[2], &mean, &var, 1e-3, act)
                });
            }
        }
        Ok(())
    })
}

#[test]
fn group_and_layer_norm() -> Result<()> {
    both(|f| {
        for (name, act) in ACTIVATIONS {
            for groups in if name == "none" { vec![1, 2, 4] } else { vec![2] } {
                f.check(&format!("gn{groups}.{name}"), &["x", "w", "b"], |t| {
                    group_norm(&t[0], &t[1], &t[2], groups, 1e-5, act)
                });
            }
            for case in [format!("ln.chw.{name}"), format!("ln.last.{name}")] {
                f.check(&case, &["x", "w", "b"], |t| layer_norm(&t[0], &t[1], &t[2], 1e-5, act));
            }
        }
        Ok(())
    })
}

#[test]
fn linear_maps() -> Result<()> {
    both(|f| {
        for (name, act) in ACTIVATIONS {
            f.check(&format!("linear.{name}"), &["x", "w", "b"], |t| linear(&t[0], &t[1], Some(&t[2]), act));
            f.check(&format!("bias.{name}"), &["x", "b"], |t| bias_add(&t[0], &t[1], act));
        }
        f.check("linear3", &["x", "w"], |t| linear(&t[0], &t[1], None, Activation::None));
        Ok(())
    })
}

#[test]
fn pooling() -> Result<()> {
    let windows = [
        ("a", Window { kernel: (2, 2), stride: (2, 2), padding: (0, 0) }),
        ("b", Window { kernel: (3, 3), stride: (2, 2), padding: (1, 1) }),
        ("c", Window { kernel: (3, 2), stride: (1, 3), padding: (1, 0) }),
        ("d", Window { kernel: (2, 2), stride: (3, 3), padding: (0, 0) }),
    ];
    both(|f| {
        for (name, window) in windows {
            f.check(&format!("max.{name}"), &["x"], |t| max_pool2d(&t[0], window));
            f.check(&format!("avg.{name}"), &["x"], |t| avg_pool2d(&t[0], window));
        }
        Ok(())
    })
}

#[test]
fn upsampling() -> Result<()> {
    both(|f| {
        for factor in 1..=3 {
            f.check(&format!("nearest.{factor}"), &["x"], |t| upsample_nearest2d(&t[0], factor));
        }
        for (name, h, w) in [("up", 6, 8), ("odd", 7, 5), ("same", 3, 4), ("down", 2, 3), ("one", 1, 1)] {
            f.check(&format!("bilinear.{name}"), &["x"], |t| upsample_bilinear2d(&t[0], h, w));
        }
        Ok(())
    })
}

#[test]
fn softmax_and_attention() -> Result<()> {
    both(|f| {
        f.check("softmax", &["x"], |t| softmax_last(&t[0]));
        f.check("attention", &["query", "key", "value"], |t| attention(&t[0], &t[1], &t[2]));
        Ok(())
    })
}

/// Four steps from the fixture's start, each compared; `step` gets the parameter, the gradient and the step's number.
fn descend(
    f: &Fixture,
    operator: &str,
    name: &str,
    step: impl Fn(&Var, &Tensor, usize) -> Result<()>,
) -> Result<()> {
    let p = f.var(&format!("{name}.p"))?;
    let (grads, after) = (f.get(&format!("{name}.grads"))?, f.tensors[&format!("{name}.after")].clone());
    for i in 0..4 {
        step(&p, &grads.get(i)?, i + 1)?;
        let off = (p.to_dtype(DType::F64)? - after.get(i)?)?.abs()?.max(0)?.to_scalar::<f64>()?;
        let tolerance = match f.dtype {
            DType::F64 => 1e-13,
            DType::F32 => 2e-6,
            _ => 0.05,
        };
        note(operator, Order::Result, &f.way()?, off, tolerance);
        assert!(off < tolerance, "{name}, step {}: off by {off}", i + 1);
    }
    Ok(())
}

#[test]
fn adam() -> Result<()> {
    let decays = [
        ("adam.plain", WeightDecay::None),
        ("adam.l2", WeightDecay::L2(0.1)),
        ("adam.decoupled", WeightDecay::Decoupled(0.1)),
    ];
    optimizers(|f| {
        for (name, weight_decay) in decays {
            let zeros = || Var::zeros(37, f.dtype, &Device::Cpu);
            let (m, v) = (zeros()?, zeros()?);
            descend(f, "step of Adam", name, |p, g, step| {
                let s = AdamStep { lr: 0.01, beta1: 0.5, beta2: 0.99, eps: 1e-8, weight_decay, step };
                adam_step(p, g, &m, &v, &s)
            })?;
            f.close("step of Adam", Order::Result, &format!("{name}.exp_avg"), &m)?;
            f.close("step of Adam", Order::Result, &format!("{name}.exp_avg_sq"), &v)?;
        }
        Ok(())
    })
}

#[test]
fn rmsprop_and_sgd() -> Result<()> {
    optimizers(|f| {
        for (name, weight_decay) in
            [("rmsprop.plain", WeightDecay::None), ("rmsprop.l2", WeightDecay::L2(0.1))]
        {
            let v = Var::zeros(37, f.dtype, &Device::Cpu)?;
            let s = RmsPropStep { lr: 0.01, alpha: 0.9, eps: 1e-8, momentum: 0.0, weight_decay };
            let state = RmsPropState { square_mean: &v, mean: None, change: None };
            descend(f, "step of RMSProp", name, |p, g, _| rmsprop_step(p, g, state, &s))?;
            f.close("step of RMSProp", Order::Result, &format!("{name}.square_avg"), &v)?;
        }
        let l2 = WeightDecay::L2(0.1);
        for (name, momentum, nesterov, weight_decay) in [
            ("sgd.plain", 0.0, false, WeightDecay::None),
            ("sgd.momentum", 0.9, false, l2),
            ("sgd.nesterov", 0.9, true, l2),
        ] {
            let velocity = Var::zeros(37, f.dtype, &Device::Cpu)?;
            let velocity = (momentum > 0.0).then_some(&velocity);
            let s = SgdStep { lr: 0.01, momentum, nesterov, weight_decay };
            descend(f, "step of SGD", name, |p, g, _| sgd_step(p, g, velocity, &s))?;
        }
        Ok(())
    })
}

#[test]
fn moving_average() -> Result<()> {
    optimizers(|f| {
        let (average, p) = (f.var("adam.plain.p")?, f.get("adam.l2.p")?);
        let want = ((f.get("adam.plain.p")? * 0.9)? + (&p * 0.1)?)?;
        ema_step(&average, &p, 0.9)?;
        let off = (average.as_tensor() - want)?.abs()?.max(0)?.to_dtype(DType::F64)?.to_scalar::<f64>()?;
        assert!(off < if f.dtype == DType::BF16 { 2e-2 } else { 1e-6 }, "off by {off}");
        Ok(())
    })
}
