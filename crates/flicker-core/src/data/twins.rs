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
