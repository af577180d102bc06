//! Sources made of other sources: some of one, or several one after the other.

use super::Source;
use super::source::{Content, check_index};
use crate::{Error, Result, SampleShape};
use std::sync::Arc;

/// Some samples of a source, in an order of their own.
#[derive(Clone)]
pub struct Subset {
    source: Arc<dyn Source>,
    indices: Vec<usize>,
}

impl Subset {
    /// The samples of `source` at `indices`.
    ///
    /// # Errors
    /// If an index is beyond the end of the source.
    pub fn new(source: Arc<dyn Source>, indices: Vec<usize>) -> Result<Self> {
        for &index in &indices {
            check_index(&*source, index)?;
        }
        Ok(Self { source, indices })
    }

    /// Where each sample stands in the source.
    pub fn indices(&self) -> &[usize] {
        &self.indices
    }
}

impl Source for Subset {
    fn len(&self) -> usize {
        self.indices.len()
    }

    fn shape(&self) -> SampleShape {
        self.source.shape()
    }

    fn read(&self, index: usize, out: &mut [f32]) -> Result<()> {
        check_index(self, index)?;
        self.source.read(self.indices[index], out)
    }

    fn id(&self, index: usize) -> String {
        self.indices.get(index).map_or_else(|| index.to_string(), |&index| self.source.id(index))
    }

    fn content(&self, index: usize) -> Result<Content> {
        check_index(self, index)?;
        self.source.content(self.indices[index])
    }
}

/// Several sources of one shape, one after the other.
#[derive(Clone)]
pub struct Concat {
    sources: Vec<Arc<dyn Source>>,
    /// Where each source begins, and the end of the last.
    starts: Vec<usize>,
}

impl Concat {
    /// All samples of the first source, then all of the second, and so on.
    ///
    /// # Errors
    /// If there is no source, or two differ in the shape of their samples.
    pub fn new(sources: Vec<Arc<dyn Source>>) -> Result<Self> {
        let Some(first) = sources.first() else {
            return Err(Error::data("concatenation", "no source to concatenate"));
        };
        let mut starts = vec![0];
        for (position, source) in sources.iter().enumerate() {
            if source.shape() != first.shape() {
                return Err(Error::Shape {
                    what: format!("source {position} of a concatenation"),
                    expected: first.shape().to_string(),
                    found: source.shape().to_string(),
                });
            }
            starts.push(starts[position] + source.len());
        }
        Ok(Self { sources, starts })
    }

    /// The source that holds sample `index`, and the index there.
    fn at(&self, index: usize) -> Result<(&dyn Source, usize)> {
        check_index(self, index)?;
        let position = self.starts.partition_point(|&start| start <= index) - 1;
        Ok((&*self.sources[position], index - self.starts[position]))
    }
}

impl Source for Concat {
    fn len(&self) -> usize {
        self.starts[self.sources.len()]
    }

    fn shape(&self) -> SampleShape {
        self.sources[0].shape()
    }

    fn read(&self, index: usize, out: &mut [f32]) -> Result<()> {
        let (source, index) = self.at(index)?;
        source.read(index, out)
    }

    fn id(&self, index: usize) -> String {
        self.at(index).map_or_else(|_| index.to_string(), |(source, index)| source.id(index))
    }

    fn content(&self, index: usize) -> Result<Content> {
        let (source, index) = self.at(index)?;
        source.content(index)
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Images, Samples};
    use super::*;

    fn images(bytes: &[u8], prefix: &str) -> Arc<dyn Source> {
        Arc::new(Images::new((1, 1, 1), bytes.to_vec(), prefix).expect("one byte is one image"))
    }

    #[test]
    fn a_concatenation_finds_each_sample() -> Result<()> {
        let all = Concat::new(vec![images(&[0, 255], "a-"), images(&[], "b-"), images(&[51], "c-")])?;
        let ids: Vec<String> = (0..all.len()).map(|index| all.id(index)).collect();
        assert_eq!(ids, ["a-0", "a-1", "c-0"]);
        let mut out = [0.0];
        all.read(2, &mut out)?;
        assert_eq!(out, [0.2]);
        assert!(all.read(3, &mut out).is_err());
        let other: Arc<dyn Source> = Arc::new(Samples::new(2, vec![0.0; 4])?);
        assert!(Concat::new(vec![images(&[0], ""), other]).is_err());
        Ok(())
    }

    #[test]
    fn a_subset_keeps_ids_and_contents() -> Result<()> {
        let base = images(&[1, 2, 3], "x");
        let subset = Subset::new(base.clone(), vec![2, 0])?;
        assert_eq!((subset.id(0), subset.len()), ("x2".to_owned(), 2));
        assert_eq!(subset.content(1)?, base.content(0)?);
        assert!(Subset::new(base, vec![3]).is_err());
        assert!(subset.read(2, &mut [0.0]).is_err());
        Ok(())
    }
}
