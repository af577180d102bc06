//! Connected components of a mask, diagonal neighbours being connected.

/// For each pixel the region that it lies in, and the number of pixels of each region. Regions are numbered in the order of
/// their first pixels.
pub(super) fn regions(mask: &[bool], width: usize) -> (Vec<Option<u32>>, Vec<u32>) {
    let mut labels = vec![None; mask.len()];
    let mut sizes = Vec::new();
    let mut waiting = Vec::new();
    for first in 0..mask.len() {
        if !mask[first] || labels[first].is_some() {
            continue;
        }
        let label = sizes.len() as u32;
        let mut size = 0;
        labels[first] = Some(label);
        waiting.push(first);
        while let Some(pixel) = waiting.pop() {
            size += 1;
            for neighbour in neighbours(pixel, width, mask.len() / width) {
                if mask[neighbour] && labels[neighbour].is_none() {
                    labels[neighbour] = Some(label);
                    waiting.push(neighbour);
                }
            }
        }
        sizes.push(size);
    }
    (labels, sizes)
}

/// The pixels around `pixel`, itself among them.
fn neighbours(pixel: usize, width: usize, height: usize) -> impl Iterator<Item = usize> {
    let (row, column) = (pixel / width, pixel % width);
    let around = |at: usize, n: usize| at.saturating_sub(1)..(at + 2).min(n);
    around(row, height).flat_map(move |row| around(column, width).map(move |column| row * width + column))
}
