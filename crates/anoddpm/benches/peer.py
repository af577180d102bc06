"""The octave fields of fields.rs by PyPI's opensimplex with numba, which takes its threads from NUMBA_NUM_THREADS.

For each line on standard input a batch, and a line with its seconds: on the wall's clock, and of the processor.
(pip: opensimplex 0.4, numba)
"""
import sys
import time

import numpy as np
from opensimplex.internals import _init, _noise3a

FIELDS, SIZE, OCTAVES, PERSISTENCE, FREQUENCY = 64, 256, 6, 0.8, 64.0


def field(seed, t):
    tables, pixels, total = _init(seed), np.arange(SIZE), np.zeros((SIZE, SIZE))
    for k in range(OCTAVES):
        f = FREQUENCY / 2**k
        total += PERSISTENCE**k * _noise3a(pixels / f, pixels / f, np.array([t / f]), *tables)[0]
    return total


for _ in sys.stdin:
    wall, processor = time.perf_counter(), time.process_time()
    for seed in range(1, FIELDS + 1):
        field(seed, 250.0)
    print(time.perf_counter() - wall, time.process_time() - processor, flush=True)
