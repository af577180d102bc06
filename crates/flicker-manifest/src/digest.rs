//! Whether a folder of images is the one that is meant: one hash over all of them.
//!
//! It is the SHA-256 of what `sha256sum` says of the images in the order of their paths:
//! `find . -type f -iname '*.png' … | sed 's|^\./||' | LC_ALL=C sort | xargs sha256sum | sha256sum`. Other files do not count.

use crate::{Error, Hasher, Result, sha256_of};
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};

/// Endings of images, in lower case.
const IMAGES: [&str; 6] = ["bmp", "jpeg", "jpg", "png", "tif", "tiff"];

/// Folders within folders, at most: more are a loop.
const DEEPEST: usize = 32;

/// What identifies a folder of images.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Digest {
    /// Number of images.
    pub files: usize,
    /// Their length, all together.
    pub bytes: u64,
    /// The hash over their names and contents.
    pub sha256: String,
}

/// Reads all images below `folder`, calling `progress` with the number of bytes after each.
///
/// # Errors
/// If one cannot be read, or folders lie too deep in each other.
pub fn digest(folder: &Path, progress: &mut dyn FnMut(u64)) -> Result<Digest> {
    let (mut hasher, mut bytes, mut files) = (Hasher::default(), 0, 0);
    for name in images(folder)? {
        let path = folder.join(&name);
        let content = std::fs::read(&path).map_err(|error| Error::io(&path, error))?;
        hasher.update(format!("{}  {name}\n", sha256_of(&content)).as_bytes());
        files += 1;
        bytes += content.len() as u64;
        progress(content.len() as u64);
    }
    Ok(Digest { files, bytes, sha256: hasher.hex() })
}

/// The paths of all images below `folder`, within it and with `/`, sorted byte by byte. Names that begin with a dot are passed
/// over.
///
/// # Errors
/// If a folder cannot be read, or folders lie too deep in each other.
pub fn images(folder: &Path) -> Result<Vec<String>> {
    let mut found = Vec::new();
    let mut waiting: Vec<(PathBuf, String, usize)> = vec![(folder.into(), String::new(), 0)];
    while let Some((dir, prefix, depth)) = waiting.pop() {
        if depth > DEEPEST {
            return Err(Error::file(
                &dir,
                format!("lies more than {DEEPEST} folders deep, perhaps in a loop"),
            ));
        }
        for entry in std::fs::read_dir(&dir).map_err(|error| Error::io(&dir, error))? {
            let path = entry.map_err(|error| Error::io(&dir, error))?.path();
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            if name.starts_with('.') {
                continue;
            }
            let within = format!("{prefix}{name}");
            if path.is_dir() {
                waiting.push((path, format!("{within}/"), depth + 1));
            } else if is_image(&path) {
                found.push(within);
            }
        }
    }
    found.sort();
    Ok(found)
}

fn is_image(path: &Path) -> bool {
    let ending = path.extension().unwrap_or_default().to_string_lossy().to_ascii_lowercase();
    IMAGES.contains(&ending.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_that_of_sha256sum() -> Result<()> {
        let folder = tempfile::tempdir().expect("a folder");
        for (name, text) in [("b.png", "2"), ("a/x.JPG", "1"), ("a/.hidden.png", "3"), ("notes.txt", "4")] {
            let path = folder.path().join(name);
            std::fs::create_dir_all(path.parent().expect("a folder")).expect("made");
            std::fs::write(path, text).expect("written");
        }
        let mut seen = 0;
        let found = digest(folder.path(), &mut |n| seen += n)?;
        // printf 1 > a/x.JPG; printf 2 > b.png; sha256sum a/x.JPG b.png | sha256sum
        let sha256 = "54f097bcabec5bcbd8bea3ac9cc3c83987934fe78ab2d1c9b5b80d33d6dcc220";
        assert_eq!((found, seen), (Digest { files: 2, bytes: 2, sha256: sha256.into() }, 2));
        Ok(())
    }
}
