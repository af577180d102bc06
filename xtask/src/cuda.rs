//! `cargo xtask cuda`: the CUDA build on a machine that has no CUDA: its type check, and the real one.
//!
//! Where CUDA is installed neither is needed: `cargo build --release --features cuda`.

mod stubs;
mod toolkit;

use anyhow::{Context, Result, bail};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;
use toml::Table;

/// What to do.
#[derive(clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    task: Task,
}

#[derive(clap::Subcommand)]
enum Task {
    /// Checks the types with the feature `cuda`: a stand-in for nvcc compiles nothing
    Check {
        /// With the feature `cudnn`
        #[arg(long)]
        cudnn: bool,
    },
    /// Builds the programs: nvcc comes from the Python package index, libraries that are only needed where they run are
    /// stood in for
    Build {
        /// With the feature `cudnn`
        #[arg(long)]
        cudnn: bool,

        /// Compute capability of the card, without its dot: 90 is an H100 or H200
        #[arg(long, default_value = "90")]
        capability: String,
    },
}

/// Runs the task.
pub(crate) fn run(args: &Args) -> Result<()> {
    let home = target()?.join("cuda");
    match &args.task {
        Task::Check { cudnn } => {
            let root = toolkit::stand_in(&home.join("stand-in"))?;
            cargo(&["check"], &packages("cuda")?, *cudnn, &root, "90", &home.join("check"))
        }
        Task::Build { cudnn, capability } => {
            let root = toolkit::fetched(&home.join("toolkit"))?;
            let libraries = stubs::write(&root.join("lib/stubs"))?;
            crate::say(&format!("{libraries}: stand-ins in {}", root.join("lib/stubs").display()));
            let programs: Vec<Package> =
                packages("cuda")?.into_iter().filter(|package| package.program).collect();
            let into = home.join(if *cudnn { "build-cudnn" } else { "build" });
            cargo(&["build", "--release"], &programs, *cudnn, &root, capability, &into)?;
            for program in &programs {
                describe(&into.join("release").join(&program.name))?;
            }
            Ok(())
        }
    }
}

/// Where cargo builds.
fn target() -> Result<PathBuf> {
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| PathBuf::from("target"), PathBuf::from);
    std::fs::create_dir_all(&target).with_context(|| target.display().to_string())?;
    target.canonicalize().with_context(|| target.display().to_string())
}

struct Package {
    name: String,
    /// Whether it has a `main`.
    program: bool,
}

/// The packages of the workspace that have a feature.
fn packages(feature: &str) -> Result<Vec<Package>> {
    let mut found = Vec::new();
    for path in crate::check::files_under(Path::new("."), "Cargo.toml")? {
        let text = std::fs::read_to_string(&path).with_context(|| path.display().to_string())?;
        let manifest: Table = toml::from_str(&text).with_context(|| path.display().to_string())?;
        let has = manifest.get("features").is_some_and(|features| features.get(feature).is_some());
        let name = manifest.get("package").and_then(|package| package.get("name")?.as_str());
        if let Some(name) = name.filter(|_| has) {
            let program = path.with_file_name("src").join("main.rs").exists();
            found.push(Package { name: name.to_string(), program });
        }
    }
    Ok(found)
}

/// Runs cargo on `packages` with the toolkit in `root`, building into `into`.
fn cargo(
    words: &[&str],
    packages: &[Package],
    cudnn: bool,
    root: &Path,
    capability: &str,
    into: &Path,
) -> Result<()> {
    let begun = Instant::now();
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.args(words).arg("--target-dir").arg(into);
    command.args(["--features", if cudnn { "cuda,cudnn" } else { "cuda" }]);
    command.args(packages.iter().flat_map(|package| ["--package", &package.name]));
    let path = std::env::var_os("PATH").unwrap_or_default();
    let path = std::env::join_paths([root.join("bin")].into_iter().chain(std::env::split_paths(&path)))?;
    command.env("PATH", path).env("NVCC", root.join("bin/nvcc")).env("CUDA_COMPUTE_CAP", capability);
    for name in ["CUDA_HOME", "CUDA_PATH", "CUDA_ROOT"] {
        command.env(name, root);
    }
    let status = command.status().context("cargo")?;
    if !status.success() {
        bail!("cargo {} ended with {status}", words.join(" "));
    }
    crate::say(&format!("cargo {} passed in {:.0} s", words.join(" "), begun.elapsed().as_secs_f64()));
    Ok(())
}

/// Says how large a program is and which libraries it needs.
fn describe(program: &Path) -> Result<()> {
    let bytes = std::fs::metadata(program).with_context(|| program.display().to_string())?.len();
    let read = Command::new("readelf").arg("-d").arg(program).output();
    let text = read.map(|output| String::from_utf8_lossy(&output.stdout).into_owned()).unwrap_or_default();
    let needed: Vec<&str> = text
        .lines()
        .filter(|line| line.contains("(NEEDED)"))
        .filter_map(|line| line.split_once('[')?.1.strip_suffix(']'))
        .collect();
    let size = bytes as f64 / f64::from(1 << 20);
    crate::say(&format!("{}: {size:.1} MiB, needs {}", program.display(), needed.join(" ")));
    Ok(())
}
