r"""Networks with weight decay, attacked: `python tests/benchmarks/decay.py`, about 12 minutes on two cores.

Each row: training to where it rests, subtraction of units and the default attack; hits are training images whose
nearest candidate has an NCC above 0.8 and 0.9, beside the same count for as many unseen images, and the share of right
ones (above 0.8) among the first n candidates of the list, which no data has sorted. No setting was chosen on these
nets but that of the first row, seed 0.
"""

import json
import time

import numpy as np

import minirecon as mr
from minirecon import metrics


def hits(rec, data):
    r"""Counts above 0.8 and 0.9 for training images and unseen ones, and the precision of the first n candidates."""
    n, images = len(data.x), rec.x.astype(float).reshape(-1, *data.image_shape)
    near = metrics.ncc(data.x.reshape(-1, *data.image_shape), images)
    unseen = metrics.ncc(data.x_test[:n].reshape(-1, *data.image_shape), images)
    count = [int(np.sum(each.max(axis=1) > bound)) for each in (near, unseen) for bound in (0.8, 0.9)]
    return {"hits": count[:2], "unseen": count[2:], "precision": round(float(np.mean(near.max(axis=0)[:n] > 0.8)), 2)}


def main():
    rows = [
        ("mnist", 100, "logistic", 1e-4, 0),
        ("mnist", 100, "logistic", 1e-4, 1),
        ("mnist", 500, "logistic", 1e-4, 0),
    ]
    for case, n, loss, decay, seed in [*rows, ("cifar10", 500, "mse", 7.5e-4, 0)]:
        data, start = mr.load_dataset(case, n), time.perf_counter()
        run = mr.train(data, seed=seed, loss=loss, decay=decay, record_every=100)
        last = {key: run.history[key][-1] for key in ("stationarity", "min_margin", "test_accuracy")}
        told = {"case": case, "n": n, "loss": loss, "decay": decay, "seed": seed, **last}
        told["directions"] = mr.kkt.distinct_units(run.params)
        print(json.dumps(told | {"seconds": round(time.perf_counter() - start)}, default=float), flush=True)
        ways = {"differences": (4 * n, {"optimizer": "differences"}), "lbfgs": (2 * n, {"iterations": 300})}
        for name, (m, options) in ways.items():
            start = time.perf_counter()
            rec = mr.reconstruct(run.params, m, **options)
            seconds = round(time.perf_counter() - start)
            print(json.dumps({"attack": name, "m": len(rec.x), **hits(rec, data), "seconds": seconds}), flush=True)


if __name__ == "__main__":
    main()
