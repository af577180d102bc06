//! Walking through folders: sorted, following links, and noticing when they lead in circles.

use super::super::EXTENSIONS;
use crate::{Error, Result};
use std::path::{Path, PathBuf};

/// Folders within folders, at most.
const DEEPEST: usize = 32;

/// What lies in a folder, by name. Names that begin with a dot are passed over.
#[derive(Debug, Default)]
pub(super) struct Content {
    /// Folders, sorted.
    pub(super) folders: Vec<PathBuf>,
    /// Images by their ending, sorted.
    pub(super) images: Vec<PathBuf>,
    /// Other files.
    pub(super) n_others: usize,
}

/// What lies in `dir`, without what lies in its folders.
pub(super) fn content(dir: &Path) -> Result<Content> {
    let mut content = Content::default();
    for entry in std::fs::read_dir(dir).map_err(|error| Error::io(dir, error))? {
        let path = entry.map_err(|error| Error::io(dir, error))?.path();
        if name(&path).starts_with('.') {
            continue;
        }
        // Follows links; a link to nowhere is an error that names it.
        let kind = std::fs::metadata(&path).map_err(|error| Error::io(&path, error))?;
        if kind.is_dir() {
            content.folders.push(path);
        } else if is_image(&path) {
            content.images.push(path);
        } else {
            content.n_others += 1;
        }
    }
    content.folders.sort();
    content.images.sort();
    Ok(content)
}

/// All images below `dir`, and the number of other files.
///
/// # Errors
/// If a folder cannot be read, or is one of those that lead to it.
pub(super) fn images(dir: &Path) -> Result<(Vec<PathBuf>, usize)> {
    let (mut images, mut n_others) = (Vec::new(), 0);
    descend(dir, &mut Vec::new(), &mut images, &mut n_others)?;
    Ok((images, n_others))
}

fn descend(
    dir: &Path,
    above: &mut Vec<PathBuf>,
    images: &mut Vec<PathBuf>,
    n_others: &mut usize,
) -> Result<()> {
    let real = dir.canonicalize().map_err(|error| Error::io(dir, error))?;
    let refused = |problem: String| Err(Error::data(dir.display().to_string(), problem));
    if above.contains(&real) {
        return refused(format!("leads back to {}, a loop of folders", real.display()));
    }
    if above.len() >= DEEPEST {
        return refused(format!("lies more than {DEEPEST} folders deep"));
    }
    above.push(real);
    let found = content(dir)?;
    images.extend(found.images);
    *n_others += found.n_others;
    for folder in found.folders {
        descend(&folder, above, images, n_others)?;
    }
    above.pop();
    Ok(())
}

/// The last part of a path.
pub(super) fn name(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

/// The path of `file` within `root`, with `/`.
pub(super) fn within(root: &Path, file: &Path) -> String {
    let inner = file.strip_prefix(root).unwrap_or(file);
    inner.components().map(|part| part.as_os_str().to_string_lossy()).collect::<Vec<_>>().join("/")
}

fn is_image(path: &Path) -> bool {
    let extension = path.extension().unwrap_or_default().to_string_lossy().to_ascii_lowercase();
    EXTENSIONS.contains(&extension.as_str())
}
