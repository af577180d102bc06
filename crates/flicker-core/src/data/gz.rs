//! Bytes that may be compressed with gzip, read with a limit: a small file may unpack to more than the memory holds.

use flate2::read::MultiGzDecoder;
use std::io::{Error, ErrorKind, Read, Result};

/// Bytes that a file may unpack to when nothing better is known: 4 GiB.
pub const LIMIT: u64 = 4 << 30;

/// Whether `bytes` begin as a gzip file does.
pub fn is_gz(bytes: &[u8]) -> bool {
    bytes.starts_with(&[0x1f, 0x8b])
}

/// A reader of `bytes`, unpacked where they are gzip, that fails once there are more than `limit` of them.
pub fn reader(bytes: &[u8], limit: u64) -> impl Read + '_ {
    let inner: Box<dyn Read + '_> =
        if is_gz(bytes) { Box::new(MultiGzDecoder::new(bytes)) } else { Box::new(bytes) };
    Limited { inner, limit, seen: 0 }
}

struct Limited<'a> {
    inner: Box<dyn Read + 'a>,
    limit: u64,
    seen: u64,
}

impl Read for Limited<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> Result<usize> {
        let n = self.inner.read(buffer)?;
        self.seen += n as u64;
        if self.seen > self.limit {
            let problem = format!("more than the {} bytes that are allowed", self.limit);
            return Err(Error::new(ErrorKind::FileTooLarge, problem));
        }
        Ok(n)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use flate2::{Compression, write::GzEncoder};
    use std::io::Write;

    fn packed(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
        encoder.write_all(bytes).expect("a Vec takes all");
        encoder.finish().expect("a Vec takes all")
    }

    fn read(bytes: &[u8], limit: u64) -> Result<Vec<u8>> {
        let mut out = Vec::new();
        reader(bytes, limit).read_to_end(&mut out)?;
        Ok(out)
    }

    #[test]
    fn a_bomb_is_refused_and_a_broken_stream_too() {
        let zeros = packed(&[0; 100_000]);
        assert!(zeros.len() < 1000);
        assert_eq!(read(&zeros, 100_000).expect("within the limit").len(), 100_000);
        let error = read(&zeros, 99_999).unwrap_err();
        assert_eq!(
            (error.kind(), error.to_string()),
            (ErrorKind::FileTooLarge, "more than the 99999 bytes that are allowed".into())
        );
        assert!(read(&zeros[..zeros.len() - 6], 100_000).is_err());
        assert_eq!(read(b"plain", 5).expect("within the limit"), b"plain");
        assert!(read(b"plain", 4).is_err());
    }
}
