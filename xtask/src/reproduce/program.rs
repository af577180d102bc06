//! The program that runs the experiments: `flicker`, built once, so that many can run side by side.

use super::experiment::{self, Experiment};
use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Mutex;

/// `flicker`, and how it is started.
pub(super) struct Program {
    path: PathBuf,
    quick: bool,
    /// Where what it says goes, if not to the terminal; and its threads.
    aside: Option<usize>,
    /// What `--print-config` says, by experiment.
    configs: Mutex<BTreeMap<String, toml::Table>>,
}

impl Program {
    /// Builds it in the cargo profile `profile`. With `jobs` above 1, what it says goes to a file beside each run folder, and
    /// each gets its share of the processors.
    pub(super) fn build(profile: &str, quick: bool, jobs: usize) -> Result<Self> {
        let cargo = std::env::var("CARGO").unwrap_or_else(|_| "cargo".to_string());
        let output = Command::new(cargo)
            .args(["build", "--quiet", "--profile", profile, "--package", "flicker"])
            .args(["--message-format", "json-render-diagnostics"])
            .stderr(Stdio::inherit())
            .output()
            .context("cargo build")?;
        ensure!(output.status.success(), "flicker does not build");
        let text = String::from_utf8_lossy(&output.stdout);
        let mut programs = text.lines().filter_map(|line| {
            let message: Value = serde_json::from_str(line).ok()?;
            let ours = message["target"]["name"] == "flicker";
            message["executable"].as_str().filter(|_| ours).map(PathBuf::from)
        });
        let path = programs.next_back().context("cargo built no program flicker")?;
        let processors = std::thread::available_parallelism().map_or(1, usize::from);
        let aside = (jobs > 1).then_some((processors / jobs).max(1));
        Ok(Self { path, quick, aside, configs: Mutex::default() })
    }

    fn command(&self, experiment: &Experiment) -> Command {
        let mut command = Command::new(&self.path);
        command.args(["train", &format!("experiments/{}.toml", experiment.file_name)]);
        if self.quick {
            command.arg("--quick");
        }
        command
    }

    /// Runs `experiment` with `seed` into `dir`: goes on with what was interrupted there, and otherwise begins anew.
    pub(super) fn run(&self, experiment: &Experiment, seed: u64, dir: &Path) -> Result<()> {
        let lock = lock(dir)?;
        let begun = dir.join("checkpoint.safetensors").exists() && !dir.join("metrics.json").exists();
        if begun && self.start(experiment, seed, dir, Some("--resume"), &lock).is_ok() {
            return Ok(());
        }
        if dir.exists() {
            fs::remove_dir_all(dir).with_context(|| dir.display().to_string())?;
        }
        self.start(experiment, seed, dir, None, &lock)
    }

    fn start(
        &self,
        experiment: &Experiment,
        seed: u64,
        dir: &Path,
        resume: Option<&str>,
        lock: &fs::File,
    ) -> Result<()> {
        let mut command = self.command(experiment);
        command.args(["--seed", &seed.to_string(), "--out", &dir.to_string_lossy()]).args(resume);
        // The program reads nothing, but holds the lock for as long as it lives, even if this task is killed.
        command.stdin(lock.try_clone()?);
        let Some(threads) = self.aside else {
            let status = command.status()?;
            ensure!(status.success(), "the program ended with {status}");
            return Ok(());
        };
        let log = dir.with_extension("log");
        let file = fs::File::create(&log).with_context(|| log.display().to_string())?;
        command.args(["--threads", &threads.to_string()]).stdout(file.try_clone()?).stderr(file);
        let status = command.status()?;
        if !status.success() {
            let text = fs::read_to_string(&log).unwrap_or_default();
            let error = text.lines().rev().find_map(|line| line.strip_prefix("error: "));
            bail!(
                "{} (the program ended with {status}, {})",
                error.unwrap_or("no error was said"),
                log.display()
            );
        }
        Ok(())
    }

    /// Whether the folder holds the results of the same numbers, the same seed, the same data and the same version of the
    /// program.
    pub(super) fn answers(&self, experiment: &Experiment, seed: u64, dir: &Path) -> Result<bool> {
        if !dir.join("metrics.json").exists() {
            return Ok(false);
        }
        let mut found: toml::Table = toml::from_str(&fs::read_to_string(dir.join("config.toml"))?)?;
        let run = found.remove("run");
        let value = |key: &str| run.as_ref()?.get(key);
        let same_program =
            value("version").and_then(|version| version.as_str()) == Some(env!("CARGO_PKG_VERSION"));
        let same_seed = value("seed").and_then(toml::Value::as_integer) == i64::try_from(seed).ok();
        Ok(same_program && same_seed && self.config(experiment)? == found && experiment::same_data(dir)?)
    }

    /// The experiment, complete, as the program would run it.
    fn config(&self, experiment: &Experiment) -> Result<toml::Table> {
        let mut configs = self.configs.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        if let Some(known) = configs.get(&experiment.file_name) {
            return Ok(known.clone());
        }
        let output = self.command(experiment).arg("--print-config").output()?;
        let error = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "--print-config: {}", error.trim());
        let config: toml::Table =
            toml::from_str(&String::from_utf8_lossy(&output.stdout)).context("--print-config")?;
        configs.insert(experiment.file_name.clone(), config.clone());
        Ok(config)
    }
}

/// A lock on the run folder `dir`, which lies beside it: a program of a task that was killed may still write there.
fn lock(dir: &Path) -> Result<fs::File> {
    let path = dir.with_extension("lock");
    fs::create_dir_all(dir.parent().unwrap_or(Path::new(".")))?;
    let file = fs::File::create(&path).with_context(|| path.display().to_string())?;
    if let Err(error) = file.try_lock() {
        bail!("{}: another process writes there ({error})", dir.display());
    }
    Ok(file)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_belongs_to_one_process_at_a_time() -> Result<()> {
        let dir = tempfile::tempdir()?;
        let run = dir.path().join("a/seed-0");
        let held = lock(&run)?;
        let refused = lock(&run).expect_err("held").to_string();
        assert!(refused.contains("another process writes there"), "{refused}");
        // A program that was started keeps it.
        let mut child = Command::new("sleep").arg("30").stdin(held.try_clone()?).spawn()?;
        drop(held);
        assert!(lock(&run).is_err());
        child.kill()?;
        child.wait()?;
        lock(&run)?;
        Ok(())
    }
}
