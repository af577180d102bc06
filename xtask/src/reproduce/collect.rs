//! Run folders from elsewhere: of other machines, or of the jobs of an array.

use super::outcome::Outcome;
use anyhow::{Context, Result, ensure};
use std::fs;
use std::path::{Path, PathBuf};

/// Brings every finished run folder below `from`, a folder of runs, to the same place below `runs`, where none that is finished
/// stands. Answers with the number of those brought, and of those that were here.
pub(super) fn collect(from: &Path, runs: &Path) -> Result<(usize, usize)> {
    ensure!(from.is_dir(), "{}: expected a folder of runs", from.display());
    let (mut brought, mut here) = (0, 0);
    for dir in finished(from)? {
        let to = runs.join(dir.strip_prefix(from).unwrap_or(&dir));
        if Outcome::read(&to).is_ok() {
            here += 1;
            continue;
        }
        let part = to.with_extension(format!("part-{}", std::process::id()));
        copy(&dir, &part)?;
        if to.exists() {
            fs::remove_dir_all(&to)?; // half of a run
        }
        fs::rename(&part, &to).with_context(|| to.display().to_string())?;
        brought += 1;
    }
    Ok((brought, here))
}

/// The folders below `folder` that hold a finished run, sorted.
fn finished(folder: &Path) -> Result<Vec<PathBuf>> {
    let (mut found, mut waiting) = (Vec::new(), vec![folder.to_path_buf()]);
    while let Some(dir) = waiting.pop() {
        if dir.join("config.toml").exists() {
            found.extend(Outcome::read(&dir).is_ok().then_some(dir));
            continue;
        }
        for entry in fs::read_dir(&dir).with_context(|| dir.display().to_string())? {
            let path = entry?.path();
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            let passed_over =
                name.starts_with('.') || name.ends_with(".discarded") || name.contains(".part-");
            if path.is_dir() && !passed_over {
                waiting.push(path);
            }
        }
    }
    found.sort();
    Ok(found)
}

fn copy(from: &Path, to: &Path) -> Result<()> {
    fs::create_dir_all(to).with_context(|| to.display().to_string())?;
    for entry in fs::read_dir(from).with_context(|| from.display().to_string())? {
        let entry = entry?;
        let (path, to) = (entry.path(), to.join(entry.file_name()));
        if entry.file_type()?.is_dir() {
            copy(&path, &to)?;
        } else {
            fs::copy(&path, &to).with_context(|| path.display().to_string())?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(dir: &Path, auroc: f64, whole: bool) {
        fs::create_dir_all(dir.join("pictures")).expect("made");
        for (name, text) in [
            ("config.toml", "[run]\nseed = 0".to_string()),
            ("data.json", "{}".to_string()),
            ("pictures/roc.svg", "<svg/>".to_string()),
            ("metrics.json", format!("{{\"auroc\": {auroc}}}")),
        ] {
            if whole || name != "metrics.json" {
                fs::write(dir.join(name), text).expect("written");
            }
        }
    }

    #[test]
    fn finished_runs_are_brought_where_there_is_none() -> Result<()> {
        let dir = tempfile::tempdir()?;
        let (there, here) = (dir.path().join("there"), dir.path().join("here"));
        run(&there.join("suite/a-0/seed-0"), 0.9, true);
        run(&there.join("suite/a-0/seed-1"), 0.9, false);
        run(&there.join("b/seed-0"), 0.9, true);
        run(&there.join("c/seed-0"), 0.9, true);
        run(&here.join("b/seed-0"), 0.1, true);
        run(&here.join("c/seed-0"), 0.1, false);
        assert_eq!(collect(&there, &here)?, (2, 1));
        let auroc =
            |path: &str| Outcome::read(&here.join(path)).ok().and_then(|outcome| outcome.value("auroc"));
        assert_eq!(
            (auroc("suite/a-0/seed-0"), auroc("b/seed-0"), auroc("c/seed-0")),
            (Some(0.9), Some(0.1), Some(0.9))
        );
        assert!(here.join("c/seed-0/pictures/roc.svg").exists() && !here.join("suite/a-0/seed-1").exists());
        assert_eq!(collect(&there, &here)?, (0, 3));
        assert!(collect(&dir.path().join("nowhere"), &here).is_err());
        Ok(())
    }
}
