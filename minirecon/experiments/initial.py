r"""Known initial weights, θ − θ₀ = Σ cᵢ∇Φ(xᵢ), after Loo et al. 2024 (arXiv 2302.01428); their reconstruction curve.

The matching of candidates with training images uses these: an evaluation, not a part of the attack.
"""

from itertools import pairwise

import numpy as np

from .. import metrics, mlp
from ..io.datasets import load_dataset
from ..mlp import Layer
from ..training import train
from . import attacked, pixels, whole
from .drawing import BLACK, LINES, NULLS, captions
from .drawing.images import blank, cells, show
from .fig3 import unseen

QUICK = {"n": 50, "hidden": (512, 512), "m": 100, "iterations": 300}
SHOWN = 12
ROWS = {
    "attack": "known θ₀, training images",
    "unseen": "null: the same candidates, unseen images",
    "wrong": "null: a wrong θ₀, training images",
}
# of 200 images, read from the published curve: rank and L2 distance
PUBLISHED = ((1, 0.52), (100, 1.45), (135, 2.0), (145, 4.8))
PUBLISHED_N = 200
HIT = 2.0  # L2 distance in pixels of [0, 1] up to which an image counts as found; behind it the published curve jumps


def run(seed, progress, case="mnist", n=200, hidden=(2048, 2048), square_loss=2e-8, m=400, iterations=600):
    r"""Train from a usual start with the square loss, and attack with that start known; and with another one.

    From the matching on, the training set is used.

    Returns a dict: `distance` (3, n), L2, of the images of each of `ROWS` from their candidates, sorted; `ncc` (3, n),
    of the same pairs; the best images reconstructed and the training images, uint8; and what the training reached.
    """
    data = less_one_number(load_dataset(case, n))
    start, wrong = (usual_start(np.random.default_rng(each), data.x.shape[1], hidden) for each in (seed, seed + 1))
    goal = {"loss": "mse", "target_time": None, "target_log_loss": float(np.log(square_loss))}
    net = whole(train(data, params=start, progress=progress, **goal))
    found = {}
    for name, initial in (("attack", start), ("wrong", wrong)):
        rec = attacked(net.params, m, seed=seed, initial=initial, progress=progress, iterations=iterations)
        found[name] = rec, data
    found["unseen"] = found["attack"][0], unseen(data)
    pairs = {row: matched(rec.x, truth.x) for row, (rec, truth) in found.items()}
    ncc = []
    for row in ROWS:
        (rec, truth), (candidate, image, _) = found[row], pairs[row]
        both = (z.reshape(-1, *truth.image_shape) for z in (rec.x[candidate], truth.x[image]))
        ncc.append(np.sum(np.prod([metrics.standardise(z) for z in both], axis=0), axis=1) / truth.image_shape[0])
    candidate, image, _ = pairs["attack"]
    x = found["attack"][0].x
    return {
        "case": case, "n": n, "m": m, "iterations": iterations, "hidden": hidden,
        "distance": np.array([pairs[row][2] for row in ROWS], np.float32), "ncc": np.array(ncc, np.float32),
        "images": pixels(np.clip(x[candidate[:SHOWN]] + data.mean, 0, 1)),
        "truth": pixels((data.x + data.mean)[image[:SHOWN]]), "shape": data.image_shape,
        "square_loss": np.exp(net.history["log_loss"][-1]), "steps": net.history["step"][-1],
        "test_accuracy": net.history["test_accuracy"][-1],
    }  # fmt: skip


def usual_start(rng, d, hidden):
    r"""Initial weights N(0, 1/fan_in), and biases 0 in all layers but the last: params. Source: LeCun et al. 1998."""
    layers = []
    for fan_in, fan_out in pairwise([d, *hidden, 1]):
        weight = rng.standard_normal((fan_out, fan_in)) / fan_in**0.5
        layers.append(Layer(weight, np.zeros(fan_out) if len(layers) < len(hidden) else None))
    return mlp.cast(tuple(layers), np.float32)


def less_one_number(data):
    r"""A Dataset whose images are less the mean of all pixels, one number, in place of the mean image; as published."""
    mean = np.full_like(data.mean, data.mean.mean())
    return data._replace(x=data.x + data.mean - mean, x_test=data.x_test + data.mean - mean, mean=mean)


def matched(x, truth):
    r"""Candidates x (m, d) and images (n, d) in pairs, one to one, so that the sum of their L2 distances is smallest.

    Returns the candidates' and the images' numbers and the distances, each (min(m, n),), nearest first.
    """
    from scipy.optimize import linear_sum_assignment
    from scipy.spatial.distance import cdist

    distance = cdist(x, truth)
    candidate, image = linear_sum_assignment(distance)
    order = np.argsort(distance[candidate, image])
    candidate, image = candidate[order], image[order]
    return candidate, image, distance[candidate, image]


def draw(data):
    r"""The images with the smallest distance, reconstructed and true; below, all distances, sorted."""
    n = int(data["n"])
    figure = blank(4.8, f"Known initial weights: {data['case']}, {n} training images, square loss")
    above, below = figure.subfigures(2, 1, height_ratios=[1, 2])
    shown = len(data["images"])
    above.suptitle(f"the {shown} nearest of {n} training images")
    grid = cells(above, 2, shown)
    for place, distance in enumerate(data["distance"][0, :shown]):
        show(grid[0, place], data["images"][place] / 255, data["shape"], f"L2 {distance:.2f}")
        show(grid[1, place], data["truth"][place] / 255, data["shape"])
    for axes, label in zip(grid[:, 0], ("reconstructed", "training image"), strict=True):
        axes.set_ylabel(label, rotation=0, ha="right", va="center")
    axes = below.subplots()
    rank = np.arange(1, n + 1)
    for (row, label), distance, line in zip(ROWS.items(), data["distance"], (LINES[0], *NULLS), strict=False):
        label = f"{label}: {numbers(data)[row]['below_2']} below {HIT:g}"
        axes.plot(rank / n, distance[:n], **line, label=label)
    place, distance = np.array(PUBLISHED).T
    label = f"published, n = {PUBLISHED_N}, read from the curve"
    axes.plot(place / PUBLISHED_N, distance, "*--", color=BLACK, markersize=5, label=label)
    axes.axhline(HIT, color=BLACK, linewidth=0.6, linestyle=":", label=f"distance {HIT:g}")
    axes.set(
        xlabel=f"rank of the image, as a share of the {n}",
        ylabel="L2 distance of image and candidate\n(pixels in [0, 1])",
    )
    axes.set(ylim=(0, None), xlim=(0, 1))
    axes.set_title("reconstruction curve: one candidate for each image, sorted by distance")
    below.legend(loc="outside lower center", ncols=2)
    axes.grid()
    return figure


PICTURES = {"initial.png": draw}


def numbers(data):
    r"""For each of `ROWS`: how many distances are below 1 and 2, the smallest, the median; NCC over 0.8 and 0.9."""
    result = {}
    for row, distance, ncc in zip(ROWS, data["distance"].astype(float), data["ncc"], strict=True):
        result[row] = {f"below_{low}": int(np.sum(distance < low)) for low in (1, 2)}
        result[row] |= {"smallest": float(distance[0]), "median": float(np.median(distance))}
        result[row] |= {f"ncc_over_{low}": int(np.sum(ncc > low)) for low in (0.8, 0.9)}
    for key in ("square_loss", "test_accuracy"):
        result[key] = float(data[key])
    return result | {"steps": int(data["steps"])}


def caption(data):
    r"""What the figure shows."""
    got, n = numbers(data), int(data["n"])
    head = ["candidates held against", "L2 below 1", "below 2", "smallest", "median", "NCC > 0.8", "> 0.9"]
    table = captions.table(head, [[label, *got[row].values()] for row, label in ROWS.items()])
    share, there = got["attack"]["below_2"] / n, PUBLISHED[2][0] / PUBLISHED_N
    chance = max(got[row]["below_2"] for row in ("unseen", "wrong"))
    return captions.text(
        "initial",
        data=data,
        hidden="–".join(map(str, data["hidden"])),
        got=got,
        table=table,
        share=share,
        there=there,
        relation="fewer than" if share < there else "at least as many as",
        chance=chance,
    )
