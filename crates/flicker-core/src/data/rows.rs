//! As many samples as a benchmark wants.

use super::source::{Content, check_index, content_of_values};
use super::{Dataset, Source, Subset};
use crate::{Error, Result, Rng, SampleShape};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// How many samples a data set has before it is divided, each a sample of its own: rows of equal content may stand on both sides
/// of a split, as benchmarks of tables have it. (Where most patients or connections have the same few values, keeping twins
/// together would leave a test of one value.) ADBench's rule (Han et al., 2022, its code): at least 1,000 and at most 10,000.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rows {
    /// A smaller set becomes so many samples, drawn with replacement, so that copies of one row stand on both sides of a split: a
    /// fault of the benchmark, of use only where its numbers are to be repeated. 0 makes no copies.
    pub at_least: usize,
    /// Of a larger set so many are drawn, without replacement.
    pub at_most: usize,
}

impl Rows {
    /// So many samples of `dataset`, which must have neither masks nor groups.
    ///
    /// # Errors
    /// If the numbers contradict each other, or the data set is of another kind.
    pub fn apply(&self, dataset: &Dataset, rng: &Rng) -> Result<Dataset> {
        let Self { at_least, at_most } = *self;
        if at_most == 0 || at_least > at_most {
            let problem =
                format!("must be at least 1 and at least `at_least`, which is {at_least}, is {at_most}");
            return Err(Error::config("data.rows.at_most", problem));
        }
        if dataset.masks().is_some() || !dataset.groups().is_empty() {
            return Err(Error::config("data.rows", format!("{} has masks or groups", dataset.name())));
        }
        let (n, mut rng) = (dataset.len(), rng.fork("rows"));
        let indices = if n > 0 && n < at_least {
            (0..at_least).map(|_| rng.below(n)).collect()
        } else if n > at_most {
            let mut indices = rng.permutation(n);
            indices.truncate(at_most);
            indices.sort_unstable();
            indices
        } else {
            (0..n).collect::<Vec<_>>()
        };
        let labels = indices.iter().map(|&index| dataset.labels()[index]).collect();
        let parts = indices.iter().map(|&index| dataset.parts()[index]).collect();
        let source = Arc::new(Apart { source: Subset::new(dataset.source().clone(), indices)? });
        let drawn = Dataset::new(dataset.name(), source, labels, dataset.classes().to_vec(), parts)?;
        let columns = dataset.columns();
        if columns.is_empty() { Ok(drawn) } else { drawn.with_columns(columns.to_vec()) }
    }
}

/// Samples none of which is a twin of another, whatever they hold.
struct Apart {
    source: Subset,
}

impl Source for Apart {
    fn len(&self) -> usize {
        self.source.len()
    }

    fn shape(&self) -> SampleShape {
        self.source.shape()
    }

    fn read(&self, index: usize, out: &mut [f32]) -> Result<()> {
        self.source.read(index, out)
    }

    fn id(&self, index: usize) -> String {
        self.source.id(index)
    }

    fn content(&self, index: usize) -> Result<Content> {
        check_index(self, index)?;
        Ok(content_of_values(&[(index >> 16) as f32, (index & 0xffff) as f32]))
    }
}

#[cfg(test)]
mod tests {
    use super::super::{AbnormalShare, Part, Pool, Protocol, Samples, SplitConfig, Twins};
    use super::*;

    /// `n` rows `[i]`, every tenth of class 1.
    fn table(n: usize) -> Result<Dataset> {
        let rows = Arc::new(Samples::new(1, (0..n).map(|i| i as f32).collect())?);
        let labels = (0..n).map(|i| u32::from(i % 10 == 0)).collect();
        Dataset::new("t", rows, labels, vec!["normal".into(), "abnormal".into()], vec![Part::Train; n])?
            .with_columns(vec!["x".into()])
    }

    fn values(dataset: &Dataset) -> Result<Vec<f32>> {
        let all: Vec<usize> = (0..dataset.len()).collect();
        super::super::gather(dataset.source().as_ref(), &all)
    }

    #[test]
    fn large_sets_are_drawn_from_and_small_ones_copied() -> Result<()> {
        let rows = Rows { at_least: 50, at_most: 100 };
        let large = rows.apply(&table(1000)?, &Rng::new(0))?;
        let found = values(&large)?;
        assert!(found.len() == 100 && found.is_sorted_by(|a, b| a < b) && found[99] > 800.0, "{found:?}");
        assert!(
            found
                .iter()
                .zip(large.labels())
                .all(|(x, label)| (*x as u32).is_multiple_of(10) == (*label == 1))
        );
        assert_eq!(large.columns(), ["x"]);
        let small = rows.apply(&table(20)?, &Rng::new(0))?;
        let found = values(&small)?;
        assert!(
            found
                .iter()
                .zip(small.labels())
                .all(|(x, label)| (*x as u32).is_multiple_of(10) == (*label == 1))
        );
        assert_eq!(found.len(), 50);
        assert_eq!(Twins::of(small.source().as_ref())?.group(49), 49); // a copy, and not counted as one
        assert!(Rows { at_least: 0, ..rows }.apply(&table(20)?, &Rng::new(0))?.len() == 20);
        assert_eq!(values(&rows.apply(&table(70)?, &Rng::new(0))?)?, values(&table(70)?)?);
        assert_ne!(found, values(&rows.apply(&table(20)?, &Rng::new(1))?)?);
        assert!(Rows { at_least: 5, at_most: 4 }.apply(&table(9)?, &Rng::new(0)).is_err());
        Ok(())
    }

    /// The 70 to 30 split of a benchmark that knows no labels.
    #[test]
    fn unknown_abnormal_samples_train_too() -> Result<()> {
        let pool = Pool::Shuffled { test_fraction: 0.3, abnormal: AbnormalShare::Share };
        let config = SplitConfig { contaminated: true, ..SplitConfig::new(pool, 0.0) };
        let table = table(100)?;
        let split = Protocol::one_class([0]).split(&table, &config, &Rng::new(0))?;
        let abnormal = |indices: &[usize]| indices.iter().filter(|&&i| table.labels()[i] == 1).count();
        assert_eq!((split.train.len(), abnormal(&split.train)), (70, 7));
        assert_eq!((split.test.len(), abnormal(&split.test)), (30, 3));
        let held = Protocol::one_class([0]).split(
            &table,
            &SplitConfig { validation: 0.5, ..config },
            &Rng::new(0),
        )?;
        assert_eq!(abnormal(&held.train) + abnormal(&held.validation), 7);
        Ok(())
    }
}
