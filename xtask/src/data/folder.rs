//! Files that the user has already, in a folder of his own, plain or gzip; and whole folders of images.

use super::{Wanted, place, progress::say};
use anyhow::{Context, Result, bail};
use flate2::read::MultiGzDecoder;
use flicker_manifest::{Digest, File, Manifest, digest, images};
use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};

/// Copies what is missing from the folder `from`, and from the folder `FLICKER_DATA`.
pub(super) fn fetch(wanted: &Wanted<'_>, from: Option<&Path>) -> Result<()> {
    let roots: Vec<PathBuf> = from
        .map(Path::to_path_buf)
        .into_iter()
        .chain(std::env::var_os("FLICKER_DATA").map(Into::into))
        .collect();
    if roots.is_empty() {
        bail!("no folder given; --from DIR or FLICKER_DATA names one");
    }
    if let Some(from) = from.filter(|from| !from.is_dir()) {
        bail!("{} is no folder", from.display());
    }
    let mut problems = Vec::new();
    for file in &wanted.files {
        if let Err(problem) = copy(wanted, file, &roots) {
            problems.push(format!("{problem:#}"));
        }
    }
    if !problems.is_empty() {
        bail!("{}", problems.join("; "));
    }
    Ok(())
}

/// Copies a whole folder of images from `from`, or from the folder `FLICKER_DATA`, to `target`, unless it is there.
pub(super) fn fetch_images(
    manifest: &Manifest,
    expected: &Digest,
    target: &Path,
    from: Option<&Path>,
) -> Result<()> {
    let name = &manifest.name;
    let found = |folder: &Path| if folder.is_dir() { digest(folder, &mut |_| {}) } else { Ok(NOTHING) };
    let there = found(target)?;
    if there == *expected {
        say(&format!("{name}: already there and verified, in {}", target.display()));
        return Ok(());
    }
    if there != NOTHING {
        bail!("{name}: {} holds {there:?}, expected {expected:?}; move it away", target.display());
    }
    let others = std::env::var_os("FLICKER_DATA").map(PathBuf::from);
    let roots: Vec<PathBuf> = from.map(Path::to_path_buf).into_iter().chain(others).collect();
    for root in roots.iter().flat_map(|root| [root.clone(), root.join(name)]) {
        if found(&root)? == *expected {
            copy_images(&root, target)?;
            say(&format!("{name}: whole and verified, in {}", target.display()));
            return Ok(());
        }
    }
    bail!(
        "{name}: no package has it. {}; --from DIR names a folder that holds it",
        manifest.remarks.join(". ")
    )
}

const NOTHING: Digest = Digest { files: 0, bytes: 0, sha256: String::new() };

/// Copies beside `target` first, so that a folder of this name is always whole.
fn copy_images(root: &Path, target: &Path) -> Result<()> {
    let beside = target.with_extension("partial");
    if beside.exists() {
        fs::remove_dir_all(&beside).with_context(|| beside.display().to_string())?;
    }
    for image in images(root)? {
        let to = beside.join(&image);
        let parent = to.parent().context("an image lies in a folder")?;
        fs::create_dir_all(parent).with_context(|| parent.display().to_string())?;
        fs::copy(root.join(&image), &to).with_context(|| to.display().to_string())?;
    }
    // What is there instead holds no image; a rename refuses a folder that is not empty.
    fs::rename(&beside, target).with_context(|| target.display().to_string())
}

/// Copies the first file that turns out to be the right one.
fn copy(wanted: &Wanted<'_>, file: &File, roots: &[PathBuf]) -> Result<()> {
    let mut problems = Vec::new();
    for path in roots.iter().flat_map(|root| candidates(root, &wanted.manifest.name, &file.name)) {
        if !path.is_file() || path == wanted.folder.join(&file.name) {
            continue;
        }
        let copied = open(&path, &file.name).and_then(|mut reader| place(wanted, file, &mut reader));
        match copied {
            Ok(()) => return Ok(()),
            Err(error) => problems.push(format!("{}: {error:#}", path.display())),
        }
    }
    if problems.is_empty() {
        let names: Vec<String> = roots.iter().map(|root| root.display().to_string()).collect();
        bail!("no {} in {}", file.name, names.join(" or "));
    }
    bail!("{}", problems.join("; "))
}

/// Where a file may lie in a folder: in it, in one named as the data set, in its `raw` (as torchvision leaves it).
fn candidates(root: &Path, name: &str, file: &str) -> Vec<PathBuf> {
    let torchvision = match name {
        "mnist" => "MNIST/raw",
        "fashion-mnist" => "FashionMNIST/raw",
        _ => "raw",
    };
    let folders = [root.to_path_buf(), root.join(name), root.join(name).join("raw"), root.join(torchvision)];
    folders.iter().flat_map(|folder| [folder.join(file), folder.join(format!("{file}.gz"))]).collect()
}

/// Opens `path`, unpacking it if it is gzip and the file that is wanted is not.
pub(super) fn open(path: &Path, wanted: &str) -> Result<Box<dyn Read>> {
    let file = fs::File::open(path).with_context(|| path.display().to_string())?;
    let packed = path.extension().is_some_and(|extension| extension == "gz");
    Ok(unpacked(Box::new(file), packed && !wanted.ends_with(".gz")))
}

/// `reader`, unpacked if `packed`.
pub(super) fn unpacked<'a>(reader: Box<dyn Read + 'a>, packed: bool) -> Box<dyn Read + 'a> {
    if packed { Box::new(MultiGzDecoder::new(reader)) } else { reader }
}
