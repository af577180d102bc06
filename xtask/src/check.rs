//! `cargo xtask check`: rules that a compiler does not keep.

mod files;
mod graph;
mod readme;

use anyhow::{Result, bail};
use std::path::{Path, PathBuf};

/// Runs every check, says all that is wrong, and fails if anything is.
pub(crate) fn run() -> Result<()> {
    let mut wrong = Vec::new();
    graph::check(&mut wrong)?;
    files::check(&mut wrong)?;
    readme::check(&mut wrong)?;
    for line in &wrong {
        crate::say(line);
    }
    match wrong.len() {
        0 => {
            crate::say("check: crate graph, files and README commands are as the rules say");
            Ok(())
        }
        n => bail!("{n} things are against the rules"),
    }
}

/// Files under `dir` with this ending, sorted; hidden folders and build outputs are left out.
pub(crate) fn files_under(dir: &Path, ending: &str) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    let mut folders = vec![dir.to_path_buf()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder)? {
            let path = entry?.path();
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            let skipped = name.starts_with('.')
                || ["target", "node_modules"].contains(&name.as_str())
                || ["runs", "data"].contains(&name.as_str()) && folder == Path::new(".");
            if path.is_dir() && !skipped {
                folders.push(path);
            } else if name.ends_with(ending) {
                found.push(path);
            }
        }
    }
    found.sort();
    Ok(found)
}
