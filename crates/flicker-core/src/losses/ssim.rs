//! Structural similarity: Wang, Bovik, Sheikh and Simoncelli, 2004 (<https://doi.org/10.1109/TIP.2003.819861>). Equation
//! numbers refer to it.

use super::{require_same_shape, sample_means, shape};
use crate::graph::{Binary, Graph, Value};
use crate::{Error, Result};
use candle_core::{Device, Tensor};

/// Side of the Gaussian window.
const WINDOW: usize = 11;
/// Standard deviation of the window, in pixels.
const SIGMA: f64 = 1.5;
/// K₁ of the stabilising constant C₁ = (K₁ L)².
const K1: f64 = 0.01;
/// K₂ of the stabilising constant C₂ = (K₂ L)².
const K2: f64 = 0.03;

/// The loss `1 - SSIM`, averaged over the batch: a scalar, 0 for equal images, at most 2.
///
/// `data_range` is L, the difference of the largest and the smallest value that a pixel can have: 1 for images in
/// `[0, 1]`, 2 for `[-1, 1]`.
///
/// # Errors
/// If the images are not `(B, C, H, W)`, differ in shape, or have a side below 11; if `data_range` is not positive.
pub fn ssim(x: &Tensor, y: &Tensor, data_range: f64) -> Result<Tensor> {
    Ok((1.0 - transposed_map(x, y, data_range)?.mean_all()?)?)
}

/// The loss `1 - SSIM` of each sample: `(B)`. The rest is as in [`ssim`].
///
/// # Errors
/// As [`ssim`].
pub fn ssim_per_sample(x: &Tensor, y: &Tensor, data_range: f64) -> Result<Tensor> {
    Ok((1.0 - sample_means(&transposed_map(x, y, data_range)?)?)?)
}

/// The similarity (not the loss) at each place where the window fits: `(B, C, H - 10, W - 10)`.
///
/// # Errors
/// As [`ssim`].
pub fn ssim_map(x: &Tensor, y: &Tensor, data_range: f64) -> Result<Tensor> {
    Ok(transposed_map(x, y, data_range)?.transpose(2, 3)?.contiguous()?)
}

/// Equation 13, as `(B, C, W - 10, H - 10)`.
fn transposed_map(x: &Tensor, y: &Tensor, data_range: f64) -> Result<Tensor> {
    require_images(x, y, data_range)?;
    let (c1, c2) = ((K1 * data_range).powi(2), (K2 * data_range).powi(2));
    // One product for all five local means.
    let planes = Tensor::stack(&[x, y, &x.sqr()?, &y.sqr()?, &(x * y)?], 0)?; // (5, B, C, H, W)
    let means = local_means(&planes)?; // (5, B, C, W - 10, H - 10)
    let plane = |i: usize| means.get(i);
    let (mean_x, mean_y) = (plane(0)?, plane(1)?);
    let (square_x, square_y, mean_xy) = (mean_x.sqr()?, mean_y.sqr()?, (&mean_x * &mean_y)?);
    let squares = (square_x + square_y)?;
    let variances = ((plane(2)? + plane(3)?)? - &squares)?;
    let covariance = (plane(4)? - &mean_xy)?;
    let similar = (((mean_xy * 2.0)? + c1)? * ((covariance * 2.0)? + c2)?)?;
    let largest = ((squares + c1)? * (variances + c2)?)?;
    Ok((similar / largest)?)
}

/// [`ssim_map`] in a graph: `(C, H - 10, W - 10)` of each sample.
///
/// # Errors
/// If the values are no images, differ in shape, or have a side below 11.
pub fn describe_ssim(graph: &mut Graph, x: Value, y: Value, data_range: f64) -> Result<Value> {
    let &[_, height, width] = graph.dims(x) else {
        let found = format!("{:?}", graph.dims(x));
        return Err(Error::Shape { what: "ssim".into(), expected: "(C, H, W)".into(), found });
    };
    let like = Tensor::zeros((), candle_core::DType::F32, &Device::Cpu)?;
    let (down, across) = (band(height, &like)?.t()?.contiguous()?, band(width, &like)?);
    let means = |graph: &mut Graph, a, b| -> Result<Value> {
        let product = graph.binary(Binary::Mul, a, b)?;
        graph.resample(product, &down, &across)
    };
    let (square_x, square_y, product) = (means(graph, x, x)?, means(graph, y, y)?, means(graph, x, y)?);
    let (mean_x, mean_y) = (graph.resample(x, &down, &across)?, graph.resample(y, &down, &across)?);
    let mean_xy = graph.binary(Binary::Mul, mean_x, mean_y)?;
    let mean_xx = graph.binary(Binary::Mul, mean_x, mean_x)?;
    let mean_yy = graph.binary(Binary::Mul, mean_y, mean_y)?;
    let squares = graph.binary(Binary::Add, mean_xx, mean_yy)?;
    let variances = graph.binary(Binary::Add, square_x, square_y)?;
    let variances = graph.binary(Binary::Sub, variances, squares)?;
    let covariance = graph.binary(Binary::Sub, product, mean_xy)?;
    let (c1, c2) = ((K1 * data_range).powi(2), (K2 * data_range).powi(2));
    let (a, b) = (graph.affine_by(mean_xy, 2.0, c1)?, graph.affine_by(covariance, 2.0, c2)?);
    let similar = graph.binary(Binary::Mul, a, b)?;
    let (a, b) = (graph.affine_by(squares, 1.0, c1)?, graph.affine_by(variances, 1.0, c2)?);
    let largest = graph.binary(Binary::Mul, a, b)?;
    graph.binary(Binary::Div, similar, largest)
}

/// Means under the Gaussian window where it fits, equation 14: `(…, H, W)` to `(…, W - 10, H - 10)`.
///
/// The window is a product of two one-dimensional ones, and each of these is a product with a band matrix: both run on
/// the fast matrix product and have its gradients.
fn local_means(planes: &Tensor) -> Result<Tensor> {
    let dims = planes.dims();
    let (&[height, width], outer) = (&[dims[dims.len() - 2], dims[dims.len() - 1]], &dims[..dims.len() - 2]);
    let n: usize = outer.iter().product();
    let (rows, columns) = (height + 1 - WINDOW, width + 1 - WINDOW);
    let across = band(width, planes)?; // (W, W - 10)
    let down = band(height, planes)?; // (H, H - 10)
    let means = planes.reshape((n * height, width))?.matmul(&across)?; // (N·H, W - 10)
    let means = means.reshape((n, height, columns))?.transpose(1, 2)?.contiguous()?; // (N, W - 10, H)
    let means = means.reshape((n * columns, height))?.matmul(&down)?; // (N·(W - 10), H - 10)
    let mut dims = outer.to_vec();
    dims.extend([columns, rows]);
    Ok(means.reshape(dims)?)
}

/// The matrix `(size, size - 10)` whose column j holds the window's weights in rows j to j + 10, in the type and on the
/// device of `like`.
fn band(size: usize, like: &Tensor) -> Result<Tensor> {
    let weights = window();
    let columns = size + 1 - WINDOW;
    let mut values = vec![0.0; size * columns];
    for column in 0..columns {
        for (offset, weight) in weights.iter().enumerate() {
            values[(column + offset) * columns + column] = *weight;
        }
    }
    let band = Tensor::from_vec(values, (size, columns), &Device::Cpu)?;
    Ok(band.to_dtype(like.dtype())?.to_device(like.device())?)
}

/// The one-dimensional Gaussian, of sum 1.
fn window() -> [f64; WINDOW] {
    let centre = (WINDOW / 2) as f64;
    let weights: [f64; WINDOW] =
        std::array::from_fn(|i| (-(i as f64 - centre).powi(2) / (2.0 * SIGMA * SIGMA)).exp());
    let sum: f64 = weights.iter().sum();
    weights.map(|weight| weight / sum)
}

fn require_images(x: &Tensor, y: &Tensor, data_range: f64) -> Result<()> {
    if !(data_range.is_finite() && data_range > 0.0) {
        return Err(Error::config("data_range", format!("{data_range} is not a positive number")));
    }
    match x.dims() {
        &[_, _, height, width] if height >= WINDOW && width >= WINDOW => require_same_shape("ssim", x, y),
        _ => Err(shape("ssim", format!("(B, C, H, W) with H and W at least {WINDOW}"), x)),
    }
}
