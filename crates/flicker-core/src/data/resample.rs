//! Bilinear resampling of images, antialiased when shrinking.
//!
//! The numbers are those of PyTorch's `interpolate(mode="bilinear", align_corners=False, antialias=True)`, which is what
//! torchvision's `Resize` does, without its rounding to bytes: a triangle filter around the centre of each new pixel,
//! one old pixel wide when enlarging (plain bilinear interpolation) and one new pixel wide when shrinking.

/// How one axis is resampled: for each new position, the first old position and the weights from there on.
#[derive(Clone, Debug)]
struct Axis {
    taps: Vec<(usize, Vec<f32>)>,
}

impl Axis {
    fn new(from: usize, to: usize) -> Self {
        let scale = from as f64 / to as f64;
        let radius = scale.max(1.0);
        let taps = (0..to).map(|position| {
            let centre = (position as f64 + 0.5) * scale;
            let start = (centre - radius + 0.5).max(0.0) as usize;
            let end = ((centre + radius + 0.5) as usize).min(from);
            let triangle = |old: usize| (1.0 - (old as f64 + 0.5 - centre).abs() / radius).max(0.0);
            let total: f64 = (start..end).map(triangle).sum();
            (start, (start..end).map(|old| (triangle(old) / total) as f32).collect())
        });
        Self { taps: taps.collect() }
    }

    /// The same as a matrix, one row of `from` weights for each new position.
    fn matrix(&self, from: usize) -> Vec<Vec<f32>> {
        let row = |(start, weights): &(usize, Vec<f32>)| {
            let mut row = vec![0.0; from];
            row[*start..start + weights.len()].copy_from_slice(weights);
            row
        };
        self.taps.iter().map(row).collect()
    }

    /// Each new position is the mean over what falls into it, old positions counting by the part of them that does.
    fn area(from: usize, to: usize) -> Self {
        let scale = from as f64 / to as f64;
        let taps = (0..to).map(|position| {
            let (start, end) = (position as f64 * scale, (position + 1) as f64 * scale);
            let (first, last) = (start as usize, (end.ceil() as usize).min(from));
            let part = |old: usize| (end.min((old + 1) as f64) - start.max(old as f64)).max(0.0);
            (first, (first..last).map(|old| (part(old) / scale) as f32).collect())
        });
        Self { taps: taps.collect() }
    }
}

/// Resamples planes of one size to another; the weights are computed once.
#[derive(Clone, Debug)]
pub(super) struct Resampler {
    from: [usize; 2],
    to: [usize; 2],
    rows: Axis,
    columns: Axis,
}

impl Resampler {
    /// From `[height, width]` to `[height, width]`, none of them 0.
    pub(super) fn new(from: [usize; 2], to: [usize; 2]) -> Self {
        Self { from, to, rows: Axis::new(from[0], to[0]), columns: Axis::new(from[1], to[1]) }
    }

    /// The same, by area in place of bilinear: what masks want, whose new pixels are shares of old ones.
    pub(super) fn area(from: [usize; 2], to: [usize; 2]) -> Self {
        Self { from, to, rows: Axis::area(from[0], to[0]), columns: Axis::area(from[1], to[1]) }
    }

    /// What each new row is made of, and each new column: weights of the old ones.
    pub(super) fn matrices(&self) -> [Vec<Vec<f32>>; 2] {
        [self.rows.matrix(self.from[0]), self.columns.matrix(self.from[1])]
    }

    /// Resamples each plane of `planes` (channel first) into `out`.
    pub(super) fn apply(&self, planes: &[f32], out: &mut [f32]) {
        let ([height, width], [to_height, to_width]) = (self.from, self.to);
        let mut narrow = vec![0.0; height * to_width];
        for (plane, out) in
            planes.chunks_exact(height * width).zip(out.chunks_exact_mut(to_height * to_width))
        {
            for (row, narrow) in plane.chunks_exact(width).zip(narrow.chunks_exact_mut(to_width)) {
                for (value, (start, weights)) in narrow.iter_mut().zip(&self.columns.taps) {
                    *value = weights.iter().zip(&row[*start..]).map(|(w, x)| w * x).sum();
                }
            }
            for (out_row, (start, weights)) in out.chunks_exact_mut(to_width).zip(&self.rows.taps) {
                out_row.fill(0.0);
                for (weight, row) in weights.iter().zip(narrow[start * to_width..].chunks_exact(to_width)) {
                    for (value, x) in out_row.iter_mut().zip(row) {
                        *value += weight * x;
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `fixtures/resample.json`, made by `fixtures/make_resample.py` beside it with PyTorch.
    #[test]
    fn equals_pytorch() {
        let cases: Vec<serde_json::Value> =
            serde_json::from_str(include_str!("fixtures/resample.json")).expect("the fixture is JSON");
        assert_eq!(cases.len(), 5);
        for case in cases {
            let numbers = |key: &str| -> Vec<f32> {
                serde_json::from_value(case[key].clone()).expect("a list of numbers")
            };
            let size =
                |key: &str| -> [usize; 2] { serde_json::from_value(case[key].clone()).expect("a size") };
            let mut out = vec![f32::NAN; numbers("output").len()];
            Resampler::new(size("from"), size("to")).apply(&numbers("input"), &mut out);
            for (ours, theirs) in out.iter().zip(numbers("output")) {
                assert!((ours - theirs).abs() < 2e-6, "{} to {}: {ours} {theirs}", case["from"], case["to"]);
            }
        }
    }

    #[test]
    fn an_area_is_shared_among_new_pixels() {
        let mut out = [0.0; 2];
        Resampler::area([1, 3], [1, 2]).apply(&[1.0, 0.0, 0.0], &mut out);
        assert!((out[0] - 2.0 / 3.0).abs() < 1e-6 && out[1] == 0.0, "{out:?}");
        let mut out = [0.0; 5];
        Resampler::area([1, 2], [1, 5]).apply(&[1.0, 0.0], &mut out);
        assert!(out.iter().zip([1.0, 1.0, 0.5, 0.0, 0.0]).all(|(a, b)| (a - b).abs() < 1e-6), "{out:?}");
    }

    #[test]
    fn one_size_to_itself_changes_nothing() {
        let plane: Vec<f32> = (0..12).map(|i| (i * 7 % 5) as f32).collect();
        let mut out = vec![0.0; 12];
        Resampler::new([3, 4], [3, 4]).apply(&plane, &mut out);
        assert_eq!(out, plane);
    }
}
