//! k-means: Lloyd's rounds (MacQueen, 1967; Lloyd, 1982) from starts drawn by k-means++ (Arthur and Vassilvitskii, 2007).

use flicker_core::Rng;
use flicker_core::rows::{Rows, distance};
use rayon::prelude::*;

/// Centres, and the mean squared distance of the rows to the nearest one.
pub(crate) struct Clustering {
    pub(crate) centres: Rows,
    pub(crate) inertia: f64,
}

/// The distance to the nearest of the centres, and its number; the first of equally near ones.
pub(crate) fn nearest(row: &[f32], centres: &Rows) -> (f64, usize) {
    let distances = centres.iter().map(|centre| distance(row, centre)).zip(0..);
    distances.fold((f64::INFINITY, 0), |best, other| if other.0 < best.0 { other } else { best })
}

/// Rows drawn as centres: the first uniformly, each other one with a probability in proportion to its squared distance to
/// the nearest of those before.
pub(crate) fn drawn(rows: &Rows, k: usize, rng: &mut Rng) -> Rows {
    let mut centres = Rows { n: 1, features: rows.features, values: rows.row(rng.below(rows.n)).to_vec() };
    let mut squares = vec![f64::INFINITY; rows.n];
    while centres.n < k {
        let last = centres.row(centres.n - 1).to_vec();
        let nearer = |(square, row): (&mut f64, &[f32])| *square = square.min(distance(row, &last).powi(2));
        squares.par_iter_mut().zip(rows.values.par_chunks(rows.features)).for_each(nearer);
        let mut left = rng.uniform() * squares.iter().sum::<f64>();
        let passed = squares.iter().position(|square| {
            left -= square;
            left < 0.0
        });
        let next = passed.unwrap_or_else(|| rng.below(rows.n)); // where all rows are centres already
        centres.values.extend_from_slice(rows.row(next));
        centres.n += 1;
    }
    centres
}

/// Rounds of assigning each row to its nearest centre and moving each centre to the mean of its rows, until no row changes
/// its centre. A centre that lost all its rows moves to the row that is furthest from its own.
pub(crate) fn lloyd(rows: &Rows, mut centres: Rows, rounds: usize) -> Clustering {
    let mut owners: Vec<usize> = Vec::new();
    let mut inertia = f64::INFINITY;
    for _ in 0..rounds {
        let found: Vec<(f64, usize)> =
            rows.values.par_chunks(rows.features).map(|row| nearest(row, &centres)).collect();
        inertia = found.iter().map(|(distance, _)| distance * distance).sum::<f64>() / rows.n as f64;
        let now: Vec<usize> = found.iter().map(|(_, owner)| *owner).collect();
        if now == owners {
            break;
        }
        move_to_means(rows, &mut centres, &found);
        owners = now;
    }
    Clustering { centres, inertia }
}

fn move_to_means(rows: &Rows, centres: &mut Rows, found: &[(f64, usize)]) {
    let f = rows.features;
    let (mut sums, mut counts) = (vec![0f64; centres.values.len()], vec![0usize; centres.n]);
    for (row, (_, owner)) in rows.iter().zip(found) {
        counts[*owner] += 1;
        sums[owner * f..][..f].iter_mut().zip(row).for_each(|(sum, x)| *sum += f64::from(*x));
    }
    let mut furthest: Vec<usize> = (0..rows.n).collect();
    if counts.contains(&0) {
        furthest.sort_by(|&a, &b| found[b].0.total_cmp(&found[a].0).then(a.cmp(&b)));
    }
    let mut furthest = furthest.into_iter();
    for (centre, &count) in counts.iter().enumerate() {
        let to = &mut centres.values[centre * f..][..f];
        match (count, furthest.next()) {
            (0, Some(row)) => to.copy_from_slice(rows.row(row)),
            _ => to.iter_mut().zip(&sums[centre * f..]).for_each(|(x, sum)| *x = (sum / count as f64) as f32),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn blobs() -> Rows {
        let mut rng = Rng::new(1);
        let values = (0..300).flat_map(|i| {
            let (x, y) = [(0.0, 0.0), (10.0, 0.0), (0.0, 10.0)][i % 3];
            [rng.uniforms(1, x - 1.0, x + 1.0)[0], rng.uniforms(1, y - 1.0, y + 1.0)[0]]
        });
        Rows { n: 300, features: 2, values: values.collect() }
    }

    #[test]
    fn blobs_are_found_from_any_start() {
        let rows = blobs();
        for seed in 0..20 {
            let found = lloyd(&rows, drawn(&rows, 3, &mut Rng::new(seed)), 100);
            assert!(found.inertia < 1.0, "{} from seed {seed}", found.inertia);
        }
    }

    #[test]
    fn a_centre_without_rows_moves_to_a_far_row() {
        let rows = blobs();
        let start = Rows { n: 3, features: 2, values: vec![0.0, 0.0, 10.0, 0.0, 1e6, 1e6] };
        assert!(lloyd(&rows, start, 100).inertia < 1.0);
    }

    #[test]
    fn more_centres_than_different_rows_is_no_endless_search() {
        let rows = Rows { n: 4, features: 1, values: vec![1.0, 1.0, 2.0, 2.0] };
        let found = lloyd(&rows, drawn(&rows, 3, &mut Rng::new(0)), 10);
        assert_eq!(found.inertia, 0.0);
        assert!(found.centres.values.iter().all(|x| x.is_finite()), "{:?}", found.centres);
    }
}
