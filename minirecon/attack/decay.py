r"""The attack that is told the weight decay w: coefficients follow from x, and nothing but x is left to find.

At a stationary point of (1/n) Σᵢ ℓ(Φ(θ; xᵢ), yᵢ) + ½ w ‖θ‖²

    θ = κ Σᵢ ∇_θ s(Φ(θ; xᵢ), yᵢ),        s = −ℓ,        κ = 1/(n w)

For the logistic loss and the cross-entropy the slope of s is a function of xᵢ and its label, so that it is computed
inside the loss and differentiated with it. κ is known with n; without n it is one number. For the square loss the slope
2 (yᵢ − Φ(xᵢ)) is a small difference from a target that is not known: a coefficient of any sign for each candidate.

What is linear, κ or those coefficients, is solved for at every step (variable projection): the loss is the least that
any of them leaves. Its gradient is that at the best ones, for they are at a minimum.

Where Φ is 0 the loss is stuck. So the candidates begin as differences of units, or as the attack that knows of no decay
leaves them. Derived for this project from stationarity, arXiv 2206.07758, section 4; Buzaglo et al., arXiv 2307.01827,
have the square loss with coefficients as unknowns.
"""

import numbers
from functools import partial
from itertools import pairwise

import autograd.numpy as np
import numpy as onp  # the plain one, where nothing is differentiated
from autograd.tracer import getval

from .. import losses, mlp
from ..io import minimise
from . import lbfgs
from .candidates import Reconstruction
from .differences import differences

# what differs from the settings of "lbfgs": λ of the attack for a start is in a wider range, nothing is a random start
DEFAULTS = {"iterations": 300, "lam_min": 0.05, "lam_max": 15.0, "upper_weight": 1.0, "range_weight": 0.1}
FAR = 0.05  # imbalance above which a network is said to be far from rest
RIDGE = 1e-6  # of the coefficients that are solved for, as a share of the mean square of a gradient
LOSSES = ("logistic", "softmax", "mse")


def told(decay, loss, outputs):
    r"""The weight decay and the loss that an attack is told, checked: a dict.

    decay : above 0, the weight of ½‖θ‖² beside the mean loss
    loss : "logistic", "softmax" or "mse"; None: the first for one output, the second for several

    Raises ValueError for a decay that is no positive number, an unknown loss, or one that such outputs do not have.
    """
    if decay is None:
        raise ValueError(f"loss = {loss!r}: expected a decay with it; without one the loss does not matter")
    if not isinstance(decay, numbers.Real) or not 0 < decay < onp.inf:
        raise ValueError(f"decay = {decay}: expected a positive number")
    loss = loss or ("logistic" if outputs == 1 else "softmax")
    if loss not in LOSSES:
        raise ValueError(f"loss = {loss!r}: expected {', '.join(map(repr, LOSSES))}")
    if (loss == "softmax") != (outputs > 1):
        fitting = "'softmax'" if outputs > 1 else "'logistic' or 'mse'"
        raise ValueError(f"loss = {loss!r}: expected {fitting} for {outputs} output{'s' * (outputs > 1)}")
    return {"decay": float(decay), "loss": loss}


def imbalance(params):
    r"""How far a network is from rest: over its hidden units, Σ |‖in‖² − ‖out‖²| / Σ (‖in‖² + ‖out‖²), from 0 to 1.

    In and out are the weights that come into a unit, bias and all, and go out; of the hidden layers the worst counts.
    At every stationary point with decay it is 0, for a ReLU unit can be scaled up on one side and down on the other.
    It needs neither data nor the decay. Measured: 0.0001 to 0.01 after training with decay, above 0.9 without.
    """
    layers, worst = mlp.cast(params, float), 0.0
    for below, above in pairwise(layers):
        into = onp.sum(below.weight**2, axis=1) + (0 if below.bias is None else below.bias**2)
        out = onp.sum(above.weight**2, axis=0)
        total = onp.sum(into + out)
        worst = max(worst, float(onp.sum(onp.abs(into - out)) / total) if total else 0.0)
    return worst


def doubts(params, decay, loss):
    r"""Why a network can't be at rest with this decay, as far as its weights alone tell: a str, or None.

    Where Φ is homogeneous, w‖θˡ‖² is the mean of Σⱼ −Φⱼ ∂ℓ/∂Φⱼ over the samples (Euler). That is at most the largest
    q σ(−q), 0.278, for the logistic loss and W((K − 1)/e), Lambert's W, for K classes.
    """
    from scipy.special import lambertw  # imported here: `import minirecon` need not wait for SciPy

    if (gap := imbalance(params)) > FAR:
        return f"weights into and out of units differ by {gap:.0%}, where decay leaves 0%: this net is far from rest"
    norm2 = mlp.square_norm(mlp.cast(params, float)) / len(params)
    most = lambertw((max(len(params[-1].weight), 2) - 1) / onp.e).real
    if loss != "mse" and mlp.homogeneity_degree(params) and decay * norm2 > most:
        return f"decay · ‖θ‖² per layer is {decay * norm2:.3g}, at rest at most {most:.3g}: this decay is too large"
    return None


def rank(params):
    r"""How many directions W¹ has. With decay they are no more than the samples, and often as many."""
    return int(onp.linalg.matrix_rank(params[0].weight.astype(float), rtol=1e-6))


def basis(problem, phi):
    r"""What coefficients multiply, (m, K): the slope of s; for the square loss 1, and its coefficient is free."""
    if problem.settings["loss"] == "mse":
        return onp.ones_like(getval(phi))
    return mlp.minus_logistic_loss(phi, problem.y)[1]


def signals_of(problem, net, coeff):
    r"""The signals of every layer, a list of (m, out), each unit's times its `factors`."""
    signals = mlp.backward(problem.layers, net.gates, coeff)
    return [d if f is None else d * f for d, f in zip(signals, problem.factors, strict=True)]


def best(problem, u):
    r"""What is solved for at candidates u (m, k): (m, 1), and the ridge's part of the loss.

    Let K be the Gram matrix of the candidates' gradients and h their products with θ, layers weighted as in the loss.
    Of the square loss c = (K + εI)⁻¹h; else one κ for all, 1ᵀh / 1ᵀK1, or 1/(n w) itself where n is known.
    """
    settings, ones = problem.settings, onp.ones((len(u), 1), u.dtype)
    net = mlp.forward(problem.layers, u, settings["alpha"])
    signals, gram, h = signals_of(problem, net, basis(problem, net.phi)), 0.0, 0.0
    weights = [1.0] + [settings["upper_weight"]] * (len(signals) - 1)
    for weight, (w, b), a, d in zip(weights, problem.targets, net.inputs, signals, strict=True):
        a, wb = (a, w) if b is None else (onp.hstack([a, ones]), onp.column_stack([w, b]))
        a, d, wb = (each.astype(float) for each in (a, d, wb))
        gram = gram + weight * (a @ a.T) * (d @ d.T)
        h = h + weight * onp.sum(d * (a @ wb.T), axis=1)
    if settings["loss"] == "mse":
        ridge = RIDGE * onp.trace(gram) / len(u)
        c = onp.linalg.solve(gram + ridge * onp.eye(len(u)), h)
        return c[:, None].astype(u.dtype), float(ridge * onp.sum(c**2))
    if settings["samples"]:
        return ones / u.dtype.type(settings["samples"] * settings["decay"]), 0.0
    total = onp.sum(gram)
    return ones * u.dtype.type(max(onp.sum(h), 0.0) / total if total > 0 else 0.0), 0.0


def terms(problem, u):
    r"""The terms of the loss at candidates u (m, k): what is left of layer 1, of the others, and the range loss."""
    settings = problem.settings
    net = mlp.forward(problem.layers, u, settings["alpha"])
    solved, ridge = best(problem, getval(u))
    signals = signals_of(problem, net, solved * basis(problem, net.phi))
    first, *upper = zip(problem.targets, net.inputs, signals, strict=True)
    return {
        "layer 1": losses.layer_residual(*first) + ridge,
        "upper": settings["upper_weight"] * sum(losses.layer_residual(*each) for each in upper),
        "range": settings["range_weight"] * losses.range_loss(lbfgs.pixels(problem, u), *settings["limits"]),
    }


def begin(params, start, y, rng, bar, settings):
    r"""A Reconstruction, x (m, d) and y (m,), to start from: differences of units, else the attack without decay.

    Where there are fewer groups of differences than candidates, the rest are `start`, random, with labels y.
    It is `interrupted` if Ctrl-C ended that attack, with the bar's total made longer by its iterations.
    """
    noise = Reconstruction(start, onp.ones_like(y), y, start)
    try:
        found = differences(params, len(y), rng, limits=[onp.asarray(each, float) for each in settings["limits"]])
        count = len(found.x)
        x = onp.concatenate([found.x.astype(start.dtype), start[count:]])
        return noise._replace(x=x, y=onp.append(found.y, y[count:]))
    except ValueError:  # no bias, or nothing that looks like an image
        bar.total += settings["iterations"]
        try:
            return lbfgs.lbfgs(params, start, y, rng, bar, settings, None)
        except ValueError:  # nothing lowers the loss
            return noise


def attack(params, start, y, rng, bar, settings, file):
    r"""L-BFGS over x in the span of W¹ and nothing else; λ and y are what the network and κ say of x at the end."""
    settings = {**settings, "span": settings["span"] or min(len(y), rank(params))}
    found = begin(params, start, y, rng, bar, settings)
    if found.interrupted:
        return found
    y = found.y.astype(start.dtype if len(params[-1].weight) == 1 else int)
    problem = lbfgs.pose(params, y, settings)
    like = [np.dot(found.x, problem.v / problem.scale).astype(start.dtype)]
    with minimise.Descent(bar, {"point": minimise.pack(like), "idle": 0}, file) as descent:
        lbfgs.descend(minimise.differentiate(partial(terms, problem)), like, descent, settings["iterations"])
    (u,) = minimise.unpack(descent.state["point"], like)
    c = len(y) * best(problem, u)[0]
    if settings["loss"] == "mse":
        lam, y = lbfgs.signed(c)
    else:
        s, _ = mlp.margin(mlp.forward(problem.layers, u).phi, y)
        lam = c[:, 0] * mlp.sigmoid(-s, 1.0)
    x, history = lbfgs.pixels(problem, u), descent.history.arrays()
    return Reconstruction(x, lam, y, lbfgs.pixels(problem, like[0]), history, descent.interrupted)
