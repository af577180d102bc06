//! Every way in which an IDX file can be wrong, by hand and at random.

use super::*;
use flate2::{Compression, write::GzEncoder};
use proptest::prelude::*;
use std::io::Write;

fn idx(kind: u8, dims: &[u32], elements: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0, 0, kind, dims.len() as u8];
    bytes.extend(dims.iter().flat_map(|size| size.to_be_bytes()));
    bytes.extend(elements);
    bytes
}

fn packed(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).expect("a Vec takes all");
    encoder.finish().expect("a Vec takes all")
}

fn file(bytes: &[u8]) -> File<'_> {
    File { origin: "x-ubyte", bytes }
}

#[track_caller]
fn check_error(bytes: &[u8], expected: &str) {
    for bytes in [bytes.to_vec(), packed(bytes)] {
        assert_eq!(images(file(&bytes), "").unwrap_err().to_string(), format!("x-ubyte: {expected}"));
    }
}

#[test]
fn reads_plain_and_gz() -> Result<()> {
    let bytes = idx(8, &[2, 1, 3], &[1, 2, 3, 4, 5, 6]);
    for bytes in [bytes.clone(), packed(&bytes), [packed(&bytes[..9]), packed(&bytes[9..])].concat()] {
        let images = images(file(&bytes), "p")?;
        assert_eq!((images.len(), images.shape().dims()), (2, vec![1, 1, 3]));
        assert_eq!((images.get(1), images.id(1)), (Some(&[4, 5, 6][..]), "p1".into()));
    }
    Ok(())
}

#[test]
fn says_what_is_wrong() {
    check_error(b"", "ends inside the header: expected 4 bytes of magic number, found 0");
    check_error(
        b"GIF89a",
        "not an IDX file: expected the magic number [00, 00, 08, 03], found [47, 49, 46, 38]",
    );
    check_error(
        &idx(0x0d, &[1, 1, 1], &[0; 4]),
        "elements of type f32 (0x0d), expected unsigned bytes (0x08)",
    );
    check_error(&idx(8, &[3], &[0; 3]), "1 dimensions, expected 3");
    check_error(
        &idx(8, &[1, 1, 1], &[])[..14],
        "ends inside the header: expected 12 bytes of dimensions, found 10",
    );
    check_error(&idx(8, &[2, 2, 2], &[0; 7]), "dimensions [2, 2, 2] need 8 bytes of elements, found 7");
    check_error(&idx(8, &[2, 2, 2], &[0; 9]), "dimensions [2, 2, 2] need 8 bytes of elements, found more");
    check_error(&idx(8, &[2, 0, 2], &[]), "images of 0x2 pixels, expected at least 1x1");
    let many = "are more than the 1073741824 elements that are allowed";
    check_error(&idx(8, &[1 << 20, 1 << 10, 2], &[]), &format!("dimensions [1048576, 1024, 2] {many}"));
    let most = u32::MAX;
    check_error(&idx(8, &[most, most, most], &[]), &format!("dimensions [{most}, {most}, {most}] {many}"));
}

#[test]
fn a_damaged_gz_is_an_error() {
    let mut bytes = packed(&idx(8, &[1, 2, 2], &[1, 2, 3, 4]));
    let at = bytes.len() - 7; // inside the check sum
    bytes[at] ^= 1;
    let message = images(file(&bytes), "").unwrap_err().to_string();
    assert!(message.starts_with("x-ubyte: broken gzip stream"), "{message}");
    bytes.truncate(at);
    assert!(images(file(&bytes), "").is_err());
}

#[test]
fn labels_are_counted_and_bounded() -> Result<()> {
    assert_eq!(labels(file(&idx(8, &[3], &[2, 0, 1])), 3)?, [2, 0, 1]);
    let message = labels(file(&idx(8, &[3], &[2, 3, 1])), 3).unwrap_err().to_string();
    assert_eq!(message, "x-ubyte: label 3 of sample 1, expected a label below 3");
    let (images, few) = (idx(8, &[2, 1, 1], &[0, 0]), idx(8, &[1], &[0]));
    let files = Files {
        images: File { origin: "images", bytes: &images },
        labels: File { origin: "labels", bytes: &few },
    };
    let message = dataset("d", &["0".into()], files, files).unwrap_err().to_string();
    assert_eq!(message, "labels: 1 labels, expected 2, one for each image of images");
    Ok(())
}

proptest! {
    #[test]
    fn arbitrary_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200), gz in any::<bool>()) {
        let bytes = if gz { packed(&bytes) } else { bytes };
        let _ = (images(file(&bytes), ""), labels(file(&bytes), 10));
    }

    #[test]
    fn arbitrary_headers_never_panic(kind: u8, dims in proptest::collection::vec(any::<u32>(), 0..5), n in 0_usize..64) {
        let _ = images(file(&idx(kind, &dims, &vec![7; n])), "");
    }

    #[test]
    fn what_is_written_is_read(n in 0_usize..5, h in 1_usize..5, w in 1_usize..5, seed: u8, gz in any::<bool>()) {
        let elements: Vec<u8> = (0..n * h * w).map(|i| (i as u8).wrapping_mul(31).wrapping_add(seed)).collect();
        let bytes = idx(8, &[n as u32, h as u32, w as u32], &elements);
        let bytes = if gz { packed(&bytes) } else { bytes };
        let array = parse(file(&bytes), 3).expect("a valid file");
        prop_assert_eq!(array, Array { dims: vec![n, h, w], elements });
    }

    /// One changed byte, one byte less or one more: an error, or (a changed pixel) the same sizes.
    #[test]
    fn a_mutated_file_is_noticed(at in 0_usize..28, value: u8, cut in 0_usize..28) {
        let bytes = idx(8, &[2, 2, 3], &[5; 12]);
        let mut changed = bytes.clone();
        changed[at] = value;
        if at < 16 && changed != bytes {
            prop_assert!(parse(file(&changed), 3).is_err());
        } else {
            prop_assert_eq!(parse(file(&changed), 3).expect("still valid").dims, vec![2, 2, 3]);
        }
        prop_assert!(parse(file(&bytes[..cut]), 3).is_err());
        changed = bytes;
        changed.push(value);
        prop_assert!(parse(file(&changed), 3).is_err());
    }

    /// A damaged gzip file never gives other elements than the true ones.
    #[test]
    fn a_mutated_gz_gives_an_error_or_the_truth(at in 0_usize..60, value: u8) {
        let elements: Vec<u8> = (0..27).collect();
        let mut bytes = packed(&idx(8, &[3, 3, 3], &elements));
        let at = at % bytes.len();
        bytes[at] = value;
        if let Ok(array) = parse(file(&bytes), 3) {
            prop_assert_eq!(array.elements, elements);
        }
    }
}
