//! A checkpoint, and weights: whole, or an error.
#![no_main]
use candle_core::Device;
use flicker_core::run::Checkpoint;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let _ = Checkpoint::from_bytes("x", bytes, &Device::Cpu);
});
