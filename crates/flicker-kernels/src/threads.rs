//! Sharing work among rayon's threads, and memory: scratch that is kept from call to call, and results that are written before
//! they are read.
//!
//! Every task writes a place of its own and sums what belongs to it in an order that depends on the shapes alone, so the bytes
//! of a result do not depend on the number of threads.

use crate::linger::awake;
use crate::simd::Element;
use rayon::prelude::*;
use std::marker::PhantomData;
use std::ops::Range;

/// Multiplications that a part of the work has at least: less is not worth waking a thread for. An element that is only passed
/// over counts as [`ELEMENT`] of them.
const GRAIN: usize = 1 << 17;

/// Elements that a thread is woken for, at least, to pass over them.
pub(crate) const GRAIN_ELEMENTS: usize = GRAIN / ELEMENT;

/// What passing over an element costs, in multiplications of a product.
const ELEMENT: usize = 4;

/// Parts for each thread, where the work is large enough: with more than one, a thread that is late costs less.
const PARTS: usize = 4;

/// Calls `f` with each task number below `n`, on as many threads as rayon has, or on this one where the whole `work`
/// (multiplications, about) is small. Where tasks are many and small, a thread takes several in a row.
pub(crate) fn for_each(n: usize, work: usize, f: impl Fn(usize) + Sync + Send) {
    let threads = rayon::current_num_threads();
    if n <= 1 || work < 2 * GRAIN || threads == 1 {
        return (0..n).for_each(f);
    }
    let parts = n.min((work / GRAIN).max(PARTS * threads));
    let part = |i: usize| (n * i / parts..n * (i + 1) / parts).for_each(&f);
    awake(|| (0..parts).into_par_iter().with_max_len(1).for_each(part));
}

/// As [`for_each`], for work that passes over so many `elements`.
pub(crate) fn for_elements(n: usize, elements: usize, f: impl Fn(usize) + Sync + Send) {
    for_each(n, elements * ELEMENT, f);
}

/// Length of the pieces of an elementwise operation: a third of a first-level cache in f32.
pub(crate) const PIECE: usize = 4096;

/// Calls `piece(from, part of y)` for consecutive parts of `y`, which together cover it.
pub(crate) fn fill<T: Send>(y: &mut [T], piece: impl Fn(usize, &mut [T]) + Sync + Send) {
    let len = y.len();
    let y = Shared::new(y);
    for_elements(len.div_ceil(PIECE), len, |i| {
        let from = i * PIECE;
        // SAFETY: piece i belongs to this task alone.
        piece(from, unsafe { y.part(from, PIECE.min(len - from)) });
    });
}

/// A vector of `n` numbers whose values are not set yet: whoever asks for one writes each before anything reads it, which saves
/// a pass over memory.
pub(crate) fn unset<T: Copy>(n: usize) -> Vec<T> {
    let mut numbers = Vec::with_capacity(n);
    // SAFETY: the capacity is n, and T is f32, f64 or an integer, for which every bit pattern is a value; the callers write
    // each before they read it (the tests run under memcheck).
    #[allow(clippy::uninit_vec)]
    unsafe {
        numbers.set_len(n);
    }
    numbers
}

/// A scratch buffer of at least `len` numbers, with whatever its last user left in it; back to this thread's pool when dropped.
pub(crate) struct Scratch<T: Element> {
    buffer: Vec<T>,
    range: Range<usize>,
}

impl<T: Element> Scratch<T> {
    /// Takes a buffer from this thread's pool; its start lies on a cache line.
    pub(crate) fn new(len: usize) -> Self {
        let line = 64 / size_of::<T>();
        let mut buffer = T::with_scratch(|pool| {
            let best =
                (0..pool.len()).filter(|&i| pool[i].len() >= len + line).min_by_key(|&i| pool[i].len());
            best.map(|i| pool.swap_remove(i)).or_else(|| pool.pop()).unwrap_or_default()
        });
        if buffer.len() < len + line {
            buffer = vec![T::default(); len + line];
        }
        let start = buffer.as_ptr().align_offset(64).min(line);
        Self { buffer, range: start..start + len }
    }
}

impl<T: Element> Drop for Scratch<T> {
    fn drop(&mut self) {
        let buffer = std::mem::take(&mut self.buffer);
        T::with_scratch(|pool| pool.push(buffer));
    }
}

impl<T: Element> std::ops::Deref for Scratch<T> {
    type Target = [T];
    fn deref(&self) -> &[T] {
        &self.buffer[self.range.clone()]
    }
}

impl<T: Element> std::ops::DerefMut for Scratch<T> {
    fn deref_mut(&mut self) -> &mut [T] {
        &mut self.buffer[self.range.clone()]
    }
}

/// A slice that several tasks write to, each its own part.
pub(crate) struct Shared<'a, T> {
    start: *mut T,
    len: usize,
    slice: PhantomData<&'a mut [T]>,
}

// SAFETY: `Shared` hands out parts only through `part`, whose callers promise that no two overlap.
unsafe impl<T: Send> Send for Shared<'_, T> {}
// SAFETY: as above.
unsafe impl<T: Send> Sync for Shared<'_, T> {}

impl<'a, T> Shared<'a, T> {
    pub(crate) fn new(slice: &'a mut [T]) -> Self {
        Self { start: slice.as_mut_ptr(), len: slice.len(), slice: PhantomData }
    }

    /// The start of a block of `rows` rows of `columns` numbers, `stride` apart; the block lies inside the slice.
    pub(crate) fn block(&self, start: usize, stride: usize, (rows, columns): (usize, usize)) -> *mut T {
        assert!(rows > 0 && start + (rows - 1) * stride + columns <= self.len, "block outside the slice");
        // SAFETY: `start` lies inside the slice by the assert.
        unsafe { self.start.add(start) }
    }

    /// The `len` numbers from `from` on.
    ///
    /// # Safety
    /// While the part lives, no other part of this slice overlaps it.
    #[allow(clippy::mut_from_ref)]
    #[inline(always)]
    pub(crate) unsafe fn part(&self, from: usize, len: usize) -> &mut [T] {
        assert!(from <= self.len && len <= self.len - from, "part {from}+{len} of {}", self.len);
        // SAFETY: inside the slice by the assert; exclusive by this function's contract.
        unsafe { std::slice::from_raw_parts_mut(self.start.add(from), len) }
    }
}
