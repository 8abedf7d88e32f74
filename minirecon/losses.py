r"""The reconstruction loss of the paper (section 4): three terms in the unknown samples x and multipliers λ.

The weights of a trained network nearly obey the KKT condition θ = Σᵢ λᵢ yᵢ ∇_θ Φ(θ; xᵢ), λᵢ ≥ 0. Turn
it round: θ is known, find the x and λ that make it true. `total_loss` adds the terms with the weights of
the authors' code. All of them can be differentiated by autograd in `x` and in `lam`.
"""

import autograd.numpy as np
import numpy as onp  # the plain one, inside the primitives
from autograd.extend import defvjp, primitive
from autograd.tracer import getval

from . import mlp

LAMBDA_WEIGHT = 5.0  # the authors' weights are 1 (parameter), 5 (lambda), 1 (range)


def parameter_loss(params, x, lam, y, alpha=None, scalar=mlp.margin, target=None):
    r"""The stationary loss, ‖θ − (1/m) Σᵢ λᵢ ∇_θ s(xᵢ)‖² with s = yᵢΦ(θ; xᵢ), summed over all parameters.

    Parameters
    ----------
    params : tuple of Layer, the trained θ
    x : (m, d), candidates
    lam : (m,), multipliers; m times the λ of the paper's equation, as in the authors' code
    y : (m,), labels, as `scalar` takes them; −1 or +1 in the paper
    alpha : sharpness of the modified ReLU's gates; None for plain ReLU
    scalar : the s whose gradients explain the weights, `mlp.margin` or another of those beside it
    target : tuple of Layer, what is to be explained: θ − θ₀ where the initial weights θ₀ are known, or what
        training added between two checkpoints. None: θ itself

    Returns
    -------
    scalar, in squared units of the weights

    Source: arXiv 2206.07758, section 4, the stationary loss; the factor 1/m from the authors' extraction.py.
    """
    net = mlp.forward(params, x, alpha)
    _, slope = scalar(net.phi, y)  # (m, K)
    explained = mlp.weighted_gradient(params, net, (lam / len(y))[:, None] * slope)
    misfit = mlp.subtract(params if target is None else target, explained)
    return sum(inner(r, r) for layer in misfit for r in layer if r is not None)


def multiplied_out(params, x, lam, y, alpha=None, scalar=mlp.margin, target=None):
    r"""The same number as `parameter_loss`, faster for few candidates: see `layer_residual`."""
    return sum(layer_residuals(params, x, lam, y, alpha, scalar, target))


def layer_residuals(params, x, lam, y, alpha=None, scalar=mlp.margin, target=None):
    r"""The part of each layer in `parameter_loss`, weight and bias together: a list of L scalars."""
    net = mlp.forward(params, x, alpha)
    _, slope = scalar(net.phi, y)
    signals = mlp.backward(params, net.gates, (lam / len(y))[:, None] * slope)
    z = net.z if target is None else [None] * len(params)  # of the target's weights
    return [layer_residual(*each) for each in zip(target or params, net.inputs, signals, z, strict=True)]


def layer_residual(layer, a, d, z=None):
    r"""‖W − DᵀA‖² + ‖b − Dᵀ1‖², one layer's part of the parameter loss; for m candidates far below the width

        ‖W‖² + ‖b‖² − 2⟨D, AWᵀ + 1bᵀ⟩ + ⟨DDᵀ, AAᵀ + 11ᵀ⟩

    with b and 11ᵀ only where there is a bias. No (out, in) matrix is formed then, only two (m, m). The last term
    is this layer's part of cᵀKc, c = λy/m, for the tangent kernel K. This form subtracts large numbers: its
    rounding error is that of ‖W‖² + ‖DᵀA‖² in the type of the weights, however small the residual.

    Parameters
    ----------
    layer : Layer, W (out, in) and b (out,) or None;  a : (m, in), inputs;  d : (m, out), signals
    z : (m, out), AWᵀ + 1bᵀ, where the forward pass has it; None: it is computed

    It has first derivatives, in a, d and z. Derived for this project from the stationary loss.
    """
    weight, bias = layer
    values = getval(a), getval(d)  # what value and derivative share is computed once, from the plain arrays
    if not gram_is_cheaper(len(a), *weight.shape):
        misfit = onp.dot(values[1].T, values[0])  # (out, m) x (m, in) -> (out, in)
        misfit -= weight
        return direct(a, d, misfit, None if bias is None else onp.sum(values[1], axis=0) - bias)
    if z is None:
        z = np.dot(a, weight.T) if bias is None else np.dot(a, weight.T) + bias
    aa, dd = (onp.dot(value, value.T) for value in values)  # (m, m)
    if bias is not None:
        aa += 1
    return gram(a, d, z, aa, dd, sum(onp.vdot(p, p) for p in layer if p is not None))


def gram_is_cheaper(m, fan_out, fan_in):
    r"""Which of the two forms of `layer_residual` takes fewer multiplications, derivatives included.

    Direct: three products of m·out·in. Gram: AAᵀ and DDᵀ, of which symmetry saves half, and then their
    products with D and A: 1.5 m²(out + in).
    """
    return 1.5 * m * m * (fan_out + fan_in) < 3 * m * fan_out * fan_in


@primitive
def inner(a, b):
    r"""⟨A, B⟩ = Σ aᵢⱼbᵢⱼ, without an array for the products."""
    return onp.vdot(a, b)


@primitive
def direct(a, d, misfit, rest):
    r"""‖R‖² + ‖r‖² for R = DᵀA − W (out, in) and r = Dᵀ1 − b (out,) or None. As d‖R‖² = 2⟨R, dDᵀA + DᵀdA⟩,

    ∂/∂A = 2 D R        ∂/∂D = 2 (A Rᵀ + 1 rᵀ)
    """
    return sum(onp.vdot(r, r) for r in (misfit, rest) if r is not None)


@primitive
def gram(a, d, z, aa, dd, norm2):
    r"""‖W‖² + ‖b‖² − 2⟨D, Z⟩ + ⟨DDᵀ, AAᵀ + 11ᵀ⟩ from these products, (m, m) each.

    ∂/∂A = 2 DDᵀA        ∂/∂D = 2 ((AAᵀ + 11ᵀ) D − Z)        ∂/∂Z = −2D
    """
    return norm2 - 2 * onp.vdot(d, z) + onp.vdot(dd, aa)


def _twice(g, array, less=None):
    if less is not None:
        array -= less  # in place, as below: a new array costs as much as the arithmetic
    return onp.multiply(array, 2 * g, out=array)


defvjp(inner, lambda _, a, b: lambda g: g * b, lambda _, a, b: lambda g: g * a)
defvjp(
    direct,
    lambda _, a, d, misfit, rest: lambda g: _twice(g, onp.dot(d, misfit)),
    lambda _, a, d, misfit, rest: lambda g: _twice(g, onp.dot(a, misfit.T), None if rest is None else -rest),
    argnums=(0, 1),
)
defvjp(
    gram,
    lambda _, a, d, z, aa, dd, norm2: lambda g: _twice(g, onp.dot(dd, a)),
    lambda _, a, d, z, aa, dd, norm2: lambda g: _twice(g, onp.dot(aa, d), z),
    lambda _, a, d, z, aa, dd, norm2: lambda g: d * (-2 * g),
    argnums=(0, 1, 2),
)


def residual(params, x, lam, y, scalar=mlp.margin, target=None):
    r"""The parameter loss of candidates, plain ReLU, in numbers to report: a dict.

    total : ‖θ − (1/m) Σ λᵢ∇s(xᵢ)‖²
    relative : total / ‖θ‖²; the random start of the upper layers, which no sum explains, keeps it up
    per_layer : list of the L parts of total
    zero_lambda : ‖θ‖², the loss of λ = 0
    """
    params, target = mlp.cast(params, float), target and mlp.cast(target, float)
    parts = [float(part) for part in layer_residuals(params, x.astype(float), lam, y, None, scalar, target)]
    norm2 = mlp.square_norm(target or params)
    return {"total": sum(parts), "relative": sum(parts) / norm2, "per_layer": parts, "zero_lambda": norm2}


def lambda_loss(lam, lam_min):
    r"""Σᵢ max(λ_min − λᵢ, 0)², dual feasibility λᵢ ≥ λ_min > 0.

    λ_min is positive, not 0 as in the theory, lest every λ fall to 0.
    Source: arXiv 2206.07758, section 4, the λ loss; squared as in the authors' extraction.py.
    """
    return range_loss(lam, lam_min, np.inf)


@primitive
def range_loss(x, low=-1.0, high=1.0):
    r"""Σ max(x − high, 0)² + Σ max(low − x, 0)² over all pixels, the prior that x is an image.

    It is the squared distance of x from the box [low, high]: ‖x − clip(x)‖², with derivative 2 (x − clip(x)).
    Pixels in [0, 1] less their mean lie in [−1, 1].
    Source: arXiv 2206.07758, section 4, the prior loss; squared as in the authors' extraction.py.
    """
    beyond = x - onp.clip(x, low, high)
    return onp.sum(beyond * beyond)


# autograd's derivative of maximum is right too, but float64 whatever the type of x
defvjp(range_loss, lambda _, x, low=-1.0, high=1.0: lambda g: 2 * g * (x - onp.clip(x, low, high)), argnums=(0,))


def weighted_terms(params, x, lam, y, alpha, lam_min, low=-1.0, high=1.0, scalar=mlp.margin):
    r"""The three losses, each times its weight in the authors' code: a dict parameter, lambda, range."""
    return {
        "parameter": multiplied_out(params, x, lam, y, alpha, scalar),
        "lambda": LAMBDA_WEIGHT * lambda_loss(lam, lam_min),
        "range": range_loss(x, low, high),
    }


def total_loss(params, x, lam, y, alpha, lam_min, low=-1.0, high=1.0):
    r"""parameter_loss + 5 lambda_loss + range_loss, the authors' reconstruction loss; a scalar."""
    return sum(weighted_terms(params, x, lam, y, alpha, lam_min, low, high).values())


def margin_loss(phi, y, scalar=mlp.margin):
    r"""(1/m) Σᵢ (sᵢ/γ − 1)², where γ is the root mean square of the margins sᵢ = yᵢΦ(xᵢ); from 0 to 4.

    Complementary slackness, which the paper leaves out: λᵢ > 0 only where yᵢΦ(θ; xᵢ) = γ, and every
    candidate has λᵢ > 0. The attack does not know γ, so that the candidates have to agree on one. The root
    mean square, unlike the mean, stays away from 0 while half of the candidates are on the wrong side.

    Derived for this project from the KKT conditions, arXiv 2206.07758, section 3.
    """
    margin, _ = scalar(phi, y)  # (m,)
    gamma = np.sqrt(np.sum(margin**2) / len(y))  # (autograd's derivative of mean is float64 whatever its argument)
    return np.sum((margin / gamma - 1) ** 2) / len(y)
