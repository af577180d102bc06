//! The three maps on any device and number type, made of candle's operators.
//!
//! Of candle's convolutions only the forward `conv2d` is used (cuDNN where it is compiled in, else unfolding and one matrix
//! product). Its `conv_transpose2d`, through which its own gradients go too, is a slow direct kernel on CUDA; here the
//! gradient by the input is one convolution of stride 1 for all residues modulo the stride, whose channels are then
//! interleaved, and the gradient by the weights one product with the unfolded image.

use super::geometry::{Geometry, Pair};
use super::op::{ConvOp, Pass};
use candle_core::backend::BackendStorage;
use candle_core::{
    CpuStorage, CudaStorage, CustomOp2, DType, Layout, MetalStorage, Result, Shape, Storage, Tensor, bail,
};
use std::sync::{Mutex, PoisonError};

/// One pass of two contiguous operands that fit `g`. Its graph is not the one to differentiate: see [`Composed`].
pub(super) fn compute(pass: Pass, g: &Geometry, a: &Tensor, b: &Tensor) -> Result<Tensor> {
    match pass {
        Pass::Forward => forward(g, a, b),
        Pass::InputGrad => input_grad(g, a, b),
        Pass::WeightGrad => weight_grad(g, a, b),
    }
}

/// `y` of `x` and `w`.
fn forward(g: &Geometry, x: &Tensor, w: &Tensor) -> Result<Tensor> {
    cross_correlation(x, w, borders(g), g.stride, g.dilation, g.groups)
}

/// Zeros before the first and after the last pixel (negative: pixels left out), so that the outputs are as many as `g` says.
fn borders(g: &Geometry) -> [(isize, isize); 2] {
    let side = |n: usize, out: usize, k: usize, s: usize, p: usize, d: usize| {
        let reach = (out - 1) * s + d * (k - 1) + 1;
        (p as isize, reach as isize - (n + p) as isize)
    };
    [
        side(g.size_in.0, g.size_out.0, g.kernel.0, g.stride.0, g.padding.0, g.dilation.0),
        side(g.size_in.1, g.size_out.1, g.kernel.1, g.stride.1, g.padding.1, g.dilation.1),
    ]
}

/// `x` (…, H, W) with `borders`.
fn framed(x: &Tensor, borders: [(isize, isize); 2]) -> Result<Tensor> {
    let mut x = x.clone();
    for (dim, (left, right)) in [2, 3].into_iter().zip(borders) {
        let size = x.dim(dim)?.checked_add_signed(left + right).unwrap_or(0);
        x = x.pad_with_zeros(dim, left.max(0) as usize, right.max(0) as usize)?;
        x = x.narrow(dim, (-left).max(0) as usize, size)?;
    }
    x.contiguous()
}

/// The convolution of `x` with borders.
fn cross_correlation(
    x: &Tensor,
    w: &Tensor,
    borders: [(isize, isize); 2],
    stride: Pair,
    dilation: Pair,
    groups: usize,
) -> Result<Tensor> {
    // candle's knows one stride and one dilation for both sides, and on the CPU no bf16.
    let unknown = x.device().is_cpu() && x.dtype() == DType::BF16;
    if stride.0 != stride.1 || dilation.0 != dilation.1 || unknown {
        return by_product(&framed(x, borders)?, w, stride, dilation, groups);
    }
    let [rows, columns] = borders;
    // A row too few at the lower edge is a row that the stride leaves out, if the padding is the same on all sides.
    let left_out = |(left, right): (isize, isize)| (0..stride.0 as isize).contains(&(left - right));
    if rows.0 == columns.0 && rows.0 >= 0 && left_out(rows) && left_out(columns) {
        return x.conv2d(w, rows.0 as usize, stride.0, dilation.0, groups);
    }
    framed(x, borders)?.conv2d(w, 0, stride.0, dilation.0, groups)
}

/// The convolution of `x` without borders, where candle has none.
fn by_product(x: &Tensor, w: &Tensor, stride: Pair, dilation: Pair, groups: usize) -> Result<Tensor> {
    let (c_out, _, kernel_h, kernel_w) = w.dims4()?;
    let (columns, (batch, height, width)) = unfolded(x, (kernel_h, kernel_w), stride, dilation, groups)?;
    let w = w.reshape((groups, c_out / groups, columns.dim(1)?))?;
    let y = w.matmul(&columns)?.reshape((c_out, batch, height, width))?;
    y.transpose(0, 1)?.contiguous()
}

/// What each output of a convolution of `x` without borders reads: (groups, channels of a group · taps, B · H' · W'), and
/// (B, H', W').
fn unfolded(
    x: &Tensor,
    kernel: Pair,
    stride: Pair,
    dilation: Pair,
    groups: usize,
) -> Result<(Tensor, (usize, usize, usize))> {
    let (batch, channels, _, _) = x.dims4()?;
    // Views: the pixels that a kernel reaches over, of which every dilation-th is a tap.
    let view =
        x.unfold(2, dilation.0 * (kernel.0 - 1) + 1, stride.0)?.unfold(4, 1, dilation.0)?.squeeze(5)?;
    let view =
        view.unfold(3, dilation.1 * (kernel.1 - 1) + 1, stride.1)?.unfold(5, 1, dilation.1)?.squeeze(6)?;
    let (height, width) = (view.dim(2)?, view.dim(3)?);
    // (B, C, H', W', kh, kw), copied once, in the order of the product.
    let columns = view.permute((1, 4, 5, 0, 2, 3))?.contiguous()?;
    let terms = channels / groups * kernel.0 * kernel.1;
    Ok((columns.reshape((groups, terms, batch * height * width))?, (batch, height, width)))
}

/// `dx` of `dy` and `w`.
///
/// Along one side, dx at pixel r sums `dy[q] · w[t]` over all `q · stride + t · dilation = r + padding`. Pixels whose
/// `r + padding` have one residue modulo the stride share their taps, so that each residue is a convolution of stride 1;
/// all of them read the same window of `dy` and are computed as one, with the residues as channels.
fn input_grad(g: &Geometry, dy: &Tensor, w: &Tensor) -> Result<Tensor> {
    let rows = Residues::new(g.size_in.0, g.size_out.0, g.kernel.0, g.stride.0, g.padding.0, g.dilation.0);
    let columns = Residues::new(g.size_in.1, g.size_out.1, g.kernel.1, g.stride.1, g.padding.1, g.dilation.1);
    let w = columns.spread(&rows.spread(w, 2)?, 3)?;
    let (sh, sw, (mh, mw)) = (g.stride.0, g.stride.1, (rows.taps, columns.taps));
    let w = w.reshape(&[g.groups, g.c_out, g.c_in, mh, sh, mw, sw][..])?;
    let w = w.permute(vec![0, 2, 4, 6, 1, 3, 5])?.contiguous()?.flip(&[5, 6])?;
    let w = w.reshape((g.groups * g.c_in * sh * sw, g.c_out, mh, mw))?;
    let dilation = (rows.dilation, columns.dilation);
    let y = cross_correlation(dy, &w, [rows.borders, columns.borders], (1, 1), dilation, g.groups)?;
    // (B, C, sh, sw, rows, columns) → (B, C, rows, sh, columns, sw)
    let (batch, channels) = (g.batch, g.groups * g.c_in);
    let (height, width) = (y.dim(2)?, y.dim(3)?);
    let y = y
        .reshape(&[batch, channels, sh, sw, height, width][..])?
        .permute((0, 1, 4, 2, 5, 3))?
        .contiguous()?;
    let y = y.reshape((batch, channels, height * sh, width * sw))?;
    y.narrow(2, rows.skip, g.size_in.0)?.narrow(3, columns.skip, g.size_in.1)?.contiguous()
}

/// One side of [`input_grad`].
struct Residues {
    /// Taps of one residue, and the distance of two of them.
    taps: usize,
    dilation: usize,
    /// The distance of the original kernel's taps where it is spread out, so that the residues fall on whole taps.
    spread: usize,
    stride: usize,
    borders: (isize, isize),
    /// Interleaved pixels before the first one of dx.
    skip: usize,
}

impl Residues {
    fn new(
        input: usize,
        output: usize,
        kernel: usize,
        stride: usize,
        padding: usize,
        dilation: usize,
    ) -> Self {
        // With stride 1 there is one residue, and the kernel may stay dilated.
        let (spread, dilation) = if stride == 1 { (1, dilation) } else { (dilation, 1) };
        let taps = (spread * (kernel - 1) + 1).div_ceil(stride);
        let (first, end) = (padding / stride, (input + padding).div_ceil(stride));
        let borders = ((dilation * (taps - 1)) as isize - first as isize, end as isize - output as isize);
        Self { taps, dilation, spread, stride, borders, skip: padding - first * stride }
    }

    /// The kernel along `dim` with zeros between its taps and after them, `taps · stride` long.
    fn spread(&self, w: &Tensor, dim: usize) -> Result<Tensor> {
        let kernel = w.dim(dim)?;
        let spread = w.unsqueeze(dim + 1)?.pad_with_zeros(dim + 1, 0, self.spread - 1)?;
        let spread = spread.flatten(dim, dim + 1)?.narrow(dim, 0, self.spread * (kernel - 1) + 1)?;
        spread.pad_with_zeros(dim, 0, self.taps * self.stride - spread.dim(dim)?)
    }
}

/// `dw` of `x` and `dy`.
fn weight_grad(g: &Geometry, x: &Tensor, dy: &Tensor) -> Result<Tensor> {
    let x = framed(x, borders(g))?;
    let (columns, (batch, height, width)) = unfolded(&x, g.kernel, g.stride, g.dilation, g.groups)?;
    let dy = dy.transpose(0, 1)?.contiguous()?.reshape((g.groups, g.c_out, batch * height * width))?;
    let dw = dy.matmul(&columns.transpose(1, 2)?)?;
    dw.reshape((g.groups * g.c_out, g.c_in, g.kernel.0, g.kernel.1))
}

/// A composed pass as an operator of the graph: the result is there already, the gradients are those of [`ConvOp`], so that
/// they are composed of the three maps again, as often as one differentiates.
pub(super) struct Composed {
    op: ConvOp,
    /// Until the operator is applied; the graph shall not keep it a second time.
    result: Mutex<Option<Tensor>>,
}

impl Composed {
    pub(super) fn new(op: ConvOp, result: Tensor) -> Self {
        Self { op, result: Mutex::new(Some(result)) }
    }

    /// A copy of the result's memory.
    fn take<S: BackendStorage>(&self, of: impl FnOnce(&Storage) -> Option<&S>) -> Result<(S, Shape)> {
        let result = self.result.lock().unwrap_or_else(PoisonError::into_inner).take();
        let Some(result) = result else { bail!("{}: applied twice", self.op.name()) };
        let result = result.contiguous()?;
        let (storage, layout) = result.storage_and_layout();
        match of(&storage) {
            Some(storage) if layout.start_offset() == 0 => {
                Ok((storage.try_clone(layout)?, layout.shape().clone()))
            }
            _ => bail!("{}: expected a result of its own on the operands' device", self.op.name()),
        }
    }
}

impl CustomOp2 for Composed {
    fn name(&self) -> &'static str {
        self.op.name()
    }

    fn cpu_fwd(&self, _: &CpuStorage, _: &Layout, _: &CpuStorage, _: &Layout) -> Result<(CpuStorage, Shape)> {
        self.take(|storage| if let Storage::Cpu(storage) = storage { Some(storage) } else { None })
    }

    fn cuda_fwd(
        &self,
        _: &CudaStorage,
        _: &Layout,
        _: &CudaStorage,
        _: &Layout,
    ) -> Result<(CudaStorage, Shape)> {
        self.take(|storage| if let Storage::Cuda(storage) = storage { Some(storage) } else { None })
    }

    fn metal_fwd(
        &self,
        _: &MetalStorage,
        _: &Layout,
        _: &MetalStorage,
        _: &Layout,
    ) -> Result<(MetalStorage, Shape)> {
        self.take(|storage| if let Storage::Metal(storage) = storage { Some(storage) } else { None })
    }

    fn bwd(
        &self,
        a: &Tensor,
        b: &Tensor,
        _: &Tensor,
        g: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>)> {
        self.op.gradients(a, b, g)
    }
}
