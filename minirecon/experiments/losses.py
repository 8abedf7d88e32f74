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
    r"""What theory and eye care for: layer 1 over iterations and over time, and the median NCC."""
    figure, every = curves.panels(3, _title(data))
    first, last = "layer 1: loss / ‖θ¹‖²", "median NCC"
    shown = (0, first, "iterations"), (0, first, "seconds"), (len(data["truth"]), last, "iterations")
    for axes, each in zip(every, shown, strict=True):
        _term(axes, data, *each)
    curves.legend(figure, every[0], 3)
    return figure


def draw_terms(data):
    r"""The other terms over the iterations."""
    layers = len(data["truth"]) - 3
    labels = [f"layer {k + 1}: loss / ‖θˡ‖²" for k in range(1, layers)] + ["range loss", "lambda loss", "margin loss"]
    figure, every = curves.panels(len(labels), _title(data))
    for column, (axes, label) in enumerate(zip(every, labels, strict=True)):
        _term(axes, data, column + 1, label, "iterations")
    curves.legend(figure, every[0], 3)
    return figure


def _title(data):
    return f"The losses on the way: {data['m']} candidates, {data['case']}, n = {data['n']}"


def _term(axes, data, column, label, where):
    r"""One term against the iterations or seconds, both ways, with its value at the training images if it has one."""
    is_loss = column < len(data["truth"])
    seen = []
    for name, style in zip(NAMES, (MARKED[1], MARKED[0]), strict=True):
        values = data[f"measured_{name}"][:, column]
        seen.append(np.maximum(values, FLOOR) if is_loss else values)
        axes.plot(data[f"{where}_{name}"], seen[-1], **style, label=NAMES[name])
    if is_loss:
        truth = max(data["truth"][column], FLOOR)
        axes.axhline(truth, color=BLACK, linestyle=":", label="training images, best λ")
        if column != 1:  # layer 2 hardly changes
            seen = np.concatenate([[truth], *seen])
            axes.set(ylim=(seen.min() / 1.5, seen.max() * 1.5), yscale="log")
    xlabel = "iteration" if where == "iterations" else "processor time, seconds"
    axes.set(xscale="log", ylabel=label, xlabel=xlabel)


PICTURES = {"losses.svg": draw, "losses-terms.svg": draw_terms}


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
    said = f"the loss falls below that of the training images ({below}): it fits the weights better than the truth."
    said = "In layer 1 " + (said if below else "neither gets down to that of the training images.")
    if truth["lambda"] > 0:
        said += f"\nThey break λ ≥ λ_min themselves (lambda loss {truth['lambda']:.2g}): "
        said += "it is no KKT condition, but keeps\ncandidates alive."
    values = {"lam_min": LAM_MIN, "floor": FLOOR, "table": table, "verdict": said, "better": better}
    return captions.text("losses", data=data, **values)
