//! Fast CPU operators with right gradients.

mod ops;
pub use ops::*;
