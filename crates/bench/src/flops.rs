//! Counting the operations of a step from shapes; a multiply-add is two.

/// The floating-point operations of a network's products, a number for each layer in the order of the forward pass. Each of
/// a layer's two gradients takes as many as its forward pass.
#[derive(Clone, Debug, Default)]
pub(crate) struct Products(Vec<f64>);

impl Products {
    /// A linear map of `(rows, inputs)` to `(rows, outputs)`.
    pub(crate) fn linear(&mut self, rows: usize, inputs: usize, outputs: usize) {
        self.0.push(2.0 * (rows * inputs * outputs) as f64);
    }

    /// A convolution to `batch` maps of `size`², or a transposed one from them: each pixel of theirs meets the whole kernel.
    pub(crate) fn conv(&mut self, batch: usize, [c, c_out]: [usize; 2], kernel: usize, size: usize) {
        self.linear(batch * size * size, c * kernel * kernel, c_out);
    }

    /// The forward pass; also all gradients by weights, and all gradients by inputs.
    pub(crate) fn all(&self) -> f64 {
        self.0.iter().sum()
    }

    /// The first layer's forward pass, whose gradient by the input is not needed where the input is data.
    pub(crate) fn first(&self) -> f64 {
        self.0.first().copied().unwrap_or(0.0)
    }

    /// The last layer's forward pass.
    pub(crate) fn last(&self) -> f64 {
        self.0.last().copied().unwrap_or(0.0)
    }

    /// Forward pass and all gradients of a network that is trained on data.
    pub(crate) fn trained(&self) -> f64 {
        3.0 * self.all() - self.first()
    }
}
