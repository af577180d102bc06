//! A batch of 64 octave fields of 256×256 pixels and 6 octaves, ours and that of PyPI's opensimplex with numba, by turns in one run
//! on 1 and on 2 threads, and the ratio:
//!
//! ```sh
//! cargo bench -p anoddpm --bench fields -- PYTHON     # PYTHON has opensimplex 0.4 and numba; else target/peer-venv/bin/python
//! ```
//!
//! Wall time is the median of the rounds. Processor time, of all threads together, does not depend on who else uses the machine.
#![allow(clippy::print_stdout)] // a program that prints its results

use anoddpm::simplex::{Fractal, Slice, fields};
use std::hint::black_box;
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::Instant;

const FIELDS: i64 = 64;
const SIZE: usize = 256;
const ROUNDS: usize = 7;

type Failure = Box<dyn std::error::Error>;

/// Seconds of a batch: on the wall's clock, and of the processor where the system says it.
#[derive(Clone, Copy)]
struct Spent {
    wall: f64,
    processor: f64,
}

fn main() -> Result<(), Failure> {
    let given = std::env::args().skip(1).find(|argument| !argument.starts_with('-'));
    let root = concat!(env!("CARGO_MANIFEST_DIR"), "/../..");
    let python = given.unwrap_or_else(|| format!("{root}/target/peer-venv/bin/python"));
    println!("{FIELDS} fields of {SIZE}x{SIZE}, 6 octaves; {ROUNDS} rounds by turns");
    for threads in [1, 2] {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build()?;
        let mut peer = match Peer::start(&python, threads) {
            Ok(peer) => Some(peer),
            Err(error) => {
                println!("NOT COMPARED: {python}: {error}");
                None
            }
        };
        pool.install(ours); // the first is slower
        let (mut mine, mut theirs) = (Vec::new(), Vec::new());
        for _ in 0..ROUNDS {
            mine.push(pool.install(ours));
            if let Some(peer) = &mut peer {
                theirs.push(peer.batch()?);
            }
        }
        println!("{threads} thread{}: ours {}", if threads == 1 { "" } else { "s" }, in_words(&mine));
        if !theirs.is_empty() {
            let times = |of: fn(&Spent) -> f64| median(&theirs, of) / median(&mine, of);
            let (wall, processor) = (times(|spent| spent.wall), times(|spent| spent.processor));
            println!("    opensimplex with numba {}", in_words(&theirs));
            println!(
                "    ours is {wall:.1} times faster by the clock, {processor:.1} times by processor time"
            );
        }
    }
    Ok(())
}

fn ours() -> Spent {
    let fractal = Fractal { octaves: 6, persistence: 0.8, frequency: 64.0 };
    let slices: Vec<Slice> = (1..=FIELDS).map(|seed| Slice { seed, t: 250.0, offset: [0.0; 3] }).collect();
    let (start, before) = (Instant::now(), processor_seconds());
    black_box(fields(black_box(&fractal), (SIZE, SIZE), black_box(&slices)));
    Spent { wall: start.elapsed().as_secs_f64(), processor: processor_seconds() - before }
}

/// What this process has used of the processor so far, in user mode and in the kernel, as Linux counts it (hundredths of a second);
/// elsewhere not a number.
fn processor_seconds() -> f64 {
    let text = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields: Vec<&str> = text.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
    let ticks = |i: usize| fields.get(i).and_then(|ticks| ticks.parse::<f64>().ok()).unwrap_or(f64::NAN);
    (ticks(11) + ticks(12)) / 100.0
}

fn median(spent: &[Spent], of: fn(&Spent) -> f64) -> f64 {
    let mut values: Vec<f64> = spent.iter().map(of).collect();
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

fn in_words(spent: &[Spent]) -> String {
    let each = |seconds: f64| seconds / FIELDS as f64 * 1e3;
    let (wall, processor) = (median(spent, |s| s.wall), median(spent, |s| s.processor));
    format!("{:.2} ms a field ({:.2} ms of the processor)", each(wall), each(processor))
}

/// peer.py beside this file, which makes a batch for each line that it is told.
struct Peer {
    child: Child,
    tell: ChildStdin,
    told: BufReader<ChildStdout>,
}

impl Peer {
    fn start(python: &str, threads: usize) -> Result<Self, Failure> {
        let mut child = Command::new(python)
            .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/benches/peer.py"))
            .env("NUMBA_NUM_THREADS", threads.to_string())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let tell = child.stdin.take().ok_or("no input")?;
        let told = BufReader::new(child.stdout.take().ok_or("no output")?);
        let mut peer = Self { child, tell, told };
        peer.batch()?; // the first compiles
        Ok(peer)
    }

    fn batch(&mut self) -> Result<Spent, Failure> {
        writeln!(self.tell, "batch")?;
        let mut line = String::new();
        self.told.read_line(&mut line)?;
        let (wall, processor) = line.trim().split_once(' ').ok_or("peer.py ended")?;
        Ok(Spent { wall: wall.parse()?, processor: processor.parse()? })
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
