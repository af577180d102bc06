//! The messages of the format, shorter.

use crate::{Error, Result};
use candle_core::{DType, Device, Tensor};
use tract_onnx::pb::attribute_proto::AttributeType;
use tract_onnx::pb::tensor_proto::DataType;
use tract_onnx::pb::tensor_shape_proto::{Dimension, dimension};
use tract_onnx::pb::{
    AttributeProto, NodeProto, TensorProto, TensorShapeProto, TypeProto, ValueInfoProto, type_proto,
};

/// The axis of samples in the shapes of inputs and outputs.
const BATCH: &str = "N";

/// An operator with its inputs and its one output.
pub(crate) fn node(op: &str, inputs: &[&str], output: &str, attribute: Vec<AttributeProto>) -> NodeProto {
    NodeProto {
        op_type: op.into(),
        name: output.into(),
        input: inputs.iter().map(ToString::to_string).collect(),
        output: vec![output.into()],
        attribute,
        ..NodeProto::default()
    }
}

fn attribute(name: &str, kind: AttributeType) -> AttributeProto {
    AttributeProto { name: name.into(), r#type: kind.into(), ..AttributeProto::default() }
}

pub(crate) fn int(name: &str, i: i64) -> AttributeProto {
    AttributeProto { i, ..attribute(name, AttributeType::Int) }
}

pub(crate) fn float(name: &str, f: f64) -> AttributeProto {
    AttributeProto { f: f as f32, ..attribute(name, AttributeType::Float) }
}

pub(crate) fn text(name: &str, s: &str) -> AttributeProto {
    AttributeProto { s: s.into(), ..attribute(name, AttributeType::String) }
}

pub(crate) fn ints(name: &str, values: &[usize]) -> AttributeProto {
    let ints = values.iter().map(|&value| value as i64).collect();
    AttributeProto { ints, ..attribute(name, AttributeType::Ints) }
}

/// A tensor of whole numbers.
pub(crate) fn whole_numbers(name: &str, values: &[i64]) -> TensorProto {
    TensorProto {
        name: name.into(),
        dims: vec![values.len() as i64],
        data_type: DataType::Int64.into(),
        raw_data: values.iter().flat_map(|value| value.to_le_bytes()).collect(),
        ..TensorProto::default()
    }
}

/// A tensor of f32 or f64.
pub(crate) fn tensor(name: &str, tensor: &Tensor) -> Result<TensorProto> {
    let values = tensor.to_device(&Device::Cpu)?.flatten_all()?;
    let (data_type, raw_data) = match values.dtype() {
        DType::F32 => {
            let bytes = values.to_vec1::<f32>()?.iter().flat_map(|value| value.to_le_bytes()).collect();
            (DataType::Float, bytes)
        }
        DType::F64 => {
            let bytes = values.to_vec1::<f64>()?.iter().flat_map(|value| value.to_le_bytes()).collect();
            (DataType::Double, bytes)
        }
        other => return Err(Error::Format(format!("tensor `{name}`: expected f32 or f64, found {other:?}"))),
    };
    let dims = tensor.dims().iter().map(|&size| size as i64).collect();
    Ok(TensorProto {
        name: name.into(),
        dims,
        data_type: data_type.into(),
        raw_data,
        ..TensorProto::default()
    })
}

/// What an input or output is: its name, its type, and the shape of one sample.
pub(crate) fn value_info(name: &str, kind: DataType, dims: &[usize], said: &str) -> ValueInfoProto {
    let dimension = |value| Dimension { value: Some(value), ..Dimension::default() };
    let batch = dimension(dimension::Value::DimParam(BATCH.into()));
    let rest = dims.iter().map(|&size| dimension(dimension::Value::DimValue(size as i64)));
    let shape = TensorShapeProto { dim: std::iter::once(batch).chain(rest).collect() };
    let tensor = type_proto::Tensor { elem_type: kind.into(), shape: Some(shape) };
    ValueInfoProto {
        name: name.into(),
        doc_string: said.into(),
        r#type: Some(TypeProto {
            value: Some(type_proto::Value::TensorType(tensor)),
            ..TypeProto::default()
        }),
    }
}
