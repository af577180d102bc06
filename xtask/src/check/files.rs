//! Files: each opens by saying what it is, none hides a second noun, none is forgotten, and the unsafe ones are few.

use anyhow::{Context, Result};
use std::path::Path;

/// Lines above which a file is split.
const MOST_LINES: usize = 400;

/// Checks every Rust file.
pub(super) fn check(wrong: &mut Vec<String>) -> Result<()> {
    for path in super::files_under(Path::new("."), ".rs")? {
        let text = std::fs::read_to_string(&path).with_context(|| path.display().to_string())?;
        let shown = path.strip_prefix(".").unwrap_or(&path).display();
        if !text.starts_with("//!") {
            wrong.push(format!("{shown}: does not open with `//!`, what it is"));
        }
        let lines = text.lines().count();
        if lines > MOST_LINES {
            wrong.push(format!("{shown}: {lines} lines, expected at most {MOST_LINES}"));
        }
        if !path.starts_with("./crates/flicker-kernels")
            && text.lines().any(|line| line.trim_start().starts_with("unsafe "))
        {
            wrong.push(format!("{shown}: unsafe code outside flicker-kernels"));
        }
        for (i, line) in text.lines().enumerate() {
            if line != line.trim_end() {
                wrong.push(format!("{shown}:{}: trailing blanks", i + 1));
            }
        }
    }
    forgotten(wrong)
}

/// A file of the test package that its one binary does not name is never run.
fn forgotten(wrong: &mut Vec<String>) -> Result<()> {
    let all = std::fs::read_to_string("tests/src/all.rs")?;
    for entry in std::fs::read_dir("tests/src")? {
        let path = entry?.path();
        let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        if !["all", "lib"].contains(&name.as_str()) && !all.contains(&format!("mod {name};")) {
            wrong.push(format!("{}: tests/src/all.rs does not name it, so it never runs", path.display()));
        }
    }
    Ok(())
}
