//! The engine under every optimizer: which parameters move, where their moving quantities live, saving and restoring.
//!
//! An optimizer is a [`Rule`]: arithmetic on one element and a few numbers that move with it (the slots). On the CPU
//! in f32 a rule passes once over each parameter, in place; elsewhere it is made of tensor operations.

use super::state::{self, Expected};
use super::{Optimizer, State};
use crate::{Error, Result};
use candle_core::backprop::GradStore;
use candle_core::{CpuStorage, DType, InplaceOp2, Layout, Tensor, Var};
use std::cell::RefCell;

/// The most numbers that move with one element of a parameter.
const MAX_SLOTS: usize = 3;
/// Elements below which splitting a pass between threads costs more than it gains.
const SPLIT_ABOVE: usize = 1 << 15;

/// One step of one parameter.
#[derive(Clone, Copy, Debug)]
pub struct At {
    /// Number of this step of this parameter, from 1.
    pub step: i64,
    /// The learning rate.
    pub learning_rate: f64,
}

/// A stretch of one parameter, in the CPU's memory.
#[derive(Debug)]
pub struct Elements<'a> {
    /// The parameter's values.
    pub values: &'a mut [f32],
    /// Their gradients.
    pub grads: &'a [f32],
    /// The rule's slots in the order of [`Rule::slots`]; those that it does not use are empty.
    pub slots: [&'a mut [f32]; MAX_SLOTS],
}

/// The arithmetic of an optimizer, with its hyper-parameters.
pub trait Rule: Send + Sync {
    /// Refuses hyper-parameters that cannot work.
    ///
    /// # Errors
    /// [`Error::Config`] that names the field.
    fn validate(&self) -> Result<()>;

    /// The learning rate to begin with.
    fn learning_rate(&self) -> f64;

    /// Names of the numbers that move with each element, all of them 0 at first; `None` for a slot not in use.
    fn slots(&self) -> [Option<&'static str>; MAX_SLOTS];

    /// One step, in place.
    fn update(&self, at: At, elements: Elements<'_>);

    /// The same step in tensor operations: replaces `slots` and returns the new value.
    ///
    /// # Errors
    /// If candle refuses an operation.
    fn update_tensors(&self, at: At, value: &Tensor, grad: &Tensor, slots: &mut [Tensor]) -> Result<Tensor>;
}

/// Moves parameters by a [`Rule`]. See [`Adam`](super::Adam), [`AdamW`](super::AdamW), [`RmsProp`](super::RmsProp)
/// and [`Sgd`](super::Sgd).
#[derive(Debug)]
pub struct Stepper<R> {
    rule: R,
    learning_rate: f64,
    params: Vec<Param>,
}

impl<R: Rule> Stepper<R> {
    /// An optimizer of `vars`, by name.
    ///
    /// # Errors
    /// If a hyper-parameter cannot work (the message names its field), or two parameters have one name.
    pub fn new(vars: Vec<(String, Var)>, config: R) -> Result<Self> {
        config.validate()?;
        let mut params: Vec<Param> = Vec::with_capacity(vars.len());
        for (name, var) in vars {
            if params.iter().any(|param| param.name == name) {
                return Err(Error::Weights {
                    origin: "optimizer".into(),
                    problem: format!("expected distinct names, found two parameters `{name}`"),
                });
            }
            let slots = Slots::new(&var, &config)?;
            params.push(Param { name, var, step: 0, slots });
        }
        Ok(Self { learning_rate: config.learning_rate(), rule: config, params })
    }

    fn expected(&self) -> Expected {
        let mut expected = Expected::from([(LEARNING_RATE.to_string(), (vec![], DType::F64))]);
        for param in &self.params {
            expected.insert(param.key("step"), (vec![], DType::I64));
            for slot in self.rule.slots().into_iter().flatten() {
                expected.insert(param.key(slot), (param.var.dims().to_vec(), param.var.dtype()));
            }
        }
        expected
    }
}

/// Name of the learning rate in a state. The other names contain a dot, so none of them can be the same.
const LEARNING_RATE: &str = "learning_rate";

impl<R: Rule> Optimizer for Stepper<R> {
    fn step(&mut self, grads: &GradStore) -> Result<()> {
        for param in &mut self.params {
            if let Some(grad) = grads.get(param.var.as_tensor()) {
                param.update(&self.rule, self.learning_rate, grad)?;
            }
        }
        Ok(())
    }

    fn set_learning_rate(&mut self, learning_rate: f64) {
        self.learning_rate = learning_rate;
    }

    fn learning_rate(&self) -> f64 {
        self.learning_rate
    }

    fn state(&self) -> State {
        let mut state = State::from_iter([(LEARNING_RATE.to_string(), state::number(self.learning_rate))]);
        for param in &self.params {
            state.put(param.key("step"), state::count(param.step));
            for (slot, tensor) in self.rule.slots().into_iter().flatten().zip(param.slots.tensors(&param.var))
            {
                state.put(param.key(slot), tensor);
            }
        }
        state
    }

    fn restore(&mut self, state: &State) -> Result<()> {
        state::require_same("optimizer state", &self.expected(), state)?;
        let restored = |param: &Param| -> Result<(i64, Slots)> {
            let names = self.rule.slots().into_iter().flatten();
            let tensors: Vec<&Tensor> = names.map(|slot| &state[&param.key(slot)]).collect();
            Ok((state[&param.key("step")].to_scalar()?, param.slots.like(&param.var, &tensors, &self.rule)?))
        };
        let all: Vec<(i64, Slots)> = self.params.iter().map(restored).collect::<Result<_>>()?;
        self.learning_rate = state[LEARNING_RATE].to_scalar()?;
        for (param, (step, slots)) in self.params.iter_mut().zip(all) {
            (param.step, param.slots) = (step, slots);
        }
        Ok(())
    }
}

#[derive(Debug)]
struct Param {
    name: String,
    var: Var,
    step: i64,
    slots: Slots,
}

impl Param {
    fn key(&self, slot: &str) -> String {
        format!("{}.{slot}", self.name)
    }

    fn update<R: Rule>(&mut self, rule: &R, learning_rate: f64, grad: &Tensor) -> Result<()> {
        if grad.dims() != self.var.dims() {
            return Err(Error::Shape {
                what: format!("gradient of `{}`", self.name),
                expected: format!("{:?}", self.var.dims()),
                found: format!("{:?}", grad.dims()),
            });
        }
        self.step += 1;
        let at = At { step: self.step, learning_rate };
        match &mut self.slots {
            Slots::Host(slots) => {
                let pass = Pass { rule, at, slots: RefCell::new(slots) };
                Ok(self.var.inplace_op2(&grad.contiguous()?, &pass)?)
            }
            Slots::Tensors(slots) => {
                let grad = grad.detach();
                Ok(self.var.set(&rule.update_tensors(at, &self.var.as_detached_tensor(), &grad, slots)?)?)
            }
        }
    }
}

/// Where the numbers that move with a parameter live.
#[derive(Debug)]
enum Slots {
    /// In the CPU's memory, of the parameter's length, or empty where the rule has no use for one.
    Host([Vec<f32>; MAX_SLOTS]),
    /// In tensors that are replaced at each step.
    Tensors(Vec<Tensor>),
}

impl Slots {
    fn new<R: Rule>(var: &Var, rule: &R) -> Result<Self> {
        if var.device().is_cpu() && var.dtype() == DType::F32 && var.is_contiguous() {
            return Ok(Self::Host(rule.slots().map(|slot| vec![0.0; slot.map_or(0, |_| var.elem_count())])));
        }
        let zeros = rule.slots().into_iter().flatten().map(|_| var.as_tensor().zeros_like());
        Ok(Self::Tensors(zeros.collect::<candle_core::Result<_>>()?))
    }

    /// Those in use, as tensors that no later step changes.
    fn tensors(&self, var: &Var) -> Vec<Tensor> {
        match self {
            Self::Host(slots) => slots
                .iter()
                .filter(|slot| slot.len() == var.elem_count())
                .map(|slot| Tensor::from_slice(slot, var.shape(), var.device()))
                .map(|slot| slot.expect("a slot has as many elements as its parameter"))
                .collect(),
            Self::Tensors(slots) => slots.clone(),
        }
    }

    /// The values of `tensors`, kept where `self` keeps its own.
    fn like<R: Rule>(&self, var: &Var, tensors: &[&Tensor], rule: &R) -> Result<Self> {
        if let Self::Tensors(_) = self {
            let copies = tensors.iter().map(|tensor| tensor.to_device(var.device())?.copy());
            return Ok(Self::Tensors(copies.collect::<candle_core::Result<_>>()?));
        }
        let mut tensors = tensors.iter();
        let mut slots = [const { Vec::new() }; MAX_SLOTS];
        for (slot, name) in slots.iter_mut().zip(rule.slots()) {
            if name.is_some()
                && let Some(tensor) = tensors.next()
            {
                *slot = tensor.flatten_all()?.to_vec1()?;
            }
        }
        Ok(Self::Host(slots))
    }
}

/// One pass over a parameter in the CPU's memory.
struct Pass<'a, R> {
    rule: &'a R,
    at: At,
    slots: RefCell<&'a mut [Vec<f32>; MAX_SLOTS]>,
}

impl<R: Rule> InplaceOp2 for Pass<'_, R> {
    fn name(&self) -> &'static str {
        "optimizer-step"
    }

    fn cpu_fwd(
        &self,
        values: &mut CpuStorage,
        values_l: &Layout,
        grads: &CpuStorage,
        grads_l: &Layout,
    ) -> candle_core::Result<()> {
        let (CpuStorage::F32(values), CpuStorage::F32(grads)) = (values, grads) else {
            candle_core::bail!("optimizer step: expected values and gradients in f32")
        };
        let (Some((v0, v1)), Some((g0, g1))) = (values_l.contiguous_offsets(), grads_l.contiguous_offsets())
        else {
            candle_core::bail!("optimizer step: expected contiguous values and gradients")
        };
        let mut slots = self.slots.borrow_mut();
        let slots = slots.each_mut().map(Vec::as_mut_slice);
        split(self.rule, self.at, Elements { values: &mut values[v0..v1], grads: &grads[g0..g1], slots });
        Ok(())
    }
}

/// Halves the elements between threads. Each element is computed alone, so the result does not depend on the split.
fn split<R: Rule>(rule: &R, at: At, elements: Elements<'_>) {
    let n = elements.values.len();
    if n <= SPLIT_ABOVE {
        return rule.update(at, elements);
    }
    let (left, right) = elements.split_at(n / 2);
    rayon::join(|| split(rule, at, left), || split(rule, at, right));
}

impl Elements<'_> {
    fn split_at(self, mid: usize) -> (Self, Self) {
        let (left_values, values) = self.values.split_at_mut(mid);
        let (left_grads, grads) = self.grads.split_at(mid);
        let [a, b, c] = self.slots.map(|slot| {
            let mid = mid.min(slot.len());
            slot.split_at_mut(mid)
        });
        let left = Self { values: left_values, grads: left_grads, slots: [a.0, b.0, c.0] };
        (left, Self { values, grads, slots: [a.1, b.1, c.1] })
    }
}
