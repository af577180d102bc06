//! `flicker-bench [--threads N] [COMMAND…]`: sets workloads up and times them. Commands, and the answers to them, are those of
//! [`flicker_bench::Session`]; without any, they are read from the standard input, a line each.
//!
//! `flicker-bench --threads 1 'use dcgan' 'step 10'`

use anyhow::{Result, ensure};
use candle_core::Device;
use clap::Parser;
use flicker_bench::Session;
use std::io::{BufRead, Write};

/// Times training steps, forward passes and single operators
#[derive(Parser)]
#[command(version)]
struct Args {
    /// Threads to compute with [default: the processor's cores]
    #[arg(long, value_name = "N")]
    threads: Option<usize>,

    /// `version`, `list`, `peak`, `use NAME` or `step N` [default: lines of the standard input]
    commands: Vec<String>,
}

fn main() -> Result<()> {
    flicker_core::prepare_process();
    let args = Args::parse();
    if let Some(n) = args.threads {
        ensure!(n > 0, "--threads: expected at least 1");
        rayon::ThreadPoolBuilder::new().num_threads(n).build_global()?;
    }
    flicker_core::in_pool(|| serve(&args.commands))
}

/// Answers `commands`, or else the lines of the standard input.
fn serve(commands: &[String]) -> Result<()> {
    let mut session = Session::new(Device::Cpu);
    let mut tell = |line: &str| -> Result<bool> {
        let answer = session.answer(line);
        writeln!(std::io::stdout(), "{answer}")?;
        Ok(answer.get("error").is_none())
    };
    if commands.is_empty() {
        for line in std::io::stdin().lock().lines() {
            tell(&line?)?;
        }
    }
    for command in commands {
        ensure!(tell(command)?, "`{command}` failed");
    }
    Ok(())
}
