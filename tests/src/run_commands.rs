//! `flicker` on run folders, from the outside: verify, drift, compare, maps, thresholds.

use crate::one_program::{flicker, json_of, rows, trained};
use crate::programs::{bytes, check_refused, run, temporary};
use std::fs;
use std::path::Path;

#[track_caller]
fn check(dir: &Path, arguments: &[&str], code: i32, message: &str) {
    check_refused(&run("flicker", dir, arguments), code, message);
}

#[test]
fn a_run_is_what_it_says_until_something_in_it_is_changed() {
    let dir = temporary();
    trained(dir.path());
    let said = flicker(dir.path(), &["verify", "r", "--threads", "1"]);
    assert!(
        said.starts_with("verified: 32 validation normals score as recorded, to the last digit"),
        "{said}"
    );
    // Weights of another seed, of the same shapes: everything loads, and nothing else would tell.
    let other: Vec<&str> =
        [&["train", "--model=ganomaly", "--out=o", "--quiet", "--seed=1"], &crate::programs::TINY[..]]
            .concat();
    flicker(dir.path(), &other);
    let weights = "weights.safetensors";
    fs::copy(dir.path().join("o").join(weights), dir.path().join("r").join(weights)).expect("copied");
    check(
        dir.path(),
        &["verify", "r"],
        1,
        "r: the saved weights do not give the saved scores: of 32 validation",
    );
    check(
        dir.path(),
        &["verify", "r", "--tolerance=-1"],
        2,
        "--tolerance -1: expected a number of at least 0",
    );
}

#[test]
fn drift_is_an_exit_code() {
    let dir = temporary();
    trained(dir.path());
    // A test part that is a third abnormal; whether that shows after so short a training is for the numbers to say.
    let told = run("flicker", dir.path(), &["drift", "r", "mnist", "--json"]);
    let found: serde_json::Value = serde_json::from_slice(&told.stdout).expect("JSON");
    let (p, psi) = (found["ks_p_value"].as_f64().expect("p"), found["psi"].as_f64().expect("psi"));
    let drifted = p < 0.01 && psi > 0.25;
    assert_eq!(found["drifted"].as_bool(), Some(drifted), "{found:#}");
    assert_eq!(told.status.code(), Some(if drifted { 3 } else { 0 }));
    assert_eq!((found["n"].as_u64(), found["n_reference"].as_u64()), (Some(2000), Some(32)));
    // With limits that any difference passes, and with one that none does.
    let any = ["drift", "r", "mnist", "--p-value", "0.999999", "--psi", "0"];
    check(dir.path(), &any, 3, "the scores have drifted: p = ");
    let said = flicker(dir.path(), &["drift", "r", "mnist", "--psi", "1000"]);
    assert!(said.contains("2000 new scores beside 32 of validation normals"), "{said}");
    check(
        dir.path(),
        &["drift", "r", "mnist", "--p-value", "2"],
        2,
        "--p-value 2: expected a number between",
    );
}

#[test]
fn two_runs_are_compared_sample_by_sample() {
    let dir = temporary();
    trained(dir.path());
    let other: Vec<&str> = [
        &["train", "--model=ganomaly", "--out=o", "--quiet", "--seed=1", "--set=config.epochs=1"],
        &["--quick", "--set=data.split.train_at_most=320", "--set=config.features=4"][..],
    ]
    .concat();
    flicker(dir.path(), &other);
    let said = json_of(dir.path(), &["compare", "r", "o", "--json", "--picture", "roc.svg"]);
    let auroc = |run: &str| {
        crate::programs::metrics(&dir.path().join(run))["auroc"]["value"].as_f64().expect("a number")
    };
    // Both test sets hold the official test samples; each seed adds other normals of the training part.
    let of = |name: &str| said["metrics"][0][name].clone();
    let shared = said["n"].as_u64().expect("n") + said["n_only_a"].as_u64().expect("n");
    assert_eq!(shared as usize, rows(&dir.path().join("r/scores.csv"), &["id"]).len() - 32);
    assert!((of("a").as_f64().expect("a") - auroc("r")).abs() < 0.05, "{said:#}");
    assert!(of("p_value").as_f64().is_some_and(|p| (0.0..=1.0).contains(&p)), "{said:#}");
    let picture = String::from_utf8(bytes(dir.path().join("roc.svg"))).expect("text");
    assert!(picture.contains("ROC curves of two runs") && picture.contains("AUROC"), "no picture");
    // A run does not differ from itself.
    let same = json_of(dir.path(), &["compare", "r", "r", "--json"]);
    assert_eq!((same["metrics"][0]["p_value"].as_f64(), same["n_only_a"].as_u64()), (Some(1.0), Some(0)));
    assert!((same["metrics"][0]["a"].as_f64().expect("a") - auroc("r")).abs() < 1e-12);
    let table = flicker(dir.path(), &["compare", "r", "o"]);
    assert!(table.contains("AUROC") && table.contains("(DeLong, paired)"), "{table}");
    // Samples of one id are the same only where the data are.
    let path = dir.path().join("o/data.json");
    let facts = fs::read_to_string(&path).expect("data.json");
    let mut facts: serde_json::Value = serde_json::from_str(&facts).expect("JSON");
    facts["files"][0]["sha256"] = "0".repeat(64).into();
    fs::write(&path, facts.to_string()).expect("written");
    check(dir.path(), &["compare", "r", "o"], 1, "r and o: they read other data, ");
    check(dir.path(), &["compare", "r", "absent"], 2, "absent: expected a run folder, found none");
}

#[test]
fn maps_are_files_of_numbers_and_pictures() {
    let dir = temporary();
    trained(dir.path());
    let arguments = ["score", "r", "mnist", "--part=test", "--out=s.csv", "--maps=maps", "--quiet"];
    flicker(dir.path(), &arguments);
    let mut names: Vec<String> = fs::read_dir(dir.path().join("maps"))
        .expect("there")
        .map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned())
        .collect();
    names.sort();
    assert_eq!(names.len(), 2 * 2000);
    let map = candle_core::Tensor::read_npy(dir.path().join("maps").join(&names[0])).expect("npy");
    assert_eq!(map.dims(), [32, 32]);
    // The mean of the map of a GANomaly is its residual.
    let residual: f32 = rows(&dir.path().join("s.csv"), &["residual"])[0][0].parse().expect("a number");
    let mean = map.mean_all().and_then(|mean| mean.to_scalar::<f32>()).expect("a number");
    assert!((mean - residual).abs() < 1e-5 * residual, "{mean} {residual}");
    assert!(bytes(dir.path().join("maps").join(&names[1])).starts_with(b"\x89PNG"), "{}", names[1]);
    check(dir.path(), &arguments, 2, "--maps maps: exists already");
    assert!(!dir.path().join("maps.partial").exists());
}

#[test]
fn a_threshold_of_ones_own() {
    let dir = temporary();
    trained(dir.path());
    let score = |more: &[&str]| {
        let said = json_of(dir.path(), &[&["score", "r", "--out=s.csv", "--json", "--quiet"], more].concat());
        (said["n_flagged"].as_u64().expect("a number"), said["threshold"].as_f64())
    };
    let table = |columns: &[&str]| rows(&dir.path().join("s.csv"), columns);
    let (none, all) = (score(&["--threshold", "1e9"]), score(&["--threshold=-1"]));
    assert_eq!((none.0, all.0 as usize), (0, table(&["id"]).len()));
    // The best F1 on labels is at least that of flagging everything.
    let labelled = table(&["id", "label"]);
    let lines: Vec<String> = labelled.iter().map(|row| row.join(",")).collect();
    fs::write(dir.path().join("labels.csv"), format!("id,label\n{}\n", lines.join("\n"))).expect("written");
    let best = score(&["--best-f1-on", "labels.csv"]);
    let decided = table(&["label", "decision"]);
    let count = |label: &str, decision: &str| {
        decided.iter().filter(|row| row[0] == label && row[1] == decision).count() as f64
    };
    let f1 = 2.0 * count("abnormal", "abnormal")
        / (2.0 * count("abnormal", "abnormal") + count("normal", "abnormal") + count("abnormal", "normal"));
    let n_abnormal = decided.iter().filter(|row| row[0] == "abnormal").count() as f64;
    let of_all = 2.0 * n_abnormal / (n_abnormal + decided.len() as f64);
    assert!(f1 >= of_all && best.1.is_some(), "{f1} {of_all}");
    fs::write(dir.path().join("labels.csv"), "id,label\nnobody,1\n").expect("written");
    let refused = ["score", "r", "--best-f1-on", "labels.csv"];
    check(
        dir.path(),
        &refused,
        1,
        "labels.csv: labels sample `nobody`, which is not among those that were scored",
    );
    check(dir.path(), &["score", "r", "--threshold=1", "--false-alarm-rate=0.1"], 2, "cannot be used with");
}
