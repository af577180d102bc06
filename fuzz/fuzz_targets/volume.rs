//! NIfTI: a volume of finite values of the size that the head says, or an error.
#![no_main]
use flicker_core::data::nifti::parse;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(volume) = parse("x", bytes) {
        assert_eq!(volume.values.len(), volume.dims.iter().product::<usize>());
        assert!(volume.values.iter().all(|value| value.is_finite()));
    }
});
