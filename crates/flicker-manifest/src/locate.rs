//! Where a data set is: in full on the disk, or as the embedded sample.

use crate::{Error, Format, Manifest, Result, images};
use std::path::{Path, PathBuf};

/// Where data sets go when nobody says otherwise. It need not be there.
const DEFAULT_ROOT: &str = "data";

/// The folder of all data sets: the environment's `FLICKER_DATA`, or `data`.
pub fn data_root() -> PathBuf {
    let named = std::env::var_os("FLICKER_DATA").filter(|root| !root.is_empty());
    named.map_or_else(|| DEFAULT_ROOT.into(), PathBuf::from)
}

/// Where a data set is. Its text, for the user, says which.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Located {
    /// The files lie in a folder.
    Full {
        /// The data set.
        name: String,
        /// The folder.
        folder: PathBuf,
    },
    /// The embedded set `sample`.
    Embedded {
        /// The data set that was asked for.
        name: String,
        /// The embedded one; equal to `name` if it was asked for itself.
        sample: String,
        /// Where the full one was looked for.
        folder: PathBuf,
    },
}

/// Finds the full set in `root`, or the embedded sample that stands in for it. A file counts as there when it has the
/// right length; whoever reads it verifies the hash.
///
/// # Errors
/// If `root` is not the default one and not there, only some of the files are there, one has another length, or none is
/// there and no sample stands in.
pub fn locate(manifest: &Manifest, root: &Path) -> Result<Located> {
    let (name, folder) = (manifest.name.clone(), root.join(&manifest.name));
    if manifest.embedded {
        return Ok(Located::Embedded { sample: name.clone(), name, folder });
    }
    if root != Path::new(DEFAULT_ROOT) && !root.is_dir() {
        return Err(Error::file(root, "expected the folder of the data sets, found none".into()));
    }
    if let Format::Folder { digest, .. } = &manifest.format {
        expect_images(&name, &folder, digest.files)?;
        return Ok(Located::Full { name, folder });
    }
    let mut absent = Vec::new();
    for file in &manifest.files {
        let path = folder.join(&file.name);
        match std::fs::metadata(&path) {
            Ok(found) if found.len() == file.bytes => {}
            Ok(found) => {
                let problem = format!(
                    "expected {} bytes, found {}; `cargo xtask data {name}` mends it",
                    file.bytes,
                    found.len()
                );
                return Err(Error::file(&path, problem));
            }
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => absent.push(file.name.as_str()),
            Err(error) => return Err(Error::io(&path, error)),
        }
    }
    if absent.is_empty() {
        return Ok(Located::Full { name, folder });
    }
    match &manifest.sample {
        Some(sample) if absent.len() == manifest.files.len() => {
            Ok(Located::Embedded { name, sample: sample.clone(), folder })
        }
        _ => Err(Error::Absent { name, folder, problem: format!("missing {}", absent.join(", ")) }),
    }
}

/// Refuses a folder that is not there, or has another number of images.
fn expect_images(name: &str, folder: &Path, expected: usize) -> Result<()> {
    let found = if folder.is_dir() { images(folder)?.len() } else { 0 };
    if found == 0 {
        let problem = format!("missing {expected} images");
        return Err(Error::Absent { name: name.into(), folder: folder.into(), problem });
    }
    if found != expected {
        let problem =
            format!("expected {expected} images, found {found}; `cargo xtask data {name}` says more");
        return Err(Error::file(folder, problem));
    }
    Ok(())
}

impl std::fmt::Display for Located {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Full { name, folder } => write!(f, "full {name} from {}", folder.display()),
            Self::Embedded { name, sample, .. } if name == sample => write!(f, "embedded sample {sample}"),
            Self::Embedded { name, sample, folder } => write!(
                f,
                "embedded sample {sample} instead of the full {name}, which is not in {}; `cargo xtask data {name}` brings it",
                folder.display()
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::named;

    #[test]
    fn full_half_broken_or_embedded() -> Result<()> {
        let root = tempfile::tempdir().expect("a folder");
        let mnist = named("mnist")?;
        let embedded = locate(&mnist, root.path())?;
        assert!(
            matches!(&embedded, Located::Embedded { sample, .. } if sample == "mnist-sample"),
            "{embedded}"
        );
        let folder = root.path().join("mnist");
        std::fs::create_dir(&folder).expect("made");
        for file in &mnist.files {
            if file.name.starts_with("t10k") {
                let half = locate(&mnist, root.path());
                assert!(folder.join("train-labels-idx1-ubyte").exists() == half.is_err(), "{half:?}");
            }
            let out = std::fs::File::create(folder.join(&file.name)).expect("made");
            out.set_len(file.bytes).expect("a length");
        }
        assert_eq!(
            locate(&mnist, root.path())?,
            Located::Full { name: "mnist".into(), folder: folder.clone() }
        );
        std::fs::write(folder.join("t10k-labels-idx1-ubyte"), b"cut").expect("written");
        let message = locate(&mnist, root.path()).unwrap_err().to_string();
        assert!(message.contains("expected 10008 bytes, found 3; `cargo xtask data mnist`"), "{message}");
        let message = locate(&mnist, Path::new("no/such/folder")).unwrap_err().to_string();
        assert_eq!(message, "no/such/folder: expected the folder of the data sets, found none");
        let message = locate(&named("shuttle")?, root.path()).unwrap_err().to_string();
        assert!(message.contains("missing shuttle.csv.gz; `cargo xtask data shuttle`"), "{message}");
        Ok(())
    }
}
