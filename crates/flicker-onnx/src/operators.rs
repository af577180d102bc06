//! Each operation of a graph as an operator of ONNX, version 17 of the set.

use crate::message::{float, int, ints, node, text, whole_numbers};
use flicker_core::graph::{Binary, Node, Numbers, Op, Unary};
use flicker_core::nn::{ConvSpec, Window};
use tract_onnx::pb::tensor_proto::DataType;
use tract_onnx::pb::{AttributeProto, NodeProto, TensorProto};

/// The version of the operators.
pub(crate) const OPERATORS: i64 = 17;

/// Operators and the numbers that they need besides their inputs.
#[derive(Default)]
pub(crate) struct Written {
    pub(crate) nodes: Vec<NodeProto>,
    pub(crate) numbers: Vec<TensorProto>,
}

impl Written {
    /// Adds what `of` does with the values called `inputs`; what it gives is called `output`. Inputs and constants do nothing.
    pub(crate) fn add(&mut self, of: &Node, inputs: &[&str], output: &str) {
        let (op, attributes) = match &of.op {
            Op::Input | Op::Constant { .. } => return,
            Op::Conv(spec) => ("Conv", conv(spec)),
            Op::ConvTranspose { spec, output_padding: (rows, columns) } => {
                let mut attributes = conv(spec);
                attributes.push(ints("output_padding", &[*rows, *columns]));
                ("ConvTranspose", attributes)
            }
            Op::BatchNorm { eps } => ("BatchNormalization", vec![float("epsilon", *eps)]),
            Op::MaxPool(window) => ("MaxPool", pool(window)),
            Op::AveragePool(window) => {
                let mut attributes = pool(window);
                attributes.push(int("count_include_pad", 1)); // as the kernels count
                ("AveragePool", attributes)
            }
            Op::Enlarge(times) => return self.enlarge(*times, inputs[0], output),
            Op::Linear => ("Gemm", vec![int("transB", 1)]),
            Op::MatMul => ("MatMul", Vec::new()),
            Op::Reshape => {
                let shape: Vec<i64> =
                    of.batched.then_some(0).into_iter().chain(of.dims.iter().map(|&d| d as i64)).collect();
                return self.with_numbers("Reshape", inputs[0], &[("shape", &shape)], output, Vec::new());
            }
            Op::Unary(function) => return self.unary(*function, inputs[0], output),
            Op::Binary(function) => (binary(*function), Vec::new()),
            Op::Sum { axes, keep } => {
                let axes: Vec<i64> = axes.iter().map(|&axis| axis as i64 + 1).collect();
                let attributes = vec![int("keepdims", i64::from(*keep))];
                return self.with_numbers("ReduceSum", inputs[0], &[("axes", &axes)], output, attributes);
            }
            Op::Mean { axes, keep } => {
                let axes: Vec<usize> = axes.iter().map(|axis| axis + 1).collect();
                ("ReduceMean", vec![ints("axes", &axes), int("keepdims", i64::from(*keep))])
            }
            Op::Narrow { axis, start, len } => {
                let (start, end, axis) = (*start as i64, (start + len) as i64, *axis as i64 + 1);
                let numbers: [(&str, &[i64]); 3] =
                    [("starts", &[start]), ("ends", &[end]), ("axes", &[axis])];
                return self.with_numbers("Slice", inputs[0], &numbers, output, Vec::new());
            }
            Op::PadEdge(border) => {
                let side = *border as i64;
                let pads = [0, 0, side, side, 0, 0, side, side];
                let mode = vec![text("mode", "edge")];
                return self.with_numbers("Pad", inputs[0], &[("pads", &pads)], output, mode);
            }
            Op::Cast(Numbers::F32) => ("Cast", vec![int("to", DataType::Float as i64)]),
            Op::Cast(Numbers::F64) => ("Cast", vec![int("to", DataType::Double as i64)]),
        };
        self.nodes.push(node(op, inputs, output, attributes));
    }

    /// An operator whose further inputs are whole numbers.
    fn with_numbers(
        &mut self,
        op: &str,
        x: &str,
        numbers: &[(&str, &[i64])],
        output: &str,
        attributes: Vec<AttributeProto>,
    ) {
        let names: Vec<String> = numbers.iter().map(|(name, _)| format!("{output}.{name}")).collect();
        for (name, (_, values)) in names.iter().zip(numbers) {
            self.numbers.push(whole_numbers(name, values));
        }
        let inputs: Vec<&str> = std::iter::once(x).chain(names.iter().map(String::as_str)).collect();
        self.nodes.push(node(op, &inputs, output, attributes));
    }

    /// Numbers of f32 of the shape `dims`, as a further input.
    fn floats(&mut self, name: String, dims: Vec<i64>, values: &[f32]) -> String {
        self.numbers.push(TensorProto {
            name: name.clone(),
            dims,
            data_type: DataType::Float.into(),
            raw_data: values.iter().flat_map(|value| value.to_le_bytes()).collect(),
            ..TensorProto::default()
        });
        name
    }

    fn enlarge(&mut self, times: usize, x: &str, output: &str) {
        let scales =
            self.floats(format!("{output}.scales"), vec![4], &[1.0, 1.0, times as f32, times as f32]);
        let attributes = vec![
            text("mode", "nearest"),
            text("coordinate_transformation_mode", "asymmetric"),
            text("nearest_mode", "floor"),
        ];
        self.nodes.push(node("Resize", &[x, "", &scales], output, attributes));
    }

    fn unary(&mut self, function: Unary, x: &str, output: &str) {
        let (op, attributes) = match function {
            Unary::Abs => ("Abs", Vec::new()),
            Unary::Exp => ("Exp", Vec::new()),
            Unary::Log => ("Log", Vec::new()),
            Unary::Sqrt => ("Sqrt", Vec::new()),
            Unary::Relu => ("Relu", Vec::new()),
            Unary::Tanh => ("Tanh", Vec::new()),
            Unary::Sigmoid => ("Sigmoid", Vec::new()),
            Unary::LeakyRelu(slope) => ("LeakyRelu", vec![float("alpha", slope)]),
            Unary::Clamp(low, high) => {
                let low = self.floats(format!("{output}.low"), Vec::new(), &[low]);
                let high = self.floats(format!("{output}.high"), Vec::new(), &[high]);
                self.nodes.push(node("Clip", &[x, &low, &high], output, Vec::new()));
                return;
            }
        };
        self.nodes.push(node(op, &[x], output, attributes));
    }
}

fn binary(function: Binary) -> &'static str {
    match function {
        Binary::Add => "Add",
        Binary::Sub => "Sub",
        Binary::Mul => "Mul",
        Binary::Div => "Div",
        Binary::Max => "Max",
        Binary::Min => "Min",
        Binary::Greater => "Greater",
        Binary::AtLeast => "GreaterOrEqual",
    }
}

fn conv(spec: &ConvSpec) -> Vec<AttributeProto> {
    let (rows, columns) = spec.padding;
    vec![
        ints("strides", &[spec.stride.0, spec.stride.1]),
        ints("pads", &[rows, columns, rows, columns]),
        ints("dilations", &[spec.dilation.0, spec.dilation.1]),
        int("group", spec.groups as i64),
    ]
}

fn pool(window: &Window) -> Vec<AttributeProto> {
    let (rows, columns) = window.padding;
    vec![
        ints("kernel_shape", &[window.kernel.0, window.kernel.1]),
        ints("strides", &[window.stride.0, window.stride.1]),
        ints("pads", &[rows, columns, rows, columns]),
    ]
}
