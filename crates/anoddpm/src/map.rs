//! The error map smoothed: what is abnormal covers more than a pixel, and what a reconstruction misses by chance does not.

/// `map`, rows of `width` pixels, convolved with a Gaussian of standard deviation `sigma` pixels, cut off at 4 `sigma`. The map is
/// mirrored at its borders, so its sum is kept. (scipy's `gaussian_filter` in its usual mode.)
pub(crate) fn smoothed(map: &[f32], width: usize, sigma: f64) -> Vec<f32> {
    let reach = (4.0 * sigma + 0.5) as usize;
    let weights: Vec<f64> = (0..=reach).map(|i| (-0.5 * (i as f64 / sigma).powi(2)).exp()).collect();
    let sum = weights[0] + 2.0 * weights[1..].iter().sum::<f64>();
    let weights: Vec<f64> = weights.iter().map(|weight| weight / sum).collect();
    // Each pass smooths the rows and turns the map over; two bring it back.
    let values: Vec<f64> = map.iter().map(|&value| f64::from(value)).collect();
    let values = pass(&pass(&values, width, &weights), map.len() / width.max(1), &weights);
    values.into_iter().map(|value| value as f32).collect()
}

/// Rows of `width` values convolved with the symmetric `weights`, transposed.
fn pass(values: &[f64], width: usize, weights: &[f64]) -> Vec<f64> {
    let height = values.len() / width.max(1);
    let mut turned = vec![0.0; values.len()];
    for (r, row) in values.chunks_exact(width.max(1)).enumerate() {
        for c in 0..width {
            let place = c as isize;
            let both = |i: usize| {
                row[mirrored(place - i as isize, width)] + row[mirrored(place + i as isize, width)]
            };
            let rest: f64 = weights.iter().enumerate().skip(1).map(|(i, weight)| weight * both(i)).sum();
            turned[c * height + r] = weights[0] * row[c] + rest;
        }
    }
    turned
}

/// A place before or behind the `n` of a row, seen in mirrors that stand at its ends.
fn mirrored(place: isize, n: usize) -> usize {
    let turn = place.rem_euclid(2 * n as isize) as usize;
    if turn < n { turn } else { 2 * n - 1 - turn }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// scipy.ndimage.gaussian_filter(m, 1.0) in f64.
    #[test]
    fn is_scipys_gaussian_filter() {
        let mut map = vec![0.0; 20];
        (map[0], map[12]) = (1.0, 2.0);
        let expected: [f64; 20] = [
            0.41759842, 0.21797586, 0.08405910, 0.03121525, 0.00691227, 0.21799149, 0.20488858, 0.21057044,
            0.11864601, 0.02834427, 0.08457695, 0.21260961, 0.32526115, 0.19558533, 0.04714060, 0.03759403,
            0.14469908, 0.23641923, 0.14332966, 0.03458267,
        ];
        for (found, expected) in smoothed(&map, 5, 1.0).into_iter().zip(expected) {
            assert!((f64::from(found) - expected).abs() < 1e-6, "{found}, {expected}");
        }
        let sum: f32 = smoothed(&map, 5, 3.0).iter().sum(); // reaches over the borders more than once
        assert!((sum - 3.0).abs() < 1e-5, "{sum}");
    }
}
