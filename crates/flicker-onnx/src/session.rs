//! A file carried out: what an exported model says of samples, by tract.

use crate::encode::SAMPLES;
use crate::{Error, Result};
use std::io::Cursor;
use tract_onnx::pb::ModelProto;
use tract_onnx::pb::tensor_shape_proto::dimension;
use tract_onnx::pb::type_proto;
use tract_onnx::prelude::*;

/// A model that was read, for samples of its shape.
pub struct Session {
    proto: ModelProto,
    /// Of one sample.
    dims: Vec<usize>,
    names: Vec<String>,
    /// For the number of samples that it was prepared for last.
    plan: Option<(usize, Plan)>,
}

type Plan = Arc<TypedRunnableModel>;

/// What a model says of a batch of `N` samples.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Answers {
    /// `(N)`.
    pub score: Vec<f32>,
    /// `(N)`, or empty.
    pub p_value: Vec<f32>,
    /// `(N)`, or empty.
    pub normalised: Vec<f32>,
    /// `(N)`, or empty.
    pub is_abnormal: Vec<bool>,
    /// One sample after the other, or empty.
    pub anomaly_map: Vec<f32>,
}

impl Session {
    /// Reads the bytes of a file as [`encode`](crate::encode) writes them.
    ///
    /// # Errors
    /// If they are no such file.
    pub fn read(bytes: &[u8]) -> Result<Self> {
        let proto = onnx().proto_model_for_read(&mut Cursor::new(bytes)).map_err(refused)?;
        let graph = proto.graph.as_ref().ok_or_else(|| Error::Format("the file has no graph".into()))?;
        let input = graph.input.iter().find(|input| input.name == SAMPLES);
        let shape = input.and_then(|input| match input.r#type.as_ref()?.value.as_ref()? {
            type_proto::Value::TensorType(tensor) => tensor.shape.as_ref(),
        });
        let shape = shape.ok_or_else(|| Error::Format(format!("the file has no input `{SAMPLES}`")))?;
        let size = |dim: &tract_onnx::pb::tensor_shape_proto::Dimension| match dim.value {
            Some(dimension::Value::DimValue(size)) => Ok(size as usize),
            _ => Err(Error::Format(format!("`{SAMPLES}` has more than one open axis"))),
        };
        let dims = shape.dim.iter().skip(1).map(size).collect::<Result<_>>()?;
        let names = graph.output.iter().map(|output| output.name.clone()).collect();
        Ok(Self { proto, dims, names, plan: None })
    }

    /// What the model says of `samples`, one after the other.
    ///
    /// # Errors
    /// If they are no whole number of samples, or the runtime refuses the model.
    pub fn run(&mut self, samples: &[f32]) -> Result<Answers> {
        let size: usize = self.dims.iter().product();
        let n = samples.len().checked_div(size).filter(|n| n * size == samples.len() && *n > 0);
        let n = n.ok_or_else(|| {
            Error::Runtime(format!("{} numbers are no samples of {:?}", samples.len(), self.dims))
        })?;
        let shape: Vec<usize> = std::iter::once(n).chain(self.dims.iter().copied()).collect();
        let plan = self.plan(n, &shape)?;
        let input = Tensor::from_shape(&shape, samples).map_err(refused)?;
        let outputs = plan.run(tvec!(input.into_tvalue())).map_err(refused)?;
        let mut answers = Answers::default();
        for (name, output) in self.names.iter().zip(outputs) {
            answers.take(name, &output)?;
        }
        Ok(answers)
    }

    fn plan(&mut self, n: usize, shape: &[usize]) -> Result<Plan> {
        if let Some((prepared, plan)) = &self.plan
            && *prepared == n
        {
            return Ok(plan.clone());
        }
        // As it stands in the file, not optimised: tract 0.23 then gives wrong numbers for some networks (GANomaly's).
        let fact = InferenceFact::dt_shape(f32::datum_type(), shape);
        let plan = onnx()
            .model_for_proto_model(&self.proto)
            .and_then(|model| model.with_input_fact(0, fact)?.into_typed()?.into_runnable())
            .map_err(refused)?;
        self.plan = Some((n, plan.clone()));
        Ok(plan)
    }
}

impl Answers {
    fn take(&mut self, name: &str, output: &Tensor) -> Result<()> {
        let numbers = match name {
            "score" => &mut self.score,
            "p_value" => &mut self.p_value,
            "normalised" => &mut self.normalised,
            "anomaly_map" => &mut self.anomaly_map,
            "is_abnormal" => {
                self.is_abnormal = values(output)?;
                return Ok(());
            }
            _ => return Ok(()),
        };
        *numbers = values(output)?;
        Ok(())
    }
}

fn values<T: Datum + Copy>(tensor: &Tensor) -> Result<Vec<T>> {
    Ok(tensor.to_plain_array_view::<T>().map_err(refused)?.iter().copied().collect())
}

/// tract's words, with the causes.
fn refused(error: impl std::fmt::Display) -> Error {
    Error::Runtime(format!("{error:#}"))
}
