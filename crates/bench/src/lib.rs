//! The workloads that speed is measured by: training steps and forward passes of whole networks, and single operators.
//!
//! Each has a twin in PyTorch, in `peer/peer.py` beside this crate. `cargo xtask bench` runs both by turns; the program
//! of this crate answers it line by line ([`Session`]).
//!
//! Letters in shapes: B samples, C channels, H rows, W columns, F features.

mod classical;
mod dense;
mod families;
mod flops;
mod gan;
mod ops;
mod process;
mod session;
mod unet;

pub use session::Session;

use candle_core::{Device, Tensor};
use flicker_core::{Error, Result};

/// Something to time, set up and ready.
pub struct Workload {
    /// Floating-point operations of the convolutions and products of a step, counted from their shapes: the forward pass,
    /// and each gradient that is needed, once. Absent where there are none.
    pub flops: Option<f64>,
    step: Box<dyn FnMut() -> Result<Tensor>>,
}

impl Workload {
    pub(crate) fn new(flops: Option<f64>, step: impl FnMut() -> Result<Tensor> + 'static) -> Self {
        Self { flops, step: Box::new(step) }
    }

    /// Does it once. A training step answers with its loss before the update (the discriminator's, where there are
    /// several), a forward pass with what it gives, an operator's backward pass with the gradient of its first argument.
    ///
    /// # Errors
    /// If the device refuses an operation.
    pub fn step(&mut self) -> Result<Tensor> {
        (self.step)()
    }
}

/// Names of the networks' workloads.
pub const NETWORKS: [&str; 10] =
    ["ae65", "ae256", "dense65", "dense256", "dcgan", "ganomaly", "unet", "latent", "inf1", "inf256"];

/// Names of the classical detectors' workloads, whose twins are scikit-learn's. They are of the CPU alone.
pub const CLASSICAL: [&str; 3] = ["pca100k", "knn100k", "forest100k"];

/// Names of the workloads of whole families, on the numbers of the twins.
pub const FAMILIES: [&str; 11] = [
    "search1",
    "search65",
    "score-ganomaly1",
    "score-ganomaly256",
    "score-fanogan1",
    "score-fanogan256",
    "score-fanogan64px",
    "anoddpm32",
    "anoddpm64",
    "diffusion32",
    "diffusion64",
];

/// The workload that only a graphics card can do in a reasonable time.
pub const LARGE: &str = "unet256";

/// Every name that [`workload`] knows but [`LARGE`]: [`NETWORKS`], [`FAMILIES`], [`CLASSICAL`], then the operators, which start
/// with `op:`.
pub fn names() -> Vec<String> {
    let whole = NETWORKS.iter().chain(&FAMILIES).chain(&CLASSICAL);
    whole.map(ToString::to_string).chain(ops::names()).collect()
}

/// Sets the workload of this name up on `device`.
///
/// | name | what |
/// | --- | --- |
/// | `ae65`, `ae256` | a step of the autoencoder family (784 … 16 … 784, batch norm at both ends), batches of 65 and 256 |
/// | `dense65`, `dense256` | the same widths with batch norm after every hidden layer |
/// | `dcgan` | a step of both sides of DCGAN, 32×32, 64 channels, 64 images |
/// | `ganomaly` | a step of the GANomaly family at its published numbers, 32×32, 64 images |
/// | `unet` | a step of a U-Net (base 32, 8 groups, attention at 8×8), 32×32, 16 images |
/// | `unet256` | the same, base 128, 256×256, 8 images |
/// | `latent` | a step of AnoGAN's search for the latents of 65 images, all weights frozen |
/// | `inf1`, `inf256` | a forward pass of encoder and decoder, 1 and 256 images |
/// | `search65` | 10 of the 500 steps of AnoGAN's search (Zenati et al.'s networks and rates, 28×28) for 65 images at once |
/// | `search1` | 50 of the 500 steps for one image, as the references search: one by one |
/// | `score-ganomaly1`, `score-ganomaly256` | the scores of 1 and 256 images of 32×32, GANomaly as published |
/// | `score-fanogan1`, `score-fanogan256` | the scores of 1 and 256 images of 28×28, f-AnoGAN's dense networks |
/// | `score-fanogan64px` | the scores of 4 images of 64×64, f-AnoGAN's residual networks as published |
/// | `anoddpm32` | a training step of the AnoDDPM family's default, 32×32, 32 images |
/// | `anoddpm64` | a training step of its published network for 64×64 at a quarter of the channels, 4 images |
/// | `diffusion32` | 4 images of 32×32 to step 250 and back by every 25th step, the default of `anoddpm32`, Gaussian noise; as published all 250 steps are taken, which takes 25 times as long |
/// | `diffusion64` | the same for 2 images of 64×64 with the network of `anoddpm64` |
/// | `pca100k` | 16 principal components of 100,000 rows of 32, and the scores of all |
/// | `knn100k` | the fifth nearest of the same rows for 5,000 of them |
/// | `forest100k` | an isolation forest of the same rows (100 trees of 256), and the scores of all |
///
/// # Errors
/// If there is no such name, or the device refuses an operation.
pub fn workload(name: &str, device: &Device) -> Result<Workload> {
    match name {
        "ae65" => dense::family(65, device),
        "ae256" => dense::family(256, device),
        "dense65" => dense::normed(65, device),
        "dense256" => dense::normed(256, device),
        "dcgan" => gan::dcgan(device),
        "ganomaly" => gan::ganomaly(device),
        "unet" => unet::training(unet::Dims { batch: 16, size: 32, base: 32 }, device),
        LARGE => unet::training(unet::Dims { batch: 8, size: 256, base: 128 }, device),
        "search1" => families::search(1, 50, device),
        "search65" => families::search(65, 10, device),
        "score-ganomaly1" => families::ganomaly(1, device),
        "score-ganomaly256" => families::ganomaly(256, device),
        "score-fanogan1" => families::fanogan(1, device),
        "score-fanogan256" => families::fanogan(256, device),
        "score-fanogan64px" => families::fanogan_residual(4, device),
        "anoddpm32" => families::denoising(&families::small_diffusion(), 32, device),
        "anoddpm64" => families::denoising(&families::quarter_diffusion(), 64, device),
        "diffusion32" => families::partial_diffusion(&families::small_diffusion(), 4, 32, device),
        "diffusion64" => families::partial_diffusion(&families::quarter_diffusion(), 2, 64, device),
        "pca100k" => classical::pca(),
        "knn100k" => classical::knn(),
        "forest100k" => classical::forest(),
        "latent" => gan::latent_search(device),
        "inf1" => gan::inference(1, device),
        "inf256" => gan::inference(256, device),
        _ => match name.strip_prefix("op:") {
            Some(operator) => ops::workload(operator, device),
            None => Err(unknown(name)),
        },
    }
}

fn unknown(name: &str) -> Error {
    Error::config("workload", format!("there is no `{name}`; `list` says what there is"))
}
