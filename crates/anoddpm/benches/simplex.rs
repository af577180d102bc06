//! A batch of 64 fields of 256×256 pixels and 6 octaves: `cargo bench -p anoddpm`. The same in Python, for comparison:
//! `NUMBA_NUM_THREADS=1 python3 crates/anoddpm/benches/peer.py` (pip: opensimplex, numba). Compare on one thread
//! (`RAYON_NUM_THREADS=1`).
#![allow(missing_docs)] // criterion's macro writes a public item

use anoddpm::simplex::{Fractal, Slice, fields};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use std::hint::black_box;

fn batch(c: &mut Criterion) {
    let fractal = Fractal { octaves: 6, persistence: 0.8, frequency: 64.0 };
    let slices: Vec<Slice> = (1..=64).map(|seed| Slice { seed, t: 250.0, offset: [0.0; 3] }).collect();
    let mut group = c.benchmark_group("simplex");
    group.sample_size(10).throughput(Throughput::Elements(64 * 6 * 256 * 256));
    group.bench_function("64 fields of 256x256", |b| {
        b.iter(|| fields(black_box(&fractal), (256, 256), black_box(&slices)));
    });
}

criterion_group!(simplex, batch);
criterion_main!(simplex);
