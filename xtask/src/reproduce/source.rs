//! What a family's program is made of, as one hash: the source of the crates behind it, and the packages that `Cargo.lock` names.
//!
//! A version number does not change with the code, and a commit changes without it. So a result is taken as that of the program
//! at hand if the source of its family, of the core, the kernels and the runner, and the locked packages under them are the same.
//! Tests, charts and reports make no numbers and do not count.

use anyhow::{Context, Result};
use flicker_manifest::{Hasher, sha256_of};
use serde::Deserialize;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use toml::Table;

/// Crates that draw.
const CRATES_THAT_DRAW: [&str; 1] = ["flicker-charts"];

/// Folders of source that draw or test.
const FOLDERS_LEFT_OUT: [&str; 5] = ["report", "pictures", "tensorboard", "tests", "fixtures"];

/// The hashes of all families of a workspace.
pub(super) struct Sources {
    lock: Lock,
    /// Folders of the workspace's crates, by name.
    crates: BTreeMap<String, PathBuf>,
    /// What is known of each, since many stand behind several families.
    known: Mutex<BTreeMap<String, String>>,
}

#[derive(Deserialize)]
struct Lock {
    package: Vec<Package>,
}

#[derive(Deserialize)]
struct Package {
    name: String,
    version: String,
    source: Option<String>,
    checksum: Option<String>,
    #[serde(default)]
    dependencies: Vec<String>,
}

impl Sources {
    /// Those of the workspace in `root`.
    pub(super) fn read(root: &Path) -> Result<Self> {
        let lock = toml::from_str(&fs::read_to_string(root.join("Cargo.lock")).context("Cargo.lock")?)?;
        let mut crates = BTreeMap::new();
        for path in crate::check::files_under(&root.join("crates"), "Cargo.toml")? {
            let manifest: Table = toml::from_str(&fs::read_to_string(&path)?)?;
            let name = manifest.get("package").and_then(|package| package.get("name")?.as_str());
            if let (Some(name), Some(folder)) = (name, path.parent()) {
                crates.insert(name.to_string(), folder.to_path_buf());
            }
        }
        Ok(Self { lock, crates, known: Mutex::default() })
    }

    /// The hash of `family`: by the crate of its name, or by the whole program if there is none.
    pub(super) fn of(&self, family: &str) -> Result<String> {
        let own = if self.crates.contains_key(family) { family } else { "flicker" };
        let mut hasher = Hasher::default();
        for package in self.behind(&["flicker-runner", own]) {
            let Package { name, version, source, checksum, .. } = package;
            if let Some(folder) = self.crates.get(name).filter(|_| source.is_none()) {
                hasher.update(format!("{}  {name}\n", self.of_crate(name, folder)?).as_bytes());
            } else {
                let checksum = checksum.as_deref().unwrap_or_default();
                hasher.update(format!("{checksum}  {name} {version}\n").as_bytes());
            }
        }
        Ok(hasher.hex().chars().take(16).collect())
    }

    /// The hashes by the name of every crate, since one that is a family is not told from others here.
    pub(super) fn all(&self) -> Result<BTreeMap<String, String>> {
        self.crates.keys().map(|name| Ok((name.clone(), self.of(name)?))).collect()
    }

    fn of_crate(&self, name: &str, folder: &Path) -> Result<String> {
        let mut known = self.known.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        if let Some(hash) = known.get(name) {
            return Ok(hash.clone());
        }
        let mut hasher = Hasher::default();
        for (path, hash) in files(folder)? {
            hasher.update(format!("{hash}  {path}\n").as_bytes());
        }
        let hash = hasher.hex();
        known.insert(name.to_string(), hash.clone());
        Ok(hash)
    }

    /// The packages that those called `names` need, themselves too, in the order of the lock file.
    fn behind(&self, names: &[&str]) -> impl Iterator<Item = &Package> {
        let (mut reached, mut waiting) = (BTreeSet::new(), Vec::new());
        waiting.extend(names.iter().map(|name| (*name).to_string()));
        while let Some(wanted) = waiting.pop() {
            // `name`, or `name version` where there are several.
            let mut words = wanted.split(' ');
            let (name, version) = (words.next().unwrap_or_default(), words.next());
            for (i, package) in self.lock.package.iter().enumerate() {
                let same = package.name == name && version.is_none_or(|version| version == package.version);
                if same && !CRATES_THAT_DRAW.contains(&name) && reached.insert(i) {
                    waiting.extend(package.dependencies.iter().cloned());
                }
            }
        }
        reached.into_iter().filter_map(|i| self.lock.package.get(i))
    }
}

/// The hashes of a crate's manifest and source, by path, sorted.
fn files(folder: &Path) -> Result<BTreeMap<String, String>> {
    let mut found = BTreeMap::new();
    let mut add = |path: &Path| -> Result<()> {
        let name = path.strip_prefix(folder).unwrap_or(path).display().to_string();
        found.insert(name, sha256_of(&fs::read(path).with_context(|| path.display().to_string())?));
        Ok(())
    };
    for name in ["Cargo.toml", "build.rs"] {
        let path = folder.join(name);
        if path.exists() {
            add(&path)?;
        }
    }
    let mut waiting = vec![folder.join("src")];
    while let Some(dir) = waiting.pop() {
        for entry in fs::read_dir(&dir).with_context(|| dir.display().to_string())? {
            let path = entry?.path();
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            if path.is_dir() && !FOLDERS_LEFT_OUT.contains(&name.as_str()) {
                waiting.push(path);
            } else if path.is_file() && name != "tests.rs" {
                add(&path)?;
            }
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn workspace(root: &Path) -> Result<()> {
        let lock = r#"
            [[package]]
            name = "toy"
            version = "0.1.0"
            dependencies = ["flicker-core", "serde 1.0.0"]
            [[package]]
            name = "other"
            version = "0.1.0"
            [[package]]
            name = "flicker-core"
            version = "0.1.0"
            [[package]]
            name = "flicker-runner"
            version = "0.1.0"
            dependencies = ["flicker-charts"]
            [[package]]
            name = "flicker-charts"
            version = "0.1.0"
            [[package]]
            name = "serde"
            version = "1.0.0"
            source = "registry"
            checksum = "aa"
            [[package]]
            name = "serde"
            version = "2.0.0"
            source = "registry"
            checksum = "bb"
        "#;
        fs::write(root.join("Cargo.lock"), lock)?;
        for name in ["toy", "other", "flicker-core", "flicker-runner", "flicker-charts"] {
            let folder = root.join("crates").join(name);
            fs::create_dir_all(folder.join("src/report"))?;
            fs::write(folder.join("Cargo.toml"), format!("[package]\nname = \"{name}\""))?;
            for file in ["lib.rs", "tests.rs", "report/mod.rs"] {
                fs::write(folder.join("src").join(file), "//! A file.")?;
            }
        }
        Ok(())
    }

    #[test]
    fn the_hash_changes_with_what_makes_the_numbers_and_with_nothing_else() -> Result<()> {
        let dir = tempfile::tempdir()?;
        let root = dir.path();
        workspace(root)?;
        let now = || Sources::read(root)?.of("toy");
        let before = now()?;
        for path in [
            "other/src/lib.rs",
            "flicker-charts/src/lib.rs",
            "toy/src/tests.rs",
            "flicker-runner/src/report/mod.rs",
        ] {
            fs::write(root.join("crates").join(path), "//! Changed.")?;
            assert_eq!(now()?, before, "{path}");
        }
        let lock = fs::read_to_string(root.join("Cargo.lock"))?;
        fs::write(root.join("Cargo.lock"), lock.replace("\"bb\"", "\"cc\""))?;
        assert_eq!(now()?, before, "a version that it does not use");
        let mut all = vec![before];
        for path in ["toy/src/lib.rs", "flicker-core/src/lib.rs", "flicker-runner/Cargo.toml"] {
            let path = root.join("crates").join(path);
            fs::write(&path, fs::read_to_string(&path)? + "\n# more")?;
            all.push(now()?);
        }
        fs::write(root.join("Cargo.lock"), lock.replace("\"aa\"", "\"dd\""))?;
        all.push(now()?);
        let distinct: BTreeSet<_> = all.iter().collect();
        assert_eq!(distinct.len(), all.len(), "{all:?}");
        Ok(())
    }

    #[test]
    fn every_family_of_this_workspace_has_one() -> Result<()> {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().context("the workspace")?;
        let sources = Sources::read(root)?;
        let mut families = 0;
        for entry in fs::read_dir(root.join("crates/train"))? {
            let name = entry?.file_name().to_string_lossy().into_owned();
            let hash = sources.of(name.trim_end_matches("-train"))?;
            assert_eq!(hash.len(), 16);
            families += 1;
        }
        assert!(families >= 8);
        Ok(())
    }
}
