//! The parser of NumPy archives against archives made here by hand, and against what is none.

use super::super::Source;
use super::*;
use flate2::Compression;
use proptest::prelude::*;
use std::io::Write;

fn npy(descr: &str, fortran: &str, shape: &str, data: &[u8]) -> Vec<u8> {
    let header = format!("{{'descr': '{descr}', 'fortran_order': {fortran}, 'shape': {shape}, }}\n");
    let mut out = b"\x93NUMPY\x01\x00".to_vec();
    out.extend((header.len() as u16).to_le_bytes());
    out.extend(header.as_bytes());
    out.extend(data);
    out
}

/// A zip archive of these members, written by hand as the format says: the zip crate packs nothing without its features.
fn archive(members: &[(&str, &[u8])], deflate: bool) -> Vec<u8> {
    let (mut out, mut directory) = (Vec::new(), Vec::new());
    for (name, content) in members {
        let packed = if deflate {
            let mut encoder = flate2::write::DeflateEncoder::new(Vec::new(), Compression::best());
            encoder.write_all(content).expect("a Vec takes all");
            encoder.finish().expect("a Vec takes all")
        } else {
            content.to_vec()
        };
        let mut crc = flate2::Crc::new();
        crc.update(content);
        let mut fields = vec![20, 0, 0, 0, if deflate { 8 } else { 0 }, 0, 0, 0, 0, 0];
        for number in [crc.sum(), packed.len() as u32, content.len() as u32] {
            fields.extend(number.to_le_bytes());
        }
        fields.extend([name.len() as u8, 0, 0, 0]);
        let offset = out.len() as u32;
        out.extend(b"PK\x03\x04");
        out.extend(&fields);
        out.extend(name.as_bytes());
        out.extend(packed);
        directory.extend(b"PK\x01\x02\x14\x00");
        directory.extend(&fields);
        directory.extend([0; 10]);
        directory.extend(offset.to_le_bytes());
        directory.extend(name.as_bytes());
    }
    let (start, size, n) = (out.len() as u32, directory.len() as u32, members.len() as u8);
    out.extend(directory);
    out.extend(b"PK\x05\x06\0\0\0\0");
    out.extend([n, 0, n, 0]);
    out.extend(size.to_le_bytes());
    out.extend(start.to_le_bytes());
    out.extend([0, 0]);
    out
}

fn read(bytes: &[u8]) -> Result<Dataset> {
    let layout = Layout { features: "X".into(), label: "y".into(), values: vec![0, 1] };
    dataset("t", "t.npz", bytes, &layout, &["normal".into(), "abnormal".into()])
}

fn rows(table: &Dataset) -> Result<Vec<Vec<f32>>> {
    let samples = Samples::collect(&**table.source())?;
    Ok((0..samples.len()).filter_map(|i| samples.get(i).map(<[f32]>::to_vec)).collect())
}

const LABELS: [u8; 16] = [0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0];

#[test]
fn both_orders_stored_or_deflated() -> Result<()> {
    let y = npy("<i8", "False", "(2,)", &LABELS);
    for deflate in [false, true] {
        for (fortran, data) in [("False", [1, 2, 3, 4, 5, 6]), ("True", [1, 4, 2, 5, 3, 6])] {
            let x = npy("|u1", fortran, "(2, 3)", &data);
            let table = read(&archive(&[("X.npy", &x), ("y.npy", &y)], deflate))?;
            assert_eq!(rows(&table)?, [[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]], "{fortran}");
            assert_eq!((table.labels(), table.columns().len()), (&[0, 1][..], 3));
        }
    }
    Ok(())
}

#[test]
fn every_type_of_number() -> Result<()> {
    let check = |descr: &str, numbers: &[&[u8]], expected: [f32; 2]| -> Result<()> {
        let x = npy(descr, "False", "(2, 1)", &numbers.concat());
        let y = npy("<i4", "False", "(2, 1)", &[0, 0, 0, 0, 1, 0, 0, 0]);
        let table = read(&archive(&[("X.npy", &x), ("y.npy", &y)], false))?;
        assert_eq!(rows(&table)?.concat(), expected, "{descr}");
        Ok(())
    };
    check("|b1", &[&[1], &[0]], [1.0, 0.0])?;
    check("|u1", &[&[255], &[0]], [255.0, 0.0])?;
    check("|i1", &[&[255], &[127]], [-1.0, 127.0])?;
    check("<i2", &[&(-300i16).to_le_bytes(), &300i16.to_le_bytes()], [-300.0, 300.0])?;
    check(">i2", &[&(-300i16).to_be_bytes(), &300i16.to_be_bytes()], [-300.0, 300.0])?;
    check("<u4", &[&4_000_000_000u32.to_le_bytes(), &7u32.to_le_bytes()], [4e9, 7.0])?;
    check("<i8", &[&(-5i64).to_le_bytes(), &5i64.to_le_bytes()], [-5.0, 5.0])?;
    check("<f4", &[&0.25f32.to_le_bytes(), &(-1.5f32).to_le_bytes()], [0.25, -1.5])?;
    check("<f8", &[&0.25f64.to_le_bytes(), &(-1e30f64).to_le_bytes()], [0.25, -1e30])
}

#[test]
fn says_what_is_wrong() {
    let y = npy("<i8", "False", "(2,)", &LABELS);
    let x = npy("|u1", "False", "(2, 3)", &[1, 2, 3, 4, 5, 6]);
    let check = |x: &[u8], y: &[u8], said: &str| {
        let message = read(&archive(&[("X.npy", x), ("y.npy", y)], true)).unwrap_err().to_string();
        assert_eq!(message, said);
    };
    let of_x = |said: &str| format!("t.npz, array `X`: {said}");
    check(b"", &y, &of_x("does not begin as an array of NumPy's versions 1 to 3 does"));
    check(&x[..20], &y, &of_x("ends within its header"));
    check(&x[..x.len() - 1], &y, &of_x("has 5 bytes of numbers, expected 6 for shape [2, 3]"));
    let shaped = |shape: &str, data: &[u8]| npy("|u1", "False", shape, data);
    check(
        &shaped("(6,)", &[0; 6]),
        &y,
        &of_x("expected shape (N, F) with at least one row and one feature, found [6]"),
    );
    check(
        &shaped("(0, 3)", &[]),
        &y,
        &of_x("expected shape (N, F) with at least one row and one feature, found [0, 3]"),
    );
    let vast = "(9999999999, 9999999999)";
    check(
        &shaped(vast, &[]),
        &y,
        &of_x("has 0 bytes of numbers, expected too many for shape [9999999999, 9999999999]"),
    );
    check(&shaped("(2, x)", &[]), &y, &of_x("has `x` in its shape"));
    let complex = npy("<c16", "False", "(2, 3)", &[0; 96]);
    let numbers = "integers or floating-point numbers of 1 to 8 bytes";
    check(&complex, &y, &of_x(&format!("is of type `<c16`, expected {numbers}")));
    let nan = npy("<f4", "False", "(2, 1)", &[1f32.to_le_bytes(), f32::NAN.to_le_bytes()].concat());
    check(&nan, &y, &of_x("row 1, column 0: expected a finite number, found NaN"));
    check(
        &x,
        &npy("<i8", "False", "(1,)", &[0; 8]),
        "t.npz, array `y`: expected shape (2), a label for each row of `X`, found [1]",
    );
    check(
        &x,
        &npy("|u1", "False", "(2,)", &[0, 7]),
        "t.npz, array `y`: row 1: expected one of [0, 1], found 7",
    );
    let message = read(&archive(&[("x.npy", &x)], true)).unwrap_err().to_string();
    assert_eq!(message, "t.npz: has no array `X`, expected one among x");
    assert!(read(b"PK").unwrap_err().to_string().starts_with("t.npz: is no whole zip archive: "));
}

proptest! {
    #[test]
    fn arbitrary_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        let _ = read(&bytes);
        let _ = read(&archive(&[("X.npy", &bytes), ("y.npy", &bytes)], false));
        let _ = parse("t".into(), [b"\x93NUMPY\x01\x00", &bytes[..]].concat());
    }

    #[test]
    fn a_broken_byte_is_an_error_or_another_table(at in 0usize..400, to in any::<u8>()) {
        let y = npy("<i8", "False", "(2,)", &LABELS);
        let x = npy("<f4", "True", "(2, 3)", &[0; 24]);
        let mut bytes = archive(&[("X.npy", &x), ("y.npy", &y)], false);
        let at = at % bytes.len();
        bytes[at] = to;
        let _ = read(&bytes);
    }
}
