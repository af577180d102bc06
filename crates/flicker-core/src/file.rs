//! Files that are whole or absent (written beside, synced, renamed), and files that grow by whole pieces.

use crate::{Error, Result};
use std::fs::{self, File};
use std::io::Write;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Writes `bytes` to `path` so that a reader sees the old file or the whole new one, never a part.
///
/// # Errors
/// If the system refuses a write, the sync or the rename; the half-written neighbour is then removed.
pub fn write_whole(path: &Path, bytes: &[u8]) -> Result<()> {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    // Of its own for each call, since two threads may write one file.
    static CALLS: AtomicUsize = AtomicUsize::new(0);
    let call = CALLS.fetch_add(1, Ordering::Relaxed);
    let beside = path.with_file_name(format!(".{name}.{}.{call}.part", std::process::id()));
    let written = write_synced(&beside, bytes).and_then(|()| fs::rename(&beside, path));
    written.map_err(|source| {
        // Nothing more can be done about a neighbour that cannot be removed; the first error is the one to tell.
        let _ = fs::remove_file(&beside);
        Error::io(path, source)
    })
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
    fn names_the_file_it_cannot_write() {
        let error = write_whole(Path::new("/nonexistent/a.txt"), b"").expect_err("no such folder");
        assert!(error.to_string().starts_with("/nonexistent/a.txt: "), "{error}");
    }
}
