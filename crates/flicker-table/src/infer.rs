//! Which kind the columns of a table of text are of: what every cell of them can be read as.

use crate::cell::{boolean, is_missing, time};
use crate::text::Records;
use crate::{Kind, Result};

/// How many cells of a column can be read as what.
#[derive(Clone, Copy, Default)]
struct Seen {
    cells: usize,
    numbers: usize,
    booleans: usize,
    times: usize,
}

/// The kinds of the columns at `positions`.
///
/// # Errors
/// If the table is damaged.
pub(crate) fn kinds(mut records: Records, positions: &[usize]) -> Result<Vec<Kind>> {
    let mut seen = vec![Seen::default(); positions.len()];
    while let Some((_, record)) = records.next()? {
        for (seen, &position) in seen.iter_mut().zip(positions) {
            seen.add(record[position].trim());
        }
    }
    Ok(seen.iter().map(Seen::kind).collect())
}

impl Seen {
    fn add(&mut self, field: &str) {
        if is_missing(field) {
            return;
        }
        self.cells += 1;
        // Infinite ones count: they are then found, and refused, as numbers.
        if field.parse::<f64>().is_ok() {
            self.numbers += 1;
        } else if boolean(field).is_some() {
            self.booleans += 1;
        } else if time(field).is_some() {
            self.times += 1;
        }
    }

    /// The one kind, or that of nine cells in ten: the others are then told as what they are, faults, in place of making
    /// thousands of categories of the numbers.
    fn kind(&self) -> Kind {
        let most = |n: usize| n * 10 >= self.cells * 9;
        if most(self.numbers) {
            Kind::Number // a column without any cell too
        } else if self.booleans == self.cells {
            Kind::Boolean
        } else if most(self.times) {
            Kind::Time
        } else {
            Kind::Text
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(cells: &[&str], expected: Kind) {
        let mut seen = Seen::default();
        cells.iter().for_each(|cell| seen.add(cell));
        assert_eq!(seen.kind(), expected, "{cells:?}");
    }

    #[test]
    fn a_column_is_what_all_its_cells_are() {
        check(&["1", "", "2.5e3", "NaN"], Kind::Number);
        check(&["", "NA"], Kind::Number);
        check(&["True", "false", ""], Kind::Boolean);
        check(&["2024-01-01", "", "2024-01-02 10:00"], Kind::Time);
        check(&["1", "2", "DE"], Kind::Text);
        check(&["true", "yes"], Kind::Text);
        // One fault among many is a fault, not a category.
        check(&["1", "2", "3", "4", "5", "6", "7", "8", "9", "?"], Kind::Number);
        check(&["1", "inf"], Kind::Number);
    }
}
