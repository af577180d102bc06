//! Keeping freed memory in the process, so that the buffers of one training step serve the next.

/// Tells the C library's allocator to keep the memory that tensors free. candle allocates every result anew; by default
/// glibc gives large blocks back to the system and maps them again a moment later, and the system clears every page of
/// them: a quarter of the time of a small model's training step. Call it once, first thing in `main`; elsewhere than on
/// Linux with glibc it does nothing.
///
/// The price is that the process keeps its peak of memory until it ends.
pub fn keep_freed_memory() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    // SAFETY: `mallopt` may be called at any time, with any value; a value that it refuses changes nothing.
    unsafe {
        // Never map a block of its own, never give the end of the heap back, and let all threads share one heap: a
        // second heap would be cut into pieces of 64 MiB that are given back.
        libc::mallopt(libc::M_MMAP_MAX, 0);
        libc::mallopt(libc::M_TRIM_THRESHOLD, i32::MAX);
        libc::mallopt(libc::M_ARENA_MAX, 1);
    }
}
