//! Loops of other crates, compiled for every instruction set: they are written plainly, without `unsafe`, and the compiler makes
//! vectors of them as wide as the processor has when the program runs.
//!
//! Only the width differs between the sets, since the compiler fuses no multiplication with an addition by itself: the numbers
//! are the same to the last bit everywhere.

use crate::simd::Isa;

/// Work whose loops gain from wide vectors.
pub trait Vectorise {
    /// What comes of it.
    type Output;

    /// Does it. Mark the implementation `#[inline(always)]`: only what is inlined is compiled for each instruction set.
    fn run(self) -> Self::Output;
}

/// Does `work` with the widest instruction set of this processor.
pub fn vectorised<W: Vectorise>(work: W) -> W::Output {
    with(Isa::best(), work)
}

fn with<W: Vectorise>(isa: Isa, work: W) -> W::Output {
    #[cfg(target_arch = "x86_64")]
    {
        #[target_feature(enable = "avx512f,avx512bw,avx512cd,avx512dq,avx512vl,avx2,fma,bmi1,bmi2")]
        fn avx512<W: Vectorise>(work: W) -> W::Output {
            work.run()
        }
        #[target_feature(enable = "avx2,fma,bmi1,bmi2")]
        fn avx2<W: Vectorise>(work: W) -> W::Output {
            work.run()
        }
        match isa {
            // SAFETY: `Isa` names a set only where the processor has all of its features.
            Isa::Avx512 => return unsafe { avx512(work) },
            // SAFETY: as above.
            Isa::Avx2 => return unsafe { avx2(work) },
            Isa::Plain => {}
        }
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = isa; // NEON is part of every aarch64 target, so that the plain code has it.
    work.run()
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Polynomial<'a>(&'a [f64], &'a mut [f64]);

    impl Vectorise for Polynomial<'_> {
        type Output = usize;

        #[inline(always)]
        fn run(self) -> usize {
            for (x, y) in self.0.iter().zip(self.1.iter_mut()) {
                *y = (x * 0.3 + 0.7) * x - x * x * x;
            }
            self.1.len()
        }
    }

    #[test]
    fn every_instruction_set_gives_the_same_bits() {
        let xs: Vec<f64> = (0..1003).map(|i| f64::from(i).sin() * 3.0).collect();
        let mut plain = vec![0.0; xs.len()];
        assert_eq!(with(Isa::Plain, Polynomial(&xs, &mut plain)), xs.len());
        assert_ne!(plain[1], 0.0);
        for isa in Isa::available() {
            let mut ys = vec![0.0; xs.len()];
            with(isa, Polynomial(&xs, &mut ys));
            assert!(ys.iter().zip(&plain).all(|(y, p)| y.to_bits() == p.to_bits()), "{}", isa.name());
        }
    }
}
