//! Which validation score is the threshold of a promised false-alarm rate, and what the promise is worth.

use crate::metrics::Estimate;
use crate::metrics::special::beta_quantile;
use crate::{Error, Result};

/// The rank k = ⌈(n + 1)(1 − α)⌉, from 1, of the validation score that is the threshold; `None` if it is beyond n,
/// where the threshold is infinite.
///
/// # Errors
/// If `alpha` is not between 0 and 1.
pub fn conformal_rank(n: usize, alpha: f64) -> Result<Option<usize>> {
    let n_above = n_false_alarms(n, alpha)?;
    Ok((n_above > 0).then(|| n + 1 - n_above))
}

/// The fewest validation normals that allow a threshold at `alpha`: ⌈1/α⌉ − 1.
pub fn normals_needed(alpha: f64) -> usize {
    // The same allowance for rounding as below: 1/α of α = 0.01 must not become 101.
    (((1.0 / alpha) * (1.0 - 1e-12)).ceil() as usize).saturating_sub(1)
}

/// The false-alarm rate of a conformal threshold at `alpha` from *this one* set of `n` validation normals: mean and
/// central 95 % interval.
///
/// α is met on average over validation sets; given the set, the rate of new normals above the threshold is distributed
/// Beta(n + 1 − k, k) for scores without ties (Vovk, "Conditional validity of inductive conformal predictors", 2012,
/// proposition 2), and below that where scores tie. Without a threshold the rate is 0.
///
/// # Errors
/// If `alpha` is not between 0 and 1.
pub fn false_alarm_interval(n: usize, alpha: f64) -> Result<Estimate> {
    let Some(rank) = conformal_rank(n, alpha)? else {
        return Ok(Estimate { value: 0.0, low: 0.0, high: 0.0 });
    };
    let (above, rank) = ((n + 1 - rank) as f64, rank as f64);
    let (low, high) = (beta_quantile(above, rank, 0.025), beta_quantile(above, rank, 0.975));
    Ok(Estimate { value: above / (n + 1) as f64, low, high })
}

/// ⌊α (n + 1)⌋, as ⌈(n + 1)(1 − α)⌉ = n + 1 − ⌊α (n + 1)⌋.
fn n_false_alarms(n: usize, alpha: f64) -> Result<usize> {
    if !(alpha > 0.0 && alpha < 1.0) {
        return Err(Error::config("alpha", format!("{alpha} is not between 0 and 1 (both excluded)")));
    }
    // 0.29 × 100 is 28.999…96 in floating point; the allowance makes it 29.
    Ok((alpha * (n + 1) as f64 * (1.0 + 1e-12)).floor() as usize)
}
