//! Principal components of many samples of many features: subspace iteration from a random start (Halko, Martinsson and
//! Tropp, 2011, algorithm 4.4), which never forms a matrix of features by features.

use crate::config::Components;
use crate::pca::{Principal, count, eigen, principal};
use candle_core::{Device, Tensor};
use flicker_core::data::Source;
use flicker_core::rows::{BLOCK, Rows, blocks, product, transposed_product};
use flicker_core::run::{Losses, Run};
use flicker_core::{Error, Result};
use nalgebra::DMatrix;

/// Directions beyond those that are wanted: they make the wanted ones accurate.
const OVERSAMPLING: usize = 16;
/// Products with the covariance. Each divides the error by the ratio of the variances within and beyond the subspace.
const ROUNDS: usize = 8;

pub(crate) fn fit(source: &dyn Source, wanted: Components, run: &mut Run<'_>) -> Result<Principal> {
    let (n, f) = (source.len(), source.shape().elements());
    let Components::Count(k) = wanted else {
        let problem =
            format!("a share of the variance of {n} samples of {f} features is too dear, name a number");
        return Err(Error::config("config.components", problem));
    };
    let mean = mean(source)?;
    let l = (k + OVERSAMPLING).min(n).min(f);
    let (mut basis, mut found) = (None, None);
    run.pass("components", ROUNDS + 1, &mut |round, rng| {
        let start = || orthonormal(&rng.fork("basis").randn((l, f), &Device::Cpu)?);
        let now = basis.take().map_or_else(start, Ok)?;
        if round < ROUNDS {
            basis = Some(orthonormal(&times_covariance(source, &mean, &now)?)?);
        } else {
            found = Some(within(source, &mean, &now, wanted)?);
        }
        Ok(Some(Losses::default()))
    })?;
    found.ok_or_else(|| Error::data("training samples", "none"))
}

fn mean(source: &dyn Source) -> Result<Vec<f32>> {
    let (n, mut sums) = (source.len(), vec![0f64; source.shape().elements()]);
    for block in blocks(n) {
        let rows = Rows::read(source, &block.collect::<Vec<_>>())?;
        let share = rows.n as f64 / n as f64;
        sums.iter_mut().zip(rows.mean()).for_each(|(sum, mean)| *sum += f64::from(mean) * share);
    }
    Ok(sums.into_iter().map(|sum| sum as f32).collect())
}

/// What `each` makes of every block of centred rows, added up.
fn sum_over(source: &dyn Source, mean: &[f32], each: impl Fn(&Tensor) -> Result<Tensor>) -> Result<Tensor> {
    let mut sum: Option<Tensor> = None;
    for block in blocks(source.len()) {
        debug_assert!(block.len() <= BLOCK);
        let more = each(&Rows::read(source, &block.collect::<Vec<_>>())?.less(mean).into_tensor()?)?;
        sum = Some(match sum {
            Some(sum) => (sum + more)?,
            None => more,
        });
    }
    sum.ok_or_else(|| Error::data("training samples", "none"))
}

/// `Q Xᵀ X` of the basis Q (L, F), but for a factor: (L, F).
fn times_covariance(source: &dyn Source, mean: &[f32], basis: &Tensor) -> Result<Tensor> {
    let scale = 1.0 / source.len() as f64;
    sum_over(source, mean, |xs| {
        let along = product(xs, basis)?; // (n, L)
        Ok((transposed_product(&along, xs)? * scale)?)
    })
}

/// The principal components within the span of the basis.
fn within(source: &dyn Source, mean: &[f32], basis: &Tensor, wanted: Components) -> Result<Principal> {
    let along = sum_over(source, mean, |xs| {
        let along = product(xs, basis)?; // (n, L)
        transposed_product(&along, &along)
    })?;
    let (l, f) = basis.dims2()?;
    let values = along.to_vec2::<f32>()?;
    let at = |i: usize, j: usize| f64::from(values[i][j]);
    let scale = 0.5 / (source.len() - 1) as f64;
    let (values, vectors) = eigen(DMatrix::from_fn(l, l, |i, j| (at(i, j) + at(j, i)) * scale));
    let k = count(&values, values.iter().sum(), wanted)?;
    let turned: Vec<f32> = vectors.iter().take(k).flatten().map(|&x| x as f32).collect();
    let turned = Tensor::from_vec(turned, (k, l), &Device::Cpu)?;
    let components = product(&turned, &basis.t()?)?; // (K, F)
    debug_assert_eq!(components.dims(), [k, f]);
    principal(mean.to_vec(), &components, &values[..k])
}

/// An orthonormal basis of the rows of (L, F).
fn orthonormal(rows: &Tensor) -> Result<Tensor> {
    let (l, f) = rows.dims2()?;
    let values: Vec<f32> = rows.flatten_all()?.to_vec1()?;
    let columns = DMatrix::from_iterator(f, l, values.into_iter().map(f64::from));
    let q = columns.qr().q(); // (F, L), column by column
    Ok(Tensor::from_iter(q.iter().map(|&x| x as f32), &Device::Cpu)?.reshape((l, f))?)
}
