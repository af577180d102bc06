//! Sources that lie in memory: f32 samples of any shape, and images of one byte a pixel and channel.

use super::Source;
use super::source::{Content, check_index, check_read, content_of_values};
use crate::{Error, Result, SampleShape};
use sha2::{Digest, Sha256};

/// Samples as f32 values in memory: the rows of a table, or images that are already prepared.
#[derive(Clone, Debug)]
pub struct Samples {
    shape: SampleShape,
    len: usize,
    values: Vec<f32>,
}

impl Samples {
    /// Samples of `shape`, one after the other in `values`.
    ///
    /// # Errors
    /// If the values do not fill whole samples, or one of them is not finite.
    pub fn new(shape: impl Into<SampleShape>, values: Vec<f32>) -> Result<Self> {
        let shape = shape.into();
        let len = whole_samples(shape, values.len())?;
        if let Some(position) = values.iter().position(|value| !value.is_finite()) {
            let (sample, value) = (position / shape.elements(), position % shape.elements());
            let problem = format!("value {value} is {}, expected a finite number", values[position]);
            return Err(Error::data(format!("sample {sample}"), problem));
        }
        Ok(Self { shape, len, values })
    }

    /// Every sample of `source`, read once and kept: worth it where reading is dear and memory is there.
    ///
    /// # Errors
    /// If a sample cannot be read or holds a value that is not finite.
    pub fn collect(source: &dyn Source) -> Result<Self> {
        let all: Vec<usize> = (0..source.len()).collect();
        let values = if all.is_empty() { Vec::new() } else { super::gather(source, &all)? };
        Self::new(source.shape(), values)
    }

    /// The values of sample `index`, if there is one.
    pub fn get(&self, index: usize) -> Option<&[f32]> {
        let elements = self.shape.elements();
        self.values.get(index * elements..(index + 1) * elements)
    }
}

impl Source for Samples {
    fn len(&self) -> usize {
        self.len
    }

    fn shape(&self) -> SampleShape {
        self.shape
    }

    fn read(&self, index: usize, out: &mut [f32]) -> Result<()> {
        check_read(self, index, out)?;
        let elements = self.shape.elements();
        out.copy_from_slice(&self.values[index * elements..][..elements]);
        Ok(())
    }

    fn content(&self, index: usize) -> Result<Content> {
        check_index(self, index)?;
        let elements = self.shape.elements();
        Ok(content_of_values(&self.values[index * elements..][..elements]))
    }
}

/// Images of one byte a pixel and channel, channel first, in memory. A byte b is read as b / 255.
#[derive(Clone)]
pub struct Images {
    shape: SampleShape,
    len: usize,
    bytes: Vec<u8>,
    prefix: String,
}

impl Images {
    /// Images of `(channels, height, width)`, one after the other in `bytes`. The id of image i is `prefix` and i.
    ///
    /// # Errors
    /// If the bytes do not fill whole images.
    pub fn new(shape: (usize, usize, usize), bytes: Vec<u8>, prefix: impl Into<String>) -> Result<Self> {
        let shape = SampleShape::from(shape);
        let len = whole_samples(shape, bytes.len())?;
        Ok(Self { shape, len, bytes, prefix: prefix.into() })
    }

    /// The bytes of image `index`, if there is one.
    pub fn get(&self, index: usize) -> Option<&[u8]> {
        let elements = self.shape.elements();
        self.bytes.get(index * elements..(index + 1) * elements)
    }
}

impl std::fmt::Debug for Images {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Images {{ {} x {}, ids {}… }}", self.len, self.shape, self.prefix)
    }
}

impl Source for Images {
    fn len(&self) -> usize {
        self.len
    }

    fn shape(&self) -> SampleShape {
        self.shape
    }

    fn read(&self, index: usize, out: &mut [f32]) -> Result<()> {
        check_read(self, index, out)?;
        let bytes = &self.bytes[index * out.len()..][..out.len()];
        for (value, &byte) in out.iter_mut().zip(bytes) {
            *value = f32::from(byte) / 255.0;
        }
        Ok(())
    }

    fn id(&self, index: usize) -> String {
        format!("{}{index}", self.prefix)
    }

    fn content(&self, index: usize) -> Result<Content> {
        check_index(self, index)?;
        let elements = self.shape.elements();
        Ok(Sha256::digest(&self.bytes[index * elements..][..elements]).into())
    }
}

/// How many samples of `shape` the values fill.
fn whole_samples(shape: SampleShape, values: usize) -> Result<usize> {
    let elements = shape.elements();
    if elements == 0 || !values.is_multiple_of(elements) {
        return Err(Error::Shape {
            what: format!("samples ({shape})"),
            expected: format!("a multiple of {elements} values, and samples that are not empty"),
            found: format!("{values} values"),
        });
    }
    Ok(values / elements)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_read_as_fractions() -> Result<()> {
        let images = Images::new((1, 1, 2), vec![0, 51, 255, 102], "test-")?;
        let mut out = [0.0; 2];
        images.read(1, &mut out)?;
        assert_eq!((out, images.id(1)), ([1.0, 0.4], "test-1".to_owned()));
        assert_eq!(images.get(1), Some(&[255, 102][..]));
        assert_eq!(images.get(2), None);
        Ok(())
    }

    #[test]
    fn refuses_what_does_not_fit() -> Result<()> {
        let message = Samples::new(3, vec![0.0; 7]).unwrap_err().to_string();
        assert!(message.contains("multiple of 3") && message.contains("7 values"), "{message}");
        let message = Samples::new(2, vec![0.0, 1.0, f32::NAN, 0.0]).unwrap_err().to_string();
        assert!(message.contains("sample 1") && message.contains("NaN"), "{message}");
        assert!(Images::new((1, 0, 2), vec![], "").is_err());
        let samples = Samples::new(2, vec![0.0; 4])?;
        assert!(samples.read(2, &mut [0.0; 2]).is_err());
        assert!(samples.read(0, &mut [0.0; 3]).is_err());
        Ok(())
    }

    #[test]
    fn negative_zero_is_zero() -> Result<()> {
        let samples = Samples::new(1, vec![0.0, -0.0, 1.0])?;
        assert_eq!(samples.content(0)?, samples.content(1)?);
        assert_ne!(samples.content(0)?, samples.content(2)?);
        Ok(())
    }
}
