//! The data of an experiment: whether they are there, and whether a run folder is of the same ones, by their hashes.

use anyhow::{Context, Result};
use flicker_manifest::{Error, Located, Manifest};
use serde_json::Value;
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use toml::Table;

/// Where data are looked for.
pub(super) struct Data {
    pub(super) root: PathBuf,
    /// Hashes of the users' own folders, which take a while.
    folders: Mutex<BTreeMap<PathBuf, String>>,
}

/// What an experiment names.
enum Source {
    /// The user's own folder of images.
    Folder(PathBuf),
    /// The user's own table.
    Table(PathBuf),
    /// A data set.
    Set(Box<Manifest>),
}

impl Data {
    /// Those in the folder `root`.
    pub(super) fn new(root: PathBuf) -> Self {
        Self { root, folders: Mutex::default() }
    }

    /// What brings the data of an experiment, where they are absent: none of the files is there and no sample stands in, or may
    /// stand in where the full set is asked for. `None` where they can be read, and where something else is wrong with them, which
    /// the program says.
    pub(super) fn absent(&self, experiment: &Table, full: bool) -> Option<String> {
        match source(experiment).ok()? {
            Source::Folder(folder) if folder.is_dir() => None,
            Source::Folder(folder) => Some(format!("no folder {}", folder.display())),
            Source::Table(table) if table.is_file() => None,
            Source::Table(table) => Some(format!("no table {}, which is to be one's own", table.display())),
            Source::Set(manifest) => {
                let nothing = || {
                    let folder = self.root.join(&manifest.name);
                    manifest.files.iter().all(|file| !folder.join(&file.name).exists())
                };
                match flicker_manifest::locate(&manifest, &self.root) {
                    Err(absent @ Error::Absent { .. }) if nothing() => Some(absent.to_string()),
                    Ok(located @ Located::Embedded { .. }) if full && !manifest.embedded => {
                        Some(located.to_string())
                    }
                    _ => None,
                }
            }
        }
    }

    /// Whether the data behind a run folder are those that `experiment` would read now, or the full set that it asks for, which
    /// may be absent here.
    pub(super) fn same(&self, experiment: &Table, dir: &Path) -> Result<bool> {
        let data: Value = serde_json::from_str(&fs::read_to_string(dir.join("data.json"))?)?;
        let files = data["files"].as_array().context("data.json: no files")?;
        let then: Vec<&str> = files.iter().filter_map(|file| file["sha256"].as_str()).collect();
        match source(experiment)? {
            Source::Folder(folder) => Ok(then == [self.digest(&folder)?]),
            Source::Table(table) => Ok(then == [flicker_manifest::sha256_of_file(&table)?.0]),
            Source::Set(manifest) => {
                let sample = match flicker_manifest::locate(&manifest, &self.root) {
                    Ok(Located::Embedded { sample, .. }) => Some(flicker_manifest::named(&sample)?),
                    _ => None,
                };
                Ok(then == manifest.hashes() || sample.is_some_and(|sample| then == sample.hashes()))
            }
        }
    }

    fn digest(&self, folder: &Path) -> Result<String> {
        let mut known = self.folders.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        if let Some(digest) = known.get(folder) {
            return Ok(digest.clone());
        }
        let digest = flicker_manifest::digest(folder, &mut |_| {})?.sha256;
        known.insert(folder.into(), digest.clone());
        Ok(digest)
    }
}

fn source(experiment: &Table) -> Result<Source> {
    let data = experiment.get("data").and_then(toml::Value::as_table).context("no table `data`")?;
    let text = |key: &str| data.get(key).and_then(toml::Value::as_str);
    let table = data.get("table").and_then(|table| table.get("path")?.as_str());
    match (text("folder"), table) {
        (Some(folder), _) => Ok(Source::Folder(folder.into())),
        (None, Some(table)) => Ok(Source::Table(table.into())),
        (None, None) => {
            let manifest = flicker_manifest::named(text("name").context("no `data.name`")?)?;
            Ok(Source::Set(Box::new(manifest)))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn experiment(data: &str) -> Table {
        toml::from_str(&format!("[data]\n{data}")).expect("TOML")
    }

    #[test]
    fn data_are_absent_only_where_nothing_is_there() {
        let root = tempfile::tempdir().expect("a folder");
        let data = Data::new(root.path().into());
        let said = data.absent(&experiment("name = 'creditcard'"), false).expect("nothing is there");
        assert!(said.contains("`cargo xtask data creditcard` brings it"), "{said}");
        let mnist = experiment("name = 'mnist'");
        assert_eq!(data.absent(&mnist, false), None, "its sample stands in");
        assert!(
            data.absent(&mnist, true).is_some_and(|said| said.contains("`cargo xtask data mnist` brings it"))
        );
        assert_eq!(data.absent(&experiment("name = 'mnist-sample'"), true), None, "it was asked for itself");
        let folder = root.path().join("creditcard");
        fs::create_dir(&folder).expect("made");
        fs::write(folder.join("creditcard.csv"), "cut").expect("written");
        assert_eq!(
            data.absent(&experiment("name = 'creditcard'"), false),
            None,
            "damaged, which is an error"
        );
        let own = experiment(&format!("folder = '{}'", folder.display()));
        assert_eq!(data.absent(&own, true), None);
        assert!(data.absent(&experiment("folder = 'no/such'"), false).is_some());
        assert!(data.absent(&experiment("table = { path = 'no/such.csv' }"), false).is_some());
    }

    #[test]
    fn the_data_of_a_run_folder_are_told_by_their_hashes() -> Result<()> {
        let root = tempfile::tempdir()?;
        let (data, run) = (Data::new(root.path().into()), root.path().join("run"));
        let recorded = |hashes: &[&str]| {
            let files: Vec<Value> = hashes.iter().map(|hash| serde_json::json!({ "sha256": hash })).collect();
            fs::create_dir_all(&run).expect("made");
            fs::write(run.join("data.json"), serde_json::json!({ "files": files }).to_string())
                .expect("written");
        };
        let mnist = experiment("name = 'mnist'");
        for name in ["mnist-sample", "mnist", "shuttle"] {
            recorded(&flicker_manifest::named(name)?.hashes());
            assert_eq!(data.same(&mnist, &run)?, name != "shuttle", "{name}");
        }
        // A folder of one's own, before and after a picture is changed.
        let images = root.path().join("images");
        fs::create_dir(&images)?;
        fs::write(images.join("a.png"), "a")?;
        let own = experiment(&format!("folder = '{}'", images.display()));
        let digest = flicker_manifest::digest(&images, &mut |_| {})?.sha256;
        recorded(&[&digest]);
        assert!(data.same(&own, &run)?);
        fs::write(images.join("a.png"), "b")?;
        assert!(!Data::new(root.path().into()).same(&own, &run)?);
        // A table of one's own.
        let table = root.path().join("t.csv");
        fs::write(&table, "a\n1\n")?;
        recorded(&[&flicker_manifest::sha256_of(b"a\n1\n")]);
        let own = experiment(&format!("table = {{ path = '{}' }}", table.display()));
        assert!(data.same(&own, &run)?);
        fs::write(&table, "a\n2\n")?;
        assert!(!data.same(&own, &run)?);
        Ok(())
    }
}
