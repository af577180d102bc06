//! Whether a file is the one that the manifest means.

use crate::{Error, File, Manifest, Result};
use sha2::{Digest, Sha256};
use std::io::Read;
use std::path::Path;

/// A SHA-256 that grows with the bytes that pass by.
#[derive(Clone, Debug, Default)]
pub struct Hasher(Sha256);

impl Hasher {
    /// Takes more bytes in.
    pub fn update(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    /// The hash so far, as 64 hexadecimal digits.
    pub fn hex(self) -> String {
        self.0.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
    }
}

/// The SHA-256 of `bytes`, as 64 hexadecimal digits.
pub fn sha256_of(bytes: &[u8]) -> String {
    let mut hasher = Hasher::default();
    hasher.update(bytes);
    hasher.hex()
}

/// The SHA-256 of the file at `path`, read piece by piece, and how many bytes it has.
///
/// # Errors
/// If it cannot be read.
pub fn sha256_of_file(path: &Path) -> Result<(String, u64)> {
    let mut reader = std::fs::File::open(path).map_err(|error| Error::io(path, error))?;
    let mut bytes = 0;
    let hash = hash(path, &mut reader, &mut |n| bytes += n)?;
    Ok((hash, bytes))
}

fn hash(path: &Path, reader: &mut impl Read, progress: &mut dyn FnMut(u64)) -> Result<String> {
    let (mut hasher, mut buffer) = (Hasher::default(), vec![0; 1 << 16]);
    loop {
        match reader.read(&mut buffer).map_err(|error| Error::io(path, error))? {
            0 => return Ok(hasher.hex()),
            n => {
                hasher.update(&buffer[..n]);
                progress(n as u64);
            }
        }
    }
}

/// Checks that the file at `path` is `file`, calling `progress` with the number of bytes after each piece.
///
/// # Errors
/// If it is not there, or has another length or another hash.
pub fn verify(path: &Path, file: &File, progress: &mut dyn FnMut(u64)) -> Result<()> {
    let mut reader = std::fs::File::open(path).map_err(|error| Error::io(path, error))?;
    let bytes = reader.metadata().map_err(|error| Error::io(path, error))?.len();
    if bytes != file.bytes {
        return Err(Error::file(path, format!("expected {} bytes, found {bytes}", file.bytes)));
    }
    let found = hash(path, &mut reader, progress)?;
    if found != file.sha256 {
        return Err(Error::file(path, format!("expected sha256 {}, found {found}", file.sha256)));
    }
    Ok(())
}

/// The files of `manifest` that are not in `folder` as they should be, each with the reason.
pub fn missing<'a>(
    manifest: &'a Manifest,
    folder: &Path,
    progress: &mut dyn FnMut(u64),
) -> Vec<(&'a File, Error)> {
    let check =
        |file: &'a File| verify(&folder.join(&file.name), file, progress).err().map(|error| (file, error));
    manifest.files.iter().filter_map(check).collect()
}
