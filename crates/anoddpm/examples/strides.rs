//! What larger strides of the way back cost, and what more draws give: trains on digit 1 as the experiment `anoddpm-mnist-1` does,
//! then scores the same test digits with the same weights in many ways, the cheap ones first. Prints the table of the crate's
//! NOTES.md.
//!
//! ```sh
//! RAYON_NUM_THREADS=1 cargo run --release -p anoddpm --example strides -- 120   # so many ones, and as many other digits
//! ```
//!
//! A second argument names the `weights.safetensors` of a run of that experiment, which are taken in place of a training.
#![allow(clippy::print_stdout)] // a program that prints its results

use anoddpm::{Config, Reverse};
use candle_core::{Device, Tensor};
use flicker_core::data::{Pool, Prepare, Protocol, Range, Resize, SplitConfig, Subset, embedded, tensor};
use flicker_core::run::{Quiet, Run};
use flicker_core::{Config as _, Detector as _, Result, Rng, State, TrainSet, metrics};
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

/// Strides of 250 stand for one step from anywhere: the network's first guess of the image.
const STRIDES: [usize; 6] = [1, 2, 5, 10, 25, 250];

/// Digits to score, and whether each is another than 1.
struct Test {
    xs: Tensor,
    abnormal: Vec<bool>,
}

fn main() -> Result<()> {
    flicker_core::prepare_process();
    let mut arguments = std::env::args().skip(1);
    let n = arguments.next().and_then(|n| n.parse().ok()).unwrap_or(120);
    let (train, test) = digits(n)?;
    let device = Device::Cpu;
    let mut model = Config::small().build((1, 32, 32).into(), Rng::new(0), &device)?;
    match arguments.next() {
        Some(path) => model.weights().load(Path::new(&path))?,
        None => model.fit(&TrainSet::of_normal(train), &mut Run::new(Rng::new(0), &device, &mut Quiet))?,
    }
    let weights = model.weights().state()?;
    println!(
        "| λ | back | every | draws | passes | AUROC | ms an image |\n| --- | --- | --- | --- | --- | --- | --- |"
    );
    let mut ways = ways();
    ways.sort_by_key(Way::passes);
    ways.iter().try_for_each(|way| way.row(&test, &weights))
}

/// One way to score.
struct Way {
    distance: usize,
    every: usize,
    draws: usize,
    ddim: bool,
}

fn ways() -> Vec<Way> {
    let mut ways = Vec::new();
    for distance in [50, 100, 250] {
        for every in STRIDES {
            ways.push(Way { distance, every, draws: 1, ddim: false });
            if every >= 10 {
                ways.push(Way { distance, every, draws: 4, ddim: false });
                ways.push(Way { distance, every, draws: 1, ddim: true });
            }
        }
    }
    ways
}

/// Ones to train on, and `n` ones and `n` other digits to score.
fn digits(n: usize) -> Result<(Arc<Subset>, Test)> {
    let prepare = Prepare { resize: Resize::Bilinear { size: [32, 32] }, range: Range::Signed };
    let digits = embedded::mnist()?.prepared(prepare)?;
    let split = SplitConfig::new(Pool::Official, 0.1);
    let split = Protocol::one_class([1]).split(&digits, &split, &Rng::new(0).fork("data"))?;
    let of = |wanted: bool| {
        let all = split.test.iter().zip(&split.test_abnormal).filter(move |(_, is)| **is == wanted);
        all.map(|(index, _)| *index).take(n)
    };
    let mut chosen: Vec<usize> = of(false).collect();
    let ones = chosen.len();
    chosen.extend(of(true));
    let xs = tensor(digits.source().as_ref(), &chosen, &Device::Cpu)?;
    let abnormal = (0..chosen.len()).map(|i| i >= ones).collect();
    Ok((Arc::new(Subset::new(digits.source().clone(), split.train)?), Test { xs, abnormal }))
}

impl Way {
    /// How often the network is asked about an image.
    fn passes(&self) -> usize {
        self.draws * self.distance.div_ceil(self.every)
    }

    fn row(&self, test: &Test, weights: &State) -> Result<()> {
        let &Self { distance, every, draws, ddim } = self;
        let reverse = if ddim { Reverse::Ddim { every, eta: 0.0 } } else { Reverse::Ancestral { every } };
        let config = Config { distance, draws, reverse, ..Config::small() };
        let model = config.build((1, 32, 32).into(), Rng::new(0), &Device::Cpu)?;
        model.weights().restore("trained", weights)?;
        let (start, before) = (Instant::now(), processor_seconds());
        let scores = model.score(&test.xs, &Rng::new(0).fork("score"))?.total;
        let wall = start.elapsed().as_secs_f64();
        let spent = processor_seconds().zip(before).map_or(wall, |(after, before)| after - before);
        let auroc = metrics::auroc(&scores, &test.abnormal)?;
        let (name, passes) = (if ddim { "DDIM, η 0" } else { "ancestral" }, self.passes());
        let each = spent / test.abnormal.len() as f64 * 1e3;
        println!("| {distance} | {name} | {every} | {draws} | {passes} | {auroc:.4} | {each:.1} |");
        Ok(())
    }
}

/// What this process has used of the processor so far, where Linux counts it (in hundredths of a second).
fn processor_seconds() -> Option<f64> {
    let text = std::fs::read_to_string("/proc/self/stat").ok()?;
    let mut fields = text.rsplit(')').next()?.split_whitespace().skip(11);
    let (user, kernel): (f64, f64) = (fields.next()?.parse().ok()?, fields.next()?.parse().ok()?);
    Some((user + kernel) / 100.0)
}
