r"""Was this image in the training set? The KKT condition (paper, section 3) with the samples given and λ the unknown.

Golbari et al. 2025 (ImpMIA): put a pool of images in for x and find the λ ≥ 0 that explain the weights best; a large
λ says that the image was trained on. Here beside scores that ask for nothing but the output Φ.
"""

import numpy as np

from .. import kkt, mlp
from . import shipped
from .drawing import BLUE, GREY, LINES, captions
from .drawing.curves import panels

QUICK = {"draws": 1}
SCORES = {
    "lam": "λ, all layers",
    "lam1": "λ, layer 1 alone",
    "margin": "margin yΦ(x)",
    "small": "−|yΦ(x)|",
    "typical": "−|yΦ(x) − median|",
}
DRAWN = ("lam", "lam1", "margin", "typical")


def roc(score, member):
    r"""The ROC curve of a score: shares of the others and of the members at or above each threshold, from 0 to 1.

    Parameters
    ----------
    score : (N,), larger for a member, hopefully;  member : (N,) bool

    Returns
    -------
    false, true : (thresholds + 1,), rising; equal scores share a threshold
    """
    thresholds = np.append(np.inf, np.unique(score)[::-1])  # above all: 0
    return tuple(np.mean(score[chosen, None] >= thresholds, axis=0) for chosen in (~member, member))


def area(score, member):
    r"""The area under `roc`: how likely a member has the larger score than another, ties counted half."""
    false, true = roc(score, member)
    return float(np.sum(np.diff(false) * (true[1:] + true[:-1]) / 2))


def pool(data, rng):
    r"""All training images and as many unseen ones, half of each label: x (2n, d), y (2n,), member (2n,) bool."""
    n = len(data.y)
    unseen = np.concatenate([rng.permutation(np.flatnonzero(data.y_test == sign))[: n // 2] for sign in (-1, 1)])
    x, y = np.concatenate([data.x, data.x_test[unseen]]), np.concatenate([data.y, data.y_test[unseen]])
    return x, y, np.arange(len(y)) < n


def run(seed, progress, cases=("mnist", "cifar10", "mnist"), sizes=(20, 20, 500), draws=5):
    r"""λ by NNLS on pools of training and unseen images, labels given, `draws` times with other unseen images.

    The nets are CASE-nSIZE.pth.

    Returns a dict, for each net i: `scores_i` (draws, 5, 2n), in the order of `SCORES`, and `member_i` (2n,).
    """
    arrays = {"cases": cases, "sizes": sizes}
    for i, (case, n) in enumerate(zip(cases, sizes, strict=True)):
        params, data = shipped(f"{case}-n{n}.pth", case, n)
        params, rng, scores = mlp.cast(params, float), np.random.default_rng(seed), []
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
    figure, every = panels(2 * count, "Membership: λ of training and of unseen images", count, height=2.6)
    for i, (case, n) in enumerate(zip(data["cases"], data["sizes"], strict=True)):
        scores, member = dict(zip(SCORES, data[f"scores_{i}"][0], strict=True)), data[f"member_{i}"]
        above, below = every[i], every[count + i]
        for chosen, name, marker, colour in ((member, "training", "o", BLUE), (~member, "unseen", "x", GREY)):
            margin, lam = scores["margin"][chosen], scores["lam"][chosen]
            above.plot(margin, lam, marker, color=colour, alpha=0.6, label=f"{name} image")
        above.set(xlabel="margin yΦ(x)", ylabel="λ ≥ 0, all layers")
        above.set_title(f"{case}, n = {n}")
        area = {name: values[0] for name, values in numbers(data)["nets"][i].items() if name in DRAWN}
        for name, line in zip(DRAWN, LINES, strict=False):
            below.plot(*roc(scores[name], member), **line, label=f"{SCORES[name]}: {area[name]:.2f}")
        below.plot([0, 1], [0, 1], color=GREY, linestyle=":", label="chance: 0.50")
        below.set(xlabel="share of unseen images above", ylabel="share of training images")
        below.set_title("ROC curve (area)")
        for axes in (above, below):
            axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.28))
    return figure


def numbers(data):
    r"""For each net and score the area under the ROC curve: mean, smallest and largest over the draws."""
    nets = []
    for i, (case, n) in enumerate(zip(data["cases"].tolist(), data["sizes"].tolist(), strict=True)):
        member, net = data[f"member_{i}"], {"case": case, "n": n}
        for place, name in enumerate(SCORES):
            each = [area(scores[place], member) for scores in data[f"scores_{i}"]]
            net[name] = [float(np.mean(each)), min(each), max(each)]
        lam, _, margin, *_ = data[f"scores_{i}"].swapaxes(0, 1)
        curves = (roc(each, member) for each in lam)
        net["found_at_5_percent"] = float(np.mean([true[false <= 0.05].max() for false, true in curves]))
        for name, chosen in (("training", member), ("unseen", ~member)):
            net[f"{name}_above_0"] = float(np.mean(lam[:, chosen] > 0))
            net[f"{name}_correct"] = float(np.mean(margin[:, chosen] > 0))
        nets.append(net)
    return {"draws": len(data["scores_0"]), "nets": nets}


def caption(data):
    r"""What the figure shows."""
    got = numbers(data)
    rows, said = [], []
    for net in got["nets"]:
        title = f"{net['case']}, n = {net['n']}"
        rows.append([title, *("{:.3f} ({:.3f}–{:.3f})".format(*net[name]) for name in SCORES)])
        ours = max(net["lam"], net["lam1"])  # by their means, which come first
        trivial = max(net["margin"], net["small"], net["typical"])
        relation = "λ is better than" if ours[1] > trivial[2] else "the draws overlap for λ and"
        relation = "**λ is worse than**" if ours[2] < trivial[1] else relation
        values = {"title": title, "relation": relation, "ours": ours[0], "trivial": trivial[0], "net": net}
        said.append(captions.text("membership-net", **values))
    labels = [label.replace("−|", "−abs(").replace("|", ")") for label in SCORES.values()]  # no | in a table
    head = ["area under the ROC curve", *labels]
    return captions.text("membership", draws=got["draws"], table=captions.table(head, rows), said="\n".join(said))
