//! Finding a Python that has PyTorch and scikit-learn, or making one.

use anyhow::{Context, Result, bail, ensure};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// What ours is compared with.
const TORCH: &str = "2.15.0";

/// The Python at `given`; or else that in `target`/peer-venv, which is made if need be.
pub(super) fn find(given: Option<&Path>, target: &Path) -> Result<PathBuf> {
    if let Some(python) = given {
        torch_version(python)?;
        return Ok(python.to_path_buf());
    }
    let venv = target.join("peer-venv");
    let python = venv.join(if cfg!(windows) { "Scripts/python.exe" } else { "bin/python" });
    if torch_version(&python).is_ok_and(|version| version.split('+').next() == Some(TORCH)) {
        return Ok(python);
    }
    crate::say(&format!("making {} with PyTorch {TORCH}: some gigabytes, once", venv.display()));
    let made = succeed(Command::new("python3").args(["-m", "venv"]).arg(&venv)).and_then(|()| {
        let pip = ["-m", "pip", "install", "--progress-bar", "off", "--quiet"];
        succeed(
            Command::new(&python).args(pip).arg(format!("torch=={TORCH}")).args(["numpy", "scikit-learn"]),
        )
    });
    made.context("PyTorch cannot be had (`--peer PYTHON` names a Python that has it)")?;
    torch_version(&python)?;
    Ok(python)
}

fn torch_version(python: &Path) -> Result<String> {
    let output = Command::new(python)
        .args(["-c", "import torch, sklearn; print(torch.__version__)"])
        .output()
        .with_context(|| format!("starting {}", python.display()))?;
    if !output.status.success() {
        let error = String::from_utf8_lossy(&output.stderr);
        bail!(
            "{} lacks PyTorch or scikit-learn: {}",
            python.display(),
            error.lines().last().unwrap_or("no message")
        );
    }
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_string())
}

fn succeed(command: &mut Command) -> Result<()> {
    let status = command.stdout(Stdio::null()).status().with_context(|| format!("{command:?}"))?;
    ensure!(status.success(), "{command:?} ended with {status}");
    Ok(())
}
