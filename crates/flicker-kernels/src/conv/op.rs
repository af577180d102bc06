//! The three passes as one candle operator that is closed under differentiation.

use super::ConvSpec;
use super::composition::{self, Composed};
use super::forward::forward;
use super::geometry::{Geometry, Pair};
use super::input_grad::input_grad;
use super::weight_grad::weight_grad;
use crate::route::has_kernels;
use crate::simd::{Element, Isa};
use crate::threads::unset;
use candle_core::{CpuStorage, CustomOp2, Layout, Result, Shape, Tensor, bail};

/// Which of the three maps; `x` (B, C, H, W) is the image, `w` the weights, `y` the output.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Pass {
    /// (x, w) → y
    Forward,
    /// (dy, w) → dx
    InputGrad,
    /// (x, dy) → dw
    WeightGrad,
}

/// Height and width of the three tensors that every pass is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Sizes {
    pub(super) size_in: Pair,
    pub(super) size_out: Pair,
    pub(super) kernel: Pair,
}

/// One pass with everything that does not follow from the shapes of its two operands.
#[derive(Clone, Copy, Debug)]
pub(super) struct ConvOp {
    pub(super) pass: Pass,
    pub(super) sizes: Sizes,
    pub(super) spec: ConvSpec,
}

impl ConvOp {
    /// The pass of two tensors of any layout.
    pub(super) fn apply(self, a: &Tensor, b: &Tensor) -> Result<Tensor> {
        let (a, b) = (a.contiguous()?, b.contiguous()?);
        if has_kernels(&a) {
            return a.apply_op2(&b, self);
        }
        let g = self.geometry(a.dims(), b.dims())?;
        let result = composition::compute(self.pass, &g, &a.detach(), &b.detach())?;
        if a.track_op() || b.track_op() { a.apply_op2(&b, Composed::new(self, result)) } else { Ok(result) }
    }

    pub(super) fn with(self, pass: Pass) -> Self {
        Self { pass, ..self }
    }

    /// The sizes, checked against the two operands.
    pub(super) fn geometry(&self, a: &[usize], b: &[usize]) -> Result<Geometry> {
        let ([a0, a1, a2, a3], [b0, b1, b2, b3]) = (dims4(a)?, dims4(b)?);
        let (groups, sizes) = (self.spec.groups, self.sizes);
        let (batch, channels_in, channels_out, size_a, size_b) = match self.pass {
            Pass::Forward => (a0, a1, b0, sizes.size_in, sizes.kernel),
            Pass::InputGrad => (a0, b1 * groups, a1, sizes.size_out, sizes.kernel),
            Pass::WeightGrad => (a0, a1, b1, sizes.size_in, sizes.size_out),
        };
        let expected_b = match self.pass {
            Pass::WeightGrad => (batch, channels_out),
            _ => (channels_out, channels_in / groups),
        };
        if (a2, a3) != size_a || (b2, b3) != size_b || (b0, b1) != expected_b {
            bail!("{}: operands {a:?} and {b:?} do not fit {self:?}", self.name());
        }
        Ok(Geometry {
            batch,
            groups,
            c_in: channels_in / groups,
            c_out: channels_out / groups,
            size_in: sizes.size_in,
            size_out: sizes.size_out,
            kernel: sizes.kernel,
            stride: self.spec.stride,
            padding: self.spec.padding,
            dilation: self.spec.dilation,
        })
    }

    /// The result of the pass and its shape.
    pub(super) fn compute<T: Element>(&self, isa: Isa, g: &Geometry, a: &[T], b: &[T]) -> (Vec<T>, Shape) {
        let (len, shape) = match self.pass {
            Pass::Forward => (g.out_len(), (g.batch, g.groups * g.c_out, g.size_out.0, g.size_out.1)),
            Pass::InputGrad => (g.in_len(), (g.batch, g.groups * g.c_in, g.size_in.0, g.size_in.1)),
            Pass::WeightGrad => (g.weight_len(), (g.groups * g.c_out, g.c_in, g.kernel.0, g.kernel.1)),
        };
        // Each pass writes every number of its result.
        let mut out = unset(len);
        match self.pass {
            Pass::Forward => forward(isa, g, a, b, &mut out, &|_, _| ()),
            Pass::InputGrad => input_grad(isa, g, a, b, &mut out),
            Pass::WeightGrad => weight_grad(isa, g, a, b, &mut out),
        }
        (out, shape.into())
    }
}

fn dims4(dims: &[usize]) -> Result<[usize; 4]> {
    match dims.try_into() {
        Ok(dims) => Ok(dims),
        Err(_) => bail!("convolution: expected four dimensions, found {dims:?}"),
    }
}

/// The numbers of a contiguous tensor.
fn numbers<'a, T: Element>(storage: &'a CpuStorage, layout: &Layout) -> Result<&'a [T]> {
    match layout.contiguous_offsets() {
        Some((start, end)) => Ok(&storage.as_slice::<T>()?[start..end]),
        None => bail!("convolution: operands must be contiguous, found strides {:?}", layout.stride()),
    }
}

impl CustomOp2 for ConvOp {
    fn name(&self) -> &'static str {
        match self.pass {
            Pass::Forward => "flicker-conv2d",
            Pass::InputGrad => "flicker-conv2d-input-grad",
            Pass::WeightGrad => "flicker-conv2d-weight-grad",
        }
    }

    fn cpu_fwd(
        &self,
        s1: &CpuStorage,
        l1: &Layout,
        s2: &CpuStorage,
        l2: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let (g, isa) = (self.geometry(l1.dims(), l2.dims())?, Isa::best());
        match s1 {
            CpuStorage::F32(_) => {
                let (out, shape) = self.compute::<f32>(isa, &g, numbers(s1, l1)?, numbers(s2, l2)?);
                Ok((CpuStorage::F32(out), shape))
            }
            CpuStorage::F64(_) => {
                let (out, shape) = self.compute::<f64>(isa, &g, numbers(s1, l1)?, numbers(s2, l2)?);
                Ok((CpuStorage::F64(out), shape))
            }
            _ => bail!("{}: expected f32 or f64 numbers", self.name()),
        }
    }

    fn bwd(
        &self,
        a: &Tensor,
        b: &Tensor,
        _: &Tensor,
        g: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>)> {
        self.gradients(a, b, g)
    }
}

impl ConvOp {
    /// The gradients by the operands that ask for one, given the gradient `g` of the result.
    pub(super) fn gradients(
        &self,
        a: &Tensor,
        b: &Tensor,
        g: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>)> {
        let by = |arg: &Tensor, pass, left: &Tensor, right: &Tensor| {
            arg.track_op().then(|| self.with(pass).apply(left, right)).transpose()
        };
        match self.pass {
            // a = x, b = w, g = dy
            Pass::Forward => Ok((by(a, Pass::InputGrad, g, b)?, by(b, Pass::WeightGrad, a, g)?)),
            // a = dy, b = w, g stands where x does
            Pass::InputGrad => Ok((by(a, Pass::Forward, g, b)?, by(b, Pass::WeightGrad, g, a)?)),
            // a = x, b = dy, g stands where w does
            Pass::WeightGrad => Ok((by(a, Pass::InputGrad, b, g)?, by(b, Pass::Forward, a, g)?)),
        }
    }
}
