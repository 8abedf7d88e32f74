r"""The losses of the paper (section 4) on the way: the authors' gradient descent and our L-BFGS, measured alike.

The two minimise different sums. Here the candidates of both, after ever more iterations, go through the same formulas.
"""

import time

import numpy as np

from .. import attack, kkt, losses, metrics, mlp
from . import attacked, shipped
from .drawing import BLACK, MARKED, captions, curves

QUICK = {"sgd": [1, 10, 100, 300], "lbfgs": [1, 10, 30, 100]}
NAMES = {"sgd": "authors' gradient descent", "lbfgs": "our L-BFGS"}
LAM_MIN = attack.SETTINGS["sgd"]["lam_min"]
TERMS = ("range loss", "lambda loss", "margin loss", "median NCC")
FLOOR = 1e-4  # of the logarithmic axes: a loss of 0 is drawn there


def measure(params, x, lam, y):
    r"""The parameter loss of each layer as a share of ‖θˡ‖², plain ReLU; range, lambda and margin loss: (L + 3,).

    `lam` (m,) in the scale of `losses.parameter_loss`.
    """
    norms = [mlp.square_norm([layer]) for layer in params]
    shares = np.array(losses.residual(params, x, lam, y)["per_layer"]) / norms
    margin = losses.margin_loss(mlp.forward(params, x).phi, y)
    return np.array([*shares, losses.range_loss(x), losses.lambda_loss(lam, LAM_MIN), margin])


def run(
    seed, progress, case="mnist", n=20, m=60,
    sgd=(1, 3, 10, 30, 100, 300, 1000, 3000), lbfgs=(1, 3, 10, 30, 100, 300, 1000),
):  # fmt: skip
    r"""Attack CASE-n20.pth in both ways, anew for each number of iterations: a shorter run begins as a longer one.

    Returns a dict, for both: `iterations_NAME`, `measured_NAME` (runs, L + 4), the last the median NCC with the true
    images, `seconds_NAME` of processor time; and `truth` (L + 3,), the same of the training images with their best λ.
    """
    weights, data = shipped(f"{case}-n{n}.pth", case, n)
    params = mlp.cast(weights, float)
    # the equation's λ times n: the candidates' scale, had each image m / n equal copies
    truth = measure(params, data.x, n * kkt.multipliers(params, data.x, data.y), data.y)
    arrays = {"case": case, "n": n, "m": m, "truth": truth}
    for name, lengths in (("sgd", sgd), ("lbfgs", lbfgs)):
        measured, seconds = [], []
        for iterations in lengths:
            begin = time.process_time()
            rec = attacked(weights, m, seed=seed, optimizer=name, progress=progress and name, iterations=iterations)
            seconds.append(time.process_time() - begin)
            x, lam = rec.x.astype(float), rec.lam.astype(float)
            measured.append([*measure(params, x, lam, rec.y), np.median(metrics.score(rec, data).ncc)])
        arrays |= {f"iterations_{name}": lengths, f"measured_{name}": measured, f"seconds_{name}": seconds}
    return arrays


def draw(data):
    r"""Each term over the iterations, both ways, with the value at the training images; layer 1 over time as well."""
    layers = len(data["truth"]) - 3
    title = f"The losses on the way: {data['m']} candidates, {data['case']}, n = {data['n']}"
    figure, every = curves.panels(layers + 5, title, 4, (3.7, 3.4))
    labels = [f"layer {k + 1}: loss / ‖θˡ‖²" for k in range(layers)] + list(TERMS)
    shown = [(column, "iterations", "iteration") for column in range(len(labels))]
    shown += [(0, "seconds", "processor time, seconds")]
    for axes, (column, where, xlabel) in zip(every, shown, strict=True):
        label = labels[column]
        for name, style in zip(NAMES, MARKED, strict=False):
            values = data[f"measured_{name}"][:, column]
            values = values if label == TERMS[-1] else np.maximum(values, FLOOR)
            axes.plot(data[f"{where}_{name}"], values, **style, markersize=4, label=NAMES[name])
        if column < len(data["truth"]):
            truth = max(data["truth"][column], FLOOR)
            axes.axhline(truth, color=BLACK, linestyle=":", label="training images, best λ")
            if label != "layer 2: loss / ‖θˡ‖²":  # it hardly changes
                seen = np.concatenate([[truth], *(data[f"measured_{name}"][:, column] for name in NAMES)])
                axes.set(ylim=(max(seen.min(), FLOOR) / 1.5, max(seen.max(), FLOOR) * 1.5), yscale="log")
        axes.set(xscale="log", ylabel=label, xlabel=xlabel)
    curves.legend(figure, every[0], 3)
    return figure


def numbers(data):
    r"""Both at their end, and the training images, term by term."""
    layers = len(data["truth"]) - 3
    keys = [f"layer {k + 1}" for k in range(layers)] + ["range", "lambda", "margin", "ncc"]
    result = {"truth": dict(zip(keys, data["truth"].tolist(), strict=False))}
    for name in NAMES:
        spent = {"iterations": int(data[f"iterations_{name}"][-1]), "seconds": float(data[f"seconds_{name}"][-1])}
        result[name] = dict(zip(keys, data[f"measured_{name}"][-1].tolist(), strict=True)) | spent
    return result


def caption(data):
    r"""What the figure shows."""
    got = numbers(data)
    keys, rows = list(got["truth"]), []
    for name, label in {**NAMES, "truth": "training images, best λ"}.items():
        row = got[name]
        at_end = [row["ncc"], row["iterations"], f"{row['seconds']:.0f}"] if "ncc" in row else [None] * 3
        rows.append([label, *(f"{row[key]:.3g}" for key in keys), *at_end])
    table = captions.table(["", *keys, "median NCC", "iterations", "seconds"], rows)
    better = NAMES[max(NAMES, key=lambda name: got[name]["ncc"])]
    truth = got["truth"]
    below = " and ".join(NAMES[name] for name in NAMES if got[name]["layer 1"] < truth["layer 1"])
    said = f"the loss falls below theirs ({below}): it fits the weights better than the truth."
    said = "In layer 1 " + (said if below else "neither gets down to theirs.")
    if truth["lambda"] > 0:
        said += f"\nThey break λ ≥ λ_min themselves (lambda loss {truth['lambda']:.2g}): "
        said += "it is no KKT condition, but keeps\ncandidates alive."
    values = {"lam_min": LAM_MIN, "floor": FLOOR, "table": table, "verdict": said, "better": better}
    return captions.text("losses", data=data, **values)
