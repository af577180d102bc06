//! The run folder: what a run leaves, and where.

use crate::Failure;
use flicker_core::file::write_whole;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::fs;
use std::path::{Path, PathBuf};

/// The experiment as it ran, and what ran it.
pub(crate) const CONFIG: &str = "config.toml";
/// The trained model.
pub(crate) const WEIGHTS: &str = "weights.safetensors";

/// The folder of one run.
#[derive(Clone, Debug)]
pub(crate) struct Folder {
    dir: PathBuf,
}

impl Folder {
    /// A new folder at `out`, or under `runs/` by the name of the experiment and the next free number.
    pub(crate) fn create(out: Option<&Path>, name: &str, seed: u64) -> Result<Self, Failure> {
        let dir = match out {
            Some(out) if Self::at(out).path(CONFIG).exists() => {
                let hint = "exists already; --resume goes on with it";
                return Err(Failure::usage(format!("--out {}: {hint}", out.display())));
            }
            Some(out) if out.exists() => {
                return Err(Failure::usage(format!("--out {}: exists already", out.display())));
            }
            Some(out) => out.to_path_buf(),
            None => numbered(name, seed).1,
        };
        fs::create_dir_all(&dir).map_err(|error| Failure::Failed(format!("{}: {error}", dir.display())))?;
        Ok(Self { dir })
    }

    /// A new folder at `dir`, which the argument `option` names.
    pub(crate) fn create_at(option: &str, dir: &Path) -> Result<Self, Failure> {
        if dir.exists() {
            return Err(Failure::usage(format!("{option} {}: exists already", dir.display())));
        }
        fs::create_dir_all(dir).map_err(|error| Failure::Failed(format!("{}: {error}", dir.display())))?;
        Ok(Self::at(dir))
    }

    /// The folder to go on with: `out`, or the newest under `runs/` of this experiment and seed.
    pub(crate) fn reopen(out: Option<&Path>, name: &str, seed: u64) -> Result<Self, Failure> {
        let dir = match out {
            Some(out) => out.to_path_buf(),
            None => numbered(name, seed).0.ok_or_else(|| {
                Failure::usage(format!("--resume: there is no run of {name} with seed {seed} under runs"))
            })?,
        };
        let folder = Self { dir };
        if !folder.path(CONFIG).exists() {
            return Err(Failure::usage(format!(
                "--resume {}: is no run folder, it has no {CONFIG}",
                folder.dir.display()
            )));
        }
        Ok(folder)
    }

    /// The folder at `dir`.
    pub(crate) fn at(dir: &Path) -> Self {
        Self { dir: dir.to_path_buf() }
    }

    /// Removes the folder, which was made in vain, and hands back why.
    pub(crate) fn discard(self, why: Failure) -> Failure {
        // The first failure is the one to tell.
        let _ = fs::remove_dir_all(&self.dir);
        why
    }

    /// Its path.
    pub(crate) fn dir(&self) -> &Path {
        &self.dir
    }

    /// The path of a file in it.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.join(name)
    }

    /// What the JSON file `name` says.
    pub(crate) fn read_json<T: DeserializeOwned>(&self, name: &str) -> Result<T, Failure> {
        let path = self.path(name);
        let bytes = flicker_core::file::read(&path)?;
        serde_json::from_slice(&bytes)
            .map_err(|error| Failure::Failed(format!("{}: {error}", path.display())))
    }

    /// Writes a file, whole.
    pub(crate) fn write(&self, name: &str, bytes: &[u8]) -> Result<(), Failure> {
        let path = self.path(name);
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent)
                .map_err(|error| Failure::Failed(format!("{}: {error}", parent.display())))?;
        }
        Ok(write_whole(&path, bytes)?)
    }

    /// Writes a JSON file, whole.
    pub(crate) fn write_json(&self, name: &str, value: &impl Serialize) -> Result<(), Failure> {
        let mut text = serde_json::to_string_pretty(value)
            .map_err(|error| Failure::Failed(format!("{}: {error}", self.path(name).display())))?;
        text.push('\n');
        self.write(name, text.as_bytes())
    }
}

/// The newest folder under `runs/` of this experiment and seed, and the next free one.
fn numbered(name: &str, seed: u64) -> (Option<PathBuf>, PathBuf) {
    let path = |n: usize| Path::new("runs").join(format!("{name}-s{seed}-{n:03}"));
    let free = (1..).find(|&n| !path(n).exists()).unwrap_or(1);
    ((free > 1).then(|| path(free - 1)), path(free))
}
