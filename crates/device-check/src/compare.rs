//! How far a device's numbers are from the CPU's, and how far they may be.

use candle_core::{DType, Device, Result, Tensor, Var};
use flicker_core::Rng;
use flicker_kernels::with_compositions;

/// The device under test, and how exactly it computes.
pub(crate) struct Precision {
    pub(crate) device: Device,
    /// Whether matrix products round their factors to TF32.
    pub(crate) products: bool,
    /// Whether convolutions do: cuDNN does on its own account.
    pub(crate) convolutions: bool,
}

impl Precision {
    pub(crate) fn new(device: &Device, tf32: bool) -> Self {
        let (cuda, overridden) = (device.is_cuda(), std::env::var("NVIDIA_TF32_OVERRIDE"));
        let forbidden = overridden.is_ok_and(|value| value == "0");
        let products = cuda && tf32 && !forbidden;
        let by_cudnn = cuda && cfg!(feature = "cudnn") && !forbidden;
        Self { device: device.clone(), products, convolutions: products || by_cudnn }
    }

    /// Runs `f` the way the device computes: without kernels, which the CPU alone has.
    pub(crate) fn on_device<R>(&self, f: impl FnOnce() -> R) -> R {
        with_compositions(f)
    }

    /// The largest error allowed, as a share of the largest number.
    pub(crate) fn allowed(&self, kind: Kind) -> f64 {
        match kind {
            Kind::Elementwise => 2e-6,
            Kind::Sum => 1e-5,
            Kind::Product if self.products => TF32,
            Kind::Convolution if self.convolutions => TF32,
            Kind::Product | Kind::Convolution => 2e-5,
        }
    }
}

/// A factor of 10 bits is off by at most 2⁻¹¹, 5e-4, of itself; the errors of a sum's terms are independent, so that of the sum
/// is that share of a typical sum. The largest of the numbers compared has a few times that.
const TF32: f64 = 3e-3;

/// What an operator does, as far as rounding goes. An f32 is off by at most 2⁻²⁴, 6e-8, of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Some roundings for each number, functions of a few units in the last place among them.
    Elementwise,
    /// Sums of up to thousands of terms, differences from means among them.
    Sum,
    /// Sums of products.
    Product,
    /// The same, where cuDNN may compute them.
    Convolution,
}

/// A line of the table.
pub(crate) struct Row {
    pub(crate) name: String,
    /// The error of the result, as a share of its largest number.
    pub(crate) result: f64,
    /// The largest error of a gradient, likewise; absent where there is none.
    pub(crate) gradient: Option<f64>,
    pub(crate) allowed: f64,
}

impl Row {
    /// Whether both errors are allowed. A NaN is not.
    pub(crate) fn holds(&self) -> bool {
        self.result <= self.allowed && self.gradient.is_none_or(|error| error <= self.allowed)
    }
}

/// What an operator computes from its arguments.
pub(crate) type Function = Box<dyn Fn(&[Tensor]) -> Result<Tensor>>;

/// An operator under test: its name, the shapes of its arguments, and the function.
pub(crate) struct Operator {
    pub(crate) name: String,
    pub(crate) kind: Kind,
    pub(crate) shapes: Vec<Vec<usize>>,
    pub(crate) f: Function,
}

impl Operator {
    pub(crate) fn new(
        name: impl Into<String>,
        kind: Kind,
        shapes: &[&[usize]],
        f: impl Fn(&[Tensor]) -> Result<Tensor> + 'static,
    ) -> Self {
        let shapes = shapes.iter().map(|shape| shape.to_vec()).collect();
        Self { name: name.into(), kind, shapes, f: Box::new(f) }
    }

    /// Runs it in f64 by the kernels and in f32 on the device, and compares.
    pub(crate) fn check(&self, precision: &Precision) -> flicker_core::Result<Row> {
        let reference = self.run(&Device::Cpu, DType::F64)?;
        let found = precision.on_device(|| self.run(&precision.device, DType::F32))?;
        let result = error(&reference.0, &found.0)?;
        let mut gradient = 0.0;
        for pair in reference.1.iter().zip(&found.1) {
            gradient = largest(
                gradient,
                match pair {
                    (Some(reference), Some(found)) => error(reference, found)?,
                    (None, None) => 0.0,
                    _ => f64::INFINITY,
                },
            );
        }
        Ok(Row {
            name: self.name.clone(),
            result,
            gradient: reference.1.iter().any(Option::is_some).then_some(gradient),
            allowed: precision.allowed(self.kind),
        })
    }

    /// The result, and the gradient of `Σ result · weights` by each argument that has one.
    fn run(&self, device: &Device, dtype: DType) -> flicker_core::Result<(Tensor, Vec<Option<Tensor>>)> {
        let rng = Rng::new(0).fork(&self.name);
        let numbers = |purpose: u64, dims: &[usize]| -> flicker_core::Result<Tensor> {
            // The same f32 numbers for both: what is compared is the computation.
            let drawn = rng.fork_index(purpose).randn(dims, &Device::Cpu)?;
            Ok(drawn.to_dtype(dtype)?.to_device(device)?)
        };
        let vars = self.shapes.iter().zip(1..).map(|(shape, i)| Ok(Var::from_tensor(&numbers(i, shape)?)?));
        let vars = vars.collect::<flicker_core::Result<Vec<Var>>>()?;
        let args: Vec<Tensor> = vars.iter().map(|var| var.as_tensor().clone()).collect();
        let result = (self.f)(&args)?;
        let grads = (&result * numbers(0, result.dims())?)?.sum_all()?.backward()?;
        Ok((result, vars.iter().map(|var| grads.get(var).cloned()).collect()))
    }
}

/// The largest difference of `found` from `reference`, as a share of the reference's largest number. A tensor of
/// another shape is infinitely far.
pub(crate) fn error(reference: &Tensor, found: &Tensor) -> Result<f64> {
    if reference.dims() != found.dims() || reference.elem_count() == 0 {
        return Ok(f64::INFINITY);
    }
    let numbers =
        |t: &Tensor| t.to_device(&Device::Cpu)?.to_dtype(DType::F64)?.flatten_all()?.to_vec1::<f64>();
    let (reference, found) = (numbers(reference)?, numbers(found)?);
    let scale = reference.iter().map(|v| v.abs()).fold(f64::MIN_POSITIVE, largest);
    let worst = reference.iter().zip(&found).map(|(r, f)| (r - f).abs()).fold(0.0, largest);
    Ok(worst / scale)
}

/// The larger of two, and NaN where one is NaN.
pub(crate) fn largest(a: f64, b: f64) -> f64 {
    if a.is_nan() || a > b { a } else { b }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(f: impl Fn(&[Tensor]) -> Result<Tensor> + 'static) -> Row {
        let precision = Precision::new(&Device::Cpu, false);
        Operator::new("test", Kind::Elementwise, &[&[3, 4]], f).check(&precision).expect("runs")
    }

    #[test]
    fn what_differs_on_the_device_is_found() {
        assert!(check(|x| x[0].sqr()).holds());
        let wrong_value = check(|x| x[0].affine(1.0, if x[0].dtype() == DType::F32 { 1e-4 } else { 0.0 }));
        assert!(!wrong_value.holds() && wrong_value.gradient == Some(0.0));
        let wrong_gradient =
            check(|x| if x[0].dtype() == DType::F32 { &x[0] + x[0].detach() } else { &x[0] * 2.0 });
        assert!(!wrong_gradient.holds() && wrong_gradient.result == 0.0);
        let not_a_number =
            check(|x| x[0].affine(if x[0].dtype() == DType::F32 { f64::NAN } else { 1.0 }, 0.0));
        assert!(not_a_number.result.is_nan() && !not_a_number.holds());
    }

    #[test]
    fn a_missing_gradient_is_found() {
        let row = check(|x| if x[0].dtype() == DType::F32 { Ok(x[0].detach()) } else { Ok(x[0].clone()) });
        assert!(!row.holds());
    }
}
