//! A disk that fills while a program writes: the error names the file, and nothing half-written is left.
//!
//! The disk is played by a limit on the size of files (`RLIMIT_FSIZE` with its signal ignored): as on a full disk, the
//! write that reaches the end takes a part of the bytes, and the next one is refused.
#![cfg(unix)]

use crate::programs::{bytes, check_refused, program, run, temporary};
use candle_core::Device;
use std::ffi::OsString;
use std::fs;
use std::path::Path;
use std::process::{Command, Output};

/// A narrow autoencoder, so that `scores.csv` is larger than the weights and `report.html` larger than the checkpoint:
/// whichever file shall be the first that does not fit, a limit can be found.
const NARROW: [&str; 5] = [
    "--quick",
    "--set=data.split.train_at_most=320",
    "--set=config.network.widths=[16]",
    "--set=config.batch=32",
    "--out=r",
];
/// Lets a later file be the first that does not fit.
const NO_CHECKPOINT: &str = "--set=keep.checkpoint_every=0";
const NO_PICTURES: &str = "--set=keep.pictures_every=0";

fn arguments<'a>(more: &[&'a str]) -> Vec<&'a str> {
    [&NARROW[..], more].concat()
}

/// Runs `ae-train` where no file can grow beyond `bytes`, which is a multiple of 512.
fn run_on_disk_of(bytes: usize, dir: &Path, arguments: &[&str]) -> Output {
    let inner = program("ae-train", dir, arguments);
    let mut command = Command::new("sh");
    // POSIX counts the limit in blocks of 512 bytes.
    let script = format!(r#"trap "" XFSZ; ulimit -f {}; exec "$@""#, bytes / 512);
    command.args(["-c", &script, "sh"]).arg(inner.get_program()).args(inner.get_args()).current_dir(dir);
    let environment: Vec<(OsString, Option<OsString>)> =
        inner.get_envs().map(|(key, value)| (key.into(), value.map(Into::into))).collect();
    for (key, value) in environment {
        match value {
            Some(value) => command.env(key, value),
            None => command.env_remove(key),
        };
    }
    command.output().expect("sh starts")
}

/// Each file in the folder is whole, judged by what its kind ends with or must parse as.
#[track_caller]
fn check_whole(folder: &Path) {
    for entry in fs::read_dir(folder).expect("readable") {
        let path = entry.expect("readable").path();
        if path.is_dir() {
            check_whole(&path);
            continue;
        }
        let bytes = bytes(&path);
        let text = || std::str::from_utf8(&bytes).expect("text");
        let whole = match path.extension().and_then(|extension| extension.to_str()) {
            Some("toml") => toml::from_str::<toml::Table>(text()).is_ok(),
            Some("json") => serde_json::from_str::<serde_json::Value>(text()).is_ok(),
            Some("jsonl") => {
                let is_json = |line| serde_json::from_str::<serde_json::Value>(line).is_ok();
                text().lines().all(is_json) && (text().is_empty() || text().ends_with('\n'))
            }
            Some("csv") => text().ends_with('\n'),
            Some("png") => bytes.ends_with(b"IEND\xaeB`\x82"),
            Some("svg") => text().trim_end().ends_with("</svg>"),
            Some("html") => text().trim_end().ends_with("</html>"),
            Some("safetensors") => flicker_core::State::from_bytes("", &bytes, &Device::Cpu).is_ok(),
            Some("flicker") => true, // the event file: its own tests cut it at every byte
            _ => false,
        };
        assert!(whole, "{} is not whole", path.display());
    }
}

/// Where no file can grow beyond `fits` bytes, `file` is the first that does not fit; afterwards the run goes on to the same end.
#[track_caller]
fn check(fits: usize, more: &[&str], file: &str) {
    let (full, whole) = (temporary(), temporary());
    let arguments = arguments(more);
    check_refused(
        &run_on_disk_of(fits, full.path(), &arguments),
        1,
        &format!("{file}: File too large (os error 27)"),
    );
    let folder = full.path().join("r");
    assert!(!folder.join("report.html").exists());
    assert!(file.ends_with("log.jsonl") || !full.path().join(file).exists(), "{file} is there");
    check_whole(&folder);

    let resumed = run("ae-train", full.path(), &[&arguments[..], &["--resume"]].concat());
    assert!(resumed.status.success(), "{}", String::from_utf8_lossy(&resumed.stderr));
    assert!(run("ae-train", whole.path(), &arguments).status.success());
    check_whole(&folder);
    for file in ["weights.safetensors", "scores.csv", "calibration.json", "gallery.json"] {
        assert_eq!(bytes(folder.join(file)), bytes(whole.path().join("r").join(file)), "{file}");
    }
    let epochs = |dir: &Path| {
        let log = fs::read_to_string(dir.join("r/log.jsonl")).expect("the log");
        log.lines().filter(|line| line.contains(r#""event":"epoch""#)).count()
    };
    assert_eq!(epochs(full.path()), epochs(whole.path()), "each epoch is logged once");
    assert!(folder.join("report.html").exists());
}

#[test]
fn the_log() {
    check(2048, &[NO_CHECKPOINT, NO_PICTURES, "--set=config.epochs=20"], "r/log.jsonl");
}

#[test]
fn a_picture() {
    check(4096, &[NO_CHECKPOINT], "r/samples/reconstructions-of-normal-0002.png");
}

#[test]
fn the_checkpoint() {
    check(100 * 512, &["--set=keep.checkpoint_every=1"], "r/checkpoint.safetensors");
}

#[test]
fn the_weights() {
    check(100 * 512, &[NO_CHECKPOINT], "r/weights.safetensors");
}

#[test]
fn the_scores() {
    check(300 * 512, &[NO_CHECKPOINT], "r/scores.csv");
}

#[test]
fn the_report() {
    check(700 * 512, &["--set=keep.checkpoint_every=1"], "r/report.html");
}

#[test]
fn the_first_file_leaves_no_folder() {
    let dir = temporary();
    // A short title, so that config.toml still fits and data.json does not.
    let output = run_on_disk_of(1024, dir.path(), &arguments(&["--set=title=t"]));
    check_refused(&output, 1, "r/data.json: File too large (os error 27)");
    assert_eq!(fs::read_dir(dir.path()).expect("readable").count(), 0);
}
