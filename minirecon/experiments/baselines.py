r"""The attack beside what knows less: model inversion, first-layer weights, unseen images, its start, the mean image.

Each goes through the same `metrics.score`, with the training images in hand: an evaluation, not a part of the attack.
"""

import numpy as np

from .. import attack, metrics
from ..attack import baselines
from ..io import datasets
from ..io.weights import load
from . import whole
from .drawing.images import image_rows

PRESET = {
    "cases": ["mnist", "cifar10"],  # their nets CASE-n20.pth
    "n": 20,
    "m": 60,
    "span": 20,
    "samples": 20,
    "iterations": 300,
    "inversion_iterations": 150,
    "inversion_start": 0.1,
    "large": "mnist",  # its net CASE-n500.pth: first-layer weights alone
}
QUICK = {"iterations": 100, "inversion_iterations": 50}
METHODS = {
    "attack": "the attack",
    "inversion": "model inversion",
    "first_layer": "rows of W¹",
    "unseen": "unseen images",
    "start": "the attack's start",
    "mean_image": "mean image",
}
SHOWN = 5  # training images of each label
LARGE = 500
PUBLISHED = {"top10": 0.121, "best": 0.187, "rank30": 0.068}  # MNIST, n = 500, from the authors' notebooks' images


def run(seed, progress, cases, n, m, span, samples, iterations, inversion_iterations, inversion_start, large):
    r"""Attack, invert and read the first layer of each net; from the scoring on, the training set is used.

    Returns a dict, for each case: NCC and SSIM of every training image for each of `METHODS`, (6, n); the number of
    candidates of each; and the first images of each label with what each method has for them, uint8.
    """
    arrays = {"cases": cases, "n": n}
    for case in cases:
        params = load(datasets.data_file(f"{case}-n{n}.pth"))
        options = {"span": span, "samples": samples, "iterations": iterations}
        rec = whole(attack.reconstruct(params, m, seed=seed, progress=progress, **options))
        options = {"iterations": inversion_iterations, "start_scale": inversion_start}
        inverted = whole(baselines.invert(params, m, seed=seed, progress=progress, **options))
        rows = baselines.first_layer(params)
        data = datasets.load_dataset(case, n)
        scores = {"attack": metrics.score(rec, data)}
        scores |= {"inversion": metrics.score(inverted, data), "first_layer": metrics.score(rows, data)}
        null = scores["attack"].null | {"unseen": scores["first_layer"].null["unseen"]}  # the larger number
        scores |= null
        sizes = [len(rec.x), m, len(rows.x), min(len(rows.x), len(data.x_test)), len(rec.start), 1]
        chosen = np.concatenate([np.flatnonzero(data.y == sign)[:SHOWN] for sign in (-1, 1)])
        images = [data.x + data.mean, *(scores[name].images for name in METHODS)]
        arrays |= {
            f"{case}_sizes": sizes,
            f"{case}_ncc": [scores[name].ncc for name in METHODS],
            f"{case}_ssim": [scores[name].ssim for name in METHODS],
            f"{case}_images": np.round(255 * np.array(images)[:, chosen]).astype(np.uint8),
            f"{case}_chosen": chosen,
            f"{case}_shape": data.image_shape,
        }
    rows = baselines.first_layer(load(datasets.data_file(f"{large}-n{LARGE}.pth")))
    score = metrics.score(rows, datasets.load_dataset(large, LARGE))
    every = [score, score.null["unseen"], score.null["mean_image"]]
    arrays |= {f"large_{key}": np.array([getattr(each, key) for each in every]) for key in ("ncc", "ssim")}
    return arrays | {"large": large, "large_n": LARGE}


def draw(data):
    r"""The first training images of each label, and below each what every method has for it."""
    from matplotlib.figure import Figure

    cases = data["cases"].tolist()
    figure = Figure(figsize=(11, 8.0 * len(cases)), layout="constrained")
    figure.suptitle("The nearest candidate to each training image, by method (number above: NCC)", fontsize=12)
    for part, case in zip(figure.subfigures(len(cases), 1, squeeze=False).ravel(), cases, strict=True):
        part.suptitle(f"{case}: a net trained on {data['n']} images", fontsize=11)
        names = ["training image", *METHODS.values()]
        rows = dict(zip(names, data[f"{case}_images"] / 255, strict=True))
        numbers = data[f"{case}_ncc"][:, data[f"{case}_chosen"]]
        titles = {name: [f"{v:.2f}" for v in row] for name, row in zip(METHODS.values(), numbers, strict=True)}
        image_rows(part, rows, tuple(data[f"{case}_shape"]), titles)
    return figure


def numbers(data):
    r"""For each case and method: candidates, median NCC, images with NCC > 0.9, median SSIM, mean of the ten best."""
    result = {}
    for case in data["cases"].tolist():
        each = zip(METHODS, data[f"{case}_sizes"].tolist(), data[f"{case}_ncc"], data[f"{case}_ssim"], strict=True)
        result[case] = {name: {"candidates": size, **summary(ncc, ssim)} for name, size, ncc, ssim in each}
    names = ("first_layer", "unseen", "mean_image")
    each = zip(names, data["large_ncc"], data["large_ssim"], strict=True)
    return result | {"large": {name: summary(*pair) for name, *pair in each}}


def summary(ncc, ssim):
    r"""The numbers of one method from NCC and SSIM of all training images, (n,) each."""
    ranked = np.sort(ssim.astype(float))[::-1]
    return {
        "ncc": float(np.median(ncc)),
        "over_0.9": int(np.sum(ncc > 0.9)),
        "ssim": float(np.median(ranked)),
        "top10": float(ranked[:10].mean()),
        "best": float(ranked[0]),
        "rank30": float(ranked[29]) if len(ranked) >= 30 else None,
    }


def caption(data):
    r"""What the figure shows."""
    got = numbers(data)
    tables = []
    for case in data["cases"].tolist():
        lines = [f"| {case}, n = {data['n']} | candidates | median NCC | NCC over 0.9 | median SSIM | SSIM, top ten |"]
        lines.append("|---|---|---|---|---|---|")
        for name, row in got[case].items():
            cells = f"{row['candidates']} | {row['ncc']:.3f} | {row['over_0.9']} of {data['n']} | {row['ssim']:.3f}"
            lines.append(f"| {METHODS[name]} | {cells} | {row['top10']:.3f} |")
        tables.append("\n".join(lines))
    tables, large = "\n\n".join(tables), got["large"]
    published = ", ".join(f"{value:.3f}" for value in PUBLISHED.values())
    rows, unseen, mean = (large[name] for name in ("first_layer", "unseen", "mean_image"))
    return f"""
Of each net the first {SHOWN} training images of each label, not the best ones, and below them the nearest
candidate of each method by NCC. All methods go through one evaluation, **with the training images in hand**.
The attack and model inversion see the weights alone, as do the rows of W¹; the attack is told the number of
samples besides. "Unseen" are images of the test set.

{tables}

{verdict(data)} Model inversion looks for what the network is most certain of, and finds much the same pattern
for all images of a label. A few rows of W¹ do show single samples at this n. Unseen digits are a strong null by
SSIM and by NCC, for digits look alike; but no picture of theirs is a training image. Read SSIM with care: it
rewards faint candidates (the mean image has NCC 0 and a high SSIM).

On the net of {data["large_n"]} images of {data["large"]} the rows of W¹ have a median NCC of {rows["ncc"]:.3f},
unseen images {unseen["ncc"]:.3f}: single rows blend too many samples. The rows' SSIM (ten best, best, 30th) is
{rows["top10"]:.3f}, {rows["best"]:.3f}, {rows["rank30"]:.3f}; the mean image's {mean["top10"]:.3f},
{mean["best"]:.3f}, {mean["rank30"]:.3f}. From the pictures in the authors' notebooks, for MNIST: {published}.
The paper shows them beside its reconstructions; theirs is another net, and a row's size is not a sample's: we
scale rows to the images' contrast.
"""


def verdict(data):
    r"""Which of the others comes nearest to the attack by median NCC, for each case."""
    said = []
    for case in data["cases"].tolist():
        rows = numbers(data)[case]
        best = max((name for name in METHODS if name != "attack"), key=lambda name: rows[name]["ncc"])
        ours = rows["attack"]["ncc"]
        relation = "above" if ours > rows[best]["ncc"] else "**not** above"
        said.append(f"On {case} the attack's median NCC, {ours:.3f}, is {relation} that of {METHODS[best]},")
        said[-1] += f" the best of the others, {rows[best]['ncc']:.3f}."
    return "\n".join(said)
