//! AnoDDPM: partial diffusion with simplex noise (Wyatt et al. 2022); the noise by itself is in [`simplex`].

pub mod simplex;
