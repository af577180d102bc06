//! What `flicker` refuses, in which words, and that nothing is written then.

use crate::one_program::trained;
use crate::programs::{TINY, bytes, check_refused, run, temporary};
use std::fs;
use std::path::Path;

#[track_caller]
fn check(dir: &Path, arguments: &[&str], code: i32, message: &str) {
    check_refused(&run("flicker", dir, arguments), code, message);
}

#[test]
fn a_choice_of_model_that_cannot_be() {
    let dir = temporary();
    let check = |arguments: &[&str], message: &str| check(dir.path(), arguments, 2, message);
    check(&["train", "--model", "ganomlay"], "invalid value 'ganomlay' for '--model <NAME>'");
    check(&["train"], "expected --model NAME, an experiment, or --from RUN; the models are ae, ");
    check(&["train", "--out", "r"], "expected --model NAME, an experiment, or --from RUN");
    check(&["train", "nothing"], "nothing: no such file, and no experiment of the program");
    check(&["train", "absent.toml"], "absent.toml: No such file");
    let other = "ae-mnist-noise: `model` is `ae`, --model asks for `ganomaly`";
    check(&["train", "ae-mnist-noise", "--model", "ganomaly"], other);
    fs::write(dir.path().join("a.toml"), "name = 'x'\nmodel = 'gan'\n").expect("written");
    check(&["train", "a.toml"], "a.toml: no model `gan`, expected one of ae, ");
    fs::write(dir.path().join("a.toml"), "name = 'x'\n").expect("written");
    check(&["train", "a.toml"], "a.toml: names no `model`; say it with --model, one of ae, ");
    fs::write(dir.path().join("a.toml"), "name = 'x'\nmodel =\n").expect("written");
    check(&["train", "a.toml"], "a.toml:2: ");
    check(&["train", "--model", "ae", "--set", "config.wide=1"], "ae-mnist-noise: unknown field `wide`");
    check(&["train", "--resume", "--out", "r"], "r: expected a run folder, found none");
    fs::remove_file(dir.path().join("a.toml")).expect("removed");
    assert_eq!(fs::read_dir(dir.path()).expect("readable").count(), 0, "nothing may be left");
}

#[test]
fn what_is_no_run_folder() {
    let dir = temporary();
    fs::create_dir(dir.path().join("empty")).expect("made");
    for command in ["score", "evaluate", "report", "verify"] {
        check(dir.path(), &[command, "absent"], 2, "absent: expected a run folder, found none");
        check(dir.path(), &[command, "empty"], 2, "empty: is no run folder, it has no config.toml");
    }
    assert_eq!(fs::read_dir(dir.path().join("empty")).expect("readable").count(), 0);
}

#[test]
fn half_a_run_folder_and_damaged_files() {
    let dir = temporary();
    let folder = dir.path().join("r");
    let tiny = [&["train", "--model=ganomaly", "--out=r", "--time-limit=0.01"], &TINY[..]].concat();
    check(dir.path(), &tiny, 1, "time limit reached; go on with --resume --out r");
    for command in ["score", "evaluate"] {
        let problem =
            "r/weights.safetensors: is not there, so the training did not end; go on with --resume --out r";
        check(dir.path(), &[command, "r"], 1, problem);
    }
    fs::remove_dir_all(&folder).expect("removed");
    trained(dir.path());
    let damaged = |file: &str, text: &[u8], code: i32, message: &str| {
        let whole = bytes(folder.join(file));
        fs::write(folder.join(file), text).expect("written");
        check(dir.path(), &["score", "r", "--out", "s.csv"], code, message);
        assert!(!dir.path().join("s.csv").exists(), "{file}");
        fs::write(folder.join(file), whole).expect("written");
    };
    let config = String::from_utf8(bytes(folder.join("config.toml"))).expect("text");
    damaged("config.toml", &config.as_bytes()[..config.len() / 3], 2, "r/config.toml:");
    let unknown = config.replace("model = \"ganomaly\"", "model = \"gan\"");
    damaged("config.toml", unknown.as_bytes(), 2, "r/config.toml: no model `gan`, expected one of ae, ");
    let no_seed = config.replace("\nseed = ", "\nsead = ");
    damaged(
        "config.toml",
        no_seed.as_bytes(),
        1,
        "r/config.toml: has no `run.seed`: it is an experiment, not a run",
    );
    let other = config.replace("latent = 100", "latent = 50");
    damaged("config.toml", other.as_bytes(), 1, "r/weights.safetensors: tensor `");
    damaged("data.json", b"{\"name\": \"mnist\"", 1, "r/data.json: ");
    damaged("calibration.json", b"{}", 1, "r/calibration.json: missing field `method`");
    let weights = bytes(folder.join("weights.safetensors"));
    damaged(
        "weights.safetensors",
        &weights[..weights.len() / 2],
        1,
        "r/weights.safetensors: is no whole safetensors",
    );
    check(dir.path(), &["evaluate", "r", "--into", "r"], 2, "--into r: exists already");
}

#[test]
fn weights_of_another_family() {
    let dir = temporary();
    trained(dir.path());
    let narrow = [
        "train",
        "--model=ae",
        "--quick",
        "--out=ae",
        "--set=config.network.widths=[8]",
        "--set=config.epochs=1",
    ];
    assert!(run("flicker", dir.path(), &narrow).status.success());
    fs::copy(dir.path().join("ae/weights.safetensors"), dir.path().join("r/weights.safetensors"))
        .expect("copied");
    for command in ["score", "evaluate"] {
        check(dir.path(), &[command, "r"], 1, "r/weights.safetensors: ");
    }
}

#[test]
fn samples_that_are_not_for_this_model() {
    let dir = temporary();
    trained(dir.path());
    let refused = |arguments: &[&str], code: i32, message: &str| {
        let all = [&["score", "r"], arguments, &["--out", "s.csv"]].concat();
        check(dir.path(), &all, code, message);
        assert!(!dir.path().join("s.csv").exists(), "nothing may be written");
    };
    refused(&["minst"], 2, "no data set `minst`, expected one of");
    fs::create_dir(dir.path().join("parts")).expect("made");
    refused(&["parts"], 1, "parts: no images and no folders of images");
    refused(&["shuttle"], 1, "`cargo xtask data shuttle`");
    fs::write(dir.path().join("t.csv"), "a,b\n1,2\n").expect("written");
    refused(&["t.csv"], 1, "t.csv: expected IDX images, as the model takes an image 1x32x32, found");
    refused(&["t.csv", "--part", "test"], 2, "--part: a file has no parts");
    fs::write(dir.path().join("t.idx"), b"\0\0\x08\x03\0\0\0\x01\0\0\0\x04\0\0\0\x04half").expect("written");
    refused(&["t.idx"], 1, "t.idx: dimensions [1, 4, 4] need 16 bytes of elements, found 4");
    refused(&["--false-alarm-rate", "1.5"], 2, "--false-alarm-rate 1.5: expected a number between 0 and 1");
    refused(&["--device", "tpu"], 2, "--device tpu: expected cpu");
    let check = |out: &str, message: &str| check(dir.path(), &["score", "r", "--out", out], 2, message);
    check("no/s.csv", "--out no/s.csv: expected a file in a folder that is there");
    check("r/scores.csv", "--out r/scores.csv: belongs to the run, use another name");
    let output = run("flicker", dir.path(), &["score", "r", "--json"]);
    check_refused(&output, 2, "the following required arguments were not provided");
}

#[test]
fn other_data_than_the_run_read() {
    let dir = temporary();
    trained(dir.path());
    let path = dir.path().join("r/data.json");
    let facts = String::from_utf8(bytes(&path)).expect("text");
    let mut value: serde_json::Value = serde_json::from_str(&facts).expect("JSON");
    value["files"][0]["sha256"] = "00".into();
    fs::write(&path, value.to_string()).expect("written");
    let before = bytes(dir.path().join("r/metrics.json"));
    check(
        dir.path(),
        &["evaluate", "r"],
        1,
        "mnist: other data than the run's: the run read embedded sample",
    );
    check(dir.path(), &["score", "r"], 1, "mnist: other data than the run's");
    assert_eq!(bytes(dir.path().join("r/metrics.json")), before);
}
