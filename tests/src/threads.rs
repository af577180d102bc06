//! A train program computes on as many threads as `--threads` says, seen from the outside: the processor time of each thread
//! of the running program, from Linux's `/proc`.
#![cfg(target_os = "linux")]

use crate::programs::{program, temporary};
use std::collections::BTreeMap;
use std::fs;
use std::process::Stdio;
use std::time::Duration;

/// Threads of a program that wait, read or draw, but do not compute: its first one, which hands the work to the pool (and
/// computes itself where the pool has one thread), and one that reads the next batches.
const OTHERS: usize = 2;

/// What was seen of a thread.
#[derive(Debug, Default)]
struct Seen {
    name: String,
    /// Processor time in clock ticks, of 10 ms each.
    ticks: u64,
}

/// Adds what the threads of process `id` have done so far. Threads come and go, and so may the whole process.
fn look(id: u32, seen: &mut BTreeMap<u64, Seen>) -> usize {
    let Ok(tasks) = fs::read_dir(format!("/proc/{id}/task")) else { return 0 };
    let mut alive = 0;
    for task in tasks.flatten() {
        let Ok(stat) = fs::read_to_string(task.path().join("stat")) else { continue };
        // The name stands in parentheses and may hold blanks; fields 14 and 15 are the times of user and system.
        let (Some((head, tail)), Ok(thread)) =
            (stat.rsplit_once(") "), task.file_name().to_string_lossy().parse())
        else {
            continue;
        };
        let times = tail.split(' ').skip(11).take(2).filter_map(|field| field.parse::<u64>().ok());
        let name = head.split_once('(').map_or("", |(_, name)| name).to_string();
        seen.insert(thread, Seen { name, ticks: times.sum() });
        alive += 1;
    }
    alive
}

/// Trains with `--threads n`; the threads seen, and the most that were there at once.
fn train(n: usize) -> (Vec<Seen>, usize) {
    let dir = temporary();
    let threads = n.to_string();
    let arguments = ["--quick", "--quiet", "--set=config.epochs=12", "--threads", &threads, "--out", "r"];
    let mut child = program("ae-train", dir.path(), &arguments)
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the program starts");
    let (mut seen, mut most) = (BTreeMap::new(), 0);
    while child.try_wait().expect("the program can be asked").is_none() {
        most = most.max(look(child.id(), &mut seen));
        std::thread::sleep(Duration::from_millis(10));
    }
    let output = child.wait_with_output().expect("the program ended");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    (seen.into_values().collect(), most)
}

#[test]
fn as_many_threads_compute_as_asked_for() {
    for n in [1, 3] {
        let (threads, most) = train(n);
        let all: u64 = threads.iter().map(|thread| thread.ticks).sum();
        assert!(all >= 20, "too short to tell: {threads:?}");
        // A thread that computes has a good part of the time; one that reads batches from memory has next to nothing.
        let computing = threads.iter().filter(|thread| thread.ticks * 20 > all).count();
        assert!(computing <= n, "{computing} threads compute with --threads {n}: {threads:?}");
        assert!(n == 1 || computing > 1, "one thread computes with --threads {n}: {threads:?}");
        assert!(most <= n + OTHERS, "{most} threads with --threads {n}: {threads:?}");
    }
}
