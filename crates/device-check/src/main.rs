//! `flicker-device-check --device cuda:0`: holds a device against the CPU, operator by operator and family by family.
//!
//! The CPU's kernels in f64 are the reference for the operators (they are held against PyTorch by the tests), its kernels in
//! f32 for the families. On the CPU itself the compositions that other devices get are what is checked.

mod compare;
mod families;
mod operators;
mod report;
mod timing;
mod updates;

use anyhow::{Context, Result, bail};
use clap::Parser;
use compare::{Precision, Row};
use report::Setting;
use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

/// Holds a device against the CPU: every operator and its gradients, and the first steps of every family
#[derive(Parser)]
#[command(version, max_term_width = 110)]
struct Args {
    /// The device: cpu (the compositions that others get), cuda, cuda:N, metal
    #[arg(long, default_value = "cpu")]
    device: String,

    /// Lets CUDA's matrix products round their factors to TF32 (10 bits), and allows the error that comes of it
    #[arg(long)]
    tf32: bool,

    /// Times the workloads of flicker-bench too; on a card also a U-Net of 256×256
    #[arg(long)]
    time: bool,

    /// Names of workloads to time [default: all networks]
    #[arg(long, value_name = "NAME,…", value_delimiter = ',', requires = "time")]
    workloads: Vec<String>,

    /// A Python with PyTorch that times the workloads' twins on the same device, by turns
    #[arg(long, value_name = "PYTHON", requires = "time")]
    peer: Option<String>,

    /// Writes the tables to a file too, such as results/device-check.md
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

fn main() -> ExitCode {
    flicker_core::prepare_process();
    let args = Args::parse();
    match flicker_core::in_pool(|| run(&args)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let _ = writeln!(std::io::stderr(), "error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(args: &Args) -> Result<()> {
    let device = flicker_runner::device(&args.device).map_err(|failure| anyhow::anyhow!("{failure}"))?;
    candle_core::cuda::set_gemm_reduced_precision_f32(args.tf32);
    let precision = Precision::new(&device, args.tf32);
    let mut rows: Vec<Row> = Vec::new();
    for (part, check) in [
        ("operators", operators::check as fn(&_) -> _),
        ("updates", updates::check),
        ("families", families::check),
    ] {
        let found: Vec<Row> = check(&precision).with_context(|| part.to_string())?;
        rows.extend(found);
    }
    let mut text = report::markdown(&Setting { device: &args.device, precision: &precision }, &rows);
    if args.time {
        let timed = timing::time(&precision, &args.device, &args.workloads, args.peer.as_deref())?;
        text += &report::times(&timed);
    }
    let _ = std::io::stdout().write_all(text.as_bytes());
    if let Some(path) = &args.out {
        flicker_core::file::write_whole(path, text.as_bytes())?;
    }
    match rows.iter().filter(|row| !row.holds()).count() {
        0 => Ok(()),
        n => bail!("{n} of {} rows are further from the CPU than allowed", rows.len()),
    }
}
