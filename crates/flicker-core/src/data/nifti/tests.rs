//! Small volumes put together by hand, in both byte orders and versions, cut and damaged.

use super::*;
use crate::data::Source;
use flate2::{Compression, write::GzEncoder};
use proptest::prelude::*;
use std::io::Write;

/// A file of 3×2×2 numbers of kind `code`, the numbers being `raw`.
fn file(version: Version, order: Order, code: i16, slope: f32, raw: &[Vec<u8>]) -> Vec<u8> {
    let mut bytes = vec![0; version.bytes() as usize + 4];
    let mut put = |at: usize, mut number: Vec<u8>| {
        if order == Order::Big {
            number.reverse();
        }
        bytes[at..at + number.len()].copy_from_slice(&number);
    };
    let dims = [3, 3, 2, 2];
    match version {
        Version::One => {
            put(0, 348i32.to_le_bytes().into());
            (0..4).for_each(|i| put(40 + 2 * i, (dims[i] as i16).to_le_bytes().into()));
            put(70, code.to_le_bytes().into());
            put(80, 2f32.to_le_bytes().into());
            put(108, 352f32.to_le_bytes().into());
            put(112, slope.to_le_bytes().into());
            put(116, 1f32.to_le_bytes().into());
            bytes[344..348].copy_from_slice(b"n+1\0");
        }
        Version::Two => {
            put(0, 540i32.to_le_bytes().into());
            put(12, code.to_le_bytes().into());
            (0..4).for_each(|i| put(16 + 8 * i, (dims[i] as i64).to_le_bytes().into()));
            put(112, 2f64.to_le_bytes().into());
            put(168, 544i64.to_le_bytes().into());
            put(176, f64::from(slope).to_le_bytes().into());
            put(184, 1f64.to_le_bytes().into());
            bytes[4..8].copy_from_slice(b"n+2\0");
        }
    }
    for number in raw {
        let mut number = number.clone();
        if order == Order::Big {
            number.reverse();
        }
        bytes.extend(number);
    }
    bytes
}

fn packed(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(bytes).expect("a Vec takes all");
    encoder.finish().expect("a Vec takes all")
}

fn counted<const N: usize>(number: impl Fn(u8) -> [u8; N]) -> Vec<Vec<u8>> {
    (0..12).map(|i| number(i).into()).collect()
}

#[test]
fn every_kind_of_number_in_both_orders_and_versions() -> Result<()> {
    let kinds: [(i16, Vec<Vec<u8>>); 10] = [
        (2, counted(|i| [i])),
        (256, counted(|i| (i as i8).to_le_bytes())),
        (512, counted(|i| u16::from(i).to_le_bytes())),
        (4, counted(|i| i16::from(i).to_le_bytes())),
        (768, counted(|i| u32::from(i).to_le_bytes())),
        (8, counted(|i| i32::from(i).to_le_bytes())),
        (1280, counted(|i| u64::from(i).to_le_bytes())),
        (1024, counted(|i| i64::from(i).to_le_bytes())),
        (16, counted(|i| f32::from(i).to_le_bytes())),
        (64, counted(|i| f64::from(i).to_le_bytes())),
    ];
    for (code, raw) in &kinds {
        for version in [Version::One, Version::Two] {
            for order in [Order::Little, Order::Big] {
                let bytes = file(version, order, *code, 2.0, raw);
                let expected: Vec<f32> = (0..12).map(|i| 2.0 * i as f32 + 1.0).collect();
                for bytes in [&bytes, &packed(&bytes)] {
                    let volume = parse("x", bytes)?;
                    assert_eq!(
                        (volume.dims, volume.spacing[0]),
                        ([3, 2, 2], 2.0),
                        "{code} {version:?} {order:?}"
                    );
                    assert_eq!(volume.values, expected, "{code} {version:?} {order:?}");
                }
            }
        }
    }
    let unscaled = parse("x", &file(Version::One, Order::Little, 2, 0.0, &kinds[0].1))?;
    assert_eq!(unscaled.values[11], 11.0);
    Ok(())
}

#[test]
fn what_is_wrong_is_said() {
    let good = file(Version::One, Order::Little, 2, 1.0, &counted(|i| [i]));
    let check = |at: usize, bytes: &[u8], said: &str| {
        let mut file = good.clone();
        file[at..at + bytes.len()].copy_from_slice(bytes);
        let message = parse("x", &file).unwrap_err().to_string();
        assert!(message.starts_with("x: ") && message.contains(said), "{message}");
    };
    check(0, &[1], "neither 348 nor 540");
    check(344, b"ni1\0", "another file");
    check(344, b"what", "magic bytes");
    check(70, &[128, 0], "numbers of kind 128");
    check(40, &[9, 0], "9 dimensions");
    check(42, &[0, 0], "0x2x2 values");
    check(42, &[255, 255], "-1x2x2 values");
    check(42, &[0xff, 0x7f, 0xff, 0x7f, 0xff, 0x7f], "expected one volume of at most");
    check(40, &[4, 0, 3, 0, 2, 0, 2, 0, 5, 0], "3x2x2x5 values");
    check(108, &100f32.to_le_bytes(), "values begin at byte 100");
    let message = |bytes: &[u8]| parse("x", bytes).unwrap_err().to_string();
    assert_eq!(message(&good[..good.len() - 1]), "x: expected 12 bytes of values, found 11");
    assert!(message(&good[..300]).starts_with("x: no NIfTI head of 348 bytes"), "{}", message(&good[..300]));
    let nan = file(Version::One, Order::Big, 16, 1.0, &counted(|_| f32::NAN.to_le_bytes()));
    assert_eq!(message(&nan), "x: value 0 is NaN, expected a finite number");
}

#[test]
fn slices_are_upright_scaled_and_centred() -> Result<()> {
    let values = (0..12).map(|i| i as f32).collect();
    let volume = Volume { dims: [3, 2, 2], spacing: [1.0; 3], values };
    let range = |to| SliceRange { from: 1, to, every: 1 };
    let read = |plane, size| -> Result<Vec<f32>> {
        let slices = Slices::new("v", volume.clone(), plane, range(2), size)?;
        let mut out = vec![f32::NAN; size[0] * size[1]];
        slices.read(0, &mut out)?;
        assert_eq!((slices.len(), slices.id(0)), (1, "v-001".into()));
        Ok(out.iter().map(|value| (value * 11.0 * 1e4).round() / 1e4).collect())
    };
    assert_eq!(read(Plane::Axial, [2, 3])?, [9., 10., 11., 6., 7., 8.]);
    assert_eq!(read(Plane::Coronal, [2, 3])?, [9., 10., 11., 3., 4., 5.]);
    assert_eq!(read(Plane::Sagittal, [2, 2])?, [7., 10., 1., 4.]);
    assert_eq!(read(Plane::Axial, [4, 1])?, [0., 10., 7., 0.]);
    assert!(Slices::new("v", volume.clone(), Plane::Axial, range(3), [2, 3]).is_err());
    let blocks = Slices::new("v", volume, Plane::Sagittal, SliceRange { from: 0, to: 3, every: 1 }, [2, 2])?;
    assert_eq!(blocks.blocks(2, 5), [5, 5, 6]);
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    /// Whatever stands in the head, the answer is a whole volume or an error.
    #[test]
    fn damaged_heads_are_errors_or_volumes(
        changes in prop::collection::vec((0..364usize, any::<u8>()), 1..6), cut in 0..400usize, big: bool
    ) {
        let order = if big { Order::Big } else { Order::Little };
        let mut bytes = file(Version::One, order, 4, 1.0, &counted(|i| i16::from(i).to_le_bytes()));
        for (at, byte) in changes {
            bytes[at] = byte;
        }
        bytes.truncate(cut.max(100));
        if let Ok(volume) = parse("x", &bytes) {
            prop_assert_eq!(volume.values.len(), volume.dims.iter().product::<usize>());
        }
    }
}
