//! Shapes and names; what the operations compute is held against the models where both are known, in the tests of exports.

use super::*;
use crate::Rng;
use crate::nn::{Activation, BatchNorm, Conv2d, ConvTranspose2d, Linear, Mode};
use candle_core::Device;
use candle_nn::Init;

#[test]
fn shapes_are_those_that_the_layers_give() -> Result<()> {
    let weights = Weights::new(Rng::new(0), &Device::Cpu);
    let vb = weights.builder();
    let conv = Conv2d::new(2, 6, 3, ConvSpec::square(2, 1), &vb.pp("conv"))?;
    let norm = BatchNorm::new(6, 1e-5, Init::Const(1.0), Activation::Relu, &vb.pp("norm"))?;
    let up = ConvTranspose2d::new(6, 3, 4, ConvSpec::square(2, 1), (1, 0), &vb.pp("up"))?;
    let linear = Linear::new(3 * 9 * 12, 5, Activation::Tanh, &vb.pp("linear"))?;
    let mut graph = Graph::naming(&weights);
    let x = graph.input(&[2, 7, 11]);
    let (a, xs) = (conv.describe(&mut graph, x)?, Rng::new(1).randn((4, 2, 7, 11), &Device::Cpu)?);
    let ys = conv.forward(&xs)?;
    assert_eq!(graph.dims(a), &ys.dims()[1..]);
    let (b, ys) = (norm.describe(&mut graph, a)?, norm.forward(&ys, Mode::Evaluation)?);
    let (b, ys) = (up.describe(&mut graph, b)?, up.forward(&ys)?);
    assert_eq!(graph.dims(b), &ys.dims()[1..]);
    let c = linear.describe(&mut graph, b)?;
    assert_eq!(graph.dims(c), linear.forward(&ys.flatten_from(1)?)?.dims()[1..].to_vec());
    let constants = graph.nodes().iter().filter_map(|node| match &node.op {
        Op::Constant { name, .. } => Some(name.clone()),
        _ => None,
    });
    let (mut named, mut expected): (Vec<_>, Vec<_>) =
        (constants.collect(), weights.state()?.keys().cloned().collect());
    named.sort();
    expected.sort();
    assert_eq!(named, expected, "each variable once, by its name");
    Ok(())
}

#[test]
fn two_values_are_broadcast_like_their_batches() -> Result<()> {
    let mut graph = Graph::new();
    let x = graph.input(&[3, 4, 5]);
    let constant = |graph: &mut Graph, dims: &[usize]| {
        let tensor = Tensor::ones(dims, candle_core::DType::F32, &Device::Cpu)?;
        Ok::<_, crate::Error>(graph.constant("", &tensor))
    };
    let channels = constant(&mut graph, &[3, 1, 1])?;
    let y = graph.binary(Binary::Mul, x, channels)?;
    assert_eq!(graph.dims(y), [3, 4, 5]);
    let score = graph.mean(y);
    let normals = constant(&mut graph, &[7])?;
    let column = graph.reshape(score, &[1])?;
    let pairs = graph.binary(Binary::AtLeast, normals, column)?;
    assert_eq!(graph.dims(pairs), [7]);
    let wrong = constant(&mut graph, &[4, 1, 1])?;
    assert!(graph.binary(Binary::Add, x, wrong).is_err(), "other channels");
    assert!(graph.binary(Binary::Add, score, normals).is_err(), "a constant as long as no batch");
    assert!(graph.reshape(x, &[61]).is_err() && graph.narrow(x, 0, 2, 2).is_err());
    let rows = constant(&mut graph, &[6, 4])?;
    let product = graph.matmul(rows, x)?;
    assert_eq!(graph.dims(product), [3, 6, 5]);
    assert!(graph.matmul(x, rows).is_err());
    Ok(())
}
