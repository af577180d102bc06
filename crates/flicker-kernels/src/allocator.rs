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

/// Leaves the processors to rayon. candle keeps a pool of its own whose threads wait by spinning: on a plain CPU they take a
/// fifth of the time of a training step from those that compute. Its size can only be told by an environment variable; one
/// that is set already is left as it is.
///
/// # Safety
/// No other thread may run yet: the environment of the process is changed.
pub unsafe fn leave_threads_to_rayon() {
    const SIZE: &str = "CANDLE_NUM_THREADS";
    if std::env::var_os(SIZE).is_none() {
        // SAFETY: the caller promises that this is the only thread.
        unsafe { std::env::set_var(SIZE, "1") };
    }
}

/// Both of the above, for the first line of a program's `main`: freed memory is kept, and, while this is the only thread
/// (which only Linux can tell), the processors are left to rayon.
pub fn prepare_process() {
    keep_freed_memory();
    let threads = std::fs::read_dir("/proc/self/task").map(Iterator::count);
    if threads.is_ok_and(|n| n == 1) {
        // SAFETY: the system says that there is no other thread, and only this one could start another.
        unsafe { leave_threads_to_rayon() };
    }
}
