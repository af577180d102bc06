//! The built train programs, from the outside: what they leave, what they say, and how they refuse.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

/// The workspace.
pub(crate) fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the package lies in the workspace")
}

/// The folder of the built programs, which are built once, in the profile of this test.
pub(crate) fn programs() -> &'static Path {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    BUILT.get_or_init(|| {
        let test = std::env::current_exe().expect("this test is a program");
        let folder = test.parent().and_then(Path::parent).expect("in target/PROFILE/deps").to_path_buf();
        let profile = if folder.ends_with("release") { "release" } else { "dev" };
        let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        let mut build = Command::new(cargo);
        build.args(["build", "--quiet", "--profile", profile, "-p", "ganomaly-train", "-p", "ae-train"]);
        build.args(["-p", "flicker", "-p", "xtask"]);
        assert!(build.current_dir(root()).status().expect("cargo starts").success());
        folder
    })
}

pub(crate) fn program(name: &str, dir: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(programs().join(name));
    // Data that lies on this machine must not change what is tested.
    command.current_dir(dir).args(arguments).env("FLICKER_DATA", dir).env_remove("RUST_BACKTRACE");
    command
}

pub(crate) fn run(name: &str, dir: &Path, arguments: &[&str]) -> Output {
    program(name, dir, arguments).output().expect("the program starts")
}

pub(crate) fn temporary() -> tempfile::TempDir {
    tempfile::tempdir().expect("a temporary folder")
}

/// Few samples and channels: a second or two.
pub(crate) const TINY: [&str; 4] =
    ["--quick", "--set=data.split.train_at_most=320", "--set=config.epochs=3", "--set=config.features=4"];

fn tiny(more: &[&'static str]) -> Vec<&'static str> {
    [&TINY[..], more].concat()
}

#[track_caller]
pub(crate) fn check_refused(output: &Output, code: i32, message: &str) {
    let said = String::from_utf8_lossy(&output.stderr);
    let error = said.lines().find(|line| line.starts_with("error: ")).unwrap_or_default();
    assert!(error.contains(message), "expected `{message}`, found:\n{said}");
    assert_eq!(output.status.code(), Some(code), "{said}");
    assert!(!said.contains("panicked"), "{said}");
}

pub(crate) fn bytes(path: impl AsRef<Path>) -> Vec<u8> {
    let path = path.as_ref();
    fs::read(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

pub(crate) fn metrics(dir: &Path) -> serde_json::Value {
    serde_json::from_slice(&bytes(dir.join("metrics.json"))).expect("metrics.json is JSON")
}

#[test]
fn a_run_leaves_a_folder_that_explains_itself() {
    let dir = temporary();
    let output = run("ganomaly-train", dir.path(), &tiny(&["--out", "r"]));
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    assert!(said.contains("embedded sample mnist-sample") && said.contains("gan epoch 3/3"), "{said}");
    let result = String::from_utf8_lossy(&output.stdout);
    for part in ["AUROC 0.", "AUPRC 0.", "prevalence 0.35", "F1 ", "everything is in r", "next: "] {
        assert!(result.contains(part), "{part} in\n{result}");
    }
    let folder = dir.path().join("r");
    for file in [
        "config.toml",
        "data.json",
        "weights.safetensors",
        "checkpoint.safetensors",
        "calibration.json",
        "report.html",
    ] {
        assert!(!bytes(folder.join(file)).is_empty(), "{file}");
    }
    let metrics = metrics(&folder);
    for name in ["auroc", "auprc", "f1", "precision", "recall"] {
        let [value, low, high] = ["value", "low", "high"]
            .map(|key| metrics[name][key].as_f64().unwrap_or_else(|| panic!("{name}.{key}")));
        assert!(
            (0.0..=value).contains(&low) && (value..=1.0).contains(&high),
            "{name}: {low} {value} {high}"
        );
    }
    for name in ["threshold", "prevalence", "n_test", "seed", "seconds"] {
        assert!(metrics[name].is_number(), "{name}");
    }
    let scores = String::from_utf8(bytes(folder.join("scores.csv"))).expect("text");
    assert!(
        scores.starts_with("id,set,class,label,score,latent,residual,p_value,decision\n"),
        "{scores:.99}"
    );
    assert_eq!(scores.lines().count() as u64, 1 + metrics["n_test"].as_u64().expect("a number") + 32);
    let log = String::from_utf8(bytes(folder.join("log.jsonl"))).expect("text");
    assert_eq!(log.lines().filter(|line| line.contains(r#""event":"epoch""#)).count(), 3);
    let events = fs::read_dir(folder.join("events")).expect("event files").count();
    assert_eq!(events, 1);
}

#[test]
fn the_config_in_a_run_folder_repeats_the_run_on_any_number_of_threads() {
    let dir = temporary();
    assert!(run("ganomaly-train", dir.path(), &tiny(&["--out", "a", "--seed", "5"])).status.success());
    let again =
        run("ganomaly-train", dir.path(), &["a/config.toml", "--seed", "5", "--threads", "1", "--out", "b"]);
    assert!(again.status.success(), "{}", String::from_utf8_lossy(&again.stderr));
    for file in ["weights.safetensors", "scores.csv", "calibration.json", "data.json"] {
        assert_eq!(bytes(dir.path().join("a").join(file)), bytes(dir.path().join("b").join(file)), "{file}");
    }
}

#[test]
fn an_interrupted_run_resumes_to_the_same_bytes() {
    let dir = temporary();
    assert!(run("ganomaly-train", dir.path(), &tiny(&["--out", "whole"])).status.success());
    let mut child = program("ganomaly-train", dir.path(), &tiny(&["--out", "cut"])).spawn().expect("starts");
    let (log, begun) = (dir.path().join("cut/log.jsonl"), Instant::now());
    while fs::read_to_string(&log).map_or(0, |text| text.matches(r#""event":"epoch""#).count()) < 1 {
        assert!(begun.elapsed() < Duration::from_secs(120), "no epoch was logged");
        std::thread::sleep(Duration::from_millis(5));
    }
    let pid = child.id().to_string();
    assert!(Command::new("kill").args(["-INT", &pid]).status().expect("kill starts").success());
    let code = child.wait().expect("ends").code();
    if code == Some(0) {
        return; // It was over before the signal came; nothing to resume.
    }
    assert_eq!(code, Some(130));
    assert!(!dir.path().join("cut/metrics.json").exists());
    let resumed = run("ganomaly-train", dir.path(), &tiny(&["--out", "cut", "--resume"]));
    assert!(resumed.status.success(), "{}", String::from_utf8_lossy(&resumed.stderr));
    for file in ["weights.safetensors", "scores.csv", "calibration.json"] {
        assert_eq!(
            bytes(dir.path().join("whole").join(file)),
            bytes(dir.path().join("cut").join(file)),
            "{file}"
        );
    }
    let log = fs::read_to_string(&log).expect("the log");
    assert_eq!(log.matches(r#""event":"epoch""#).count(), 3, "{log}");
}

#[test]
fn a_time_limit_stops_and_resumes() {
    let dir = temporary();
    let stopped = run("ganomaly-train", dir.path(), &tiny(&["--out", "r", "--time-limit", "0.01"]));
    check_refused(&stopped, 1, "time limit reached; go on with --resume --out r");
    assert!(
        dir.path().join("r/checkpoint.safetensors").exists() && !dir.path().join("r/metrics.json").exists()
    );
    assert!(run("ganomaly-train", dir.path(), &tiny(&["--out", "r", "--resume"])).status.success());
}

#[test]
fn resuming_with_other_numbers_or_into_nothing_is_refused() {
    let dir = temporary();
    run("ganomaly-train", dir.path(), &tiny(&["--out", "r", "--time-limit", "0.01"]));
    let other =
        run("ganomaly-train", dir.path(), &tiny(&["--out", "r", "--resume", "--set=config.latent=7"]));
    check_refused(&other, 2, "r/config.toml: was begun with another `config.latent`");
    let nothing = run("ganomaly-train", dir.path(), &tiny(&["--out", "none", "--resume"]));
    check_refused(&nothing, 2, "none: is no run folder, it has no config.toml");
}

#[test]
fn weights_of_another_model_are_refused() {
    let dir = temporary();
    run("ganomaly-train", dir.path(), &tiny(&["--out", "r", "--time-limit", "0.01"]));
    run("ae-train", dir.path(), &["--quick", "--out", "ae", "--time-limit", "0.01"]);
    fs::copy(dir.path().join("ae/checkpoint.safetensors"), dir.path().join("r/checkpoint.safetensors"))
        .expect("copied");
    let output = run("ganomaly-train", dir.path(), &tiny(&["--out", "r", "--resume"]));
    check_refused(&output, 1, "checkpoint: stands in phase `autoencoder`, this training begins with `gan`");
}

#[test]
fn a_damaged_checkpoint_is_refused() {
    let dir = temporary();
    run("ganomaly-train", dir.path(), &tiny(&["--out", "r", "--time-limit", "0.01"]));
    let path = dir.path().join("r/checkpoint.safetensors");
    let half = bytes(&path);
    fs::write(&path, &half[..half.len() / 2]).expect("written");
    let output = run("ganomaly-train", dir.path(), &tiny(&["--out", "r", "--resume"]));
    check_refused(&output, 1, "r/checkpoint.safetensors: is no whole safetensors file");
}

#[track_caller]
fn check_usage(arguments: &[&str], message: &str) {
    let dir = temporary();
    check_refused(&run("ganomaly-train", dir.path(), arguments), 2, message);
    assert_eq!(fs::read_dir(dir.path()).expect("readable").count(), 0, "nothing may be left");
}

#[test]
fn wrong_numbers_are_refused_by_field() {
    check_usage(
        &["--set=config.batch=1"],
        "config field `config.batch`: 1 is too few for batch normalization",
    );
    check_usage(&["--set=config.learning_rate=0.0"], "learning_rate`: 0 is not a positive number");
    check_usage(
        &["--set=data.prepare.resize.size=[30, 30]"],
        "config field `data.size`: 30 is not a multiple of 16",
    );
    check_usage(
        &["--set=data.protocol.abnormal=[11]"],
        "protocol: no class number 11, expected one of 0, 1, 2",
    );
    check_usage(
        &["--set=data.name='minst'"],
        "config field `data.name`: no data set `minst`, expected one of",
    );
    check_usage(&["--set=config.epochs='many'"], "invalid type: string \"many\", expected usize");
    check_usage(&["--set=config.w_conn=1"], "unknown field `w_conn`, expected one of");
    check_usage(&["--device", "cuda:0"], "--device cuda:0: this program was built without cuda");
    check_usage(&["--device", "tpu"], "--device tpu: expected cpu, cuda, cuda:N, metal or metal:N");
    check_usage(&["--threads", "0"], "--threads 0: expected at least 1");
    check_usage(&["absent.toml"], "absent.toml: No such file or directory");
}

#[test]
fn a_broken_experiment_file_is_refused_by_line() {
    let dir = temporary();
    let text = fs::read_to_string(root().join("experiments/ganomaly-mnist-2.toml")).expect("the experiment");
    let line = text.lines().position(|line| line.starts_with("latent")).expect("a latent") + 1;
    for (broken, message) in [
        (text.replace("latent = 100", "latnet = 100"), format!("x.toml:{line}: unknown field `latnet`")),
        (
            text.replace("latent = 100\n", ""),
            "x.toml:16: missing field `latent`".replace("16", &(line - 1).to_string()),
        ),
        (text.replace("latent = 100", "latent = -1"), format!("x.toml:{line}: invalid value: integer `-1`")),
        (text.replace("latent = 100", "latent = "), format!("x.toml:{line}: ")),
        (text.replace("\"ganomaly\"", "\"ae\""), "`model` is `ae`, this program trains `ganomaly`".into()),
    ] {
        fs::write(dir.path().join("x.toml"), broken).expect("written");
        check_refused(&run("ganomaly-train", dir.path(), &["x.toml"]), 2, &message);
    }
}

#[test]
fn a_data_folder_that_is_cut_short_is_refused() {
    let dir = temporary();
    fs::create_dir_all(dir.path().join("d/mnist")).expect("made");
    fs::write(dir.path().join("d/mnist/train-images-idx3-ubyte"), b"\0\0\x08\x03").expect("written");
    let output = run("ganomaly-train", dir.path(), &["--data", "d"]);
    check_refused(&output, 1, "train-images-idx3-ubyte: expected 47040016 bytes, found 4");
    let absent = run("ae-train", dir.path(), &["--set=data.name='shuttle'"]);
    check_refused(&absent, 1, "`cargo xtask data shuttle`");
}

#[test]
fn an_existing_folder_is_left_alone() {
    let dir = temporary();
    fs::create_dir(dir.path().join("r")).expect("made");
    let output = run("ganomaly-train", dir.path(), &["--out", "r"]);
    check_refused(&output, 2, "--out r: exists already");
    assert_eq!(fs::read_dir(dir.path().join("r")).expect("readable").count(), 0);
}

#[test]
fn the_autoencoder_watches_noise_and_keeps_pictures() {
    let dir = temporary();
    let arguments = ["--quick", "--out", "r", "--set=config.epochs=10", "--set=keep.weights_every=5"];
    let output = run("ae-train", dir.path(), &arguments);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let folder = dir.path().join("r");
    let log = fs::read_to_string(folder.join("log.jsonl")).expect("the log");
    let watched: Vec<serde_json::Value> = log
        .lines()
        .map(|line| serde_json::from_str(line).expect("JSON"))
        .filter(|value: &serde_json::Value| value["event"] == "watch")
        .collect();
    let trained: Vec<f64> = log
        .lines()
        .map(|line| serde_json::from_str::<serde_json::Value>(line).expect("JSON"))
        .filter_map(|value| value["losses"]["reconstruction"].as_f64())
        .collect();
    assert!(trained.len() == 10 && trained[9] < 0.7 * trained[0], "{log}");
    assert_eq!(watched.len(), 10);
    let of = |i: usize, set: &str| watched[i]["series"][set].as_f64().expect("a loss");
    assert!(of(1, "normal") < 0.2, "digits are learned: {log}");
    assert!(of(9, "gaussian noise") > 0.9, "the noise must not be learned: {log}");
    assert!(folder.join("checkpoints/autoencoder-epoch-0010.safetensors").exists());
    assert!(folder.join("samples").read_dir().expect("pictures").count() >= 2);
    assert!(metrics(&folder)["auroc"]["value"].as_f64().expect("a number") > 0.999);
}
