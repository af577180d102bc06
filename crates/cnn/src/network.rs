//! Convolutions, each with ReLU and a pooling, then two dense layers: `(B, C, H, W)` to two outputs `(B, 2)`.

use crate::Config;
use candle_core::Tensor;
use candle_nn::VarBuilder;
use flicker_core::Result;
use flicker_core::graph::{Graph, Value};
use flicker_core::nn::{Activation, Conv2d, ConvSpec, Linear, Window, max_pool2d};

/// The classes, in the order of the outputs.
pub(crate) const CLASSES: usize = 2;
/// Which output is the abnormal class.
pub(crate) const ABNORMAL: usize = 1;

/// The layers, in order.
#[derive(Clone, Debug)]
pub struct Network {
    convolutions: Vec<Conv2d>,
    window: Window,
    hidden: Linear,
    last: Linear,
}

impl Network {
    /// `sizes` are channels, height and width before the first convolution and after each pooling.
    pub(crate) fn new(config: &Config, sizes: &[(usize, usize, usize)], vb: &VarBuilder<'_>) -> Result<Self> {
        let plain = ConvSpec::square(1, 0);
        let convolutions = sizes
            .windows(2)
            .enumerate()
            .map(|(i, w)| Conv2d::new(w[0].0, w[1].0, config.kernel, plain, &vb.pp(format!("conv{i}"))));
        let flat = sizes.last().map_or(0, |&(channels, height, width)| channels * height * width);
        Ok(Self {
            convolutions: convolutions.collect::<Result<_>>()?,
            window: Window::square(config.pool, config.pool, 0),
            hidden: Linear::new(flat, config.hidden, Activation::Relu, &vb.pp("hidden"))?,
            last: Linear::new(config.hidden, CLASSES, Activation::None, &vb.pp("last"))?,
        })
    }

    /// The outputs `(B, 2)` for images `(B, C, H, W)`: normal, abnormal.
    ///
    /// # Errors
    /// If the shape is another.
    pub fn forward(&self, xs: &Tensor) -> Result<Tensor> {
        let mut xs = xs.clone();
        for convolution in &self.convolutions {
            xs = max_pool2d(&convolution.forward_then(&xs, Activation::Relu)?, self.window)?;
        }
        self.last.forward(&self.hidden.forward(&xs.flatten_from(1)?)?)
    }

    /// [`Network::forward`] in a graph.
    pub(crate) fn describe(&self, graph: &mut Graph, xs: Value) -> Result<Value> {
        let mut xs = xs;
        for convolution in &self.convolutions {
            let ys = convolution.describe(graph, xs)?;
            let ys = graph.activate(ys, Activation::Relu)?;
            xs = graph.max_pool(ys, self.window)?;
        }
        let xs = self.hidden.describe(graph, xs)?;
        self.last.describe(graph, xs)
    }
}
