//! From a graph to the bytes of a file.

use crate::message::{node, tensor, value_info};
use crate::operators::{OPERATORS, Written};
use crate::{Error, Result};
use flicker_core::graph::{Decided, Graph, Op, Value};
use prost::Message;
use std::collections::{HashMap, HashSet};
use tract_onnx::pb::tensor_proto::DataType;
use tract_onnx::pb::{GraphProto, ModelProto, OperatorSetIdProto, StringStringEntryProto};

/// The version of the file format that goes with the operators.
const FORMAT: i64 = 8;
/// A message of this size or more is read by nobody.
const MOST_BYTES: usize = i32::MAX as usize;
/// The name of the samples.
pub(crate) const SAMPLES: &str = "samples";

/// Which values of a graph are given out.
#[derive(Clone, Copy, Debug)]
pub struct Outputs {
    /// `score`.
    pub score: Value,
    /// `p_value`, `normalised` and `is_abnormal`.
    pub decided: Option<Decided>,
    /// `anomaly_map`.
    pub map: Option<Value>,
}

/// What is said of a model in its file.
#[derive(Clone, Debug, Default)]
pub struct About {
    /// What it is called.
    pub name: String,
    /// The version of the program that wrote it.
    pub version: String,
    /// What the samples are, in words.
    pub samples: String,
    /// Anything else, by name.
    pub metadata: Vec<(String, String)>,
}

impl Outputs {
    /// Names, values, types, and what they are.
    fn list(&self) -> Vec<(&'static str, Value, DataType, &'static str)> {
        let mut list = vec![("score", self.score, DataType::Float, "higher is more abnormal")];
        if let Some(Decided { p_value, normalised, abnormal }) = self.decided {
            list.push(("p_value", p_value, DataType::Float, "conformal, by the validation normals"));
            let said = "the score between 0 and 1, above 0.5 where it is above the threshold";
            list.push(("normalised", normalised, DataType::Float, said));
            list.push(("is_abnormal", abnormal, DataType::Bool, "whether the score is above the threshold"));
        }
        if let Some(map) = self.map {
            list.push(("anomaly_map", map, DataType::Float, "how abnormal each pixel or feature is"));
        }
        list
    }
}

/// The bytes of an ONNX file that carries out `graph`, from its input to `outputs`.
///
/// # Errors
/// If the weights cannot be copied to the host, or are more than a file can hold.
pub fn encode(graph: &Graph, outputs: &Outputs, about: &About) -> Result<Vec<u8>> {
    let list = outputs.list();
    let names = names(graph, &list.iter().map(|(name, value, ..)| (*value, *name)).collect());
    let (mut written, mut initializer, mut input) = (Written::default(), Vec::new(), Vec::new());
    for (of, name) in graph.nodes().iter().zip(&names) {
        match &of.op {
            Op::Input => input.push(value_info(name, DataType::Float, &of.dims, &about.samples)),
            Op::Constant { tensor: numbers, .. } => initializer.push(tensor(name, numbers)?),
            _ => {
                let inputs: Vec<&str> = of.inputs.iter().map(|input| names[input.index()].as_str()).collect();
                written.add(of, &inputs, name);
            }
        }
    }
    // What comes in or is known may be given out too, and a value may be so twice.
    for (name, value, ..) in &list {
        if names[value.index()] != *name {
            written.nodes.push(node("Identity", &[&names[value.index()]], name, Vec::new()));
        }
    }
    initializer.extend(written.numbers);
    let output =
        list.iter().map(|(name, value, kind, said)| value_info(name, *kind, graph.dims(*value), said));
    let name = if about.name.is_empty() { "detector" } else { &about.name };
    let model = ModelProto {
        ir_version: FORMAT,
        opset_import: vec![OperatorSetIdProto { domain: String::new(), version: OPERATORS }],
        producer_name: "flicker".into(),
        producer_version: about.version.clone(),
        doc_string: about.samples.clone(),
        graph: Some(GraphProto {
            name: name.into(),
            node: written.nodes,
            initializer,
            input,
            output: output.collect(),
            ..GraphProto::default()
        }),
        metadata_props: about
            .metadata
            .iter()
            .map(|(key, value)| StringStringEntryProto { key: key.clone(), value: value.clone() })
            .collect(),
        ..ModelProto::default()
    };
    let size = model.encoded_len();
    if size >= MOST_BYTES {
        return Err(Error::Format(format!("the model takes {size} bytes, expected fewer than {MOST_BYTES}")));
    }
    Ok(model.encode_to_vec())
}

/// A name for each value, no two the same: those of the outputs, of the weights, and otherwise the place.
fn names(graph: &Graph, outputs: &HashMap<Value, &'static str>) -> Vec<String> {
    let given: HashMap<usize, &str> = outputs.iter().map(|(value, name)| (value.index(), *name)).collect();
    let mut taken: HashSet<String> =
        given.values().map(ToString::to_string).chain([SAMPLES.to_string()]).collect();
    let mut name = |(at, op): (usize, &Op)| match (op, given.get(&at)) {
        (Op::Input, _) => SAMPLES.to_string(),
        (Op::Constant { name, .. }, _) if !name.is_empty() && taken.insert(name.clone()) => name.clone(),
        (Op::Constant { .. }, _) => format!("constant.{at}"),
        (_, Some(name)) => name.to_string(),
        (_, None) => format!("value.{at}"),
    };
    graph.nodes().iter().map(|node| &node.op).enumerate().map(&mut name).collect()
}
