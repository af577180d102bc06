//! One body, three instruction sets: the `kernel!` macro compiles a loop for AVX-512, for AVX2 and for the
//! baseline, and picks at run time. On other processors the baseline (NEON on aarch64) is the only one.
//!
//! The bodies contain no fused multiply-add, so all three give the same bytes.

/// Instruction sets, from the least.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
#[repr(u8)]
#[cfg_attr(not(target_arch = "x86_64"), allow(dead_code))]
pub(crate) enum Level {
    Baseline = 1,
    Avx2 = 2,
    Avx512 = 3,
}

/// The best instruction set of this processor, found once.
#[inline]
pub(crate) fn level() -> Level {
    #[cfg(target_arch = "x86_64")]
    {
        use std::sync::OnceLock;
        static LEVEL: OnceLock<Level> = OnceLock::new();
        *LEVEL.get_or_init(|| {
            let v4 = is_x86_feature_detected!("avx512f")
                && is_x86_feature_detected!("avx512bw")
                && is_x86_feature_detected!("avx512cd")
                && is_x86_feature_detected!("avx512dq")
                && is_x86_feature_detected!("avx512vl");
            match (is_x86_feature_detected!("avx2"), v4) {
                (true, true) => Level::Avx512,
                (true, false) => Level::Avx2,
                _ => Level::Baseline,
            }
        })
    }
    #[cfg(not(target_arch = "x86_64"))]
    Level::Baseline
}

/// Declares a generic function whose body is compiled for each instruction set.
///
/// Type parameters stand in square brackets. All that the body calls in its hot loop must be `#[inline(always)]`, or it
/// is compiled for the baseline.
macro_rules! kernel {
    ($(#[$meta:meta])* fn $name:ident [$($g:ident : $bound:path),*] ($($arg:ident : $ty:ty),* $(,)?) $(-> $ret:ty)? $body:block) => {
        $(#[$meta])*
        #[allow(clippy::too_many_arguments)]
        pub(crate) fn $name<$($g: $bound),*>($($arg: $ty),*) $(-> $ret)? {
            #[inline(always)]
            #[allow(clippy::too_many_arguments)]
            fn body<$($g: $bound),*>($($arg: $ty),*) $(-> $ret)? $body
            #[cfg(target_arch = "x86_64")]
            {
                #[target_feature(enable = "avx2,bmi1,bmi2")]
                #[allow(clippy::too_many_arguments)]
                fn avx2<$($g: $bound),*>($($arg: $ty),*) $(-> $ret)? { body($($arg),*) }
                #[target_feature(enable = "avx2,bmi1,bmi2,avx512f,avx512bw,avx512cd,avx512dq,avx512vl")]
                #[allow(clippy::too_many_arguments)]
                fn avx512<$($g: $bound),*>($($arg: $ty),*) $(-> $ret)? { body($($arg),*) }
                match $crate::ops::simd::level() {
                    // SAFETY: the level says that the processor has the features that the function enables.
                    $crate::ops::simd::Level::Avx512 => return unsafe { avx512($($arg),*) },
                    // SAFETY: as above.
                    $crate::ops::simd::Level::Avx2 => return unsafe { avx2($($arg),*) },
                    $crate::ops::simd::Level::Baseline => {}
                }
            }
            body($($arg),*)
        }
    };
}
pub(crate) use kernel;
