//! A model's forward pass as a list of operations on named weights: what a model tells an exporter, without either knowing
//! the other.
//!
//! A layer says what it does with `describe`, beside the `forward` that does it. Operations work on a batch, whose size is
//! open; shapes here are those of one sample, and axes count from the first one after the batch.
//!
//! ```
//! use candle_core::{Device, Tensor};
//! use flicker_core::graph::{Binary, Graph, Unary};
//!
//! let mut graph = Graph::new();
//! let xs = graph.input(&[3, 8, 8]);
//! let ones = graph.constant("ones", &Tensor::ones((3, 1, 1), candle_core::DType::F32, &Device::Cpu)?);
//! let off = graph.binary(Binary::Sub, xs, ones)?;
//! let off = graph.unary(Unary::Abs, off);
//! let score = graph.mean(off);
//! assert_eq!(graph.dims(score), [0usize; 0]); // one number a sample
//! # Ok::<(), flicker_core::Error>(())
//! ```

mod layers;
mod prepared;
mod shapes;

pub use prepared::Decided;
pub(crate) use prepared::{Knot, Piece};

use crate::nn::{ConvSpec, Window};
use crate::{Result, Weights};
use candle_core::{Tensor, TensorId};
use shapes::broadcast;
use std::collections::HashMap;

/// A value of a [`Graph`]: what one of its operations gives.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Value(usize);

impl Value {
    /// Which operation of [`Graph::nodes`] gives it.
    pub fn index(self) -> usize {
        self.0
    }
}

/// What a detector's pass gives, as values of a graph.
#[derive(Clone, Copy, Debug)]
pub struct Described {
    /// One number a sample; higher is more abnormal.
    pub total: Value,
    /// How abnormal each pixel `(1, H, W)` or feature `(F)` of a sample is, where the family has it.
    pub map: Option<Value>,
}

/// An operation, what it works on, and what it gives.
#[derive(Clone, Debug)]
pub struct Node {
    /// The operation.
    pub op: Op,
    /// What it works on, in the order that [`Op`] says.
    pub inputs: Vec<Value>,
    /// The shape of what it gives: that of one sample, or of a constant.
    pub dims: Vec<usize>,
    /// Whether what it gives has a batch axis before `dims`.
    pub batched: bool,
}

/// The operations.
#[derive(Clone, Debug)]
pub enum Op {
    /// The samples.
    Input,
    /// A weight, or another number that is known.
    Constant {
        /// As in the file of weights, or made.
        name: String,
        /// The numbers.
        tensor: Tensor,
    },
    /// Convolution: x, weight `(outputs, inputs, k, k)`, and bias `(outputs)` if there is one.
    Conv(ConvSpec),
    /// Transposed convolution: x, weight `(inputs, outputs, k, k)`, and bias `(outputs)` if there is one.
    ConvTranspose {
        /// Strides and paddings of the convolution that it transposes.
        spec: ConvSpec,
        /// Rows and columns added at the lower and right edge.
        output_padding: (usize, usize),
    },
    /// Batch norm by running statistics: x, scale, shift, mean, variance, each `(C)`.
    BatchNorm {
        /// Added to the variance.
        eps: f64,
    },
    /// The largest value of each window.
    MaxPool(Window),
    /// The mean of each window.
    AveragePool(Window),
    /// Each pixel so many times in each direction.
    Enlarge(usize),
    /// `x Wᵀ + b`: x, weight `(outputs, inputs)`, and bias `(outputs)` if there is one.
    Linear,
    /// The matrix product of the last two axes; the rest is broadcast.
    MatMul,
    /// To samples of the node's shape.
    Reshape,
    /// A function of each number.
    Unary(Unary),
    /// A function of two numbers; shapes are broadcast.
    Binary(Binary),
    /// The sum over these axes of a sample, which are gone after it or have length 1.
    Sum {
        /// Ascending.
        axes: Vec<usize>,
        /// Whether they stay, with length 1.
        keep: bool,
    },
    /// The mean over these axes, likewise.
    Mean {
        /// Ascending.
        axes: Vec<usize>,
        /// Whether they stay, with length 1.
        keep: bool,
    },
    /// A stretch of an axis of the samples.
    Narrow {
        /// Which axis.
        axis: usize,
        /// Its first position.
        start: usize,
        /// How many.
        len: usize,
    },
    /// The border repeated on all sides of the last two axes.
    PadEdge(usize),
    /// The same numbers in another type.
    Cast(Numbers),
}

/// Functions of one number.
#[derive(Clone, Copy, Debug, PartialEq)]
#[allow(missing_docs)] // They are what they are called.
pub enum Unary {
    Abs,
    Exp,
    Log,
    Sqrt,
    Relu,
    Tanh,
    Sigmoid,
    /// `slope · x` below 0.
    LeakyRelu(f64),
    /// Cut off below and above.
    Clamp(f32, f32),
}

/// Functions of two numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)] // They are what they are called.
pub enum Binary {
    Add,
    Sub,
    Mul,
    Div,
    Max,
    Min,
    /// `a > b`, a truth value.
    Greater,
    /// `a >= b`, a truth value.
    AtLeast,
}

/// Types of numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)] // They are what they are called.
pub enum Numbers {
    F32,
    F64,
}

/// Operations in an order in which they can be carried out.
#[derive(Clone, Debug, Default)]
pub struct Graph {
    nodes: Vec<Node>,
    names: HashMap<TensorId, String>,
    constants: HashMap<TensorId, Value>,
}

impl Graph {
    /// An empty one.
    pub fn new() -> Self {
        Self::default()
    }

    /// An empty one that calls the variables of `weights` as their file does.
    pub fn naming(weights: &Weights) -> Self {
        Self { names: weights.names(), ..Self::default() }
    }

    /// The operations.
    pub fn nodes(&self) -> &[Node] {
        &self.nodes
    }

    /// The operation that gives `value`.
    pub fn node(&self, value: Value) -> &Node {
        &self.nodes[value.0]
    }

    /// The shape of one sample of `value`, or of a constant.
    pub fn dims(&self, value: Value) -> &[usize] {
        &self.nodes[value.0].dims
    }

    fn push(&mut self, op: Op, inputs: Vec<Value>, dims: Vec<usize>) -> Value {
        let batched = matches!(op, Op::Input) || inputs.iter().any(|&Value(at)| self.nodes[at].batched);
        self.nodes.push(Node { op, inputs, dims, batched });
        Value(self.nodes.len() - 1)
    }

    /// The samples, each of the shape `dims`.
    pub fn input(&mut self, dims: &[usize]) -> Value {
        self.push(Op::Input, Vec::new(), dims.to_vec())
    }

    /// Numbers that are known, under a name of their own.
    pub fn constant(&mut self, name: &str, tensor: &Tensor) -> Value {
        let op = Op::Constant { name: name.to_string(), tensor: tensor.clone() };
        self.push(op, Vec::new(), tensor.dims().to_vec())
    }

    /// One number that is known.
    ///
    /// # Errors
    /// If it cannot be made a tensor.
    pub fn number(&mut self, value: f64) -> Result<Value> {
        let tensor = Tensor::new(value as f32, &candle_core::Device::Cpu)?;
        Ok(self.constant("", &tensor))
    }

    /// A layer's variable, under the name that its file of weights gives it.
    pub fn weight(&mut self, tensor: &Tensor) -> Value {
        if let Some(known) = self.constants.get(&tensor.id()) {
            return *known;
        }
        let name = self.names.get(&tensor.id()).cloned().unwrap_or_default();
        let value = self.constant(&name, tensor);
        self.constants.insert(tensor.id(), value);
        value
    }

    /// A function of each number.
    pub fn unary(&mut self, function: Unary, x: Value) -> Value {
        let dims = self.dims(x).to_vec();
        self.push(Op::Unary(function), vec![x], dims)
    }

    /// A function of two numbers; shapes are broadcast.
    ///
    /// # Errors
    /// If the shapes do not go together.
    pub fn binary(&mut self, function: Binary, a: Value, b: Value) -> Result<Value> {
        let dims = broadcast(&self.nodes[a.0], &self.nodes[b.0])?;
        Ok(self.push(Op::Binary(function), vec![a, b], dims))
    }

    /// The mean of each sample.
    pub fn mean(&mut self, x: Value) -> Value {
        match self.dims(x).len() {
            0 => x, // one number already; without axes an operator would take the mean over the batch
            rank => self.push(Op::Mean { axes: (0..rank).collect(), keep: false }, vec![x], Vec::new()),
        }
    }

    /// The sum of each sample.
    pub fn sum(&mut self, x: Value) -> Value {
        match self.dims(x).len() {
            0 => x,
            rank => self.push(Op::Sum { axes: (0..rank).collect(), keep: false }, vec![x], Vec::new()),
        }
    }

    /// The sum over the last axis.
    pub fn sum_of_last(&mut self, x: Value) -> Value {
        let mut dims = self.dims(x).to_vec();
        let Some(axis) = dims.len().checked_sub(1) else { return x };
        dims.pop();
        self.push(Op::Sum { axes: vec![axis], keep: false }, vec![x], dims)
    }

    /// The mean over all axes of a sample, which stay with length 1.
    pub fn mean_keeping(&mut self, x: Value) -> Value {
        let rank = self.dims(x).len();
        if rank == 0 {
            return x;
        }
        self.push(Op::Mean { axes: (0..rank).collect(), keep: true }, vec![x], vec![1; rank])
    }

    /// The mean over channels: `(C, H, W)` to `(1, H, W)`; other samples stay.
    pub fn mean_of_channels(&mut self, x: Value) -> Value {
        let &[_, height, width] = self.dims(x) else { return x };
        self.push(Op::Mean { axes: vec![0], keep: true }, vec![x], vec![1, height, width])
    }

    /// To samples of the shape `dims`.
    ///
    /// # Errors
    /// If they hold another number of numbers.
    pub fn reshape(&mut self, x: Value, dims: &[usize]) -> Result<Value> {
        if self.dims(x) == dims {
            return Ok(x);
        }
        shapes::expect("reshape", dims.iter().product(), self.dims(x).iter().product())?;
        Ok(self.push(Op::Reshape, vec![x], dims.to_vec()))
    }

    /// To samples that are rows.
    ///
    /// # Errors
    /// None in practice.
    pub fn flatten(&mut self, x: Value) -> Result<Value> {
        let n = self.dims(x).iter().product();
        self.reshape(x, &[n])
    }

    /// The positions `start..start + len` of an axis.
    ///
    /// # Errors
    /// If there are fewer.
    pub fn narrow(&mut self, x: Value, axis: usize, start: usize, len: usize) -> Result<Value> {
        let mut dims = self.dims(x).to_vec();
        match dims.get_mut(axis) {
            Some(size) if *size >= start + len => *size = len,
            size => return Err(shapes::wrong("narrow", start + len, format!("{size:?}"))),
        }
        Ok(self.push(Op::Narrow { axis, start, len }, vec![x], dims))
    }

    /// The matrix product of the last two axes, the others broadcast. One of the two is a constant matrix.
    ///
    /// # Errors
    /// If the sizes do not go together.
    pub fn matmul(&mut self, a: Value, b: Value) -> Result<Value> {
        let (left, right) = (self.full(a), self.full(b));
        let (&[.., rows, inner], &[.., other, columns]) = (left.as_slice(), right.as_slice()) else {
            return Err(shapes::wrong("matrix product", 2, format!("{left:?} {right:?}")));
        };
        shapes::expect("matrix product", inner, other)?;
        let longer = if left.len() >= right.len() { &left } else { &right };
        let mut dims = longer.clone();
        let rank = dims.len();
        (dims[rank - 2], dims[rank - 1]) = (rows, columns);
        if self.nodes[a.0].batched || self.nodes[b.0].batched {
            dims.remove(0);
        }
        Ok(self.push(Op::MatMul, vec![a, b], dims))
    }

    /// The shape with the batch, whose size stands as 1.
    fn full(&self, value: Value) -> Vec<usize> {
        let node = &self.nodes[value.0];
        let batch = node.batched.then_some(1);
        batch.into_iter().chain(node.dims.iter().copied()).collect()
    }

    /// The same numbers in another type.
    pub fn cast(&mut self, x: Value, to: Numbers) -> Value {
        let dims = self.dims(x).to_vec();
        self.push(Op::Cast(to), vec![x], dims)
    }
}

#[cfg(test)]
mod tests;
