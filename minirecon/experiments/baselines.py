r"""The attack beside what knows less: model inversion, first-layer weights, unseen images, its start, the mean image.

Each goes through the same `metrics.score`, with the training images in hand: an evaluation, not a part of the attack.
"""

import numpy as np

from .. import metrics
from ..attack import baselines
from . import attacked, pixels, shipped, told, whole
from .drawing import captions
from .drawing.images import cells, image_rows, parts, show

QUICK = {"iterations": 100, "inversion_iterations": 50}
METHODS = {
    "attack": "the attack",
    "inversion": "model inversion",
    "first_layer": "rows of W¹",
    "unseen": "unseen images",
    "start": "the attack's start",
    "mean_image": "mean image",
}
ALIKE = ("start", "mean_image")  # much the same for every image
SHOWN = 5  # training images of each label
LARGE = 500
KEYS = ("ncc", "over_0.9", "ssim", "top10", "best", "rank30")
PUBLISHED = {"top10": 0.121, "best": 0.187, "rank30": 0.068}  # MNIST, n = 500, from the authors' notebooks' images


def run(
    seed, progress, cases=("mnist", "cifar10"), n=20, m=60, span=20, samples=20, iterations=300,
    inversion_iterations=150, inversion_start=0.1, large="mnist",
):  # fmt: skip
    r"""Attack, invert and read the first layer of each net CASE-n20.pth; of LARGE-n500.pth the first layer alone.

    From the scoring on, the training set is used.

    Returns a dict, for each case: NCC and SSIM of every training image for each of `METHODS`, (6, n); the number of
    candidates of each; and the first images of each label with what each method has for them, uint8.
    """
    arrays = {"cases": cases, "n": n}
    for case in cases:
        params, data = shipped(f"{case}-n{n}.pth", case, n)
        options = {"seed": seed, "progress": progress}
        rec = attacked(params, m, span=span, samples=samples, iterations=iterations, **options)
        options |= {"iterations": inversion_iterations, "start_scale": inversion_start}
        inverted, rows = whole(baselines.invert(params, m, **options)), baselines.first_layer(params)
        found = {"attack": rec, "inversion": inverted, "first_layer": rows}
        scores = {name: metrics.score(each, data) for name, each in found.items()}
        scores |= scores["attack"].null | {"unseen": scores["first_layer"].null["unseen"]}  # the larger number
        sizes = [len(rec.x), m, len(rows.x), min(len(rows.x), len(data.x_test)), len(rec.start), 1]
        chosen = np.concatenate([np.flatnonzero(data.y == sign)[:SHOWN] for sign in (-1, 1)])
        images = [data.x + data.mean, *(scores[name].images for name in METHODS)]
        arrays |= {
            f"{case}_sizes": sizes,
            f"{case}_ncc": [scores[name].ncc for name in METHODS],
            f"{case}_ssim": [scores[name].ssim for name in METHODS],
            f"{case}_images": pixels(np.array(images)[:, chosen]),
            f"{case}_chosen": chosen,
            f"{case}_shape": data.image_shape,
        }
    params, data = shipped(f"{large}-n{LARGE}.pth", large, LARGE)
    score = metrics.score(baselines.first_layer(params), data)
    every = [score, score.null["unseen"], score.null["mean_image"]]
    arrays |= {f"large_{key}": np.array([getattr(each, key) for each in every]) for key in ("ncc", "ssim")}
    return arrays | {"large": large, "large_n": LARGE}


def draw(data):
    r"""The first training images of each label, and below each what every method has for it; plain nulls once."""
    title = "The nearest candidate to each training image, by method (number above: NCC)"
    figure, every = parts(data["cases"].tolist(), title, 4.4)
    for case, part in every.items():
        part.suptitle(f"{case}: a net trained on {data['n']} images", fontsize=8)
        images, ncc = data[f"{case}_images"] / 255, data[f"{case}_ncc"]
        images = dict(zip(["truth", *METHODS], images, strict=True))
        ncc = dict(zip(METHODS, ncc, strict=True))
        rows = {"truth": "training image"} | {name: METHODS[name] for name in METHODS if name not in ALIKE}
        chosen = data[f"{case}_chosen"]
        titles = [np.char.mod("%.2f", ncc[name][chosen]) if name in ncc else [""] * len(chosen) for name in rows]
        upper, lower = part.subfigures(2, 1, height_ratios=(len(rows), 1))
        image_rows(upper, rows.values(), np.array([images[name] for name in rows]), data[f"{case}_shape"], titles)
        for axes, name in zip(cells(lower, 1, len(ALIKE))[0], ALIKE, strict=True):
            title = f"{METHODS[name]}, for all: {np.median(ncc[name]):.2f}"
            show(axes, images[name][0], data[f"{case}_shape"], title)
    return figure


PICTURES = {"baselines.png": draw}


def numbers(data):
    r"""For each case and method: candidates, median NCC, images with NCC > 0.9, median SSIM, mean of the ten best."""
    result = {}
    for case in data["cases"].tolist():
        rows = told(METHODS, data[f"{case}_ncc"], data[f"{case}_ssim"], KEYS)
        sizes = zip(rows, data[f"{case}_sizes"].tolist(), strict=True)
        result[case] = {name: {"candidates": size, **rows[name]} for name, size in sizes}
    names = ("first_layer", "unseen", "mean_image")
    return result | {"large": told(names, data["large_ncc"], data["large_ssim"], KEYS)}


def caption(data):
    r"""What the figure shows."""
    got, n = numbers(data), data["n"]
    tables, said = [], []
    for case in data["cases"].tolist():
        head = [f"{case}, n = {n}", "candidates", "median NCC", "NCC over 0.9", "median SSIM", "SSIM, top ten"]
        rows = []
        for name, row in got[case].items():
            over = f"{row['over_0.9']} of {n}"
            rows.append([METHODS[name], row["candidates"], row["ncc"], over, row["ssim"], row["top10"]])
        tables.append(captions.table(head, rows))
        (_, _, ours, *_), *others = rows
        name, _, best, *_ = max(others, key=lambda row: row[2])
        relation = "above" if ours > best else "**not** above"
        said.append(f"On {case} the attack's median NCC, {ours:.3f}, is {relation} that of {name},")
        said[-1] += f" the best of the others, {best:.3f}."
    return captions.text(
        "baselines",
        data=data,
        shown=SHOWN,
        large=got["large"],
        tables="\n\n".join(tables),
        verdict="\n".join(said),
        published=captions.listed(PUBLISHED.values(), ".3f"),
    )
