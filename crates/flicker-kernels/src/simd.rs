//! The instruction sets that all kernels are compiled for, one of which is chosen when the program runs, so that one portable
//! binary uses what the processor has; and the vectors that products compute with: AVX-512, AVX2 with FMA, NEON, plain arrays.
//!
//! A product is written once, generic over [`Vector`], inlined into one function for each instruction set, and called
//! through [`Element::multiply`]. What the compiler turns into vectors by itself is declared with
//! [`kernel!`](crate::kernel).

use crate::product::{Product, multiply_with};
use crate::row::{RowProduct, row_with};
use crate::transpose::Strided;
use std::cell::RefCell;
use std::sync::OnceLock;

/// An instruction set that the kernels are compiled for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Isa {
    #[cfg(target_arch = "x86_64")]
    Avx512,
    #[cfg(target_arch = "x86_64")]
    Avx2,
    #[cfg(target_arch = "aarch64")]
    Neon,
    Plain,
}

impl Isa {
    /// The widest set that this processor has; asked once.
    pub(crate) fn best() -> Self {
        static BEST: OnceLock<Isa> = OnceLock::new();
        *BEST.get_or_init(|| Self::available()[0])
    }

    /// Every set that this processor has, the widest first.
    pub(crate) fn available() -> Vec<Self> {
        let mut sets = Vec::new();
        #[cfg(target_arch = "x86_64")]
        {
            let bits = is_x86_feature_detected!("bmi1") && is_x86_feature_detected!("bmi2");
            if bits && is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma") {
                let wide = is_x86_feature_detected!("avx512f")
                    && is_x86_feature_detected!("avx512bw")
                    && is_x86_feature_detected!("avx512cd")
                    && is_x86_feature_detected!("avx512dq")
                    && is_x86_feature_detected!("avx512vl");
                if wide {
                    sets.push(Self::Avx512);
                }
                sets.push(Self::Avx2);
            }
        }
        #[cfg(target_arch = "aarch64")]
        sets.push(Self::Neon);
        sets.push(Self::Plain);
        sets
    }

    /// Bytes of one vector.
    pub(crate) fn bytes(self) -> usize {
        match self {
            #[cfg(target_arch = "x86_64")]
            Self::Avx512 => 64,
            #[cfg(target_arch = "x86_64")]
            Self::Avx2 => 32,
            _ => 16,
        }
    }

    /// Its name.
    pub(crate) fn name(self) -> &'static str {
        match self {
            #[cfg(target_arch = "x86_64")]
            Self::Avx512 => "AVX-512",
            #[cfg(target_arch = "x86_64")]
            Self::Avx2 => "AVX2",
            #[cfg(target_arch = "aarch64")]
            Self::Neon => "NEON",
            Self::Plain => "plain",
        }
    }

    /// Numbers of type `T` in one vector.
    pub(crate) fn lanes<T: Element>(self) -> usize {
        self.bytes() / size_of::<T>()
    }
}

/// A vector of `LANES` numbers of type `T`.
///
/// # Safety
/// The methods may be called only where the processor has the instruction set of the implementor.
pub(crate) unsafe trait Vector<T>: Copy {
    const LANES: usize;
    unsafe fn splat(x: T) -> Self;
    /// Reads `LANES` numbers, which must lie inside one allocation; no alignment is asked for.
    unsafe fn load(p: *const T) -> Self;
    /// Writes `LANES` numbers, which must lie inside one allocation; no alignment is asked for.
    unsafe fn store(self, p: *mut T);
    /// `a · b + self`.
    unsafe fn add_product(self, a: Self, b: Self) -> Self;
    unsafe fn add(self, other: Self) -> Self;
    /// The same vector, computed here and not later, and before any later load: without this the compiler gathers the
    /// loads of a whole tile in front of its products, and spills the sums to make room for them.
    unsafe fn pinned(self) -> Self {
        self
    }
}

/// A number type that the kernels work with.
pub(crate) trait Element:
    candle_core::WithDType + Copy + Default + Send + Sync + std::ops::AddAssign + 'static
{
    /// Hands a list of scratch buffers of this thread to `f`.
    fn with_scratch<R>(f: impl FnOnce(&mut Vec<Vec<Self>>) -> R) -> R;
    /// Computes `product` with the vectors of `isa`.
    fn multiply(isa: Isa, product: Product<'_, Self>);
    /// Computes `product` with the vectors of `isa`.
    fn multiply_row(isa: Isa, product: RowProduct<'_, Self>);
    /// Rows and columns of the square that [`Element::transpose_square`] takes with `isa`; none without a fast way.
    fn square(_isa: Isa) -> Option<usize> {
        None
    }
    /// Transposes a square of [`Element::square`] numbers.
    ///
    /// # Safety
    /// As [`crate::transpose::transpose_raw`], for so many rows and columns.
    unsafe fn transpose_square(_isa: Isa, _from: Strided<*const Self>, _to: Strided<*mut Self>) {}
}

macro_rules! vector {
    ($name:ident, $t:ty, $raw:ty, $lanes:literal, $splat:ident, $load:ident, $store:ident, $add:ident, $register:ident, $feature:literal,
     |$acc:ident, $a:ident, $b:ident| $fma:expr) => {
        #[derive(Clone, Copy)]
        pub(crate) struct $name($raw);

        // SAFETY: each method is one instruction of the set that the caller vouches for; the callers of `load` and
        // `store` also vouch for the memory.
        unsafe impl Vector<$t> for $name {
            const LANES: usize = $lanes;
            #[inline(always)]
            unsafe fn splat(x: $t) -> Self {
                // SAFETY: the caller vouches for the instruction set.
                Self(unsafe { $splat(x) })
            }
            #[inline(always)]
            unsafe fn load(p: *const $t) -> Self {
                // SAFETY: the caller vouches for the instruction set and the memory.
                Self(unsafe { $load(p) })
            }
            #[inline(always)]
            unsafe fn store(self, p: *mut $t) {
                // SAFETY: the caller vouches for the instruction set and the memory.
                unsafe { $store(p, self.0) }
            }
            #[inline(always)]
            unsafe fn add_product(self, a: Self, b: Self) -> Self {
                let ($acc, $a, $b) = (self.0, a.0, b.0);
                // SAFETY: the caller vouches for the instruction set.
                Self(unsafe { $fma })
            }
            #[inline(always)]
            unsafe fn add(self, other: Self) -> Self {
                // SAFETY: the caller vouches for the instruction set.
                Self(unsafe { $add(self.0, other.0) })
            }
            #[inline(always)]
            unsafe fn pinned(self) -> Self {
                #[inline]
                #[target_feature(enable = $feature)]
                fn pin(mut vector: $raw) -> $raw {
                    // SAFETY: no instruction is emitted, and the register is given back as it was.
                    unsafe { asm!("/* {0} */", inout($register) vector, options(nostack, preserves_flags)) };
                    vector
                }
                // SAFETY: the caller vouches for the instruction set.
                Self(unsafe { pin(self.0) })
            }
        }
    };
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    use super::Vector;
    use std::arch::asm;
    use std::arch::x86_64::*;
    vector!(
        F32x16,
        f32,
        __m512,
        16,
        _mm512_set1_ps,
        _mm512_loadu_ps,
        _mm512_storeu_ps,
        _mm512_add_ps,
        zmm_reg,
        "avx512f",
        |c, a, b| _mm512_fmadd_ps(a, b, c)
    );
    vector!(
        F64x8,
        f64,
        __m512d,
        8,
        _mm512_set1_pd,
        _mm512_loadu_pd,
        _mm512_storeu_pd,
        _mm512_add_pd,
        zmm_reg,
        "avx512f",
        |c, a, b| _mm512_fmadd_pd(a, b, c)
    );
    vector!(
        F32x8,
        f32,
        __m256,
        8,
        _mm256_set1_ps,
        _mm256_loadu_ps,
        _mm256_storeu_ps,
        _mm256_add_ps,
        ymm_reg,
        "avx2,fma",
        |c, a, b| _mm256_fmadd_ps(a, b, c)
    );
    vector!(
        F64x4,
        f64,
        __m256d,
        4,
        _mm256_set1_pd,
        _mm256_loadu_pd,
        _mm256_storeu_pd,
        _mm256_add_pd,
        ymm_reg,
        "avx2,fma",
        |c, a, b| _mm256_fmadd_pd(a, b, c)
    );
}

#[cfg(target_arch = "aarch64")]
mod arm {
    use super::Vector;
    use std::arch::aarch64::*;
    use std::arch::asm;
    vector!(F32x4, f32, float32x4_t, 4, vdupq_n_f32, vld1q_f32, vst1q_f32, vaddq_f32, |c, a, b| vfmaq_f32(
        c, a, b
    ));
    vector!(F64x2, f64, float64x2_t, 2, vdupq_n_f64, vld1q_f64, vst1q_f64, vaddq_f64, |c, a, b| vfmaq_f64(
        c, a, b
    ));
}

/// An array that the compiler turns into whatever vectors the target has by default.
#[derive(Clone, Copy)]
pub(crate) struct Plain<T, const N: usize>([T; N]);

// SAFETY: no instruction beyond the target's own is used; the callers of `load` and `store` vouch for the memory.
unsafe impl<T: Element, const N: usize> Vector<T> for Plain<T, N> {
    const LANES: usize = N;
    #[inline(always)]
    unsafe fn splat(x: T) -> Self {
        Self([x; N])
    }
    #[inline(always)]
    unsafe fn load(p: *const T) -> Self {
        // SAFETY: the caller vouches for `N` readable numbers at `p`.
        Self(unsafe { p.cast::<[T; N]>().read_unaligned() })
    }
    #[inline(always)]
    unsafe fn store(self, p: *mut T) {
        // SAFETY: the caller vouches for `N` writable numbers at `p`.
        unsafe { p.cast::<[T; N]>().write_unaligned(self.0) }
    }
    #[inline(always)]
    unsafe fn add_product(self, a: Self, b: Self) -> Self {
        Self(std::array::from_fn(|i| a.0[i] * b.0[i] + self.0[i]))
    }
    #[inline(always)]
    unsafe fn add(self, other: Self) -> Self {
        Self(std::array::from_fn(|i| self.0[i] + other.0[i]))
    }
}

macro_rules! element {
    ($t:ty, $avx512:ident, $avx2:ident, $neon:ident, $plain:literal, { $($more:tt)* }) => {
        impl Element for $t {
            $($more)*

            fn with_scratch<R>(f: impl FnOnce(&mut Vec<Vec<Self>>) -> R) -> R {
                thread_local! { static POOL: RefCell<Vec<Vec<$t>>> = const { RefCell::new(Vec::new()) }; }
                POOL.with(|pool| f(&mut pool.borrow_mut()))
            }

            fn multiply(isa: Isa, product: Product<'_, Self>) {
                #[cfg(target_arch = "x86_64")]
                #[target_feature(enable = "avx512f")]
                fn avx512(product: Product<'_, $t>) {
                    // SAFETY: this function runs only where AVX-512 is.
                    unsafe { multiply_with::<$t, x86::$avx512, 12, 8, 4>(product) }
                }
                #[cfg(target_arch = "x86_64")]
                #[target_feature(enable = "avx2,fma")]
                fn avx2(product: Product<'_, $t>) {
                    // SAFETY: this function runs only where AVX2 and FMA are.
                    unsafe { multiply_with::<$t, x86::$avx2, 6, 4, 2>(product) }
                }
                match isa {
                    // SAFETY: `Isa::available` hands this value out only where the processor has AVX-512.
                    #[cfg(target_arch = "x86_64")]
                    Isa::Avx512 => unsafe { avx512(product) },
                    // SAFETY: `Isa::available` hands this value out only where the processor has AVX2 and FMA.
                    #[cfg(target_arch = "x86_64")]
                    Isa::Avx2 => unsafe { avx2(product) },
                    // SAFETY: NEON is part of every aarch64 processor that Rust supports.
                    #[cfg(target_arch = "aarch64")]
                    Isa::Neon => unsafe { multiply_with::<$t, arm::$neon, 12, 8, 4>(product) },
                    // SAFETY: plain arrays need no instruction set.
                    Isa::Plain => unsafe { multiply_with::<$t, Plain<$t, $plain>, 4, 2, 1>(product) },
                }
            }

            fn multiply_row(isa: Isa, product: RowProduct<'_, Self>) {
                #[cfg(target_arch = "x86_64")]
                #[target_feature(enable = "avx512f")]
                fn avx512(product: RowProduct<'_, $t>) {
                    // SAFETY: this function runs only where AVX-512 is.
                    unsafe { row_with::<$t, x86::$avx512>(product) }
                }
                #[cfg(target_arch = "x86_64")]
                #[target_feature(enable = "avx2,fma")]
                fn avx2(product: RowProduct<'_, $t>) {
                    // SAFETY: this function runs only where AVX2 and FMA are.
                    unsafe { row_with::<$t, x86::$avx2>(product) }
                }
                match isa {
                    // SAFETY: `Isa::available` hands this value out only where the processor has AVX-512.
                    #[cfg(target_arch = "x86_64")]
                    Isa::Avx512 => unsafe { avx512(product) },
                    // SAFETY: `Isa::available` hands this value out only where the processor has AVX2 and FMA.
                    #[cfg(target_arch = "x86_64")]
                    Isa::Avx2 => unsafe { avx2(product) },
                    // SAFETY: NEON is part of every aarch64 processor that Rust supports.
                    #[cfg(target_arch = "aarch64")]
                    Isa::Neon => unsafe { row_with::<$t, arm::$neon>(product) },
                    // SAFETY: plain arrays need no instruction set.
                    Isa::Plain => unsafe { row_with::<$t, Plain<$t, $plain>>(product) },
                }
            }
        }
    };
}

element!(f32, F32x16, F32x8, F32x4, 4, {
    #[cfg(target_arch = "x86_64")]
    fn square(isa: Isa) -> Option<usize> {
        match isa {
            Isa::Avx512 => Some(16),
            Isa::Avx2 => Some(8),
            Isa::Plain => None,
        }
    }

    #[cfg(target_arch = "x86_64")]
    unsafe fn transpose_square(isa: Isa, from: Strided<*const f32>, to: Strided<*mut f32>) {
        // SAFETY: `isa` is available, and the caller vouches for the memory.
        unsafe {
            match isa {
                Isa::Avx512 => crate::transpose::transpose_16x16_avx512(from, to),
                Isa::Avx2 => crate::transpose::transpose_8x8_avx2(from, to),
                Isa::Plain => {}
            }
        }
    }
});
element!(f64, F64x8, F64x4, F64x2, 2, {});
