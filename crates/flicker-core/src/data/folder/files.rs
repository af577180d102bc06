//! Files as sources: images and masks, decoded when they are read.

use super::super::decode::{self, Header, Limits};
use super::super::prepare::Resize;
use super::super::source::{Content, check_index, check_read};
use super::super::{Source, masks};
use super::File;
use crate::{Error, Result, SampleShape};
use rayon::prelude::*;
use sha2::{Digest, Sha256};
use std::path::{Path, PathBuf};

/// Heads of all files, read in parallel. The first broken one in their order is the one that is named.
pub(super) fn heads(files: &[File], limits: Limits) -> Result<Vec<Header>> {
    let heads: Vec<Result<Header>> = files.par_iter().map(|file| head(&file.path, limits)).collect();
    heads.into_iter().collect()
}

fn head(path: &Path, limits: Limits) -> Result<Header> {
    decode::header(&path.display().to_string(), &bytes(path, limits)?, limits)
}

/// The bytes of a file, unless there are more than allowed.
fn bytes(path: &Path, limits: Limits) -> Result<Vec<u8>> {
    let length = std::fs::metadata(path).map_err(|error| Error::io(path, error))?.len();
    if length > limits.bytes {
        let problem = format!("{length} bytes, more than the {} that are allowed", limits.bytes);
        return Err(Error::data(path.display().to_string(), problem));
    }
    std::fs::read(path).map_err(|error| Error::io(path, error))
}

/// A file and its name for people.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    pub(super) path: PathBuf,
    pub(super) id: String,
}

/// Images in files, each brought to one size when it is read.
#[derive(Clone, Debug)]
pub(super) struct ImageFiles {
    entries: Vec<Entry>,
    shape: SampleShape,
    channels: usize,
    resize: Resize,
    limits: Limits,
}

impl ImageFiles {
    /// The images of `entries`, which `resize` brings to `shape`.
    pub(super) fn new(entries: Vec<Entry>, shape: SampleShape, resize: Resize, limits: Limits) -> Self {
        let channels = shape.dims()[0];
        Self { entries, shape, channels, resize, limits }
    }
}

impl Source for ImageFiles {
    fn len(&self) -> usize {
        self.entries.len()
    }

    fn shape(&self) -> SampleShape {
        self.shape
    }

    fn read(&self, index: usize, out: &mut [f32]) -> Result<()> {
        check_read(self, index, out)?;
        let path = &self.entries[index].path;
        let origin = path.display().to_string();
        let image = decode::decode(&origin, &bytes(path, self.limits)?, self.channels, self.limits)?;
        let plan = self.resize.plan(image.size)?;
        if self.channels * plan.to()[0] * plan.to()[1] != out.len() {
            let problem =
                format!("was changed: {}x{} now, expected {}", image.size[0], image.size[1], self.shape);
            return Err(Error::data(origin, problem));
        }
        plan.apply(&image.values, out);
        Ok(())
    }

    fn id(&self, index: usize) -> String {
        self.entries.get(index).map_or_else(|| index.to_string(), |entry| entry.id.clone())
    }

    /// The SHA-256 of the stored bytes.
    fn content(&self, index: usize) -> Result<Content> {
        check_index(self, index)?;
        Ok(Sha256::digest(bytes(&self.entries[index].path, self.limits)?).into())
    }
}

/// Masks in files; where there is none, nothing is abnormal.
#[derive(Clone, Debug)]
pub(super) struct MaskFiles {
    paths: Vec<Option<PathBuf>>,
    size: [usize; 2],
    resize: Resize,
    limits: Limits,
}

impl MaskFiles {
    /// Masks for images of the sizes given, brought to `size` as the images are.
    ///
    /// # Errors
    /// If one is broken, or has another size than its image.
    pub(super) fn open(
        masks: Vec<(Option<PathBuf>, [usize; 2])>,
        size: [usize; 2],
        resize: Resize,
        limits: Limits,
    ) -> Result<Self> {
        let checked: Vec<Result<Option<PathBuf>>> = masks
            .into_par_iter()
            .map(|(path, [height, width])| {
                let Some(path) = path else { return Ok(None) };
                let [found_height, found_width] = head(&path, limits)?.size;
                if [found_height, found_width] != [height, width] {
                    let problem = format!(
                        "the mask is {found_height}x{found_width}, expected {height}x{width} as its image"
                    );
                    return Err(Error::data(path.display().to_string(), problem));
                }
                Ok(Some(path))
            })
            .collect();
        Ok(Self { paths: checked.into_iter().collect::<Result<_>>()?, size, resize, limits })
    }
}

impl Source for MaskFiles {
    fn len(&self) -> usize {
        self.paths.len()
    }

    fn shape(&self) -> SampleShape {
        (1, self.size[0], self.size[1]).into()
    }

    /// 1 where the file is above the middle of its range (127 of a byte), 0 elsewhere.
    fn read(&self, index: usize, out: &mut [f32]) -> Result<()> {
        check_read(self, index, out)?;
        let Some(path) = &self.paths[index] else {
            out.fill(0.0);
            return Ok(());
        };
        let origin = path.display().to_string();
        let mut mask = decode::decode(&origin, &bytes(path, self.limits)?, 1, self.limits)?;
        mask.values.iter_mut().for_each(|value| *value = f32::from(*value > 0.5));
        let plan = self.resize.plan(mask.size)?.by_area(mask.size);
        if plan.to() != self.size {
            return Err(Error::data(origin, "was changed: has another size now"));
        }
        masks::resize(&plan, &mask.values, out);
        Ok(())
    }
}
