//! What other programs took from a measurement.

use std::fs;
use std::time::Instant;

/// Milliseconds a tick of `/proc/stat`, which counts hundredths of a second for every program on Linux.
const TICK_MS: f64 = 10.0;

/// The start of a measurement.
pub(super) struct Watch {
    since: Instant,
    busy_ms: f64,
}

impl Watch {
    /// Begins; `None` where the system does not tell what its processors do.
    pub(super) fn start() -> Option<Self> {
        Some(Self { since: Instant::now(), busy_ms: busy_ms(&fs::read_to_string("/proc/stat").ok()?)? })
    }

    /// How many cores the others kept busy on average, if we ourselves took `own_ms` of processor time.
    pub(super) fn others(&self, own_ms: f64) -> Option<f64> {
        let busy = busy_ms(&fs::read_to_string("/proc/stat").ok()?)? - self.busy_ms;
        let wall = self.since.elapsed().as_secs_f64() * 1e3;
        Some(((busy - own_ms) / wall).max(0.0)).filter(|cores| cores.is_finite())
    }
}

/// Time that the processors were not idle, since the system's start: all but the fourth and fifth numbers (idle, waiting for
/// disks) of the first eight; those after are parts of the first two.
fn busy_ms(stat: &str) -> Option<f64> {
    let ticks = stat.lines().next()?.strip_prefix("cpu ")?.split_whitespace().take(8);
    let ticks = ticks.map(|number| number.parse::<f64>().ok()).collect::<Option<Vec<_>>>()?;
    let busy = ticks.iter().enumerate().filter(|(i, _)| ![3, 4].contains(i)).map(|(_, ticks)| ticks);
    Some(busy.sum::<f64>() * TICK_MS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn idle_time_is_not_busy() {
        let stat = "cpu  100 20 30 4000 500 6 7 8 90 10\ncpu0 1 2 3\n";
        assert_eq!(busy_ms(stat), Some(1710.0));
        assert_eq!(busy_ms("intr 1 2"), None);
    }
}
