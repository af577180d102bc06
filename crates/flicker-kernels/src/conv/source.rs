//! Images as the products read them: in place where no tap reaches outside, else copied once with their border of zeros.

use super::geometry::Gather;
use crate::simd::Element;
use crate::threads::Scratch;
use std::ops::Range;

/// Some images, or some rows of one image, that are worked on together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Chunk {
    pub(super) images: Range<usize>,
    /// Rows of output points.
    pub(super) rows: Range<usize>,
}

impl Chunk {
    /// Cuts a batch into chunks of about `target` points.
    pub(super) fn cut(batch: usize, points: (usize, usize), target: usize) -> Vec<Self> {
        let n_images = (target / (points.0 * points.1)).max(1);
        let n_rows = if n_images > 1 { points.0 } else { (target / points.1).clamp(1, points.0) };
        let pieces = |n: usize, size: usize| (0..n).step_by(size).map(move |i| i..n.min(i + size));
        pieces(batch, n_images)
            .flat_map(|images| {
                pieces(points.0, n_rows).map(move |rows| Self { images: images.clone(), rows })
            })
            .collect()
    }

    /// The rows of the chunk that `gather` has.
    pub(super) fn rows_of(&self, gather: &Gather) -> Range<usize> {
        self.rows.start..self.rows.end.min(gather.points.0).max(self.rows.start)
    }

    /// Points of the chunk in one image.
    pub(super) fn points_per_image(&self, gather: &Gather) -> usize {
        self.rows_of(gather).len() * gather.points.1
    }
}

/// Where the pixels that a chunk reads lie, as offsets.
#[derive(Clone, Debug)]
pub(super) struct Layout {
    image: usize,
    plane: usize,
    row: usize,
    origin: usize,
    /// Numbers of the padded copy; 0 where the images are read in place.
    pub(super) copied: usize,
}

impl Layout {
    pub(super) fn new(gather: &Gather, chunk: &Chunk) -> Self {
        let window = gather.window(&chunk.rows);
        if window.inside {
            let (height, width) = gather.size;
            let corner = window.origin.0 as usize * width + window.origin.1 as usize;
            let image = gather.channels_total * height * width;
            return Self { image, plane: height * width, row: width, origin: corner, copied: 0 };
        }
        let plane = window.height * window.width;
        let image = gather.channels * plane;
        Self { image, plane, row: window.width, origin: 0, copied: chunk.images.len() * image }
    }

    /// Offset of each output point of `chunk`.
    pub(super) fn points(&self, gather: &Gather, chunk: &Chunk) -> Vec<usize> {
        let mut offsets = Vec::with_capacity(chunk.images.len() * chunk.points_per_image(gather));
        for image in 0..chunk.images.len() {
            for i in 0..chunk.rows_of(gather).len() {
                let start = self.origin + image * self.image + i * gather.step.0 * self.row;
                offsets.extend((0..gather.points.1).map(|j| start + j * gather.step.1));
            }
        }
        offsets
    }

    /// Offset of each (channel, tap), relative to that of an output point.
    pub(super) fn terms(&self, gather: &Gather) -> Vec<usize> {
        let (top, left) = gather.window(&(0..1)).corner;
        let taps: Vec<usize> =
            gather.taps.iter().map(|t| (t.0 - top) as usize * self.row + (t.1 - left) as usize).collect();
        (0..gather.channels).flat_map(|c| taps.iter().map(move |t| c * self.plane + t)).collect()
    }
}

/// The pixels that [`Layout`]'s offsets point into: `x` from the chunk's first image and the group's first channel, or the
/// padded copy, which is written to `copy`.
pub(super) fn load<'a, T: Element>(
    gather: &Gather,
    chunk: &Chunk,
    layout: &Layout,
    group: usize,
    x: &'a [T],
    copy: &'a mut Scratch<T>,
) -> &'a [T] {
    if layout.copied == 0 {
        return &x[first_pixel(gather, chunk.images.start, group)..];
    }
    for (i, image) in chunk.images.clone().enumerate() {
        let from = &x[first_pixel(gather, image, group)..];
        pad(gather, chunk, from, &mut copy[i * layout.image..(i + 1) * layout.image]);
    }
    copy
}

/// Offset of an image's first pixel in a group.
fn first_pixel(gather: &Gather, image: usize, group: usize) -> usize {
    (image * gather.channels_total + group * gather.channels) * gather.size.0 * gather.size.1
}

/// Copies the window of `chunk` of one image's channels, with zeros for what lies outside.
pub(super) fn pad<T: Element>(gather: &Gather, chunk: &Chunk, from: &[T], to: &mut [T]) {
    let window = gather.window(&chunk.rows);
    let (height, width) = (gather.size.0 as isize, gather.size.1 as isize);
    let left = (-window.origin.1).clamp(0, window.width as isize) as usize;
    let right = (width - window.origin.1).clamp(left as isize, window.width as isize) as usize;
    if left == right {
        return to.fill(T::default());
    }
    let first = (window.origin.1 + left as isize) as usize;
    let rows = (-window.origin.0).clamp(0, window.height as isize) as usize
        ..(height - window.origin.0).clamp(0, window.height as isize) as usize;
    to.fill(T::default());
    for (c, plane) in to.chunks_exact_mut(window.height * window.width).enumerate() {
        let source = &from[c * gather.size.0 * gather.size.1..][..gather.size.0 * gather.size.1];
        for i in rows.clone() {
            let row = (window.origin.0 + i as isize) as usize;
            let line = &source[row * gather.size.1 + first..][..right - left];
            copy_line(line, &mut plane[i * window.width + left..][..right - left]);
        }
    }
}

/// `to.copy_from_slice(from)`, without a call for the usual short lines.
pub(super) fn copy_line<T: Element>(from: &[T], to: &mut [T]) {
    fn fixed<T: Copy, const N: usize>(from: &[T], to: &mut [T]) {
        if let (Ok(from), Ok(to)) = (<&[T; N]>::try_from(from), <&mut [T; N]>::try_from(to)) {
            *to = *from;
        }
    }
    match from.len() {
        4 => fixed::<T, 4>(from, to),
        8 => fixed::<T, 8>(from, to),
        16 => fixed::<T, 16>(from, to),
        32 => fixed::<T, 32>(from, to),
        _ => to.copy_from_slice(from),
    }
}
