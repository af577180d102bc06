//! Pictures of samples as PNG: single ones for the gallery of the report, and grids (reconstructions, generated samples)
//! that are written while a model learns.
//!
//! A picture is a plain array of numbers in `[0, 1]`, channel first, as a sample is stored; small ones are enlarged by
//! whole factors without smoothing, so that every pixel of a digit can be seen.

mod gallery;
mod grid;
mod inferno;
mod overlay;
mod picture;

pub use gallery::{Contribution, Item, Strip, write_gallery, write_samples};
pub use grid::grid;
pub use picture::{Colours, Picture};

pub(crate) use gallery::{GalleryFile, ItemEntry, StripEntry};
pub(crate) use picture::shrink_png;
