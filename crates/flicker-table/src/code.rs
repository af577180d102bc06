//! How the cells of one column become numbers.

use crate::{Cells, Kind, Rules, Table};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::f64::consts::TAU;

const SECOND: i64 = 1_000_000;
const DAY: i64 = 86_400 * SECOND;

/// What stands for a value.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "as", rename_all = "snake_case", deny_unknown_fields)]
pub enum Code {
    /// The number itself.
    Number {},
    /// 1 in the column of the value, 0 in those of the others; a value that was not among those that trained is 0 in all.
    OneHot {
        /// The values, a column each.
        values: Vec<String>,
    },
    /// The share of the training rows that had the value; 0 for one that none had.
    Frequency {
        /// The share of each value.
        shares: BTreeMap<String, f32>,
    },
    /// The seconds since `origin`; with `clock` sine and cosine of the time of day; sine and cosine of the day of the week.
    Time {
        /// The earliest moment of the training rows, in seconds since 1970, UTC.
        origin: i64,
        /// Whether any training row had a time of day.
        clock: bool,
    },
}

/// The coding of a column.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ColumnCode {
    /// Its name in the table.
    pub name: String,
    /// How its cells are read.
    pub kind: Kind,
    /// What stands for a value.
    pub code: Code,
    /// What stands for a missing value, where any was missing in the table that was learned from: of numbers and moments the mean, of categories 0. One
    /// more column then says whether it is missing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub missing: Option<Vec<f32>>,
}

impl ColumnCode {
    /// The coding of the column at `position` of `table`, by its `rows`; none if none of them has a value.
    pub(crate) fn fit(
        name: &str,
        kind: Kind,
        table: &Table,
        position: usize,
        rows: &[usize],
        rules: &Rules,
    ) -> Option<Self> {
        let cells = || {
            rows.iter().map(|&row| {
                let (batch, row) = table.find(row);
                (&batch.columns()[position], row)
            })
        };
        let n_missing = cells().filter(|(cells, row)| cells.is_missing(*row)).count();
        // Whether a column may miss values is a fact of the table, as its kind is; what stands in is learned from the rows.
        let may_miss = table.batches().iter().any(|batch| {
            let cells = &batch.columns()[position];
            (0..batch.rows().len()).any(|row| cells.is_missing(row))
        });
        if n_missing == rows.len() {
            return None;
        }
        let code = match kind {
            Kind::Number | Kind::Boolean => Code::Number {},
            Kind::Time => times(cells()),
            Kind::Text | Kind::Numeral => categories(cells(), rows.len(), rules.one_hot),
        };
        let mut fitted = Self { name: name.to_owned(), kind, code, missing: None };
        if may_miss {
            fitted.missing = Some(fitted.stand_in(cells(), rows.len() - n_missing));
        }
        Some(fitted)
    }

    /// What stands for a missing value.
    fn stand_in<'a>(&self, cells: impl Iterator<Item = (&'a Cells, usize)>, n: usize) -> Vec<f32> {
        let width = self.code.width();
        if matches!(self.code, Code::OneHot { .. } | Code::Frequency { .. }) {
            return vec![0.0; width];
        }
        let (mut sums, mut features) = (vec![0.0; width], vec![0.0; width]);
        for (cells, row) in cells.filter(|(cells, row)| !cells.is_missing(*row)) {
            self.code.write(cells, row, &mut features);
            sums.iter_mut().zip(&features).for_each(|(sum, feature)| *sum += f64::from(*feature));
        }
        sums.into_iter().map(|sum| (sum / n as f64) as f32).collect()
    }

    /// The columns of numbers that it becomes.
    pub(crate) fn names(&self) -> Vec<String> {
        let name = &self.name;
        let mut names = match &self.code {
            Code::Number {} => vec![name.clone()],
            Code::OneHot { values } => values.iter().map(|value| format!("{name}={value}")).collect(),
            Code::Frequency { .. } => vec![format!("{name} frequency")],
            Code::Time { clock, .. } => {
                let mut names = vec![name.clone()];
                let turns = if *clock { &["hour", "weekday"][..] } else { &["weekday"] };
                names.extend(
                    turns.iter().flat_map(|turn| ["sin", "cos"].map(|of| format!("{name} {turn} {of}"))),
                );
                names
            }
        };
        names.extend(self.missing.as_ref().map(|_| format!("{name} missing")));
        names
    }

    /// How many columns of numbers it becomes.
    pub(crate) fn width(&self) -> usize {
        self.code.width() + usize::from(self.missing.is_some())
    }

    /// Writes the cell of `row`; `false` if it is missing and none was in training.
    pub(crate) fn write(&self, cells: &Cells, row: usize, out: &mut [f32]) -> bool {
        let (features, flag) = out.split_at_mut(self.code.width());
        let is_missing = cells.is_missing(row);
        match &self.missing {
            None if is_missing => return false,
            Some(stand_in) if is_missing => features.copy_from_slice(stand_in),
            _ => self.code.write(cells, row, features),
        }
        flag.fill(f32::from(u8::from(is_missing)));
        true
    }
}

impl Code {
    /// How many columns of numbers stand for a value.
    pub(crate) fn width(&self) -> usize {
        match self {
            Self::Number {} | Self::Frequency { .. } => 1,
            Self::OneHot { values } => values.len(),
            Self::Time { clock, .. } => 3 + 2 * usize::from(*clock),
        }
    }

    /// Writes the value of `row`, which has one.
    fn write(&self, cells: &Cells, row: usize, out: &mut [f32]) {
        match (self, cells) {
            (Self::OneHot { values }, Cells::Texts(texts)) => {
                let found = texts.get(row);
                values
                    .iter()
                    .zip(out)
                    .for_each(|(value, out)| *out = f32::from(u8::from(found == Some(value))));
            }
            (Self::Frequency { shares }, Cells::Texts(texts)) => {
                out[0] = texts.get(row).and_then(|found| shares.get(found)).copied().unwrap_or(0.0);
            }
            (Self::Time { origin, clock }, Cells::Times(times)) => moment(times[row], *origin, *clock, out),
            (_, Cells::Numbers(numbers)) => out[0] = numbers[row],
            // Cells are read by the kind that belongs to the code.
            _ => out.fill(0.0),
        }
    }

    /// Whether cells of `kind` are written by this.
    pub(crate) fn is_of(&self, kind: Kind) -> bool {
        match self {
            Self::Number {} => matches!(kind, Kind::Number | Kind::Boolean),
            Self::OneHot { .. } | Self::Frequency { .. } => matches!(kind, Kind::Text | Kind::Numeral),
            Self::Time { .. } => kind == Kind::Time,
        }
    }
}

fn moment(micros: i64, origin: i64, clock: bool, out: &mut [f32]) {
    let turn = |share: f64| [(TAU * share).sin() as f32, (TAU * share).cos() as f32];
    out[0] = (micros as f64 / SECOND as f64 - origin as f64) as f32;
    // 1970 began on a Thursday; a week begins on Monday.
    let weekday = (micros.div_euclid(DAY) + 3).rem_euclid(7);
    if clock {
        out[1..3].copy_from_slice(&turn(micros.rem_euclid(DAY) as f64 / DAY as f64));
    }
    let week = out.len() - 2;
    out[week..].copy_from_slice(&turn(weekday as f64 / 7.0));
}

fn times<'a>(cells: impl Iterator<Item = (&'a Cells, usize)>) -> Code {
    let (mut earliest, mut clock) = (i64::MAX, false);
    for (cells, row) in cells {
        if let Cells::Times(times) = cells
            && times[row] != Cells::NO_TIME
        {
            earliest = earliest.min(times[row]);
            clock |= times[row].rem_euclid(DAY) != 0;
        }
    }
    Code::Time { origin: earliest.div_euclid(SECOND), clock }
}

/// A column for each value where there are few, the frequency otherwise.
fn categories<'a>(cells: impl Iterator<Item = (&'a Cells, usize)>, rows: usize, one_hot: usize) -> Code {
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for (cells, row) in cells {
        if let Cells::Texts(texts) = cells
            && let Some(text) = texts.get(row)
        {
            *counts.entry(text).or_default() += 1;
        }
    }
    if counts.len() <= one_hot {
        return Code::OneHot { values: counts.into_keys().map(str::to_owned).collect() };
    }
    let share = |(text, count): (&str, usize)| (text.to_owned(), (count as f64 / rows as f64) as f32);
    Code::Frequency { shares: counts.into_iter().map(share).collect() }
}
