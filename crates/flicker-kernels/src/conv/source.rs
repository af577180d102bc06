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

    /// Points of the chunk in one image.
    pub(super) fn points_per_image(&self, gather: &Gather) -> usize {
        self.rows.len() * gather.points.1
    }

    pub(super) fn points(&self, gather: &Gather) -> usize {
        self.images.len() * self.points_per_image(gather)
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
        let mut offsets = Vec::with_capacity(chunk.points(gather));
        for image in 0..chunk.images.len() {
            for i in 0..chunk.rows.len() {
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
    let first = (window.origin.1 + left as isize) as usize;
    for (c, plane) in to.chunks_exact_mut(window.height * window.width).enumerate() {
        let source = &from[c * gather.size.0 * gather.size.1..][..gather.size.0 * gather.size.1];
        for (i, line) in plane.chunks_exact_mut(window.width).enumerate() {
            let row = window.origin.0 + i as isize;
            if row < 0 || row >= height || left == right {
                line.fill(T::default());
                continue;
            }
            line[..left].fill(T::default());
            line[left..right]
                .copy_from_slice(&source[row as usize * gather.size.1 + first..][..right - left]);
            line[right..].fill(T::default());
        }
    }
}
