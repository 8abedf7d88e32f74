r"""Weight decay: when do a network's units collapse, and when can its training images be read off as differences?

Candidates are differences of units of layer 1 (attack/differences.py), which takes no data and no optimisation. Scoring
them uses the true training set: an evaluation.
"""

import numpy as np

from .. import kkt, metrics
from . import attacked, trained
from .drawing import MARKED, NULLS, captions
from .drawing.curves import legend, panels
from .fig3 import unseen

QUICK = {"n": 20, "hidden": (100, 100), "decays": (1e-4, 1e-3), "steps": (50, 200)}
RANK = 1e-2  # singular values below this share of the largest don't count
KEYS = ("candidates", "directions", "rank", "stationarity", "train_accuracy", "test_accuracy")


def run(
    seed, progress, case="mnist", n=50, hidden=(500, 500), decays=(1e-5, 1e-4, 1e-3, 1e-2),
    steps=(25, 50, 100, 200, 400), m=200,
):  # fmt: skip
    r"""Train with each decay by L-BFGS, and subtract units after so many steps. Each stretch is a new search.

    Returns a dict: `ncc` and `unseen` (decays, steps, n), of every training image and of as many unseen ones with the
    nearest of at most m candidates, 0 where there is none; and `KEYS`, each (decays, steps): candidates, directions of
    layer 1's units, the rank of W², what is left of the gradient, and accuracies.
    """
    rows = []
    for decay in decays:
        params, done = None, 0
        for step in steps:
            options = {"params": params, "decay": decay, "max_steps": step - done, "progress": progress}
            net, data = trained(case, n, hidden, seed, record_every=step, **options)
            params, done = net.params, step
            ncc, other, count = np.zeros(n), np.zeros(n), 0
            try:
                rec = attacked(params, m, seed=seed, optimizer="differences")
            except ValueError:  # no difference looks like an image
                pass
            else:
                ncc, other = metrics.score(rec, data).ncc, metrics.score(rec, unseen(data)).ncc
                count = len(rec.x)
            rank = np.linalg.matrix_rank(params[1].weight.astype(float), rtol=RANK)
            last = [net.history[key][-1] for key in KEYS[3:]]
            rows.append([ncc, other, count, kkt.distinct_units(params), rank, *last])
    shape = len(decays), len(steps)
    arrays = zip(("ncc", "unseen", *KEYS), zip(*rows, strict=True), strict=True)
    fixed = {"case": case, "n": n, "hidden": hidden, "decays": decays, "steps": steps, "m": m}
    return fixed | {key: np.array(each, np.float32).reshape(*shape, *np.shape(each)[1:]) for key, each in arrays}


def draw(data):
    r"""Images found, directions of units and rank of W² against the steps of training, a line for each decay."""
    n = int(data["n"])
    title = f"Weight decay: {data['case']}, n = {n}, units subtracted after so many steps of training"
    figure, every = panels(3, title, height=2.6)
    shown = {"training images with NCC > 0.8": None, "directions in layer 1": "directions", "rank of W²": "rank"}
    for axes, (label, key) in zip(every, shown.items(), strict=True):
        values = np.sum(data["ncc"] > 0.8, axis=-1) if key is None else data[key]
        for decay, line, row in zip(data["decays"], MARKED, values, strict=False):
            axes.plot(data["steps"], row, **line, label=f"decay {decay:g}")
        axes.set(xscale="log", xlabel="steps of L-BFGS", yscale="log" if key else "linear")
        axes.set_xticks(data["steps"], [f"{step:g}" for step in data["steps"]])
        axes.set_xticks([], minor=True)
        axes.set_title(label)
        if key:
            axes.set_ylim(1, 1.2 * max(data["hidden"]))
    worst = np.sum(data["unseen"] > 0.8, axis=-1).max(axis=0)
    every[0].plot(data["steps"], worst, **NULLS[1], label="null: unseen images, the most of any decay")
    every[0].set_ylim(-0.03 * n, 1.03 * n)
    legend(figure, every[0], 3)
    return figure


def numbers(data):
    r"""For each decay and number of steps: images above 0.8 and 0.9, unseen ones, and `KEYS`."""
    result = {}
    for i, decay in enumerate(data["decays"].tolist()):
        result[f"{decay:g}"] = rows = {}
        for j, step in enumerate(data["steps"].tolist()):
            counts = {}
            for kind in ("ncc", "unseen"):
                counts |= {f"{kind}_over_{low}": int(np.sum(data[kind][i, j] > low)) for low in (0.8, 0.9)}
            rows[str(step)] = counts | {key: round(float(data[key][i, j]), 4) for key in KEYS}
    return result


def caption(data):
    r"""What the figure shows."""
    got, rows = numbers(data), []
    head = [
        "decay",
        "steps",
        "NCC > 0.8",
        "> 0.9",
        "unseen > 0.8",
        "candidates",
        "directions",
        "rank of W²",
        "gradient",
    ]
    for decay, by_step in got.items():
        for step, each in by_step.items():
            counts = [each[key] for key in ("ncc_over_0.8", "ncc_over_0.9", "unseen_over_0.8")]
            whole = [int(each[key]) for key in KEYS[:3]]
            rows.append([decay, step, *counts, *whole, f"{each['stationarity']:.1%}"])
    every = [list(by_step.values()) for by_step in got.values()]
    first, last = ([by_step[place]["ncc_over_0.8"] for by_step in every] for place in (0, -1))
    return captions.text(
        "decay",
        data=data,
        hidden="–".join(map(str, data["hidden"])),
        table=captions.table(head, rows),
        end=data["steps"][-1],
        begun=f"{min(first)} to {max(first)}",
        found=f"{min(last)} to {max(last)}",
        chance=max(each["unseen_over_0.8"] for by_step in every for each in by_step),
    )
