//! Fast CPU operators with right gradients.
