//! Named tensors: what weights, optimizers and averages give to a checkpoint and take back from it.

use crate::{Error, Result};
use candle_core::safetensors::Load;
use candle_core::{Device, Tensor};
use safetensors::SafeTensors;
use std::collections::{BTreeMap, HashMap};
use std::ops::{Deref, DerefMut};

/// A map of names to tensors, in the order of the names. The file format is safetensors, and equal states give equal bytes.
#[derive(Clone, Debug, Default)]
pub struct State {
    tensors: BTreeMap<String, Tensor>,
}

impl State {
    /// An empty state.
    pub fn new() -> Self {
        Self::default()
    }

    /// Puts `tensor` under `name`, in place of what stood there.
    pub fn put(&mut self, name: impl Into<String>, tensor: Tensor) {
        self.tensors.insert(name.into(), tensor);
    }

    /// Puts every tensor of `other` under `prefix.name`.
    pub fn put_all(&mut self, prefix: &str, other: Self) {
        self.tensors
            .extend(other.tensors.into_iter().map(|(name, tensor)| (format!("{prefix}.{name}"), tensor)));
    }

    /// The part of this state that was put under `prefix`, without the prefix.
    pub fn part(&self, prefix: &str) -> Self {
        let tensors = self.tensors.iter().filter_map(|(name, tensor)| {
            Some((name.strip_prefix(prefix)?.strip_prefix('.')?.to_string(), tensor.clone()))
        });
        Self { tensors: tensors.collect() }
    }

    /// The tensor under `name`.
    ///
    /// # Errors
    /// If there is none.
    pub fn require(&self, name: &str) -> Result<&Tensor> {
        self.tensors.get(name).ok_or_else(|| Error::Weights {
            origin: "state".into(),
            problem: format!("no tensor named `{name}` among {}", self.tensors.len()),
        })
    }

    /// The bytes of a safetensors file with these tensors and `metadata`.
    ///
    /// # Errors
    /// If a tensor cannot be copied to the host.
    pub fn to_bytes(&self, metadata: &BTreeMap<String, String>) -> Result<Vec<u8>> {
        let metadata: HashMap<String, String> = metadata.clone().into_iter().collect();
        let metadata = if metadata.len() > 1 { only_key(metadata) } else { metadata };
        safetensors::serialize(self.tensors.iter(), Some(metadata)).map_err(|e| refused("state", &e))
    }

    /// The tensors and the metadata of the safetensors file whose bytes are given; `origin` names them in errors.
    ///
    /// # Errors
    /// If the bytes are no whole safetensors file.
    pub fn from_bytes(
        origin: &str,
        bytes: &[u8],
        device: &Device,
    ) -> Result<(Self, BTreeMap<String, String>)> {
        let (_, header) = SafeTensors::read_metadata(bytes).map_err(|e| refused(origin, &e))?;
        let file = SafeTensors::deserialize(bytes).map_err(|e| refused(origin, &e))?;
        let tensors = file.iter().map(|(name, view)| Ok((name.to_string(), view.load(device)?)));
        let state = Self { tensors: tensors.collect::<Result<_>>()? };
        Ok((state, unpacked(header.metadata().as_ref())))
    }

    /// Says the first difference between the names and shapes of `self` (what is needed) and `found`.
    ///
    /// # Errors
    /// If there is a difference; `origin` names the found side.
    pub fn expect_like(&self, origin: &str, found: &Self) -> Result<()> {
        let error = |problem| Err(Error::Weights { origin: origin.to_string(), problem });
        for (name, tensor) in &self.tensors {
            match found.tensors.get(name) {
                None => return error(format!("lacks the tensor `{name}` {:?}", tensor.dims())),
                Some(other) if other.dims() != tensor.dims() => {
                    return error(format!(
                        "tensor `{name}`: expected shape {:?}, found {:?}",
                        tensor.dims(),
                        other.dims()
                    ));
                }
                Some(other) if other.dtype() != tensor.dtype() => {
                    return error(format!(
                        "tensor `{name}`: expected {:?}, found {:?}",
                        tensor.dtype(),
                        other.dtype()
                    ));
                }
                Some(_) => {}
            }
        }
        match found.tensors.keys().find(|name| !self.tensors.contains_key(*name)) {
            Some(name) => error(format!("has a tensor `{name}` that this model does not have")),
            None => Ok(()),
        }
    }
}

impl Deref for State {
    type Target = BTreeMap<String, Tensor>;

    fn deref(&self) -> &Self::Target {
        &self.tensors
    }
}

impl DerefMut for State {
    fn deref_mut(&mut self) -> &mut Self::Target {
        &mut self.tensors
    }
}

impl FromIterator<(String, Tensor)> for State {
    fn from_iter<I: IntoIterator<Item = (String, Tensor)>>(pairs: I) -> Self {
        Self { tensors: pairs.into_iter().collect() }
    }
}

/// safetensors keeps metadata in a `HashMap`, whose order differs from run to run; one key that holds all of it keeps
/// equal states at equal bytes. Pairs are joined by unit separators, which no value of ours holds.
const PACKED: &str = "flicker";

fn only_key(metadata: HashMap<String, String>) -> HashMap<String, String> {
    let sorted: BTreeMap<String, String> = metadata.into_iter().collect();
    let pairs: Vec<String> = sorted.iter().map(|(key, value)| format!("{key}\u{1f}{value}")).collect();
    HashMap::from([(PACKED.to_string(), pairs.join("\u{1e}"))])
}

fn unpacked(metadata: Option<&HashMap<String, String>>) -> BTreeMap<String, String> {
    let Some(metadata) = metadata else { return BTreeMap::new() };
    match metadata.get(PACKED) {
        None => metadata.clone().into_iter().collect(),
        Some(packed) => packed
            .split('\u{1e}')
            .filter_map(|pair| pair.split_once('\u{1f}'))
            .map(|(key, value)| (key.to_string(), value.to_string()))
            .collect(),
    }
}

fn refused(origin: &str, error: &safetensors::SafeTensorError) -> Error {
    Error::Weights { origin: origin.to_string(), problem: format!("is no whole safetensors file: {error}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn state() -> Result<State> {
        let mut state = State::new();
        state.put("b", Tensor::new(&[1f32, -0.0, f32::MIN_POSITIVE], &Device::Cpu)?);
        state.put("a", Tensor::new(&[7i64], &Device::Cpu)?);
        Ok(state)
    }

    #[test]
    fn bytes_and_back_keep_every_bit() -> Result<()> {
        let metadata = BTreeMap::from([
            ("epoch".to_string(), "3".to_string()),
            ("phase".to_string(), "gan".to_string()),
        ]);
        let bytes = state()?.to_bytes(&metadata)?;
        assert_eq!(bytes, state()?.to_bytes(&metadata)?);
        let (back, found) = State::from_bytes("memory", &bytes, &Device::Cpu)?;
        assert_eq!(found, metadata);
        let bits: Vec<u32> = back.require("b")?.to_vec1::<f32>()?.iter().map(|x| x.to_bits()).collect();
        assert_eq!(bits, [1f32.to_bits(), (-0f32).to_bits(), f32::MIN_POSITIVE.to_bits()]);
        assert_eq!(back.require("a")?.to_vec1::<i64>()?, [7]);
        Ok(())
    }

    #[test]
    fn truncated_bytes_are_an_error_that_names_the_file() -> Result<()> {
        let bytes = state()?.to_bytes(&BTreeMap::new())?;
        for n in [0, 4, 20, bytes.len() - 1] {
            let error = State::from_bytes("w.safetensors", &bytes[..n], &Device::Cpu).expect_err("truncated");
            assert!(error.to_string().starts_with("w.safetensors: is no whole safetensors file"), "{error}");
        }
        Ok(())
    }

    #[test]
    fn a_difference_is_named() -> Result<()> {
        let (full, mut less) = (state()?, State::new());
        less.put("a", Tensor::new(&[7i64], &Device::Cpu)?);
        let lacks = full.expect_like("x", &less).expect_err("b is missing").to_string();
        assert_eq!(lacks, "x: lacks the tensor `b` [3]");
        let extra = less.expect_like("x", &full).expect_err("b is new").to_string();
        assert_eq!(extra, "x: has a tensor `b` that this model does not have");
        Ok(())
    }
}
