r"""The colour toy: does the attack read the colours out of the weights, or would it find them without training?

Ten pure red and ten pure blue images of one pixel. The same attack on the trained network and on an untrained one; a
notebook that this project descends from attacked an untrained one by mistake.
"""

import numpy as np

from .. import metrics
from . import attacked, pixels, shipped, untrained
from .drawing import BLACK, LINES, NULLS, SMALL, captions
from .drawing.images import blank, show

QUICK = {"iterations": 300, "seeds": 1}
ROWS = {
    "trained": "trained network",
    "untrained": "untrained network",
    "untrained_up": "untrained, scaled up",
    "start": "the attack's start",
    "start_up": "the start, scaled up",
    "unseen": "unseen colours",
    "mean_image": "mean colour",
}
DRAWN = {"trained": LINES[0], "untrained_up": LINES[1], "start_up": NULLS[0], "unseen": NULLS[1]}


def run(seed, progress, weights="colours-n20.pth", n=20, m=100, iterations=600, alpha=500.0, upper_weight=1.0, seeds=3):
    r"""Attack the trained network and untrained ones, from `seeds` starts. Scoring uses the true training set.

    Returns a dict: `colours_NAME` (m, 3), uint8, of the first start, `labels_NAME`, and `distance_NAME` (seeds, m) of
    each candidate to the nearest training colour of its label, for each of `ROWS`.
    """
    trained, data = shipped(weights, "colours", n)
    options = {"iterations": iterations, "alpha": alpha, "upper_weight": upper_weight}
    distance, arrays = {name: [] for name in ROWS}, {"truth": np.round(255 * (data.x + data.mean)), "labels": data.y}
    for k in range(seeds):
        scores = {}
        for name, params in (("trained", trained), ("untrained", untrained(trained, seed + k))):
            rec = attacked(params, m, seed=seed + k, progress=progress and name, **options)
            scores[name] = metrics.score(rec, data)
            arrays.setdefault(f"labels_{name}", rec.y)
        # rec is that of the untrained network
        scores["untrained_up"] = metrics.score(rec._replace(x=scale_up(rec.x)), data)
        scores["start_up"] = metrics.score(rec._replace(x=scale_up(rec.start)), data)
        for name, score in (scores | scores["trained"].null).items():
            distance[name].append(score.distance)
            arrays.setdefault(f"colours_{name}", pixels(score.images))
    return arrays | {f"distance_{name}": np.array(each, np.float32) for name, each in distance.items()}


def scale_up(x):
    r"""Each candidate times what makes its largest channel ±½, as a pure colour less the mean has it; x (m, 3)."""
    return 0.5 * x / np.maximum(np.abs(x).max(axis=1, keepdims=True), 1e-30)


def draw(data):
    r"""Candidates as patches of their colour, by label; below, how many are within a distance of a training colour."""
    shown = {"training set": ("truth", "labels")}  # title: its colours and labels
    for name in ("trained", "untrained_up"):
        shown[ROWS[name]] = f"colours_{name}", f"labels_{name.removesuffix('_up')}"
    figure = blank(4.6, "The colour toy: candidates from a trained and from an untrained network")
    grid = figure.subplot_mosaic([list(shown), ["below"] * len(shown)])
    below = grid.pop("below")
    for title, (colours, labels) in shown.items():
        order = np.argsort(data[labels], kind="stable")
        columns = int(np.ceil(np.sqrt(len(order))))
        patches = np.pad(data[colours][order] / 255, [(0, -len(order) % columns), (0, 0)], constant_values=1)
        show(grid[title], patches.T, (3, -1, columns), f"{title}: {len(order)}", fontsize=8)
        grid[title].set_xlabel("label −1 (blue) above, +1 (red) below", fontsize=SMALL)
    for name, line in DRAWN.items():
        values = np.sort(data[f"distance_{name}"].ravel())
        share = np.arange(1, len(values) + 1) / len(values)
        below.step([0, *values, 1], [0, *share, 1], where="post", **line, label=ROWS[name])
    below.axvline(metrics.POINT_TOLERANCE, color=BLACK, linewidth=0.8, label="0.15, found")
    below.set_xlabel("distance to the nearest training colour of the label, largest difference in a channel (0 to 1)")
    below.set(ylabel="share of the candidates", xlim=(0, 1.02))
    figure.legend(*below.get_legend_handles_labels(), loc="outside lower center", ncols=5)
    below.grid()
    return figure


PICTURES = {"colours.png": draw}


def numbers(data):
    r"""Candidates within 0.15 of a training colour of their label, for each start, and of how many."""
    result = {}
    for name in ROWS:
        distance = data[f"distance_{name}"]
        found = np.sum(distance <= metrics.POINT_TOLERANCE, axis=1).tolist()
        result[name] = {"found": found, "of": distance.shape[1], "median": float(np.median(distance))}
    return result


def caption(data):
    r"""What the figure shows."""
    got, rows = numbers(data), []
    for name, row in got.items():
        rows.append([ROWS[name], f"{captions.listed(row['found'])} of {row['of']}", f"{row['median']:.2f}"])
    table = captions.table(["candidates", "within 0.15, for each start", "median distance"], rows)
    trained, *others = (np.array(row["found"]) / row["of"] for row in got.values())
    clear = trained.min() > max(other.max() for other in others) + 0.5
    verdict = captions.text("colours-clear" if clear else "colours-unclear")
    starts = len(data["distance_trained"])
    return captions.text("colours", n=len(data["labels"]), starts=starts, table=table, verdict=verdict)
