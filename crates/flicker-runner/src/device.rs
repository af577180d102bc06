//! The device, by name.

use crate::Failure;
use candle_core::Device;
use candle_core::utils::{cuda_is_available, metal_is_available};

/// The device called `cpu`, `cuda`, `cuda:N`, `metal` or `metal:N`.
///
/// # Errors
/// [`Failure::Usage`] if there is no such name, or the program was built without the feature; [`Failure::Failed`] if the
/// machine has no such device.
pub fn device(name: &str) -> Result<Device, Failure> {
    if name == "cpu" {
        return Ok(Device::Cpu);
    }
    let (kind, index) = name.split_once(':').unwrap_or((name, "0"));
    let index: usize = index.parse().map_err(|_| {
        Failure::usage(format!("--device {name}: expected a number after the colon, found `{index}`"))
    })?;
    let opened = match kind {
        "cuda" if cuda_is_available() => Device::new_cuda(index),
        "metal" if metal_is_available() => Device::new_metal(index),
        "cuda" | "metal" => {
            let problem = format!("this program was built without {kind}; build it with `--features {kind}`");
            return Err(Failure::usage(format!("--device {name}: {problem}")));
        }
        _ => {
            return Err(Failure::usage(format!(
                "--device {name}: expected cpu, cuda, cuda:N, metal or metal:N"
            )));
        }
    };
    opened.map_err(|error| {
        let text = error.to_string();
        Failure::Failed(format!("--device {name}: {}", text.lines().next().unwrap_or_default()))
    })
}

/// Gives rayon's pool, the only threads that compute, its size.
pub(crate) fn use_threads(threads: Option<usize>) -> Result<usize, Failure> {
    if threads == Some(0) {
        return Err(Failure::usage("--threads 0: expected at least 1"));
    }
    if let Some(n) = threads {
        rayon::ThreadPoolBuilder::new()
            .num_threads(n)
            .build_global()
            .map_err(|error| Failure::Failed(format!("--threads {n}: {error}")))?;
    }
    Ok(rayon::current_num_threads())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(name: &str, message: &str) {
        let failure = device(name).expect_err("no such device");
        assert_eq!(failure.to_string(), message);
        assert!(matches!(failure, Failure::Usage(_)));
    }

    #[test]
    fn an_unknown_device_is_named() {
        assert!(device("cpu").is_ok());
        check("tpu", "--device tpu: expected cpu, cuda, cuda:N, metal or metal:N");
        check("cpu:0", "--device cpu:0: expected cpu, cuda, cuda:N, metal or metal:N");
        for (name, index) in [("cuda:x", "x"), ("cuda:", ""), ("metal:-1", "-1"), ("cuda:0:1", "0:1")] {
            check(name, &format!("--device {name}: expected a number after the colon, found `{index}`"));
        }
    }

    #[test]
    fn a_device_that_is_not_compiled_in_is_told_from_one_that_is_not_there() {
        for name in ["cuda", "cuda:0", "cuda:99", "metal", "metal:99"] {
            let kind = &name[..name.find(':').unwrap_or(name.len())];
            let compiled = if kind == "cuda" { cuda_is_available() } else { metal_is_available() };
            if !compiled {
                let problem =
                    format!("this program was built without {kind}; build it with `--features {kind}`");
                check(name, &format!("--device {name}: {problem}"));
            } else if name.ends_with("99") {
                let failure = device(name).expect_err("no machine has a hundred");
                assert!(matches!(failure, Failure::Failed(_)), "{failure:?}");
                assert!(failure.to_string().starts_with(&format!("--device {name}: ")), "{failure}");
            }
        }
    }
}
