//! The exact nearest neighbours of many rows at once.
//!
//! `‖a - b‖² = ‖a‖² + ‖b‖² - 2 a·b` makes them a matrix product, which is fast, but what is left of the difference of large
//! numbers is rounding. So the product only says who may be among the k nearest, with a bound of its error; distances of those
//! are taken again from the differences themselves. Rows are kept with their mean taken off, which keeps the numbers small.

use crate::rows::{Rows, blocks, distance, fitted, product, square, with_values};
use crate::{Error, Result, Weights};
use candle_core::{DType, Device, Tensor};
use rayon::prelude::*;

/// Queries whose products with a block of training rows are in memory at once: 8 MiB.
const QUERIES: usize = 512;

/// A neighbour: its distance, and its number among the training rows.
pub type Neighbour = (f64, u32);

/// Refuses a number of `neighbours` that so many training `samples` do not have.
///
/// # Errors
/// [`Error::Config`] of `config.neighbours`.
pub fn enough(neighbours: usize, samples: usize) -> Result<()> {
    if neighbours < samples {
        return Ok(());
    }
    let problem = format!("must be below the {samples} training samples, is {neighbours}");
    Err(Error::config("config.neighbours", problem))
}

/// The training rows, as the weights keep them.
pub struct Index {
    mean: Vec<f32>,
    rows: Tensor,
    squares: Tensor,
}

impl Index {
    /// Announces the tensors of an index.
    pub fn declare(weights: &Weights, features: usize) {
        weights.declare("mean", &[Some(features)], DType::F32);
        weights.declare("rows", &[None, Some(features)], DType::F32);
        weights.declare("squares", &[None], DType::F32);
    }

    /// Makes an index of `rows`.
    ///
    /// # Errors
    /// If the index was not announced for rows of this width.
    pub fn fit(weights: &Weights, rows: Rows) -> Result<()> {
        let mean = rows.mean();
        let rows = rows.less(&mean);
        let squares: Vec<f32> = rows.iter().map(|row| square(row) as f32).collect();
        weights.set_fitted("mean", &Tensor::new(mean, &Device::Cpu)?)?;
        weights.set_fitted("squares", &Tensor::new(squares, &Device::Cpu)?)?;
        weights.set_fitted("rows", &rows.into_tensor()?)
    }

    /// The index that the weights hold.
    ///
    /// # Errors
    /// If nothing was fitted.
    pub fn of(weights: &Weights) -> Result<Self> {
        let mean = fitted(weights, "mean")?.to_vec1()?;
        Ok(Self { mean, rows: fitted(weights, "rows")?, squares: fitted(weights, "squares")? })
    }

    /// Whether there are no training rows.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Training rows.
    pub fn len(&self) -> usize {
        self.rows.dims()[0]
    }

    /// The training rows `range`, with their mean taken off.
    ///
    /// # Errors
    /// If the range reaches beyond the last one.
    pub fn rows(&self, range: std::ops::Range<usize>) -> Result<Rows> {
        Rows::of_tensor(&self.rows.narrow(0, range.start, range.len())?)
    }

    /// `rows`, with the training rows' mean taken off.
    pub fn centred(&self, rows: &Rows) -> Rows {
        rows.centred(&self.mean)
    }

    /// The means of the training rows that are listed for each sample, with their mean put on again.
    ///
    /// # Errors
    /// If the rows are not f32 in memory.
    pub fn means(&self, of: &[Vec<Neighbour>]) -> Result<Vec<f32>> {
        let f = self.mean.len();
        with_values(&self.rows, |rows| {
            let mean = |list: &Vec<Neighbour>| {
                let share = 1.0 / list.len() as f64;
                let at =
                    |j: usize| list.iter().map(|&(_, i)| f64::from(rows[i as usize * f + j])).sum::<f64>();
                (0..f).map(|j| (at(j) * share) as f32 + self.mean[j]).collect::<Vec<_>>()
            };
            of.par_iter().flat_map_iter(mean).collect()
        })
    }

    /// The `k` nearest training rows of each of the centred `queries`, nearest first; equally near ones in the order of the
    /// training set. Where the queries are training rows themselves, `own` is the number of the first one, and none is its
    /// own neighbour. Distances are Euclidean.
    ///
    /// # Errors
    /// If the queries have another width than the rows.
    pub fn nearest(&self, queries: &Rows, k: usize, own: Option<usize>) -> Result<Vec<Vec<Neighbour>>> {
        let (squares, f): (Vec<f32>, usize) = (self.squares.to_vec1()?, queries.features);
        let mut all = Vec::with_capacity(queries.n);
        for start in (0..queries.n).step_by(QUERIES) {
            let n = QUERIES.min(queries.n - start);
            let part = Rows { n, features: f, values: queries.values[start * f..][..n * f].to_vec() };
            all.extend(self.nearest_of_part(&part, &squares, k, own.map(|own| own + start))?);
        }
        Ok(all)
    }

    fn nearest_of_part(
        &self,
        queries: &Rows,
        squares: &[f32],
        k: usize,
        own: Option<usize>,
    ) -> Result<Vec<Vec<Neighbour>>> {
        let xs = queries.tensor()?;
        // Twice the bound of the sum of F products in f32, each rounded once, by blocks; as a share of ‖a‖² + ‖b‖².
        let slack = f32::EPSILON * (8.0 + (queries.features as f32).sqrt());
        let mut searches: Vec<Search> = (0..queries.n)
            .map(|i| Search::new(k, square(queries.row(i)) as f32, slack, own.map(|own| own + i)))
            .collect();
        for block in blocks(self.len()) {
            let products = product(&xs, &self.rows.narrow(0, block.start, block.len())?)?; // (B, n)
            let squares = &squares[block.clone()];
            with_values(&products, |products| {
                let each = searches.par_iter_mut().zip(products.par_chunks(block.len()));
                each.for_each(|(search, products)| search.see(block.start, squares, products));
            })?;
        }
        with_values(&self.rows, |rows| {
            let f = queries.features;
            let exact = |(i, search): (usize, Search)| {
                let row = |j: u32| &rows[j as usize * f..][..f];
                search.finish(|j| distance(queries.row(i), row(j)))
            };
            searches.into_par_iter().enumerate().map(exact).collect()
        })
    }
}

/// The search for the neighbours of one row a.
struct Search {
    k: usize,
    /// ‖a‖².
    square: f32,
    /// How much of ‖a‖² + ‖b‖² the squared distance may be off.
    slack: f32,
    own: Option<usize>,
    /// The k smallest upper bounds so far, ascending.
    upper: Vec<f32>,
    /// Who may be among the k nearest: lower bound and number.
    candidates: Vec<(f32, u32)>,
}

impl Search {
    fn new(k: usize, square: f32, slack: f32, own: Option<usize>) -> Self {
        Self { k, square, slack, own, upper: Vec::with_capacity(k + 1), candidates: Vec::new() }
    }

    /// No one further away than this is among the k nearest.
    fn limit(&self) -> f32 {
        if self.upper.len() < self.k { f32::INFINITY } else { self.upper[self.k - 1] }
    }

    /// Looks at the rows from number `first` on, by their squares and their products with a.
    fn see(&mut self, first: usize, squares: &[f32], products: &[f32]) {
        const LANES: usize = 32;
        let mut limit = self.limit();
        for (at, (squares, products)) in squares.chunks(LANES).zip(products.chunks(LANES)).enumerate() {
            // Almost no chunk has a candidate; the test of a whole one is a few vector instructions.
            let below = limit - self.square * (1.0 - self.slack);
            let shrink = 1.0 - self.slack;
            let any = squares
                .iter()
                .zip(products)
                .fold(false, |any, (b, ab)| any | (b * shrink - 2.0 * ab <= below));
            if any {
                for (i, (&b, &ab)) in squares.iter().zip(products).enumerate() {
                    self.consider(first + at * LANES + i, b, ab);
                }
                limit = self.limit();
            }
        }
    }

    fn consider(&mut self, number: usize, b: f32, ab: f32) {
        let (near, off) = (self.square + b - 2.0 * ab, self.slack * (self.square + b));
        if near - off > self.limit() || self.own == Some(number) {
            return;
        }
        self.candidates.push((near - off, number as u32));
        let upper = near + off;
        let place = self.upper.partition_point(|&other| other <= upper);
        if place < self.k {
            self.upper.insert(place, upper);
            self.upper.truncate(self.k);
        }
    }

    /// The k nearest by their exact distances.
    fn finish(self, exact: impl Fn(u32) -> f64) -> Vec<Neighbour> {
        let limit = self.limit();
        let may = self.candidates.iter().filter(|(lower, _)| *lower <= limit);
        let mut found: Vec<Neighbour> = may.map(|&(_, number)| (exact(number), number)).collect();
        found.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
        found.truncate(self.k);
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Rng;

    fn naive(rows: &Rows, query: &[f32], k: usize, own: Option<usize>) -> Vec<Neighbour> {
        let mut all: Vec<Neighbour> = (0..rows.n)
            .filter(|&i| own != Some(i))
            .map(|i| (distance(query, rows.row(i)), i as u32))
            .collect();
        all.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
        all.truncate(k);
        all
    }

    /// The same as by looking at every pair, with and without the row itself.
    #[track_caller]
    fn check(values: Vec<f32>, features: usize, k: usize) -> Result<()> {
        let rows = Rows { n: values.len() / features, features, values };
        let weights = Weights::new(Rng::new(0), &Device::Cpu);
        Index::declare(&weights, features);
        Index::fit(&weights, rows)?;
        let index = Index::of(&weights)?;
        let centred = index.rows(0..index.len())?;
        let (others, all) = (index.nearest(&centred, k, Some(0))?, index.nearest(&centred, k, None)?);
        for i in (0..centred.n).step_by(97) {
            assert_eq!(others[i], naive(&centred, centred.row(i), k, Some(i)), "row {i} among others");
            assert_eq!(all[i], naive(&centred, centred.row(i), k, None), "row {i}");
        }
        Ok(())
    }

    #[test]
    fn neighbours_are_those_of_all_pairs() -> Result<()> {
        check(Rng::new(1).normals(5000 * 7), 7, 5)
    }

    #[test]
    fn neighbours_are_exact_where_the_product_is_rounding() -> Result<()> {
        // Two far clusters of points that differ by 1e-3: squares of 1e6, squared distances of 1e-6.
        let mut rng = Rng::new(2);
        let values = (0..4500).flat_map(|i| {
            let base = if i % 2 == 0 { 1000.0 } else { -1000.0 };
            rng.uniforms(3, base, base + 1e-3)
        });
        check(values.collect(), 3, 4)
    }

    #[test]
    fn twins_are_at_distance_zero_in_the_order_of_the_set() -> Result<()> {
        check([0.5f32, -1.0].repeat(300), 2, 3)
    }
}
