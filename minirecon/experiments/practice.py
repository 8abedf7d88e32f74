r"""Which ordinary trainings leak? Mini-batches, usual initial weights, and the optimisers and decays that people use.

Candidates are differences of units of layer 1 (attack/differences.py), which takes no data and no optimisation. Scoring
them uses the true training set: an evaluation.
"""

from itertools import pairwise

import numpy as np

from .. import metrics, mlp
from ..attack.differences import subtracted
from ..io import datasets
from ..io.progress import progress_line
from . import attacked, minibatch
from .drawing import BLUE, GREY, MARKED, SKY, SMALL, captions
from .drawing.curves import panels
from .fig3 import unseen

RATES = {"sgd": 0.1, "adam": 1e-3, "adamw": 1e-3}
TRAININGS = {  # rule, decay, scale of layer 1's initial weights where it is not the usual one
    "SGD": ("sgd", 0.0, None),
    "SGD, small first layer": ("sgd", 0.0, 1e-4),
    "SGD, decay 5e-4": ("sgd", 5e-4, None),
    "SGD, decay 2e-3": ("sgd", 2e-3, None),
    "SGD, decay 5e-3": ("sgd", 5e-3, None),
    "SGD, decay 1e-2": ("sgd", 1e-2, None),
    "Adam": ("adam", 0.0, None),
    "Adam, L2 1e-4": ("adam", 1e-4, None),
    "Adam, L2 1e-3": ("adam", 1e-3, None),
    "AdamW, decay 1e-2": ("adamw", 1e-2, None),
    "AdamW, decay 5": ("adamw", 5.0, None),
    "AdamW, decay 5, v known": ("adamw", 5.0, None),
}
# attacked are the weights of layer 1 times √v, as by one who has the optimiser's state, too
KNOWN = "AdamW, decay 5, v known"
QUICK = {"cases": ("mnist",), "n": 50, "hidden": (300, 300), "epochs": (150, 300)}
KINDS = "ncc", "unseen", "ranked", "ranked_unseen"
COUNTED = ("ncc", 0.8), ("ncc", 0.9), ("unseen", 0.8)
FAMILIES = {"sgd": "SGD with decay, or without", "adam": "Adam with L2, or without", "adamw": "AdamW"}
LOOKS = [MARKED[place] | {"linestyle": ""} for place in (0, 4, 1, 2, 2)]
LOOKS[-1] |= {"markerfacecolor": "white"}
LEAST = 1e-6  # share that is drawn
TOLD = "differences", "left", "outside", "margin", "test_accuracy"


def run(
    seed, progress, cases=("mnist", "cifar10"), n=100, hidden=(500, 500), trainings=tuple(TRAININGS),
    epochs=(75, 150, 300),
):  # fmt: skip
    r"""Train in each way, and after so many epochs subtract units.

    Returns a dict: for each of `KINDS` (cases, trainings, epochs, n), the NCC of every training image and of as many
    unseen ones with the nearest of all differences that look like an image, and of the list of 2n that the attack makes
    of them, 0 where there is none; and for each of `TOLD` (cases, trainings, epochs): how many differences; what of
    layer 1 lies outside the span of the training samples, as a share of that at the start (of norms) and of layer 1 (of
    squares); the smallest margin; and the test accuracy.
    """
    ncc = np.zeros((len(KINDS), len(cases), len(trainings), len(epochs), n), np.float32)
    told = np.zeros((len(TOLD), len(cases), len(trainings), len(epochs)))
    for c, case in enumerate(cases):
        data = datasets.load_dataset(case, n)
        x, y = data.x.astype(np.float32), data.y.astype(np.float32)
        for t, name in enumerate(trainings):
            rule, decay, first_scale = TRAININGS[name]
            rng = np.random.default_rng(seed)
            params = minibatch.usual(rng, x.shape[1], hidden, first_scale)
            start, _ = outside(params, x)
            training = minibatch.epochs(params, x, y, rng, rule, RATES[rule], decay)
            with progress_line(epochs[-1], f"{case}: {name}", progress) as bar:
                for e, (before, end) in enumerate(pairwise((0, *epochs))):
                    for _ in range(end - before):
                        params, (_, v) = next(training)
                        bar.update()
                    shown = undivided(params, v) if name == KNOWN else params
                    (left, _), (_, share) = outside(params, x), outside(shown, x)
                    margin = metrics.lead(mlp.forward(params, x).phi, y).min()
                    accuracy = metrics.accuracy(params, data.x_test, data.y_test)
                    count, ncc[:, c, t, e] = found(shown, data, seed)
                    told[:, c, t, e] = count, left / start, share, margin, accuracy
    fixed = {"cases": cases, "n": n, "hidden": hidden, "trainings": trainings, "epochs": epochs}
    return fixed | dict(zip(KINDS, ncc, strict=True)) | dict(zip(TOLD, told, strict=True))


def outside(params, x):
    r"""What of layer 1's rows [w b] lies outside the span of the samples [x 1]: its norm, its share of the squares."""
    rows, samples = np.column_stack(params[0]).astype(float), np.column_stack([x, np.ones(len(x))]).astype(float)
    basis, _ = np.linalg.qr(samples.T)
    rest = np.sum((rows - rows @ basis @ basis.T) ** 2)
    return rest**0.5, rest / np.sum(rows**2)


def undivided(params, v):
    r"""Params with layer 1 times √v, entry by entry, for the vector v of Adam's mean squares of gradients."""
    first = [p * root for p, root in zip(params[0], minibatch.like(params, np.sqrt(v))[0], strict=True)]
    return mlp.Layer(*first), *params[1:]


def found(params, data, seed):
    r"""How many differences there are, and for each of `KINDS` the NCC (n,) of each image with the nearest of them."""
    every, ncc = subtracted(params)[0], np.zeros((len(KINDS), len(data.x)))
    if len(every):
        listed = attacked(params, 2 * len(data.x), seed=seed, optimizer="differences").x
        pairs = [(images, truth) for images in (every, listed) for truth in (data, unseen(data))]
        for row, (images, truth) in zip(ncc, pairs, strict=True):
            row[:] = metrics.ncc(*(z.reshape(-1, *data.image_shape) for z in (truth.x, images))).max(axis=1)
    return len(every), ncc


def decayed(data):
    r"""Decay · rate · steps, for SGD over 1 − μ: how often the start has shrunk by e, (trainings, epochs).

    NaN of Adam, where the size of a gradient does not count.
    """
    steps = data["epochs"] * -(-int(data["n"]) // minibatch.BATCH)
    speed = {"sgd": 1 / (1 - minibatch.MOMENTUM), "adam": np.nan, "adamw": 1.0}
    each = [TRAININGS[name] for name in data["trainings"].tolist()]
    return np.array([decay * RATES[rule] * speed[rule] * steps for rule, decay, _ in each])


def family(name):
    r"""What trainings go by in the picture."""
    rule, _, first_scale = TRAININGS[name]
    return name if name == KNOWN else "SGD, small first layer" if first_scale else FAMILIES[rule]


def draw(data):
    r"""For each case images in the differences after each training, and against what is no sum of samples."""
    names, cases, n = data["trainings"].tolist(), data["cases"].tolist(), int(data["n"])
    title = f"Which ordinary trainings leak? n = {n}, batches of {minibatch.BATCH}"
    figure, every = panels(2 * len(cases), title, 2, height=2.7)
    places, most = np.arange(len(names)), 1.1 * max(1, np.sum(data["ncc"] > 0.8, axis=-1).max())
    for c, case in enumerate(cases):
        bars, points = every[2 * c : 2 * c + 2]
        found, best, null = (np.sum(data[kind][c] > low, axis=-1) for kind, low in COUNTED)
        bars.barh(places, found[:, -1], 0.7, color=SKY, label="NCC > 0.8")
        bars.barh(places, best[:, -1], 0.7, color=BLUE, label="NCC > 0.9")
        bars.barh(places, null[:, -1], 0.25, color=GREY, label="null: unseen images, NCC > 0.8")
        bars.set_yticks(places, names, fontsize=SMALL)
        bars.invert_yaxis()
        bars.set(axisbelow=True, xlim=(0, most), xlabel="training images in the differences")
        bars.set_title(f"{case}, after {data['epochs'][-1]} epochs")
        for label, line in zip(dict.fromkeys(map(family, TRAININGS)), LOOKS, strict=True):
            member = np.array([family(name) == label for name in names])
            shown = np.maximum(data["outside"][c, member], LEAST), found[member]
            points.plot(*map(np.ravel, shown), **line, label=label)
        points.set(xscale="log", xlim=(1.5, LEAST / 1.5), ylim=(-0.03 * most, most), ylabel="images with NCC > 0.8")
        points.set_xlabel("share of layer 1 outside the samples' span")
        points.set_title(f"{case}, after {captions.listed(data['epochs'])} epochs")
    for place, axes in zip(("lower left", "lower right"), every[:2], strict=True):
        figure.legend(*axes.get_legend_handles_labels(), loc=f"outside {place}", ncols=1 + (axes is every[1]))
    return figure


def numbers(data):
    r"""For each case, training and number of epochs: images above 0.8 and 0.9 of each kind, `TOLD`, time of decay."""
    result, time = {}, decayed(data)
    for c, case in enumerate(data["cases"].tolist()):
        result[case] = {}
        for t, name in enumerate(data["trainings"].tolist()):
            result[case][name] = rows = {}
            for e, epochs in enumerate(data["epochs"].tolist()):
                counts = {
                    f"{kind}_over_{low}": int(np.sum(data[kind][c, t, e] > low)) for kind in KINDS for low in (0.8, 0.9)
                }
                told = {key: float(data[key][c, t, e]) for key in TOLD}
                rows[str(epochs)] = counts | told | {"time": None if np.isnan(time[t, e]) else float(time[t, e])}
    return result


def caption(data):
    r"""What the figure shows."""
    got, tables, last = numbers(data), [], str(data["epochs"][-1])
    for case, trainings in got.items():
        head = [case, "time", "left", "outside", "margin", "test", "differences", "> 0.8", "> 0.9", "unseen", "list"]
        rows = []
        for name, each in ((name, by_epochs[last]) for name, by_epochs in trainings.items()):
            time = None if each["time"] is None else f"{each['time']:.2g}"
            shares = [f"{each[key]:.2g}" for key in ("left", "outside")]
            net = [f"{each['margin']:.1f}", f"{each['test_accuracy']:.3f}", int(each["differences"])]
            counts = [each[key] for key in ("ncc_over_0.8", "ncc_over_0.9", "unseen_over_0.8", "ranked_over_0.8")]
            rows.append([name, time, *shares, *net, *counts])
        tables.append(captions.table(head, rows))
    every = [row for trainings in got.values() for by_epochs in trainings.values() for row in by_epochs.values()]
    return captions.text(
        "practice",
        data=data,
        hidden="–".join(map(str, data["hidden"])),
        tables="\n\n".join(tables),
        end=last,
        batch=minibatch.BATCH,
        rates=f"{RATES['sgd']:g} of SGD, with momentum {minibatch.MOMENTUM:g}, and {RATES['adam']:g} of Adam and AdamW",
        chance=max(row["unseen_over_0.8"] for row in every),
        listed=2 * int(data["n"]),
    )
