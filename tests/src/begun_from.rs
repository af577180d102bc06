//! Trainings that begin with the weights of another run.

use crate::one_program::{flicker, trained};
use crate::programs::{TINY, bytes, check_refused, run, temporary};
use std::fs;
use std::path::Path;

/// The losses of the first epoch.
fn first_losses(dir: &Path, run: &str) -> Vec<f64> {
    let log = String::from_utf8(bytes(dir.join(run).join("log.jsonl"))).expect("text");
    let epoch = log.lines().find(|line| line.contains("\"epoch\"")).expect("an epoch");
    let event: serde_json::Value = serde_json::from_str(epoch).expect("JSON");
    event["losses"].as_object().expect("losses").values().filter_map(serde_json::Value::as_f64).collect()
}

#[test]
fn a_run_goes_on_from_another_where_that_ended() {
    let dir = temporary();
    let dir = dir.path();
    trained(dir);
    let said = flicker(dir, &["train", "--from", "r", "--out", "s", "--set", "config.epochs=1"]);
    assert!(said.contains("AUROC"), "{said}");
    let config = String::from_utf8(bytes(dir.join("s/config.toml"))).expect("text");
    let hash = flicker_manifest::sha256_of(&bytes(dir.join("r/weights.safetensors")));
    assert!(
        config.contains("[run.from]") && config.contains("run = \"r\"") && config.contains(&hash),
        "{config}"
    );
    assert!(config.contains("epochs = 1"), "{config}");
    // The contextual loss begins below where it began from drawn weights.
    let (drawn, from) = (first_losses(dir, "r"), first_losses(dir, "s"));
    assert_eq!(drawn.len(), from.len());
    assert!(from.iter().zip(&drawn).any(|(from, drawn)| *from < 0.8 * drawn), "{from:?} {drawn:?}");
    flicker(dir, &["verify", "s"]);
    // What cannot be gone on from.
    let refused = |arguments: &[&str], code: i32, message: &str| {
        let output = run("flicker", dir, &[&["train", "--out", "x"], arguments].concat());
        check_refused(&output, code, message);
        assert!(!dir.join("x").exists());
    };
    refused(&["--from", "absent"], 2, "absent: expected a run folder, found none");
    refused(&["--from", "r", "--set", "config.latent=7"], 1, "r/weights.safetensors: ");
    refused(&["--from", "r", "--resume"], 2, "--resume");
    flicker(dir, &["train", "classic-mnist-pca", "--quick", "--out", "p", "--quiet"]);
    refused(&["--from", "p"], 2, "is fitted to its data in one step");
    fs::remove_file(dir.join("r/weights.safetensors")).expect("removed");
    refused(&["--from", "r"], 1, "so that training did not end");
}

#[test]
fn an_interrupted_run_begins_again_with_the_weights_it_began_with() {
    let dir = temporary();
    let dir = dir.path();
    trained(dir);
    let begin = ["train", "--from", "r", "--set", "config.epochs=2", "--set", "keep.checkpoint_every=0"];
    flicker(dir, &[&begin[..], &["--out", "whole"]].concat());
    let stopped = run("flicker", dir, &[&begin[..], &["--out", "cut", "--time-limit", "0"]].concat());
    assert!(!stopped.status.success(), "{stopped:?}");
    fs::remove_file(dir.join("cut/checkpoint.safetensors")).expect("a checkpoint"); // as if it had been killed before
    flicker(dir, &["train", "--resume", "--out", "cut"]);
    assert_eq!(bytes(dir.join("whole/weights.safetensors")), bytes(dir.join("cut/weights.safetensors")));
    let again = run("flicker", dir, &[&begin[..], &["--out", "late", "--time-limit", "0"]].concat());
    assert!(!again.status.success());
    fs::remove_file(dir.join("late/checkpoint.safetensors")).expect("a checkpoint");
    flicker(
        dir,
        &[&["train", "--model", "ganomaly", "--out", "other", "--seed", "5", "--quiet"], &TINY[..]].concat(),
    );
    fs::copy(dir.join("other/weights.safetensors"), dir.join("r/weights.safetensors")).expect("copied");
    let output = run("flicker", dir, &["train", "--resume", "--out", "late"]);
    check_refused(&output, 1, "r: its weights are others than those that the run began with");
}
