//! GANomaly: encoder, decoder, encoder, scored by the distance of two latents.
