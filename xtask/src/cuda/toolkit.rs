//! CUDA's compiler: a stand-in that compiles nothing, or the real one from the Python package index.

use anyhow::{Context, Result, bail};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// What the build scripts of candle's kernels ask of nvcc: its version, and files where they expect them.
const STAND_IN: &str = r#"#!/bin/sh
# Answers as nvcc does and compiles nothing.
out=; folder=; source=; lib=
while [ $# -gt 0 ]; do
    case "$1" in
    --version)
        printf 'nvcc: a stand-in\n-\n-\nCuda compilation tools, release 13.0, V13.0.88\n'
        exit ;;
    --list-gpu-code) echo sm_90; exit ;;
    --lib) lib=1 ;;
    -o) out=$2; shift ;;
    --output-directory) folder=$2; shift ;;
    *.cu) source=$1 ;;
    esac
    shift
done
if [ -n "$lib" ]; then rm -f "$out"; ar crs "$out"
elif [ -n "$out" ]; then : > "$out"
else : > "$folder/$(basename "$source" .cu).ptx"
fi
"#;

/// The compiler and what it needs. A newer compiler's output may be refused by an older driver, so the versions are fixed.
const PACKAGES: [&str; 5] = [
    "nvidia-cuda-nvcc==13.0.88",
    "nvidia-nvvm==13.0.88",
    "nvidia-cuda-crt==13.0.88",
    "nvidia-cuda-runtime==13.0.96",
    "nvidia-cuda-cccl==13.0.85",
];

/// A toolkit's folder in `root` whose nvcc is the stand-in.
pub(super) fn stand_in(root: &Path) -> Result<PathBuf> {
    let nvcc = root.join("bin/nvcc");
    fs::create_dir_all(root.join("bin")).with_context(|| nvcc.display().to_string())?;
    // Written only where it differs: its date is what makes cargo compile anew.
    if !fs::read_to_string(&nvcc).is_ok_and(|text| text == STAND_IN) {
        fs::write(&nvcc, STAND_IN).with_context(|| nvcc.display().to_string())?;
        run(Command::new("chmod").arg("+x").arg(&nvcc))?;
    }
    Ok(root.to_path_buf())
}

/// The toolkit's folder in the Python environment `home`, which is made and filled on the first call.
pub(super) fn fetched(home: &Path) -> Result<PathBuf> {
    if let Some(root) = inside(home) {
        return Ok(root);
    }
    crate::say(&format!("nvcc: {}", PACKAGES.join(" ")));
    run(Command::new("python3").args(["-m", "venv"]).arg(home))?;
    let pip = home.join("bin/pip");
    run(Command::new(pip).args(["install", "--quiet", "--disable-pip-version-check"]).args(PACKAGES))?;
    let Some(root) = inside(home) else { bail!("{}: the packages brought no nvcc", home.display()) };
    // The package has the versioned name alone; the linker looks for the other.
    fs::copy(root.join("lib/libcudart.so.13"), root.join("lib/libcudart.so")).context("libcudart.so.13")?;
    Ok(root)
}

/// Where the packages put the toolkit.
fn inside(home: &Path) -> Option<PathBuf> {
    let versions = fs::read_dir(home.join("lib")).ok()?;
    let roots = versions.flatten().map(|entry| entry.path().join("site-packages/nvidia/cu13"));
    roots.into_iter().find(|root| root.join("bin/nvcc").exists())
}

fn run(command: &mut Command) -> Result<()> {
    let status = command.status().with_context(|| format!("{command:?}"))?;
    if !status.success() {
        bail!("{command:?} ended with {status}");
    }
    Ok(())
}
