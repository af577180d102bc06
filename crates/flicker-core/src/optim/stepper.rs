//! The engine under every optimizer: which parameters move, where their moving quantities live, saving and restoring.
//!
//! An optimizer is a [`Rule`]: a step of one parameter (a kernel's) and a few numbers that move with each element (the
//! slots).

use super::state::{self, Expected};
use super::{Optimizer, State};
use crate::{Error, Result};
use candle_core::backprop::GradStore;
use candle_core::{DType, Device, Tensor, Var};

/// The most numbers that move with one element of a parameter.
const MAX_SLOTS: usize = 3;

/// One step of one parameter.
#[derive(Clone, Copy, Debug)]
pub struct At {
    /// Number of this step of this parameter, from 1.
    pub step: usize,
    /// The learning rate.
    pub learning_rate: f64,
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

    /// One step of one parameter, in place; the slots in use are `Some`, in the order of [`Rule::slots`].
    ///
    /// # Errors
    /// If candle refuses an operation.
    fn step(&self, at: At, var: &Var, grad: &Tensor, slots: [Option<&Var>; MAX_SLOTS]) -> Result<()>;
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
        let at = At { step: self.step as usize, learning_rate };
        rule.step(at, &self.var, grad, self.slots.each_ref().map(|slot| slot.as_ref().map(|s| &s.values)))
    }
}
