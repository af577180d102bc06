//! TFRecord framing (TensorFlow, `record_writer.h`): length, its checksum, content, its checksum. The checksum is
//! CRC-32C (Castagnoli, RFC 3720, appendix B.4), rotated and shifted.

/// Bytes around the content: eight of length, four and four of checksums.
const FRAME: usize = 16;

/// The record of `content`.
pub(super) fn framed(content: &[u8]) -> Vec<u8> {
    let length = (content.len() as u64).to_le_bytes();
    let mut record = Vec::with_capacity(content.len() + FRAME);
    record.extend(length);
    record.extend(masked_checksum(&length));
    record.extend(content);
    record.extend(masked_checksum(content));
    record
}

/// The content of the record that `bytes` begins with, and what follows it; `None` if that is not a whole and
/// undamaged one.
pub(super) fn first(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, rest) = bytes.split_first_chunk::<8>()?;
    let (length_checksum, rest) = rest.split_first_chunk::<4>()?;
    if masked_checksum(length) != *length_checksum {
        return None;
    }
    let (content, rest) = rest.split_at_checked(usize::try_from(u64::from_le_bytes(*length)).ok()?)?;
    let (checksum, rest) = rest.split_first_chunk::<4>()?;
    (masked_checksum(content) == *checksum).then_some((content, rest))
}

/// How many bytes of `bytes` are whole records, up to a last one that was cut off. A damage that no cut explains is
/// an error, in words.
pub(super) fn whole(bytes: &[u8]) -> Result<usize, String> {
    let mut rest = bytes;
    while let Some((_, after)) = first(rest) {
        rest = after;
    }
    let at = bytes.len() - rest.len();
    let Some((length, after)) = rest.split_first_chunk::<8>() else { return Ok(at) };
    let Some((checksum, content)) = after.split_first_chunk::<4>() else { return Ok(at) };
    if masked_checksum(length) != *checksum {
        return Err(format!("record at byte {at}: its length does not match its checksum"));
    }
    let length = u64::from_le_bytes(*length);
    if (content.len() as u64).saturating_sub(4) >= length {
        return Err(format!("record at byte {at}: its content does not match its checksum"));
    }
    Ok(at)
}

fn masked_checksum(bytes: &[u8]) -> [u8; 4] {
    checksum(bytes).rotate_right(15).wrapping_add(0xa282_ead8).to_le_bytes()
}

/// CRC-32C, byte by byte from a table.
fn checksum(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(!0, |crc, &byte| TABLE[usize::from(crc as u8 ^ byte)] ^ (crc >> 8))
}

const TABLE: [u32; 256] = table();

const fn table() -> [u32; 256] {
    let mut table = [0; 256];
    let mut i = 0;
    while i < 256 {
        let mut crc = i as u32;
        let mut bit = 0;
        while bit < 8 {
            crc = if crc & 1 == 1 { (crc >> 1) ^ 0x82f6_3b78 } else { crc >> 1 };
            bit += 1;
        }
        table[i] = crc;
        i += 1;
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn checksums_of_the_standard() {
        // RFC 3720, appendix B.4, and the customary check value.
        assert_eq!(checksum(b"123456789"), 0xe306_9283);
        assert_eq!(checksum(&[0; 32]), 0x8a91_36aa);
        assert_eq!(checksum(&[0xff; 32]), 0x62a8_ab43);
    }

    #[test]
    fn records_are_found_again() {
        let bytes = [framed(b"one"), framed(b""), framed(&[7; 1000])].concat();
        let (one, rest) = first(&bytes).expect("a record");
        let (empty, rest) = first(rest).expect("a record");
        let (long, rest) = first(rest).expect("a record");
        assert_eq!((one, empty, long, rest), (&b"one"[..], &b""[..], &[7; 1000][..], &b""[..]));
        assert_eq!(whole(&bytes), Ok(bytes.len()));
    }

    #[test]
    fn every_cut_is_seen_and_every_flipped_bit() {
        let one = framed(b"one");
        let both = [one.clone(), framed(b"two")].concat();
        for cut in one.len()..both.len() {
            assert_eq!(whole(&both[..cut]), Ok(one.len()), "cut at {cut}");
        }
        for bit in 0..both.len() * 8 {
            let mut damaged = both.clone();
            damaged[bit / 8] ^= 1 << (bit % 8);
            assert!(whole(&damaged).is_err(), "bit {bit}");
        }
    }
}
