//! stand-in
use crate::Result;
use candle_core::Tensor;
/// mse
pub fn mse(a: &Tensor, b: &Tensor) -> Result<Tensor> { Ok((a - b)?.sqr()?.mean_all()?) }
/// l1
pub fn l1(a: &Tensor, b: &Tensor) -> Result<Tensor> { Ok((a - b)?.abs()?.mean_all()?) }
/// bce
pub fn bce_with_logits(x: &Tensor, t: &Tensor) -> Result<Tensor> { Ok(((x.relu()? - (x * t)?)? + (x.abs()?.neg()?.exp()? + 1.0)?.log()?)?.mean_all()?) }
