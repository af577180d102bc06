//! `cargo xtask reproduce`: runs experiments, seed by seed, and compares the means with what they expect.

mod experiment;
mod table;

use anyhow::{Context, Result, bail};
use experiment::{Experiment, Outcome};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Which experiments to run, and how.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Names of experiments (files in experiments/ without .toml) [default: all]
    names: Vec<String>,

    /// Merges each experiment's `[quick]` table: shows that all works, judges nothing
    #[arg(long)]
    quick: bool,

    /// Lists the experiments and ends
    #[arg(long)]
    list: bool,

    /// Says what would run, and ends
    #[arg(long)]
    dry_run: bool,

    /// Only so many of an experiment's seeds
    #[arg(long, value_name = "N")]
    seeds: Option<usize>,

    /// The cargo profile of the train programs
    #[arg(long, default_value = "release")]
    profile: String,
}

/// Runs what `args` ask for; fails if an experiment failed or missed what it expects.
pub(crate) fn run(args: &Args) -> Result<()> {
    let experiments = Experiment::find(&args.names)?;
    if args.list {
        for experiment in &experiments {
            crate::say(&format!("{:32} {}", experiment.file_name, experiment.title));
        }
        return Ok(());
    }
    let mut rows = Vec::new();
    for experiment in &experiments {
        let seeds = &experiment.seeds[..args.seeds.unwrap_or(usize::MAX).min(experiment.seeds.len())];
        let seeds = if args.quick { &seeds[..1] } else { seeds };
        if let Some(absent) = experiment::absent_data(&experiment.data.name, &flicker_manifest::data_root()) {
            crate::say(&format!("{}: NOT RUN, its data are absent: {absent}", experiment.file_name));
            rows.push(table::Row::of_absent_data(experiment));
            continue;
        }
        let mut outcomes = Vec::new();
        for &seed in seeds {
            match one(args, experiment, seed) {
                Ok(outcome) => outcomes.extend(outcome),
                Err(error) => crate::say(&format!("{} seed {seed}: failed: {error:#}", experiment.file_name)),
            }
        }
        if !args.dry_run {
            rows.push(table::Row::new(experiment, seeds.len(), &outcomes, args.quick));
        }
    }
    if args.dry_run {
        return Ok(());
    }
    crate::say(&table::render(&rows));
    if !args.quick {
        table::write(&rows)?;
    }
    match rows.iter().filter(|row| row.missed()).count() {
        0 => {
            let not_run = rows.iter().filter(|row| row.not_run()).count();
            if not_run > 0 {
                crate::say(&format!(
                    "{not_run} of {} experiments were NOT RUN: their data are absent",
                    rows.len()
                ));
            }
            Ok(())
        }
        n => bail!("{n} of {} experiments failed or missed what they expect", rows.len()),
    }
}

/// The outcome of one experiment with one seed, from its run folder if that answers already.
fn one(args: &Args, experiment: &Experiment, seed: u64) -> Result<Option<Outcome>> {
    let dir = folder(experiment, seed, args.quick);
    let program = Program::of(args, experiment);
    if answers(&program, &dir)? {
        crate::say(&format!("{} seed {seed}: {} answers already", experiment.file_name, dir.display()));
        return if args.dry_run { Ok(None) } else { Outcome::read(&dir).map(Some) };
    }
    if args.dry_run {
        crate::say(&format!("{} seed {seed}: would run into {}", experiment.file_name, dir.display()));
        return Ok(None);
    }
    crate::say(&format!("{} seed {seed}: into {}", experiment.file_name, dir.display()));
    let seed = seed.to_string();
    let out = dir.to_string_lossy().into_owned();
    let arguments = ["--seed", &seed, "--out", &out];
    let begun = dir.join("checkpoint.safetensors").exists() && !dir.join("metrics.json").exists();
    if begun && program.command(&arguments).arg("--resume").status()?.success() {
        return Outcome::read(&dir).map(Some);
    }
    if dir.exists() {
        fs::remove_dir_all(&dir).with_context(|| dir.display().to_string())?;
    }
    let status = program.command(&arguments).status()?;
    if !status.success() {
        bail!("the program ended with {status}");
    }
    Outcome::read(&dir).map(Some)
}

fn folder(experiment: &Experiment, seed: u64, quick: bool) -> PathBuf {
    let quick = if quick { "-quick" } else { "" };
    Path::new("runs/reproduce").join(format!("{}{quick}", experiment.file_name)).join(format!("seed-{seed}"))
}

/// A train program with an experiment.
struct Program {
    arguments: Vec<String>,
}

impl Program {
    fn of(args: &Args, experiment: &Experiment) -> Self {
        let package = format!("{}-train", experiment.model);
        let mut arguments: Vec<String> =
            ["run", "--quiet", "--profile", &args.profile, "--package", &package, "--"]
                .map(str::to_string)
                .to_vec();
        arguments.push(format!("experiments/{}.toml", experiment.file_name));
        if args.quick {
            arguments.push("--quick".to_string());
        }
        Self { arguments }
    }

    fn command(&self, more: &[&str]) -> Command {
        let mut command = Command::new(std::env::var("CARGO").unwrap_or_else(|_| "cargo".to_string()));
        command.args(&self.arguments).args(more);
        command
    }
}

/// Whether the folder holds the results of the same numbers, the same data and the same version of the program.
fn answers(program: &Program, dir: &Path) -> Result<bool> {
    if !dir.join("metrics.json").exists() {
        return Ok(false);
    }
    let output = program.command(&["--print-config"]).output()?;
    let wanted: toml::Table =
        toml::from_str(&String::from_utf8_lossy(&output.stdout)).context("--print-config")?;
    let mut found: toml::Table = toml::from_str(&fs::read_to_string(dir.join("config.toml"))?)?;
    let run = found.remove("run");
    let version = run.as_ref().and_then(|run| run.get("version")?.as_str());
    let same_program = version == Some(env!("CARGO_PKG_VERSION"));
    Ok(same_program && wanted == found && experiment::same_data(dir)?)
}
