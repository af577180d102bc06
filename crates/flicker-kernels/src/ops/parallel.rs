//! How work is shared between rayon's threads, and buffers that are written before they are read.
//!
//! Every task writes a place of its own and sums what belongs to it in an order that depends on the shapes alone, so
//! the bytes of a result do not depend on the number of threads.

use crate::linger::awake;
use rayon::prelude::*;
use std::marker::PhantomData;

/// Elements below which a second thread costs more than it brings.
pub(crate) const GRAIN: usize = 32 * 1024;

/// A vector of `n` elements whose contents are not set yet.
///
/// Whoever asks for one writes every element before anything reads it: that saves a pass over memory.
pub(crate) fn unset<T: Copy>(n: usize) -> Vec<T> {
    let mut v = Vec::with_capacity(n);
    // SAFETY: the capacity is n, and T is f32, f64 or an integer, for which every bit pattern is a value; the callers
    // write each element before they read it (the tests run under memcheck).
    #[allow(clippy::uninit_vec)]
    unsafe {
        v.set_len(n);
    }
    v
}

/// A slice that several tasks write at the same time, each at places of its own.
pub(crate) struct Shared<'a, T> {
    start: *mut T,
    len: usize,
    owner: PhantomData<&'a mut [T]>,
}

// SAFETY: the pointer is used only through `part`, whose callers promise disjoint places.
unsafe impl<T: Send> Send for Shared<'_, T> {}
// SAFETY: as above.
unsafe impl<T: Send> Sync for Shared<'_, T> {}

impl<'a, T> Shared<'a, T> {
    pub(crate) fn new(slice: &'a mut [T]) -> Self {
        Self { start: slice.as_mut_ptr(), len: slice.len(), owner: PhantomData }
    }

    /// The part that starts at `from`.
    ///
    /// # Safety
    /// While the part lives, no other part of this slice overlaps it.
    #[allow(clippy::mut_from_ref)]
    #[inline(always)]
    pub(crate) unsafe fn part(&self, from: usize, len: usize) -> &mut [T] {
        assert!(from <= self.len && len <= self.len - from, "part {from}+{len} of {}", self.len);
        // SAFETY: inside the slice by the check above; exclusive by this function's contract.
        unsafe { std::slice::from_raw_parts_mut(self.start.add(from), len) }
    }
}

/// Runs `task` for 0..n, on several threads if `work` (elements touched in all) is worth it.
pub(crate) fn for_each(n: usize, work: usize, task: impl Fn(usize) + Sync + Send) {
    let jobs = (work / GRAIN).min(4 * rayon::current_num_threads()).min(n);
    if jobs < 2 || rayon::current_num_threads() == 1 {
        (0..n).for_each(task);
    } else {
        awake(|| (0..jobs).into_par_iter().for_each(|j| (n * j / jobs..n * (j + 1) / jobs).for_each(&task)));
    }
}

/// Length of the pieces of an elementwise operation: a third of a first-level cache in f32.
pub(crate) const PIECE: usize = 4096;

/// Calls `piece(from, part of y)` for consecutive parts of `y`, which together cover it.
pub(crate) fn fill<T: Send>(y: &mut [T], piece: impl Fn(usize, &mut [T]) + Sync + Send) {
    if y.len() < 2 * GRAIN || rayon::current_num_threads() == 1 {
        y.chunks_mut(PIECE).enumerate().for_each(|(i, part)| piece(i * PIECE, part));
    } else {
        let wide = y.len().div_ceil(4 * rayon::current_num_threads()).max(GRAIN).next_multiple_of(PIECE);
        awake(|| {
            y.par_chunks_mut(wide).enumerate().for_each(|(i, y)| {
                y.chunks_mut(PIECE).enumerate().for_each(|(j, part)| piece(i * wide + j * PIECE, part));
            });
        });
    }
}
