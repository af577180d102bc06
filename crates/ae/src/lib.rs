//! Autoencoders that score a sample by its reconstruction error.
