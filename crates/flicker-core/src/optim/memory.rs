//! The elements of tensors in the CPU's memory, for updates in place.

use candle_core::{CpuStorage, InplaceOp1, Layout, Result, Var, bail};
use std::cell::RefCell;

/// The elements of a contiguous f32 tensor.
pub(super) fn elements<'a>(storage: &'a CpuStorage, layout: &Layout) -> Result<&'a [f32]> {
    match (storage, layout.contiguous_offsets()) {
        (CpuStorage::F32(all), Some((start, end))) => Ok(&all[start..end]),
        _ => bail!("update in place: expected a contiguous tensor in f32"),
    }
}

/// The elements of a contiguous f32 tensor, to be changed.
pub(super) fn elements_mut<'a>(storage: &'a mut CpuStorage, layout: &Layout) -> Result<&'a mut [f32]> {
    match (storage, layout.contiguous_offsets()) {
        (CpuStorage::F32(all), Some((start, end))) => Ok(&mut all[start..end]),
        _ => bail!("update in place: expected a contiguous tensor in f32"),
    }
}

/// Calls `f` with the elements of `var`, or with none if there is no `var`.
pub(super) fn with_elements(var: Option<&Var>, f: impl FnOnce(&mut [f32]) -> Result<()>) -> Result<()> {
    match var {
        None => f(&mut []),
        Some(var) => var.inplace_op1(&Access(RefCell::new(Some(f)))),
    }
}

/// A call that candle makes once, with the memory of a tensor.
struct Access<F>(RefCell<Option<F>>);

impl<F: FnOnce(&mut [f32]) -> Result<()>> InplaceOp1 for Access<F> {
    fn name(&self) -> &'static str {
        "update-in-place"
    }

    fn cpu_fwd(&self, storage: &mut CpuStorage, layout: &Layout) -> Result<()> {
        match self.0.take() {
            Some(f) => f(elements_mut(storage, layout)?),
            None => bail!("update in place: expected one call, found a second"),
        }
    }
}
