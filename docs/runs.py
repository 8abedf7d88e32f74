r"""The runs behind the chapters' numbers: `python docs/runs.py [NAME …]` writes docs/runs/NAME.json; all in 12 minutes.

Figures have runs of their own (`minirecon figure`). The numbers are from one BLAS thread: set
OPENBLAS_NUM_THREADS=1.
"""

import json
import sys
import tempfile
import time
from contextlib import ExitStack, redirect_stdout, suppress
from importlib.metadata import version
from io import StringIO
from pathlib import Path
from unittest import mock

import numpy as np

import minirecon as mr
from minirecon import cli, kkt, losses, metrics, mlp
from minirecon.attack import lbfgs
from minirecon.attack.sgd import sgd
from minirecon.io import datasets, minimise

ATTACK = {"span": 20, "iterations": 300}  # as in the demo of MNIST, without the refinement
SEEDS = (0, 1, 2)


def demo(case):
    r"""results.json of `minirecon demo CASE`."""
    with tempfile.TemporaryDirectory() as folder, redirect_stdout(StringIO()):
        cli.main(["demo", case, "--out", folder])
        return json.loads((Path(folder) / "results.json").read_text(encoding="utf-8"))


def flow():
    r"""The same training to T = 80 by plain gradient descent and in log-loss time; then to T = 10⁴ (chapter 3)."""
    data, result = mr.load_dataset("mnist", n=20), {}
    for name, method, target in (("gd", "gd", 80), ("flow", "flow", 80), ("paper", "flow", 1e4)):
        start = time.process_time()
        history = mr.train(data, hidden=(300, 300), seed=0, method=method, target_time=target).history
        last = {key: np.asarray(values[-1]).tolist() for key, values in history.items()}
        result[name] = last | {"cpu_seconds": time.process_time() - start}
    return result


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


def optimisers():
    r"""The authors' SGD and ours on the demo's digits, with equally many evaluations of the loss (chapter 6)."""
    data, params, result = mr.load_dataset("mnist", n=20), mr.load(datasets.data_file("mnist-n20.pth")), {}
    for name, settings in (("sgd", {"iterations": 3000}), ("lbfgs", ATTACK)):
        start = time.process_time()
        rec = mr.reconstruct(params, m=40, optimizer=name, **settings)
        spent = time.process_time() - start
        score = mr.score(rec, data)
        null = {key: metrics.summary(each) for key, each in score.null.items()}
        result[name] = metrics.summary(score) | {"null": null, "cpu_seconds": spent, **settings}
    return result


def ablation():
    r"""Our attack, and the same without one of its changes: the demo's digits, three seeds (chapter 6)."""
    data, params = mr.load_dataset("mnist", n=20), mr.load(datasets.data_file("mnist-n20.pth"))
    terms, result = lbfgs.terms, {}

    def attacked(changes=(), **settings):  # a change puts something else in the place of one of the attack's functions
        with ExitStack() as stack:
            for module, name, other in changes:
                stack.enter_context(mock.patch.object(module, name, other))
            recs = [mr.reconstruct(params, m=60, seed=seed, **{**ATTACK, **settings}) for seed in SEEDS]
        scores = [mr.score(rec, data) for rec in recs]
        return {
            "over_0.9": [int(np.sum(score.ncc > 0.9)) for score in scores],
            "ncc": float(np.median([score.ncc for score in scores])),
            "start": float(np.median([score.null["start"].ncc for score in scores])),
            "loss": float(np.median([sum(each[-1] for each in rec.history.values()) for rec in recs])),
        }

    def stepping(rate):  # gradient descent with momentum in the place of L-BFGS
        def descend(evaluate, like, descent, iterations, **_):
            def gradient(*unknowns):
                _, each, gradients = evaluate(*unknowns)
                descent.history.add(each)
                return gradients

            begin = minimise.unpack(descent.state["point"], like)
            steps = sgd(gradient, begin, [0 * part for part in begin], (rate, rate), 0.9)
            for _ in range(iterations):
                unknowns, _ = next(steps)
            descent.state["point"] = minimise.pack(unknowns)

        return [(minimise, "lbfgs", descend), (lbfgs, "SEGMENT", ATTACK["iterations"])]

    def enforced(problem, u, t):  # λ is t itself, and the lambda loss has to keep it above λ_min
        kept = losses.LAMBDA_WEIGHT * losses.lambda_loss(t, problem.settings["lam_min"])
        return {**terms(problem, u, t), "lambda": kept}

    result["all"] = attacked()
    result["rates"] = {}
    for rate in (0.01, 0.03, 0.1, 0.2, 0.3):
        with suppress(ValueError):  # it diverges
            result["rates"][str(rate)] = attacked(stepping(rate))
    result["lbfgs"] = max(result["rates"].values(), key=lambda each: each["ncc"])  # chosen with the truth in hand
    result["lambda"] = attacked([(lbfgs, "multipliers", lambda _, t: t), (lbfgs, "terms", enforced)])
    result["span"] = attacked(span=784, spectrum=1e-9)
    result["whitening"] = attacked(spectrum=1e-9)
    result["margin"] = attacked(margin_weight=0.0)
    result["upper"] = attacked(upper_weight=1.0)
    result["units"] = attacked([(lbfgs, "unit_scale", lambda layer: np.ones_like(layer.weight[:, 0]))])
    return result


def matching():
    r"""The demos' candidates: the nearest of each image, and matched one to one (chapter 7)."""
    result = {}
    for case in ("mnist", "cifar10"):
        data, params = mr.load_dataset(case, n=20), mr.load(datasets.data_file(f"{case}-n20.pth"))
        recs = [mr.reconstruct(params, m=60, seed=seed, samples=20, **ATTACK) for seed in SEEDS]
        for name, every in (("attack", [rec.x for rec in recs]), ("start", [rec.start for rec in recs])):
            counts = [_match(x, data) for x in every]
            result[f"{case}-{name}"] = {key: [each[key] for each in counts] for key in counts[0]}
        result[f"{case}-unseen"] = _match(data.x_test[:20], data)
    return result


def _match(x, data):
    truth, candidates = (each.astype(float).reshape(len(each), *data.image_shape) for each in (data.x, x))
    ncc = metrics.ncc(truth, candidates)  # (n, m)
    return {
        "over_0.9": int(np.sum(ncc.max(axis=1) > 0.9)),
        "one_to_one": int(np.sum(metrics.one_to_one(ncc) > 0.9)),
        "candidates": len(np.unique(ncc.argmax(axis=1))),
        "median": float(np.median(ncc.max(axis=1))),
    }


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


def gates():
    r"""The attack with plain gates and with smooth ones of several widths (chapter 5)."""
    data, params, result = mr.load_dataset("mnist", n=20), mr.load(datasets.data_file("mnist-n20.pth")), {}
    widths = {"none": 1e30, "1e6": 1e6, "1e4": 1e4, "1000": 1e3, "150": 150.0, "20": 20.0}  # 1e30: σ(αz) is the step
    for name, alpha in widths.items():
        scores = [mr.score(mr.reconstruct(params, m=60, seed=seed, alpha=alpha, **ATTACK), data) for seed in SEEDS]
        result[name] = {
            "over_0.9": [int(np.sum(score.ncc > 0.9)) for score in scores],
            "ncc": [float(np.median(score.ncc)) for score in scores],
            "start": [float(np.median(score.null["start"].ncc)) for score in scores],
        }
    return result


def _inner(layers, others):
    pairs = [pair for two in zip(layers, others, strict=True) for pair in zip(*two, strict=True)]
    return sum(float(np.vdot(*pair)) for pair in pairs if pair[0] is not None)


RUNS = {
    "demo-mnist": lambda: demo("mnist"), "demo-cifar10": lambda: demo("cifar10"),
    "demo-colours": lambda: demo("colours"), "demo-circle": lambda: demo("circle"),
    "flow": flow, "kkt": kkt_reports, "optimisers": optimisers, "ablation": ablation,
    "matching": matching, "defences": defences,
    "rivals": rivals, "known": known, "gates": gates,
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
