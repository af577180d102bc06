//! Runs side by side, each told when it is over, with the time that is left as recorded runs have it.

use anyhow::Result;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

/// Something to run.
pub(super) struct Task {
    /// What it is called.
    pub(super) label: String,
    /// Tasks of one group take about the same time.
    pub(super) group: String,
    /// What it will take, as far as it is known.
    pub(super) seconds: Option<f64>,
}

/// Does `work` for each task, `jobs` at a time, in their order. One that fails does not stop the others. `work` answers with
/// what it found and a few words on it.
pub(super) fn run<T: Send>(
    tasks: &[Task],
    jobs: usize,
    work: impl Fn(usize) -> Result<(T, String)> + Sync,
) -> Vec<Result<T>> {
    // The seconds of what is done.
    let (next, done) = (AtomicUsize::new(0), Mutex::new(vec![None; tasks.len()]));
    let results: Vec<Mutex<Option<Result<T>>>> = tasks.iter().map(|_| Mutex::new(None)).collect();
    let worker = || {
        loop {
            let index = next.fetch_add(1, Ordering::Relaxed);
            let (Some(task), Some(slot)) = (tasks.get(index), results.get(index)) else { return };
            let begun = Instant::now();
            let result = work(index);
            let mut done = done.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
            done[index] = Some(begun.elapsed().as_secs_f64());
            let words = match &result {
                Ok((_, words)) => words.clone(),
                Err(error) => format!("failed: {error:#}"),
            };
            let open = expected(tasks, &done);
            let (n, of) = (tasks.len() - open.len(), tasks.len());
            crate::say(&format!("[{n}/{of}] {}: {words}{}", task.label, left(&open, jobs)));
            *slot.lock().unwrap_or_else(|poisoned| poisoned.into_inner()) =
                Some(result.map(|(found, _)| found));
        }
    };
    std::thread::scope(|scope| {
        for _ in 0..jobs.clamp(1, tasks.len().max(1)) {
            scope.spawn(worker);
        }
    });
    let taken = |slot: Mutex<Option<Result<T>>>| {
        let slot = slot.into_inner().unwrap_or_else(|poisoned| poisoned.into_inner());
        slot.unwrap_or_else(|| Err(anyhow::anyhow!("was not run")))
    };
    results.into_iter().map(taken).collect()
}

/// What the tasks that are not done will take: as they were timed before, or as others of their group took by now.
fn expected(tasks: &[Task], done: &[Option<f64>]) -> Vec<Option<f64>> {
    let taken = |group: &str| {
        let of_group = tasks.iter().zip(done).filter(|(task, _)| task.group == group);
        let seconds: Vec<f64> = of_group.filter_map(|(_, seconds)| *seconds).collect();
        (!seconds.is_empty()).then(|| seconds.iter().sum::<f64>() / seconds.len() as f64)
    };
    let open = tasks.iter().zip(done).filter(|(_, done)| done.is_none());
    open.map(|(task, _)| task.seconds.or_else(|| taken(&task.group))).collect()
}

/// The time that runs of these seconds take, `jobs` at a time, in words; nothing where there is nothing to run.
pub(super) fn left(open: &[Option<f64>], jobs: usize) -> String {
    if open.is_empty() {
        return String::new();
    }
    let known: Vec<f64> = open.iter().filter_map(|seconds| *seconds).collect();
    let longest = known.iter().copied().fold(0.0, f64::max);
    let seconds = (known.iter().sum::<f64>() / jobs.max(1) as f64).max(longest);
    let unknown = open.len() - known.len();
    match (known.is_empty(), unknown) {
        (true, _) => format!("; {unknown} left, none of them timed before"),
        (false, 0) => format!("; about {} left", duration(seconds)),
        (false, _) => format!("; about {} left, and {unknown} never timed", duration(seconds)),
    }
}

/// Seconds as people say them.
pub(super) fn duration(seconds: f64) -> String {
    match seconds {
        s if s < 90.0 => format!("{s:.0} s"),
        s if s < 5400.0 => format!("{:.0} min", s / 60.0),
        s => format!("{:.1} h", s / 3600.0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use anyhow::bail;

    fn tasks(n: usize) -> Vec<Task> {
        let task = |i| Task { label: format!("task {i}"), group: String::new(), seconds: Some(i as f64) };
        (0..n).map(task).collect()
    }

    #[test]
    fn each_is_done_once_and_a_failure_stops_no_other() {
        for jobs in [1, 2, 3, 100] {
            let count = AtomicUsize::new(0);
            let results = run(&tasks(17), jobs, |i| {
                count.fetch_add(1, Ordering::Relaxed);
                if i == 5 {
                    bail!("no");
                }
                Ok((i * i, "done".into()))
            });
            assert_eq!(count.into_inner(), 17);
            for (i, result) in results.iter().enumerate() {
                assert_eq!(result.as_ref().ok().copied(), (i != 5).then_some(i * i));
            }
        }
        assert!(run(&[], 2, |i| Ok((i, String::new()))).is_empty());
    }

    #[test]
    fn so_many_run_at_once() {
        let (at_once, most) = (AtomicUsize::new(0), AtomicUsize::new(0));
        run(&tasks(6), 3, |_| {
            most.fetch_max(at_once.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
            std::thread::sleep(std::time::Duration::from_millis(30));
            at_once.fetch_sub(1, Ordering::SeqCst);
            Ok(((), String::new()))
        });
        assert!((2..=3).contains(&most.into_inner()));
    }

    #[test]
    fn what_was_never_timed_takes_as_long_as_its_like_took_by_now() {
        let task = |group: &str, seconds| Task { label: String::new(), group: group.into(), seconds };
        let tasks =
            [task("a", None), task("a", None), task("b", None), task("b", Some(7.0)), task("a", None)];
        let done = [Some(2.0), Some(4.0), None, None, None];
        assert_eq!(expected(&tasks, &done), [None, Some(7.0), Some(3.0)]);
    }

    #[test]
    fn what_is_left_is_said_as_far_as_it_is_known() {
        assert_eq!(left(&[], 2), "");
        assert_eq!(left(&[None, None], 2), "; 2 left, none of them timed before");
        assert_eq!(left(&[Some(40.0), Some(60.0)], 1), "; about 2 min left");
        assert_eq!(left(&[Some(40.0), Some(60.0)], 2), "; about 60 s left", "no run is shorter than itself");
        assert_eq!(left(&[Some(7200.0), None], 1), "; about 2.0 h left, and 1 never timed");
    }
}
