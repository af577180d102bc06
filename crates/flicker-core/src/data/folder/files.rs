//! Files as sources: images and masks, decoded when they are read.

use super::super::decode::{self, Header, Limits};
use super::super::prepare::Resize;
use super::super::source::{Content, check_index, check_read};
use super::super::{OnError, Source, masks};
use super::{File, Options};
use crate::{Error, Result, SampleShape};
use rayon::prelude::*;
use sha2::{Digest, Sha256};
use std::path::{Path, PathBuf};

/// Heads of all files, read in parallel. The first broken one in their order is the one that is named; or each of them is, and
/// is taken out of `files`.
pub(super) fn looked_through(files: &mut Vec<File>, options: &Options) -> Result<(Vec<Header>, Vec<Error>)> {
    let look = |file: &File| match options.on_error {
        OnError::Fail => head(&file.path, options.limits),
        OnError::Skip => decoded(file, options.limits),
    };
    let looks: Vec<Result<Header>> = files.par_iter().map(look).collect();
    if options.on_error == OnError::Fail {
        return Ok((looks.into_iter().collect::<Result<_>>()?, Vec::new()));
    }
    let mut broken = looks.iter().map(Result::is_err);
    files.retain(|_| broken.next() == Some(false));
    let (mut heads, mut skipped) = (Vec::new(), Vec::new());
    for look in looks {
        match look {
            Ok(head) => heads.push(head),
            Err(error) => skipped.push(error),
        }
    }
    match heads.is_empty() {
        true => skipped.into_iter().next().map_or(Ok((heads, Vec::new())), Err),
        false => Ok((heads, skipped)),
    }
}

/// The head of a file that can be decoded to its end, and whose mask can.
fn decoded(file: &File, limits: Limits) -> Result<Header> {
    let whole = |path: &Path| {
        let (origin, bytes) = (path.display().to_string(), bytes(path, limits)?);
        decode::decode(&origin, &bytes, 1, limits)?;
        decode::header(&origin, &bytes, limits)
    };
    let header = whole(&file.path)?;
    if let Some(mask) = &file.mask {
        expect_size(mask, whole(mask)?.size, header.size)?;
    }
    Ok(header)
}

/// Refuses a mask of another size than its image.
fn expect_size(mask: &Path, found: [usize; 2], image: [usize; 2]) -> Result<()> {
    if found == image {
        return Ok(());
    }
    let ([height, width], [image_height, image_width]) = (found, image);
    let problem = format!("the mask is {height}x{width}, expected {image_height}x{image_width} as its image");
    Err(Error::data(mask.display().to_string(), problem))
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
            .map(|(path, size)| {
                let Some(path) = path else { return Ok(None) };
                expect_size(&path, head(&path, limits)?.size, size)?;
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
