//! Tests of the convolutions: against the naive twin, finite differences, the composition, and PyTorch.

mod biased;
mod derivatives;
mod fixture;
mod grid;
mod layouts;
#[path = "../../../tests/report/mod.rs"]
mod report;

use super::geometry::{Geometry, conv_size};
use super::op::{ConvOp, Pass, Sizes};
use super::{ConvSpec, composition, reference};
use candle_core::{DType, Device, Result, Tensor};
use report::{Order, note};

const PASSES: [Pass; 3] = [Pass::Forward, Pass::InputGrad, Pass::WeightGrad];

/// Runs a test through the kernels, then through the compositions.
fn both_ways(test: impl Fn() -> Result<()>) -> Result<()> {
    test()?;
    crate::with_compositions(test)
}

/// A fixed sequence of numbers in (-1, 1), different for each seed.
fn numbers(len: usize, seed: u64) -> Vec<f64> {
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 11) as f64 / (1u64 << 52) as f64 - 1.
    };
    (0..len).map(|_| next()).collect()
}

fn tensor(shape: (usize, usize, usize, usize), seed: u64) -> Tensor {
    let (a, b, c, d) = shape;
    Tensor::from_vec(numbers(a * b * c * d, seed), shape, &Device::Cpu).unwrap()
}

/// One case of a test: batch, channels of both sides over all groups, image, kernel, and how it moves.
#[derive(Clone, Copy, Debug)]
struct Case {
    batch: usize,
    channels: (usize, usize),
    size: (usize, usize),
    kernel: (usize, usize),
    spec: ConvSpec,
}

impl Case {
    /// The geometry, where the kernel fits into the image.
    fn geometry(&self) -> Option<Geometry> {
        let s = self.spec;
        let size_out = (
            conv_size(self.size.0, self.kernel.0, s.stride.0, s.padding.0, s.dilation.0).ok()?,
            conv_size(self.size.1, self.kernel.1, s.stride.1, s.padding.1, s.dilation.1).ok()?,
        );
        Some(Geometry {
            batch: self.batch,
            groups: s.groups,
            c_in: self.channels.0 / s.groups,
            c_out: self.channels.1 / s.groups,
            size_in: self.size,
            size_out,
            kernel: self.kernel,
            stride: s.stride,
            padding: s.padding,
            dilation: s.dilation,
        })
    }
}

fn op(pass: Pass, g: &Geometry) -> ConvOp {
    let spec = ConvSpec { stride: g.stride, padding: g.padding, dilation: g.dilation, groups: g.groups };
    let sizes = Sizes { size_in: g.size_in, size_out: g.size_out, kernel: g.kernel };
    ConvOp { pass, sizes, spec }
}

type Four = (usize, usize, usize, usize);

/// Shapes of the operands of a pass.
fn operand_shapes(pass: Pass, g: &Geometry) -> (Four, Four) {
    let x = (g.batch, g.groups * g.c_in, g.size_in.0, g.size_in.1);
    let w = (g.groups * g.c_out, g.c_in, g.kernel.0, g.kernel.1);
    let y = (g.batch, g.groups * g.c_out, g.size_out.0, g.size_out.1);
    match pass {
        Pass::Forward => (x, w),
        Pass::InputGrad => (y, w),
        Pass::WeightGrad => (x, y),
    }
}

/// Lengths of the operands of a pass.
fn operand_lens(pass: Pass, g: &Geometry) -> (usize, usize) {
    match pass {
        Pass::Forward => (g.in_len(), g.weight_len()),
        Pass::InputGrad => (g.out_len(), g.weight_len()),
        Pass::WeightGrad => (g.in_len(), g.out_len()),
    }
}

/// The largest error, as a share of the largest number expected or of 1.
#[track_caller]
fn assert_close(found: &[f64], expected: &[f64], tolerance: f64, what: &str) -> f64 {
    assert_eq!(found.len(), expected.len(), "{what}: length");
    let scale = expected.iter().fold(1f64, |m, v| m.max(v.abs()));
    let mut worst = 0f64;
    for (i, (f, e)) in found.iter().zip(expected).enumerate() {
        assert!((f - e).abs() <= tolerance * scale, "{what}: at {i}: found {f}, expected {e}");
        worst = worst.max((f - e).abs() / scale);
    }
    worst
}

/// Asserts that `found` is close, and notes how close, for the report.
#[track_caller]
fn compare(
    (operator, order, way): (&str, Order, &str),
    found: &[f64],
    expected: &[f64],
    tolerance: f64,
    what: &str,
) {
    note(operator, order, way, assert_close(found, expected, tolerance, what), tolerance);
}

/// Which code computes operators on numbers of this type here.
fn way(dtype: DType) -> Result<String> {
    let kernels = crate::has_kernels(&Tensor::zeros(1, dtype, &Device::Cpu)?);
    Ok(format!("{}, {}", if kernels { "kernels" } else { "compositions" }, dtype.as_str()))
}

impl Pass {
    /// What it is to the report: the convolution, or one of its gradients.
    fn order(self) -> Order {
        if self == Self::Forward { Order::Result } else { Order::First }
    }
}

/// Compares every pass with its naive twin: composed, and on every instruction set of this machine in both number types.
#[track_caller]
fn check(g: &Geometry) {
    for pass in PASSES {
        let (n_a, n_b) = operand_lens(pass, g);
        let (a, b) = (numbers(n_a, 1), numbers(n_b, 2));
        let expected = reference::naive(pass, g, &a, &b);
        let (shape_a, shape_b) = operand_shapes(pass, g);
        let composed = composition::compute(pass, g, &tensor(shape_a, 1), &tensor(shape_b, 2)).unwrap();
        let found: Vec<f64> = composed.flatten_all().unwrap().to_vec1().unwrap();
        let noted = |way| ("convolution", pass.order(), way);
        let what = format!("{pass:?} composed {g:?}");
        compare(noted("compositions, f64"), &found, &expected, 1e-12, &what);
        let narrow = |v: &[f64]| v.iter().map(|&v| v as f32).collect::<Vec<f32>>();
        let (a32, b32) = (narrow(&a), narrow(&b));
        for isa in crate::simd::Isa::available() {
            let what = format!("{pass:?} {isa:?} {g:?}");
            let (found, _) = op(pass, g).compute::<f64>(isa, g, &a, &b);
            compare(noted("kernels, f64"), &found, &expected, 1e-12, &what);
            let (found, _) = op(pass, g).compute::<f32>(isa, g, &a32, &b32);
            let found: Vec<f64> = found.iter().map(|&v| f64::from(v)).collect();
            compare(noted("kernels, f32"), &found, &expected, 2e-5, &what);
        }
    }
}
