r"""The runs behind the chapters' numbers: `python docs/runs.py [NAME …]` writes docs/runs/NAME.json; all in 12 minutes.

Figures have runs of their own (`minirecon figure`). The numbers are from one BLAS thread: set
OPENBLAS_NUM_THREADS=1.
"""

import json
import sys
import tempfile
import time
from contextlib import redirect_stdout
from importlib.metadata import version
from io import StringIO
from pathlib import Path
from unittest import mock

import numpy as np
from trials import ATTACK, SEEDS, ablation, matching, optimisers

import minirecon as mr
from minirecon import cli, kkt, metrics, mlp, training
from minirecon.io import datasets


def demo(case):
    r"""results.json of `minirecon demo CASE`."""
    with tempfile.TemporaryDirectory() as folder, redirect_stdout(StringIO()):
        cli.main(["demo", case, "--out", folder])
        return json.loads((Path(folder) / "results.json").read_text(encoding="utf-8"))


def flow():
    r"""The same training to T = 80 by plain gradient descent and in log-loss time; then to T = 10⁴ (chapter 3).

    `apart` has, layer by layer, ‖θ − θ_gd‖ / ‖θ_gd − θ₀‖ at T = 80, for log-loss time and for steps half as long.
    """
    data, result, runs = mr.load_dataset("mnist", n=20), {}, {}
    ways = {"gd": ("gd", 80, 0.01), "flow": ("flow", 80, 0.01), "paper": ("flow", 1e4, 0.01), "half": ("gd", 80, 0.005)}
    for name, (method, target, rate) in ways.items():
        start = time.process_time()
        with mock.patch.object(training, "LEARNING_RATE", rate):
            runs[name] = mr.train(data, hidden=(300, 300), seed=0, method=method, target_time=target)
        last = {key: np.asarray(values[-1]).tolist() for key, values in runs[name].history.items()}
        result[name] = last | {"cpu_seconds": time.process_time() - start}
    gone = _distances(runs["gd"].params, runs["gd"].initial)
    result["apart"] = {
        name: np.divide(_distances(runs[name].params, runs["gd"].params), gone).tolist() for name in ("flow", "half")
    }
    return result


def _distances(params, others):
    return [mlp.square_norm([layer]) ** 0.5 for layer in mlp.subtract(params, others)]


def kkt_reports():
    r"""kkt_report of the shipped networks at their training samples, in short (chapters 4 and 8)."""
    result = {}
    for case, n in (("mnist", 20), ("cifar10", 20), ("circle", 20), ("mnist", 500)):
        report = mr.kkt_report(mr.load(datasets.data_file(f"{case}-n{n}.pth")), mr.load_dataset(case, n=n))
        zero, best = (np.array(report.residual[name]["per_layer"]) for name in ("zero", "best"))
        result[f"{case}-n{n}"] = {
            "gamma": report.gamma,
            "median_margin": float(np.median(report.margin)),
            "largest_margin": float(report.margin.max()),
            "zero": zero.tolist(),
            "best": best.tolist(),
            "explained": (1 - best / zero).tolist(),
            "support": int(np.sum(report.lam > 1e-3 * report.lam.max())),
            "sum_lam": report.sum_lam,
            "euler_per_layer": report.euler_per_layer,
            "slackness": report.slackness,
            "cosine": report.cosine,
        }
    return result


def defences():
    r"""The attack on networks that were changed, stopped early or trained from another start (chapter 9)."""
    data, rng, result = mr.load_dataset("mnist", n=20), np.random.default_rng(0), {}

    def attacked(name, params):
        scores = [mr.score(mr.reconstruct(params, m=60, seed=seed, **ATTACK), data) for seed in SEEDS]
        start = [score.null["start"].ncc for score in scores]
        result[name] = {
            "over_0.9": [int(np.sum(score.ncc > 0.9)) for score in scores],
            "ncc": float(np.median([score.ncc for score in scores])),
            "start": float(np.median(start)),
            "test_accuracy": float(np.mean(data.y_test * mlp.forward(params, data.x_test).phi[:, 0] > 0)),
            "train_accuracy": float(np.mean(data.y * mlp.forward(params, data.x).phi[:, 0] > 0)),
        }

    def noisy(share):  # Gaussian noise of `share` of each matrix's norm
        def add(w):
            noise = rng.standard_normal(w.shape)
            return w + (share * np.linalg.norm(w) / np.linalg.norm(noise) * noise).astype(w.dtype)

        return tuple(mr.Layer(*(None if w is None else add(w) for w in layer)) for layer in plain)

    plain = mr.load(datasets.data_file("mnist-n20.pth"))
    attacked("plain", plain)
    for share in (0.03, 0.1, 0.3, 1.0):
        attacked(f"noise {share:.0%}".replace(" ", "-").replace("%", ""), noisy(share))
    for name, options in {
        "early": {"target_time": None, "target_log_loss": -1.0},
        "late": {"target_time": None, "target_log_loss": -40.0},
        "start": {"first_scale": 784**-0.5},
    }.items():
        attacked(name, mr.train(data, seed=0, **options).params)
    return result


def rivals():
    r"""The best λ with all rivals and with the largest alone, ten classes of CIFAR-10 (chapter 10)."""
    data = mr.load_dataset("cifar10", n=500, classes=10)
    run, result = mr.train(data, seed=0, target_time=5e5), {}
    for name, scalar in (("all", mlp.soft_margin), ("largest", mlp.margin_of_classes)):
        residual = mr.kkt_report(run.params, data, scalar).residual
        result |= {"zero": residual["zero"]["per_layer"], name: residual["best"]["per_layer"]}
    return result | {"log_loss": float(run.history["log_loss"][-1])}


def known():
    r"""A usual start that is known: what gradients on the way explain, and what an attack finds (chapter 10)."""
    start, result = {"first_scale": 784**-0.5}, {}
    data = mr.load_dataset("mnist", n=50)
    goal = {"loss": "mse", "target_time": None, "target_log_loss": -15, "dtype": float}
    run = mr.train(data, hidden=(512, 512), seed=0, **start, **goal)
    change = mlp.subtract(run.params, run.initial)
    for share in (0, 0.25, 0.35, 0.5, 0.75, 1):
        at = mlp.each(lambda p, q: p + share * (q - p), run.initial, run.params)  # noqa: B023
        h = [_inner(change, mlp.weighted_gradient(at, mlp.forward(at, x[None]), np.ones((1, 1)))) for x in data.x]
        c = np.linalg.solve(kkt.tangent_kernel(at, data.x), h)  # of any sign
        rest = mlp.subtract(change, mlp.weighted_gradient(at, mlp.forward(at, data.x), c[:, None]))
        squares = [[mlp.square_norm([layer]) for layer in layers] for layers in (rest, change)]
        result[f"{share:.2f}"] = np.divide(*squares).tolist()
    data = mr.load_dataset("mnist", n=20)
    run = mr.train(data, hidden=(300, 300), seed=0, **start)
    for name, initial in (("attack", run.initial), ("unknown", None)):
        score = mr.score(mr.reconstruct(run.params, initial=initial), data)
        null = {key: metrics.summary(each) for key, each in score.null.items()}
        result[name] = metrics.summary(score) | {"null": null}
    return result


def _inner(layers, others):
    pairs = [pair for two in zip(layers, others, strict=True) for pair in zip(*two, strict=True)]
    return sum(float(np.vdot(*pair)) for pair in pairs if pair[0] is not None)


RUNS = {
    "demo-mnist": lambda: demo("mnist"), "demo-cifar10": lambda: demo("cifar10"),
    "demo-colours": lambda: demo("colours"), "demo-circle": lambda: demo("circle"),
    "flow": flow, "kkt": kkt_reports, "optimisers": optimisers, "ablation": ablation,
    "matching": matching, "defences": defences,
    "rivals": rivals, "known": known,
}  # fmt: skip


def main(names):
    r"""Make the runs of these names, or all."""
    folder = Path(__file__).parent / "runs"
    folder.mkdir(exist_ok=True)
    for name in names or RUNS:
        start = time.monotonic()
        result = RUNS[name]()
        result.setdefault("command", f"python docs/runs.py {name}")
        result.setdefault("versions", {package: version(package) for package in ("minirecon", "numpy", "scipy")})
        result.setdefault("seconds", round(time.monotonic() - start, 1))
        (folder / f"{name}.json").write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
        print(f"{name}: {time.monotonic() - start:.0f} s", flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
