"""Runs conv_bench and the same convolutions in PyTorch in turn; prints milliseconds of processor time and their ratio.

python3 (with torch 2.x) conv_bench.py PATH_OF_CONV_BENCH [TURNS [THREADS [FILTER]]]
"""

import os
import statistics
import subprocess
import sys
import time

PROGRAM = sys.argv[1]
TURNS = int(sys.argv[2]) if len(sys.argv) > 2 else 3
THREADS = sys.argv[3] if len(sys.argv) > 3 else "1"
FILTER = sys.argv[4] if len(sys.argv) > 4 else ""
CLOCK = time.process_time if THREADS == "1" else time.perf_counter
ROUNDS = 3

os.environ["OMP_NUM_THREADS"] = os.environ["MKL_NUM_THREADS"] = os.environ["RAYON_NUM_THREADS"] = THREADS
import torch  # noqa: E402

torch.set_num_threads(int(THREADS))


def layers():
    """The table of the Rust program."""
    source = open(os.path.join(os.path.dirname(os.path.abspath(__file__)), "conv_bench.rs")).read()
    for line in source.split("LAYERS: &[Layer] = &[")[1].split("];")[0].strip().splitlines():
        name, *numbers = line.strip().strip("(),").split(", ")
        yield name.strip('"'), [int(n) for n in numbers]


def median_ms(f, flops):
    calls = int(min(max(2e9 / flops, 1), 1000))
    f()
    times = []
    for _ in range(ROUNDS):
        start = CLOCK()
        for _ in range(calls):
            f()
        times.append((CLOCK() - start) * 1e3 / calls)
    return statistics.median(times)


def pytorch():
    out = {}
    for name, (b, ci, n, co, k, s, p) in layers():
        if FILTER not in name:
            continue
        x, w = torch.rand(b, ci, n, n) - 0.5, torch.rand(co, ci, k, k) - 0.5
        y = torch.conv2d(x, w, None, s, p)
        dy = torch.ones_like(y)
        flops = 2 * y.numel() * ci * k * k

        def grad(mask):
            return torch.ops.aten.convolution_backward(dy, x, w, None, (s, s), (p, p), (1, 1), False, (0, 0), 1, mask)

        with torch.no_grad():
            out[name, "forward"] = median_ms(lambda: torch.conv2d(x, w, None, s, p), flops)
            out[name, "input"] = median_ms(lambda: grad([True, False, False]), flops)
            out[name, "weight"] = median_ms(lambda: grad([False, True, False]), flops)
    return out


def ours():
    text = subprocess.run([PROGRAM, str(ROUNDS), FILTER], capture_output=True, text=True, check=True).stdout
    column = 2 if THREADS == "1" else 3
    return {tuple(f[:2]): float(f[column]) for f in map(str.split, text.splitlines())}


turns = [(ours(), pytorch()) for _ in range(TURNS)]
print(f"{'layer':18} {'pass':8} {'ours':>9} {'pytorch':>9} {'ratio':>6} {'low':>5} {'high':>5}")
total = [0.0, 0.0]
for key in turns[0][0]:
    a, b = (statistics.median(t[i][key] for t in turns) for i in (0, 1))
    ratios = sorted(t[0][key] / t[1][key] for t in turns)
    total = [total[0] + a, total[1] + b]
    print(f"{key[0]:18} {key[1]:8} {a:9.4f} {b:9.4f} {a / b:6.2f} {ratios[0]:5.2f} {ratios[-1]:5.2f}")
print(f"{'sum':27} {total[0]:9.2f} {total[1]:9.2f} {total[0] / total[1]:6.2f}")
