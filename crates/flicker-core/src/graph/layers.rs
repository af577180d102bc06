//! Layers of a graph that are made of more than one operation, or have weights.

use super::shapes::{conv_dims, conv_transpose_dims};
use super::{Binary, Graph, Numbers, Op, Unary, Value, shapes};
use crate::Result;
use crate::nn::{Activation, ConvSpec, Window};
use candle_core::{Device, Tensor};

impl Graph {
    /// A convolution.
    ///
    /// # Errors
    /// If the shapes do not go together.
    pub fn conv(
        &mut self,
        x: Value,
        weight: &Tensor,
        bias: Option<&Tensor>,
        spec: ConvSpec,
    ) -> Result<Value> {
        let dims = conv_dims(self.dims(x), weight.dims(), &spec)?;
        let inputs = self.with_weights(x, weight, bias);
        Ok(self.push(Op::Conv(spec), inputs, dims))
    }

    /// A transposed convolution.
    ///
    /// # Errors
    /// If the shapes do not go together.
    pub fn conv_transpose(
        &mut self,
        x: Value,
        weight: &Tensor,
        bias: Option<&Tensor>,
        spec: ConvSpec,
        output_padding: (usize, usize),
    ) -> Result<Value> {
        let dims = conv_transpose_dims(self.dims(x), weight.dims(), &spec, output_padding)?;
        let inputs = self.with_weights(x, weight, bias);
        Ok(self.push(Op::ConvTranspose { spec, output_padding }, inputs, dims))
    }

    fn with_weights(&mut self, x: Value, weight: &Tensor, bias: Option<&Tensor>) -> Vec<Value> {
        let mut inputs = vec![x, self.weight(weight)];
        inputs.extend(bias.map(|bias| self.weight(bias)));
        inputs
    }

    /// `x Wᵀ + b`.
    ///
    /// # Errors
    /// If the samples are no rows of the right width.
    pub fn linear(&mut self, x: Value, weight: &Tensor, bias: Option<&Tensor>) -> Result<Value> {
        let (outputs, inputs) = weight.dims2()?;
        shapes::expect("features of a linear map", inputs, self.dims(x).iter().product())?;
        let x = self.flatten(x)?;
        let inputs = self.with_weights(x, weight, bias);
        Ok(self.push(Op::Linear, inputs, vec![outputs]))
    }

    /// An activation.
    ///
    /// # Errors
    /// None in practice.
    pub fn activate(&mut self, x: Value, activation: Activation) -> Result<Value> {
        Ok(match activation {
            Activation::None => x,
            Activation::Relu => self.unary(Unary::Relu, x),
            Activation::LeakyRelu(slope) => self.unary(Unary::LeakyRelu(slope), x),
            Activation::Tanh => self.unary(Unary::Tanh, x),
            Activation::Sigmoid => self.unary(Unary::Sigmoid, x),
            Activation::Silu => {
                let gate = self.unary(Unary::Sigmoid, x);
                self.binary(Binary::Mul, x, gate)?
            }
        })
    }

    /// Batch norm in evaluation mode; `statistics` are scale, shift, mean and variance.
    ///
    /// # Errors
    /// If the channels are others.
    pub fn batch_norm(&mut self, x: Value, statistics: [&Tensor; 4], eps: f64) -> Result<Value> {
        let channels = self.dims(x).first().copied().unwrap_or(0);
        let mut inputs = vec![x];
        for statistic in statistics {
            shapes::expect("channels of a norm", statistic.elem_count(), channels)?;
            inputs.push(self.weight(statistic));
        }
        let dims = self.dims(x).to_vec();
        Ok(self.push(Op::BatchNorm { eps }, inputs, dims))
    }

    /// `(x - mean) / √(variance + eps)` over all of each sample.
    ///
    /// # Errors
    /// None in practice.
    pub fn standardise(&mut self, x: Value, eps: f64) -> Result<Value> {
        let mean = self.mean_keeping(x);
        let off = self.binary(Binary::Sub, x, mean)?;
        let squares = self.binary(Binary::Mul, off, off)?;
        let variance = self.mean_keeping(squares);
        let eps = self.number(eps)?;
        let variance = self.binary(Binary::Add, variance, eps)?;
        let deviation = self.unary(Unary::Sqrt, variance);
        self.binary(Binary::Div, off, deviation)
    }

    /// A layer's variable of one number a channel, in the shape that goes with images.
    ///
    /// # Errors
    /// If it has another shape.
    pub fn per_channel(&mut self, tensor: &Tensor) -> Result<Value> {
        let channels = tensor.dims1()?;
        let x = self.weight(tensor);
        Ok(self.push(Op::Reshape, vec![x], vec![channels, 1, 1]))
    }

    /// `x · scale + shift` by two numbers.
    ///
    /// # Errors
    /// None in practice.
    pub fn affine_by(&mut self, x: Value, scale: f64, shift: f64) -> Result<Value> {
        let mut y = x;
        if scale != 1.0 {
            let scale = self.number(scale)?;
            y = self.binary(Binary::Mul, y, scale)?;
        }
        if shift != 0.0 {
            let shift = self.number(shift)?;
            y = self.binary(Binary::Add, y, shift)?;
        }
        Ok(y)
    }

    /// `(a - b)²` of each number.
    ///
    /// # Errors
    /// If the shapes do not go together.
    pub fn squared_difference(&mut self, a: Value, b: Value) -> Result<Value> {
        let off = self.binary(Binary::Sub, a, b)?;
        self.binary(Binary::Mul, off, off)
    }

    /// `|a - b|` of each number.
    ///
    /// # Errors
    /// If the shapes do not go together.
    pub fn absolute_difference(&mut self, a: Value, b: Value) -> Result<Value> {
        let off = self.binary(Binary::Sub, a, b)?;
        Ok(self.unary(Unary::Abs, off))
    }

    /// The largest value of each window.
    ///
    /// # Errors
    /// If the window does not fit.
    pub fn max_pool(&mut self, x: Value, window: Window) -> Result<Value> {
        let dims = self.pooled(x, window)?;
        Ok(self.push(Op::MaxPool(window), vec![x], dims))
    }

    /// The mean of each window.
    ///
    /// # Errors
    /// If the window does not fit.
    pub fn average_pool(&mut self, x: Value, window: Window) -> Result<Value> {
        let dims = self.pooled(x, window)?;
        Ok(self.push(Op::AveragePool(window), vec![x], dims))
    }

    fn pooled(&self, x: Value, window: Window) -> Result<Vec<usize>> {
        let (channels, height, width) = self.image(x)?;
        let (height, width) = window.out((height, width))?;
        Ok(vec![channels, height, width])
    }

    fn image(&self, x: Value) -> Result<(usize, usize, usize)> {
        match *self.dims(x) {
            [channels, height, width] => Ok((channels, height, width)),
            ref dims => Err(shapes::wrong("rank of images", 3, format!("{dims:?}"))),
        }
    }

    /// Each pixel `times` times in each direction.
    ///
    /// # Errors
    /// If the samples are no images.
    pub fn enlarge(&mut self, x: Value, times: usize) -> Result<Value> {
        let (channels, height, width) = self.image(x)?;
        Ok(self.push(Op::Enlarge(times), vec![x], vec![channels, height * times, width * times]))
    }

    /// The border of images repeated `width` times on all sides.
    ///
    /// # Errors
    /// If the samples are no images.
    pub fn pad_edge(&mut self, x: Value, border: usize) -> Result<Value> {
        let (channels, height, width) = self.image(x)?;
        let dims = vec![channels, height + 2 * border, width + 2 * border];
        Ok(self.push(Op::PadEdge(border), vec![x], dims))
    }

    /// Images under a linear map of their columns, `(W, W')`, and one of their rows, `(H', H)`.
    ///
    /// # Errors
    /// If the sizes do not go together.
    pub fn resample(&mut self, x: Value, rows: &Tensor, columns: &Tensor) -> Result<Value> {
        let (rows, columns) = (self.constant("", rows), self.constant("", columns));
        let x = self.matmul(x, columns)?;
        self.matmul(rows, x)
    }

    /// Numbers of f64 as a constant, for what must not be rounded.
    ///
    /// # Errors
    /// If they do not fill the shape.
    pub fn exact(&mut self, values: Vec<f64>, dims: &[usize]) -> Result<Value> {
        let tensor = Tensor::from_vec(values, dims, &Device::Cpu)?;
        Ok(self.constant("", &tensor))
    }

    /// `f` of `x` in f64, back in f32.
    ///
    /// # Errors
    /// Those of `f`.
    pub fn in_f64(&mut self, x: Value, f: impl FnOnce(&mut Self, Value) -> Result<Value>) -> Result<Value> {
        let x = self.cast(x, Numbers::F64);
        let y = f(self, x)?;
        Ok(self.cast(y, Numbers::F32))
    }
}
