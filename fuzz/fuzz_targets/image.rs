//! PNG, JPEG, BMP, TIFF and DICOM: planes of the size that the head says with values from 0 to 1, or an error.
#![no_main]
use flicker_core::data::{Limits, decode, header};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let limits = Limits { bytes: 1 << 20, pixels: 1 << 16 };
    let head = header("x", bytes, limits);
    for channels in [1, 3] {
        if let Ok(planes) = decode("x", bytes, channels, limits) {
            let size = head.as_ref().expect("a head that can be read").size;
            assert_eq!((planes.size, planes.values.len()), (size, channels * size[0] * size[1]));
            assert!(planes.values.iter().all(|value| (0.0..=1.0).contains(value)));
        }
    }
});
