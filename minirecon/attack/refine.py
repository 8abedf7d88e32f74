r"""From candidates to exactly n samples: the likelihood of the first layer. Beyond the paper; derived for this project.

Gradient descent writes into layer 1 nothing but sums of samples. With X the n training samples,

    [W¹ b¹] = C [X 1] + [start],      C[j, i] = Σ over the steps of (step size) · −∂L/∂zⱼ¹(xᵢ)

exactly, for any training time: no KKT condition. And two things are known about C. It is 0 where unit j was off for
sample i. Where it was on, C[j, i] ≈ λᵢyᵢ δⱼ(xᵢ), the KKT value with the signal δ of the trained network, but only to
some 15 %, as the training was finite. The paper's parameter loss treats both alike; a likelihood does not: it allows
for a thousand times less where the unit was off. For as many candidates as samples, C is a function of X.
"""

import autograd.numpy as np
import numpy as onp  # the plain one, where nothing is differentiated
from autograd import value_and_grad
from threadpoolctl import threadpool_limits

from .. import losses, mlp
from ..mlp import Layer

SPREAD = 0.15  # relative error of the KKT value where a unit is on, measured on trained networks
WIDEN = (30, 10, 3, 1.5)  # the likelihood's width at the start of layer 1 goes down in these steps
STEPS = 100  # iterations at each width
ITERATIONS = STEPS * len(WIDEN)
FACTOR = 10.0  # λ stays within this factor of its median, lest samples die


def merge(x, lam, n):
    r"""Merge candidates until n are left: x (n, d), lam (n,), from x (m, d), lam (m,) of one label.

    Two candidates with one activation pattern and weights λ₁, λ₂ do the same as one, (λ₁x₁ + λ₂x₂)/(λ₁ + λ₂) with
    λ₁ + λ₂. Ward's rule picks the pair with the smallest λ₁λ₂/(λ₁ + λ₂) ‖x₁ − x₂‖², what the merger adds to the
    weighted scatter within the groups.
    """
    x, lam = x.copy(), lam.copy()
    while len(x) > n:
        square = np.sum(x**2, axis=1)
        cost = np.maximum(square[:, None] - 2 * x @ x.T + square, 0) * lam[:, None] * lam / (lam[:, None] + lam)
        onp.fill_diagonal(cost, onp.inf)
        i, j = onp.unravel_index(cost.argmin(), cost.shape)
        x[i] = (lam[i] * x[i] + lam[j] * x[j]) / (lam[i] + lam[j])
        lam[i] += lam[j]
        x, lam = onp.delete(x, j, axis=0), onp.delete(lam, j)
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
    _, _, _, gates = mlp.forward(layers, u, alpha)
    kkt = mlp.backward(layers, gates, lam * y)[0]  # (n, out)
    p = np.linalg.inv(u).T  # (n, n)
    c = np.dot(p, layers[0].weight.T)  # (n, out), Cᵀ
    scale2 = width**2 * np.sum(p**2, axis=1, keepdims=True) + (SPREAD * kkt) ** 2
    misfit = np.sum(0.5 * np.log(scale2) + np.log1p((c - kkt) ** 2 / scale2))
    return misfit / len(layers[0].weight) + np.linalg.slogdet(u)[1]


def refine(params, rec, n, alpha, bar):
    r"""Merge the candidates of an attack into n, half of each label, and move them to the greatest likelihood.

    Parameters
    ----------
    params : tuple of Layer, the trained network, with a bias in layer 1
    rec : Reconstruction of at least n candidates
    n : int, even, number of training samples
    alpha : sharpness of the gates σ(αz)
    bar : progress bar, moved once an iteration

    Returns
    -------
    Reconstruction with x (n, d), lam (n,), y (n,), start (n, d), the first of the attack's; history is that of `rec`

    The unknowns are λ and u = [X 1]V, (n, n), in the first n right singular vectors V of [W¹ b¹].
    """
    from scipy.optimize import minimize  # imported here: `import minirecon` need not wait for SciPy

    dtype = rec.x.dtype
    parts = [merge(rec.x[rec.y == label], rec.lam[rec.y == label], n // 2) for label in (-1, 1)]
    x, lam = (onp.concatenate(both) for both in zip(*parts, strict=True))
    y = onp.repeat([-1, 1], n // 2).astype(dtype)
    w = onp.column_stack([params[0].weight, params[0].bias]).astype(float)  # (out, d + 1)
    units = len(w)
    _, sizes, vt = onp.linalg.svd(w, full_matrices=False)
    v = vt[:n].T  # (d + 1, n)
    # what n samples cannot explain is the start of layer 1: its standard deviation
    noise = onp.sqrt(onp.sum(sizes[n:] ** 2) / ((units - n) * (len(v) - n)))
    # x~ = (x, 1) = u Vᵀ: the last coordinate is 1 if u = centre + free · q, the rows of q orthogonal to V's last row
    centre = v[-1] / (v[-1] @ v[-1])
    q = onp.linalg.svd(v[-1:])[2][1:]  # (n - 1, n)
    u = onp.column_stack([x, onp.ones(n)]) @ v
    free = (u / (u @ v[-1])[:, None] - centre) @ q.T  # (n, n - 1)
    middle = onp.log(onp.median(lam) / len(rec.x))  # Σ λᵢyᵢ∇Φ(xᵢ) without the 1/m of the attack
    t = onp.arctanh(onp.clip((onp.log(lam / len(rec.x)) - middle) / onp.log(FACTOR), -0.9, 0.9))
    centre, q, v = (array.astype(dtype) for array in (centre, q, v))
    layers = (Layer(np.dot(w, v).astype(dtype), None), *params[1:])

    def split(unknowns):
        return centre + np.dot(unknowns[: free.size].reshape(free.shape), q), unknowns[free.size :]

    def multipliers(t):
        return np.exp(middle + onp.log(FACTOR) * np.tanh(t))

    def loss(unknowns, width):
        u, t = split(unknowns)
        x = np.dot(u, v[:-1].T)
        return negative_log_likelihood(layers, u, multipliers(t), y, alpha, width) + losses.range_loss(x)

    latest, interrupted = [onp.concatenate([free.ravel(), t])], rec.interrupted

    def callback(point):
        latest[0] = onp.array(point)
        bar.update()

    loss_and_gradient = value_and_grad(loss)

    def evaluate(unknowns, width):
        value, gradient = loss_and_gradient(unknowns.astype(dtype), width)
        return float(value), gradient.astype(float)

    options = {"maxiter": STEPS, "maxcor": 20, "ftol": 0, "gtol": 0, "maxls": 40}
    try:
        with threadpool_limits(limits=1):  # products of n rows are too small for more
            for factor in WIDEN:
                width = (factor * noise,)
                minimize(evaluate, latest[0], width, "L-BFGS-B", True, callback=callback, options=options)
    except KeyboardInterrupt:
        interrupted = True
    u, t = split(latest[0])
    x = np.dot(u, v[:-1].T).astype(dtype)
    start = onp.concatenate([rec.start[rec.y == label][: n // 2] for label in (-1, 1)])
    lam = (n * multipliers(t)).astype(dtype)
    return rec._replace(x=x, lam=lam, y=y, start=start, interrupted=interrupted)
