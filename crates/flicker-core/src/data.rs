//! Stand-in until the data module lands.
#![allow(missing_docs)]
use crate::{Result, SampleShape};
use candle_core::{Device, Tensor};
pub trait Source: Send + Sync {
    fn len(&self) -> usize;
    fn is_empty(&self) -> bool {
        self.len() == 0
    }
    fn shape(&self) -> SampleShape;
    fn read(&self, index: usize, out: &mut [f32]) -> Result<()>;
    fn id(&self, index: usize) -> String;
}
pub fn tensor(source: &dyn Source, indices: &[usize], device: &Device) -> Result<Tensor> {
    let n = source.shape().elements();
    let mut values = vec![0f32; n * indices.len()];
    for (out, &index) in values.chunks_mut(n).zip(indices) {
        source.read(index, out)?;
    }
    Ok(Tensor::from_vec(values, source.shape().batch_dims(indices.len()), device)?)
}
pub fn batches(order: &[usize], n: usize) -> impl Iterator<Item = &[usize]> {
    order.chunks_exact(n)
}
pub fn chunks(order: &[usize], n: usize) -> impl Iterator<Item = &[usize]> {
    order.chunks(n)
}
pub struct Samples {
    pub shape: SampleShape,
    pub values: Vec<f32>,
}
impl Samples {
    pub fn new(shape: SampleShape, values: Vec<f32>) -> Result<Self> {
        Ok(Self { shape, values })
    }
}
impl Source for Samples {
    fn len(&self) -> usize {
        self.values.len() / self.shape.elements()
    }
    fn shape(&self) -> SampleShape {
        self.shape
    }
    fn read(&self, index: usize, out: &mut [f32]) -> Result<()> {
        let n = self.shape.elements();
        out.copy_from_slice(&self.values[index * n..(index + 1) * n]);
        Ok(())
    }
    fn id(&self, index: usize) -> String {
        index.to_string()
    }
}
