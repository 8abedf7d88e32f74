r"""Was this image in the training set? The KKT condition (paper, section 3) with the samples given and λ the unknown.

Golbari et al. 2025 (ImpMIA): put a pool of images in for x and find the λ ≥ 0 that explain the weights best; a large
λ says that the image was trained on. Here beside scores that ask for nothing but the output Φ.
"""

import numpy as np

from .. import kkt, mlp
from ..io import datasets
from ..io.weights import load
from .drawing.curves import LINES, panels
from .drawing.images import BLUE, ORANGE

PRESET = {"cases": ["mnist", "cifar10", "mnist"], "sizes": [20, 20, 500], "draws": 5}  # their nets CASE-nSIZE.pth
QUICK = {"draws": 1}
SCORES = {
    "lam": "λ, all layers",
    "lam1": "λ, layer 1 alone",
    "margin": "margin yΦ(x)",
    "small": "−|yΦ(x)|",
    "typical": "−|yΦ(x) − median|",
}


def roc(score, member):
    r"""The ROC curve of a score: shares of the others and of the members at or above each threshold, from 0 to 1.

    Parameters
    ----------
    score : (N,), larger for a member, hopefully;  member : (N,) bool

    Returns
    -------
    false, true : (thresholds + 1,), rising; equal scores share a threshold
    """
    _, inverse = np.unique(-score, return_inverse=True)
    curves = []
    for chosen in (~member, member):
        counts = np.bincount(inverse[chosen], minlength=inverse.max() + 1)
        curves.append(np.concatenate([[0], np.cumsum(counts) / chosen.sum()]))
    return tuple(curves)


def area(score, member):
    r"""The area under `roc`: how likely a member has the larger score than another, ties counted half."""
    false, true = roc(score, member)
    return float(np.sum(np.diff(false) * (true[1:] + true[:-1]) / 2))


def pool(data, rng):
    r"""All training images and as many unseen ones, half of each label: x (2n, d), y (2n,), member (2n,) bool."""
    n = len(data.y)
    unseen = [rng.permutation(np.flatnonzero(data.y_test == sign))[: n // 2] for sign in (-1, 1)]
    unseen = np.concatenate(unseen)
    x, y = np.concatenate([data.x, data.x_test[unseen]]), np.concatenate([data.y, data.y_test[unseen]])
    return x, y, np.arange(len(y)) < n


def run(seed, progress, cases, sizes, draws):
    r"""λ by NNLS on pools of training and unseen images, labels given, `draws` times with other unseen images.

    Returns a dict, for each net i: `scores_i` (draws, 5, 2n), in the order of `SCORES`, and `member_i` (2n,).
    """
    arrays = {"cases": cases, "sizes": sizes}
    for i, (case, n) in enumerate(zip(cases, sizes, strict=True)):
        params = mlp.cast(load(datasets.data_file(f"{case}-n{n}.pth")), float)
        data, rng, scores = datasets.load_dataset(case, n), np.random.default_rng(seed), []
        for _ in range(draws):
            x, y, member = pool(data, rng)
            margin = kkt.margins(params, x, y)
            lam = [kkt.multipliers(params, x, y, layers) for layers in (None, (1,))]
            scores.append([*lam, margin, -np.abs(margin), -np.abs(margin - np.median(margin))])
        arrays |= {f"scores_{i}": np.array(scores, np.float32), f"member_{i}": member}
    return arrays


def draw(data):
    r"""λ against the margin, and the ROC curves, for each net; the first draw."""
    count = len(data["cases"])
    figure, every = panels(2 * count, "Membership: λ of training and of unseen images", count)
    for i, (case, n) in enumerate(zip(data["cases"], data["sizes"], strict=True)):
        (lam, _, margin, *_), member, curves = data[f"scores_{i}"][0], data[f"member_{i}"], every[count + i]
        for chosen, name, marker, colour in ((member, "training", "o", BLUE), (~member, "unseen", "x", ORANGE)):
            every[i].plot(margin[chosen], lam[chosen], marker, color=colour, markersize=5, alpha=0.6, label=name)
        every[i].set(xlabel="margin yΦ(x), units of the output", ylabel="λ ≥ 0, all layers")
        every[i].set_title(f"{case}, n = {n}", fontsize=10)
        every[i].legend(fontsize=9)
        for (name, label), score, line in zip(SCORES.items(), data[f"scores_{i}"][0], LINES, strict=True):
            colour, style, _ = line
            false, true = roc(score, member)
            text = f"{label}: {numbers(data)['nets'][i][name][0]:.2f}"
            curves.plot(false, true, linestyle=style, color=colour, label=text)
        curves.set(xlabel="share of unseen images above", ylabel="share of training images above")
        curves.set_title("ROC curve (area, mean of the draws)", fontsize=10)
        curves.legend(fontsize=8, loc="lower right")
    return figure


def numbers(data):
    r"""For each net and score the area under the ROC curve: mean, smallest and largest over the draws."""
    nets = []
    for i, (case, n) in enumerate(zip(data["cases"].tolist(), data["sizes"].tolist(), strict=True)):
        member, net = data[f"member_{i}"], {"case": case, "n": n}
        for place, name in enumerate(SCORES):
            each = [area(scores[place], member) for scores in data[f"scores_{i}"]]
            net[name] = [float(np.mean(each)), min(each), max(each)]
        lam, margin = data[f"scores_{i}"][:, 0], data[f"scores_{i}"][:, 2]
        curves = [roc(each, member) for each in lam]
        net["found_at_5_percent"] = float(np.mean([true[false <= 0.05].max() for false, true in curves]))
        for name, chosen in (("training", member), ("unseen", ~member)):
            net[f"{name}_above_0"] = float(np.mean(lam[:, chosen] > 0))
            net[f"{name}_correct"] = float(np.mean(margin[:, chosen] > 0))
        nets.append(net)
    return {"draws": len(data["scores_0"]), "nets": nets}


def caption(data):
    r"""What the figure shows."""
    got = numbers(data)
    lines = [f"| area under the ROC curve | {' | '.join(SCORES.values())} |".replace("|yΦ(x)|", "abs(yΦ(x))")]
    lines[0] = lines[0].replace("|yΦ(x) − median|", "abs(yΦ(x) − median)")
    lines.append("|---" * (len(SCORES) + 1) + "|")
    said = []
    for net in got["nets"]:
        cells = [f"{mean:.3f} ({low:.3f}–{high:.3f})" for mean, low, high in (net[name] for name in SCORES)]
        lines.append(f"| {net['case']}, n = {net['n']} | {' | '.join(cells)} |")
        best = {
            kind: max(names, key=lambda name: net[name][0])
            for kind, names in (("λ", ("lam", "lam1")), ("output", ("margin", "small", "typical")))
        }
        ours, trivial = (net[best[kind]] for kind in ("λ", "output"))
        relation = "λ is better than" if ours[1] > trivial[2] else "the draws overlap for λ and"
        relation = "**λ is worse than**" if ours[2] < trivial[1] else relation
        said.append(
            f"{net['case']}, n = {net['n']}: {relation} the output alone ({ours[0]:.3f} against {trivial[0]:.3f});\n"
            f"λ is above 0 for {net['training_above_0']:.0%} of the training images and {net['unseen_above_0']:.0%} of "
            f"the unseen ones;\nof all unseen ones {net['unseen_correct']:.0%} are classified correctly. Where 5 % of "
            f"them pass for members, λ finds {net['found_at_5_percent']:.0%} of the members."
        )
    table, said = "\n".join(lines), "\n".join(said)
    return f"""
A pool holds all training images of a net and as many unseen ones, half of each label, with their true labels. λ
≥ 0 is fitted to the weights by non-negative least squares, no image being marked as a member. Area under the
ROC curve, mean (range) of {got["draws"]} pools with other unseen images; 0.5 is chance:

{table}

{said}

No score knows who is a member; "median" is that of the pool. λ needs the weights and the rest of the pool, the
others the output alone. Where λ is 0, it cannot rank. The pool holds **all** the training images: one that lacks
some of them explains the weights less well. The idea is later than the paper (Golbari et al. 2025), which shows no
such figure. At n = 500 a net trained for a finite time is far from a KKT point, and λ tells members from others only
a little, above all those at the margin.
"""
