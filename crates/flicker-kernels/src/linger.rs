//! Keeping the threads of rayon's pool awake between operators.
//!
//! A thread that runs out of work goes to sleep, and to wake it takes about 50 µs on a virtual machine: as long as a small
//! operator. A training step has dozens of operators with short serial parts between them, so a thread that was needed goes
//! on looking for work for a moment. No thread is added, and none looks for work when nothing has been shared out lately.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Instant;

/// How long a thread goes on looking, in nanoseconds: longer than the serial parts of a step, shorter than a pause.
const LINGER: u64 = 200_000;

/// Threads that are looking for work.
static LINGERING: AtomicUsize = AtomicUsize::new(0);
/// When threads were last needed, in nanoseconds after the first use.
static LAST_USE: AtomicU64 = AtomicU64::new(0);

fn now() -> u64 {
    static START: OnceLock<Instant> = OnceLock::new();
    START.get_or_init(Instant::now).elapsed().as_nanos() as u64
}

/// Runs `work`, which shares itself out among the pool's threads, and lets these wait for more of it for a while. Does no
/// more than run it where the caller is not a thread of the pool (see [`in_pool`]).
pub(crate) fn awake<R>(work: impl FnOnce() -> R) -> R {
    let Some(caller) = rayon::current_thread_index() else { return work() };
    LAST_USE.store(now(), Ordering::Relaxed);
    let others = rayon::current_num_threads() - 1;
    if LINGERING.compare_exchange(0, others, Ordering::Relaxed, Ordering::Relaxed).is_ok() {
        rayon::spawn_broadcast(move |context| {
            if context.index() != caller {
                linger();
                LINGERING.fetch_sub(1, Ordering::Relaxed);
            }
        });
    }
    let result = work();
    LAST_USE.store(now(), Ordering::Relaxed);
    result
}

fn linger() {
    while now() < LAST_USE.load(Ordering::Relaxed) + LINGER {
        if rayon::yield_now() != Some(rayon::Yield::Executed) {
            std::hint::spin_loop();
        }
    }
}

/// Runs `work` on a thread of rayon's global pool, so that the operators in it begin at once and find the pool's other
/// threads awake. Without it they give the same bytes, later: a caller from outside hands each operator over and sleeps.
///
/// ```
/// assert_eq!(flicker_kernels::in_pool(|| 6 * 7), 42);
/// ```
pub fn in_pool<R: Send>(work: impl FnOnce() -> R + Send) -> R {
    // The one thread of a pool has to stay free for what other threads hand over, such as the reading of batches.
    if rayon::current_num_threads() == 1 { work() } else { rayon::scope(|_| work()) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rayon::prelude::*;

    #[test]
    fn threads_fall_asleep_again() {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(3).build().unwrap();
        let sum: usize = pool.install(|| {
            (0..100).map(|_| awake(|| (0..64).into_par_iter().map(|i| i * 2).sum::<usize>())).sum()
        });
        assert_eq!(sum, 100 * 64 * 63);
        let patience = Instant::now();
        while LINGERING.load(Ordering::Relaxed) > 0 {
            assert!(patience.elapsed().as_secs() < 20, "threads still look for work");
            std::thread::yield_now();
        }
    }
}
