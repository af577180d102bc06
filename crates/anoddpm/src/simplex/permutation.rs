//! The seeded permutation of 0 … 255 that picks the gradients.

/// OpenSimplex noise of one seed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Simplex {
    permutation: [u8; 256],
    /// `permutation` modulo 24, the number of gradients in three dimensions.
    thirds: [u8; 256],
}

/// One step of the linear congruential generator (D. Knuth's MMIX constants), wrapping.
fn step(state: i64) -> i64 {
    state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407)
}

impl Simplex {
    /// The noise of `seed`. Every seed is one of its own, 0 too (the authors' AnoDDPM code takes 0 for "draw one").
    pub fn new(seed: i64) -> Self {
        let mut state = step(step(step(seed)));
        let mut source: [u8; 256] = std::array::from_fn(|i| i as u8);
        let (mut permutation, mut thirds) = ([0; 256], [0; 256]);
        for i in (0..256usize).rev() {
            state = step(state);
            let n = i as i64 + 1;
            // (state + 31) modulo n, without the sum, which could overflow.
            let chosen = ((state.rem_euclid(n) + 31) % n) as usize;
            permutation[i] = source[chosen];
            thirds[i] = permutation[i] % 24;
            source[chosen] = source[i];
        }
        Self { permutation, thirds }
    }

    /// The permutation.
    pub fn permutation(&self) -> &[u8; 256] {
        &self.permutation
    }

    /// The entry that a vertex of the lattice is led to; indices wrap at 256.
    #[inline(always)]
    pub(super) fn entry<const N: usize>(&self, vertex: [i64; N]) -> usize {
        vertex.iter().fold(0, |hash, i| usize::from(self.permutation[(hash + i) as usize & 255]) as i64)
            as usize
    }

    /// The number of a vertex's gradient in three dimensions.
    #[inline(always)]
    pub(super) fn third(&self, [i, j, k]: [i64; 3]) -> usize {
        let hash = self.entry([i, j]) as i64;
        usize::from(self.thirds[(hash + k) as usize & 255])
    }
}
