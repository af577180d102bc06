"""Times flicker-kernels' operators against PyTorch's, interleaved, and prints a Markdown table.

    cargo build --release --example ops_bench -p flicker-kernels
    python3 crates/flicker-kernels/examples/ops_bench.py target/release/examples/ops_bench THREADS ROUNDS [NAME,NAME…]

python3 with torch 2.x. Both sides inherit the environment: with MALLOC_MMAP_THRESHOLD_=33554432 and
MALLOC_TRIM_THRESHOLD_=4000000000 freed memory stays with the process instead of being mapped anew. Each side runs each workload for 0.3 s in each round; the table has medians over the rounds.
"""

import json
import os
import statistics
import subprocess
import sys
import time

import torch
import torch.nn as nn
import torch.nn.functional as F

SECONDS = 0.3
SIZES = [784, 512, 256, 128, 64, 32, 16, 32, 64, 128, 256, 512, 784]


def numbers(*dims):
    n = torch.Size(dims).numel()
    return torch.sin(torch.arange(n) * 1.37).float().view(dims)


def operator(f, *shapes):
    leaves = [numbers(*s).requires_grad_() for s in shapes]
    g = numbers(*f(*leaves).shape)

    def step():
        for leaf in leaves:
            leaf.grad = None
        f(*leaves).backward(g)

    return step


def autoencoder(batch):
    layers = []
    for i, (a, b) in enumerate(zip(SIZES, SIZES[1:])):
        layers += [nn.Linear(a, b), nn.BatchNorm1d(b), nn.ReLU()] if i < 11 else [nn.Linear(a, b), nn.Sigmoid()]
    model, x = nn.Sequential(*layers), torch.rand(batch, 784)
    optimizer = torch.optim.Adam(model.parameters(), 1e-3)

    def step():
        optimizer.zero_grad()
        F.mse_loss(model(x), x).backward()
        optimizer.step()

    return step


def adam():
    p = numbers(1 << 20).requires_grad_()
    p.grad = numbers(1 << 20)
    return torch.optim.Adam([p], 1e-3).step


def batch_norm(*shape):
    mean, var = torch.zeros(shape[1]), torch.ones(shape[1])
    f = lambda x, w, b: F.leaky_relu(F.batch_norm(x, mean, var, w, b, True, 0.1, 1e-5), 0.2)
    return operator(f, shape, shape[1:2], shape[1:2])


IMAGE = (64, 64, 16, 16)
WORKLOADS = {
    "ae65": lambda: autoencoder(65),
    "ae256": lambda: autoencoder(256),
    "bn": lambda: batch_norm(*IMAGE),
    "bn4": lambda: batch_norm(64, 256, 4, 4),
    "gn": lambda: operator(lambda x, w, b: F.silu(F.group_norm(x, 8, w, b)), (16, 32, 32, 32), (32,), (32,)),
    "ln": lambda: operator(lambda x, w, b: F.leaky_relu(F.layer_norm(x, (512,), w, b), 0.2), (1024, 512), (512,), (512,)),
    "silu": lambda: operator(F.silu, IMAGE),
    "tanh": lambda: operator(torch.tanh, IMAGE),
    "leaky": lambda: operator(lambda x: F.leaky_relu(x, 0.2), IMAGE),
    "bias": lambda: operator(lambda x, b: x + b[:, None, None], IMAGE, (64,)),
    "max": lambda: operator(lambda x: F.max_pool2d(x, 2), IMAGE),
    "avg": lambda: operator(lambda x: F.avg_pool2d(x, 2), IMAGE),
    "nearest": lambda: operator(lambda x: F.interpolate(x, scale_factor=2), IMAGE),
    "bilinear": lambda: operator(lambda x: F.interpolate(x, size=(32, 32), mode="bilinear"), IMAGE),
    "softmax": lambda: operator(lambda x: F.softmax(x, -1), (4096, 64)),
    "attention": lambda: operator(F.scaled_dot_product_attention, *[(16, 64, 128)] * 3),
    "linear": lambda: operator(lambda x, w, b: F.relu(F.linear(x, w, b)), (256, 784), (512, 784), (512,)),
    "adam": adam,
}


def measure(step):
    for _ in range(3):
        step()
    start, cpu, walls = time.perf_counter(), time.process_time(), []
    while len(walls) < 5 or time.perf_counter() - start < SECONDS:
        t = time.perf_counter()
        step()
        walls.append((time.perf_counter() - t) * 1e3)
    return statistics.median(walls), (time.process_time() - cpu) * 1e3 / len(walls)


def main():
    program, threads, rounds = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    names = sys.argv[4].split(",") if len(sys.argv) > 4 else list(WORKLOADS)
    torch.set_num_threads(threads)
    environment = os.environ | {"RAYON_NUM_THREADS": str(threads), "CANDLE_NUM_THREADS": "1"}
    steps = {name: WORKLOADS[name]() for name in names}
    ours, peer = ({name: [] for name in names} for _ in range(2))
    for _ in range(rounds):
        for name in names:
            text = subprocess.run([program, name, str(SECONDS)], env=environment, capture_output=True, check=True)
            ours[name].append(json.loads(text.stdout)[name][:2])
            peer[name].append(measure(steps[name]))
    print("| workload | ours ms | PyTorch ms | ratio (low–high) | ratio of CPU time |\n| --- | --- | --- | --- | --- |")
    for name in names:
        wall = [o[0] / p[0] for o, p in zip(ours[name], peer[name])]
        cpu = statistics.median(o[1] / p[1] for o, p in zip(ours[name], peer[name]))
        a, b = (statistics.median(v[0] for v in side[name]) for side in (ours, peer))
        print(f"| {name} | {a:.3f} | {b:.3f} | {statistics.median(wall):.2f} ({min(wall):.2f}–{max(wall):.2f}) | {cpu:.2f} |")


main()
