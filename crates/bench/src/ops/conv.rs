//! Each pass of the convolutions of DCGAN and GANomaly, of the U-Net, and of one image alone: `LAYER/PASS`.

use super::numbers;
use crate::Workload;
use candle_core::{Device, Tensor};
use flicker_core::Result;
use flicker_kernels::{ConvSpec, conv_transpose2d, conv2d, conv2d_weight_grad};

/// A convolution as it occurs in a network. The name says where, channels in and out, the side and step of the kernel where they
/// are not the network's usual ones, and the size of the image.
struct Layer {
    name: &'static str,
    batch: usize,
    channels: [usize; 2],
    size: usize,
    kernel: usize,
    stride: usize,
    padding: usize,
}

const fn layer(
    name: &'static str,
    batch: usize,
    channels: [usize; 2],
    size: usize,
    [kernel, stride, padding]: [usize; 3],
) -> Layer {
    Layer { name, batch, channels, size, kernel, stride, padding }
}

const LAYERS: [Layer; 19] = [
    layer("gan-1-64@32", 64, [1, 64], 32, [4, 2, 1]),
    layer("gan-64-128@16", 64, [64, 128], 16, [4, 2, 1]),
    layer("gan-128-256@8", 64, [128, 256], 8, [4, 2, 1]),
    layer("gan-256-1@4", 64, [256, 1], 4, [4, 1, 0]),
    layer("gan-256-100@4", 64, [256, 100], 4, [4, 1, 0]),
    layer("unet-1-32@32", 16, [1, 32], 32, [3, 1, 1]),
    layer("unet-32-32@32", 16, [32, 32], 32, [3, 1, 1]),
    layer("unet-64-32@32", 16, [64, 32], 32, [3, 1, 1]),
    layer("unet-64-32k1@32", 16, [64, 32], 32, [1, 1, 0]),
    layer("unet-32-32s2@32", 16, [32, 32], 32, [3, 2, 1]),
    layer("unet-64-64@16", 16, [64, 64], 16, [3, 1, 1]),
    layer("unet-128-64@16", 16, [128, 64], 16, [3, 1, 1]),
    layer("unet-128-128@8", 16, [128, 128], 8, [3, 1, 1]),
    layer("unet-128-128k1@8", 16, [128, 128], 8, [1, 1, 0]),
    layer("unet-32-1@32", 16, [32, 1], 32, [3, 1, 1]),
    layer("one-1-64@32", 1, [1, 64], 32, [4, 2, 1]),
    layer("one-64-128@16", 1, [64, 128], 16, [4, 2, 1]),
    layer("one-128-256@8", 1, [128, 256], 8, [4, 2, 1]),
    layer("one-256-100@4", 1, [256, 100], 4, [4, 1, 0]),
];

/// Forward, gradient by the input (the transposed convolution), gradient by the weights.
const PASSES: [&str; 3] = ["forward", "input", "weight"];

pub(super) fn names() -> Vec<String> {
    LAYERS.iter().flat_map(|layer| PASSES.map(|pass| format!("{}/{pass}", layer.name))).collect()
}

pub(super) fn workload(name: &str, device: &Device) -> Result<Workload> {
    let found = name.split_once('/').and_then(|(layer, pass)| {
        Some((LAYERS.iter().find(|known| known.name == layer)?, PASSES.iter().position(|p| *p == pass)?))
    });
    let Some((&Layer { batch, channels: [c, c_out], size, kernel: k, stride, padding, .. }, pass)) = found
    else {
        return Err(crate::unknown(&format!("op:{name}")));
    };
    let spec = ConvSpec::square(stride, padding);
    let x = numbers(&[batch, c, size, size], device)?;
    let w = numbers(&[c_out, c, k, k], device)?;
    let y = conv2d(&x, &w, &spec)?;
    let dy = numbers(y.dims(), device)?;
    let flops = 2.0 * (y.elem_count() * c * k * k) as f64;
    // What a stride leaves over at the image's end.
    let rest = size + 2 * padding - (dy.dim(2)? - 1) * stride - k;
    let run = move || -> candle_core::Result<Tensor> {
        match pass {
            0 => conv2d(&x, &w, &spec),
            1 => conv_transpose2d(&dy, &w, &spec, (rest, rest)),
            _ => conv2d_weight_grad(&x, &dy, (k, k), &spec),
        }
    };
    Ok(Workload::new(Some(flops), move || Ok(run()?)))
}
