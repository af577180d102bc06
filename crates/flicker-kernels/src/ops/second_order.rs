//! Second derivatives of the operators whose backward is one fused kernel: candle differentiates a composition of its
//! own operators twice. Slow, exact, and used by gradient penalties alone.
//!
//! candle cuts the graph of a gradient unless `CANDLE_GRAD_DO_NOT_DETACH=1` is in the environment before a thread's
//! first backward.

use candle_core::{CpuStorage, CustomOp2, Layout, Result, Shape, Tensor, Var, bail};

/// The gradients of `sum_i <u_i, d<g, f(inputs)>/d input_i>`, by each input and by `g` (the last).
///
/// `u` holds one direction per input. The results know no further derivative: asking for one is an error.
pub(crate) fn twice(
    f: impl Fn(&[Tensor]) -> Result<Tensor>,
    inputs: &[&Tensor],
    g: &Tensor,
    u: &[Tensor],
) -> Result<Vec<Tensor>> {
    let originals = [inputs, &[g]].concat();
    // Copies that are variables: differentiation ends at them.
    let vars: Vec<Var> = originals.iter().map(|t| Var::from_tensor(&t.detach())).collect::<Result<_>>()?;
    let args: Vec<Tensor> = vars.iter().map(|v| v.as_tensor().clone()).collect();
    let (g_var, inputs) = (&args[args.len() - 1], &args[..args.len() - 1]);
    let first = (f(inputs)? * g_var)?.sum_all()?.backward()?;
    let mut sum = g_var.zeros_like()?.sum_all()?;
    for (input, u) in inputs.iter().zip(u) {
        if let Some(d) = first.get(input) {
            if !d.track_op() {
                bail!("second derivatives need CANDLE_GRAD_DO_NOT_DETACH=1 before the first backward");
            }
            sum = (sum + (d * u.detach())?.sum_all()?)?;
        }
    }
    let second = sum.backward()?;
    let found = |(var, original): (&Tensor, &&Tensor)| {
        let d = second.get(var).cloned().map_or_else(|| var.zeros_like(), Ok)?;
        d.detach().apply_op2(original, Last)
    };
    args.iter().zip(&originals).map(found).collect()
}

/// A copy of its first argument that remembers that it depends on the second in a way that is not written down.
struct Last;

impl CustomOp2 for Last {
    fn name(&self) -> &'static str {
        "second derivative"
    }

    fn cpu_fwd(&self, s: &CpuStorage, l: &Layout, _: &CpuStorage, _: &Layout) -> Result<(CpuStorage, Shape)> {
        let Some((from, to)) = l.contiguous_offsets() else { bail!("expected a contiguous gradient") };
        let copy = match s {
            CpuStorage::F32(v) => CpuStorage::F32(v[from..to].to_vec()),
            CpuStorage::F64(v) => CpuStorage::F64(v[from..to].to_vec()),
            _ => bail!("expected f32 or f64"),
        };
        Ok((copy, l.shape().clone()))
    }

    fn bwd(
        &self,
        _: &Tensor,
        _: &Tensor,
        _: &Tensor,
        _: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>)> {
        bail!("third derivatives of this operator are not known")
    }
}
