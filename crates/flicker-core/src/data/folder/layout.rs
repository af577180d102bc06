//! The layouts: which one a folder has, and what it says of each file.

use super::walk::{content, images, name, within};
use super::{File, Layout};
use crate::data::{EXTENSIONS, Part};
use crate::{Error, Result};
use std::path::{Path, PathBuf};

/// What a folder holds.
pub(super) struct Found {
    pub(super) layout: Layout,
    /// Sorted by id; at least one.
    pub(super) files: Vec<File>,
    pub(super) classes: Vec<String>,
    pub(super) n_ignored: usize,
}

/// Reads the names in `root`.
pub(super) fn read(root: &Path, layout: Option<Layout>) -> Result<Found> {
    let layout = layout.map_or_else(|| detect(root), Ok)?;
    let mut reader = Reader { root, files: Vec::new(), classes: Vec::new(), n_ignored: 0 };
    match layout {
        Layout::Mvtec => reader.mvtec()?,
        Layout::Anomalib => reader.anomalib()?,
        Layout::Classes => reader.classes()?,
        Layout::Normals => {
            let label = reader.class("normal");
            reader.add(root, label, Part::Train)?;
        }
    }
    let Reader { mut files, classes, n_ignored, .. } = reader;
    if files.is_empty() {
        let problem = format!("no image in the layout {layout:?}, expected {} files", EXTENSIONS.join(", "));
        return Err(Error::data(root.display().to_string(), problem));
    }
    files.sort_by(|a, b| a.id.cmp(&b.id));
    Ok(Found { layout, files, classes, n_ignored })
}

/// The layout of `root`, by the names of its folders.
fn detect(root: &Path) -> Result<Layout> {
    let found = content(root)?;
    let has = |path: &str| root.join(path).is_dir();
    let undecided = |problem: &str| {
        let layouts = "`layout` is one of mvtec, anomalib, classes, normals";
        Err(Error::data(root.display().to_string(), format!("{problem}; {layouts}")))
    };
    match (found.images.is_empty(), found.folders.is_empty()) {
        (true, true) => undecided("no images and no folders of images"),
        (false, true) => Ok(Layout::Normals),
        (false, false) => undecided("images beside folders, so it is not clear which images are what"),
        (true, false) if has("train/good") => Ok(Layout::Mvtec),
        (true, false) if has("normal") => Ok(Layout::Anomalib),
        (true, false) => Ok(Layout::Classes),
    }
}

struct Reader<'a> {
    root: &'a Path,
    files: Vec<File>,
    classes: Vec<String>,
    n_ignored: usize,
}

impl Reader<'_> {
    fn mvtec(&mut self) -> Result<()> {
        let good = self.class("good");
        for (part, folder) in [(Part::Train, "train"), (Part::Test, "test")] {
            if !self.root.join(folder).is_dir() {
                continue;
            }
            for class in content(&self.root.join(folder))?.folders {
                let label = self.class(&name(&class));
                let first = self.files.len();
                self.add(&class, label, part)?;
                let masks = self.root.join("ground_truth").join(name(&class));
                self.add_masks(first, label == good, &class, &masks)?;
            }
        }
        Ok(())
    }

    fn anomalib(&mut self) -> Result<()> {
        let [normal, abnormal] = ["normal", "abnormal"].map(|class| self.class(class));
        let folders = [
            ("normal", normal, Part::Train),
            ("normal_test", normal, Part::Test),
            ("abnormal", abnormal, Part::Test),
        ];
        for (folder, label, part) in folders {
            let folder = self.root.join(folder);
            if folder.is_dir() {
                let first = self.files.len();
                self.add(&folder, label, part)?;
                self.add_masks(first, label == normal, &folder, &self.root.join("mask"))?;
            }
        }
        Ok(())
    }

    fn classes(&mut self) -> Result<()> {
        let has = |path: &str| self.root.join(path).is_dir();
        let parts = match (has("train"), has("test")) {
            (true, true) => {
                vec![(self.root.join("train"), Part::Train), (self.root.join("test"), Part::Test)]
            }
            _ => vec![(self.root.to_path_buf(), Part::Train)],
        };
        for (folder, part) in parts {
            for class in content(&folder)?.folders {
                let label = self.class(&name(&class));
                self.add(&class, label, part)?;
            }
        }
        Ok(())
    }

    /// The number of a class, which is new if it is not there.
    fn class(&mut self, name: &str) -> u32 {
        let known = self.classes.iter().position(|class| class == name);
        known.unwrap_or_else(|| {
            self.classes.push(name.to_owned());
            self.classes.len() - 1
        }) as u32
    }

    /// Adds all images below `folder`.
    fn add(&mut self, folder: &Path, label: u32, part: Part) -> Result<()> {
        let (paths, n_others) = images(folder)?;
        self.n_ignored += n_others;
        self.files.extend(paths.into_iter().map(|path| {
            let id = within(self.root, &path);
            File { path, id, label, part, mask: None, mask_is_known: false }
        }));
        Ok(())
    }

    /// Gives the files from `first` on, which lie below `folder`, their masks below `masks`. Normal ones need none. Where the
    /// folder of masks is there, every abnormal image must have one.
    fn add_masks(&mut self, first: usize, normal: bool, folder: &Path, masks: &Path) -> Result<()> {
        for file in &mut self.files[first..] {
            file.mask_is_known = normal;
            if !normal && masks.is_dir() {
                let inner = file.path.strip_prefix(folder).unwrap_or(&file.path);
                let missing = || {
                    let name =
                        format!("{}_mask.png", inner.file_stem().unwrap_or_default().to_string_lossy());
                    let expected = masks.join(inner).with_file_name(name);
                    let problem = format!("has no mask, expected {}", expected.display());
                    Error::data(file.path.display().to_string(), problem)
                };
                file.mask = Some(mask(&masks.join(inner)).ok_or_else(missing)?);
                file.mask_is_known = true;
            }
        }
        Ok(())
    }
}

/// The mask of an image that would stand at `path`: `NAME_mask` or `NAME`, with the ending of any image.
fn mask(path: &Path) -> Option<PathBuf> {
    let stem = path.file_stem()?.to_string_lossy().into_owned();
    let names = [format!("{stem}_mask"), stem].into_iter();
    let mut paths = names
        .flat_map(|name| ["png"].iter().chain(&EXTENSIONS).map(move |ending| format!("{name}.{ending}")));
    paths.find_map(|name| Some(path.with_file_name(name)).filter(|path| path.is_file()))
}
