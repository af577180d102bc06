//! Sharing work among rayon's threads, and scratch memory that is kept from call to call.

use crate::linger::awake;
use crate::simd::Element;
use rayon::prelude::*;
use std::marker::PhantomData;
use std::ops::Range;

/// Multiplications below which waking another thread costs more than it saves.
const SERIAL_WORK: usize = 1 << 18;

/// Calls `f` with each task number below `n`, on as many threads as rayon has, or on this one where the whole `work`
/// (multiplications, about) is small.
pub(crate) fn for_each(n: usize, work: usize, f: impl Fn(usize) + Sync + Send) {
    if n <= 1 || work < SERIAL_WORK || rayon::current_num_threads() == 1 {
        (0..n).for_each(f);
    } else {
        awake(|| (0..n).into_par_iter().with_max_len(1).for_each(f));
    }
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

    /// The numbers of `range`.
    ///
    /// # Safety
    /// No other part that overlaps `range` is alive.
    #[allow(clippy::mut_from_ref)]
    pub(crate) unsafe fn part(&self, range: Range<usize>) -> &mut [T] {
        assert!(range.start <= range.end && range.end <= self.len, "part outside the slice");
        // SAFETY: the range lies inside the slice, and the caller promises that this part is the only one over it.
        unsafe { std::slice::from_raw_parts_mut(self.start.add(range.start), range.len()) }
    }
}

/// A vector of `len` numbers, filled by `fill`, which has to write every one of them.
///
/// # Safety
/// `fill` writes every number and reads none before it is written.
pub(crate) unsafe fn filled<T: Element>(len: usize, fill: impl FnOnce(&mut [T])) -> Vec<T> {
    let mut out = Vec::with_capacity(len);
    // SAFETY: the capacity is `len`; floats have no invalid bit patterns, and the caller promises that `fill` only writes before it reads.
    unsafe {
        fill(std::slice::from_raw_parts_mut(out.as_mut_ptr(), len));
        out.set_len(len);
    }
    out
}
