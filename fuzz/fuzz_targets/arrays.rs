//! IDX and npz: finite samples, or an error.
#![no_main]
use flicker_core::data::{Source, idx, npz};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let file = idx::File { origin: "x", bytes };
    if let Ok(images) = idx::images(file, "") {
        let mut out = vec![0.0; images.shape().elements()];
        for index in 0..images.len().min(3) {
            images.read(index, &mut out).expect("an image");
        }
    }
    let layout = npz::Layout { features: "X".into(), label: "y".into(), values: vec![0, 1] };
    if let Ok(table) = npz::dataset("x", "x", bytes, &layout, &["a".into(), "b".into()]) {
        let mut out = vec![0.0; table.shape().elements()];
        table.source().read(0, &mut out).expect("a row");
        assert!(out.iter().all(|value| value.is_finite()));
    }
});
