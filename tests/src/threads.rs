//! A train program computes on as many threads as `--threads` says, seen from the outside: the processor time of each thread
//! of the running program, from Linux's `/proc`.
#![cfg(target_os = "linux")]

use crate::programs::{program, temporary};
use std::collections::BTreeMap;
use std::fs;
use std::process::Stdio;
use std::time::Duration;

/// Threads beside those that compute: the program's first one, which hands the work to the pool and sleeps, and one that asks
/// for the next batches. Where the pool has one thread, the first one computes and the pool's reads the batches.
const OTHERS: usize = 2;

/// Adds the processor time that the threads of process `id` took so far, in ticks of 10 ms, and counts them. Threads come and
/// go, and so may the whole process.
fn look(id: u32, times: &mut BTreeMap<String, u64>) -> usize {
    let Ok(tasks) = fs::read_dir(format!("/proc/{id}/task")) else { return 0 };
    let mut alive = 0;
    for task in tasks.flatten() {
        let Ok(stat) = fs::read_to_string(task.path().join("stat")) else { continue };
        // The name stands in parentheses and may hold blanks; the 12th and 13th fields after it are the times of user and system.
        let Some((_, fields)) = stat.rsplit_once(") ") else { continue };
        let ticks = fields.split(' ').skip(11).take(2).filter_map(|field| field.parse::<u64>().ok()).sum();
        times.insert(task.file_name().to_string_lossy().into_owned(), ticks);
        alive += 1;
    }
    alive
}

/// Trains with `--threads n`; the processor time of each thread, the busiest first, and the most threads that were there at once.
fn train(n: usize) -> (Vec<u64>, usize) {
    let dir = temporary();
    let threads = n.to_string();
    let arguments = ["--quick", "--quiet", "--set=config.epochs=6", "--threads", &threads, "--out", "r"];
    let mut child = program("ae-train", dir.path(), &arguments)
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the program starts");
    let (mut times, mut most) = (BTreeMap::new(), 0);
    while child.try_wait().expect("the program can be asked").is_none() {
        most = most.max(look(child.id(), &mut times));
        std::thread::sleep(Duration::from_millis(5));
    }
    let output = child.wait_with_output().expect("the program ended");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let mut times: Vec<u64> = times.into_values().collect();
    times.sort_unstable_by(|a, b| b.cmp(a));
    (times, most)
}

#[test]
fn as_many_threads_compute_as_asked_for() {
    for n in [1, 3] {
        let (times, most) = train(n);
        let all: u64 = times.iter().sum();
        assert!(all >= 20, "too short to tell: {times:?}");
        // Reading batches of such small images takes a tenth; one more thread that computed, or waited by spinning, would
        // take a good part of the time.
        let beside: u64 = times.iter().skip(n).sum();
        assert!(beside * 5 <= all, "with --threads {n} more than {n} threads compute: ticks {times:?}");
        // On a busy machine one thread may take most of such small pieces of work, but not all.
        assert!(n == 1 || times[1] * 40 >= all, "with --threads {n} one thread computes: ticks {times:?}");
        assert!(most <= n + OTHERS, "with --threads {n} there are {most} threads: ticks {times:?}");
    }
}
