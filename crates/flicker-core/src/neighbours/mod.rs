//! Exact nearest neighbours among training rows, and the local outlier factor: what the classical detectors work with, and what
//! other families may ask of their latents.

mod index;
mod outlier_factor;

pub use index::{Index, Neighbour, enough};
pub use outlier_factor::OutlierFactor;
