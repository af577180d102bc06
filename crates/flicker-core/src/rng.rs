//! Seeded, forkable randomness: every random number of the workspace comes from here.
//!
//! A stream is forked by purpose, so a new draw for one purpose moves nothing elsewhere. A fork depends on its parent's
//! seed and the purpose alone, never on how much the parent has drawn: a training resumes at step n by forking the
//! stream of step n, and nothing about the generator's position has to be saved.

use crate::{Result, SampleShape};
use candle_core::{Device, Shape, Tensor};
use rand::rngs::ChaCha8Rng;
use rand::{RngExt, SeedableRng};
use rand_distr::{Binomial, Distribution, StandardNormal};

/// A stream of random numbers (ChaCha8), identified by its seed. It is not `Clone`: two owners of one stream would draw
/// the same numbers unawares; fork it instead.
///
/// ```
/// use flicker_core::Rng;
/// let root = Rng::new(0);
/// assert_eq!(root.fork("noise").normals(3), root.fork("noise").normals(3));
/// assert_ne!(root.fork("noise").normals(3), root.fork("shuffle").normals(3));
/// ```
#[derive(Debug)]
pub struct Rng {
    key: [u8; 32],
    stream: ChaCha8Rng,
}

impl Rng {
    /// The stream of `seed`.
    pub fn new(seed: u64) -> Self {
        let mut key = [0; 32];
        key[..8].copy_from_slice(&seed.to_le_bytes());
        Self::from_key(key)
    }

    fn from_key(key: [u8; 32]) -> Self {
        Self { key, stream: ChaCha8Rng::from_seed(key) }
    }

    /// The stream for one purpose. It depends on this stream's seed and `purpose`, not on what was drawn before.
    pub fn fork(&self, purpose: &str) -> Self {
        self.fork_bytes(purpose.as_bytes())
    }

    /// The stream number `index` of a numbered family (epochs, steps, samples).
    pub fn fork_index(&self, index: u64) -> Self {
        self.fork_bytes(&index.to_le_bytes())
    }

    /// One stream for each sample of the batch `xs` (`(B, …)`, f32), forked by the sample's own bytes: a sample draws
    /// the same numbers wherever it stands in whatever batch.
    ///
    /// # Errors
    /// If `xs` is not f32.
    pub fn fork_samples(&self, xs: &Tensor) -> Result<Vec<Self>> {
        let rows = xs.flatten_from(1)?.to_vec2::<f32>()?;
        Ok(rows
            .iter()
            .map(|row| {
                let bytes: Vec<u8> = row.iter().flat_map(|value| value.to_le_bytes()).collect();
                self.fork_bytes(&bytes)
            })
            .collect())
    }

    /// Absorbs the bytes block by block: each block of 8 bytes becomes the stream number of a ChaCha8 generator that
    /// is keyed by the state so far, and whose first 32 bytes are the next state.
    fn fork_bytes(&self, bytes: &[u8]) -> Self {
        let mut key = self.key;
        let mut absorb = |block: u64| {
            let mut stream = ChaCha8Rng::from_seed(key);
            stream.set_stream(block);
            stream.fill(&mut key);
        };
        absorb(bytes.len() as u64 | (1 << 63));
        for block in bytes.chunks(8) {
            let mut word = [0; 8];
            word[..block.len()].copy_from_slice(block);
            absorb(u64::from_le_bytes(word));
        }
        Self::from_key(key)
    }

    /// A number uniform over all of `u64`.
    pub fn next_u64(&mut self) -> u64 {
        self.stream.random()
    }

    /// A number uniform in `[0, 1)`.
    pub fn uniform(&mut self) -> f64 {
        self.stream.random()
    }

    /// An integer uniform in `0..n`. `n` must not be 0.
    pub fn below(&mut self, n: usize) -> usize {
        self.stream.random_range(0..n)
    }

    /// How many of `n` independent trials succeed, each with probability `p`; 0 where `p` is no probability.
    pub fn binomial(&mut self, n: usize, p: f64) -> usize {
        Binomial::new(n as u64, p).map_or(0, |trials| trials.sample(&mut self.stream) as usize)
    }

    /// `n` independent standard normal numbers.
    pub fn normals(&mut self, n: usize) -> Vec<f32> {
        (0..n).map(|_| StandardNormal.sample(&mut self.stream)).collect()
    }

    /// `n` independent numbers uniform in `[low, high)`.
    pub fn uniforms(&mut self, n: usize, low: f32, high: f32) -> Vec<f32> {
        (0..n).map(|_| low + (high - low) * self.stream.random::<f32>()).collect()
    }

    /// A tensor of independent standard normal numbers (f32).
    ///
    /// # Errors
    /// If the device refuses the copy.
    pub fn randn(&mut self, shape: impl Into<Shape>, device: &Device) -> Result<Tensor> {
        let shape = shape.into();
        Ok(Tensor::from_vec(self.normals(shape.elem_count()), shape, device)?)
    }

    /// A tensor of `n` samples of the given shape, independent standard normal numbers (f32).
    ///
    /// # Errors
    /// If the device refuses the copy.
    pub fn randn_samples(&mut self, n: usize, shape: SampleShape, device: &Device) -> Result<Tensor> {
        self.randn(shape.batch_dims(n), device)
    }

    /// A uniformly random order of `0..n` (Fisher–Yates).
    pub fn permutation(&mut self, n: usize) -> Vec<usize> {
        let mut order: Vec<usize> = (0..n).collect();
        for i in (1..n).rev() {
            order.swap(i, self.below(i + 1));
        }
        order
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fork_ignores_what_its_parent_drew() {
        let fresh = Rng::new(7);
        let mut used = Rng::new(7);
        used.normals(100);
        assert_eq!(fresh.fork("a").normals(4), used.fork("a").normals(4));
    }

    #[test]
    fn forks_differ_by_purpose_index_and_length() {
        let rng = Rng::new(0);
        let firsts: Vec<u64> = [
            rng.fork("a"),
            rng.fork("b"),
            rng.fork(""),
            rng.fork("a\0"),
            rng.fork_index(0),
            rng.fork_index(1),
            Rng::new(1),
        ]
        .iter_mut()
        .map(Rng::next_u64)
        .collect();
        for (i, first) in firsts.iter().enumerate() {
            assert!(!firsts[..i].contains(first), "{firsts:?}");
        }
    }

    #[test]
    fn a_sample_draws_the_same_in_any_batch() -> Result<()> {
        let rng = Rng::new(3);
        let xs = rng.fork("xs").randn((4, 2, 3), &Device::Cpu)?;
        let firsts = |xs: &Tensor| -> Result<Vec<u64>> {
            Ok(rng.fork_samples(xs)?.iter_mut().map(Rng::next_u64).collect())
        };
        let (all, alone) = (firsts(&xs)?, firsts(&xs.narrow(0, 2, 1)?)?);
        assert_eq!(all[2], alone[0]);
        assert_ne!(all[1], alone[0]);
        Ok(())
    }

    #[test]
    fn normals_have_mean_zero_and_variance_one() {
        let draws = Rng::new(1).normals(100_000);
        let mean = draws.iter().map(|&x| f64::from(x)).sum::<f64>() / 1e5;
        let variance = draws.iter().map(|&x| f64::from(x).powi(2)).sum::<f64>() / 1e5;
        assert!(mean.abs() < 0.015 && (variance - 1.0).abs() < 0.02, "{mean} {variance}");
    }

    #[test]
    fn a_permutation_holds_each_index_once() {
        let mut order = Rng::new(5).permutation(1000);
        assert_ne!(order, (0..1000).collect::<Vec<_>>());
        order.sort_unstable();
        assert_eq!(order, (0..1000).collect::<Vec<_>>());
    }
}
