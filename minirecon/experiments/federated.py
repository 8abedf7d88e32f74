r"""Federated averaging: what one client's update leaks, after one local step of gradient descent or many.

The server knows the weights θ₀ that it sent and the θ that came back. After one step θ − θ₀ is a sum of gradients at
θ₀ exactly; after many, they turn on the way. The scoring uses the true training set: an evaluation.
"""

import numpy as np

from .. import metrics, mlp
from . import attacked, trained
from .drawing import MARKED, NULLS, captions
from .drawing.curves import legend, panels
from .fig3 import unseen

QUICK = {"sizes": (10,), "steps": (1, 10, 100), "hidden": (500, 500), "iterations": 150}
TOLD = ("change", "loss", "left")
ROWS = {"attack": "training images", "unseen": "null: unseen images", "wrong": "null: a wrong θ₀"}


def run(
    seed, progress, case="mnist", sizes=(10, 30), steps=(1, 3, 10, 30, 100, 300), hidden=(1000, 1000),
    first_scale=784**-0.5, candidates=2, iterations=600, alpha=100.0,
):  # fmt: skip
    r"""For each n, gradient descent from a usual start for so many steps of 0.01; attack with the start known, or not.

    Training is in float64, as one step changes a weight by little. There are `candidates` · n candidates, and the gates
    are sharper than the default's, which is for long trainings.

    Returns a dict: for each n `ncc_N` (steps, 3, n), for each of `ROWS`: of all training images with the nearest
    candidate; of as many unseen ones; of the training images with candidates that another start than the true one led
    to. Of each number of steps, (steps,): `change_N` is ‖θ − θ₀‖ / ‖θ₀‖, `loss_N` the training loss, and `left_N` the
    share of layer 1's change, squared and whitened, that the candidates leave unexplained.
    """
    arrays = {"case": case, "sizes": sizes, "steps": steps, "iterations": iterations}
    arrays |= {"candidates": candidates, "alpha": alpha}
    for n in sizes:
        params, done, ncc, told = None, 0, [], []
        for count in steps:
            options = {"method": "gd", "target_time": np.inf, "max_steps": count - done}
            options |= {"first_scale": first_scale, "hidden_biases": True, "dtype": float, "params": params}
            trial, data = trained(case, n, hidden, seed, **options)
            if params is None:
                start = trial.initial
                shape = {"first_scale": first_scale, "hidden_biases": True, "dtype": float}
                wrong = mlp.initialise(np.random.default_rng(seed + 1), data.x.shape[1], hidden, **shape)
            params, done = trial.params, count
            found = []
            for initial in (start, wrong):
                options = {"initial": initial, "iterations": iterations, "alpha": alpha, "progress": progress}
                found.append(attacked(params, candidates * n, seed=seed, **options))
            pairs = (found[0], data), (found[0], unseen(data)), (found[1], data)
            ncc.append([metrics.score(rec, truth).ncc for rec, truth in pairs])
            change = mlp.square_norm(mlp.subtract(params, start)) / mlp.square_norm(start)
            told.append([change**0.5, np.exp(trial.history["log_loss"][-1]), found[0].history["layer 1"][-1]])
        arrays[f"ncc_{n}"] = np.array(ncc, np.float32)
        arrays |= {f"{key}_{n}": values for key, values in zip(TOLD, np.array(told).T, strict=True)}
    return arrays


def measures(ncc):
    r"""Of NCC (steps, 3, n) the share of images above 0.8 and above 0.9, and the median, each (steps, 3)."""
    return {
        "share with NCC > 0.8": np.mean(ncc > 0.8, axis=-1),
        "share with NCC > 0.9": np.mean(ncc > 0.9, axis=-1),
        "median NCC": np.median(ncc.astype(float), axis=-1),
    }


def draw(data):
    r"""For each n images found, and the median NCC, against the number of local steps."""
    sizes, steps = data["sizes"].tolist(), data["steps"]
    figure, every = panels(3 * len(sizes), f"What one client's update leaks: {data['case']}, θ₀ known to the server")
    for i, n in enumerate(sizes):
        for axes, (label, values) in zip(every[3 * i : 3 * i + 3], measures(data[f"ncc_{n}"]).items(), strict=True):
            for name, each, line in zip(ROWS.values(), values.T, (MARKED[0], *NULLS), strict=False):
                axes.plot(steps, each, **line, label=name)
            axes.set(xscale="log", ylim=(-0.03, 1.03), xlabel="local steps", ylabel=label)
            axes.set_xticks(steps, [f"{count}" for count in steps])
            axes.minorticks_off()
            axes.set_title(f"n = {n} images on the client")
    legend(figure, every[0], 3)
    return figure


def numbers(data):
    r"""For each n, number of steps and row: images above 0.8 and 0.9, median NCC; change and loss."""
    result = {}
    for n in data["sizes"].tolist():
        rows = {}
        for i, count in enumerate(data["steps"].tolist()):
            ncc = data[f"ncc_{n}"][i]
            rows[str(count)] = {
                name: {"over_0.8": int(np.sum(each > 0.8)), "over_0.9": int(np.sum(each > 0.9)),
                       "ncc": float(np.median(each.astype(float)))}
                for name, each in zip(ROWS, ncc, strict=True)
            } | {key: float(data[f"{key}_{n}"][i]) for key in TOLD}  # fmt: skip
        result[str(n)] = rows
    return result


def caption(data):
    r"""What the figure shows."""
    got, tables, said = numbers(data), [], []
    for n, rows in got.items():
        head = [f"n = {n}: k", "loss", "change", "left", "NCC > 0.8", "> 0.9", "median", "unseen", "wrong θ₀"]
        lines = []
        for count, row in rows.items():
            ours, null, wrong = (row[name] for name in ROWS)
            both = [f"{each['over_0.8']}; {each['ncc']:.2f}" for each in (null, wrong)]
            told = [f"{row[key]:.2g}" for key in ("change", "left")]
            lines.append([count, row["loss"], *told, ours["over_0.8"], ours["over_0.9"], ours["ncc"], *both])
        tables.append(captions.table(head, lines))
        (first, start), *_, (last, end) = ((count, row["attack"]["over_0.9"]) for count, row in rows.items())
        said.append(f"{start} of {n} images at k = {first} and {end} at k = {last}")
    return captions.text("federated", data=data, tables="\n\n".join(tables), said="; ".join(said))
