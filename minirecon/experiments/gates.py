r"""Why the gates are smooth: what the attack finds with σ(αz) in place of the step, over α (paper, appendix)."""

import numpy as np

from .. import metrics
from . import attacked, shipped
from .drawing import MARKED, NULLS, captions, curves

PLAIN = 1e30  # with this α, σ(αz) is the step, and its derivative 0 wherever z is not
QUICK = {"alphas": (PLAIN, 1e4, 150.0, 15.0), "seeds": 1}
FOUND = 0.9  # the NCC above which an image counts as found
KINDS = ("start", "unseen")  # of the nulls


def run(
    seed, progress, case="mnist", weights="mnist-n20.pth", n=20, m=60, span=20, iterations=300, seeds=3,
    alphas=(PLAIN, 1e6, 1e4, 1e3, 500.0, 150.0, 50.0, 15.0),
):  # fmt: skip
    r"""Attack the shipped network with each α, from `seeds` starts. From the scoring on, the training set is used.

    Returns a dict: `ncc` (alphas, seeds, n) of each training image with its nearest candidate, and for each of `KINDS`
    `null_KIND` (seeds, n).
    """
    params, data = shipped(weights, case, n)
    ncc, null = np.zeros((len(alphas), seeds, n), np.float32), np.zeros((len(KINDS), seeds, n), np.float32)
    for (i, alpha), k in ((each, k) for each in enumerate(alphas) for k in range(seeds)):
        options = {"span": span, "iterations": iterations, "alpha": alpha, "progress": progress and f"α = {alpha:g}"}
        score = metrics.score(attacked(params, m, seed=seed + k, **options), data)
        ncc[i, k], null[:, k] = score.ncc, [score.null[kind].ncc for kind in KINDS]
    nulls = {f"null_{kind}": each for kind, each in zip(KINDS, null, strict=True)}
    return {"case": case, "m": m, "iterations": iterations, "alphas": alphas, "ncc": ncc, **nulls}


def measures(ncc):
    r"""Of NCC (…, seeds, n) the number of images found and the median, (…, seeds) each."""
    return np.sum(ncc > FOUND, axis=-1), np.median(ncc.astype(float), axis=-1)


def draw(data):
    r"""Images found, and the median NCC, over α: the mean over the starts, and their range."""
    n, seeds = data["ncc"].shape[-1], data["ncc"].shape[1]
    title = f"Why gates are smooth: {data['case']}, n = {n}; points: mean of {seeds} starts, bars: smallest and largest"
    figure, every = curves.panels(2, title, 2, height=2.2)
    places = np.arange(len(data["alphas"]))
    nulls = [measures(data[f"null_{kind}"]) for kind in KINDS]
    for i, (axes, values) in enumerate(zip(every, measures(data["ncc"]), strict=True)):
        mean = values.mean(axis=1)
        error = [mean - values.min(axis=1), values.max(axis=1) - mean]
        axes.errorbar(places, mean, error, **MARKED[0], label="the attack")
        for kind, null, style in zip(KINDS, nulls, NULLS, strict=False):
            axes.axhline(null[i].mean(), **style, label=f"null: {metrics.NULLS[kind]}")
        axes.set_xticks(places, [label(alpha) for alpha in data["alphas"]])
        axes.set_xlabel("α of the gates σ(αz); ∞: plain gates")
    every[0].set(ylim=(-0.03 * n, 1.03 * n), ylabel=f"images with NCC > {FOUND}, of {n}")
    every[1].set(ylim=(-0.03, 1.03), ylabel="median NCC")
    curves.legend(figure, every[0], 3)
    return figure


def label(alpha):
    r"""α in few characters."""
    power = np.log10(alpha)
    return "∞" if alpha >= PLAIN else f"$10^{power:.0f}$" if alpha >= 1e4 and power % 1 == 0 else f"{alpha:g}"


def numbers(data):
    r"""For each α, 1e+30 for plain gates, and each null: images found and the median NCC, a number for each start."""
    rows = {f"{alpha:g}": ncc for alpha, ncc in zip(data["alphas"], data["ncc"], strict=True)}
    rows |= {kind: data[f"null_{kind}"] for kind in KINDS}
    both = {name: measures(ncc) for name, ncc in rows.items()}
    return {name: {"found": found.tolist(), "ncc": ncc.tolist()} for name, (found, ncc) in both.items()}


def caption(data):
    r"""What the figure shows."""
    got, n = numbers(data), data["ncc"].shape[-1]
    names = {f"{alpha:g}": f"{alpha:g}" for alpha in data["alphas"]} | {f"{PLAIN:g}": "∞, plain gates"}
    names |= {kind: f"null: {metrics.NULLS[kind]}" for kind in KINDS}
    rows = [[names[key], captions.listed(row["found"]), captions.listed(row["ncc"], ".2f")] for key, row in got.items()]
    table = captions.table(["α", f"NCC > {FOUND}, of {n}", "median NCC"], rows)
    best = max((f"{alpha:g}" for alpha in data["alphas"]), key=lambda key: np.mean(got[key]["found"]))
    plain, start = (np.mean(got[key]["ncc"]) for key in (f"{PLAIN:g}", "start"))
    verdict = captions.text("gates-verdict", plain=plain, start=start, best=names[best])
    return captions.text("gates", data=data, n=n, seeds=data["ncc"].shape[1], table=table, verdict=verdict)
