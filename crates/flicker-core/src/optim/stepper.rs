//! The engine under every optimizer: which parameters move, where their moving quantities live, saving and restoring.
//!
//! An optimizer is a [`Rule`]: arithmetic on one element and a few numbers that move with it (the slots). On the CPU
//! in f32 a rule passes once over each parameter, in place; elsewhere it is made of tensor operations.

use super::memory::{elements, elements_mut, with_elements};
use super::state::{self, Expected};
use super::{Optimizer, State};
use crate::{Error, Result};
use candle_core::backprop::GradStore;
use candle_core::{CpuStorage, DType, Device, InplaceOp2, Layout, Tensor, Var};
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

    /// One step of some elements, in place.
    fn update(&self, at: At, elements: Elements<'_>);

    /// The same step in tensor operations: replaces `slots`, which are those in use, and returns the new value.
    ///
    /// # Errors
    /// If candle refuses an operation.
    fn update_tensors(&self, at: At, value: &Tensor, grad: &Tensor, slots: &mut [Tensor]) -> Result<Tensor>;

    /// One step of one parameter, by whichever of the two fits its device and type. A rule that has a faster way
    /// brings its own.
    ///
    /// # Errors
    /// If candle refuses an operation.
    fn apply(&self, at: At, var: &Var, grad: &Tensor, slots: [Option<&Var>; MAX_SLOTS]) -> Result<()>
    where
        Self: Sized,
    {
        if var.device().is_cpu() && var.dtype() == DType::F32 {
            return apply_in_place(self, at, var, grad, slots);
        }
        let slots: Vec<&Var> = slots.into_iter().flatten().collect();
        let mut tensors: Vec<Tensor> = slots.iter().map(|slot| slot.as_detached_tensor()).collect();
        let value = self.update_tensors(at, &var.as_detached_tensor(), &grad.detach(), &mut tensors)?;
        for (slot, tensor) in slots.iter().zip(&tensors) {
            slot.set(tensor)?;
        }
        Ok(var.set(&value)?)
    }
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
            params.push(Param::new(name, var, &config)?);
        }
        Ok(Self { learning_rate: config.learning_rate(), rule: config, params })
    }

    fn expected(&self) -> Expected {
        let mut expected = Expected::from([(LEARNING_RATE.to_string(), (vec![], DType::F64))]);
        for param in &self.params {
            expected.insert(param.step_key(), (vec![], DType::I64));
            for Slot { key, values } in param.slots.iter().flatten() {
                expected.insert(key.clone(), (values.dims().to_vec(), values.dtype()));
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

    fn state(&self) -> Result<State> {
        let mut state =
            State::from_iter([(LEARNING_RATE.to_string(), Tensor::new(self.learning_rate, &Device::Cpu)?)]);
        for param in &self.params {
            state.insert(param.step_key(), Tensor::new(param.step, &Device::Cpu)?);
            for Slot { key, values } in param.slots.iter().flatten() {
                state.insert(key.clone(), values.as_detached_tensor().copy()?);
            }
        }
        Ok(state)
    }

    fn restore(&mut self, state: &State) -> Result<()> {
        state::require_same("optimizer state", &self.expected(), state)?;
        self.learning_rate = state[LEARNING_RATE].to_scalar()?;
        for param in &mut self.params {
            param.step = state[&param.step_key()].to_scalar()?;
            for Slot { key, values } in param.slots.iter().flatten() {
                values.set(&state[key].to_device(values.device())?)?;
            }
        }
        Ok(())
    }
}

#[derive(Debug)]
struct Param {
    name: String,
    var: Var,
    step: i64,
    slots: [Option<Slot>; MAX_SLOTS],
}

/// Numbers that move with the elements of a parameter.
#[derive(Debug)]
struct Slot {
    key: String,
    values: Var,
}

impl Param {
    fn new<R: Rule>(name: String, var: Var, rule: &R) -> Result<Self> {
        let mut slots = [const { None }; MAX_SLOTS];
        for (slot, what) in slots.iter_mut().zip(rule.slots()) {
            if let Some(what) = what {
                let values = Var::zeros(var.shape(), var.dtype(), var.device())?;
                *slot = Some(Slot { key: format!("{name}.{what}"), values });
            }
        }
        Ok(Self { name, var, step: 0, slots })
    }

    fn step_key(&self) -> String {
        format!("{}.step", self.name)
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
        rule.apply(at, &self.var, grad, self.slots.each_ref().map(|slot| slot.as_ref().map(|s| &s.values)))
    }
}

/// A single pass over a parameter and its slots in the CPU's memory.
fn apply_in_place<R: Rule>(
    rule: &R,
    at: At,
    var: &Var,
    grad: &Tensor,
    [a, b, c]: [Option<&Var>; MAX_SLOTS],
) -> Result<()> {
    let grad = grad.contiguous()?;
    let pass = |a: &mut [f32], b: &mut [f32], c: &mut [f32]| {
        var.inplace_op2(&grad, &Pass { rule, at, slots: RefCell::new([a, b, c]) })
    };
    Ok(with_elements(a, |a| with_elements(b, |b| with_elements(c, |c| pass(a, b, c))))?)
}

struct Pass<'a, R> {
    rule: &'a R,
    at: At,
    slots: RefCell<[&'a mut [f32]; MAX_SLOTS]>,
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
        let (values, grads) = (elements_mut(values, values_l)?, elements(grads, grads_l)?);
        let mut slots = self.slots.borrow_mut();
        split(
            self.rule,
            self.at,
            Elements { values, grads, slots: slots.each_mut().map(|slot| &mut **slot) },
        );
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
