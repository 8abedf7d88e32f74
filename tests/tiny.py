r"""Settings with which every figure's experiment takes a second or two, and what it then leaves on disk."""

import functools
import io

import numpy as np

from minirecon import experiments

SEED = 3
TINY = {
    "fig2": {"iterations": 3, "seeds": 1, "m": 10},
    "fig3": {"cases": ["mnist", "cifar10"], "n": 4, "hidden": [20, 20], "target_time": 50.0, "m": 8, "iterations": 5},
    "fig4": {
        "case": "mnist",
        "sizes": [4, 6], "hidden": [20, 20], "n": 4, "architectures": [[10], [20, 10, 5]], "target_time": 50.0,
        "most": 10, "iterations": 5,
    },
    "baselines": {"cases": ["mnist"], "m": 20, "samples": None, "iterations": 3, "inversion_iterations": 3},
    "membership": {"cases": ["mnist", "cifar10"], "sizes": [20, 20], "draws": 2},
    "nonunique": {"count": 2, "points": 4},
    "leak": {
        "cases": ["mnist"], "n": 4, "hidden": [20, 20], "levels": [-0.5, -2.0, -3.0], "nets": 2, "attacks": 2, "m": 8,
        "iterations": 5,
    },
    "training": {"n": 4, "target_time": 3.0, "gd_steps": 60},
    "colours": {"m": 4, "iterations": 2, "seeds": 2},
    "losses": {"m": 10, "sgd": [1, 4], "lbfgs": [2, 3]},
    "svm": {"n": 4, "width": 20, "log_losses": (-1.0, -3.0)},
    "sweep": {
        "rates": (0.01, 1e6), "sgd_alphas": (15.0,), "sgd_iterations": 20, "lbfgs_alphas": (5.0, 50.0),
        "lbfgs_iterations": 3,
    },
    "gates": {"m": 10, "iterations": 2, "seeds": 2, "alphas": (1e30, 1e4, 15.0)},
    "differences": {
        "weights": None, "n": 4, "hidden": [30, 30], "target_time": 100.0, "nets": 2, "first": 0, "neighbours": 3,
        "listed": 8, "iterations": 5, "rounds": 1, "examples": 2,
    },
    "classes": {"n": 20, "hidden": [20, 20], "target_time": 50.0, "m": 20, "iterations": 5},
    "initial": {"n": 4, "hidden": [20, 20], "square_loss": 0.1, "m": 8, "iterations": 5},
    "checkpoints": {"n": 4, "hidden": [20, 20], "times": [5.0, 20.0, 50.0], "nets": 2, "m": 8, "iterations": 5},
    "federated": {"sizes": [4, 6], "steps": [1, 3], "hidden": [20, 20], "iterations": 5},
    "decay": {"n": 4, "hidden": [20, 20], "decays": [1e-3, 1e-2], "steps": [2, 40], "m": 8},
    "practice": {
        "cases": ["mnist"], "n": 10, "hidden": [30, 30], "epochs": [2, 60],
        "trainings": ["SGD", "SGD, decay 1e-2", "Adam, L2 1e-3", "AdamW, decay 5", "SGD, small first layer",
                      "AdamW, decay 5, v known"],
    },
}  # fmt: skip


def settings(name):
    r"""All settings of the tiny version."""
    return {**experiments.settings(name), **TINY[name]}


@functools.cache
def saved(name):
    r"""What the tiny version of an experiment leaves on disk: a dict of arrays, to be read only."""
    file = io.BytesIO()
    np.savez_compressed(file, **experiments.load(name).run(SEED, False, **settings(name)))
    file.seek(0)
    with np.load(file) as archive:
        return dict(archive)
