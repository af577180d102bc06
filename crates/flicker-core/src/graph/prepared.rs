//! What stands before a model's pass and after it, in a graph: size and range of images, scales of columns, and the decision.

use super::{Binary, Graph, Numbers, Unary, Value};
use crate::calibration::Calibration;
use crate::data::{Prepare, Range, Scaler};
use crate::{Error, Result};
use candle_core::{Device, Tensor};

/// What a calibration says of scores, as values of a graph; each is one number a sample.
#[derive(Clone, Copy, Debug)]
pub struct Decided {
    /// The conformal p-value.
    pub p_value: Value,
    /// Between 0 and 1, above 0.5 for the scores above the threshold.
    pub normalised: Value,
    /// Whether the score is greater than the threshold, a truth value.
    pub abnormal: Value,
}

impl Prepare {
    /// What [`Prepare::apply`] does to each image, in a graph.
    ///
    /// # Errors
    /// If the samples are rows of a table and something would change, or a size cannot work.
    pub fn describe(self, graph: &mut Graph, xs: Value) -> Result<Value> {
        if self == Self::KEEP {
            return Ok(xs);
        }
        let &[_, height, width] = graph.dims(xs) else {
            return Err(Error::config(
                "resize, range",
                "only images are resized; the samples are rows of a table",
            ));
        };
        let plan = self.resize.plan([height, width])?;
        let sized = match plan.matrices([height, width]) {
            Some([rows, columns]) => {
                let matrix = |values: Vec<f32>, from: usize, to: usize| -> Result<Tensor> {
                    Ok(Tensor::from_vec(values, (to, from), &Device::Cpu)?)
                };
                let [to_height, to_width] = plan.to();
                let columns = matrix(columns, width, to_width)?.t()?.contiguous()?;
                graph.resample(xs, &matrix(rows, height, to_height)?, &columns)?
            }
            None => xs,
        };
        match self.range {
            Range::Unit => Ok(sized),
            Range::Signed => graph.affine_by(sized, 2.0, -1.0),
            Range::Standard { mean, std } => {
                let mean = graph.number(f64::from(mean))?;
                let off = graph.binary(Binary::Sub, sized, mean)?;
                let std = graph.number(f64::from(std))?;
                graph.binary(Binary::Div, off, std)
            }
        }
    }
}

impl Scaler {
    /// What [`Scaler::apply`] does to each row, in a graph; in f64, as there.
    ///
    /// # Errors
    /// If the rows have another number of features, or a kept number cannot work.
    pub fn describe(&self, graph: &mut Graph, xs: Value) -> Result<Value> {
        if graph.dims(xs) != [self.features] {
            let (expected, found) = (format!("[{}]", self.features), format!("{:?}", graph.dims(xs)));
            return Err(Error::Shape { what: "rows to scale".into(), expected, found });
        }
        let pieces = self.pieces()?;
        graph.in_f64(xs, |graph, xs| {
            if pieces.iter().all(|piece| piece.knots.is_empty()) {
                let column = |f: fn(&Piece) -> f64| pieces.iter().map(f).collect::<Vec<f64>>();
                let shift = graph.exact(column(|piece| piece.shift), &[self.features])?;
                let divisor = graph.exact(column(|piece| piece.divisor), &[self.features])?;
                let off = graph.binary(Binary::Sub, xs, shift)?;
                graph.binary(Binary::Div, off, divisor)
            } else {
                by_pieces(graph, xs, &pieces)
            }
        })
    }
}

/// A column's map as a sum of steps and ramps: `start + (min(x, first) - first) / divisor + Σ step(x) + Σ ramp(x) +
/// (max(x, last) - last) / divisor`. One without knots is `(x - shift) / divisor`.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Piece {
    pub(crate) shift: f64,
    pub(crate) divisor: f64,
    pub(crate) start: f64,
    pub(crate) knots: Vec<Knot>,
}

/// Where a column's map jumps by `jump`, half of it at `at` itself, and then rises by `rise` over `width`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Knot {
    pub(crate) at: f64,
    pub(crate) jump: f64,
    pub(crate) rise: f64,
    pub(crate) width: f64,
}

/// Every column through its steps and ramps, `(F)` to `(F)`.
fn by_pieces(graph: &mut Graph, xs: Value, pieces: &[Piece]) -> Result<Value> {
    let features = pieces.len();
    // A column without knots goes on in a straight line from its shift on both sides.
    let ends = |last: bool| -> Vec<f64> {
        let of =
            |piece: &Piece| if last { piece.knots.last() } else { piece.knots.first() }.map(|knot| knot.at);
        pieces.iter().map(|piece| of(piece).unwrap_or(piece.shift)).collect()
    };
    let n = pieces.iter().map(|piece| piece.knots.len()).max().unwrap_or(0);
    let none = Knot { at: 0.0, jump: 0.0, rise: 0.0, width: 1.0 };
    let knots = |f: fn(&Knot) -> f64| -> Vec<f64> {
        let of =
            |piece: &'_ Piece| (0..n).map(|i| f(piece.knots.get(i).unwrap_or(&none))).collect::<Vec<_>>();
        pieces.iter().flat_map(of).collect()
    };
    let start = graph.exact(pieces.iter().map(|piece| piece.start).collect(), &[features])?;
    let divisor = graph.exact(pieces.iter().map(|piece| piece.divisor).collect(), &[features])?;
    let (first, last) = (graph.exact(ends(false), &[features])?, graph.exact(ends(true), &[features])?);
    let below = graph.binary(Binary::Min, xs, first)?;
    let below = graph.binary(Binary::Sub, below, first)?;
    let above = graph.binary(Binary::Max, xs, last)?;
    let above = graph.binary(Binary::Sub, above, last)?;
    let outside = graph.binary(Binary::Add, below, above)?;
    let outside = graph.binary(Binary::Div, outside, divisor)?;
    let total = graph.binary(Binary::Add, start, outside)?;
    let at = graph.exact(knots(|knot| knot.at), &[features, n])?;
    let x = graph.reshape(xs, &[features, 1])?;
    let over = graph.binary(Binary::Greater, x, at)?;
    let over = graph.cast(over, Numbers::F64);
    let reached = graph.binary(Binary::AtLeast, x, at)?;
    let reached = graph.cast(reached, Numbers::F64);
    let steps = graph.binary(Binary::Add, over, reached)?;
    let halves = graph.exact(knots(|knot| knot.jump / 2.0), &[features, n])?;
    let steps = graph.binary(Binary::Mul, steps, halves)?;
    let width = graph.exact(knots(|knot| knot.width), &[features, n])?;
    let ramps = graph.binary(Binary::Sub, x, at)?;
    let ramps = graph.binary(Binary::Div, ramps, width)?;
    let (zero, one) = (graph.exact(vec![0.0], &[1])?, graph.exact(vec![1.0], &[1])?);
    let ramps = graph.binary(Binary::Max, ramps, zero)?;
    let ramps = graph.binary(Binary::Min, ramps, one)?;
    let rises = graph.exact(knots(|knot| knot.rise), &[features, n])?;
    let ramps = graph.binary(Binary::Mul, ramps, rises)?;
    let inside = graph.binary(Binary::Add, steps, ramps)?;
    let inside = graph.sum_of_last(inside);
    graph.binary(Binary::Add, total, inside)
}

impl Calibration {
    /// What [`Calibration::decide`] says of `score`, in a graph.
    ///
    /// # Errors
    /// None in practice.
    pub fn describe(&self, graph: &mut Graph, score: Value) -> Result<Decided> {
        let threshold = rounded_down(self.threshold_or_infinity());
        let threshold = graph.constant("threshold", &Tensor::new(threshold, &Device::Cpu)?);
        let abnormal = graph.binary(Binary::Greater, score, threshold)?;
        Ok(Decided {
            p_value: self.p_value(graph, score)?,
            normalised: self.fraction(graph, score)?,
            abnormal,
        })
    }

    fn p_value(&self, graph: &mut Graph, score: Value) -> Result<Value> {
        let normals = graph.constant("validation_scores", &Tensor::new(self.normals(), &Device::Cpu)?);
        let score = graph.reshape(score, &[1])?;
        let at_least = graph.binary(Binary::AtLeast, normals, score)?;
        let at_least = graph.cast(at_least, Numbers::F32);
        let count = graph.sum(at_least);
        let count = graph.affine_by(count, 1.0, 1.0)?;
        let all = graph.number((self.n() + 1) as f64)?;
        graph.binary(Binary::Div, count, all)
    }

    fn fraction(&self, graph: &mut Graph, score: Value) -> Result<Value> {
        let (anchor, spread) = self.anchor_and_spread();
        graph.in_f64(score, |graph, score| {
            let (anchor, spread) = (graph.exact(vec![anchor], &[])?, graph.exact(vec![spread], &[])?);
            let (half, one) = (graph.exact(vec![0.5], &[])?, graph.exact(vec![1.0], &[])?);
            let off = graph.binary(Binary::Sub, score, anchor)?;
            let u = graph.binary(Binary::Div, off, spread)?;
            let size = graph.unary(Unary::Abs, u);
            let size = graph.binary(Binary::Add, size, one)?;
            let share = graph.binary(Binary::Div, u, size)?;
            let share = graph.binary(Binary::Mul, share, half)?;
            graph.binary(Binary::Add, share, half)
        })
    }
}

/// The largest f32 that is not above `x`: an f32 is greater than the one exactly if it is greater than the other.
fn rounded_down(x: f64) -> f32 {
    let nearest = x as f32;
    if f64::from(nearest) > x { nearest.next_down() } else { nearest }
}
