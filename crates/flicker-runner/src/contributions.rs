//! How much each column of a row adds to its score: what a table's run shows in place of pictures.

use crate::Failure;
use crate::evaluate::Evaluated;
use crate::gallery::Show;
use crate::pictures::{Contribution, Item, Strip};
use crate::samples::RunData;
use candle_core::Tensor;
use flicker_core::data::{Source, gather, tensor};
use flicker_core::{Detector, Error, Result, Scores};

/// Columns that are named of a row, those that add the most.
const NAMED: usize = 5;
/// Columns of a table up to which each is replaced to see what that changes.
const MOST: usize = 512;
/// Validation normals whose median is the usual value of a column, at most.
const USUAL: usize = 4096;

/// The usual values of the columns: the medians of the validation normals, as the model takes them and as the table has them.
pub(crate) struct Usual {
    prepared: Vec<f32>,
    raw: Vec<f32>,
}

impl Usual {
    pub(crate) fn of(data: &RunData) -> Result<Self> {
        Ok(Self {
            prepared: medians(data.validation.source.as_ref())?,
            raw: medians(data.raw_validation.as_ref())?,
        })
    }
}

/// The median of each column.
fn medians(rows: &dyn Source) -> Result<Vec<f32>> {
    let n = rows.len().min(USUAL);
    let values = gather(rows, &(0..n).collect::<Vec<_>>())?;
    let features = rows.shape().elements();
    let median = |column: usize| {
        let mut column: Vec<f32> = values.iter().skip(column).step_by(features).copied().collect();
        column.sort_by(f32::total_cmp);
        column[(column.len() - 1) / 2]
    };
    Ok((0..features).map(median).collect())
}

/// The rows of the test at `indices`, each with the columns that add the most to its score.
pub(crate) fn strip(
    (title, note, indices): (&str, String, Vec<usize>),
    model: &dyn Detector,
    data: &RunData,
    evaluated: &Evaluated,
    usual: &Usual,
    show: &Show<'_>,
) -> std::result::Result<Strip, Failure> {
    let (test, features) = (&data.test, data.shape.elements());
    let mut items = Vec::new();
    if !indices.is_empty() {
        let xs = tensor(test.source.as_ref(), &indices, show.device)?;
        let scores = model.score(&xs, show.rng)?;
        let raw = gather(data.raw_test.as_ref(), &indices)?;
        let name = |column: usize| data.facts.columns.get(column).cloned().unwrap_or(column.to_string());
        for (at, &index) in indices.iter().enumerate() {
            let added = added(model, &xs.narrow(0, at, 1).map_err(Error::from)?, &scores, at, usual, show)?;
            let contributions = largest(&added).into_iter().map(|(column, share)| Contribution {
                column: name(column),
                value: raw[at * features + column],
                usual: usual.raw[column],
                share,
            });
            items.push(Item {
                id: test.source.id(index),
                caption: evaluated.caption(test, index),
                score: evaluated.scores[index],
                images: Vec::new(),
                contributions: contributions.collect(),
            });
        }
    }
    Ok(Strip { title: title.to_string(), note, items })
}

/// What each column of the row `x` adds to its score: its part of it where the family knows that, otherwise how much lower the
/// score is with the column at its usual value. Nothing where a table has more columns than can be tried.
fn added(
    model: &dyn Detector,
    x: &Tensor,
    scores: &Scores,
    at: usize,
    usual: &Usual,
    show: &Show<'_>,
) -> Result<Vec<f32>> {
    if let Some(map) = scores.map.as_ref().filter(|map| map.rank() == 2) {
        return Ok(map.get(at)?.to_vec1()?);
    }
    let features = usual.prepared.len();
    if features > MOST {
        return Ok(Vec::new());
    }
    let row: Vec<f32> = x.flatten_all()?.to_vec1()?;
    let mut tried = row.repeat(features);
    for (column, value) in usual.prepared.iter().enumerate() {
        tried[column * features + column] = *value;
    }
    let tried = Tensor::from_vec(tried, (features, features), show.device).map_err(Error::from)?;
    let total = scores.total[at];
    Ok(model.score(&tried, show.rng)?.total.into_iter().map(|without| total - without).collect())
}

/// The columns that add the most, each with its share of all that is added.
fn largest(added: &[f32]) -> Vec<(usize, f32)> {
    let positive = |value: f32| if value.is_finite() { value.max(0.0) } else { 0.0 };
    let sum: f32 = added.iter().map(|&value| positive(value)).sum();
    let mut shares: Vec<(usize, f32)> =
        added.iter().enumerate().map(|(column, &value)| (column, positive(value) / sum)).collect();
    shares.retain(|(_, share)| *share > 0.0);
    shares.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
    shares.truncate(NAMED);
    shares
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_are_of_what_is_added_the_largest_first() {
        assert_eq!(largest(&[1.0, -3.0, 3.0, 0.0]), [(2, 0.75), (0, 0.25)]);
        assert_eq!(largest(&[1.0; 8]).len(), NAMED);
        assert!(largest(&[0.0, -1.0]).is_empty() && largest(&[]).is_empty());
    }
}
