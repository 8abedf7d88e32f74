r"""Every attack on networks that no setting was chosen on: `python tests/benchmarks/evidence.py [OUT.json]`.

Each network is trained here, with a seed of its own, on images of its own, on which no setting was chosen: from place
200 of each class on. (Settings were chosen on the shipped nets; the rounds of refinement on MNIST: n = 20, images 20
to 60, and n = 100, seed 0; decay on MNIST, n = 100, seed 0; the order of the differences on the shipped nets and two
of MNIST, n = 20, places 410 to 430.) Hits are training images whose nearest candidate has an NCC above 0.8 and 0.9;
"one to one" where no candidate serves two; "unseen" the hits of the same candidates on as many images that were not
trained on; "first" the share of right ones (above 0.8) among the first 20 of a list, which no data has sorted. A line
is printed after each attack, so that a run cut short tells, too.
"""

import json
import sys
import time
from pathlib import Path

import numpy as np

import minirecon as mr
from minirecon import metrics
from minirecon.attack import refine, rounds
from minirecon.experiments import beyond
from minirecon.io.progress import progress_line

SKIP = 200  # images of each class
ROUNDS = 4
GATES = 150.0  # α, as in attack.SETTINGS
ROWS = [  # data, n, decay, how many networks, hidden
    ("mnist", 20, 0, 5),
    ("cifar10", 20, 0, 5),
    ("mnist", 100, 1e-4, 3),
    ("mnist", 100, 0, 3),
    ("cifar10", 100, 0, 3),
]


def judged(rec, data):
    r"""What is told of a Reconstruction: counts, and the precision of the first 20."""
    score = metrics.score(rec, data)
    shape = (-1, *data.image_shape)
    near = metrics.ncc(data.x.reshape(shape), rec.x.astype(float).reshape(shape)).max(axis=0)
    kinds = {"hits": score.ncc, "one to one": score.matched, "unseen": score.null["others"].ncc}
    told = {kind: [int(np.sum(values > bound)) for bound in (0.8, 0.9)] for kind, values in kinds.items()}
    return {"candidates": len(rec.x), **told, "first": round(float(np.mean(near[:20] > 0.8)), 3)}


def attacks(params, n, decay):
    r"""Each attack's name and a function that goes on from the Reconstruction before, where it builds on it."""
    many = max(200, 4 * n)
    options = {"span": 20} if n == 20 else {}
    bar, rng = progress_line(1, "", False), np.random.default_rng(0)
    yield "differences", lambda _: mr.reconstruct(params, many, optimizer="differences")
    yield "lbfgs", lambda _: mr.reconstruct(params, 3 * n, iterations=300, **options)
    if decay:
        yield "told the decay", lambda _: mr.reconstruct(params, 2 * n, decay=decay, samples=n)
    else:
        yield "+ samples", lambda rec: refine.refine(params, rec, n, GATES, bar)
        yield "+ rounds", lambda rec: rounds.rounds(params, rec, ROUNDS, rng, bar, GATES)


def spread(rows):
    r"""Median and range over the networks of each number in rows of dicts: {name: [median, least, most]}."""
    flat = [{name: np.ravel(value) for name, value in row.items()} for row in rows]
    result = {}
    for name in flat[0]:
        each = np.array([row[name] for row in flat]).T
        result[name] = [[float(np.median(v)), float(v.min()), float(v.max())] for v in each]
    return result


def main(out=None):
    result, place = [], {"mnist": SKIP, "cifar10": SKIP}
    for case, n, decay, count in ROWS:
        table = {}
        for seed in range(101, 101 + count):
            data, start = beyond(case, n, place[case]), time.process_time()
            place[case] += n // 2
            options = {"decay": decay} if decay else {}
            params, rec = mr.train(data, seed=seed, **options).params, None
            row = {"case": case, "n": n, "decay": decay, "seed": seed}
            print(json.dumps(row | {"train": round(time.process_time() - start)}), flush=True)
            for name, attack in attacks(params, n, decay):
                start = time.process_time()
                rec = attack(rec)
                told = judged(rec, data) | {"seconds": round(time.process_time() - start, 1)}
                table.setdefault(name, []).append(told)
                print(json.dumps({"attack": name, **told}), flush=True)
        got = {name: spread(rows) for name, rows in table.items()}
        result.append({"case": case, "n": n, "decay": decay, "nets": count, "attacks": got})
        for name, each in got.items():
            print(f"{case} n = {n}, decay {decay:g}, {name}: {json.dumps(each)}", flush=True)
        if out:
            Path(out).write_text(json.dumps(result, indent=1), encoding="utf-8")


if __name__ == "__main__":
    main(*sys.argv[1:])
