//! From a slice function to a candle custom operator: element type, contiguity and device are dealt with once, here.

use super::real::Real;
use crate::route::has_kernels;
use candle_core::{CpuStorage, CustomOp1, CustomOp2, CustomOp3, Layout, Result, Shape, Tensor, bail};

/// A contiguous argument: its elements in row-major order, and its dimensions.
#[derive(Clone, Copy)]
pub(crate) struct View<'a, T> {
    pub(crate) data: &'a [T],
    pub(crate) dims: &'a [usize],
}

/// An operator of one argument.
pub(crate) trait Op1: Send + Sync + 'static {
    const NAME: &'static str;
    fn forward<T: Real>(&self, x: View<'_, T>) -> Result<(Vec<T>, Shape)>;
    /// The gradient by x, from x, the result and the result's gradient (contiguous).
    fn backward(&self, x: &Tensor, y: &Tensor, g: &Tensor) -> Result<Tensor>;
}

/// An operator of two arguments.
pub(crate) trait Op2: Send + Sync + 'static {
    const NAME: &'static str;
    fn forward<T: Real>(&self, a: View<'_, T>, b: View<'_, T>) -> Result<(Vec<T>, Shape)>;
    fn backward(&self, a: &Tensor, b: &Tensor, y: &Tensor, g: &Tensor) -> Result<[Option<Tensor>; 2]>;
}

/// An operator of three arguments.
pub(crate) trait Op3: Send + Sync + 'static {
    const NAME: &'static str;
    fn forward<T: Real>(&self, args: [View<'_, T>; 3]) -> Result<(Vec<T>, Shape)>;
    fn backward(&self, args: [&Tensor; 3], y: &Tensor, g: &Tensor) -> Result<[Option<Tensor>; 3]>;
}

/// Whether all of them have kernels and are of one element type.
pub(crate) fn fast(ts: &[&Tensor]) -> bool {
    ts.iter().all(|t| has_kernels(t) && t.dtype() == ts[0].dtype())
}

pub(crate) fn apply1(x: &Tensor, op: impl Op1) -> Result<Tensor> {
    x.contiguous()?.apply_op1(Adapter(op))
}

pub(crate) fn apply2(a: &Tensor, b: &Tensor, op: impl Op2) -> Result<Tensor> {
    a.contiguous()?.apply_op2(&b.contiguous()?, Adapter(op))
}

pub(crate) fn apply3(a: &Tensor, b: &Tensor, c: &Tensor, op: impl Op3) -> Result<Tensor> {
    a.contiguous()?.apply_op3(&b.contiguous()?, &c.contiguous()?, Adapter(op))
}

/// The elements of a contiguous argument.
pub(crate) fn slice<'a, T: Real>(storage: &'a CpuStorage, layout: &Layout) -> Result<&'a [T]> {
    let Some((from, to)) = layout.contiguous_offsets() else {
        bail!("expected a contiguous argument, got strides {:?}", layout.stride());
    };
    Ok(&T::cpu_storage_as_slice(storage)?[from..to])
}

fn view<'a, T: Real>(storage: &'a CpuStorage, layout: &'a Layout) -> Result<View<'a, T>> {
    Ok(View { data: slice(storage, layout)?, dims: layout.dims() })
}

fn stored<T: Real>((data, shape): (Vec<T>, Shape)) -> (CpuStorage, Shape) {
    (T::to_cpu_storage_owned(data), shape)
}

struct Adapter<O>(O);

macro_rules! by_type {
    ($name:expr, $storage:expr, $run:ident) => {
        match $storage {
            CpuStorage::F32(_) => $run!(f32),
            CpuStorage::F64(_) => $run!(f64),
            _ => bail!("{}: expected f32 or f64", $name),
        }
    };
}

impl<O: Op1> CustomOp1 for Adapter<O> {
    fn name(&self) -> &'static str {
        O::NAME
    }

    fn cpu_fwd(&self, s: &CpuStorage, l: &Layout) -> Result<(CpuStorage, Shape)> {
        macro_rules! run {
            ($t:ty) => {
                self.0.forward(view::<$t>(s, l)?).map(stored)
            };
        }
        by_type!(O::NAME, s, run)
    }

    fn bwd(&self, x: &Tensor, y: &Tensor, g: &Tensor) -> Result<Option<Tensor>> {
        if !x.track_op() {
            return Ok(None);
        }
        self.0.backward(x, y, &g.contiguous()?).map(Some)
    }
}

impl<O: Op2> CustomOp2 for Adapter<O> {
    fn name(&self) -> &'static str {
        O::NAME
    }

    fn cpu_fwd(
        &self,
        s1: &CpuStorage,
        l1: &Layout,
        s2: &CpuStorage,
        l2: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        macro_rules! run {
            ($t:ty) => {
                self.0.forward(view::<$t>(s1, l1)?, view::<$t>(s2, l2)?).map(stored)
            };
        }
        by_type!(O::NAME, s1, run)
    }

    fn bwd(
        &self,
        a: &Tensor,
        b: &Tensor,
        y: &Tensor,
        g: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>)> {
        let [ga, gb] = self.0.backward(a, b, y, &g.contiguous()?)?;
        Ok((ga, gb))
    }
}

impl<O: Op3> CustomOp3 for Adapter<O> {
    fn name(&self) -> &'static str {
        O::NAME
    }

    fn cpu_fwd(
        &self,
        s1: &CpuStorage,
        l1: &Layout,
        s2: &CpuStorage,
        l2: &Layout,
        s3: &CpuStorage,
        l3: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        macro_rules! run {
            ($t:ty) => {
                self.0.forward([view::<$t>(s1, l1)?, view::<$t>(s2, l2)?, view::<$t>(s3, l3)?]).map(stored)
            };
        }
        by_type!(O::NAME, s1, run)
    }

    fn bwd(
        &self,
        a: &Tensor,
        b: &Tensor,
        c: &Tensor,
        y: &Tensor,
        g: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>, Option<Tensor>)> {
        let [ga, gb, gc] = self.0.backward([a, b, c], y, &g.contiguous()?)?;
        Ok((ga, gb, gc))
    }
}
