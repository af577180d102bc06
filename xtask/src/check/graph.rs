//! The crate graph: arrows go one way, and model crates do not know each other.

use anyhow::{Context, Result};
use std::collections::BTreeMap;
use std::path::Path;
use toml::Table;

/// Which crates of ours each kind of crate may depend on. A kind is a folder, or the name of a crate.
const ALLOWED: [(&str, &[&str]); 8] = [
    ("flicker-kernels", &[]),
    ("flicker-core", &["flicker-kernels"]),
    ("flicker-manifest", &[]),
    ("model", &["flicker-core"]),
    ("flicker-runner", &["flicker-core", "flicker-manifest"]),
    ("train", &["flicker-runner", "model"]),
    ("flicker-bench", &["flicker-core", "flicker-kernels", "model"]),
    ("xtask", &["flicker-manifest"]),
];

/// Compares each manifest's `[dependencies]` with [`ALLOWED`].
pub(super) fn check(wrong: &mut Vec<String>) -> Result<()> {
    let mut ours = BTreeMap::new();
    for path in super::files_under(Path::new("."), "Cargo.toml")? {
        let text = std::fs::read_to_string(&path).with_context(|| path.display().to_string())?;
        let manifest: Table = toml::from_str(&text).with_context(|| path.display().to_string())?;
        if let Some(name) = manifest.get("package").and_then(|package| package.get("name")?.as_str()) {
            ours.insert(name.to_string(), (path, manifest));
        }
    }
    for (name, (path, manifest)) in &ours {
        let kind = kind(name, path);
        let Some((_, allowed)) = ALLOWED.iter().find(|(of, _)| *of == kind) else { continue };
        let dependencies = manifest.get("dependencies").and_then(|table| table.as_table());
        for dependency in
            dependencies.into_iter().flat_map(Table::keys).filter(|dependency| ours.contains_key(*dependency))
        {
            let other = self::kind(dependency, &ours[dependency].0);
            if !allowed.contains(&other) {
                wrong.push(format!(
                    "{}: {name} must not depend on {dependency}; it may on {allowed:?}",
                    path.display()
                ));
            }
        }
        if kind == "xtask"
            && dependencies.is_some_and(|table| table.keys().any(|key| key.starts_with("candle")))
        {
            wrong.push(format!("{}: xtask links no candle", path.display()));
        }
    }
    Ok(())
}

fn kind<'a>(name: &'a str, path: &Path) -> &'a str {
    let path = path.to_string_lossy();
    if name.starts_with("flicker-") || name == "xtask" {
        name
    } else if path.contains("crates/train/") {
        "train"
    } else {
        "model"
    }
}
