//! Random access to samples of one shape.

use crate::{Error, Result, SampleShape};
use sha2::{Digest, Sha256};
use std::sync::Arc;

/// What identifies a sample's content: equal samples have equal contents, others do not.
pub type Content = [u8; 32];

/// Samples of one fixed shape, read by index. They may lie in memory, or be decoded from a folder that is larger than
/// memory each time they are read: what a source holds is its own affair, and several threads read it at once.
///
/// Pixels are read as f32 in `[0, 1]`; another range is the business of [`super::Prepared`].
pub trait Source: Send + Sync {
    /// How many samples there are.
    fn len(&self) -> usize;

    /// Whether there are none.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The shape of every sample.
    fn shape(&self) -> SampleShape;

    /// Writes sample `index` to `out`, channel first, row by row. The same index gives the same values each time.
    ///
    /// # Errors
    /// If there is no such sample, `out` has another length than a sample, or the sample cannot be decoded.
    fn read(&self, index: usize, out: &mut [f32]) -> Result<()>;

    /// A name for sample `index` that a person finds again: a file name, a row.
    fn id(&self, index: usize) -> String {
        index.to_string()
    }

    /// What identifies the content of sample `index`, for finding twins. By default the SHA-256 of the values that
    /// [`Source::read`] gives; a source that knows the stored bytes hashes those.
    ///
    /// # Errors
    /// As [`Source::read`].
    fn content(&self, index: usize) -> Result<Content> {
        let mut values = vec![0.0; self.shape().elements()];
        self.read(index, &mut values)?;
        Ok(content_of_values(&values))
    }
}

/// The content of a sample that is known by its values. Negative zero counts as zero.
pub(super) fn content_of_values(values: &[f32]) -> Content {
    let bytes: Vec<u8> = values.iter().flat_map(|value| (value + 0.0).to_le_bytes()).collect();
    Sha256::digest(&bytes).into()
}

/// Refuses an index beyond the end, or a buffer of another length than one sample.
pub(super) fn check_read(source: &dyn Source, index: usize, out: &[f32]) -> Result<()> {
    check_index(source, index)?;
    let elements = source.shape().elements();
    if out.len() != elements {
        return Err(Error::Shape {
            what: "buffer for a sample".into(),
            expected: format!("{elements} values ({})", source.shape()),
            found: format!("{} values", out.len()),
        });
    }
    Ok(())
}

/// Refuses an index beyond the end.
pub(super) fn check_index(source: &dyn Source, index: usize) -> Result<()> {
    if index >= source.len() {
        return Err(Error::Shape {
            what: "index of a sample".into(),
            expected: format!("below {}", source.len()),
            found: index.to_string(),
        });
    }
    Ok(())
}

impl<S: Source + ?Sized> Source for Arc<S> {
    fn len(&self) -> usize {
        (**self).len()
    }

    fn shape(&self) -> SampleShape {
        (**self).shape()
    }

    fn read(&self, index: usize, out: &mut [f32]) -> Result<()> {
        (**self).read(index, out)
    }

    fn id(&self, index: usize) -> String {
        (**self).id(index)
    }

    fn content(&self, index: usize) -> Result<Content> {
        (**self).content(index)
    }
}
