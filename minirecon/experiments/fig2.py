r"""The paper's Fig. 2: twenty points on a circle, reconstructed, and what is left after candidates are sorted out.

Sorting out uses the KKT conditions and the candidates alone: the true points are only drawn and counted.
"""

import numpy as np

from .. import kkt, mlp
from . import attacked, shipped, untrained
from .drawing import BLACK, BLUE, ORANGE, captions, curves

QUICK = {"iterations": 300, "seeds": 1}
NEAR, FAR = 0.1, 0.2  # a point is found within the one; a candidate is wrong beyond the other
STEPS = ("start", "result", "small λ removed", "small margins removed", "duplicates removed")


def sort_out(x, lam, y, margin, small, feasible, apart):
    r"""Which candidates are left, step by step: a (3, m) array of bool.

    1. dual: λ above `small`, for λ = 0 contributes nothing (the paper's step);
    2. primal: a margin yΦ(x) of at least `feasible` times the median of those left, for it must be γ (ours);
    3. one of those of a label that lie within `apart` of one another, that with the largest λ (the paper's).
    """
    left = [lam > small]
    gamma = np.median(margin[left[0]]) if left[0].any() else 0.0
    left.append(left[0] & (margin >= feasible * gamma))
    single = np.zeros(len(x), bool)
    for i in np.argsort(-lam, kind="stable"):
        same = single & (y == y[i])
        if left[1][i] and not np.any(np.linalg.norm(x[same] - x[i], axis=1) < apart):
            single[i] = True
    return np.array([*left, single])


def run(
    seed, progress, weights="circle-n20.pth", n=20, m=100, iterations=600, start_scale=0.7, lam_min=0.01,
    small=0.1, feasible=0.6, apart=0.1, seeds=5,
):  # fmt: skip
    r"""Attack the trained circle net and an untrained one, from `seeds` starts. Counting uses the true points.

    Returns a dict: the training set, Φ on a grid, the candidates of the first start with `left` (3, m), and `counts`
    (seeds, 2, 5, 2): for the trained and the untrained net, after each step, points found and candidates that are far.
    """
    trained, data = shipped(weights, "circle", n)
    counts, first = np.zeros((seeds, 2, len(STEPS), 2), int), None
    for k in range(seeds):
        for which, params in enumerate((trained, untrained(trained, seed + k))):
            options = {"iterations": iterations, "start_scale": start_scale, "lam_min": lam_min}
            rec = attacked(params, m, seed=seed + k, progress=progress, **options)
            margin = kkt.margins(params, rec.x, rec.y)
            left = sort_out(rec.x, rec.lam, rec.y, margin, small, feasible, apart)
            everyone = np.ones((1, m), bool)
            for step, kept in enumerate(np.concatenate([everyone, everyone, left])):
                counts[k, which, step] = count((rec.start if step == 0 else rec.x)[kept], rec.y[kept], data)
            found = {name: getattr(rec, name) for name in ("x", "start", "y", "lam")}
            first = first or {**found, "margin": margin, "left": left}
    line = np.linspace(-1.6, 1.6, 161)
    grid = np.stack(np.meshgrid(line, line), axis=-1).reshape(-1, 2)
    phi = mlp.forward(trained, grid).phi.reshape(len(line), len(line)).astype(np.float32)
    return {"points": data.x, "labels": data.y, "line": line, "phi": phi, "counts": counts, **first}


def count(x, y, data):
    r"""Points with a candidate of their label within 0.1, and candidates beyond 0.2 of every point: two numbers."""
    gap = np.linalg.norm(x[:, None] - data.x[None], axis=2)  # (m, n)
    right = np.where(y[:, None] == data.y, gap, np.inf)
    return np.sum(right.min(axis=0, initial=np.inf) <= NEAR), np.sum(gap.min(axis=1) > FAR)


def draw(data):
    r"""The landscape of Φ, the start, the result, and what each step of sorting out leaves."""
    from matplotlib.colors import LinearSegmentedColormap

    figure, (landscape, *every) = curves.panels(6, "Twenty points on a circle, from the weights alone (cf. Fig. 2)")
    levels = np.arange(-8, 9) * np.ceil(np.abs(data["phi"]).max() / 8)
    colours = LinearSegmentedColormap.from_list("labels", [BLUE, "white", ORANGE])
    line, phi = data["line"][::2], data["phi"][::2, ::2]  # fine enough to look at
    filled = landscape.contourf(line, line, phi, levels, cmap=colours, alpha=0.7)
    landscape.contour(line, line, phi, [0], colors=BLACK, linewidths=0.6)
    landscape.set_title("training set and Φ (line: Φ = 0)")
    figure.colorbar(filled, ax=[landscape, *every], label="output Φ(x)", ticks=levels[::4], shrink=0.4, anchor=(0, 1))
    everyone = np.ones(len(data["y"]), bool)
    for axes, name, kept in zip(every, STEPS, [everyone, everyone, *data["left"]], strict=True):
        x = data["start"] if name == "start" else data["x"]
        for sign, label, marker, colour in ((-1, "−1", "x", BLUE), (1, "+1", "+", ORANGE)):
            chosen = x[kept & (data["y"] == sign)]
            axes.plot(*chosen.T, marker, color=colour, markersize=5, label=f"candidate, label {label}")
        axes.set_title(f"{name}: {kept.sum()}")
    for axes in (landscape, *every):
        for sign, label, marker in ((-1, "−1", "s"), (1, "+1", "o")):
            x = data["points"][data["labels"] == sign].T
            axes.plot(*x, marker, color=BLACK, mfc="none", markersize=6, label=f"training point, label {label}")
        axes.set(xlim=(-1.6, 1.6), ylim=(-1.6, 1.6), aspect="equal", xlabel="coordinate 1", ylabel="coordinate 2")
        axes.label_outer()
    curves.legend(figure, every[0], 4)
    return figure


def numbers(data):
    r"""After each step, for each start: points found, candidates that are far; and those of an untrained net."""
    found, far = data["counts"][..., 0], data["counts"][..., 1]
    return {
        "candidates_left": int(data["left"][-1].sum()),
        "points_found": found[:, 0, -1].tolist(),
        "far_candidates": far[:, 0, -1].tolist(),
        "far_before": far[:, 0, 1].tolist(),
        "far_after_small_lambda": far[:, 0, 2].tolist(),
        "untrained_points_found": found[:, 1, -1].tolist(),
        "untrained_far_candidates": far[:, 1, -1].tolist(),
    }


def caption(data):
    r"""What the figure shows."""
    got = {key: value if np.ndim(value) == 0 else captions.listed(value) for key, value in numbers(data).items()}
    return captions.text("fig2", m=len(data["y"]), got=got)
