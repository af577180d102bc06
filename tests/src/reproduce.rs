//! `cargo xtask reproduce`, from the outside, on a tiny suite: what it leaves, what it runs again, and that it may be killed.
#![cfg(unix)]

use crate::programs::{bytes, programs, temporary};
use std::fs;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::Duration;

/// Principal components of the embedded digits: about a second.
const COMPONENTS: &str = r#"
name = "NAME"
title = "principal components"
model = "classic"
seeds = [0, 1]
[data]
name = "mnist"
protocol = { kind = "one_class", normal = [0] }
split = { pool = { kind = "official" }, validation = 0.2 }
prepare = { resize = { kind = "keep" }, range = { kind = "unit" } }
[config]
method = "pca"
components = 8
[decide]
false_alarm_rate = 0.05
[keep]
checkpoint_every = 0
weights_every = 0
pictures_every = 0
[quick]
data = { split = { train_at_most = 100 } }
"#;

const SUITE: &str = r#"
title = "A tiny suite"
text = "Two digits."
axis = "digit"
[[case]]
name = "0"
set.data.protocol.normal = [0]
[[case]]
name = "1"
set.data.protocol.normal = [1]
[[published]]
name = "paper"
source = "a table"
metric = "auroc"
values = [0.9, 0.95]
[[entry]]
name = "components"
experiment = "components"
published = "paper"
expect = { auroc = { at_least = 0.9 } }
"#;

/// What fails, and what is not good enough.
const FAULTS: &str = r#"
[[entry]]
name = "too-many"
experiment = "components"
seeds = [0]
set.config.components = 100000
[[entry]]
name = "few"
title = "one component"
experiment = "components"
seeds = [0]
set.config.components = 1
expect = { auroc = { at_least = 1.0 } }
"#;

fn write(dir: &Path, suite: &str) {
    fs::create_dir_all(dir.join("experiments/suites")).expect("made");
    fs::create_dir_all(dir.join("data")).expect("made");
    fs::write(dir.join("experiments/components.toml"), COMPONENTS.replace("NAME", "components"))
        .expect("written");
    fs::write(dir.join("experiments/suites/tiny.toml"), suite).expect("written");
}

/// `xtask reproduce` on what is in `dir`, with run folders in `runs` there.
fn command(dir: &Path, runs: &str, arguments: &[&str]) -> Command {
    let mut command = Command::new(programs().join("xtask"));
    command.arg("reproduce").args(arguments).arg("--program").arg(programs().join("flicker"));
    for (name, place) in
        [("--experiments", "experiments"), ("--runs", runs), ("--data", "data"), ("--results", "results")]
    {
        command.arg(name).arg(dir.join(place));
    }
    command
}

fn reproduce(dir: &Path, runs: &str, arguments: &[&str]) -> Output {
    command(dir, runs, arguments).output().expect("it starts")
}

#[track_caller]
fn said(output: &Output, success: bool, parts: &[&str]) -> String {
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.success(), success, "{text}");
    for part in parts {
        assert!(text.contains(part), "{part} in\n{text}");
    }
    text
}

fn text(path: impl AsRef<Path>) -> String {
    String::from_utf8(bytes(path)).expect("text")
}

#[test]
fn a_suite_is_run_written_down_and_not_run_again() {
    let dir = temporary();
    let dir = dir.path();
    write(dir, &format!("{SUITE}{FAULTS}"));
    let first = said(
        &reproduce(dir, "runs", &["tiny"]),
        false,
        &[
            "8 of 8 runs to do",
            "tiny/too-many/0 seed 0: failed: ",
            "tiny/few: MISSED: auroc 0.",
            "2 of 8 runs failed, 1 means are below their floor",
        ],
    );
    assert!(!first.contains("tiny/components: MISSED"), "{first}");
    // What failed is tried again, what is there is not.
    said(&reproduce(dir, "runs", &["tiny"]), false, &["6 of 8 runs are there already", "2 of 8 runs to do"]);
    write(dir, SUITE);
    said(&reproduce(dir, "runs", &["tiny"]), true, &["4 of 4 runs are there already", "0 of 4 runs to do"]);
    let raw = text(dir.join("results/raw.csv"));
    assert!(!raw.contains("few"), "an entry that is no more");
    let auroc: Vec<&str> =
        raw.lines().filter(|line| line.starts_with("tiny,") && line.contains(",auroc,")).collect();
    assert_eq!(auroc.len(), 4, "{raw}");
    assert!(auroc[0].starts_with("tiny,components,classic,components/0,0,auroc,0.9"), "{}", auroc[0]);
    let page = text(dir.join("RESULTS.md"));
    for part in [
        "## tiny",
        "principal components (components) | 0.9",
        "paper, as published",
        "embedded sample mnist-sample",
    ] {
        assert!(page.contains(part), "{part} in\n{page}");
    }
    assert!(text(dir.join("results/index.html")).contains("tiny-classic-title"));
    // Other numbers, in one entry alone: the case that is not run again keeps its rows.
    write(dir, &SUITE.replace("set.data.protocol.normal = [1]", "set.data.protocol.normal = [7]"));
    said(
        &reproduce(dir, "runs", &["tiny", "--seeds", "1"]),
        true,
        &["1 of 2 runs are there already", "1 of 2 runs to do"],
    );
    let raw = text(dir.join("results/raw.csv"));
    let count =
        |config: &str| raw.lines().filter(|line| line.contains(config) && line.contains(",auroc,")).count();
    assert_eq!((count(",components/0,"), count(",components/1,")), (2, 1), "{raw}");
}

#[test]
fn the_program_takes_every_experiment_of_every_suite() {
    let dir = temporary();
    write(dir.path(), SUITE);
    let mut command = Command::new(programs().join("xtask"));
    command.args(["reproduce", "--dry-run", "--program"]).arg(programs().join("flicker"));
    command.arg("--data").arg(dir.path().join("data")).arg("--runs").arg(dir.path().join("runs"));
    said(&command.output().expect("it starts"), true, &["mnist-a/pca/0 seed 0: ", "tiles/"]);
}

#[test]
fn a_floor_or_a_title_makes_nothing_stale_and_other_data_do() {
    let dir = temporary();
    let dir = dir.path();
    write(dir, SUITE);
    said(&reproduce(dir, "runs", &["tiny/components/0", "--seeds", "1"]), true, &["1 of 1 runs to do"]);
    write(
        dir,
        &SUITE
            .replace("at_least = 0.9", "at_least = 0.5")
            .replace("title = \"A tiny suite\"", "title = \"Tiny\""),
    );
    said(&reproduce(dir, "runs", &["tiny/components/0", "--seeds", "1"]), true, &["0 of 1 runs to do"]);
    let facts = dir.join("runs/components/seed-0/data.json");
    let other = text(&facts).replacen("\"sha256\": \"", "\"sha256\": \"0", 1);
    fs::write(&facts, other).expect("written");
    said(
        &reproduce(dir, "runs", &["tiny/components/0", "--seeds", "1", "--dry-run"]),
        true,
        &["1 of 1 runs to do"],
    );
}

#[test]
fn parts_that_were_run_apart_are_collected() {
    let dir = temporary();
    let dir = dir.path();
    write(dir, SUITE);
    for (runs, part) in [("a", "1/2"), ("b", "2/2")] {
        said(
            &reproduce(dir, runs, &["tiny", "--shard", part, "--threads", "1"]),
            true,
            &["2 of 2 runs to do"],
        );
    }
    assert!(!dir.join("results").exists(), "a part writes no results");
    let [a, b] = ["a", "b"].map(|runs| dir.join(runs).display().to_string());
    said(
        &reproduce(dir, "all", &["collect", &a, &b]),
        true,
        &["2 runs brought", "4 of 4 runs are there already"],
    );
    let raw = text(dir.join("results/raw.csv"));
    assert_eq!(raw.lines().filter(|line| line.contains(",auroc,")).count(), 4);
    said(&reproduce(dir, "all", &["tiny", "--slurm"]), true, &["reproduce.slurm, 4 jobs for 4 runs"]);
    assert!(text(dir.join("all/reproduce.slurm")).contains("--array=1-4\n"));
}

#[test]
fn however_often_it_is_killed_it_ends_with_the_same_scores() {
    let dir = temporary();
    let dir = dir.path();
    write(dir, SUITE);
    // Epochs of a few hundredths of a second, with a checkpoint after each.
    let path = crate::programs::root().join("experiments/ae-mnist-unseen-digits.toml");
    let text = fs::read_to_string(path).expect("the experiment");
    let text = text.replace("epochs = 200", "epochs = 40").replace("at_least = 0.9", "at_least = 0.1");
    let text = text.replace("checkpoint_every = 5", "checkpoint_every = 1");
    fs::write(dir.join("experiments/ae-mnist-unseen-digits.toml"), text).expect("written");
    let arguments = ["ae-mnist-unseen-digits", "--seeds", "1"];
    let mut kills = 0;
    for milliseconds in (0..).map(|i| 150 + 170 * i) {
        let mut command = command(dir, "cut", &arguments);
        command.process_group(0).stdout(Stdio::null()).stderr(Stdio::null());
        let mut child = command.spawn().expect("it starts");
        std::thread::sleep(Duration::from_millis(milliseconds));
        if let Some(status) = child.try_wait().expect("it can be asked") {
            assert!(status.success(), "{status}");
            break;
        }
        // First with the program that it started, so that the run has to go on from its checkpoint; later without it, so that it
        // goes on by itself and has to be waited for.
        let whom = if kills < 6 { format!("-{}", child.id()) } else { child.id().to_string() };
        let _ = Command::new("kill")
            .args(["-9", "--", &whom])
            .stderr(Stdio::null())
            .status()
            .expect("kill starts");
        child.wait().expect("it ends");
        kills += 1;
    }
    assert!(kills >= 3, "{kills}");
    said(&reproduce(dir, "cut", &arguments), true, &["0 of 1 runs to do"]);
    said(&reproduce(dir, "whole", &arguments), true, &["1 of 1 runs to do"]);
    let scores = |runs: &str| bytes(dir.join(runs).join("ae-mnist-unseen-digits/seed-0/scores.csv"));
    assert!(scores("cut") == scores("whole"), "an interrupted run has other scores");
    assert!(dir.join("RESULTS.md").exists());
}
