r"""Two checkpoints of one training: how much more do they leak than the last one alone?

Gradient flow adds up gradients: θ(t₂) − θ(t₁) = −∫ ∇L dt, whatever the start was. The attack is that of known initial
weights, with the earlier checkpoint for θ₀. The scoring uses the true training set: an evaluation.
"""

import numpy as np

from .. import metrics, mlp
from . import attacked, trained
from .drawing import MARKED, NULLS, captions
from .drawing.curves import legend, panels
from .fig3 import unseen

QUICK = {"times": (10.0, 1e3, 1e4), "nets": 1, "iterations": 200}
PANELS = {"NCC > 0.8": "images with NCC > 0.8", "NCC > 0.9": "images with NCC > 0.9", "median NCC": "median NCC"}


def run(
    seed, progress, case="mnist", n=50, hidden=(1000, 1000), times=(1.0, 10.0, 100.0, 1e3, 1e4), nets=3, m=100,
    iterations=400, alpha=150.0,
):  # fmt: skip
    r"""Train `nets` networks with a checkpoint at each flow time; attack the last alone, and with each before known.

    All attacks have one sharpness `alpha`. For two checkpoints it is not the default, which is for usual starts.

    Returns a dict: `ncc` and `unseen` (nets, ways, n), of every training image and of as many unseen ones with the
    nearest candidate. The ways: the last alone; with θ₀ known; with the checkpoint at each but the last of `times`.
    `change` (nets, ways): the norm of the weights that are to be explained, as a share of the last checkpoint's.
    """
    rows = []
    for net in range(nets):
        params, known, time = None, [], 0.0
        for target in times:
            options = {"params": params, "target_time": target - time, "progress": progress}
            trial, data = trained(case, n, hidden, seed + net, **options)
            known.append(trial.initial)
            params, time = trial.params, target
        for initial in (None, *known):
            options = {"initial": initial, "iterations": iterations, "alpha": alpha, "progress": progress}
            rec = attacked(params, m, seed=seed + net, **options)
            left = params if initial is None else mlp.subtract(params, initial)
            change = (mlp.square_norm(left) / mlp.square_norm(params)) ** 0.5
            rows.append((metrics.score(rec, data).ncc, metrics.score(rec, unseen(data)).ncc, change))
    shape = nets, 1 + len(times)
    ncc, other, change = (np.array(each, np.float32).reshape(*shape, -1) for each in zip(*rows, strict=True))
    return {
        "case": case, "n": n, "m": m, "iterations": iterations, "alpha": alpha, "times": times,
        "ncc": ncc, "unseen": other, "change": change[..., 0],
    }  # fmt: skip


def measures(ncc):
    r"""What `PANELS` names, of NCC (nets, ways, n): images above 0.8, above 0.9, and the median, each (nets, ways)."""
    return [np.sum(ncc > 0.8, axis=-1), np.sum(ncc > 0.9, axis=-1), np.median(ncc.astype(float), axis=-1)]


def names(data):
    r"""Of the ways of `run` what is known: a list of str."""
    return ["the last alone", "the last and θ₀", *(f"the last and T = {time:g}" for time in data["times"][:-1])]


def draw(data):
    r"""Images found, and median NCC, against the flow time of the earlier checkpoint: mean and range over the nets."""
    nets, n = data["ncc"].shape[0], int(data["n"])
    title = f"Do two checkpoints leak more than one? {data['case']}, n = {n}; points: mean of {nets} nets, bars: range"
    figure, every = panels(len(PANELS), title, height=2.6)
    x = np.arange(data["ncc"].shape[1] - 1)
    both = [measures(data[key]) for key in ("ncc", "unseen")]
    for axes, (name, label), ours, null in zip(every, PANELS.items(), *both, strict=True):
        for values, line, text, shift in (
            (ours, MARKED[0], "", -0.04),
            (null, NULLS[1] | {"marker": "s"}, "null: unseen images, ", 0.04),
        ):
            mean, low, high = (values.mean(axis=0), values.min(axis=0), values.max(axis=0))
            error = [(mean - low)[1:], (high - mean)[1:]]
            axes.errorbar(x + shift, mean[1:], error, **line, label=f"{text}two checkpoints")
            axes.axhspan(low[0], high[0], color=line["color"], alpha=0.15)
            axes.axhline(mean[0], color=line["color"], linestyle=":", label=f"{text}the last alone")
        axes.set_xticks(x, ["θ₀", *(f"{time:g}" for time in data["times"][:-1])])
        axes.set(xlabel=f"flow time of the earlier checkpoint\n(the later one: {data['times'][-1]:g})")
        axes.set_ylim(*((0, 1) if name == "median NCC" else (-0.03 * n, 1.03 * n)))
        axes.set_title(label)
    legend(figure, every[0], 2)
    return figure


def numbers(data):
    r"""For each way and each of `PANELS`: smallest, mean and largest over the nets; and `change`."""
    result = {}
    for way, name in enumerate(names(data)):
        row = {"change": float(data["change"][:, way].mean())}
        for kind in ("ncc", "unseen"):
            for key, values in zip(PANELS, measures(data[kind][:, way : way + 1]), strict=True):
                values = values[:, 0].astype(float)
                row[f"{kind}: {key}"] = [values.min(), values.mean(), values.max()]
        result[name] = row
    return result


def caption(data):
    r"""What the figure shows."""
    got, rows = numbers(data), []
    for name, row in got.items():
        counts = ["{1:.1f} ({0:.0f}–{2:.0f})".format(*row[f"ncc: NCC > {low}"]) for low in (0.8, 0.9)]
        median = "{1:.2f} ({0:.2f}–{2:.2f})".format(*row["ncc: median NCC"])
        null = "{:.1f}; {:.2f}".format(row["unseen: NCC > 0.8"][1], row["unseen: median NCC"][1])
        rows.append([name, row["change"], *counts, median, null])
    head = ["known", "share", "NCC > 0.8", "> 0.9", "median", "unseen: > 0.8; median"]
    alone, *others = (row["ncc: NCC > 0.9"] for row in got.values())
    best = max(others, key=lambda each: each[1])
    worst = min(others, key=lambda each: each[1])
    relation = "more" if best[0] > alone[2] else "no more than the spread of the nets"
    told = {"alone": alone[1], "best": best[1], "worst": worst[1], "known": list(got)[1 + others.index(best)]}
    return captions.text("checkpoints", data=data, nets=len(data["ncc"]), table=captions.table(head, rows),
                         relation=relation, least=list(got)[1 + others.index(worst)], **told)  # fmt: skip
