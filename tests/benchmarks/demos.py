r"""The numbers of the README and of docs/, measured in one run: `python tests/benchmarks/demos.py [OUT.json]`.

The demos with five seeds of the attack; the same attack, no setting touched, on networks trained anew: with
other initial weights, and on images that no setting was chosen on (the next ten of each class); and the
training of the paper's n = 500 network. About 10 minutes on two cores.
"""

import json
import sys
import time

import numpy as np

import minirecon as mr
from minirecon import metrics
from minirecon.experiments import demo as demos

KEYS = {
    "mnist": ("ncc", "over_0.9"),
    "cifar10": ("ssim", "over_0.4"),
    "colours": ("distance", "candidates_within_0.15"),
    "circle": ("distance", "candidates_within_0.15"),
    "classes": ("ncc", "over_0.9"),
    "initial": ("ncc", "over_0.9"),
    "decay": ("ncc", "over_0.9"),
}


def row(name, case, seed, rec, data, seconds):
    r"""One line of the table: the count that the README states, and the best of the null baselines."""
    score = mr.score(rec, data)
    part, key = KEYS[case]
    summary = metrics.summary(score)
    line = {"name": name, "case": case, "seed": seed, "seconds": round(seconds, 1), "count": summary[part][key]}
    line["null"] = {null: metrics.summary(other)[part][key] for null, other in score.null.items()}
    if part != "distance":
        line["ncc_median"] = round(summary["ncc"]["median"], 3)
    print(json.dumps(line), flush=True)
    return line


def next_images(case, n):
    r"""The n images after the first n: the next n/2 of each class, less their own mean."""
    data = mr.load_dataset(case, 2 * n)
    keep = np.sort(np.concatenate([np.flatnonzero(data.y == sign)[n // 2 :] for sign in (-1, 1)]))
    x = data.x[keep]
    shift = x.mean(axis=0)
    return data._replace(x=x - shift, y=data.y[keep], mean=data.mean + shift, x_test=data.x_test - shift)


def main(path=None):
    rows = []
    for case, preset in demos.DEMOS.items():
        for seed in range(5):
            start = time.perf_counter()
            *_, data, rec, _ = demos.demo(case, seed)
            rows.append(row("the demo's net", case, seed, rec, data, time.perf_counter() - start))
        if not preset.weights:  # each of the seeds has trained its own
            continue
        fresh = [("net trained with seed 1", 1, mr.load_dataset(case, preset.n))]
        fresh += [("net trained with seed 2", 2, mr.load_dataset(case, preset.n))]
        if case in ("mnist", "cifar10"):
            fresh.append(("the next 20 images", 0, next_images(case, preset.n)))
        for name, train_seed, data in fresh:
            params = mr.train(data, seed=train_seed).params
            for seed in range(2):
                start = time.perf_counter()
                rec = mr.reconstruct(params, preset.m, seed=seed, **preset.settings)
                rows.append(row(name, case, seed, rec, data, time.perf_counter() - start))
    start = time.perf_counter()
    last = {key: values[-1].tolist() for key, values in mr.train(mr.load_dataset("mnist", 500)).history.items()}
    rows.append({"name": "train mnist n = 500", "seconds": round(time.perf_counter() - start, 1), **last})
    print(json.dumps(rows[-1]))
    if path:
        with open(path, "w") as file:
            json.dump(rows, file, indent=1)


if __name__ == "__main__":
    main(*sys.argv[1:])
