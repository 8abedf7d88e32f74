r"""What settings of the attack are worth: runs of docs/runs.py, on the demos' networks."""

import time
from contextlib import ExitStack, suppress
from unittest import mock

import numpy as np

import minirecon as mr
from minirecon import losses, metrics
from minirecon.attack import lbfgs
from minirecon.attack.sgd import sgd
from minirecon.io import datasets, minimise

ATTACK = {"span": 20, "iterations": 300}  # as in the demo of MNIST, without the refinement
SEEDS = (0, 1, 2)


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
