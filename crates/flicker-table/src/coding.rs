//! The coding of a whole table: fitted on the rows that train, kept, and applied to every later row.

use crate::{Batch, Code, Column, ColumnCode, Error, Kind, MOST_COLUMNS, Result, Table};
use serde::{Deserialize, Serialize};

/// What the user decides about a coding.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rules {
    /// Categories of at most so many values become a column for each value, others their frequency.
    pub one_hot: usize,
}

/// A fitted coding: plain numbers and names.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Coding {
    /// The columns of the table that are read, in the order of what they become.
    pub columns: Vec<ColumnCode>,
}

impl Coding {
    /// The coding by the `rows` of `table`, whose first columns are `columns`.
    ///
    /// # Errors
    /// If there is no column or no row, a column has no value in any of the rows, or more than [`MOST_COLUMNS`] columns of
    /// numbers would come out.
    pub fn fit(table: &Table, columns: &[Column], rows: &[usize], rules: &Rules) -> Result<Self> {
        let origin = table.batches().first().map_or("table", |batch| &batch.origin);
        if columns.is_empty() || rows.is_empty() {
            let problem = format!("{} rows of {} columns to learn from", rows.len(), columns.len());
            return Err(Error::new(origin, format!("{problem}, expected at least one of each")));
        }
        let fitted = columns.iter().enumerate().map(|(position, Column { name, kind })| {
            ColumnCode::fit(name, *kind, table, position, rows, rules).ok_or_else(|| {
                let problem = "no value in any of the rows to learn from; it can be dropped";
                Error::new(origin, format!("column `{name}`: {problem}"))
            })
        });
        let coding = Self { columns: fitted.collect::<Result<_>>()? };
        match coding.width() {
            1..=MOST_COLUMNS => Ok(coding),
            width => {
                Err(Error::new(origin, format!("{width} columns of numbers, expected 1 to {MOST_COLUMNS}")))
            }
        }
    }

    /// A coding of columns that hold numbers and miss none.
    pub fn of_numbers(names: &[String]) -> Self {
        let column = |name: &String| ColumnCode {
            name: name.clone(),
            kind: Kind::Number,
            code: Code::Number {},
            missing: None,
        };
        Self { columns: names.iter().map(column).collect() }
    }

    /// The columns of the table, and how they are read: what [`crate::TableFile::batches`] is to be asked for.
    pub fn columns(&self) -> Vec<Column> {
        let column = |code: &ColumnCode| Column { name: code.name.clone(), kind: code.kind };
        self.columns.iter().map(column).collect()
    }

    /// The names of the numbers of a row.
    pub fn names(&self) -> Vec<String> {
        self.columns.iter().flat_map(ColumnCode::names).collect()
    }

    /// How many numbers a row becomes.
    pub fn width(&self) -> usize {
        self.columns.iter().map(ColumnCode::width).sum()
    }

    /// Adds the rows of `batch`, whose first columns are [`Coding::columns`], to `out`, one after the other.
    ///
    /// # Errors
    /// If a value is missing in a column that missed none in the table that was learned from, or the coding was changed by hand so that it is none.
    pub fn apply(&self, batch: &Batch, out: &mut Vec<f32>) -> Result<()> {
        let (width, begin) = (self.width(), out.len());
        out.resize(begin + batch.rows().len() * width, 0.0);
        let (rows, mut at) = (&mut out[begin..], 0);
        for (code, cells) in self.columns.iter().zip(batch.columns()) {
            let own = code.width();
            if !code.code.is_of(code.kind) || code.missing.as_ref().is_some_and(|m| m.len() + 1 != own) {
                return Err(Error::new("coding", format!("column `{}`: contradicts itself", code.name)));
            }
            for (row, features) in rows.chunks_exact_mut(width).enumerate() {
                if !code.write(cells, row, &mut features[at..at + own]) {
                    let problem =
                        "expected a value, found none; the table that the model learned from missed none";
                    return Err(batch.error(row, &code.name, problem));
                }
            }
            at += own;
        }
        Ok(())
    }

    /// What became of which columns, for people.
    pub fn in_words(&self) -> String {
        let of = |kinds: &[Kind]| self.columns.iter().filter(|code| kinds.contains(&code.kind)).count();
        let numbered = |n: usize, one: &str, many: &str| match n {
            0 => None,
            1 => Some(format!("1 {one}")),
            n => Some(format!("{n} {many}")),
        };
        let category = |code: &ColumnCode| match &code.code {
            Code::OneHot { values } => Some(format!("{} of {}", code.name, values.len())),
            Code::Frequency { shares } => Some(format!("{} by frequency of {}", code.name, shares.len())),
            _ => None,
        };
        let categories: Vec<String> = self.columns.iter().filter_map(category).collect();
        let mut parts: Vec<String> = [
            numbered(of(&[Kind::Number]), "number", "numbers"),
            numbered(of(&[Kind::Boolean]), "boolean", "booleans"),
            numbered(of(&[Kind::Time]), "date", "dates"),
        ]
        .into_iter()
        .flatten()
        .collect();
        if let Some(n) = numbered(categories.len(), "category", "categories") {
            parts.push(format!("{n} ({})", categories.join(", ")));
        }
        let missing = self.columns.iter().filter(|code| code.missing.is_some());
        let missing: Vec<&str> = missing.map(|code| code.name.as_str()).collect();
        let missing = if missing.is_empty() {
            String::new()
        } else {
            format!("; missing values in {}", missing.join(", "))
        };
        format!("{} become {} columns of numbers{missing}", parts.join(", "), self.width())
    }

    /// Columns of text most of whose values stand in one of the `rows` that it was fitted on: they name rows, and are of no use.
    pub fn names_of_rows(&self, rows: usize) -> Vec<&str> {
        let names_rows = |code: &&ColumnCode| match &code.code {
            Code::Frequency { shares } => shares.len() * 2 > rows,
            _ => false,
        };
        self.columns.iter().filter(names_rows).map(|code| code.name.as_str()).collect()
    }
}
