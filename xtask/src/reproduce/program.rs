//! The program that runs the experiments: `flicker`, built once and kept, so that many can run side by side, and a later build
//! does not change it under them.

use super::data::Data;
use super::experiment::{Experiment, settings};
use super::source::Sources;
use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Mutex;

/// `flicker`, and how it is started.
pub(super) struct Program {
    pub(super) path: PathBuf,
    source: Source,
    pub(super) how: How,
    /// What `--print-config` says, by the folder of an experiment.
    configs: Mutex<BTreeMap<PathBuf, toml::Table>>,
}

/// How runs are made.
pub(super) struct How {
    /// The folder of all run folders.
    pub(super) runs: PathBuf,
    pub(super) quick: bool,
    pub(super) threads: Option<usize>,
    /// Whether what it says goes to a file beside the run folder.
    pub(super) aside: bool,
    pub(super) data: Data,
}

/// What the program is made of.
enum Source {
    /// The hashes of its crates, by name: a family's is that of the crate of its name, or else of `flicker`.
    Crates(BTreeMap<String, String>),
    /// Nothing is known but the hash of its file.
    File(String),
}

impl Program {
    /// Builds it in the cargo profile `profile`, and keeps a copy in the folder of runs.
    pub(super) fn build(profile: &str, how: How) -> Result<Self> {
        let crates = Sources::read(Path::new("."))?.all()?;
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
        let built = programs.next_back().context("cargo built no program flicker")?;
        let path = keep(&built, &how.runs, &crates)?;
        Ok(Self { path, source: Source::Crates(crates), how, configs: Mutex::default() })
    }

    /// Takes the program at `path`. If it is one that was kept, it is known what it is made of.
    pub(super) fn given(path: &Path, how: How) -> Result<Self> {
        let bytes = fs::read(path).with_context(|| path.display().to_string())?;
        let source = match fs::read(path.with_extension("json")) {
            Ok(crates) => Source::Crates(serde_json::from_slice(&crates)?),
            Err(_) => Source::File(flicker_manifest::sha256_of(&bytes).chars().take(16).collect()),
        };
        let path = path.canonicalize().with_context(|| path.display().to_string())?;
        Ok(Self { path, source, how, configs: Mutex::default() })
    }

    /// The run folder of `experiment` with `seed`.
    pub(super) fn folder(&self, experiment: &Experiment, seed: u64) -> PathBuf {
        let quick = if self.how.quick { "-quick" } else { "" };
        let dir = format!("{}{quick}", experiment.dir.display());
        self.how.runs.join(dir).join(format!("seed-{seed}"))
    }

    fn source(&self, experiment: &Experiment) -> Result<&str> {
        match &self.source {
            Source::Crates(crates) => {
                let hash = crates.get(experiment.family()).or_else(|| crates.get("flicker"));
                hash.map(String::as_str).context("it is not known what the program is made of")
            }
            Source::File(hash) => Ok(hash),
        }
    }

    fn command(&self, experiment: &Experiment) -> Result<Command> {
        let mut command = Command::new(&self.path);
        command.arg("train").arg(experiment.file(&self.how.runs)?).arg("--data").arg(&self.how.data.root);
        if self.how.quick {
            command.arg("--quick");
        }
        Ok(command)
    }

    /// Runs `experiment` with `seed` into its folder: goes on with what was interrupted there, and otherwise begins anew.
    pub(super) fn run(&self, experiment: &Experiment, seed: u64) -> Result<()> {
        let dir = self.folder(experiment, seed);
        let lock = lock(&dir)?;
        if self.answers(experiment, seed).unwrap_or(false) {
            return Ok(()); // another process was faster
        }
        let begun = dir.join("checkpoint.safetensors").exists() && !dir.join("metrics.json").exists();
        if begun && self.same_run(experiment, seed, &dir).unwrap_or(false) {
            if self.start(experiment, seed, &dir, Some("--resume"), &lock).is_ok() {
                return Ok(());
            }
            crate::say(&format!("{} seed {seed}: could not go on, begins anew", experiment.label()));
        }
        discard(&dir)?;
        self.start(experiment, seed, &dir, None, &lock)
    }

    fn start(
        &self,
        experiment: &Experiment,
        seed: u64,
        dir: &Path,
        resume: Option<&str>,
        lock: &fs::File,
    ) -> Result<()> {
        let mut command = self.command(experiment)?;
        command.args(["--seed", &seed.to_string(), "--out", &dir.to_string_lossy()]).args(resume);
        command.env("FLICKER_SOURCE", self.source(experiment)?);
        // The program reads nothing, but holds the lock for as long as it lives, even if this task is killed.
        command.stdin(lock.try_clone()?);
        if let Some(threads) = self.how.threads {
            command.args(["--threads", &threads.to_string()]);
        }
        if !self.how.aside {
            let status = command.status()?;
            ensure!(status.success(), "the program ended with {status}");
            return Ok(());
        }
        let log = dir.with_extension("log");
        let file = fs::File::create(&log).with_context(|| log.display().to_string())?;
        let status = command.stdout(file.try_clone()?).stderr(file).status()?;
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

    /// Whether the run folder holds the results of the same numbers, the same seed, the same data and the same program.
    pub(super) fn answers(&self, experiment: &Experiment, seed: u64) -> Result<bool> {
        let dir = self.folder(experiment, seed);
        // The report is written last.
        let finished = dir.join("metrics.json").exists() && dir.join("report.html").exists();
        Ok(finished && self.same_run(experiment, seed, &dir)?)
    }

    /// Whether a run folder was begun with the same numbers, seed, data and program.
    fn same_run(&self, experiment: &Experiment, seed: u64, dir: &Path) -> Result<bool> {
        let found: toml::Table = toml::from_str(&fs::read_to_string(dir.join("config.toml"))?)?;
        let value = |key: &str| found.get("run")?.get(key);
        let same_program = value("source").and_then(toml::Value::as_str) == Some(self.source(experiment)?);
        let same_seed = value("seed").and_then(toml::Value::as_integer) == i64::try_from(seed).ok();
        Ok(same_program
            && same_seed
            && settings(&self.config(experiment)?) == settings(&found)
            && self.how.data.same(&experiment.table, dir)?)
    }

    /// The experiment, complete, as the program would run it.
    pub(super) fn config(&self, experiment: &Experiment) -> Result<toml::Table> {
        let mut configs = self.configs.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        if let Some(known) = configs.get(&experiment.dir) {
            return Ok(known.clone());
        }
        let output = self.command(experiment)?.arg("--print-config").output()?;
        let error = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "--print-config: {}", error.trim());
        let config: toml::Table =
            toml::from_str(&String::from_utf8_lossy(&output.stdout)).context("--print-config")?;
        configs.insert(experiment.dir.clone(), config.clone());
        Ok(config)
    }
}

/// A copy of the program that was built, named by its hash, with what it is made of beside it.
fn keep(built: &Path, runs: &Path, crates: &BTreeMap<String, String>) -> Result<PathBuf> {
    let hash = flicker_manifest::sha256_of(&fs::read(built).with_context(|| built.display().to_string())?);
    let folder = runs.join(".program");
    fs::create_dir_all(&folder).with_context(|| folder.display().to_string())?;
    let path = folder.join(format!("flicker-{}", hash.get(..16).unwrap_or_default()));
    if !path.exists() {
        let part = folder.join(format!(".part-{}", std::process::id()));
        fs::copy(built, &part)?;
        fs::rename(&part, &path)?;
    }
    super::write_whole(&path.with_extension("json"), &serde_json::to_string_pretty(crates)?)?;
    path.canonicalize().with_context(|| path.display().to_string())
}

/// Removes a run folder. It is put aside first, so that half of one never looks like a whole one.
fn discard(dir: &Path) -> Result<()> {
    let aside = dir.with_extension("discarded");
    let remove = |dir: &Path| match fs::remove_dir_all(dir) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(error).with_context(|| dir.display().to_string())
        }
        _ => Ok(()),
    };
    remove(&aside)?;
    if dir.exists() {
        fs::rename(dir, &aside).with_context(|| dir.display().to_string())?;
    }
    remove(&aside)
}

/// A lock on the run folder `dir`, which lies beside it: a program of a task that was killed may still write there. Then it is
/// waited for.
fn lock(dir: &Path) -> Result<fs::File> {
    let path = dir.with_extension("lock");
    fs::create_dir_all(dir.parent().unwrap_or(Path::new(".")))?;
    let file = fs::File::create(&path).with_context(|| path.display().to_string())?;
    if file.try_lock().is_err() {
        crate::say(&format!("{}: another process writes there; waiting for it", dir.display()));
        file.lock().with_context(|| path.display().to_string())?;
    }
    Ok(file)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::{Duration, Instant};

    #[test]
    fn a_folder_belongs_to_one_process_at_a_time() -> Result<()> {
        let dir = tempfile::tempdir()?;
        let run = dir.path().join("a/seed-0");
        let held = lock(&run)?;
        // A program that was started keeps it, though this task drops it.
        let mut child = Command::new("sleep").arg("0.4").stdin(held.try_clone()?).spawn()?;
        let begun = Instant::now();
        drop(held);
        drop(lock(&run)?);
        assert!(begun.elapsed() > Duration::from_millis(200), "it was not waited for");
        child.wait()?;
        Ok(())
    }

    #[test]
    fn a_folder_that_was_put_aside_is_gone_with_the_next() -> Result<()> {
        let dir = tempfile::tempdir()?;
        let run = dir.path().join("seed-0");
        discard(&run)?;
        fs::create_dir_all(run.join("pictures"))?;
        fs::create_dir_all(dir.path().join("seed-0.discarded/pictures"))?;
        discard(&run)?;
        assert_eq!(fs::read_dir(dir.path())?.count(), 0);
        Ok(())
    }
}
