r"""The paper's Fig. 3: the best reconstructions of 500 training images, for MNIST and CIFAR-10.

Which are the best is found with the training images in hand: an evaluation, not a part of the attack.
"""

import numpy as np

from .. import metrics
from ..attack.baselines import CONTRAST
from . import attacked, pixels, told, trained
from .drawing import captions
from .drawing.images import MOST_PAIRS, pairs, parts

QUICK = {"n": 100, "m": 200, "iterations": 150}
# arXiv 2206.07758, two runs of 50 000 iterations pooled: measured from the images in the authors' notebooks
PUBLISHED = {
    "mnist": {"top10": 0.184, "best": 0.239, "rank30": 0.143, "over_0.4": 0, "ncc": None, "ncc_over_0.8": None},
    "cifar10": {"top10": 0.536, "best": 0.636, "rank30": 0.322, "over_0.4": 18, "ncc": None, "ncc_over_0.8": None},
}
ROWS = {
    "attack": "our candidates",
    "scaled": "each scaled to 0.25",
    "faint": "all times 0.4",
    **{kind: f"null: {metrics.NULLS[kind]}" for kind in ("mean_image", "start", "unseen")},
    "other": "null: ours for unseen",
}


def run(
    seed, progress, cases=("mnist", "cifar10"), n=500, hidden=(1000, 1000), target_time=1e4, m=1000, iterations=400
):
    r"""Train a network on each case and attack it once. From the scoring on, the training set is used.

    Returns a dict, for each case: SSIM and NCC of all training images for each of `ROWS`, best SSIM first, (7, n)
    each; the best images reconstructed and the training images, uint8; and the shape of an image.
    """
    arrays = {"cases": cases, "n": n, "m": m, "iterations": iterations}
    for case in cases:
        net, data = trained(case, n, hidden, seed, target_time=target_time, progress=progress)
        rec = attacked(net.params, m, seed=seed, progress=progress, iterations=iterations)
        scaled = rec.x * (CONTRAST / np.maximum(rec.x.std(axis=1, keepdims=True), 1e-12))
        found = {"attack": rec, "scaled": rec._replace(x=scaled), "faint": rec._replace(x=0.4 * rec.x)}
        every = {name: metrics.score(each, data) for name, each in found.items()}
        score = every["attack"]
        every |= score.null | {"other": metrics.score(rec, unseen(data))}
        for key in ("ssim", "ncc"):
            ranked = [getattr(every[row], key)[np.argsort(-every[row].ssim)] for row in ROWS]
            arrays[f"{case}_{key}"] = np.array(ranked, np.float32)
        best = np.argsort(-score.ssim)[:MOST_PAIRS]
        arrays[f"{case}_images"] = pixels(score.images[best])
        arrays[f"{case}_truth"] = pixels((data.x + data.mean)[best])
        arrays[f"{case}_shape"] = data.image_shape
    return arrays


def unseen(data):
    r"""As many unseen images in place of the training images, at most n: what candidates resemble by chance."""
    n = len(data.x)
    return data._replace(x=data.x_test[:n], y=data.y_test[:n])


def draw(data):
    r"""Of each case the best reconstructions by SSIM, each above its training image."""
    title = "Reconstructed from the weights alone (cf. Fig. 3); above: ours, below: training image"
    figure, every = parts(data["cases"].tolist(), title, 4.2)
    for case, part in every.items():
        images, truth = data[f"{case}_images"] / 255, data[f"{case}_truth"] / 255
        part.suptitle(f"{case}: the best {len(images)} of {data['n']} training images, sorted by SSIM")
        both = zip(data[f"{case}_ssim"][0], data[f"{case}_ncc"][0], images, strict=False)
        titles = [f"SSIM {ssim:.2f}\nNCC {ncc:.2f}" for ssim, ncc, _ in both]
        pairs(part, images, truth, data[f"{case}_shape"], titles)
    return figure


PICTURES = {"fig3.png": draw}


def numbers(data):
    r"""For each case and each of `ROWS`: of `metrics.summarise` what was published; and that."""
    result = {}
    for case in data["cases"].tolist():
        rows = told(ROWS, data[f"{case}_ncc"], data[f"{case}_ssim"], PUBLISHED[case])
        result[case] = {**rows, "published": PUBLISHED[case]}
    return result


def caption(data):
    r"""What the figure shows."""
    tables, counts = [], []
    labels = {"attack": ROWS["attack"], "published": "published, n = 500", **ROWS}
    for case, rows in numbers(data).items():
        head = [case, "SSIM top 10", "best", "30th", "> 0.4", "NCC median", "> 0.8"]
        tables.append(captions.table(head, [[label, *rows[name].values()] for name, label in labels.items()]))
        counts.append(captions.text("fig3-count", case=case, ours=rows["attack"], chance=rows["other"]))
    return captions.text("fig3", data=data, tables="\n\n".join(tables), counts="\n".join(counts))
