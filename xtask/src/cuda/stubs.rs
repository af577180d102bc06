//! Stand-ins for the libraries that come with the driver or with the machine that has the card: shared objects that have
//! the right names inside and whose functions all fail. A program links against them; it needs the real ones to compute.

use anyhow::{Context, Result, bail};
use serde_json::Value;
use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Folder of cudarc that declares the functions, the library, and the version in its name.
const LIBRARIES: [(&str, &str, &str); 6] = [
    ("driver", "cuda", "1"),
    ("cublas", "cublas", "13"),
    ("cublaslt", "cublasLt", "13"),
    ("curand", "curand", "10"),
    ("nvrtc", "nvrtc", "13"),
    ("cudnn", "cudnn", "9"),
];

/// Writes the stand-ins into `dir` and says which.
pub(super) fn write(dir: &Path) -> Result<String> {
    fs::create_dir_all(dir).with_context(|| dir.display().to_string())?;
    let cudarc = cudarc()?;
    let mut names = Vec::new();
    for (folder, library, version) in LIBRARIES {
        let source = cudarc.join("src").join(folder).join("sys/mod.rs");
        let text = fs::read_to_string(&source).with_context(|| source.display().to_string())?;
        let mut c = String::new();
        for function in functions(&text) {
            // 999 is CUDA's "unknown error".
            writeln!(c, "int {function}(void) {{ return 999; }}")?;
        }
        let (file, link) = (format!("lib{library}.so.{version}"), dir.join(format!("lib{library}.so")));
        let source = dir.join(format!("{library}.c"));
        fs::write(&source, c).with_context(|| source.display().to_string())?;
        compile(&source, &dir.join(&file), &file)?;
        fs::copy(dir.join(&file), &link).with_context(|| link.display().to_string())?;
        names.push(file);
    }
    Ok(names.join(" "))
}

fn compile(source: &Path, into: &Path, soname: &str) -> Result<()> {
    let mut command = Command::new("cc");
    // The names are those of functions that the compiler knows nothing of.
    command.args(["-shared", "-fPIC", "-w", &format!("-Wl,-soname,{soname}"), "-o"]).arg(into).arg(source);
    let status = command.status().with_context(|| format!("{command:?}"))?;
    if !status.success() {
        bail!("{command:?} ended with {status}");
    }
    Ok(())
}

/// Names of the functions that a file of bindings declares.
fn functions(text: &str) -> BTreeSet<&str> {
    let declarations = text.lines().filter_map(|line| line.strip_prefix("pub unsafe fn "));
    declarations.filter_map(|line| Some(line.split_once('(')?.0)).collect()
}

/// Where cargo keeps the source of cudarc.
fn cudarc() -> Result<PathBuf> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let output = Command::new(cargo)
        .args(["metadata", "--format-version", "1", "--features", "ganomaly-train/cuda"])
        .output()
        .context("cargo metadata")?;
    if !output.status.success() {
        bail!("cargo metadata: {}", String::from_utf8_lossy(&output.stderr));
    }
    let metadata: Value = serde_json::from_slice(&output.stdout).context("cargo metadata")?;
    let packages = metadata["packages"].as_array().context("cargo metadata: no packages")?;
    let cudarc = packages.iter().find(|package| package["name"] == "cudarc");
    let manifest = cudarc.and_then(|package| package["manifest_path"].as_str());
    let manifest = manifest.context("cargo metadata: the programs do not need cudarc")?;
    Ok(Path::new(manifest).parent().unwrap_or(Path::new(".")).to_path_buf())
}

#[cfg(test)]
mod tests {
    use super::functions;

    #[test]
    fn declared_functions_are_found_once() {
        let text = "#[cfg(a)]\npub unsafe fn cuInit(flags: u32) -> i32 {\n    fn cuInit(flags: u32) -> i32;\n}\n#[cfg(b)]\npub unsafe fn cuInit(\n";
        assert_eq!(functions(text).into_iter().collect::<Vec<_>>(), ["cuInit"]);
    }
}
