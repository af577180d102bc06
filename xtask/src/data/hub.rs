//! Files from the Hugging Face hub, through candle-datasets.
//!
//! This crate links no candle: `flicker-hub`, a program of flicker-runner behind the feature `hub`, does the work and is
//! built by cargo when it is first needed.

use super::{Wanted, folder, place, progress::say};
use anyhow::{Context, Result, bail, ensure};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

/// How long the program may run: a hub that cannot be reached must not hang the command.
const LIMIT: Duration = Duration::from_secs(600);

const PROGRAM: [&str; 6] = ["-p", "flicker-runner", "--features", "hub", "--bin", "flicker-hub"];

/// Fetches the set and takes the missing files out of it.
pub(super) fn fetch(wanted: &Wanted<'_>, no_hub: bool) -> Result<()> {
    if no_hub {
        bail!("skipped (--no-hub)");
    }
    if let Some(name) = ["CARGO_NET_OFFLINE", "HF_HUB_OFFLINE"].into_iter().find(|name| is_set(name)) {
        bail!("skipped (offline: {name} is set)");
    }
    let name = &wanted.manifest.name;
    say(&format!("{name}: building flicker-hub, minutes the first time (--no-hub skips it)"));
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let built =
        Command::new(&cargo).arg("build").args(PROGRAM).stdin(Stdio::null()).status().context("cargo")?;
    ensure!(built.success(), "flicker-hub could not be built");
    let out = wanted.downloads.join("hub");
    let mut program = Command::new(&cargo);
    program.args(["run", "--quiet"]).args(PROGRAM).arg("--").arg(name).arg(&out).stdin(Stdio::null());
    let status = waited(program.spawn().context("cargo")?)?;
    ensure!(status.success(), "flicker-hub failed ({status}); its message is above");
    for file in &wanted.files {
        place(wanted, file, &mut folder::open(&out.join(&file.name), &file.name)?)?;
    }
    Ok(())
}

fn is_set(name: &str) -> bool {
    std::env::var(name).is_ok_and(|value| !["", "0", "false"].contains(&value.as_str()))
}

/// Waits for the program, and ends it after [`LIMIT`].
fn waited(mut child: Child) -> Result<ExitStatus> {
    let start = Instant::now();
    while start.elapsed() < LIMIT {
        if let Some(status) = child.try_wait()? {
            return Ok(status);
        }
        std::thread::sleep(Duration::from_millis(200));
    }
    child.kill()?;
    child.wait()?;
    bail!("no answer in {} minutes", LIMIT.as_secs() / 60)
}
