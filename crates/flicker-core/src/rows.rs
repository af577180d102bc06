//! Rows of f32 numbers in memory, products of them, and reading them from a source.

use crate::data::{Source, chunks, gather, tensor};
use crate::nn::{Activation, linear};
use crate::{Error, Result, Weights};
use candle_core::{CpuStorage, Device, Storage, Tensor};

/// Rows that are worked on together. Sums over rows are taken block by block in this size, whatever the number of threads.
pub const BLOCK: usize = 4096;

/// `n` rows of `features` numbers.
#[derive(Clone, Debug)]
pub struct Rows {
    /// Rows.
    pub n: usize,
    /// Numbers of a row.
    pub features: usize,
    /// Row after row.
    pub values: Vec<f32>,
}

impl Rows {
    /// The samples of a batch `(B, …)`, each as a row.
    ///
    /// # Errors
    /// If they are not f32.
    pub fn of_tensor(xs: &Tensor) -> Result<Self> {
        let n = xs.dims().first().copied().unwrap_or(0);
        let features = xs.dims().iter().skip(1).product();
        Ok(Self { n, features, values: xs.flatten_all()?.to_vec1()? })
    }

    /// The rows `indices` of `source`.
    ///
    /// # Errors
    /// If one cannot be read, or holds a value that is no finite number.
    pub fn read(source: &dyn Source, indices: &[usize]) -> Result<Self> {
        let rows =
            Self { n: indices.len(), features: source.shape().elements(), values: gather(source, indices)? };
        rows.expect_finite()?;
        Ok(rows)
    }

    /// All rows of `source`, read block by block.
    ///
    /// # Errors
    /// As [`Rows::read`].
    pub fn read_all(source: &dyn Source) -> Result<Self> {
        let features = source.shape().elements();
        let mut all = Self { n: source.len(), features, values: Vec::with_capacity(source.len() * features) };
        for block in blocks(source.len()) {
            all.values.extend(Self::read(source, &block.collect::<Vec<_>>())?.values);
        }
        Ok(all)
    }

    /// What `encode` makes of all samples of `source`, each as a row; samples are read 256 at a time.
    ///
    /// # Errors
    /// If a sample cannot be read, or `encode` fails.
    pub fn encoded(
        source: &dyn Source,
        device: &Device,
        encode: impl Fn(&Tensor) -> Result<Tensor>,
    ) -> Result<Self> {
        let mut all = Self { n: source.len(), features: 0, values: Vec::new() };
        let indices: Vec<usize> = (0..source.len()).collect();
        for indices in chunks(&indices, 256) {
            let part = Self::of_tensor(&encode(&tensor(source, indices, device)?)?)?;
            all.features = part.features;
            all.values.extend(part.values);
        }
        Ok(all)
    }

    /// Each row.
    pub fn iter(&self) -> std::slice::ChunksExact<'_, f32> {
        self.values.chunks_exact(self.features.max(1))
    }

    /// Row `i`.
    pub fn row(&self, i: usize) -> &[f32] {
        &self.values[i * self.features..][..self.features]
    }

    /// The mean row, added up in f64.
    pub fn mean(&self) -> Vec<f32> {
        let mut sums = vec![0f64; self.features];
        for row in self.iter() {
            sums.iter_mut().zip(row).for_each(|(sum, x)| *sum += f64::from(*x));
        }
        sums.iter().map(|sum| (sum / self.n.max(1) as f64) as f32).collect()
    }

    /// Takes `shift` off every row.
    pub fn less(mut self, shift: &[f32]) -> Self {
        for row in self.values.chunks_exact_mut(self.features.max(1)) {
            row.iter_mut().zip(shift).for_each(|(x, shift)| *x -= shift);
        }
        self
    }

    /// These rows without `shift`.
    pub fn centred(&self, shift: &[f32]) -> Self {
        let mut values = Vec::with_capacity(self.values.len());
        for row in self.iter() {
            values.extend(row.iter().zip(shift).map(|(x, shift)| x - shift));
        }
        Self { values, ..*self }
    }

    /// `(n, features)` on the CPU.
    ///
    /// # Errors
    /// If the values are not `n` × `features`.
    pub fn tensor(&self) -> Result<Tensor> {
        Ok(Tensor::from_slice(&self.values, (self.n, self.features), &Device::Cpu)?)
    }

    /// As [`Rows::tensor`], without a copy.
    ///
    /// # Errors
    /// As that one.
    pub fn into_tensor(self) -> Result<Tensor> {
        Ok(Tensor::from_vec(self.values, (self.n, self.features), &Device::Cpu)?)
    }

    /// Refuses rows with a value that is no finite number.
    ///
    /// # Errors
    /// The first such value, named by row and position.
    pub fn expect_finite(&self) -> Result<()> {
        // A whole chunk is looked at by vector instructions, which a search for the first one is not.
        let finite = |values: &[f32]| values.iter().fold(true, |finite, x| finite & x.is_finite());
        if self.values.chunks(BLOCK).all(finite) {
            return Ok(());
        }
        let Some(at) = self.values.iter().position(|value| !value.is_finite()) else { return Ok(()) };
        let (row, value) = (at / self.features, at % self.features);
        let problem = format!("value {value} is {}, expected a finite number", self.values[at]);
        Err(Error::data(format!("sample {row}"), problem))
    }
}

/// `0..n` in blocks.
pub fn blocks(n: usize) -> impl ExactSizeIterator<Item = std::ops::Range<usize>> + Clone {
    (0..n.div_ceil(BLOCK)).map(move |block| block * BLOCK..((block + 1) * BLOCK).min(n))
}

/// `a bᵀ` of `a` (m, F) and `b` (n, F), of any strides: (m, n). The bytes do not depend on the number of threads.
///
/// # Errors
/// If the shapes do not match.
pub fn product(a: &Tensor, b: &Tensor) -> Result<Tensor> {
    Ok(linear(a, b, None, Activation::None)?)
}

/// `aᵀ b` of `a` (n, K) and `b` (n, L), contiguous: (K, L). The bytes do not depend on the number of threads.
///
/// # Errors
/// If the shapes do not match.
pub fn transposed_product(a: &Tensor, b: &Tensor) -> Result<Tensor> {
    Ok(flicker_kernels::transposed_product(a, b)?)
}

/// Looks at the numbers of a contiguous tensor on the CPU without copying them.
///
/// # Errors
/// If it is another kind of tensor.
pub fn with_values<T>(tensor: &Tensor, look: impl FnOnce(&[f32]) -> T) -> Result<T> {
    let (storage, layout) = tensor.storage_and_layout();
    match (&*storage, layout.contiguous_offsets()) {
        (Storage::Cpu(CpuStorage::F32(values)), Some((start, end))) => Ok(look(&values[start..end])),
        _ => {
            let found = format!("{:?} of {:?}", tensor.dtype(), tensor.device().location());
            Err(Error::Shape { what: "fitted tensor".into(), expected: "f32 in memory".into(), found })
        }
    }
}

/// The squared Euclidean norm, added up in f64.
pub fn square(row: &[f32]) -> f64 {
    row.iter().map(|&x| f64::from(x) * f64::from(x)).sum()
}

/// The Euclidean distance, added up in f64.
pub fn distance(a: &[f32], b: &[f32]) -> f64 {
    let term = |(a, b): (&f32, &f32)| (f64::from(*a) - f64::from(*b)).powi(2);
    a.iter().zip(b).map(term).sum::<f64>().sqrt()
}

/// The fitted tensor `name` on the CPU, where the methods work.
///
/// # Errors
/// If it was not announced, or nothing was fitted.
pub fn fitted(weights: &Weights, name: &str) -> Result<Tensor> {
    Ok(weights.fitted(name)?.to_device(&Device::Cpu)?)
}
