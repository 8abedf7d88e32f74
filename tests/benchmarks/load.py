r"""How long a weight file takes to read: `python tests/benchmarks/load.py`.

The network 784–1000–1000–1 in float32, 1.8 million parameters, in each format, and by PyTorch if it is installed;
interleaved, medians of 20 in milliseconds. The largest memory in use meanwhile, in units of the file.
"""

import statistics
import tempfile
import time
import tracemalloc
from pathlib import Path

import numpy as np

import minirecon as mr
from minirecon import mlp

with tempfile.TemporaryDirectory() as folder:
    params = mlp.initialise(np.random.default_rng(0), 784, (1000, 1000))
    paths = [Path(folder) / f"net{ending}" for ending in (".pth", ".npz", ".safetensors")]
    for path in paths:
        mr.save(params, path)
    readers = {f"minirecon, {path.suffix}": lambda path=path: mr.load(path) for path in paths}
    try:
        import torch
    except ImportError:
        pass
    else:
        readers["torch.load, weights_only"] = lambda: torch.load(paths[0], weights_only=True)
    seconds = {name: [] for name in readers}
    for _ in range(20):
        for name, reader in readers.items():
            start = time.perf_counter()
            reader()
            seconds[name].append(time.perf_counter() - start)
    for name, reader in readers.items():
        tracemalloc.start()
        reader()
        peak = tracemalloc.get_traced_memory()[1] / paths[0].stat().st_size
        tracemalloc.stop()
        print(f"{name:26} {1e3 * statistics.median(seconds[name]):7.1f} ms {peak:6.2f} × the file")
