r"""The attack without a learning rate: the parameter loss of the paper (section 4) minimised by SciPy's L-BFGS.

It differs from the authors' method in six ways, each of which a trial showed to help (docs/research.md):
1. no learning rate: L-BFGS searches along a line;
2. λ = λ_min + (λ_max − λ_min) σ(t) stays in its range for every t (m,), and t is the unknown: no lambda loss;
3. span coordinates: x = u Vᵀ, where V holds the first right singular vectors of W¹. Layer 1 starts from
   almost nothing, so the rows of W¹ lie in the span of the training data, and so must the candidates;
   u is white, x has the square root of W¹'s spectrum, as images have about, and layer 1's residual is whitened alike:
   details count as much as the coarse shapes that fill W¹;
4. a margin loss, the complementary slackness that the paper leaves out: all candidates have one margin;
5. the residuals of the upper layers count for less: most of those weights is their random start, which
   no sum over training samples can explain;
6. in layer 1 a unit counts less than by the square of its weights. As training was finite, a unit's misfit grows
   with its weights, and unscaled, the few large units would rule.

Where initial weights θ₀ are known, θ − θ₀ = Σ cᵢ∇Φ(xᵢ) has to be explained, with c of any sign and no labels. What is
left of each layer then counts as a share of it, and of the upper layers a tenth, as in 5. As gradients turn on the way
from θ₀ to θ, they are taken in between (`between`).
"""

from functools import partial
from typing import NamedTuple

import autograd.numpy as np
import numpy as onp  # the plain one, where nothing is differentiated

from .. import losses, mlp
from ..io import minimise
from ..mlp import Layer
from .candidates import Reconstruction

# Iterations of one search; its end can be saved (resume.py). Over six seeds of the MNIST and CIFAR-10 demos, searches
# without a limit gave the same losses and scores.
SEGMENT = 100


class Problem(NamedTuple):
    r"""What the attack minimises, but for its unknowns u (m, k) and t: x = u diag(scale) Vᵀ, coefficients from t.

    layers : tuple of Layer, the network on u, with W¹V diag(scale) for W¹
    targets : tuple of Layer, whose residuals count: those of layer 1 whitened, W¹V / scale; times `factors`
    factors : for each layer the weight of its units' residuals, (out,) or a number; None: 1
    v : (d, k), scale : (k,), from `span`;  y : (m,), labels, None where coefficients have any sign;  settings : dict
    """

    layers: tuple
    targets: tuple
    factors: list
    v: np.ndarray
    scale: np.ndarray
    y: np.ndarray | None
    settings: dict


def pose(params, y, settings, initial=None):
    r"""The `Problem` of some weights; the part of W¹ outside the span is left out: no candidate can change it."""
    targets, at, k = params, params, settings["span"] or max(1, len(y) // 2)
    if initial is not None:
        targets, at = mlp.subtract(params, initial), between(params, initial, settings["between"])
        y = None
    first, *upper = targets
    v, scale = span(first.weight, k, settings["spectrum"])  # (d, k), (k,)
    if initial is None:
        factors = [unit_scale(first)] + [None] * len(upper)
    else:
        factors = [layer[0].dtype.type(mlp.square_norm([layer]) ** -0.5) for layer in targets]
    # (W¹ − G¹)V / scale is W¹V / scale less the gradient Σ cᵢδᵢuᵢᵀ in the weights of the network on u
    whitened = first._replace(weight=np.dot(first.weight, v / scale))
    targets = [_times(layer, factor) for layer, factor in zip((whitened, *upper), factors, strict=True)]
    reduced = at[0]._replace(weight=np.dot(at[0].weight, v * scale))
    return Problem((reduced, *at[1:]), tuple(targets), factors, v, scale, y, settings)


def between(params, initial, share):
    r"""θ₀ + share (θ − θ₀), the weights at which gradients are taken where θ₀ is known.

    Σ cᵢ∇Φ(θ; xᵢ) is what the end of the training would have added, and θ − θ₀ is what all of it did. With gradients
    from a third of the way the identity's error is half as large as with those at the end (docs, chapter 10).
    """
    return mlp.each(lambda p, q: p + share * (q - p), initial, params)


def _times(layer, factor):
    if factor is None:
        return layer
    return Layer((layer.weight.T * factor).T, None if layer.bias is None else layer.bias * factor)


def multipliers(problem, t):
    r"""λ = λ_min + (λ_max − λ_min) σ(t), (m,)."""
    low, high = problem.settings["lam_min"], problem.settings["lam_max"]
    return low + (high - low) * mlp.sigmoid(t, 1.0)


def coefficients(problem, phi, t):
    r"""What multiplies ∇Φ of each output, (m, K): λᵢ/m times the slope of the margin; or t/m itself, of any sign."""
    if problem.y is None:
        return t / phi.dtype.type(len(t))
    return (multipliers(problem, t) / len(t))[:, None] * mlp.margin(phi, problem.y)[1]


def pixels(problem, u):
    r"""x = u diag(scale) Vᵀ, (m, d)."""
    return np.dot(u * problem.scale, problem.v.T)


def terms(problem, u, t):
    r"""The terms of the attack's loss: the parameter loss in two parts, range loss and margin loss, weighted."""
    settings = problem.settings
    net = mlp.forward(problem.layers, u, settings["alpha"])
    signals = mlp.backward(problem.layers, net.gates, coefficients(problem, net.phi, t))
    signals = [d if f is None else d * f for d, f in zip(signals, problem.factors, strict=True)]
    z = [None, *net.z[1:]] if problem.y is not None else [None] * len(signals)  # of the target's weights
    first, *upper = zip(problem.targets, net.inputs, signals, z, strict=True)
    every = {
        "layer 1": losses.layer_residual(*first),
        "upper": settings["upper_weight"] * sum(losses.layer_residual(*each) for each in upper),
        "range": settings["range_weight"] * losses.range_loss(pixels(problem, u), *settings.get("limits", ())),
    }
    if problem.y is not None:
        every["margin"] = settings["margin_weight"] * losses.margin_loss(net.phi, problem.y)
    return every


def lbfgs(params, start, y, rng, bar, settings, file, initial=None):
    r"""L-BFGS over u and t together, from `start` (m, d) in the span, and coefficients anywhere in their range."""
    problem = pose(params, y, settings, initial)
    if initial is None:
        p = rng.uniform(0, 1, len(y))  # σ(t)
        t = onp.log(p / (1 - p))
    else:
        t = rng.uniform(-0.5, 0.5, (len(y), len(params[-1].weight)))
    unknowns = [np.dot(start, problem.v), t]
    like = [each.astype(start.dtype) for each in unknowns]
    evaluate = minimise.differentiate(partial(terms, problem))
    with minimise.Descent(bar, {"point": minimise.pack(unknowns), "idle": 0}, file) as descent:
        descend(evaluate, like, descent, settings["iterations"])
    if not descent.steps and not descent.interrupted:
        raise ValueError("no step from the start lowers the loss; expected weights of a trained network")
    u, t = minimise.unpack(descent.state["point"], like)
    x, start = pixels(problem, u), pixels(problem, like[0])
    lam, y = (multipliers(problem, t), y) if initial is None else signed(t)
    return Reconstruction(x, lam, y, start, descent.history.arrays(), descent.interrupted)


def descend(evaluate, like, descent, iterations):
    r"""Searches from the descent's point until there have been so many iterations, or three in a row brought nothing.

    Rounding in float32, and gates whose derivative is not that of the ReLU, can make a line search fail; a new search,
    which forgets the old curvature, goes on.
    """
    while descent.state["idle"] < 3 and (left := min(SEGMENT, iterations - descent.steps)) > 0:
        before = descent.steps
        minimise.lbfgs(evaluate, like, descent, left, maxfun=20 * left)
        descent.state["idle"] = int(descent.state["idle"]) + 1 if descent.steps - before < 3 else 0
        descent.save()


def signed(t):
    r"""λ ≥ 0 and labels of coefficients t (m, K) of any sign: the largest of each, and its sign or its class."""
    largest = onp.abs(t).argmax(axis=1)
    lam = onp.abs(t)[onp.arange(len(t)), largest]
    return lam, onp.where(t[:, 0] < 0, -1, 1).astype(t.dtype) if t.shape[1] == 1 else largest


def span(weight, k, power=0.5):
    r"""First k right singular vectors of the first layer's weight (out, d), and a scale for each.

    Trained from a tiny start by gradient descent, W¹ = Σᵢ λᵢyᵢ dᵢ xᵢᵀ: its rows are sums of samples.

    Returns
    -------
    v : (d, k), k at most min(out, d)
    scale : (k,), the singular values s to the given power, times one number, so that ‖W¹V / scale‖ = ‖W¹V‖

    Derived for this project from the stationarity condition, arXiv 2206.07758, section 3. What a sum over samples
    leaves of W¹ is random coefficients times samples and has their spectrum: s to the power 0.4 to 0.5, measured.
    """
    _, s, vt = onp.linalg.svd(weight.astype(float), full_matrices=False)
    s = s[:k]
    scale = onp.sqrt(s ** (2 * power) * onp.sum(s ** (2 - 2 * power)) / onp.sum(s**2))
    return vt[:k].T.astype(weight.dtype), scale.astype(weight.dtype)


def unit_scale(layer):
    r"""A factor (out,) for each unit's residual in layer 1: ‖[w b]‖^−½, times one number.

    It leaves Σ‖[w b]‖² over the units what it is. A unit below a tenth of the largest, which may be dead, counts as one
    of a tenth.

    Derived for this project: docs/research.md has the trial.
    """
    square = onp.sum(layer.weight.astype(float) ** 2, axis=1)
    if layer.bias is not None:
        square += layer.bias.astype(float) ** 2
    norm = onp.sqrt(square)
    factor2 = 1 / onp.maximum(norm, 0.1 * norm.max())
    return onp.sqrt(factor2 * onp.sum(square) / onp.sum(factor2 * square)).astype(layer.weight.dtype)
