r"""From candidates to exactly n samples: the likelihood of the first layer. Beyond the paper; derived for this project.

Gradient descent writes into layer 1 nothing but sums of samples. With X the n training samples,

    [W¹ b¹] = C [X 1] + [start],      C[j, i] = Σ over the steps of (step size) · −∂L/∂zⱼ¹(xᵢ)

exactly, for any training time: no KKT condition. And two things are known about C. It is 0 where unit j was off for
sample i. Where it was on, C[j, i] ≈ λᵢyᵢ δⱼ(xᵢ), the KKT value with the signal δ of the trained network, but only to
some 15 %, as the training was finite. The paper's parameter loss treats both alike; a likelihood does not: it allows
for some twenty times less where the unit was off. For as many candidates as samples, C is a function of X.
"""

from functools import partial
from typing import NamedTuple

import autograd.numpy as np
import numpy as onp  # the plain one, where nothing is differentiated

from .. import losses, mlp
from ..io import minimise
from ..mlp import Layer
from .candidates import merge_pair

SPREAD = 0.15  # relative error of the KKT value where a unit is on, measured on trained networks
WIDEN = (30, 10, 3, 1.5)  # the likelihood's width at the start of layer 1 goes down in these steps
STEPS = 100  # iterations at each width
ITERATIONS = STEPS * len(WIDEN)
FACTOR = 10.0  # λ stays within this factor of its median, lest samples die


def merge(x, lam, n):
    r"""Merge candidates until n are left: x (n, d), lam (n,), from x (m, d), lam (m,) of one label.

    Two candidates with one activation pattern do the same as one (`merge_pair`). Ward's rule picks the pair with the
    smallest λ₁λ₂/(λ₁ + λ₂) ‖x₁ − x₂‖², what the merger adds to the weighted scatter within the groups.
    """
    while len(x) > n:
        square = np.sum(x**2, axis=1)
        cost = np.maximum(square[:, None] - 2 * x @ x.T + square, 0) * lam[:, None] * lam / (lam[:, None] + lam)
        onp.fill_diagonal(cost, onp.inf)
        x, lam = merge_pair(x, lam, *onp.unravel_index(cost.argmin(), cost.shape))
    return x, lam


def check_samples(params, n, m):
    r"""Raise ValueError unless layer 1 can tell n samples apart: n even, at most m, and below its rank; with a bias."""
    largest = min(m, min(params[0].weight.shape) - 1)
    if n % 2 or not 2 <= n <= largest:
        raise ValueError(f"samples = {n}: expected an even number, half of each label, from 2 to {largest}")
    if params[0].bias is None:
        raise ValueError(f"samples = {n}: expected a bias in layer 1, which this network lacks")


def negative_log_likelihood(layers, u, lam, y, alpha, width):
    r"""How badly C = W¹ u⁻¹ fits what is known about it, per unit of layer 1; up to a constant.

    Each C[j, i] is Cauchy about the KKT value λᵢyᵢδⱼ(xᵢ), scale s[j, i]² = (width · ‖pᵢ‖)² + (SPREAD · KKT value)².
    pᵢ, row i of u⁻ᵀ, is the vector with pᵢ·uₖ = 1 for k = i, else 0, so that C[:, i] = W¹pᵢ, and what is left of the
    random start there has a standard deviation of ‖pᵢ‖ times that of the start. log |det u| comes from the change of
    variables, W¹ to C.

        mean over the units of Σᵢ (½ log s² + log(1 + (C − KKT)²/s²)) + log |det u|

    Parameters
    ----------
    layers : tuple of Layer, the network on u: weight (out, n) and no bias in layer 1
    u : (n, n), samples;  lam, y : (n,);  alpha : sharpness of the gates
    width : the standard deviation of layer 1's initial weights, or more for a blunter likelihood
    """
    misfit = np.sum(misfits(layers, u, lam, y, alpha, width)[0])
    return misfit / len(layers[0].weight) + np.linalg.slogdet(u)[1]


def misfits(layers, u, lam, y, alpha, width):
    r"""½ log s² + log(1 + (C − KKT)²/s²) and Cᵀ, of each sample and unit, (n, out), for `negative_log_likelihood`."""
    net = mlp.forward(layers, u, alpha)
    _, slope = mlp.margin(net.phi, y)
    kkt = mlp.backward(layers, net.gates, lam[:, None] * slope)[0]  # (n, out)
    p = np.linalg.inv(u).T  # (n, n)
    c = np.dot(p, layers[0].weight.T)  # (n, out)
    scale2 = width**2 * np.sum(p**2, axis=1, keepdims=True) + (SPREAD * kkt) ** 2
    return 0.5 * np.log(scale2) + np.log1p((c - kkt) ** 2 / scale2), c


class Problem(NamedTuple):
    r"""What the refinement minimises, but for its unknowns free (n, n − 1) and t (n,): u = centre + free q, λ from t.

    layers : tuple of Layer, the network on u = [X 1]V, (n, n)
    v : (d + 1, n), the first right singular vectors of [W¹ b¹]
    centre : (n,), q : (n − 1, n): all u whose last coordinate of u Vᵀ is 1, the rows of q orthogonal to V's last row
    middle : log of the median λ;  y : (n,), labels;  alpha : sharpness of the gates
    range_weight : of the range loss;  limits : the least and the largest x can be, if they are not −1 and 1
    """

    layers: tuple
    v: np.ndarray
    centre: np.ndarray
    q: np.ndarray
    middle: float
    y: np.ndarray
    alpha: float
    range_weight: float = 1.0
    limits: tuple = ()


def pose(params, x, lam, y, m, alpha):
    r"""The `Problem` for samples to begin with and the λ of m candidates; its unknowns; the noise of layer 1."""
    dtype, n = x.dtype, len(x)
    w = onp.column_stack([params[0].weight, params[0].bias]).astype(float)  # (out, d + 1)
    _, sizes, vt = onp.linalg.svd(w, full_matrices=False)
    v = vt[:n].T
    # what n samples cannot explain is the start of layer 1: its standard deviation
    noise = onp.sqrt(onp.sum(sizes[n:] ** 2) / ((len(w) - n) * (len(v) - n)))
    centre = v[-1] / (v[-1] @ v[-1])
    q = onp.linalg.svd(v[-1:])[2][1:]
    u = onp.column_stack([x, onp.ones(n)]) @ v
    free = (u / (u @ v[-1])[:, None] - centre) @ q.T
    middle = onp.log(onp.median(lam) / m)  # Σ λᵢyᵢ∇Φ(xᵢ) without the 1/m of the attack
    t = onp.arctanh(onp.clip((onp.log(lam / m) - middle) / onp.log(FACTOR), -0.9, 0.9))
    centre, q, v = (array.astype(dtype) for array in (centre, q, v))
    layers = (Layer(np.dot(w, v).astype(dtype), None), *params[1:])
    return Problem(layers, v, centre, q, middle, y, alpha), [free, t], noise


def samples(problem, free):
    r"""u = [X 1]V (n, n) and x (n, d)."""
    u = problem.centre + np.dot(free, problem.q)
    return u, np.dot(u, problem.v[:-1].T)


def multipliers(problem, t):
    r"""λ within FACTOR of the median, (n,)."""
    return np.exp(problem.middle + onp.log(FACTOR) * np.tanh(t))


def terms(problem, width, free, t):
    r"""The two terms of the refinement's loss."""
    u, x = samples(problem, free)
    lam = multipliers(problem, t)
    likelihood = negative_log_likelihood(problem.layers, u, lam, problem.y, problem.alpha, width)
    return {"likelihood": likelihood, "range": problem.range_weight * losses.range_loss(x, *problem.limits)}


def refine(params, rec, n, alpha, bar, range_weight=1.0, limits=()):
    r"""Merge the candidates of an attack into n, half of each label, and move them to the greatest likelihood.

    Parameters
    ----------
    params : tuple of Layer, the trained network, with a bias in layer 1
    rec : Reconstruction of at least n candidates
    n : int, even, number of training samples
    alpha : sharpness of the gates σ(αz)
    bar : progress bar, moved once an iteration
    range_weight, limits : as in `Problem`

    Returns
    -------
    Reconstruction with x (n, d), lam (n,), y (n,), start (n, d), the first of the attack's; history is that of `rec`
    """
    dtype = rec.x.dtype
    parts = [merge(rec.x[rec.y == label], rec.lam[rec.y == label], n // 2) for label in (-1, 1)]
    x, lam = (onp.concatenate(both) for both in zip(*parts, strict=True))
    y = onp.repeat([-1, 1], n // 2).astype(dtype)
    problem, unknowns, noise = pose(params, x, lam, y, len(rec.x), alpha)
    problem = problem._replace(range_weight=range_weight, limits=limits)
    like = [each.astype(dtype) for each in unknowns]
    with minimise.Descent(bar, {"point": minimise.pack(unknowns)}) as descent:
        for factor in WIDEN:  # products of n rows are too small for more than one thread
            evaluate = minimise.differentiate(partial(terms, problem, factor * noise))
            minimise.lbfgs(evaluate, like, descent, STEPS, threads=1, maxcor=20)
    free, t = (part.astype(float) for part in minimise.unpack(descent.state["point"], unknowns))
    x = samples(problem, free)[1].astype(dtype)
    start = onp.concatenate([rec.start[rec.y == label][: n // 2] for label in (-1, 1)])
    lam = (n * multipliers(problem, t)).astype(dtype)
    return rec._replace(x=x, lam=lam, y=y, start=start, interrupted=rec.interrupted or descent.interrupted)
