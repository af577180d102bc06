//! Columns of a table on a common scale, with numbers that are fitted on training normals alone and kept.
//!
//! ```
//! use flicker_core::data::{Samples, Scale, Source};
//! use std::sync::Arc;
//!
//! let train = Samples::new(2, vec![0.0, 5.0, 2.0, 5.0])?;
//! let scaler = Scale::Standard { columns: None }.fit(&train, &[])?;
//! let rows = scaler.apply(Arc::new(Samples::new(2, vec![4.0, 6.0])?))?;
//! let mut row = [0.0; 2];
//! rows.read(0, &mut row)?;
//! assert_eq!(row, [3.0, 1.0]); // a column that never varied is only shifted
//! # Ok::<(), flicker_core::Error>(())
//! ```

use super::csv::Column;
use super::source::{Content, check_read};
use super::{Source, gather};
use crate::graph::{Knot, Piece};
use crate::metrics::special::normal_quantile;
use crate::{Error, Result, SampleShape};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// How columns are scaled: `(x - shift) / divisor` of each, or through its quantiles. Without `columns`, all are.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum Scale {
    /// Mean 0 and standard deviation 1.
    Standard {
        /// Which columns.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        columns: Option<Vec<Column>>,
    },
    /// From 0 to 1.
    MinMax {
        /// Which columns.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        columns: Option<Vec<Column>>,
    },
    /// Median 0, and 1 between the quartiles.
    Robust {
        /// Which columns.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        columns: Option<Vec<Column>>,
    },
    /// Normally distributed: a value becomes the standard normal quantile of its rank. Values outside the fitted range go on in
    /// a straight line, in units of the standard deviation, so that what is extreme stays so.
    Quantile {
        /// How many quantiles are kept, at least 2; between them lines are drawn.
        quantiles: usize,
        /// Which columns.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        columns: Option<Vec<Column>>,
    },
}

/// A fitted [`Scale`]: plain numbers, saved with the run and applied again when new rows are scored.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Scaler {
    /// Features of a row.
    pub features: usize,
    /// The columns that change.
    pub columns: Vec<ScaledColumn>,
}

/// What is done to one column.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ScaledColumn {
    /// Its position among the features.
    pub position: usize,
    /// Its name.
    pub name: String,
    /// The map.
    pub map: Map,
}

/// The map of one column.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum Map {
    /// `(x - shift) / divisor`.
    Linear {
        /// What is subtracted.
        shift: f64,
        /// What is divided by; 1 for a column that never varied.
        divisor: f64,
    },
    /// Lines between these points, and beyond them lines of slope `1 / deviation`.
    Quantiles {
        /// Values, ascending.
        values: Vec<f64>,
        /// The standard deviation; 1 for a column that never varied.
        deviation: f64,
    },
}

impl Scale {
    fn columns(&self) -> Option<&[Column]> {
        match self {
            Self::Standard { columns }
            | Self::MinMax { columns }
            | Self::Robust { columns }
            | Self::Quantile { columns, .. } => columns.as_deref(),
        }
    }

    /// The numbers for `rows`, the training normals; `names` are those of the features, none for a table without.
    ///
    /// # Errors
    /// If the samples are no rows of a table, there is none, a column does not exist, or there are too few quantiles.
    pub fn fit(&self, rows: &dyn Source, names: &[String]) -> Result<Scaler> {
        let SampleShape::Table { features } = rows.shape() else {
            let problem = format!("only rows of a table are scaled; the samples are a {}", rows.shape());
            return Err(Error::config("data.scale", problem));
        };
        if let Self::Quantile { quantiles, .. } = self
            && *quantiles < 2
        {
            return Err(Error::config("data.scale.quantiles", format!("must be at least 2, is {quantiles}")));
        }
        if rows.is_empty() {
            return Err(Error::data("data.scale", "no row to fit the scale with"));
        }
        let names: Vec<String> =
            if names.is_empty() { (0..features).map(|i| i.to_string()).collect() } else { names.to_vec() };
        let positions = match self.columns() {
            None => (0..features).collect(),
            Some(columns) => {
                let position = |column: &Column| column.position("data.scale.columns", &names);
                columns.iter().map(position).collect::<Result<Vec<_>>>()?
            }
        };
        let all: Vec<usize> = (0..rows.len()).collect();
        let values = gather(rows, &all)?;
        let column = |position: usize| {
            let mut values: Vec<f64> =
                values.iter().skip(position).step_by(features).map(|&value| f64::from(value)).collect();
            values.sort_by(f64::total_cmp);
            ScaledColumn { position, name: names[position].clone(), map: self.map(&values) }
        };
        Ok(Scaler { features, columns: positions.into_iter().map(column).collect() })
    }

    /// The map for a column whose values are `sorted`.
    fn map(&self, sorted: &[f64]) -> Map {
        let (lowest, highest) = (sorted[0], sorted[sorted.len() - 1]);
        let or_one = |divisor: f64| if divisor > 0.0 { divisor } else { 1.0 };
        let mean = sorted.iter().sum::<f64>() / sorted.len() as f64;
        let variance = sorted.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / sorted.len() as f64;
        // The mean of equal numbers is off by a rounding, and so would be their deviation.
        let deviation = if lowest == highest { 1.0 } else { or_one(variance.sqrt()) };
        match self {
            Self::Standard { .. } if lowest == highest => Map::Linear { shift: lowest, divisor: 1.0 },
            Self::Standard { .. } => Map::Linear { shift: mean, divisor: deviation },
            Self::MinMax { .. } => Map::Linear { shift: lowest, divisor: or_one(highest - lowest) },
            Self::Robust { .. } => {
                let between = quantile(sorted, 0.75) - quantile(sorted, 0.25);
                Map::Linear { shift: quantile(sorted, 0.5), divisor: or_one(between) }
            }
            Self::Quantile { quantiles, .. } => {
                let level = |i: usize| i as f64 / (quantiles - 1) as f64;
                let values = (0..*quantiles).map(|i| quantile(sorted, level(i))).collect();
                Map::Quantiles { values, deviation }
            }
        }
    }
}

/// The quantile of sorted values, by lines between the order statistics (NumPy's default).
fn quantile(sorted: &[f64], level: f64) -> f64 {
    let at = level * (sorted.len() - 1) as f64;
    let (low, rest) = (at.floor() as usize, at.fract());
    let high = (low + 1).min(sorted.len() - 1);
    sorted[low] + rest * (sorted[high] - sorted[low])
}

/// The standard normal quantiles that the kept ones become: of the middles of as many equal shares.
fn normals(n: usize) -> Vec<f64> {
    (0..n).map(|i| normal_quantile((i as f64 + 0.5) / n as f64)).collect()
}

impl Scaler {
    /// The rows of `source`, scaled when they are read.
    ///
    /// # Errors
    /// If they have another number of features than those that were fitted, or a kept number cannot work.
    pub fn apply(&self, source: Arc<dyn Source>) -> Result<Scaled> {
        let expected = SampleShape::Table { features: self.features };
        if source.shape() != expected {
            let (expected, found) = (expected.to_string(), source.shape().to_string());
            return Err(Error::Shape { what: "rows to scale".into(), expected, found });
        }
        let columns = self.columns.iter().map(|column| column.prepared(self.features));
        Ok(Scaled { source, columns: columns.collect::<Result<_>>()? })
    }
}

impl Scaler {
    /// Every feature's map as steps and ramps.
    pub(crate) fn pieces(&self) -> Result<Vec<Piece>> {
        let keep = Piece { shift: 0.0, divisor: 1.0, start: 0.0, knots: Vec::new() };
        let mut pieces = vec![keep; self.features];
        for column in &self.columns {
            let (position, lookup) = column.prepared(self.features)?;
            pieces[position] = lookup.piece();
        }
        Ok(pieces)
    }
}

impl ScaledColumn {
    fn prepared(&self, features: usize) -> Result<(usize, Lookup)> {
        let wrong = |problem: String| Err(Error::data(format!("scale of column `{}`", self.name), problem));
        if self.position >= features {
            return wrong(format!("position {}, expected one below {features}", self.position));
        }
        match &self.map {
            Map::Linear { shift, divisor } if shift.is_finite() && *divisor > 0.0 => {
                Ok((self.position, Lookup::Linear { shift: *shift, divisor: *divisor }))
            }
            Map::Quantiles { values, deviation }
                if values.len() > 1 && values.is_sorted() && *deviation > 0.0 =>
            {
                let (values, normals) = (values.clone(), normals(values.len()));
                Ok((self.position, Lookup::Quantiles { values, normals, deviation: *deviation }))
            }
            map => wrong(format!(
                "expected finite numbers, a divisor above 0 and ascending values, found {map:?}"
            )),
        }
    }
}

/// A map, ready to be applied.
#[derive(Clone)]
enum Lookup {
    Linear { shift: f64, divisor: f64 },
    Quantiles { values: Vec<f64>, normals: Vec<f64>, deviation: f64 },
}

impl Lookup {
    /// The same as steps and ramps: a knot for each group of equal quantiles.
    fn piece(&self) -> Piece {
        match self {
            Self::Linear { shift, divisor } => {
                Piece { shift: *shift, divisor: *divisor, start: 0.0, knots: Vec::new() }
            }
            Self::Quantiles { values, normals, deviation } => {
                let mut knots: Vec<Knot> = Vec::new();
                let mut at = 0;
                for equal in values.chunk_by(|a, b| a == b) {
                    let last = at + equal.len() - 1;
                    let next = values.get(last + 1).zip(normals.get(last + 1));
                    let (width, rise) =
                        next.map_or((1.0, 0.0), |(value, normal)| (value - equal[0], normal - normals[last]));
                    knots.push(Knot { at: equal[0], jump: normals[last] - normals[at], rise, width });
                    at = last + 1;
                }
                Piece { shift: 0.0, divisor: *deviation, start: normals[0], knots }
            }
        }
    }

    fn apply(&self, x: f64) -> f64 {
        match self {
            Self::Linear { shift, divisor } => (x - shift) / divisor,
            Self::Quantiles { values, normals, deviation } => {
                let last = values.len() - 1;
                // `below` values are smaller than x, `up_to` are not greater.
                let (below, up_to) =
                    (values.partition_point(|&v| v < x), values.partition_point(|&v| v <= x));
                if below == 0 && x < values[0] {
                    normals[0] + (x - values[0]) / deviation
                } else if below > last {
                    normals[last] + (x - values[last]) / deviation
                } else if below < up_to {
                    f64::midpoint(normals[below], normals[up_to - 1]) // the middle of equal quantiles
                } else {
                    let share = (x - values[below - 1]) / (values[below] - values[below - 1]);
                    normals[below - 1] + share * (normals[below] - normals[below - 1])
                }
            }
        }
    }
}

/// A source of rows that are scaled each time they are read.
#[derive(Clone)]
pub struct Scaled {
    source: Arc<dyn Source>,
    columns: Vec<(usize, Lookup)>,
}

impl Source for Scaled {
    fn len(&self) -> usize {
        self.source.len()
    }

    fn shape(&self) -> SampleShape {
        self.source.shape()
    }

    fn read(&self, index: usize, out: &mut [f32]) -> Result<()> {
        check_read(self, index, out)?;
        self.source.read(index, out)?;
        for (position, lookup) in &self.columns {
            out[*position] = lookup.apply(f64::from(out[*position])) as f32;
        }
        Ok(())
    }

    fn id(&self, index: usize) -> String {
        self.source.id(index)
    }

    /// The content of the row that is scaled: twins there are twins here.
    fn content(&self, index: usize) -> Result<Content> {
        self.source.content(index)
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Images, Samples};
    use super::*;

    const VALUES: [f32; 5] = [1.0, 2.0, 4.0, 4.0, 9.0];

    fn rows(values: &[f32]) -> Samples {
        Samples::new(1, values.to_vec()).expect("rows of one column")
    }

    #[track_caller]
    fn check(scale: &Scale, given: &[f32], expected: &[f32]) {
        let scaled = scale.fit(&rows(&VALUES), &[]).and_then(|scaler| scaler.apply(Arc::new(rows(given))));
        let found = Samples::collect(&scaled.expect("fits")).expect("finite");
        for (i, expected) in expected.iter().enumerate() {
            assert!((found.get(i).expect("a row")[0] - expected).abs() < 1e-5, "{found:?}");
        }
    }

    /// Expected values are scikit-learn's StandardScaler, MinMaxScaler and RobustScaler.
    #[test]
    fn linear_scales() {
        check(&Scale::Standard { columns: None }, &[4.0, 9.0], &[0.0, 1.813_691_5]);
        check(&Scale::MinMax { columns: None }, &[1.0, 9.0, 17.0], &[0.0, 1.0, 2.0]);
        check(&Scale::Robust { columns: None }, &[4.0, 6.0, 2.0], &[0.0, 1.0, -1.0]);
    }

    #[test]
    fn quantiles_become_normal_and_extremes_stay_extreme() {
        let scale = Scale::Quantile { quantiles: 5, columns: None };
        // Middles of five shares: 0.1, 0.3, 0.5, 0.7, 0.9.
        check(&scale, &[1.0, 2.0, 1.5], &[-1.281_551_6, -0.524_400_5, -0.902_976]);
        check(&scale, &[4.0, 9.0], &[0.262_200_26, 1.281_551_6]); // 4 is the third and the fourth quantile
        let deviation = 2.756_81;
        check(&scale, &[9.0 + deviation, 1.0 - 2.0 * deviation], &[2.281_551_6, -3.281_551_6]);
    }

    #[test]
    fn named_columns_alone_change_and_the_numbers_are_kept() -> Result<()> {
        let table = Samples::new(2, vec![1.0, 10.0, 3.0, 30.0])?;
        let names = ["a".to_string(), "b".to_string()];
        let scale = Scale::Standard { columns: Some(vec![Column::Name("b".into())]) };
        let scaler = scale.fit(&table, &names)?;
        let text = serde_json::to_string(&scaler).expect("numbers");
        assert_eq!(serde_json::from_str::<Scaler>(&text).expect("the same numbers"), scaler);
        let scaled = Samples::collect(&scaler.apply(Arc::new(table))?)?;
        assert_eq!((scaled.get(0), scaled.get(1)), (Some(&[1.0, -1.0][..]), Some(&[3.0, 1.0][..])));
        Ok(())
    }

    #[test]
    fn what_cannot_work_is_refused() -> Result<()> {
        let said = |scale: &Scale, source: &dyn Source| scale.fit(source, &[]).unwrap_err().to_string();
        let standard = Scale::Standard { columns: None };
        assert!(said(&standard, &Images::new((1, 1, 1), vec![0], "")?).contains("only rows of a table"));
        assert!(said(&standard, &rows(&[])).contains("no row to fit"));
        let few = Scale::Quantile { quantiles: 1, columns: None };
        assert!(said(&few, &rows(&VALUES)).contains("must be at least 2, is 1"));
        let absent = Scale::Standard { columns: Some(vec![Column::Name("x".into())]) };
        assert!(said(&absent, &rows(&VALUES)).contains("no column `x`"));
        let scaler = standard.fit(&rows(&VALUES), &[])?;
        assert!(scaler.apply(Arc::new(Samples::new(2, vec![0.0; 4])?)).is_err());
        let broken =
            ScaledColumn { position: 0, name: "a".into(), map: Map::Linear { shift: 0.0, divisor: 0.0 } };
        assert!(Scaler { features: 1, columns: vec![broken] }.apply(Arc::new(rows(&VALUES))).is_err());
        Ok(())
    }
}
