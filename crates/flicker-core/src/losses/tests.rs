//! Losses and their gradients against PyTorch's and scikit-image's (`tests/fixtures/losses`, with its maker).

use super::*;
use candle_core::{Device, Var};
use serde_json::Value;

fn fixture() -> Value {
    serde_json::from_str(include_str!("../../tests/fixtures/losses/losses.json"))
        .expect("the fixture is JSON")
}

fn numbers(value: &Value) -> Vec<f64> {
    value.as_array().expect("an array").iter().map(|x| x.as_f64().expect("a number")).collect()
}

fn inputs(case: &Value, dtype: DType) -> Result<Vec<Var>> {
    let mut vars = Vec::new();
    for (values, dims) in case["inputs"].as_array().into_iter().zip(case["dims"].as_array()) {
        for (values, dims) in values.iter().zip(dims) {
            let dims: Vec<usize> = numbers(dims).into_iter().map(|n| n as usize).collect();
            let tensor = Tensor::from_vec(numbers(values), dims, &Device::Cpu)?.to_dtype(dtype)?;
            vars.push(Var::from_tensor(&tensor)?);
        }
    }
    Ok(vars)
}

#[track_caller]
fn assert_close(found: &Tensor, expected: &[f64], tolerance: f64, what: &str) {
    let found = found.flatten_all().and_then(|x| x.to_dtype(DType::F64)?.to_vec1::<f64>()).expect(what);
    assert_eq!(found.len(), expected.len(), "{what}");
    for (i, (a, b)) in found.iter().zip(expected).enumerate() {
        assert!(
            (a - b).abs() <= tolerance * b.abs().max(1.0),
            "{what}, element {i}: expected {b}, found {a}"
        );
    }
}

type Loss<'a> = &'a dyn Fn(&[Tensor]) -> Result<Tensor>;

/// The mean, its gradients and the values by sample, in f64 and f32.
#[track_caller]
fn check(name: &str, mean: Loss<'_>, per_sample: Loss<'_>) {
    let case = &fixture()[name];
    for (dtype, tolerance) in [(DType::F64, 1e-11), (DType::F32, 2e-6)] {
        let vars = inputs(case, dtype).expect(name);
        assert!(!vars.is_empty());
        let tensors: Vec<Tensor> = vars.iter().map(|var| var.as_tensor().clone()).collect();
        let loss = mean(&tensors).expect(name);
        assert_eq!(loss.rank(), 0);
        assert_close(&loss, &[case["mean"].as_f64().expect(name)], tolerance, name);
        let grads = loss.backward().expect(name);
        for (i, var) in vars.iter().enumerate() {
            let grad = grads.get(var).expect("a gradient");
            assert_close(grad, &numbers(&case["grads"][i]), tolerance, &format!("{name}, gradient {i}"));
        }
        assert_close(&per_sample(&tensors).expect(name), &numbers(&case["per_sample"]), tolerance, name);
    }
}

#[test]
fn errors_of_reconstruction() {
    check("mse", &|x| mse(&x[0], &x[1]), &|x| mse_per_sample(&x[0], &x[1]));
    check("l1", &|x| l1(&x[0], &x[1]), &|x| l1_per_sample(&x[0], &x[1]));
}

#[test]
fn binary_cross_entropy_up_to_huge_logits() {
    check("bce", &|x| bce_with_logits(&x[0], &x[1]), &|x| bce_with_logits_per_sample(&x[0], &x[1]));
}

#[test]
fn cross_entropy_with_and_without_weights() -> Result<()> {
    for name in ["cross_entropy", "cross_entropy_weighted"] {
        let case = &fixture()[name];
        let labels: Vec<u32> = numbers(&case["labels"]).into_iter().map(|label| label as u32).collect();
        let labels = Tensor::new(labels, &Device::Cpu)?;
        let weights = |like: &Tensor| match &case["weights"] {
            Value::Null => None,
            weights => {
                let weights = Tensor::new(numbers(weights), &Device::Cpu);
                Some(weights.and_then(|w| w.to_dtype(like.dtype())).expect(name))
            }
        };
        check(name, &|x| cross_entropy(&x[0], &labels, weights(&x[0]).as_ref()), &|x| {
            cross_entropy_per_sample(&x[0], &labels, weights(&x[0]).as_ref())
        });
    }
    Ok(())
}

#[test]
fn structural_similarity() -> Result<()> {
    check("ssim", &|x| ssim(&x[0], &x[1], 2.0), &|x| ssim_per_sample(&x[0], &x[1], 2.0));
    let case = &fixture()["ssim"];
    let images = inputs(case, DType::F64)?;
    let map = ssim_map(&images[0], &images[1], 2.0)?;
    assert_eq!(map.dims(), [2, 2, 3, 2]);
    assert_close(&map, &numbers(&case["map"]), 1e-11, "map");
    assert_close(&ssim(&images[0], &images[0], 2.0)?, &[0.0], 1e-12, "equal images");
    Ok(())
}

#[test]
fn divergence_of_gaussians() {
    check("kl", &|x| gaussian_kl(&x[0], &x[1]), &|x| gaussian_kl_per_sample(&x[0], &x[1]));
}

#[track_caller]
fn check_refused(loss: Result<Tensor>, message: &str) {
    assert_eq!(loss.expect_err(message).to_string().lines().next(), Some(message));
}

#[test]
fn what_does_not_fit_is_refused() -> Result<()> {
    let zeros = |dims: &[usize]| Tensor::zeros(dims, DType::F32, &Device::Cpu);
    check_refused(mse(&zeros(&[2, 3])?, &zeros(&[2, 1])?), "mse: expected [2, 3], found [2, 1] of F32");
    check_refused(l1(&zeros(&[2])?, &zeros(&[2, 1])?), "l1: expected [2], found [2, 1] of F32");
    let labels = Tensor::new(&[0u32, 3], &Device::Cpu)?;
    check_refused(
        cross_entropy(&zeros(&[2, 3])?, &labels, None),
        "labels: row 1: expected a class below 3, found 3",
    );
    check_refused(
        cross_entropy(&zeros(&[2, 3])?, &zeros(&[2])?, None),
        "labels: expected (2) of U32, found [2] of F32",
    );
    check_refused(
        cross_entropy(&zeros(&[2, 4])?, &labels, Some(&zeros(&[3])?)),
        "class weights: expected (4), found [3] of F32",
    );
    let small = zeros(&[1, 1, 10, 20])?;
    check_refused(
        ssim(&small, &small, 1.0),
        "ssim: expected (B, C, H, W) with H and W at least 11, found [1, 1, 10, 20] of F32",
    );
    let image = zeros(&[1, 1, 11, 11])?;
    check_refused(ssim(&image, &image, 0.0), "config field `data_range`: 0 is not a positive number");
    Ok(())
}

#[test]
fn a_sample_has_its_loss_in_any_batch() -> Result<()> {
    let mut rng = crate::Rng::new(0);
    let (x, y) = (rng.randn((5, 1, 16, 16), &Device::Cpu)?, rng.randn((5, 1, 16, 16), &Device::Cpu)?);
    let losses: [fn(&Tensor, &Tensor) -> Result<Tensor>; 4] =
        [mse_per_sample, l1_per_sample, bce_with_logits_per_sample, |x, y| ssim_per_sample(x, y, 1.0)];
    for loss in losses {
        let all = loss(&x, &y)?.to_vec1::<f32>()?;
        let alone = loss(&x.narrow(0, 3, 1)?, &y.narrow(0, 3, 1)?)?.to_vec1::<f32>()?;
        assert!((all[3] - alone[0]).abs() <= 1e-6 * alone[0].abs(), "{} and {}", all[3], alone[0]);
    }
    Ok(())
}
