//! Tensors that a fit finds in one go (components, support vectors, trees): their shape is known only then, or from the file.

use super::{Weights, is_statistic};
use crate::{Error, Result, State};
use candle_core::{DType, Device, Tensor, TensorId};
use std::collections::{BTreeMap, HashMap};

/// The fitted tensors of a model by name.
pub(super) type Slots = BTreeMap<String, Slot>;

/// What is known of a fitted tensor before the fit, and the tensor after it.
pub(super) struct Slot {
    /// The sizes that are known.
    dims: Vec<Option<usize>>,
    dtype: DType,
    value: Option<Tensor>,
}

impl Weights {
    /// Announces a tensor that a fit will find. `dims` has a size where the model knows it beforehand and `None` where the
    /// fit, or the file, decides.
    pub fn declare(&self, name: &str, dims: &[Option<usize>], dtype: DType) {
        self.slots().insert(name.to_string(), Slot { dims: dims.to_vec(), dtype, value: None });
    }

    /// Takes what the fit found for `name`.
    ///
    /// # Errors
    /// If it was not announced, or in another shape or type.
    pub fn set_fitted(&self, name: &str, tensor: &Tensor) -> Result<()> {
        let mut slots = self.slots();
        let slot = slots.get_mut(name).ok_or_else(|| unknown("fit", name))?;
        slot.check("fit", name, tensor)?;
        slot.value = Some(tensor.to_device(self.device())?.detach());
        Ok(())
    }

    /// The fitted tensor `name`.
    ///
    /// # Errors
    /// If it was not announced, or is not there yet.
    pub fn fitted(&self, name: &str) -> Result<Tensor> {
        let slots = self.slots();
        let slot = slots.get(name).ok_or_else(|| unknown("model", name))?;
        slot.value.clone().ok_or_else(|| Error::Weights {
            origin: "model".into(),
            problem: format!(
                "`{name}` is not there yet: fit the model, or load its weights, before it scores"
            ),
        })
    }

    /// How many numbers were found by a fit, indices of trees and the like not counted.
    pub(super) fn n_fitted(&self) -> usize {
        let slots = self.slots();
        let found = slots.iter().filter(|(name, slot)| slot.dtype.is_float() && !is_statistic(name));
        found.filter_map(|(_, slot)| slot.value.as_ref()).map(Tensor::elem_count).sum()
    }
}

impl Slot {
    fn check(&self, origin: &str, name: &str, found: &Tensor) -> Result<()> {
        let fits = self.dims.len() == found.rank()
            && self
                .dims
                .iter()
                .zip(found.dims())
                .all(|(known, found)| known.is_none_or(|known| known == *found));
        let problem = if !fits {
            let any = |size: &Option<usize>| size.map_or("any".to_string(), |size| size.to_string());
            let expected: Vec<String> = self.dims.iter().map(any).collect();
            format!("tensor `{name}`: expected shape [{}], found {:?}", expected.join(", "), found.dims())
        } else if self.dtype != found.dtype() {
            format!("tensor `{name}`: expected {:?}, found {:?}", self.dtype, found.dtype())
        } else {
            return Ok(());
        };
        Err(Error::Weights { origin: origin.to_string(), problem })
    }
}

/// Puts copies of what is there into `state`.
pub(super) fn put(slots: &Slots, state: &mut State) -> Result<()> {
    for (name, slot) in slots {
        if let Some(value) = &slot.value {
            state.put(name.clone(), value.copy()?.detach());
        }
    }
    Ok(())
}

/// The names of what is there.
pub(super) fn names(slots: &Slots) -> HashMap<TensorId, String> {
    let named = |(name, slot): (&String, &Slot)| Some((slot.value.as_ref()?.id(), name.clone()));
    slots.iter().filter_map(named).collect()
}

/// Divides `state` into what belongs to the slots, checked, and the rest. A model that is not fitted yet has none of them,
/// a fitted one has all.
pub(super) fn take(slots: &Slots, origin: &str, state: &State) -> Result<(State, State)> {
    let (mut fitted, mut rest) = (State::new(), State::new());
    for (name, tensor) in state.iter() {
        match slots.get(name) {
            Some(slot) => {
                slot.check(origin, name, tensor)?;
                fitted.put(name.clone(), tensor.clone());
            }
            None => rest.put(name.clone(), tensor.clone()),
        }
    }
    if !fitted.is_empty() {
        require_all(slots, origin, state)?;
    }
    Ok((fitted, rest))
}

/// Refuses a state that lacks one of the slots.
pub(super) fn require_all(slots: &Slots, origin: &str, state: &State) -> Result<()> {
    match slots.keys().find(|name| !state.contains_key(*name)) {
        Some(name) => Err(Error::Weights {
            origin: origin.to_string(),
            problem: format!("lacks the tensor `{name}`, which a fitted model has"),
        }),
        None => Ok(()),
    }
}

/// Sets every slot from `fitted`; those that it lacks are empty afterwards.
pub(super) fn set(slots: &mut Slots, fitted: &State, device: &Device) -> Result<()> {
    for (name, slot) in slots {
        slot.value = fitted.get(name).map(|tensor| tensor.to_device(device)).transpose()?;
    }
    Ok(())
}

fn unknown(origin: &str, name: &str) -> Error {
    Error::Weights { origin: origin.into(), problem: format!("has no fitted tensor named `{name}`") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Rng;

    /// A variable, and two tensors to fit.
    fn model() -> Result<Weights> {
        let weights = Weights::new(Rng::new(0), &Device::Cpu);
        weights.builder().get(1, "bias")?;
        weights.declare("rows", &[None, Some(2)], DType::F32);
        weights.declare("tree", &[None], DType::U32);
        Ok(weights)
    }

    fn fitted() -> Result<Weights> {
        let weights = model()?;
        weights.set_fitted("rows", &Tensor::new(&[[1f32, 2.0], [3.0, 4.0], [5.0, 6.0]], &Device::Cpu)?)?;
        weights.set_fitted("tree", &Tensor::new(&[7u32], &Device::Cpu)?)?;
        Ok(weights)
    }

    #[test]
    fn shapes_come_from_the_fit_and_from_the_file() -> Result<()> {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let path = dir.path().join("w.safetensors");
        let (first, second) = (fitted()?, model()?);
        assert_eq!(first.n_parameters(), 7);
        first.save(&path)?;
        let message = second.fitted("rows").expect_err("not yet").to_string();
        assert!(message.starts_with("model: `rows` is not there yet: fit the model"), "{message}");
        second.load(&path)?;
        assert_eq!(second.fitted("rows")?.to_vec2::<f32>()?, first.fitted("rows")?.to_vec2::<f32>()?);
        assert_eq!(second.fitted("tree")?.to_vec1::<u32>()?, [7]);
        Ok(())
    }

    #[test]
    fn what_does_not_fit_is_named() -> Result<()> {
        let weights = model()?;
        let said = |result: Result<()>| result.expect_err("refused").to_string();
        let wide = Tensor::zeros((4, 3), DType::F32, &Device::Cpu)?;
        let expected = "fit: tensor `rows`: expected shape [any, 2], found [4, 3]";
        assert_eq!(said(weights.set_fitted("rows", &wide)), expected);
        let other = Tensor::zeros(4, DType::F32, &Device::Cpu)?;
        assert_eq!(said(weights.set_fitted("tree", &other)), "fit: tensor `tree`: expected U32, found F32");
        assert_eq!(said(weights.set_fitted("x", &other)), "fit: has no fitted tensor named `x`");
        let mut state = fitted()?.state()?;
        state.remove("tree");
        assert_eq!(
            said(weights.restore("f", &state)),
            "f: lacks the tensor `tree`, which a fitted model has"
        );
        state.insert("y".into(), other);
        assert_eq!(
            said(weights.restore("f", &state)),
            "f: lacks the tensor `tree`, which a fitted model has"
        );
        assert!(weights.fitted("rows").is_err(), "a refused state changes nothing");
        Ok(())
    }

    #[test]
    fn a_file_of_an_unfitted_model_is_refused_but_its_state_is_none_the_less_one() -> Result<()> {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let path = dir.path().join("w.safetensors");
        let weights = fitted()?;
        model()?.save(&path)?;
        let message = weights.load(&path).expect_err("unfitted").to_string();
        assert!(message.ends_with("lacks the tensor `rows`, which a fitted model has"), "{message}");
        weights.restore("checkpoint", &model()?.state()?)?;
        assert!(weights.fitted("rows").is_err());
        Ok(())
    }
}
