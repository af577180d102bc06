//! Simplex noise against the vectors of the reference.

use super::*;
use std::collections::BTreeMap;

/// A row of a vector file: column name to number; absent coordinates are left out.
fn rows(text: &str) -> Vec<BTreeMap<String, f64>> {
    let mut reader = csv::Reader::from_reader(text.as_bytes());
    let names = reader.headers().expect("a header").clone();
    let row = |record: csv::StringRecord| {
        let cells = names.iter().zip(&record).filter(|(_, cell)| !cell.is_empty());
        cells.map(|(name, cell)| (name.to_string(), cell.parse().expect("a number"))).collect()
    };
    reader.records().map(|record| row(record.expect("a row"))).collect()
}

#[test]
fn permutations_are_the_published_ones() {
    let rows = rows(include_str!("../../tests/fixtures/opensimplex_perm.csv"));
    assert_eq!(rows.len(), 6 * 256);
    for row in rows {
        // No seed of the file needs more digits than a float has.
        let noise = Simplex::new(row["seed"] as i64);
        let entry = noise.permutation()[row["i"] as usize];
        assert_eq!(f64::from(entry), row["perm"], "{row:?}");
        assert_eq!(f64::from(entry % 24 * 3), row["perm_grad_index3"], "{row:?}");
    }
}

#[test]
fn values_are_the_published_ones_in_two_three_and_four_dimensions() {
    let mut seen = [0; 5];
    for row in rows(include_str!("../../tests/fixtures/opensimplex_vectors.csv")) {
        let noise = Simplex::new(row["seed"] as i64);
        let found = match row["dim"] as usize {
            2 => noise.noise2(row["x"], row["y"]),
            3 => noise.noise3(row["x"], row["y"], row["z"]),
            _ => noise.noise4(row["x"], row["y"], row["z"], row["w"]),
        };
        assert!((found - row["value"]).abs() < 1e-12, "{row:?}: found {found}");
        seen[row["dim"] as usize] += 1;
    }
    assert!(seen[2] > 30 && seen[3] > 30 && seen[4] > 30, "{seen:?}");
}

#[test]
fn octave_fields_are_the_published_ones() {
    let rows = rows(include_str!("../../tests/fixtures/simplex_fractal_vectors.csv"));
    assert_eq!(rows.len(), 45);
    for row in rows {
        let fractal = Fractal {
            octaves: row["octaves"] as u32,
            persistence: row["persistence"],
            frequency: row["frequency"],
        };
        let slice = Slice { seed: row["seed"] as i64, t: row["T"], offset: [0.0; 3] };
        let (y, x) = (row["row_y"] as usize, row["col_x"] as usize);
        let field = fractal.field((y + 1, x + 3), &slice);
        let fast = fields(&fractal, (y + 1, x + 3), &[slice])[y * (x + 3) + x];
        let found = field[y * (x + 3) + x];
        assert!((found - row["value"]).abs() < 1e-12, "{row:?}: found {found}");
        assert!((f64::from(fast) - row["value"]).abs() < 1e-4, "{row:?}: found {fast}");
    }
}

/// The grid's sum over all vertices and the points' agree but for the vertices that the program of 2014 leaves out, whatever the
/// size, wavelength and offset; and most points have none of those.
#[test]
fn fields_agree_with_points() {
    let cases = [
        ((40, 37), 64.0, [0.0; 3], 250.0),
        ((33, 5), 7.0, [1234.5, 77.25, -3.5], 0.0),
        ((3, 300), 3.3, [-5000.25, 16000.0, 2.0], 999.0),
        ((1, 1), 0.3, [0.5, 0.25, 0.0], 1.0),
    ];
    for (size, frequency, offset, t) in cases {
        let fractal = Fractal { octaves: 4, persistence: 0.8, frequency };
        let slice = Slice { seed: 11, t, offset };
        let exact = fractal.field(size, &slice);
        let fast = fields(&fractal, size, &[slice]);
        let mut differences: Vec<f64> =
            exact.iter().zip(&fast).map(|(e, f)| (e - f64::from(*f)).abs()).collect();
        differences.sort_by(f64::total_cmp);
        assert!(differences[differences.len() / 2] < 3e-6, "{frequency}: {differences:?}");
        assert!(differences[differences.len() - 1] < 2e-4, "{frequency}: {differences:?}");
    }
}

#[test]
fn bytes_do_not_depend_on_threads_or_on_the_batch() {
    let fractal = Fractal { octaves: 6, persistence: 0.8, frequency: 16.0 };
    let slices: Vec<Slice> =
        (0..5).map(|seed| Slice { seed, t: seed as f64 * 50.0, offset: [0.0; 3] }).collect();
    let together = fields(&fractal, (70, 30), &slices);
    let pool = rayon::ThreadPoolBuilder::new().num_threads(1).build().expect("a pool of one thread");
    assert_eq!(together, pool.install(|| fields(&fractal, (70, 30), &slices)));
    for (slice, field) in slices.iter().zip(together.chunks(70 * 30)) {
        assert_eq!(fields(&fractal, (70, 30), &[*slice]), field);
    }
}

#[test]
fn variance_is_the_measured_one() {
    let fractal = Fractal { octaves: 4, persistence: 0.8, frequency: 9.0 };
    let mut rng = flicker_core::Rng::new(0);
    let slices: Vec<Slice> = (0..200)
        .map(|seed| Slice { seed, t: 0.0, offset: std::array::from_fn(|_| rng.uniform() * 2304.0) })
        .collect();
    let values = fields(&fractal, (32, 32), &slices);
    let mean = values.iter().map(|&x| f64::from(x)).sum::<f64>() / values.len() as f64;
    let variance = values.iter().map(|&x| (f64::from(x) - mean).powi(2)).sum::<f64>() / values.len() as f64;
    assert!(mean.abs() < 0.02, "{mean}");
    assert!(
        (variance / fractal.variance() - 1.0).abs() < 0.05,
        "{variance}, expected {}",
        fractal.variance()
    );
    let published = Fractal { octaves: 6, persistence: 0.8, frequency: 64.0 };
    assert!((published.variance().sqrt() - 0.505).abs() < 1e-3, "{}", published.variance().sqrt());
}

#[test]
fn empty_fields_are_empty() {
    let fractal = Fractal { octaves: 2, persistence: 0.5, frequency: 8.0 };
    let slice = Slice { seed: 0, t: 0.0, offset: [0.0; 3] };
    assert_eq!(fields(&fractal, (0, 4), &[slice]).len(), 0);
    assert_eq!(fields(&fractal, (4, 4), &[]).len(), 0);
    assert_eq!(fractal.field((4, 0), &slice).len(), 0);
}
