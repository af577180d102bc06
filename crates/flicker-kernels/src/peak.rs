//! What the processor can do at most: multiply-adds between registers, with nothing to load.

use crate::simd::Isa;
use std::hint::black_box;
use std::time::Instant;

/// The most that the threads of this process can compute.
#[derive(Clone, Copy, Debug)]
pub struct Peak {
    /// 10⁹ floating-point operations (f32) a second on all of rayon's threads; a multiply-add is two.
    pub gflops: f64,
    /// The instruction set, the widest of the processor.
    pub set: &'static str,
}

/// Independent sums: more than two units need to hide four cycles each, and no more than there are registers.
const SUMS: usize = 12;
/// Multiply-adds of each sum in one go.
const ROUNDS: usize = 1 << 21;

/// Measures the peak for a quarter of a second or so; the best of several goes, as other programs can only take away.
pub fn peak() -> Peak {
    let isa = Isa::best();
    let go = || {
        let start = Instant::now();
        let flops: f64 = rayon::broadcast(|_| run(isa)).into_iter().sum();
        flops / start.elapsed().as_secs_f64() / 1e9
    };
    Peak { gflops: (0..20).map(|_| go()).fold(0.0, f64::max), set: isa.name() }
}

/// One go on one thread; answers with the operations done.
fn run(isa: Isa) -> f64 {
    match isa {
        #[cfg(target_arch = "x86_64")]
        // SAFETY: `Isa::best` gives this value only where the processor has AVX-512.
        Isa::Avx512 => unsafe { x86::avx512() },
        #[cfg(target_arch = "x86_64")]
        // SAFETY: `Isa::best` gives this value only where the processor has AVX2 and FMA.
        Isa::Avx2 => unsafe { x86::avx2() },
        #[cfg(target_arch = "aarch64")]
        // SAFETY: NEON is part of every aarch64 processor that Rust supports.
        Isa::Neon => unsafe { arm::neon() },
        Isa::Plain => plain(),
    }
    (ROUNDS * SUMS * isa.lanes::<f32>() * 2) as f64
}

/// Arrays of four, which the compiler turns into the target's own vectors; a product and a sum, not fused.
fn plain() {
    let (a, b) = (black_box([0.999f32; 4]), black_box([1e-3f32; 4]));
    let mut sums = [[1.0f32; 4]; SUMS];
    for _ in 0..ROUNDS {
        sums = sums.map(|sum| std::array::from_fn(|i| sum[i] * a[i] + b[i]));
    }
    black_box(sums);
}

#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
macro_rules! fused {
    ($(#[$feature:meta])* $name:ident, $splat:ident, |$sum:ident, $a:ident, $b:ident| $fma:expr) => {
        $(#[$feature])*
        pub(super) fn $name() {
            let ($a, $b) = ($splat(black_box(0.999)), $splat(black_box(1e-3)));
            let mut sums = [$splat(1.0); SUMS];
            for _ in 0..ROUNDS {
                for $sum in &mut sums {
                    *$sum = $fma;
                }
            }
            black_box(sums);
        }
    };
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    use super::{ROUNDS, SUMS};
    use std::arch::x86_64::*;
    use std::hint::black_box;

    fused!(
        #[target_feature(enable = "avx512f")]
        avx512,
        _mm512_set1_ps,
        |sum, a, b| _mm512_fmadd_ps(*sum, a, b)
    );
    fused!(
        #[target_feature(enable = "avx2,fma")]
        avx2,
        _mm256_set1_ps,
        |sum, a, b| _mm256_fmadd_ps(*sum, a, b)
    );
}

#[cfg(target_arch = "aarch64")]
mod arm {
    use super::{ROUNDS, SUMS};
    use std::arch::aarch64::*;
    use std::hint::black_box;

    fused!(
        #[target_feature(enable = "neon")]
        neon,
        vdupq_n_f32,
        |sum, a, b| vfmaq_f32(b, *sum, a)
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_set_of_this_processor_runs() {
        for isa in Isa::available() {
            assert!(run(isa) > 1e8, "{}", isa.name());
        }
    }
}
