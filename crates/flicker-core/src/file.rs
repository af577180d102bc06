//! Files that are whole or absent (written beside, synced, renamed), and files that grow by whole pieces.

use crate::{Error, Result};
use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};

/// Writes `bytes` to `path` so that a reader sees the old file or the whole new one, never a part.
///
/// # Errors
/// If the system refuses a write, the sync or the rename; the half-written neighbour is then removed.
pub fn write_whole(path: &Path, bytes: &[u8]) -> Result<()> {
    let beside = neighbour(path);
    let written = write_synced(&beside, bytes).and_then(|()| fs::rename(&beside, path));
    written.map_err(|source| {
        // Nothing more can be done about a neighbour that cannot be removed; the first error is the one to tell.
        let _ = fs::remove_file(&beside);
        Error::io(path, source)
    })
}

/// Where a file is written before it lies at `path`.
fn neighbour(path: &Path) -> PathBuf {
    // Of its own for each call, since two threads may write one file.
    static CALLS: AtomicUsize = AtomicUsize::new(0);
    let call = CALLS.fetch_add(1, Ordering::Relaxed);
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    path.with_file_name(format!(".{name}.{}.{call}.part", std::process::id()))
}

/// A file in the making, for what is too large to be held: written beside, and put in its place by [`Whole::finish`]. Dropped before
/// that, it leaves nothing.
#[derive(Debug)]
pub struct Whole {
    path: PathBuf,
    beside: PathBuf,
    file: Option<BufWriter<File>>,
}

impl Whole {
    /// A file that is to lie at `path`.
    ///
    /// # Errors
    /// If the system refuses to make its neighbour.
    pub fn create(path: &Path) -> Result<Self> {
        let beside = neighbour(path);
        let file = File::create(&beside).map_err(|source| Error::io(path, source))?;
        Ok(Self { path: path.to_path_buf(), beside, file: Some(BufWriter::new(file)) })
    }

    /// Puts the file in its place.
    ///
    /// # Errors
    /// If the system refuses the last write, the sync or the rename.
    pub fn finish(mut self) -> Result<()> {
        let Some(file) = self.file.take() else { return Ok(()) };
        let synced = file.into_inner().map_err(std::io::IntoInnerError::into_error);
        let placed =
            synced.and_then(|file| file.sync_all()).and_then(|()| fs::rename(&self.beside, &self.path));
        placed.map_err(|source| {
            // Nothing more can be done about a neighbour that cannot be removed; the first error is the one to tell.
            let _ = fs::remove_file(&self.beside);
            Error::io(&self.path, source)
        })
    }
}

impl Write for Whole {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.file.as_mut().map_or(Ok(0), |file| file.write(bytes))
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.file.as_mut().map_or(Ok(()), Write::flush)
    }
}

impl Drop for Whole {
    fn drop(&mut self) {
        if self.file.take().is_some() {
            let _ = fs::remove_file(&self.beside); // it was given up; an error would be the second
        }
    }
}

fn write_synced(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let mut file = File::create(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}

/// Adds `bytes` to the end of `file`, which is open for appending and lies at `path`, or leaves it as long as it was.
///
/// # Errors
/// If the system refuses; `path` is named.
pub fn append_whole(file: &mut File, path: &Path, bytes: &[u8]) -> Result<()> {
    let whole = file.metadata().map_err(|source| Error::io(path, source))?.len();
    file.write_all(bytes).map_err(|source| {
        // A full disk takes a part of the bytes. Whoever reads the file must not find that part; should the system refuse
        // this too, the first error is the one to tell.
        let _ = file.set_len(whole);
        Error::io(path, source)
    })
}

/// The bytes of the file at `path`.
///
/// # Errors
/// If it cannot be read; the message names it.
pub fn read(path: &Path) -> Result<Vec<u8>> {
    fs::read(path).map_err(|source| Error::io(path, source))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn replaces_and_leaves_nothing_beside() -> Result<()> {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let path = dir.path().join("a.txt");
        write_whole(&path, b"old")?;
        write_whole(&path, b"new")?;
        assert_eq!(read(&path)?, b"new");
        assert_eq!(fs::read_dir(dir.path()).expect("readable").count(), 1);
        Ok(())
    }

    #[test]
    fn threads_may_write_one_file() {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let path = dir.path().join("a.txt");
        std::thread::scope(|scope| {
            for text in [[b'a'; 4096], [b'b'; 4096], [b'c'; 4096], [b'd'; 4096]] {
                let path = &path;
                scope.spawn(move || (0..25).for_each(|_| write_whole(path, &text).expect("written")));
            }
        });
        let found = read(&path).expect("there");
        assert!(found.len() == 4096 && found.iter().all(|byte| *byte == found[0]));
        assert_eq!(fs::read_dir(dir.path()).expect("readable").count(), 1);
    }

    #[test]
    fn a_file_in_the_making_is_not_there() -> Result<()> {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let path = dir.path().join("a.txt");
        let count = || fs::read_dir(dir.path()).expect("readable").count();
        let mut given_up = Whole::create(&path)?;
        given_up.write_all(b"half").expect("written");
        assert!(!path.exists() && count() == 1);
        drop(given_up);
        assert_eq!(count(), 0);
        let mut whole = Whole::create(&path)?;
        whole.write_all(b"whole").expect("written");
        whole.finish()?;
        assert_eq!((read(&path)?, count()), (b"whole".to_vec(), 1));
        Ok(())
    }

    #[test]
    fn names_the_file_it_cannot_write() {
        let error = write_whole(Path::new("/nonexistent/a.txt"), b"").expect_err("no such folder");
        assert!(error.to_string().starts_with("/nonexistent/a.txt: "), "{error}");
    }
}
