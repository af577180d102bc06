"""The octave fields of simplex.rs by PyPI's opensimplex with numba: processor milliseconds a field, on one thread.

    NUMBA_NUM_THREADS=1 python3 peer.py        (opensimplex 0.4, numba)
"""
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


field(1, 250.0)  # compiles
start = time.process_time()
for seed in range(1, FIELDS + 1):
    field(seed, 250.0)
print(f"{(time.process_time() - start) / FIELDS * 1e3:.2f} ms a field")
