//! One quick experiment of every family, on one thread and on two: the same scores and the same weights, to the last byte.

use crate::programs::{bytes, root, run, temporary};

#[test]
fn every_family_gives_the_same_bytes_on_any_number_of_threads() {
    let dir = temporary();
    let listed = run("flicker", dir.path(), &["models", "--json"]);
    let listed: serde_json::Value = serde_json::from_slice(&listed.stdout).expect("JSON");
    let models = listed["models"].as_array().expect("a list");
    for model in models {
        let (name, default) =
            (model["name"].as_str().expect("a name"), model["default"].as_str().expect("a name"));
        let experiment = root().join(format!("experiments/{default}.toml"));
        let experiment = experiment.to_str().expect("a path in UTF-8");
        for threads in ["1", "2"] {
            let out = format!("{name}-{threads}");
            let output = run(
                "flicker",
                dir.path(),
                &["train", experiment, "--quick", "--quiet", "--threads", threads, "--out", &out],
            );
            assert!(output.status.success(), "{default}:\n{}", String::from_utf8_lossy(&output.stderr));
        }
        for file in ["scores.csv", "weights.safetensors", "calibration.json"] {
            let of = |threads| bytes(dir.path().join(format!("{name}-{threads}")).join(file));
            assert!(of(1) == of(2), "{default}: {file} on one thread and on two");
        }
    }
    assert!(models.len() >= 8, "{}", models.len());
}
