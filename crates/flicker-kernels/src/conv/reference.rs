//! The naive twin: the three maps as plain loops over f64, written from the definition.

use super::geometry::Geometry;
use super::op::Pass;

/// Calls `f(index in x, index in w, index in y)` for each product of the convolution.
fn each_product(g: &Geometry, mut f: impl FnMut(usize, usize, usize)) {
    let pixel = |o: usize, s: usize, k: usize, d: usize, p: usize, n: usize| {
        (o * s + k * d).checked_sub(p).filter(|&i| i < n)
    };
    for b in 0..g.batch {
        for group in 0..g.groups {
            for o in 0..g.c_out {
                let o = group * g.c_out + o;
                for i in 0..g.c_in {
                    for oh in 0..g.size_out.0 {
                        for ow in 0..g.size_out.1 {
                            for kh in 0..g.kernel.0 {
                                for kw in 0..g.kernel.1 {
                                    let row =
                                        pixel(oh, g.stride.0, kh, g.dilation.0, g.padding.0, g.size_in.0);
                                    let column =
                                        pixel(ow, g.stride.1, kw, g.dilation.1, g.padding.1, g.size_in.1);
                                    let (Some(row), Some(column)) = (row, column) else { continue };
                                    let channel = b * g.groups * g.c_in + group * g.c_in + i;
                                    let x = (channel * g.size_in.0 + row) * g.size_in.1 + column;
                                    let w = ((o * g.c_in + i) * g.kernel.0 + kh) * g.kernel.1 + kw;
                                    let y = ((b * g.groups * g.c_out + o) * g.size_out.0 + oh) * g.size_out.1
                                        + ow;
                                    f(x, w, y);
                                }
                            }
                        }
                    }
                }
            }
        }
    }
}

/// One pass, by the definition.
pub(super) fn naive(pass: Pass, g: &Geometry, a: &[f64], b: &[f64]) -> Vec<f64> {
    let len = match pass {
        Pass::Forward => g.out_len(),
        Pass::InputGrad => g.in_len(),
        Pass::WeightGrad => g.weight_len(),
    };
    let mut out = vec![0.; len];
    each_product(g, |x, w, y| match pass {
        Pass::Forward => out[y] += a[x] * b[w],
        Pass::InputGrad => out[x] += a[y] * b[w],
        Pass::WeightGrad => out[w] += a[x] * b[y],
    });
    out
}
