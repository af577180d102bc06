//! Folders of images: who is what is told by the folder that a file lies in.
//!
//! Four layouts are known:
//!
//! - [`Layout::Mvtec`]: `train/good`, `test/good`, `test/DEFECT`, `ground_truth/DEFECT/NAME_mask.png` (Bergmann et al.,
//!   "MVTec AD", CVPR 2019);
//! - [`Layout::Anomalib`]: `normal`, `abnormal`, `mask/NAME.png`, perhaps `normal_test`, as anomalib's `Folder` takes them;
//! - [`Layout::Classes`]: a folder for each class, perhaps below `train` and `test`, as torchvision's `ImageFolder` takes
//!   them;
//! - [`Layout::Normals`]: images of normal things and nothing else.
//!
//! Images are decoded when they are read, never all at once, and each is brought to one size on the way, since those of a
//! folder differ. Heads of all files are read when the folder is opened, so that a broken file is known before a training
//! begins.

mod files;
mod layout;
mod walk;

#[cfg(test)]
mod tests;

use super::{Dataset, Limits, Masks, OnError, Part, Resize};
use crate::{Error, Result};
use files::{Entry, ImageFiles, MaskFiles};
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// How a folder is laid out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Layout {
    /// `train/good`, `test/good`, `test/DEFECT`, `ground_truth/DEFECT/NAME_mask.png`.
    Mvtec,
    /// `normal`, `abnormal`, `mask/NAME.png`, `normal_test`.
    Anomalib,
    /// A folder for each class, perhaps below `train` and `test`.
    Classes,
    /// Normal images only; their class is `normal`.
    Normals,
}

/// How a folder is read.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Options {
    /// How it is laid out; told from its folders when absent.
    pub layout: Option<Layout>,
    /// Channels of the samples, 1 or 3; when absent, 3 if any image is in colour and 1 otherwise.
    pub channels: Option<usize>,
    /// How images are brought to one size. [`Resize::Keep`] demands that they have one.
    pub resize: Resize,
    /// What one file may ask for.
    pub limits: Limits,
    /// What is done about a file that is broken, or whose mask is. To skip them, every file is decoded when the folder is opened.
    pub on_error: OnError,
}

/// A folder that was opened.
#[derive(Debug)]
pub struct Folder {
    /// Its images, with masks where the layout has them. The id of a sample is its path within the folder.
    pub dataset: Dataset,
    /// How it is laid out.
    pub layout: Layout,
    /// Files that are no images by their ending, and were passed over.
    pub n_ignored: usize,
    /// What is wrong with each file that was skipped.
    pub skipped: Vec<Error>,
}

/// Opens the folder `root` as the data set `name`. Samples come in the order of their paths, byte by byte.
///
/// # Errors
/// If the folder has none of the layouts, a mask lacks, a folder leads back into itself, or the images differ in size and
/// `resize` keeps it; if a file is broken, empty or larger than the limits, or its mask has another size, and broken files are
/// not to be skipped, or no other is left.
pub fn open(name: &str, root: &Path, options: &Options) -> Result<Folder> {
    if let Some(channels) = options.channels.filter(|channels| ![1, 3].contains(channels)) {
        return Err(Error::config("data.channels", format!("{channels}, expected 1 (grey) or 3 (colour)")));
    }
    let mut found = layout::read(root, options.layout)?;
    let (heads, skipped) = files::looked_through(&mut found.files, options)?;
    let coloured = heads.iter().any(|head| head.channels == 3);
    let channels = options.channels.unwrap_or(if coloured { 3 } else { 1 });
    let size = common_size(&found.files, &heads, options.resize)?;
    let labels = found.files.iter().map(|file| file.label).collect();
    let parts = found.files.iter().map(|file| file.part).collect();
    let known: Vec<bool> = found.files.iter().map(|file| file.mask_is_known).collect();
    let masks = found.files.iter().any(|file| file.mask.is_some()).then(|| {
        let masks = found.files.iter().zip(&heads).map(|(file, head)| (file.mask.clone(), head.size));
        MaskFiles::open(masks.collect(), size, options.resize, options.limits)
    });
    let entries = found.files.into_iter().map(|file| Entry { path: file.path, id: file.id }).collect();
    let shape = (channels, size[0], size[1]).into();
    let images = ImageFiles::new(entries, shape, options.resize, options.limits);
    let mut dataset = Dataset::new(name, Arc::new(images), labels, found.classes, parts)?;
    if let Some(masks) = masks {
        dataset = dataset.with_known_masks(Masks::known(Arc::new(masks?), known)?)?;
    }
    Ok(Folder { dataset, layout: found.layout, n_ignored: found.n_ignored, skipped })
}

/// The one size that all images get, after a look at whether they can.
fn common_size(files: &[File], heads: &[super::Header], resize: Resize) -> Result<[usize; 2]> {
    let size = resize.size().unwrap_or(heads[0].size);
    for (file, head) in files.iter().zip(heads) {
        let [height, width] = head.size;
        let problem = match resize.plan(head.size) {
            Ok(plan) if plan.to() == size => continue,
            Ok(_) => format!(
                "{height}x{width}, but {} is {}x{}; `data.prepare.resize` brings all to one size",
                files[0].id, size[0], size[1]
            ),
            Err(error) => error.to_string(),
        };
        return Err(Error::data(file.path.display().to_string(), problem));
    }
    Ok(size)
}

/// An image of a folder.
struct File {
    path: PathBuf,
    /// Path within the folder, with `/`.
    id: String,
    label: u32,
    part: Part,
    mask: Option<PathBuf>,
    /// Whether it is known where the image is abnormal: by a mask, or because it is not.
    mask_is_known: bool,
}
