r"""How much hangs on the settings? The authors' search over learning rate and α (appendix), and ours, which has no lr.

The authors draw five settings at random, a hundred times for each network. Here two of them form a grid.
"""

import numpy as np

from .. import metrics
from ..io.progress import progress_line
from . import attacked, shipped
from .drawing import BLACK, MARKED, NULLS, captions, curves

QUICK = {"rates": (0.01, 0.3, 10.0), "sgd_iterations": 300, "lbfgs_alphas": (15.0, 150.0, 1500.0)}
ALPHAS = MARKED[1], MARKED[2], MARKED[4]  # blue is our attack's
KINDS = ("mean_image", "start", "unseen")  # of the nulls
SCORES = {"ncc": "median NCC", "top10": "SSIM, mean of the ten best"}


def run(
    seed, progress, case="mnist", weights="mnist-n20.pth", n=20, m=40,
    rates=(0.003, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0), sgd_alphas=(15.0, 150.0, 1500.0), sgd_iterations=1000,
    lbfgs_alphas=(5.0, 15.0, 50.0, 150.0, 500.0, 1500.0, 5000.0), lbfgs_iterations=300,
):  # fmt: skip
    r"""Attack the shipped network with each setting, from the same start, and score against the true training set.

    Returns a dict: `sgd` (rates, alphas, 2) and `lbfgs` (alphas, 2), of each attack the median NCC and the mean SSIM of
    the ten best, NaN where it diverged; `null`, (3, 2), of the mean image, the start of SGD and unseen images.
    """
    params, data = shipped(weights, case, n)
    sgd, lbfgs = np.full((len(rates), len(sgd_alphas), 2), np.nan), np.full((len(lbfgs_alphas), 2), np.nan)
    null = np.full((len(KINDS), 2), np.nan)
    with progress_line(sgd[..., 0].size + len(lbfgs), "sweep", progress) as bar:
        for i, j in np.ndindex(sgd.shape[:2]):
            options = {"optimizer": "sgd", "iterations": sgd_iterations, "lr_x": rates[i], "alpha": sgd_alphas[j]}
            try:
                score = metrics.score(attacked(params, m, seed=seed, **options), data)
                sgd[i, j] = _numbers(score)
                null = np.array([_numbers(score.null[kind]) for kind in KINDS])
            except ValueError as error:
                if "finite" not in str(error):  # it diverged: the loss is no longer finite
                    raise
            bar.update()
        for j, alpha in enumerate(lbfgs_alphas):
            rec = attacked(params, m, seed=seed, iterations=lbfgs_iterations, alpha=alpha)
            lbfgs[j] = _numbers(metrics.score(rec, data))
            bar.update()
    return {
        "case": case, "n": n, "m": m, "sgd": sgd, "lbfgs": lbfgs, "null": null, "rates": rates,
        "sgd_alphas": sgd_alphas, "lbfgs_alphas": lbfgs_alphas,
        "sgd_iterations": sgd_iterations, "lbfgs_iterations": lbfgs_iterations,
    }  # fmt: skip


def _numbers(score):
    got = metrics.summarise(score.ncc, score.ssim)
    return [got[key] for key in SCORES]


def draw(data):
    r"""Left SGD against its learning rate, a line for each α; right L-BFGS against α."""
    title = f"One network ({data['n']} samples of {data['case']}), one start, other settings"
    figure, (left, right) = curves.panels(2, title, 2, height=2.4)
    for j, alpha in enumerate(data["sgd_alphas"]):
        left.plot(data["rates"], data["sgd"][:, j, 0], **ALPHAS[j], label=f"SGD, α = {alpha:g}")
    lost = data["rates"][np.isnan(data["sgd"][..., 0]).any(axis=1)]
    left.plot(lost, 0 * lost, "x", color=BLACK, markersize=5, label="diverged")
    right.plot(data["lbfgs_alphas"], data["lbfgs"][:, 0], **MARKED[0], label="L-BFGS")
    for axes in (left, right):
        for row, name, style in ((0, "mean image", NULLS[0]), (2, "unseen images", NULLS[1])):
            axes.axhline(data["null"][row, 0], **style, label=f"null: {name}")
        axes.set(xscale="log", ylim=(-0.04, 1.02), ylabel=SCORES["ncc"])
    left.set(xlabel="learning rate of x", title=f"SGD, {data['sgd_iterations']} iterations")
    right.set(xlabel="α, sharpness of the gates", title=f"L-BFGS, {data['lbfgs_iterations']} iterations")
    named = [axes.get_legend_handles_labels() for axes in (left, right)]
    every = {label: line for lines, labels in named for line, label in zip(lines, labels, strict=True)}
    figure.legend(every.values(), every, loc="outside lower center", ncols=4)
    return figure


def numbers(data):
    r"""The best and the worst of both attacks by NCC, how many settings come near the best, and the null baselines."""
    got = {"null": dict(zip(KINDS, data["null"].tolist(), strict=True))}
    for name in ("sgd", "lbfgs"):
        ncc = data[name][..., 0].ravel()
        best = np.nanmax(ncc)
        got[name] = {
            "settings": len(ncc),
            "diverged": int(np.isnan(ncc).sum()),
            "ncc_best": float(best),
            "ncc_worst": float(np.nanmin(ncc)),
            "within_a_tenth_of_the_best": int(np.sum(ncc > 0.9 * best)),
            "ssim": [float(each(data[name][..., 1])) for each in (np.nanmin, np.nanmax)],
        }
    i, j = np.unravel_index(np.nanargmax(data["sgd"][..., 0]), data["sgd"].shape[:2])
    got["sgd"] |= {"best_rate": float(data["rates"][i]), "best_alpha": float(data["sgd_alphas"][j])}
    return got


def caption(data):
    r"""What the figure shows."""
    low, *_, high = data["lbfgs_alphas"]
    return captions.text("sweep", data=data, low=low, high=high, **numbers(data))
