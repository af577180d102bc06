//! Principal components as a detector: what lies outside the subspace of the normals is abnormal (Pearson, 1901, "On lines
//! and planes of closest fit"; the residual as a statistic: Jackson and Mudholkar, 1979, "Q").
//!
//! With the mean μ and the orthonormal components W (K, F) of the training samples, the projection of x is
//! `x̂ = μ + Wᵀ W (x - μ)`, the score `‖x - x̂‖² / F`.

use crate::config::{Components, Pca};
use crate::detector::{Method, Scored};
use crate::randomized;
use candle_core::{DType, Device, Tensor};
use flicker_core::data::Source;
use flicker_core::graph::{Binary, Described, Graph, Value};
use flicker_core::rows::{BLOCK, Rows, blocks, fitted, product, transposed_product, with_values};
use flicker_core::run::{Losses, Run};
use flicker_core::{Error, Result, TrainSet, Weights};
use flicker_kernels::{Vectorise, vectorised};
use nalgebra::{DMatrix, SymmetricEigen};
use rayon::prelude::*;

/// Largest symmetric matrix whose eigenvectors are taken exactly: some seconds.
const EXACT: usize = 1024;
/// Blocks of rows that are read and multiplied at once.
const GROUP: usize = 8;

pub(crate) struct Subspace {
    components: Components,
}

impl Subspace {
    pub(crate) fn new(config: &Pca, features: usize, weights: &Weights) -> Self {
        declare(weights, "", features);
        Self { components: config.components }
    }
}

impl Method for Subspace {
    fn fit(&mut self, weights: &Weights, train: &TrainSet, run: &mut Run<'_>) -> Result<()> {
        fit(weights, "", self.components, train.normal.as_ref(), run)
    }

    fn score(&self, weights: &Weights, rows: &Rows) -> Result<Scored> {
        let (mean, components) = (fitted(weights, "mean")?.to_vec1::<f32>()?, fitted(weights, "components")?);
        let transposed = components.t()?.contiguous()?; // (F, K)
        let (f, n) = (rows.features, rows.values.len());
        let mut total = vec![0f32; rows.n];
        let (mut reconstruction, mut residual) = (vec![0f32; n], vec![0f32; n]);
        let outputs = total.par_chunks_mut(SCORED).zip(reconstruction.par_chunks_mut(SCORED * f));
        let outputs = outputs.zip(residual.par_chunks_mut(SCORED * f));
        // In blocks that stay in the cache from one product to the next.
        outputs.zip(rows.values.par_chunks(SCORED * f)).try_for_each(
            |(((total, x_hat), residual), xs)| {
                vectorised(Centred { xs, mean: &mean, centred: residual });
                let centred = Tensor::from_slice(residual, (total.len(), f), &Device::Cpu)?; // (B, F)
                let projected = product(&product(&centred, &components)?, &transposed)?; // (B, F)
                with_values(&projected, |projected| {
                    vectorised(Residual { projected, mean: &mean, x_hat, residual, total });
                })
            },
        )?;
        Ok(Scored { total, reconstruction: Some(reconstruction), residual: Some(residual) })
    }

    fn describe(&self, weights: &Weights, graph: &mut Graph, rows: Value) -> Result<Described> {
        let mean = graph.weight(&weights.fitted("mean")?);
        let components = weights.fitted("components")?;
        let centred = graph.binary(Binary::Sub, rows, mean)?;
        let coordinates = graph.linear(centred, &components, None)?;
        let components = graph.weight(&components);
        let projected = graph.matmul(coordinates, components)?;
        let squares = graph.squared_difference(centred, projected)?;
        Ok(Described { total: graph.mean(squares), map: Some(squares) })
    }
}

/// Rows that are scored together.
const SCORED: usize = 512;

/// Takes the mean off rows.
struct Centred<'a> {
    xs: &'a [f32],
    mean: &'a [f32],
    centred: &'a mut [f32],
}

impl Vectorise for Centred<'_> {
    type Output = ();

    #[inline(always)]
    fn run(self) {
        let f = self.mean.len();
        for (centred, x) in self.centred.chunks_exact_mut(f).zip(self.xs.chunks_exact(f)) {
            for ((centred, x), mean) in centred.iter_mut().zip(x).zip(self.mean) {
                *centred = x - mean;
            }
        }
    }
}

/// From centred rows (in `residual`) and their projections to reconstructions, squared residuals and their means.
struct Residual<'a> {
    projected: &'a [f32],
    mean: &'a [f32],
    x_hat: &'a mut [f32],
    residual: &'a mut [f32],
    total: &'a mut [f32],
}

impl Vectorise for Residual<'_> {
    type Output = ();

    #[inline(always)]
    fn run(self) {
        let f = self.mean.len();
        let rows = self.x_hat.chunks_exact_mut(f).zip(self.residual.chunks_exact_mut(f));
        for (((x_hat, residual), projected), total) in
            rows.zip(self.projected.chunks_exact(f)).zip(self.total)
        {
            for (((x_hat, residual), projected), mean) in
                x_hat.iter_mut().zip(residual.iter_mut()).zip(projected).zip(self.mean)
            {
                let difference = *residual - projected;
                (*x_hat, *residual) = (projected + mean, difference * difference);
            }
            *total = (sum(residual) / f as f64) as f32;
        }
    }
}

/// The sum in f64, of eight sums that the compiler can take side by side.
#[inline(always)]
fn sum(values: &[f32]) -> f64 {
    let (mut sums, chunks) = ([0f64; 8], values.chunks_exact(8));
    let rest: f64 = chunks.remainder().iter().map(|&x| f64::from(x)).sum();
    for chunk in chunks {
        for (sum, x) in sums.iter_mut().zip(chunk) {
            *sum += f64::from(*x);
        }
    }
    sums.iter().sum::<f64>() + rest
}

/// Announces the mean, the components and their variances under `prefix`.
pub(crate) fn declare(weights: &Weights, prefix: &str, features: usize) {
    weights.declare(&format!("{prefix}mean"), &[Some(features)], DType::F32);
    weights.declare(&format!("{prefix}components"), &[None, Some(features)], DType::F32);
    weights.declare(&format!("{prefix}variances"), &[None], DType::F32);
}

/// Finds the principal components of `source`. They are ordered by their variance; the largest number of each is positive.
pub(crate) fn fit(
    weights: &Weights,
    prefix: &str,
    components: Components,
    source: &dyn Source,
    run: &mut Run<'_>,
) -> Result<()> {
    let (n, features) = (source.len(), source.shape().elements());
    if n < 2 {
        return Err(Error::data("training samples", format!("{n}, expected at least 2")));
    }
    let found = if n.min(features) > EXACT {
        randomized::fit(source, components, run)?
    } else if features <= n {
        by_covariance(source, components, run)?
    } else {
        by_gram(source, components, run)?
    };
    let Principal { mean, components, variances } = found;
    weights.set_fitted(&format!("{prefix}mean"), &Tensor::from_vec(mean, features, &Device::Cpu)?)?;
    weights.set_fitted(&format!("{prefix}components"), &components)?;
    weights.set_fitted(&format!("{prefix}variances"), &Tensor::new(variances, &Device::Cpu)?)
}

/// The mean, the components (K, F) and the variances along them.
pub(crate) struct Principal {
    pub(crate) mean: Vec<f32>,
    pub(crate) components: Tensor,
    pub(crate) variances: Vec<f32>,
}

/// By the eigenvectors of the covariance (F, F), in one pass over the rows, which are never all in memory.
fn by_covariance(source: &dyn Source, wanted: Components, run: &mut Run<'_>) -> Result<Principal> {
    let (n, f) = (source.len(), source.shape().elements());
    let first = Rows::read(source, &(0..n.min(BLOCK)).collect::<Vec<_>>())?;
    // Shifted by the first block's mean, the sums of squares lose nothing to the mean.
    let shift = first.mean();
    let (mut sums, mut products) = (vec![0f64; f], vec![0f64; f * f]);
    let all: Vec<_> = blocks(n).collect();
    let groups: Vec<_> = all.chunks(GROUP).collect();
    let mut found = None;
    run.pass("components", groups.len() + 1, &mut |piece, _| {
        let Some(group) = groups.get(piece) else {
            found = Some(components_of(n, &shift, &sums, &products, wanted)?);
            return Ok(Some(Losses::default()));
        };
        let moments: Vec<(Vec<f64>, Tensor)> =
            group.par_iter().map(|block| moments(source, block.clone(), &shift)).collect::<Result<_>>()?;
        for (block_sums, block_products) in moments {
            sums.iter_mut().zip(block_sums).for_each(|(sum, more)| *sum += more);
            with_values(&block_products, |more| {
                products.iter_mut().zip(more).for_each(|(sum, more)| *sum += f64::from(*more));
            })?;
        }
        Ok(Some(Losses::default()))
    })?;
    found.ok_or_else(|| Error::data("training samples", "none"))
}

/// Sums and products of a block of shifted rows: (F) and (F, F).
fn moments(source: &dyn Source, block: std::ops::Range<usize>, shift: &[f32]) -> Result<(Vec<f64>, Tensor)> {
    let mut rows = Rows::read(source, &block.collect::<Vec<_>>())?;
    let mut sums = vec![0f64; rows.features];
    vectorised(Shifted { rows: &mut rows.values, shift, sums: &mut sums });
    let rows = rows.into_tensor()?; // (n, F)
    Ok((sums, transposed_product(&rows, &rows)?))
}

/// Takes a shift off rows and adds them up.
struct Shifted<'a> {
    rows: &'a mut [f32],
    shift: &'a [f32],
    sums: &'a mut [f64],
}

impl Vectorise for Shifted<'_> {
    type Output = ();

    #[inline(always)]
    fn run(self) {
        for row in self.rows.chunks_exact_mut(self.shift.len()) {
            for ((x, shift), sum) in row.iter_mut().zip(self.shift).zip(self.sums.iter_mut()) {
                *x -= shift;
                *sum += f64::from(*x);
            }
        }
    }
}

fn components_of(
    n: usize,
    shift: &[f32],
    sums: &[f64],
    products: &[f64],
    wanted: Components,
) -> Result<Principal> {
    let f = shift.len();
    let off: Vec<f64> = sums.iter().map(|sum| sum / n as f64).collect();
    let covariance = DMatrix::from_fn(f, f, |i, j| {
        // The two halves may differ in rounding; their mean is symmetric.
        let product = (products[i * f + j] + products[j * f + i]) / 2.0;
        (product - n as f64 * off[i] * off[j]) / (n - 1) as f64
    });
    let (values, vectors) = eigen(covariance);
    let k = count(&values, values.iter().map(|v| v.max(0.0)).sum(), wanted)?;
    let mut rows = Vec::with_capacity(k * f);
    for vector in vectors.iter().take(k) {
        rows.extend(vector.iter().map(|&x| x as f32));
    }
    let mean = shift.iter().zip(&off).map(|(shift, off)| (f64::from(*shift) + off) as f32).collect();
    principal(mean, &Tensor::from_vec(rows, (k, f), &Device::Cpu)?, &values[..k])
}

/// By the eigenvectors of the products of the rows with each other (N, N), where there are fewer rows than features.
fn by_gram(source: &dyn Source, wanted: Components, run: &mut Run<'_>) -> Result<Principal> {
    let mut found = None;
    run.pass("components", 1, &mut |_, _| {
        let rows = Rows::read_all(source)?;
        let (mean, n) = (rows.mean(), rows.n);
        let xs = rows.less(&mean).into_tensor()?; // (N, F)
        let gram: Vec<f32> = product(&xs, &xs)?.flatten_all()?.to_vec1()?;
        let at = |i: usize, j: usize| f64::from(gram[i * n + j]);
        let gram = DMatrix::from_fn(n, n, |i, j| (at(i, j) + at(j, i)) / 2.0 / (n - 1) as f64);
        let (values, vectors) = eigen(gram);
        let k = count(&values, values.iter().map(|v| v.max(0.0)).sum(), wanted)?;
        // W = U Xᵀ / √(λ (n - 1)), for the eigenvectors U of the products.
        let scaled = vectors.iter().zip(&values).take(k).flat_map(|(vector, value)| {
            let scale = 1.0 / (value * (n - 1) as f64).sqrt();
            vector.iter().map(move |&x| (x * scale) as f32)
        });
        let u = Tensor::from_iter(scaled.collect::<Vec<f32>>(), &Device::Cpu)?.reshape((k, n))?;
        found = Some(principal(mean, &product(&u, &xs.t()?)?, &values[..k])?);
        Ok(Some(Losses::default()))
    })?;
    found.ok_or_else(|| Error::data("training samples", "none"))
}

/// The eigenvalues of a symmetric matrix without negative ones, from the largest to the smallest, and their vectors. Directions
/// along which nothing varies are set aside first: among many of them the iteration has been seen to end in NaN.
pub(crate) fn eigen(matrix: DMatrix<f64>) -> (Vec<f64>, Vec<Vec<f64>>) {
    let n = matrix.nrows();
    let least = 1e-15 * matrix.diagonal().max();
    let varying: Vec<usize> = (0..n).filter(|&i| matrix[(i, i)] > least).collect();
    if varying.len() == n || varying.is_empty() {
        return decomposed(matrix);
    }
    let (mut values, vectors) = decomposed(matrix.select_rows(&varying).select_columns(&varying));
    let widened = |vector: Vec<f64>| {
        let mut wide = vec![0.0; n];
        varying.iter().zip(vector).for_each(|(&i, value)| wide[i] = value);
        wide
    };
    let mut vectors: Vec<Vec<f64>> = vectors.into_iter().map(widened).collect();
    for i in (0..n).filter(|i| varying.binary_search(i).is_err()) {
        values.push(0.0);
        vectors.push((0..n).map(|j| f64::from(i == j)).collect());
    }
    (values, vectors)
}

fn decomposed(matrix: DMatrix<f64>) -> (Vec<f64>, Vec<Vec<f64>>) {
    let eigen = SymmetricEigen::new(matrix);
    let mut order: Vec<usize> = (0..eigen.eigenvalues.len()).collect();
    order.sort_by(|&a, &b| eigen.eigenvalues[b].total_cmp(&eigen.eigenvalues[a]));
    let values = order.iter().map(|&i| eigen.eigenvalues[i]).collect();
    let vectors = order.iter().map(|&i| eigen.eigenvectors.column(i).iter().copied().collect()).collect();
    (values, vectors)
}

/// How many of the components with these variances are wanted, of a variance of `total` in all. Directions in which the
/// samples do not vary (but for rounding) are none.
pub(crate) fn count(values: &[f64], total: f64, wanted: Components) -> Result<usize> {
    let largest = values.first().copied().unwrap_or(0.0);
    let rank = values.iter().take_while(|&&value| value > largest * 1e-9 && value > 0.0).count();
    if rank == 0 {
        return Err(Error::data("training samples", "do not vary: there is no principal component"));
    }
    Ok(match wanted {
        Components::Count(k) => k.min(rank),
        Components::Share(share) => {
            let mut explained = 0.0;
            let enough = values[..rank].iter().position(|value| {
                explained += value;
                explained >= share * total
            });
            enough.map_or(rank, |last| last + 1)
        }
    })
}

/// Turns each component so that its largest number is positive: eigenvectors come with either sign.
pub(crate) fn principal(mean: Vec<f32>, components: &Tensor, variances: &[f64]) -> Result<Principal> {
    let dims = components.dims2()?;
    let mut values: Vec<f32> = components.flatten_all()?.to_vec1()?;
    for row in values.chunks_exact_mut(dims.1) {
        let largest = row.iter().fold(0f32, |largest, &x| if x.abs() > largest.abs() { x } else { largest });
        if largest < 0.0 {
            row.iter_mut().for_each(|x| *x = -*x);
        }
    }
    let variances = variances.iter().map(|&v| v as f32).collect();
    Ok(Principal { mean, components: Tensor::from_vec(values, dims, &Device::Cpu)?, variances })
}
