//! Writing into a tensor where it lies: for running statistics and optimizer steps.

use super::real::Real;
use candle_core::{CpuStorage, InplaceOp1, Layout, Result, Tensor, bail};
use std::cell::RefCell;

/// Calls `f` with the elements of a contiguous CPU tensor.
///
/// `f` must not touch the same tensor through candle: its storage is locked meanwhile.
pub(crate) fn with_mut<T: Real, R>(t: &Tensor, f: impl FnOnce(&mut [T]) -> Result<R>) -> Result<R> {
    let mut out = None;
    let run = RefCell::new(Some(|slice: &mut [T]| -> Result<()> {
        out = Some(f(slice)?);
        Ok(())
    }));
    t.inplace_op1(&Mutate { run: &run, element: std::marker::PhantomData })?;
    drop(run);
    match out {
        Some(out) => Ok(out),
        None => bail!("the tensor's elements were not visited"),
    }
}

struct Mutate<'a, T, F> {
    run: &'a RefCell<Option<F>>,
    element: std::marker::PhantomData<T>,
}

impl<T: Real, F: FnOnce(&mut [T]) -> Result<()>> InplaceOp1 for Mutate<'_, T, F> {
    fn name(&self) -> &'static str {
        "in place"
    }

    fn cpu_fwd(&self, storage: &mut CpuStorage, layout: &Layout) -> Result<()> {
        let Some((from, to)) = layout.contiguous_offsets() else {
            bail!("expected a contiguous tensor to write to, got strides {:?}", layout.stride());
        };
        match self.run.borrow_mut().take() {
            Some(run) => run(&mut T::slice_mut(storage)?[from..to]),
            None => Ok(()),
        }
    }
}
