r"""The losses of the paper (section 4) on the way: the authors' gradient descent and our L-BFGS, measured alike.

The two minimise different sums. Here the candidates of both, after ever more iterations, go through the same formulas.
"""

import time

import numpy as np

from .. import attack, kkt, losses, metrics, mlp
from ..io import datasets
from ..io.weights import load
from . import whole
from .drawing import curves

PRESET = {
    "case": "mnist",  # its net CASE-n20.pth
    "n": 20,
    "m": 60,
    "sgd": [1, 3, 10, 30, 100, 300, 1000, 3000],
    "lbfgs": [1, 3, 10, 30, 100, 300, 1000],
}
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


def run(seed, progress, case, n, m, sgd, lbfgs):
    r"""Attack one network in both ways, anew for each number of iterations: a shorter run is the start of a longer one.

    Returns a dict, for both: `iterations_NAME`, `measured_NAME` (runs, L + 4), the last the median NCC with the true
    images, `seconds_NAME` of processor time; and `truth` (L + 3,), the same of the training images with their best λ.
    """
    weights = load(datasets.data_file(f"{case}-n{n}.pth"))
    params, data = mlp.cast(weights, float), datasets.load_dataset(case, n)
    # the equation's λ times n: the candidates' scale, had each image m / n equal copies
    truth = measure(params, data.x, n * kkt.multipliers(params, data.x, data.y), data.y)
    arrays = {"case": case, "n": n, "m": m, "truth": truth}
    for name, lengths in (("sgd", sgd), ("lbfgs", lbfgs)):
        measured, seconds = [], []
        for iterations in lengths:
            begin = time.process_time()
            rec = whole(
                attack.reconstruct(weights, m, seed=seed, optimizer=name, progress=progress and name,
                                   iterations=iterations)
            )  # fmt: skip
            seconds.append(time.process_time() - begin)
            x, lam = rec.x.astype(float), rec.lam.astype(float)
            measured.append([*measure(params, x, lam, rec.y), np.median(metrics.score(rec, data).ncc)])
        arrays |= {f"iterations_{name}": lengths, f"measured_{name}": measured, f"seconds_{name}": seconds}
    return arrays


def draw(data):
    r"""Each term over the iterations, both ways, with the value at the training images; layer 1 over time as well."""
    layers = len(data["truth"]) - 3
    figure, every = curves.panels(
        layers + 5, f"The losses on the way: {data['m']} candidates, {data['case']}, n = {data['n']}", 4, (3.7, 3.4)
    )
    labels = [f"layer {k + 1}: loss / ‖θˡ‖²" for k in range(layers)] + list(TERMS)
    for k, (axes, label) in enumerate(zip(every, [*labels, labels[0]], strict=True)):
        column = k if k < len(labels) else 0
        for name, (colour, style, marker) in zip(NAMES, curves.LINES, strict=False):
            where = data[f"{'iterations' if k < len(labels) else 'seconds'}_{name}"]
            values = data[f"measured_{name}"][:, column]
            values = values if label == TERMS[-1] else np.maximum(values, FLOOR)
            axes.plot(where, values, marker, linestyle=style, color=colour, markersize=4, label=NAMES[name])
        if column < len(data["truth"]):
            truth = max(data["truth"][column], FLOOR)
            axes.axhline(truth, color="black", linestyle=":", label="training images, best λ")
            if label != "layer 2: loss / ‖θˡ‖²":  # it hardly changes
                low, high = (data[f"measured_{name}"][:, column] for name in NAMES)
                low, *_, high = np.sort(np.concatenate([low, high, [truth]]))
                axes.set(ylim=(max(low, FLOOR) / 1.5, max(high, FLOOR) * 1.5), yscale="log")
        axes.set(xscale="log", ylabel=label, xlabel="iteration" if k < len(labels) else "processor time, seconds")
    handles, names = every[0].get_legend_handles_labels()
    figure.legend(handles, names, loc="outside lower center", ncols=3)
    return figure


def numbers(data):
    r"""Both at their end, and the training images, term by term."""
    layers = len(data["truth"]) - 3
    keys = [f"layer {k + 1}" for k in range(layers)] + ["range", "lambda", "margin", "ncc"]
    result = {"truth": dict(zip(keys, data["truth"].tolist(), strict=False))}
    for name in NAMES:
        result[name] = dict(zip(keys, data[f"measured_{name}"][-1].tolist(), strict=True))
        result[name] |= {
            "iterations": int(data[f"iterations_{name}"][-1]),
            "seconds": float(data[f"seconds_{name}"][-1]),
        }
    return result


def caption(data):
    r"""What the figure shows."""
    got = numbers(data)
    keys = list(got["truth"])
    rows = {**NAMES, "truth": "training images, best λ"}
    lines = [f"| | {' | '.join(keys)} | median NCC | iterations | seconds |", "|---" * (len(keys) + 4) + "|"]
    for name, label in rows.items():
        row = got[name]
        cells = [f"{row[key]:.3g}" for key in keys]
        cells += [f"{row['ncc']:.3f}", str(row["iterations"]), f"{row['seconds']:.0f}"] if "ncc" in row else ["–"] * 3
        lines.append(f"| {label} | {' | '.join(cells)} |")
    table = "\n".join(lines)
    return f"""
{data["m"]} candidates for the {data["n"]} images of {data["case"]}, by the authors' gradient descent with the
settings of their best run (they make 50 000 iterations, for n = 500) and by our L-BFGS with its defaults; both
from the weights alone, without being told n. Every point is an attack of its own from the same seed, and all
are measured alike: the parameter loss with the plain ReLU as a share of ‖θˡ‖² in each layer, the range loss,
the lambda loss with λ_min = {LAM_MIN}, the margin loss (ours; gradient descent does not minimise it), and the
median NCC with the training images, an evaluation. At the end:

{table}

Dotted: the training images with the λ ≥ 0 that explains the weights best. {verdict(got)} Losses below {FLOOR:g}
are drawn there. "Seconds" are of processor time on a shared machine. The paper shows no such figure.
"""


def verdict(got):
    r"""What the numbers say: whose loss is below the truth's, and whose pictures are better."""
    truth, said = got["truth"], []
    below = [NAMES[name] for name in NAMES if got[name]["layer 1"] < truth["layer 1"]]
    if below:
        names = " and ".join(below)
        said.append(f"In layer 1 the loss falls below theirs ({names}): it fits the weights better than the truth.")
    else:
        said.append("In layer 1 neither gets down to theirs.")
    if truth["lambda"] > 0:
        said.append(
            f"They break λ ≥ λ_min themselves (lambda loss {truth['lambda']:.2g}): it is no KKT condition, but keeps\n"
            "candidates alive."
        )
    better = max(NAMES, key=lambda name: got[name]["ncc"])
    said.append(f"The better pictures are those of {NAMES[better]}.")
    said.append("Layer 2 keeps most of its random start, which no sum over samples explains.")
    return "\n".join(said)
