r"""The attack as the authors wrote it (paper, section 4 and appendix): gradient descent with momentum.

It works on the pixels, with a learning rate, and needs tens of thousands of iterations.
"""

import numpy as np
from autograd import value_and_grad
from autograd.tracer import getval

from .. import losses
from ..io.progress import History
from .candidates import Reconstruction

SEGMENT = 1000  # iterations from one save to the next (resume.py)


def sgd(params, x, y, rng, bar, settings, state):
    r"""Gradient descent with momentum on `losses.total_loss`, PyTorch's rule: v ← 0.9 v + ∇, x ← x − lr v."""
    start, m, dtype = x, len(x), x.dtype
    lam = rng.uniform(0, 1, m).astype(dtype)
    alpha, lam_min, momentum = settings["alpha"], settings["lam_min"], settings["momentum"]
    history, terms = History(bar), {}

    def loss(unknowns):
        x, lam = unknowns
        parts = losses.weighted_terms(params, x, lam, y, alpha, lam_min)
        terms.update({name: float(getval(part)) for name, part in parts.items()})
        return sum(parts.values())

    loss_and_gradient = value_and_grad(loss)
    velocity_x, velocity_lam = np.zeros_like(x), np.zeros_like(lam)
    best, lowest, interrupted = (x, lam), np.inf, False
    if saved := state.load(history):
        x, lam, velocity_x, velocity_lam = (saved[name] for name in ("x", "lam", "velocity_x", "velocity_lam"))
        best, lowest = (saved["best_x"], saved["best_lam"]), saved["lowest"]
    try:
        for step in range(len(history.rows), settings["iterations"]):
            value, (gradient_x, gradient_lam) = loss_and_gradient((x, lam))
            history.add(terms)
            if value < lowest:
                best, lowest = (x, lam), value
            velocity_x = momentum * velocity_x + gradient_x
            velocity_lam = momentum * velocity_lam + gradient_lam
            x = x - settings["lr_x"] * velocity_x
            lam = lam - settings["lr_lam"] * velocity_lam
            if (step + 1) % SEGMENT == 0:
                now = {"x": x, "lam": lam, "velocity_x": velocity_x, "velocity_lam": velocity_lam}
                state.save(history, **now, best_x=best[0], best_lam=best[1], lowest=lowest)
    except KeyboardInterrupt:
        (x, lam), interrupted = best, True
    return Reconstruction(x, lam, y, start, history.arrays(), interrupted)
