//! Convolution on any device and number type as a composition of candle's own operators whose gradients are right:
//! slices, concatenation and a matrix product. candle's `conv2d` is not used: its input gradient is a slow direct kernel
//! on CUDA, and an error where height and width differ in parity at stride 2.

use super::ConvSpec;
use super::op::Sizes;
use candle_core::{Result, Tensor};

/// One side of the image: what the helpers below need along it.
struct Side {
    dim: usize,
    input: usize,
    output: usize,
    kernel: usize,
    stride: usize,
    padding: usize,
    dilation: usize,
}

fn sides(sizes: &Sizes, spec: &ConvSpec) -> [Side; 2] {
    [
        Side {
            dim: 2,
            input: sizes.size_in.0,
            output: sizes.size_out.0,
            kernel: sizes.kernel.0,
            stride: spec.stride.0,
            padding: spec.padding.0,
            dilation: spec.dilation.0,
        },
        Side {
            dim: 3,
            input: sizes.size_in.1,
            output: sizes.size_out.1,
            kernel: sizes.kernel.1,
            stride: spec.stride.1,
            padding: spec.padding.1,
            dilation: spec.dilation.1,
        },
    ]
}

impl Side {
    /// Length of the padded image, cut or filled up so that every tap finds `output · stride` pixels.
    fn padded(&self) -> usize {
        self.dilation * (self.kernel - 1) + self.output * self.stride
    }

    /// The image with its border, `padded` long.
    fn pad(&self, x: &Tensor) -> Result<Tensor> {
        let right = self.padded().saturating_sub(self.padding + self.input);
        x.pad_with_zeros(self.dim, self.padding, right)?.narrow(self.dim, 0, self.padded())
    }

    /// The pixels that tap `k` reads from the padded image: `output` of them.
    fn tap(&self, padded: &Tensor, k: usize) -> Result<Tensor> {
        let run = padded.narrow(self.dim, k * self.dilation, self.output * self.stride)?.contiguous()?;
        let mut split = run.dims().to_vec();
        split.splice(self.dim..=self.dim, [self.output, self.stride]);
        run.reshape(split)?.narrow(self.dim + 1, 0, 1)?.squeeze(self.dim + 1)
    }

    /// The transpose of [`Side::tap`]: places `output` numbers where tap `k` reads, zeros elsewhere.
    fn untap(&self, y: &Tensor, k: usize) -> Result<Tensor> {
        let spread = y.unsqueeze(self.dim + 1)?.pad_with_zeros(self.dim + 1, 0, self.stride - 1)?;
        let run = spread.contiguous()?.flatten(self.dim, self.dim + 1)?;
        let left = k * self.dilation;
        run.pad_with_zeros(self.dim, left, self.padded() - left - self.output * self.stride)
    }

    /// The transpose of [`Side::pad`].
    fn unpad(&self, padded: &Tensor) -> Result<Tensor> {
        let wanted = self.padding + self.input;
        let filled = padded.pad_with_zeros(self.dim, 0, wanted.saturating_sub(self.padded()))?;
        filled.narrow(self.dim, self.padding, self.input)
    }
}

/// As [`super::conv2d`], for checked operands.
pub(super) fn conv2d(x: &Tensor, w: &Tensor, sizes: &Sizes, spec: &ConvSpec) -> Result<Tensor> {
    let [rows, columns] = sides(sizes, spec);
    let (batch, channels, _, _) = x.dims4()?;
    let padded = columns.pad(&rows.pad(x)?)?;
    let mut taps = Vec::new();
    for kh in 0..rows.kernel {
        let line = rows.tap(&padded, kh)?;
        for kw in 0..columns.kernel {
            taps.push(columns.tap(&line, kw)?.unsqueeze(2)?);
        }
    }
    // (B, C, taps, H', W') → (B, groups, C / groups · taps, H' · W')
    let (n_taps, points, groups) = (taps.len(), rows.output * columns.output, spec.groups);
    let unfolded = Tensor::cat(&taps, 2)?.reshape((batch, groups, channels / groups * n_taps, points))?;
    let c_out = w.dim(0)?;
    let w = w.contiguous()?.reshape((1, groups, c_out / groups, channels / groups * n_taps))?;
    let y = w.broadcast_matmul(&unfolded)?;
    y.reshape((batch, c_out, rows.output, columns.output))
}

/// As [`super::conv_transpose2d`], for checked operands; `sizes` are those of the convolution that it is the transpose of.
pub(super) fn conv_transpose2d(x: &Tensor, w: &Tensor, sizes: &Sizes, spec: &ConvSpec) -> Result<Tensor> {
    let [rows, columns] = sides(sizes, spec);
    let (batch, channels, _, _) = x.dims4()?;
    let (groups, n_taps) = (spec.groups, rows.kernel * columns.kernel);
    let c_out = w.dim(1)? * groups;
    let w =
        w.contiguous()?.reshape((1, groups, channels / groups, c_out / groups * n_taps))?.transpose(2, 3)?;
    let x = x.contiguous()?.reshape((batch, groups, channels / groups, rows.output * columns.output))?;
    let unfolded = w.contiguous()?.broadcast_matmul(&x)?;
    let unfolded = unfolded.reshape((batch, c_out, n_taps, rows.output, columns.output))?;
    let mut sum: Option<Tensor> = None;
    for kh in 0..rows.kernel {
        for kw in 0..columns.kernel {
            let tap = unfolded.narrow(2, kh * columns.kernel + kw, 1)?.squeeze(2)?;
            let placed = columns.untap(&rows.untap(&tap, kh)?, kw)?;
            sum = Some(match sum {
                Some(sum) => (sum + placed)?,
                None => placed,
            });
        }
    }
    let Some(sum) = sum else { candle_core::bail!("conv_transpose2d: the kernel has no taps") };
    columns.unpad(&rows.unpad(&sum)?)
}
