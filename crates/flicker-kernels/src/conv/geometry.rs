//! The sizes of one convolution, checked, and which source pixel each output point and tap reads.

use super::ConvSpec;
use candle_core::{Result, bail};

/// A (rows, columns) pair.
pub(crate) type Pair = (usize, usize);

/// All sizes of a convolution `y = x ∗ w`; its two gradients are described by the same numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Geometry {
    pub(crate) batch: usize,
    pub(crate) groups: usize,
    /// Channels of x in one group.
    pub(crate) c_in: usize,
    /// Channels of y in one group.
    pub(crate) c_out: usize,
    /// Height and width of x.
    pub(crate) size_in: Pair,
    /// Height and width of y; may be smaller than what `size_in` allows, then the last rows or columns are left out.
    pub(crate) size_out: Pair,
    /// Height and width of w.
    pub(crate) kernel: Pair,
    pub(crate) stride: Pair,
    pub(crate) padding: Pair,
    pub(crate) dilation: Pair,
}

impl Geometry {
    pub(crate) fn in_len(&self) -> usize {
        self.batch * self.groups * self.c_in * self.size_in.0 * self.size_in.1
    }

    pub(crate) fn out_len(&self) -> usize {
        self.batch * self.groups * self.c_out * self.size_out.0 * self.size_out.1
    }

    pub(crate) fn weight_len(&self) -> usize {
        self.groups * self.c_out * self.c_in * self.taps()
    }

    pub(crate) fn taps(&self) -> usize {
        self.kernel.0 * self.kernel.1
    }
}

/// Checks the parts of `spec` that no shape enters.
pub(super) fn check_spec(spec: &ConvSpec) -> Result<()> {
    let ConvSpec { stride, dilation, groups, .. } = *spec;
    if stride.0.min(stride.1).min(dilation.0).min(dilation.1).min(groups) == 0 {
        bail!("convolution: stride, dilation and groups must be at least 1, found {spec:?}");
    }
    Ok(())
}

/// Size of the result of a convolution along one side.
pub(super) fn conv_size(
    n: usize,
    kernel: usize,
    stride: usize,
    padding: usize,
    dilation: usize,
) -> Result<usize> {
    if kernel == 0 {
        bail!("convolution: kernel size must be at least 1, found 0");
    }
    let reach = dilation * (kernel - 1) + 1;
    if n + 2 * padding < reach {
        bail!(
            "convolution: the kernel reaches over {reach} pixels, the padded input has {} only",
            n + 2 * padding
        );
    }
    Ok((n + 2 * padding - reach) / stride + 1)
}

/// Size of the result of a transposed convolution along one side.
pub(super) fn transposed_size(
    n: usize,
    kernel: usize,
    (stride, padding, dilation): (usize, usize, usize),
    output_padding: usize,
) -> Result<usize> {
    if kernel == 0 || n == 0 {
        bail!("transposed convolution: kernel and input size must be at least 1, found {kernel} and {n}");
    }
    if output_padding >= stride.max(dilation) {
        bail!(
            "transposed convolution: output padding must be smaller than stride or dilation, found {output_padding} with stride {stride} and dilation {dilation}"
        );
    }
    let full = (n - 1) * stride + dilation * (kernel - 1) + 1 + output_padding;
    if full <= 2 * padding {
        bail!("transposed convolution: padding {padding} leaves nothing of {full} pixels");
    }
    Ok(full - 2 * padding)
}

/// Reading pixels from a plane: output point (i, j) reads, for tap t, pixel `(i·step.0 + taps[t].0, j·step.1 + taps[t].1)`,
/// which is zero outside the plane.
#[derive(Clone, Debug)]
pub(crate) struct Gather {
    /// Channels of one group of the source.
    pub(crate) channels: usize,
    /// Channels of the source, over all groups.
    pub(crate) channels_total: usize,
    /// Height and width of the source.
    pub(crate) size: Pair,
    /// Output points, rows and columns.
    pub(crate) points: Pair,
    pub(crate) step: Pair,
    pub(crate) taps: Vec<(isize, isize)>,
    /// Covers the taps; more where several gathers read one copy of the source.
    pub(crate) reach: Reach,
}

/// Smallest and largest row and column offset of some taps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Reach {
    top: isize,
    bottom: isize,
    left: isize,
    right: isize,
}

impl Reach {
    pub(crate) fn of<'a>(taps: impl Iterator<Item = &'a (isize, isize)>) -> Self {
        let first =
            |&(row, column): &(isize, isize)| Self { top: row, bottom: row, left: column, right: column };
        let join = |a: Self, b: Self| Self {
            top: a.top.min(b.top),
            bottom: a.bottom.max(b.bottom),
            left: a.left.min(b.left),
            right: a.right.max(b.right),
        };
        taps.map(first).reduce(join).unwrap_or(first(&(0, 0)))
    }
}

impl Gather {
    /// How y reads x.
    pub(crate) fn forward(g: &Geometry) -> Self {
        let at = |k: usize, dilation: usize, padding: usize| (k * dilation) as isize - padding as isize;
        let row = |kh| at(kh, g.dilation.0, g.padding.0);
        let taps: Vec<_> = (0..g.kernel.0)
            .flat_map(|kh| (0..g.kernel.1).map(move |kw| (row(kh), at(kw, g.dilation.1, g.padding.1))))
            .collect();
        Self {
            channels: g.c_in,
            channels_total: g.c_in * g.groups,
            size: g.size_in,
            points: g.size_out,
            step: g.stride,
            reach: Reach::of(taps.iter()),
            taps,
        }
    }

    /// Numbers in the sum of one output.
    pub(crate) fn terms(&self) -> usize {
        self.channels * self.taps.len()
    }

    /// The part of the plane that the output rows `rows` read: top left corner, height and width.
    pub(crate) fn window(&self, rows: &std::ops::Range<usize>) -> Window {
        let Reach { top, bottom, left, right } = self.reach;
        let origin = ((rows.start * self.step.0) as isize + top, left);
        let height = (rows.len() - 1) * self.step.0 + (bottom - top) as usize + 1;
        let width = (self.points.1 - 1) * self.step.1 + (right - left) as usize + 1;
        let inside = origin.0 >= 0
            && origin.1 >= 0
            && origin.0 as usize + height <= self.size.0
            && origin.1 as usize + width <= self.size.1;
        Window { origin, corner: (top, left), height, width, inside }
    }
}

/// See [`Gather::window`].
pub(crate) struct Window {
    /// First row and column read.
    pub(crate) origin: (isize, isize),
    /// Smallest row and column offset of a tap.
    pub(crate) corner: (isize, isize),
    pub(crate) height: usize,
    pub(crate) width: usize,
    /// Whether all of it lies on the plane, so that nothing has to be padded.
    pub(crate) inside: bool,
}

/// One residue of the output rows and columns modulo the stride, for the gradient of the input: these points all read y
/// through the same taps, with step 1.
pub(crate) struct Phase {
    pub(crate) gather: Gather,
    /// First row and column of x.
    pub(crate) first: Pair,
    /// Which taps of the kernel, by number `kh · kernel width + kw`.
    pub(crate) kernel_taps: Vec<usize>,
}

/// How x, in the gradient of the input, reads y: one phase for each residue modulo the stride, the largest first. All have
/// the same reach.
pub(crate) fn phases(g: &Geometry) -> Vec<Phase> {
    let side = |first: usize, kernel: usize, stride: usize, padding: usize, dilation: usize| {
        let offset = move |k: usize| (first + padding) as isize - (k * dilation) as isize;
        let stride = stride as isize;
        (0..kernel)
            .filter(move |&k| offset(k) % stride == 0)
            .map(move |k| (k, offset(k) / stride))
            .collect::<Vec<_>>()
    };
    let mut phases = Vec::new();
    for row in 0..g.stride.0.min(g.size_in.0) {
        let rows = side(row, g.kernel.0, g.stride.0, g.padding.0, g.dilation.0);
        for column in 0..g.stride.1.min(g.size_in.1) {
            let columns = side(column, g.kernel.1, g.stride.1, g.padding.1, g.dilation.1);
            let pairs = || rows.iter().flat_map(|r| columns.iter().map(move |c| (r, c)));
            phases.push(Phase {
                gather: Gather {
                    channels: g.c_out,
                    channels_total: g.c_out * g.groups,
                    size: g.size_out,
                    points: (
                        (g.size_in.0 - row).div_ceil(g.stride.0),
                        (g.size_in.1 - column).div_ceil(g.stride.1),
                    ),
                    step: (1, 1),
                    reach: Reach::of([].iter()),
                    taps: pairs().map(|(r, c)| (r.1, c.1)).collect(),
                },
                first: (row, column),
                kernel_taps: pairs().map(|(r, c)| r.0 * g.kernel.1 + c.0).collect(),
            });
        }
    }
    let reach = Reach::of(phases.iter().flat_map(|p| &p.gather.taps));
    phases.iter_mut().for_each(|p| p.gather.reach = reach);
    phases
}
