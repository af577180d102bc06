//! README commands: what they name exists. Those that CI runs, it takes from there.

use anyhow::{Context, Result};
use std::path::Path;
use toml::Table;

/// Papers whose `sh` blocks are checked.
const PAPERS: [&str; 3] = ["README.md", "CONTRIBUTING.md", "ARCHITECTURE.md"];

/// Checks packages, tasks and files that the commands name.
pub(super) fn check(wrong: &mut Vec<String>) -> Result<()> {
    let packages = packages()?;
    for paper in PAPERS {
        let text = std::fs::read_to_string(paper).with_context(|| paper.to_string())?;
        for command in commands(&text) {
            let words: Vec<&str> = command.split_whitespace().collect();
            for pair in words.windows(2) {
                let missing = match pair {
                    ["-p" | "--package", package] => !packages.iter().any(|known| known == package),
                    ["xtask", task] => !["check", "cuda", "data", "reproduce", "bench"].contains(task),
                    _ => false,
                };
                if missing {
                    wrong.push(format!("{paper}: `{command}` names `{}`, which there is not", pair[1]));
                }
            }
            for word in words.iter().filter(|word| word.starts_with("experiments/")) {
                if !Path::new(word).exists() {
                    wrong.push(format!("{paper}: `{command}` names `{word}`, which there is not"));
                }
            }
        }
    }
    Ok(())
}

/// The lines of `sh` blocks, without comments.
fn commands(text: &str) -> Vec<String> {
    let mut inside = false;
    let mut found = Vec::new();
    for line in text.lines() {
        if line.trim_start().starts_with("```") {
            inside = !inside && line.trim() == "```sh";
        } else if inside {
            let command = line.split('#').next().unwrap_or_default().trim();
            if !command.is_empty() {
                found.push(command.to_string());
            }
        }
    }
    found
}

fn packages() -> Result<Vec<String>> {
    let mut names = Vec::new();
    for path in super::files_under(Path::new("."), "Cargo.toml")? {
        let manifest: Table = toml::from_str(&std::fs::read_to_string(&path)?)?;
        names.extend(
            manifest.get("package").and_then(|package| Some(package.get("name")?.as_str()?.to_string())),
        );
    }
    Ok(names)
}
