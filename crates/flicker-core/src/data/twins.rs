//! Samples of identical content, which must never stand on both sides of a split.

use super::{Content, Source};
use crate::Result;
use rayon::prelude::*;
use std::collections::BTreeMap;

/// Which samples of a source are identical.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Twins {
    /// For each sample the first one of the same content.
    first: Vec<usize>,
}

impl Twins {
    /// Reads every sample of `source` once and groups them by [`Source::content`].
    ///
    /// # Errors
    /// If a sample cannot be read.
    pub fn of(source: &dyn Source) -> Result<Self> {
        let contents: Vec<Content> =
            (0..source.len()).into_par_iter().map(|index| source.content(index)).collect::<Result<_>>()?;
        let mut seen = BTreeMap::new();
        let first =
            contents.into_iter().enumerate().map(|(index, content)| *seen.entry(content).or_insert(index));
        Ok(Self { first: first.collect() })
    }

    /// The same where samples of one number of `groups` belong together too. No number, no groups.
    ///
    /// # Panics
    /// If there are numbers, but not one for each sample.
    pub fn together(&self, groups: &[u32]) -> Self {
        if groups.is_empty() {
            return self.clone();
        }
        assert_eq!(groups.len(), self.first.len(), "one number for each sample");
        // Each sample points to an earlier one of its set, or to itself; the root of a set is its first sample.
        let mut parent: Vec<usize> = (0..groups.len()).collect();
        let root = |parent: &[usize], mut index: usize| {
            while parent[index] != index {
                index = parent[index];
            }
            index
        };
        let mut of_group = BTreeMap::new();
        for index in 0..groups.len() {
            for other in [self.first[index], *of_group.entry(groups[index]).or_insert(index)] {
                let (a, b) = (root(&parent, index), root(&parent, other));
                parent[a.max(b)] = a.min(b);
                parent[index] = a.min(b);
            }
        }
        Self { first: (0..groups.len()).map(|index| root(&parent, index)).collect() }
    }

    /// The group of sample `index`, named by the first sample in it. A sample without a twin is a group of its own.
    ///
    /// # Panics
    /// If there is no such sample.
    pub fn group(&self, index: usize) -> usize {
        self.first[index]
    }

    /// How many samples are the twin of an earlier one.
    pub fn repeated(&self) -> usize {
        self.first.iter().enumerate().filter(|&(index, &first)| index != first).count()
    }
}

#[cfg(test)]
mod tests {
    use super::super::Images;
    use super::*;

    #[test]
    fn twins_of_members_join_their_groups() -> Result<()> {
        // Twins: 1 and 4. Groups: 0 1 2 | 3 4 | 5.
        let twins = Twins::of(&Images::new((1, 1, 1), vec![1, 2, 3, 4, 2, 5], "")?)?;
        assert_eq!(twins.first, [0, 1, 2, 3, 1, 5]);
        assert_eq!(twins.together(&[7, 7, 7, 0, 0, 9]).first, [0, 0, 0, 0, 0, 5]);
        assert_eq!(twins.together(&[]), twins);
        Ok(())
    }
}
