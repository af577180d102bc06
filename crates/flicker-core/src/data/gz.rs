//! Bytes that may be compressed with gzip, read with a limit.

use crate::{Error, Result};
use flate2::read::MultiGzDecoder;
use std::borrow::Cow;
use std::io::Read;

/// Bytes that a file may unpack to when nothing better is known: 4 GiB. A small file that unpacks to more was made to
/// fill the memory.
pub const LIMIT: u64 = 4 << 30;

/// Whether `bytes` begin as a gzip file does.
pub fn is_gz(bytes: &[u8]) -> bool {
    bytes.starts_with(&[0x1f, 0x8b])
}

/// A reader of `bytes`, unpacked where they are gzip.
pub fn reader(bytes: &[u8]) -> Box<dyn Read + '_> {
    if is_gz(bytes) { Box::new(MultiGzDecoder::new(bytes)) } else { Box::new(bytes) }
}

/// `bytes`, unpacked where they are gzip.
///
/// # Errors
/// If the gzip stream is broken, or unpacks to more than `limit` bytes; no more than that are ever unpacked.
pub fn unpacked<'a>(origin: &str, bytes: &'a [u8], limit: u64) -> Result<Cow<'a, [u8]>> {
    if !is_gz(bytes) {
        return Ok(Cow::Borrowed(bytes));
    }
    let mut out = Vec::new();
    let read = MultiGzDecoder::new(bytes).take(limit.saturating_add(1)).read_to_end(&mut out);
    read.map_err(|error| Error::data(origin, format!("broken gzip stream: {error}")))?;
    if out.len() as u64 > limit {
        return Err(Error::data(origin, format!("unpacks to more than the {limit} bytes that are allowed")));
    }
    Ok(Cow::Owned(out))
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

    #[test]
    fn a_bomb_is_refused_and_a_broken_stream_too() {
        let zeros = packed(&[0; 100_000]);
        assert!(zeros.len() < 1000);
        assert_eq!(unpacked("a", &zeros, 100_000).expect("within the limit").len(), 100_000);
        let message = unpacked("a.gz", &zeros, 99_999).unwrap_err().to_string();
        assert_eq!(message, "a.gz: unpacks to more than the 99999 bytes that are allowed");
        let message = unpacked("a.gz", &zeros[..zeros.len() - 6], 100_000).unwrap_err().to_string();
        assert!(message.starts_with("a.gz: broken gzip stream"), "{message}");
        assert_eq!(&*unpacked("a", b"plain", 2).expect("not packed"), b"plain");
    }
}
