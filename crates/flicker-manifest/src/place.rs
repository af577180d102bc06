//! Putting a file where it belongs: whole and verified, or not at all.

use crate::{Error, File, Hasher, Result};
use std::io::{Read, Write};
use std::path::Path;

/// Writes what `reader` gives to `folder` as `file`: beside it first, then synced, verified and renamed, so that a file of
/// this name is always whole. Calls `progress` with the number of bytes after each piece. No more bytes are read than the
/// file should have, and one.
///
/// # Errors
/// If the reader or the disk fails, or what comes has another length or another hash; then nothing stays.
pub fn place(folder: &Path, file: &File, reader: &mut dyn Read, progress: &mut dyn FnMut(u64)) -> Result<()> {
    let target = folder.join(&file.name);
    std::fs::create_dir_all(folder).map_err(|error| Error::io(folder, error))?;
    let beside = folder.join(format!(".{}.{}.partial", file.name, std::process::id()));
    let placed = copy(&target, &beside, file, reader, progress).and_then(|()| {
        std::fs::rename(&beside, &target).map_err(|error| Error::io(&target, error))?;
        sync_folder(folder)
    });
    if placed.is_err() {
        // It may not exist; what matters is that it does not stay.
        let _ = std::fs::remove_file(&beside);
    }
    placed
}

fn copy(
    target: &Path,
    beside: &Path,
    file: &File,
    reader: &mut dyn Read,
    progress: &mut dyn FnMut(u64),
) -> Result<()> {
    let io = |error| Error::io(beside, error);
    let mut out = std::fs::File::create(beside).map_err(io)?;
    let (mut hasher, mut buffer, mut bytes) = (Hasher::default(), vec![0; 1 << 16], 0);
    let mut reader = reader.take(file.bytes.saturating_add(1));
    loop {
        let n = match reader.read(&mut buffer) {
            Ok(0) => break,
            Ok(n) => n,
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(Error::file(target, format!("its source cannot be read: {error}"))),
        };
        out.write_all(&buffer[..n]).map_err(io)?;
        hasher.update(&buffer[..n]);
        bytes += n as u64;
        progress(n as u64);
    }
    if bytes != file.bytes {
        let found = if bytes > file.bytes { "more".into() } else { bytes.to_string() };
        return Err(Error::file(target, format!("expected {} bytes, its source gave {found}", file.bytes)));
    }
    let found = hasher.hex();
    if found != file.sha256 {
        return Err(Error::file(target, format!("expected sha256 {}, its source gave {found}", file.sha256)));
    }
    out.sync_all().map_err(io)
}

/// A rename is durable once its folder is synced. Elsewhere than on Unix a folder cannot be opened for that.
fn sync_folder(folder: &Path) -> Result<()> {
    if cfg!(unix) {
        std::fs::File::open(folder)
            .and_then(|folder| folder.sync_all())
            .map_err(|error| Error::io(folder, error))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sha256_of;

    fn file(bytes: &[u8]) -> File {
        File { name: "a.bin".into(), bytes: bytes.len() as u64, sha256: sha256_of(bytes) }
    }

    fn names(folder: &Path) -> Vec<String> {
        let entries = std::fs::read_dir(folder).expect("a folder");
        entries.map(|entry| entry.expect("readable").file_name().to_string_lossy().into_owned()).collect()
    }

    #[test]
    fn a_whole_file_arrives() {
        let folder = tempfile::tempdir().expect("a folder");
        let mut seen = 0;
        place(&folder.path().join("x"), &file(b"hello"), &mut &b"hello"[..], &mut |n| seen += n)
            .expect("placed");
        assert_eq!(std::fs::read(folder.path().join("x/a.bin")).expect("there"), b"hello");
        assert_eq!((seen, names(&folder.path().join("x"))), (5, vec!["a.bin".to_owned()]));
    }

    #[test]
    fn nothing_stays_of_a_wrong_one_and_the_old_one_does() {
        struct Endless;
        impl Read for Endless {
            fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
                buffer.fill(0);
                Ok(buffer.len())
            }
        }
        let folder = tempfile::tempdir().expect("a folder");
        let check = |reader: &mut dyn Read, said: &str| {
            let message = place(folder.path(), &file(b"hello"), reader, &mut |_| {}).unwrap_err().to_string();
            assert!(message.contains(said), "{message}");
        };
        check(&mut &b"hell"[..], "expected 5 bytes, its source gave 4");
        check(&mut Endless, "expected 5 bytes, its source gave more");
        check(&mut &b"hallo"[..], "expected sha256 2cf24dba5fb0a30e");
        assert_eq!(names(folder.path()), Vec::<String>::new());
        place(folder.path(), &file(b"hello"), &mut &b"hello"[..], &mut |_| {}).expect("placed");
        check(&mut &b"hallo"[..], "expected sha256");
        assert_eq!(std::fs::read(folder.path().join("a.bin")).expect("there"), b"hello");
    }
}
