r"""The attack of the paper (section 4): minimise the reconstruction loss over the samples x and multipliers λ.

It is given the trained weights and nothing else: no function here takes a data set.

`optimizer="sgd"` is the authors' method: gradient descent with momentum on parameter, lambda and range
loss. It works on the pixels, with a learning rate, and needs tens of thousands of iterations.

`optimizer="lbfgs"` (the default) minimises the same parameter loss with SciPy's L-BFGS-B, and differs in
five ways, each of which a trial showed to help:
1. no learning rate: L-BFGS-B searches along a line;
2. λ is kept within [λ_min, λ_max] by bounds instead of the lambda loss;
3. span coordinates: x = u Vᵀ, where V holds the first right singular vectors of W¹. Layer 1 starts from
   almost nothing, so the rows of W¹ lie in the span of the training data, and so must the candidates;
4. a margin loss, the complementary slackness that the paper leaves out: all candidates have one margin;
5. the residuals of the upper layers count for less: most of those weights is their random start, which
   no sum over training samples can explain.
"""

import numbers

import autograd.numpy as np
import numpy as onp  # the plain one, where nothing is differentiated
from autograd import value_and_grad
from autograd.tracer import getval
from threadpoolctl import ThreadpoolController

from . import checkpoint, losses, mlp, progressbar
from .candidates import Reconstruction
from .checkpoint import Layer

SETTINGS = {
    "lbfgs": {
        "iterations": 600,
        "alpha": 150.0,  # sharpness of the gates σ(αz)
        "lam_min": 0.447,
        "lam_max": 1.0,
        "start_scale": 1e-3,  # x starts at start_scale · N(0, 1)
        "span": None,  # number of singular vectors; None: as many as candidates
        "margin_weight": 1.0,
        "upper_weight": 0.1,  # of the residuals of layers 2 … L; layer 1 counts 1
    },
    # the authors' best run on MNIST, from their published notebooks
    "sgd": {
        "iterations": 50_000,
        "alpha": 149.87,
        "lam_min": 0.4471,
        "start_scale": 0.03498,
        "lr_x": 0.03052,
        "lr_lam": 1e-4,
        "momentum": 0.9,
    },
}


def reconstruct(params, m=40, *, seed=0, optimizer="lbfgs", dtype="float32", progress=False, **settings):
    r"""Reconstruct training samples from the weights of a network.

    Parameters
    ----------
    params : tuple of Layer with one output, the trained network
    m : int, number of candidates; twice the number of training samples is a good choice
    seed : int or numpy.random.Generator
    optimizer : "lbfgs", or "sgd" for the authors' method
    dtype : "float32" or "float64", in which losses and gradients are computed
    progress : show a progress line on standard error; a string is the name it goes by
    settings : instead of the defaults in `SETTINGS[optimizer]`

    Returns
    -------
    Reconstruction. Ctrl-C ends the attack early and returns the best candidates so far.

    Raises
    ------
    CheckpointError : weights with NaN, shapes that do not chain, or more than one output
    ValueError : an unknown optimizer or setting, a value out of range, or a loss that is no longer finite
    """
    settings = complete(optimizer, settings)
    if dtype not in ("float32", "float64"):
        raise ValueError(f"dtype = {dtype!r}: expected 'float32' or 'float64'")
    if not isinstance(m, numbers.Integral) or m < 2:
        raise ValueError(f"m = {m}: expected a whole number of at least 2 candidates, one of each label")
    params = checkpoint.cast(checkpoint.check(params, outputs=1), dtype)
    rng = onp.random.default_rng(seed)
    start = (settings["start_scale"] * rng.standard_normal((m, params[0].weight.shape[1]))).astype(dtype)
    y = onp.where(onp.arange(m) < m // 2, -1, 1).astype(dtype)
    name = progress if isinstance(progress, str) else "attack"
    run = _lbfgs if optimizer == "lbfgs" else _sgd
    # losses that overflow are reported as an error of their own
    with progressbar.bar(settings["iterations"], name, progress) as bar, onp.errstate(all="ignore"):
        return run(params, start, y, rng, bar, settings)


def complete(optimizer, given):
    r"""The settings of an optimizer: its defaults, and `given` (a dict) instead of some of them.

    Raises ValueError for an unknown optimizer or setting, and for values that are not positive numbers.
    """
    if optimizer not in SETTINGS:
        raise ValueError(f"optimizer = {optimizer!r}: expected 'lbfgs' or 'sgd'")
    unknown = sorted(set(given) - set(SETTINGS[optimizer]))
    if unknown:
        raise ValueError(f"{', '.join(unknown)}: no such setting; expected {', '.join(SETTINGS[optimizer])}")
    settings = {**SETTINGS[optimizer], **given}
    for name, value in settings.items():
        is_weight = name.endswith("_weight") or name == "momentum"  # these may be 0
        if value is not None and not (0 < value < onp.inf or (is_weight and value == 0)):
            raise ValueError(f"{name} = {value}: expected a positive number")
        if name in ("iterations", "span") and not isinstance(value, numbers.Integral | None):
            raise ValueError(f"{name} = {value}: expected a whole number")
    if "lam_max" in settings and not settings["lam_max"] > settings["lam_min"]:
        raise ValueError(f"lam_max = {settings['lam_max']}: expected more than lam_min = {settings['lam_min']}")
    return settings


def _sgd(params, x, y, rng, bar, settings):
    r"""Gradient descent with momentum on `losses.total_loss`, PyTorch's rule: v ← 0.9 v + ∇, x ← x − lr v."""
    start, m, dtype = x, len(x), x.dtype
    lam = rng.uniform(0, 1, m).astype(dtype)
    alpha, lam_min, momentum = settings["alpha"], settings["lam_min"], settings["momentum"]
    history, terms = _History(bar), {}

    def loss(unknowns):
        x, lam = unknowns
        parts = losses.weighted_terms(params, x, lam, y, alpha, lam_min)
        terms.update({name: float(getval(part)) for name, part in parts.items()})
        return sum(parts.values())

    loss_and_gradient = value_and_grad(loss)
    velocity_x, velocity_lam = onp.zeros_like(x), onp.zeros_like(lam)
    best, lowest, interrupted = (x, lam), onp.inf, False
    try:
        for _ in range(settings["iterations"]):
            value, (gradient_x, gradient_lam) = loss_and_gradient((x, lam))
            history.add(terms)
            if value < lowest:
                best, lowest = (x, lam), value
            velocity_x = momentum * velocity_x + gradient_x
            velocity_lam = momentum * velocity_lam + gradient_lam
            x = x - settings["lr_x"] * velocity_x
            lam = lam - settings["lr_lam"] * velocity_lam
    except KeyboardInterrupt:
        (x, lam), interrupted = best, True
    return Reconstruction(x, lam, y, start, history.arrays(), interrupted)


def _lbfgs(params, start, y, rng, bar, settings):
    r"""L-BFGS-B over the span coordinates u (m, k) and λ (m,) together; x = u Vᵀ."""
    from scipy.optimize import minimize  # imported here: `import minirecon` need not wait for SciPy

    m, dtype = start.shape[0], start.dtype
    first, *upper = params
    v = span(first.weight, settings["span"] or m)  # (d, k)
    k = v.shape[1]
    # Φ(u Vᵀ) is the network with W¹V for W¹. Its parameter loss differs from the whole one by the part of
    # W¹ outside the span, which no candidate in the span can change.
    reduced = (Layer(np.dot(first.weight, v), first.bias), *upper)
    history, terms = _History(bar), {}

    def loss(unknowns):
        u, lam = unknowns[: m * k].reshape(m, k), unknowns[m * k :]
        phi, inputs, gates = mlp.forward(reduced, u, settings["alpha"])
        gradient = mlp.weighted_gradient(reduced, inputs, gates, lam * y / m)
        first_residual, *upper_residuals = losses.layer_residuals(reduced, gradient)
        parts = {
            "layer 1": first_residual,
            "upper": settings["upper_weight"] * sum(upper_residuals),
            "range": losses.range_loss(np.dot(u, v.T)),
            "margin": settings["margin_weight"] * losses.margin_loss(phi, y),
        }
        terms.update({name: float(getval(part)) for name, part in parts.items()})
        return sum(parts.values())

    loss_and_gradient = value_and_grad(loss)

    # SciPy's L-BFGS-B works on short vectors with a BLAS of its own. Its threads gain nothing there, and while
    # they wait they take the cores from NumPy's: one thread outside the loss is three times as fast.
    blas = ThreadpoolController()
    threads = max((library["num_threads"] for library in blas.info()), default=1)

    def evaluate(unknowns):
        with blas.limit(limits=threads):
            value, gradient = loss_and_gradient(unknowns.astype(dtype))
        return float(value), gradient.astype(float)  # L-BFGS-B itself works in float64

    lam = rng.uniform(settings["lam_min"], settings["lam_max"], m)
    point = onp.concatenate([np.dot(start, v).ravel(), lam])
    latest = [point]

    def callback(point):
        latest[0] = onp.array(point)
        history.add(terms)

    bounds = [(None, None)] * (m * k) + [(settings["lam_min"], settings["lam_max"])] * m
    interrupted, idle = False, 0
    try:
        # Rounding in float32, and gates whose derivative is not that of the ReLU, can make a line search
        # fail; a new search, which forgets the old curvature, goes on. It ends when that brings nothing.
        while idle < 3 and (left := settings["iterations"] - len(history.rows)) > 0:
            options = {"maxiter": left, "maxfun": 20 * left, "ftol": 0, "gtol": 0, "maxls": 40}
            with blas.limit(limits=1):
                minimize(evaluate, latest[0], (), "L-BFGS-B", True, bounds=bounds, callback=callback, options=options)
            gained = left - (settings["iterations"] - len(history.rows))
            idle = idle + 1 if gained < 3 else 0
    except KeyboardInterrupt:
        interrupted = True  # L-BFGS-B only goes down, so the latest point is the best
    if not history.rows and not interrupted:
        raise ValueError("no step from the start lowers the loss; expected weights of a trained network")
    u, lam = latest[0][: m * k].reshape(m, k), latest[0][m * k :]
    x, start = np.dot(u.astype(dtype), v.T), np.dot(np.dot(start, v), v.T)
    return Reconstruction(x, lam.astype(dtype), y, start, history.arrays(), interrupted)


def span(weight, k):
    r"""First k right singular vectors of the first layer's weight (out, d): (d, k), at most min(out, d).

    Trained from a tiny start by gradient descent, W¹ = Σᵢ λᵢyᵢ dᵢ xᵢᵀ: its rows are sums of samples.
    Derived for this project from the stationarity condition, arXiv 2206.07758, section 3.
    """
    _, _, vt = onp.linalg.svd(weight.astype(float), full_matrices=False)
    return vt[:k].T.astype(weight.dtype)


class _History:
    r"""Collects the terms of the loss, one entry an iteration, and moves the progress line."""

    def __init__(self, bar):
        self.bar, self.rows = bar, []

    def add(self, terms):
        if not onp.isfinite(sum(terms.values())):
            raise ValueError(f"the loss is not finite after {len(self.rows)} iterations; expected smaller steps")
        self.rows.append(dict(terms))
        self.bar.set_postfix_str(" ".join(f"{name} {value:.2g}" for name, value in terms.items()), refresh=False)
        self.bar.update()

    def arrays(self):
        return {name: onp.array([row[name] for row in self.rows]) for name in (self.rows or [{}])[0]}
