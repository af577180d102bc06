//! Which of the two ways an operator goes: the kernels of this crate, or a composition of candle's operators.

use candle_core::{DType, Tensor};
use std::cell::Cell;

thread_local! {
    static COMPOSED: Cell<bool> = const { Cell::new(false) };
}

/// Whether operators on tensors of `t`'s device and number type go through the kernels of this crate: those in f32 and
/// f64 on the CPU do. All others are compositions of candle's operators whose gradients are right.
pub fn has_kernels(t: &Tensor) -> bool {
    t.device().is_cpu() && matches!(t.dtype(), DType::F32 | DType::F64) && !COMPOSED.get()
}

/// Runs `f` without the kernels: on this thread every operator is the composition that other devices get, on the CPU too.
/// That is how the compositions are held against the kernels where there is no other device.
///
/// A backward pass belongs inside `f`, as it calls operators of its own.
pub fn with_compositions<R>(f: impl FnOnce() -> R) -> R {
    struct Restore(bool);
    impl Drop for Restore {
        fn drop(&mut self) {
            COMPOSED.set(self.0);
        }
    }
    let _restore = Restore(COMPOSED.replace(true)); // also when `f` panics
    f()
}

#[cfg(test)]
mod tests {
    use super::*;
    use candle_core::{Device, Result};

    #[test]
    fn compositions_end_with_their_closure() -> Result<()> {
        let t = Tensor::new(1f32, &Device::Cpu)?;
        assert!(has_kernels(&t) && !has_kernels(&t.to_dtype(DType::BF16)?));
        assert!(!with_compositions(|| with_compositions(|| has_kernels(&t)) || has_kernels(&t)));
        assert!(std::panic::catch_unwind(|| with_compositions(|| panic!("inside"))).is_err());
        assert!(has_kernels(&t));
        Ok(())
    }
}
