r"""The attack as the authors wrote it (paper, section 4 and appendix): gradient descent with momentum.

It works on the pixels, with a learning rate, and needs tens of thousands of iterations.
"""

from functools import partial

import numpy as np

from .. import losses
from ..io.minimise import Descent, differentiate
from .candidates import Reconstruction

SEGMENT = 1000  # iterations from one save to the next (resume.py)


def sgd(gradient, unknowns, velocities, rates, momentum):
    r"""Gradient descent with momentum, PyTorch's rule: v ← μ v + ∇, u ← u − lr v. It goes on for ever.

    Parameters
    ----------
    gradient : function; gradient(*unknowns) is a list of arrays, the gradient by each unknown
    unknowns : list of arrays, where it begins;  velocities : list of arrays, the v of each, 0 at the start
    rates : list of floats, a learning rate for each;  momentum : float, μ

    Yields
    ------
    unknowns, velocities after each step

    Source: the authors' Main.py, which calls torch.optim.SGD.
    """
    while True:
        gradients = gradient(*unknowns)
        velocities = [momentum * v + g for v, g in zip(velocities, gradients, strict=True)]
        unknowns = [u - lr * v for u, lr, v in zip(unknowns, rates, velocities, strict=True)]
        yield unknowns, velocities


def attack(params, start, y, rng, bar, settings, file):
    r"""`sgd` on `losses.total_loss`, over x from `start` (m, d) and λ from U(0, 1); after Ctrl-C the best of them."""
    lam = rng.uniform(0, 1, len(start)).astype(start.dtype)
    low, high = settings.get("limits", (-1.0, 1.0))
    fixed = {"y": y, "alpha": settings["alpha"], "lam_min": settings["lam_min"], "low": low, "high": high}
    loss = partial(losses.weighted_terms, params, **fixed)
    evaluate = differentiate(loss)
    still = {"velocity_x": np.zeros_like(start), "velocity_lam": np.zeros_like(lam)}
    begin = {"x": start, "lam": lam, **still, "best_x": start, "best_lam": lam, "lowest": np.inf}
    with Descent(bar, begin, file) as descent:
        state = descent.state

        def gradient(x, lam):
            value, each, gradients = evaluate(x, lam)
            descent.history.add(each)
            if value < state["lowest"]:
                state.update(best_x=x, best_lam=lam, lowest=value)
            return gradients

        where, speed = ([state[prefix + name] for name in ("x", "lam")] for prefix in ("", "velocity_"))
        steps = sgd(gradient, where, speed, (settings["lr_x"], settings["lr_lam"]), settings["momentum"])
        for step in range(descent.steps + 1, settings["iterations"] + 1):
            (state["x"], state["lam"]), (state["velocity_x"], state["velocity_lam"]) = next(steps)
            if step % SEGMENT == 0:
                descent.save()
    kind = "best_" if descent.interrupted else ""
    found = state[kind + "x"], state[kind + "lam"]
    return Reconstruction(*found, y, start, descent.history.arrays(), descent.interrupted)
