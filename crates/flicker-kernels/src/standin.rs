//! Stand-in.
#![allow(missing_docs)]
use candle_core::{Result, Tensor, Var};
use serde::{Deserialize, Serialize};
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub enum Activation {
    None,
    Relu,
    LeakyRelu(f64),
    Silu,
    Tanh,
    Sigmoid,
}
pub fn activate(x: &Tensor, a: Activation) -> Result<Tensor> {
    match a {
        Activation::None => Ok(x.clone()),
        Activation::Relu => x.relu(),
        Activation::LeakyRelu(s) => candle_nn::ops::leaky_relu(x, s),
        Activation::Silu => x.silu(),
        Activation::Tanh => x.tanh(),
        Activation::Sigmoid => candle_nn::ops::sigmoid(x),
    }
}
pub fn add_bias(x: &Tensor, b: &Tensor) -> Result<Tensor> {
    x.broadcast_add(&b.reshape((1, b.dim(0)?, 1, 1))?)
}
pub fn linear(x: &Tensor, w: &Tensor, b: Option<&Tensor>, a: Activation) -> Result<Tensor> {
    let y = x.matmul(&w.t()?)?;
    activate(&if let Some(b) = b { y.broadcast_add(b)? } else { y }, a)
}
#[allow(clippy::too_many_arguments)]
pub fn batch_norm_train(
    x: &Tensor,
    g: &Tensor,
    b: &Tensor,
    rm: &Var,
    rv: &Var,
    momentum: f64,
    eps: f64,
    a: Activation,
) -> Result<Tensor> {
    let bn = candle_nn::BatchNorm::new_with_momentum(
        g.dim(0)?,
        rm.as_tensor().clone(),
        rv.as_tensor().clone(),
        g.clone(),
        b.clone(),
        eps,
        momentum,
    )?;
    activate(&bn.forward_train(x)?, a)
}
pub fn batch_norm_eval(
    x: &Tensor,
    g: &Tensor,
    b: &Tensor,
    rm: &Tensor,
    rv: &Tensor,
    eps: f64,
    a: Activation,
) -> Result<Tensor> {
    let sh = if x.rank() == 2 { vec![1, g.dim(0)?] } else { vec![1, g.dim(0)?, 1, 1] };
    let sc = (g / (rv.detach() + eps)?.sqrt()?)?;
    let sf = (b - (rm.detach() * &sc)?)?;
    activate(&x.broadcast_mul(&sc.reshape(&sh[..])?)?.broadcast_add(&sf.reshape(&sh[..])?)?, a)
}
pub fn group_norm(_: &Tensor, _: &Tensor, _: &Tensor, _: usize, _: f64, _: Activation) -> Result<Tensor> {
    candle_core::bail!("not yet")
}
pub fn layer_norm(_: &Tensor, _: &Tensor, _: &Tensor, _: f64, _: Activation) -> Result<Tensor> {
    candle_core::bail!("not yet")
}
