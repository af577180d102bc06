//! One body, three instruction sets: the `kernel!` macro compiles a loop for AVX-512, for AVX2 and for the baseline, and picks
//! by [`Isa`](crate::simd::Isa) at run time. On other processors the baseline (NEON on aarch64) is the only one.
//!
//! Sums and products in the bodies are rounded one by one, so that all three give the same bytes; only the polynomials under
//! exponentials are fused where the processor does it at once ([`Math`]).

/// How a polynomial's products are added: as fast as the instruction set of the body allows.
pub(crate) trait Math: Copy {
    /// `a · b + c`.
    fn mul_add(a: f32, b: f32, c: f32) -> f32;
}

/// Rounded once, by the instruction that AVX2 and AVX-512 bodies have.
#[derive(Clone, Copy)]
#[cfg_attr(not(target_arch = "x86_64"), allow(dead_code))]
pub(crate) struct Fused;

/// Rounded after the product and after the sum. Without an instruction for it the other way is a call of a function.
#[derive(Clone, Copy)]
pub(crate) struct Separate;

impl Math for Fused {
    #[inline(always)]
    fn mul_add(a: f32, b: f32, c: f32) -> f32 {
        a.mul_add(b, c)
    }
}

impl Math for Separate {
    #[inline(always)]
    fn mul_add(a: f32, b: f32, c: f32) -> f32 {
        a * b + c
    }
}

/// Declares a generic function whose body is compiled for each instruction set. In the body `M` is the [`Math`] of that set.
///
/// Type parameters stand in square brackets. All that the body calls in its hot loop must be `#[inline(always)]`, or it
/// is compiled for the baseline.
macro_rules! kernel {
    ($(#[$meta:meta])* fn $name:ident [$($g:ident : $bound:path),*] ($($arg:ident : $ty:ty),* $(,)?) $(-> $ret:ty)? $body:block) => {
        $(#[$meta])*
        #[allow(clippy::too_many_arguments)]
        pub(crate) fn $name<$($g: $bound),*>($($arg: $ty),*) $(-> $ret)? {
            #[inline(always)]
            #[allow(clippy::too_many_arguments, clippy::extra_unused_type_parameters)]
            fn body<M: $crate::kernel::Math, $($g: $bound),*>($($arg: $ty),*) $(-> $ret)? $body
            #[cfg(target_arch = "x86_64")]
            {
                #[target_feature(enable = "avx2,fma,bmi1,bmi2")]
                #[allow(clippy::too_many_arguments)]
                fn avx2<$($g: $bound),*>($($arg: $ty),*) $(-> $ret)? {
                    body::<$crate::kernel::Fused, $($g),*>($($arg),*)
                }
                #[target_feature(enable = "avx2,fma,bmi1,bmi2,avx512f,avx512bw,avx512cd,avx512dq,avx512vl")]
                #[allow(clippy::too_many_arguments)]
                fn avx512<$($g: $bound),*>($($arg: $ty),*) $(-> $ret)? {
                    body::<$crate::kernel::Fused, $($g),*>($($arg),*)
                }
                match $crate::simd::Isa::best() {
                    // SAFETY: this value says that the processor has the features that the function enables.
                    $crate::simd::Isa::Avx512 => return unsafe { avx512($($arg),*) },
                    // SAFETY: as above.
                    $crate::simd::Isa::Avx2 => return unsafe { avx2($($arg),*) },
                    $crate::simd::Isa::Plain => {}
                }
            }
            body::<$crate::kernel::Separate, $($g),*>($($arg),*)
        }
    };
}
pub(crate) use kernel;
