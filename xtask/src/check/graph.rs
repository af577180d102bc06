//! The crate graph: arrows go one way, and model crates do not know each other.

use anyhow::{Context, Result};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use toml::Table;

/// Which crates of ours each kind of crate may depend on. A kind is a folder, or the name of a crate.
const ALLOWED: [(&str, &[&str]); 13] = [
    ("flicker-kernels", &[]),
    ("flicker-core", &["flicker-kernels"]),
    ("flicker-manifest", &[]),
    ("flicker-charts", &[]),
    ("flicker-table", &[]),
    ("model", &["flicker-core", "flicker-kernels"]),
    ("flicker-onnx", &["flicker-core"]),
    (
        "flicker-runner",
        &["flicker-charts", "flicker-core", "flicker-manifest", "flicker-onnx", "flicker-table"],
    ),
    ("train", &["flicker-runner", "model"]),
    ("flicker", &["flicker-core", "flicker-runner", "model"]),
    ("flicker-bench", &["flicker-core", "flicker-kernels", "model"]),
    (
        "flicker-device-check",
        &["flicker-bench", "flicker-core", "flicker-kernels", "flicker-runner", "model"],
    ),
    ("xtask", &["flicker-charts", "flicker-manifest"]),
];

/// What candle computes with. Each passes through every crate, so that any of them can be built with it alone.
const FEATURES: [&str; 5] = ["accelerate", "cuda", "cudnn", "metal", "mkl"];

/// Our crates: name, path of the manifest, manifest.
type Crates = BTreeMap<String, (PathBuf, Table)>;

/// Compares each manifest's `[dependencies]` with [`ALLOWED`], and holds that [`FEATURES`] pass through.
pub(super) fn check(wrong: &mut Vec<String>) -> Result<()> {
    let mut ours = Crates::new();
    let manifests = super::files_under(Path::new("."), "Cargo.toml")?;
    // `fuzz` is a workspace of its own.
    for path in manifests.into_iter().filter(|path| !path.starts_with("./fuzz")) {
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
    check_features(&ours, wrong);
    Ok(())
}

/// Every crate that computes has every feature, and hands it to all below it that compute.
fn check_features(ours: &Crates, wrong: &mut Vec<String>) {
    for (name, (path, _)) in ours {
        let mut below = BTreeSet::new();
        computing(ours, name, &mut below);
        for feature in FEATURES {
            let mut reached = BTreeSet::new();
            reach(ours, name, feature, &mut reached);
            if let Some(missed) = below.iter().find(|other| !reached.contains(**other)) {
                wrong.push(format!("{}: the feature `{feature}` does not reach {missed}", path.display()));
            }
        }
    }
}

/// Adds what a crate depends on, directly or not, that computes: candle, and ours that depend on candle.
fn computing<'a>(ours: &'a Crates, name: &str, found: &mut BTreeSet<&'a str>) -> bool {
    let before = found.len();
    let dependencies = ours.get(name).and_then(|(_, manifest)| manifest.get("dependencies")?.as_table());
    let mut computes = false;
    for dependency in dependencies.into_iter().flat_map(Table::keys) {
        let is_candle = ["candle-core", "candle-nn"].contains(&dependency.as_str());
        if is_candle || computing(ours, dependency, found) {
            found.insert(dependency);
            computes = true;
        }
    }
    computes || found.len() > before
}

/// Adds the crates that `feature` of a crate switches it on in, directly or not.
fn reach<'a>(ours: &'a Crates, name: &str, feature: &str, reached: &mut BTreeSet<&'a str>) {
    let entries = ours.get(name).and_then(|(_, manifest)| manifest.get("features")?.get(feature)?.as_array());
    for entry in entries.into_iter().flatten().filter_map(|entry| entry.as_str()) {
        match entry.split_once('/') {
            Some((dependency, passed)) => {
                let dependency = dependency.trim_end_matches('?'); // of one that may be left out
                if passed == feature {
                    reached.insert(dependency);
                }
                reach(ours, dependency, passed, reached);
            }
            None => reach(ours, name, entry, reached),
        }
    }
}

fn kind<'a>(name: &'a str, path: &Path) -> &'a str {
    let path = path.to_string_lossy();
    if name.starts_with("flicker") || name == "xtask" {
        name
    } else if path.contains("crates/train/") {
        "train"
    } else {
        "model"
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_feature_that_ends_on_the_way_is_found() {
        let all = |to: &str| FEATURES.map(|feature| format!("{feature} = [\"{to}/{feature}\"]\n")).concat();
        let manifest = |text: String| -> Table { toml::from_str(&text).expect("a manifest") };
        let low = manifest(format!("[features]\n{}[dependencies]\ncandle-core = '1'", all("candle-core")));
        let top = |features: String| {
            manifest(format!("[features]\n{features}[dependencies]\nlow = '1'\nserde = '1'"))
        };
        let check = |top: Table| {
            let crates = [("low", low.clone()), ("top", top)];
            let path = |(name, manifest): (&str, Table)| (name.to_string(), (PathBuf::from(name), manifest));
            let mut wrong = Vec::new();
            check_features(&crates.into_iter().map(path).collect(), &mut wrong);
            wrong
        };
        assert_eq!(check(top(all("low"))), Vec::<String>::new());
        let broken = check(top(all("low").replace("low/mkl", "low/cuda")));
        assert_eq!(broken, ["top: the feature `mkl` does not reach low"]);
        let absent = check(top(String::new()));
        assert_eq!(absent.len(), FEATURES.len(), "{absent:?}");
    }
}
