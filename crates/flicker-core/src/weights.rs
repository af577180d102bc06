//! The named variables of a model: seeded initialisation, freezing, saving and loading.

use crate::{Result, Rng, State, file};
use candle_core::{DType, Device, Shape, Tensor, TensorId, Var};
use candle_nn::VarBuilder;
use candle_nn::init::{Init, NormalOrUniform};
use candle_nn::var_builder::SimpleBackend;
use std::collections::{BTreeMap, HashMap};
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

mod fitted;
mod standards;

pub use standards::Standards;

/// The variables of a model by name, in the order of the names. A clone is another handle on the same variables.
///
/// A variable is created when a layer asks for it through [`Weights::builder`]. Its initial value is drawn from a stream
/// that is forked by its name: it depends on the seed and the name alone, not on which layers were built before.
///
/// What is not trained by steps but found in one go, with a shape that depends on the data, is announced by
/// [`Weights::declare`] and given by [`Weights::set_fitted`]; it is saved and loaded with the variables.
#[derive(Clone)]
pub struct Weights {
    shared: Arc<Shared>,
}

struct Shared {
    vars: Mutex<BTreeMap<String, Var>>,
    fitted: Mutex<fitted::Slots>,
    rng: Rng,
    device: Device,
}

impl Weights {
    /// No variables yet; those to come are drawn from `rng` and live on `device`, in f32.
    pub fn new(rng: Rng, device: &Device) -> Self {
        let (vars, fitted) = (Mutex::default(), Mutex::default());
        Self { shared: Arc::new(Shared { vars, fitted, rng, device: device.clone() }) }
    }

    /// A builder that creates variables or hands out those that exist already.
    pub fn builder(&self) -> VarBuilder<'static> {
        self.backed_by(Backend { weights: self.clone(), frozen: false })
    }

    /// A builder for a second copy of layers that share these variables' memory but get no gradients: a network that is
    /// only looked through. Running statistics stay variables, since they are updated without gradients.
    pub fn frozen_builder(&self) -> VarBuilder<'static> {
        self.backed_by(Backend { weights: self.clone(), frozen: true })
    }

    fn backed_by(&self, backend: Backend) -> VarBuilder<'static> {
        VarBuilder::from_backend(Box::new(backend), DType::F32, self.shared.device.clone())
    }

    /// The device that the variables live on.
    pub fn device(&self) -> &Device {
        &self.shared.device
    }

    /// The trained variables whose names start with `prefix` (all of them for `""`), in the order of the names. Running
    /// statistics, and whatever is named `statistics.…`, are not among them.
    pub fn vars(&self, prefix: &str) -> Vec<(String, Var)> {
        let vars = self.lock();
        let trained = vars.iter().filter(|(name, _)| name.starts_with(prefix) && !is_statistic(name));
        trained.map(|(name, var)| (name.clone(), var.clone())).collect()
    }

    /// The names of the variables and of the fitted tensors, by the tensors that [`Weights::builder`] and [`Weights::fitted`]
    /// hand out.
    pub fn names(&self) -> HashMap<TensorId, String> {
        let mut names = fitted::names(&self.slots());
        names.extend(self.lock().iter().map(|(name, var)| (var.id(), name.clone())));
        names
    }

    /// How many trained or fitted numbers there are.
    pub fn n_parameters(&self) -> usize {
        self.vars("").iter().map(|(_, var)| var.elem_count()).sum::<usize>() + self.n_fitted()
    }

    /// A snapshot of all variables, running statistics included, and of the fitted tensors that are there. The tensors are
    /// copies.
    ///
    /// # Errors
    /// If a variable cannot be copied.
    pub fn state(&self) -> Result<State> {
        let mut state = self.of_vars()?;
        fitted::put(&self.slots(), &mut state)?;
        Ok(state)
    }

    fn of_vars(&self) -> Result<State> {
        let mut state = State::new();
        for (name, var) in self.lock().iter() {
            state.put(name.clone(), var.as_tensor().copy()?.detach());
        }
        Ok(state)
    }

    /// Sets every variable and every fitted tensor from `state`, which may be that of a model that is not fitted yet;
    /// `origin` names the state in errors.
    ///
    /// # Errors
    /// If names, shapes or types differ; nothing is changed then.
    pub fn restore(&self, origin: &str, state: &State) -> Result<()> {
        let mut slots = self.slots();
        let (fitted, state) = fitted::take(&slots, origin, state)?;
        self.of_vars()?.expect_like(origin, &state)?;
        for (name, var) in self.lock().iter() {
            var.set(&state.require(name)?.to_device(&self.shared.device)?)?;
        }
        fitted::set(&mut slots, &fitted, &self.shared.device)
    }

    /// Draws the variables whose names start with `prefix` anew: `redraw` says the new value from name, current value
    /// and the variable's own stream (`None` leaves it).
    ///
    /// # Errors
    /// If a new value has another shape.
    pub fn redraw(
        &self,
        prefix: &str,
        rng: &Rng,
        redraw: impl Fn(&str, &Tensor, &mut Rng) -> Result<Option<Tensor>>,
    ) -> Result<()> {
        for (name, var) in self.lock().iter().filter(|(name, _)| name.starts_with(prefix)) {
            if let Some(value) = redraw(name, var, &mut rng.fork(name))? {
                var.set(&value)?;
            }
        }
        Ok(())
    }

    /// Writes a safetensors file, whole or not at all.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub fn save(&self, path: &Path) -> Result<()> {
        file::write_whole(path, &self.state()?.to_bytes(&BTreeMap::new())?)
    }

    /// Sets every variable and every fitted tensor from the safetensors file at `path`.
    ///
    /// # Errors
    /// If the file cannot be read, or holds the weights of another model (the first difference is named).
    pub fn load(&self, path: &Path) -> Result<()> {
        let origin = path.display().to_string();
        let (state, _) = State::from_bytes(&origin, &file::read(path)?, &self.shared.device)?;
        fitted::require_all(&self.slots(), &origin, &state)?;
        self.restore(&origin, &state)
    }

    fn slots(&self) -> MutexGuard<'_, fitted::Slots> {
        self.shared.fitted.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Var>> {
        self.shared.vars.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn var(&self, name: &str, shape: &Shape, init: Init) -> candle_core::Result<Var> {
        let mut vars = self.lock();
        if let Some(var) = vars.get(name) {
            if var.shape() != shape {
                candle_core::bail!(
                    "variable `{name}`: expected shape {:?}, found {:?}",
                    shape.dims(),
                    var.dims()
                );
            }
            return Ok(var.clone());
        }
        let values = initial(init, shape, &mut self.shared.rng.fork(name));
        let var = Var::from_tensor(&Tensor::from_vec(values, shape, &self.shared.device)?)?;
        vars.insert(name.to_string(), var.clone());
        Ok(var)
    }
}

/// Running statistics, and those that a family keeps under `statistics.`, are saved with the weights but not trained.
fn is_statistic(name: &str) -> bool {
    name.ends_with(".running_mean") || name.ends_with(".running_var") || name.starts_with("statistics.")
}

/// The initial values of a variable (formulas as in `torch.nn.init`).
fn initial(init: Init, shape: &Shape, rng: &mut Rng) -> Vec<f32> {
    let n = shape.elem_count();
    let normal = |rng: &mut Rng, mean: f64, sd: f64| -> Vec<f32> {
        rng.normals(n).into_iter().map(|x| (mean + sd * f64::from(x)) as f32).collect()
    };
    match init {
        Init::Const(value) => vec![value as f32; n],
        Init::Uniform { lo, up } => rng.uniforms(n, lo as f32, up as f32),
        Init::Randn { mean, stdev } => normal(rng, mean, stdev),
        Init::Kaiming { dist, fan, non_linearity } => {
            let sd = non_linearity.gain() / (fan.for_shape(shape) as f64).sqrt();
            match dist {
                NormalOrUniform::Normal => normal(rng, 0.0, sd),
                NormalOrUniform::Uniform => {
                    let bound = (3f64.sqrt() * sd) as f32;
                    rng.uniforms(n, -bound, bound)
                }
            }
        }
    }
}

struct Backend {
    weights: Weights,
    frozen: bool,
}

impl SimpleBackend for Backend {
    fn get(&self, shape: Shape, name: &str, init: Init, _: DType, _: &Device) -> candle_core::Result<Tensor> {
        let var = self.weights.var(name, &shape, init)?;
        Ok(if self.frozen && !is_statistic(name) {
            var.as_detached_tensor()
        } else {
            var.as_tensor().clone()
        })
    }

    fn get_unchecked(&self, name: &str, _: DType, _: &Device) -> candle_core::Result<Tensor> {
        match self.weights.lock().get(name) {
            Some(var) if self.frozen && !is_statistic(name) => Ok(var.as_detached_tensor()),
            Some(var) => Ok(var.as_tensor().clone()),
            None => candle_core::bail!("no variable named `{name}`"),
        }
    }

    fn contains_tensor(&self, name: &str) -> bool {
        self.weights.lock().contains_key(name)
    }
}

impl std::fmt::Debug for Weights {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list()
            .entries(self.lock().iter().map(|(name, var)| (name.clone(), var.dims().to_vec())))
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use candle_nn::{Module, linear};

    fn values(weights: &Weights) -> Result<Vec<Vec<f32>>> {
        weights.state()?.values().map(|t| Ok(t.flatten_all()?.to_vec1()?)).collect()
    }

    #[test]
    fn initial_values_depend_on_seed_and_name_not_on_order() -> Result<()> {
        let build = |names: [&str; 2], seed| -> Result<Weights> {
            let weights = Weights::new(Rng::new(seed), &Device::Cpu);
            for name in names {
                linear(3, 2, weights.builder().pp(name))?;
            }
            Ok(weights)
        };
        assert_eq!(values(&build(["a", "b"], 0)?)?, values(&build(["b", "a"], 0)?)?);
        assert_ne!(values(&build(["a", "b"], 0)?)?, values(&build(["a", "b"], 1)?)?);
        Ok(())
    }

    #[test]
    fn a_frozen_copy_follows_the_values_and_gets_no_gradient() -> Result<()> {
        let weights = Weights::new(Rng::new(0), &Device::Cpu);
        let trained = linear(2, 1, weights.builder())?;
        let frozen = linear(2, 1, weights.frozen_builder())?;
        let x = Var::new(&[[1f32, 2.0]], &Device::Cpu)?;
        let grads = frozen.forward(&x)?.sum_all()?.backward()?;
        assert!(grads.get(&x).is_some());
        assert!(weights.vars("").iter().all(|(_, var)| grads.get(var).is_none()));
        for (_, var) in weights.vars("") {
            var.set(&var.ones_like()?)?;
        }
        assert_eq!(frozen.forward(&x)?.to_vec2::<f32>()?, [[4.0]]);
        assert_eq!(trained.forward(&x)?.to_vec2::<f32>()?, [[4.0]]);
        Ok(())
    }

    #[test]
    fn weights_of_another_model_are_refused_whole() -> Result<()> {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let path = dir.path().join("w.safetensors");
        let other = Weights::new(Rng::new(0), &Device::Cpu);
        linear(3, 1, other.builder())?;
        other.save(&path)?;
        let weights = Weights::new(Rng::new(1), &Device::Cpu);
        linear(2, 1, weights.builder())?;
        let before = values(&weights)?;
        let error = weights.load(&path).expect_err("another shape").to_string();
        assert!(
            error.ends_with("w.safetensors: tensor `weight`: expected shape [1, 2], found [1, 3]"),
            "{error}"
        );
        assert_eq!(values(&weights)?, before);
        Ok(())
    }
}
