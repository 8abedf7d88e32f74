r"""Subtract two units: what differences of rows of layer 1 show, how many are needed, and how far a list is right.

Lists are made and sorted without data (attack/differences.py, attack/rounds.py). Scoring them uses the true training
set: an evaluation.
"""

import numpy as np

from .. import metrics
from ..attack.differences import alike, apart, nearest, subtracted, unit_rows
from ..mlp import cast
from ..training import train
from . import attacked, beyond, pixels, shipped, whole
from .drawing import BLACK, LINES, NULLS, captions
from .drawing.curves import legend, panels
from .drawing.images import blank, image_rows

QUICK = {"nets": 2, "rounds": 1, "hidden": (300, 300)}
RIGHT = 0.8  # NCC above which a candidate is a training image
LISTS = ("differences", "refined in rounds")
FIRST = (10, 20)  # of a list, in the caption
COUNTS = (1, 2, 5, 10, 20, 50)  # of neighbours, there


def run(
    seed, progress, case="mnist", weights="mnist-n20.pth", n=20, hidden=(1000, 1000), target_time=1e4, nets=3,
    first=450, neighbours=50, listed=60, iterations=300, rounds=4, examples=8,
):  # fmt: skip
    r"""Subtract units of the shipped network and of others, and list what they may show. Only scores use the data.

    The others, or all if no `weights` are named, have seeds of their own and n images each, from place `first` of each
    class on, on which no setting was chosen.

    Returns a dict: `rows` (examples, 2, d), `differences` and `images` (examples, d), what was subtracted, what it gave
    and the training image nearest to that, `ncc` (examples,); `ncc_neighbours` and `unseen_neighbours` (nets,
    neighbours, n), of each image with the nearest of all differences of so many neighbours; `ncc_list` and
    `unseen_list` (nets, lists, listed), of each candidate of a list with the nearest training or unseen image, NaN
    after its end; `witnesses`, the same shape: how many pairs of different units agree with the candidate.
    """
    shape = nets, len(LISTS), listed
    lists = {key: np.full(shape, np.nan, np.float32) for key in ("ncc_list", "unseen_list", "witnesses")}
    by_count, result = [], {}
    for net in range(nets):
        if weights and not net:
            params, data = shipped(weights, case, n)
        else:
            data = beyond(case, n, first + net * n // 2)
            options = {"target_time": target_time, "progress": progress}
            params = whole(train(data, hidden, seed + net, **options)).params
        params = cast(params, float)
        pool, pairs = subtracted(params)
        if not net:
            result = shown(params, pool, pairs, data, examples)
        by_count.append(by_neighbours(params, data, neighbours))
        options = {"iterations": iterations, "span": n, "samples": n, "rounds": rounds}
        ways = (
            attacked(params, listed, seed=seed, optimizer="differences"),
            attacked(params, 3 * n, seed=seed, **options),
        )
        for place, rec in enumerate(ways):
            x = rec.x[:listed].astype(float)
            values = nearness(x, data.x, data), nearness(x, data.x_test[:n], data), witnesses(x, pool, pairs)
            for key, each in zip(lists, values, strict=True):
                lists[key][net, place, : len(x)] = each
    by_count = np.array(by_count, np.float32)
    counted = {"ncc_neighbours": by_count[:, 0], "unseen_neighbours": by_count[:, 1]}
    return {"case": case, "n": n, "rounds": rounds, **result, **counted, **lists}


def nearness(x, images, data):
    r"""NCC of each candidate x (m, d) with the nearest of some images (k, d): (m,)."""
    return metrics.ncc(*(z.reshape(-1, *data.image_shape) for z in (x, images))).max(axis=1)


def shown(params, pool, pairs, data, count):
    r"""The differences that most others agree with, unlike each other: which rows, what, and what is nearest to it."""
    agree = alike(pool, pool)
    votes, left, chosen = np.sum(agree & apart(pairs), axis=1), np.ones(len(pool), dtype=bool), []
    for _ in range(min(count, len(pool))):
        chosen.append(np.where(left, votes, -1).argmax())
        left &= ~agree[chosen[-1]]
    both = metrics.ncc(*(z.reshape(-1, *data.image_shape) for z in (pool[chosen], data.x)))
    images = pixels(data.pixels(data.x)[both.argmax(axis=1)])
    rows = params[0].weight[pairs[chosen]].astype(np.float16)
    found = {"differences": pool[chosen].astype(np.float16), "images": images, "ncc": both.max(axis=1)}
    return {"rows": rows, "shape": data.image_shape, **found}


def by_neighbours(params, data, most):
    r"""NCC of training and of unseen images with the nearest difference of 1, 2, … neighbours: (2, most, n)."""
    rows, _ = unit_rows(params)
    near, n = nearest(rows, most), len(data.x)
    images = np.concatenate([data.x, data.x_test[:n]])
    best = np.zeros((most, 2 * n))
    for k, others in enumerate(near.T):
        edges = rows - rows[others]
        edges = edges[np.abs(edges[:, -1]) > 1e-12]
        best[k] = nearness(images, edges[:, :-1] / edges[:, -1:], data)
    best[near.shape[1] :] = best[near.shape[1] - 1]
    return np.maximum.accumulate(best).reshape(most, 2, n).swapaxes(0, 1)


def witnesses(x, pool, pairs):
    r"""How many of a pool of differences agree with each of x (m, d), no two of them with a common unit: (m,)."""
    counts = []
    for agree in alike(x, pool):
        used = set()
        for pair in pairs[agree].tolist():
            if not used & set(pair):
                used |= set(pair)
        counts.append(len(used) // 2)
    return np.array(counts)


def judged(data):
    r"""Whether each candidate of a list is right, or an unseen image, and what is expected: (nets, lists, listed).

    An attacker's guess: one witness says nothing, of k all but one count, 1 − 1/k. NaN after the end of a list.
    """
    ended = np.isnan(data["ncc_list"])
    right, unseen = (np.where(ended, np.nan, data[key] > RIGHT) for key in ("ncc_list", "unseen_list"))
    return {"right": right, "unseen": unseen, "expected": 1 - 1 / np.maximum(data["witnesses"].astype(float), 1)}


def draw_units(data):
    r"""Two rows, their difference over its last coordinate, and the training image nearest to it."""
    count = len(data["ncc"])
    figure = blank(0.84 * 4, "Two units of layer 1, and their difference; the pairs that most others agree with")
    first, second = (
        metrics.stretch(data["rows"].astype(float).reshape(2 * count, -1)).reshape(count, 2, -1).swapaxes(0, 1)
    )
    difference = metrics.stretch(data["differences"].astype(float))
    images = np.array([first, second, difference, data["images"] / 255])
    names = "one unit's\nweights", "another's", "difference\n/ its bias", "nearest\ntraining\nimage"
    image_rows(figure, names, images, data["shape"], [*[[""] * count] * 3, [f"NCC {ncc:.2f}" for ncc in data["ncc"]]])
    return figure


def draw(data):
    r"""Images found over neighbours; precision of the first of each list; and what may be expected against it."""
    figure, (found, precise, fair) = panels(3, f"Differences of units: {data['case']}, n = {data['n']}", height=2.5)
    places = np.arange(1, data["ncc_list"].shape[-1] + 1)
    right, unseen, hoped = (np.cumsum(each, axis=-1) / places for each in judged(data).values())
    for net in range(len(right)):
        label = (lambda name: name) if net == 0 else (lambda name: None)
        for key, style, name in (("ncc", LINES[0], "training images"), ("unseen", NULLS[0], "null: unseen images")):
            counts = np.sum(data[f"{key}_neighbours"][net] > RIGHT, axis=-1)
            found.plot(np.arange(1, len(counts) + 1), counts, **style, label=label(name))
        for place, (name, line) in enumerate(zip(LISTS, LINES, strict=False)):
            precise.plot(places, right[net, place], **line, label=label(name))
            fair.plot(hoped[net, place], right[net, place], **line)
        precise.plot(places, unseen[net, 0], **NULLS[0], label=label("null: unseen images"))
    shown = [k for k in COUNTS if k <= len(counts)]
    n = int(data["n"])
    found.set(xscale="log", ylim=(-0.03 * n, 1.03 * n), xlabel="neighbours subtracted from each unit")
    found.set_xticks(shown, shown)
    found.set_xticks([], minor=True)
    found.set_title(f"training images with NCC > {RIGHT}")
    precise.set(xlabel="the first k of a list", ylabel="share that is right", ylim=(-0.03, 1.03))
    precise.set_title("precision, no data used")
    fair.plot([0, 1], [0, 1], color=BLACK, linewidth=0.8, linestyle=":", label="equal")
    fair.set(xlabel="expected share, over k", ylabel="share that is right", ylim=(-0.03, 1.03), xlim=(-0.03, 1.03))
    fair.set_title("calibration")
    fair.legend(loc="lower right")
    legend(figure, precise, 3)
    return figure


PICTURES = {"differences.png": draw_units, "differences-lists.svg": draw}


def numbers(data):
    r"""Images found over neighbours; of the first of each list what is right, unseen and expected; a number a net."""
    counts = {key: np.sum(data[f"{key}_neighbours"] > RIGHT, axis=-1) for key in ("ncc", "unseen")}
    shown = [k for k in COUNTS if k <= counts["ncc"].shape[1]]
    result = {"neighbours": {str(k): {key: each[:, k - 1].tolist() for key, each in counts.items()} for k in shown}}
    for place, name in enumerate(LISTS):
        result[name] = {}
        for k in FIRST:
            means = {key: np.nanmean(each[:, place, :k], axis=-1) for key, each in judged(data).items()}
            result[name][str(k)] = {key: np.round(mean, 3).tolist() for key, mean in means.items()}
    return result


def caption(data):
    r"""What the figure shows."""
    got, kinds = numbers(data), ("ncc", "unseen")
    rows = [[k, *(captions.listed(each[key]) for key in kinds)] for k, each in got["neighbours"].items()]
    counted = captions.table(["neighbours", f"NCC > {RIGHT}, of {data['n']}", "unseen"], rows)
    kinds, rows, k = ("right", "unseen", "expected"), [], str(FIRST[-1])
    for name in LISTS:
        rows += [
            [name, key, *(captions.listed(each[kind], ".2f") for kind in kinds)] for key, each in got[name].items()
        ]
    table = captions.table(["list", "first", "right", "unseen", "expected"], rows)
    means = [np.diff(np.mean([got[name][k][key] for key in kinds[::2]], axis=1))[0] for name in LISTS]
    gaps = [f"{abs(gap):.2f} too {'high' if gap > 0 else 'low'}" for gap in means]
    nets = len(data["ncc_list"])
    return captions.text("differences", data=data, others=nets - 1, counted=counted, table=table, last=k, gaps=gaps)
