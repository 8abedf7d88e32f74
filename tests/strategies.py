r"""What the tests draw and what they compare with, on NumPy and hypothesis alone.

Nothing here calls a function of minirecon: the reference versions are slow loops written from the
formulas. (`Layer` is only the tuple that holds a weight and a bias.)
"""

import math
from itertools import pairwise

import numpy as np
from hypothesis import strategies as st

from minirecon import Layer

EITHER = st.booleans()


@st.composite
def networks(draw, hidden_biases=EITHER, most_layers=4):
    r"""(rng, params) of a random float64 network with one output and, by choice, biases in hidden layers."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    depth = draw(st.integers(2, most_layers))
    widths = [draw(st.integers(1, 5)) for _ in range(depth)] + [1]
    biases = draw(hidden_biases)
    params = []
    for number, (fan_in, fan_out) in enumerate(pairwise(widths), start=1):
        has_bias = number == 1 or (biases and number < depth)
        bias = rng.normal(size=fan_out) if has_bias else None
        params.append(Layer(rng.normal(size=(fan_out, fan_in)), bias))
    return rng, tuple(params)


@st.composite
def problems(draw, **options):
    r"""(rng, params, x (m, d), lam (m,), y (m,)): a network and candidates."""
    rng, params = draw(networks(**options))
    m = draw(st.integers(1, 5))
    x = rng.normal(size=(m, params[0].weight.shape[1]))
    return rng, params, x, rng.uniform(0.1, 2, m), rng.choice([-1.0, 1.0], m)


def sigma(z):
    return 1 / (1 + math.exp(-z)) if z > -700 else 0.0


def softplus(z, alpha):
    r"""∫ σ(αz) dz."""
    return max(z, 0.0) + math.log1p(math.exp(-abs(alpha * z))) / alpha


def slow_forward(params, x, alpha=None, base=None):
    r"""Φ, layer inputs a and pre-activations z of *one* sample x (d,), unit by unit.

    With `base`, the pre-activations at another point, the ReLU is replaced by a smooth function that has
    its value and the modified ReLU's slope at that point: max(z⁰, 0) + ∫_{z⁰}^{z} σ(αt) dt. So the modified
    gradient at `base` is an ordinary derivative, which finite differences can find.
    """
    a, inputs, pre = list(x), [], []
    for number, (weight, bias) in enumerate(params):
        inputs.append(a)
        z = [
            sum(weight[j][i] * a[i] for i in range(len(a))) + (0.0 if bias is None else bias[j])
            for j in range(len(weight))
        ]
        pre.append(z)
        if base is None:
            a = [max(value, 0.0) for value in z]
        else:
            a = [
                max(z0, 0.0) + softplus(value, alpha) - softplus(z0, alpha)
                for value, z0 in zip(z, base[number], strict=True)
            ]
    return pre[-1][0], inputs, pre


def slow_gradient(params, x, alpha=None, base=None):
    r"""∇_θ Φ of one sample as one flat vector, W¹, b¹, W², … in order: every weight by the chain rule."""
    _, inputs, pre = slow_forward(params, x, alpha, base)
    signals, d = [], [1.0]
    for number in range(len(params) - 1, -1, -1):
        signals.append(d)
        if number > 0:
            weight = params[number].weight
            gates = [(1.0 if z > 0 else 0.0) if alpha is None else sigma(alpha * z) for z in pre[number - 1]]
            d = [sum(d[j] * weight[j][i] for j in range(len(d))) * gates[i] for i in range(len(gates))]
    flat = []
    for (_, bias), a, d in zip(params, inputs, signals[::-1], strict=True):
        flat += [dj * ai for dj in d for ai in a]
        if bias is not None:
            flat += d
    return np.array(flat)


def flatten(params):
    r"""θ as one vector, in the order of `slow_gradient`."""
    return np.concatenate([np.ravel(p) for layer in params for p in layer if p is not None])


def unflatten(theta, params):
    r"""The inverse of `flatten`, in the shapes of `params`."""
    layers, at = [], 0
    for layer in params:
        parts = []
        for p in layer:
            parts.append(None if p is None else theta[at : at + p.size].reshape(p.shape))
            at += 0 if p is None else p.size
        layers.append(Layer(*parts))
    return tuple(layers)


def slow_parameter_loss(params, x, lam, y, alpha=None, base=None):
    r"""‖θ − (1/m) Σᵢ λᵢ yᵢ ∇_θ Φ(θ; xᵢ)‖², sample by sample."""
    total = flatten(params).copy()
    for i in range(len(x)):
        total -= lam[i] * y[i] * slow_gradient(params, x[i], alpha, base and base[i]) / len(x)
    return float(total @ total)


def nearest_kink(params, x):
    r"""Smallest |z| of a hidden unit at any sample: how far the samples are from a kink of the ReLU."""
    hidden = [z for xi in x for row in slow_forward(params, xi)[2][:-1] for z in row]
    return min(abs(z) for z in hidden)


def slope(f, x, direction, step=1e-6):
    r"""d/dt f(x + t · direction) at 0, by central differences."""
    return (f(x + step * direction) - f(x - step * direction)) / (2 * step)


def slow_ncc(a, b):
    r"""Pearson's correlation, one pair and channel after the other."""
    result = np.zeros((len(a), len(b)))
    for i, j, c in np.ndindex(len(a), len(b), a.shape[1]):
        p, q = a[i, c] - a[i, c].mean(), b[j, c] - b[j, c].mean()
        size = np.sqrt((p * p).sum() * (q * q).sum())
        result[i, j] += ((p * q).sum() / size if size > 1e-10 else 0.0) / a.shape[1]
    return result


def slow_ssim(a, b):
    r"""SSIM of one channel (h, w), window by window, the border mirrored without repeating it."""
    window = np.array([[np.exp(-(i * i + j * j) / (2 * 1.5**2)) for j in (-1, 0, 1)] for i in (-1, 0, 1)])
    window /= window.sum()
    a, b = np.pad(a, 1, mode="reflect"), np.pad(b, 1, mode="reflect")
    values = []
    for i, j in np.ndindex(a.shape[0] - 2, a.shape[1] - 2):
        p, q = a[i : i + 3, j : j + 3], b[i : i + 3, j : j + 3]
        mp, mq = (window * p).sum(), (window * q).sum()
        vp, vq = (window * (p - mp) ** 2).sum(), (window * (q - mq) ** 2).sum()
        cov = (window * (p - mp) * (q - mq)).sum()
        values.append(
            (2 * mp * mq + 1e-4) * (2 * cov + 9e-4) / ((mp**2 + mq**2 + 1e-4) * (vp + vq + 9e-4))
        )  # fmt: skip
    return np.mean(values)
