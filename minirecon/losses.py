r"""The reconstruction loss of the paper (section 4): three terms in the unknown samples x and multipliers λ.

The weights of a trained network nearly obey the KKT condition θ = Σᵢ λᵢ yᵢ ∇_θ Φ(θ; xᵢ), λᵢ ≥ 0. Turn
it round: θ is known, find the x and λ that make it true. `total_loss` adds the terms with the weights of
the authors' code. All of them can be differentiated by autograd in `x` and in `lam`.
"""

import autograd.numpy as np
import numpy as onp  # the plain one, inside the primitive
from autograd.extend import defvjp, defvjp_argnums, primitive

from . import mlp

LAMBDA_WEIGHT = 5.0  # the authors' weights are 1 (parameter), 5 (lambda), 1 (range)


def parameter_loss(params, x, lam, y, alpha=None):
    r"""The stationary loss, ‖θ − (1/m) Σᵢ λᵢ yᵢ ∇_θ Φ(θ; xᵢ)‖², summed over all parameters.

    Parameters
    ----------
    params : tuple of Layer, the trained θ
    x : (m, d), candidates
    lam : (m,), multipliers; m times the λ of the paper's equation, as in the authors' code
    y : (m,), labels, −1 or +1
    alpha : sharpness of the modified ReLU's gates; None for plain ReLU

    Returns
    -------
    scalar, in squared units of the weights

    Source: arXiv 2206.07758, section 4, the stationary loss; the factor 1/m from the authors' extraction.py.
    """
    _, inputs, z, gates = mlp.forward(params, x, alpha)
    signals = mlp.backward(params, gates, lam * y / len(y))
    return sum(layer_residuals(params, inputs, z, signals))


def layer_residuals(params, inputs, z, signals):
    r"""‖θˡ − Gˡ‖² for each layer l, weight and bias together: a list of L scalars.

    `inputs` and `z` from `mlp.forward`, `signals` from `mlp.backward`.
    """
    terms = []
    for (weight, bias), a, z_l, d in zip(params, inputs, z, signals, strict=True):
        gram = gram_is_cheaper(len(a), *weight.shape)
        terms.append(layer_residual(d, a, z_l if gram else None, weight, bias, {}))
    return terms


def gram_is_cheaper(m, fan_out, fan_in):
    r"""Which of the two forms of `layer_residual` takes fewer multiplications, derivatives included.

    Direct: three products of m·out·in. Gram: AAᵀ and DDᵀ, of which symmetry saves half, and then their
    products with D and A: 1.5 m²(out + in).
    """
    return 1.5 * m * m * (fan_out + fan_in) < 3 * m * fan_out * fan_in


@primitive
def layer_residual(d, a, z, weight, bias, kept):
    r"""‖W − DᵀA‖² + ‖b − Dᵀ1‖², one layer's part of the parameter loss, with its derivative beside it.

    Direct, for z = None: form R = DᵀA − W (out, in) and r = Dᵀ1 − b (out,). As d‖R‖² = 2⟨R, dDᵀA + DᵀdA⟩,

        ∂/∂D = 2 (A Rᵀ + 1 rᵀ)        ∂/∂A = 2 D R

    Gram, for z = AWᵀ + 1bᵀ from the forward pass: multiply the square out,

        ‖W‖² + ‖b‖² − 2⟨D, z⟩ + ⟨DDᵀ, AAᵀ + 11ᵀ⟩
        ∂/∂D = 2 ((AAᵀ + 11ᵀ) D − z)  ∂/∂A = 2 DDᵀA  ∂/∂z = −2D

    with 11ᵀ only where there is a bias. No (out, in) matrix is formed, only two (m, m), and what z contributes
    goes back through the forward pass together with the rest. ⟨DDᵀ, AAᵀ + 11ᵀ⟩ is this layer's part of cᵀKc,
    c = λy/m, for the tangent kernel K. The Gram form subtracts large numbers: its rounding error is that of
    ‖W‖² + ‖DᵀA‖² in the type of the weights, however small the residual (tests/test_losses.py).

    Parameters
    ----------
    d : (m, out), signals, from `mlp.backward`;  a : (m, in), inputs of the layer, from `mlp.forward`
    z : (m, out) or None;  weight : (out, in);  bias : (out,) or None
    kept : empty dict, takes what the value and the derivative have in common

    Source of the loss: arXiv 2206.07758, section 4. The regrouping was derived for this project.
    """
    if z is None:
        kept["R"] = onp.dot(d.T, a)  # (out, m) x (m, in) -> (out, in)
        kept["R"] -= weight
        kept["r"] = None if bias is None else onp.sum(d, axis=0) - bias  # (out,)
        return sum(onp.vdot(r, r) for r in kept.values() if r is not None)
    kept["A"], kept["D"] = onp.dot(a, a.T), onp.dot(d, d.T)  # (m, m)
    square = onp.vdot(weight, weight)
    if bias is not None:
        kept["A"] += 1
        square += onp.vdot(bias, bias)
    return square - 2 * onp.vdot(d, z) + onp.vdot(kept["D"], kept["A"])


def _layer_residual_vjp(argnums, _, arguments, __):
    d, a, z, _, _, kept = arguments
    if max(argnums) > 2:
        raise NotImplementedError("layer_residual: no derivative in the weights, only in d, a and z")

    def half(argnum):  # half of the derivative, in a new array
        if argnum == 2:
            return -d
        if argnum == 1:
            return onp.dot(d, kept["R"]) if z is None else onp.dot(kept["D"], a)  # (m, in)
        if z is not None:
            return onp.subtract(by_d := onp.dot(kept["A"], d), z, out=by_d)  # (m, out)
        by_d = onp.dot(a, kept["R"].T)  # (m, out)
        return by_d if kept["r"] is None else onp.add(by_d, kept["r"], out=by_d)

    return lambda g: [onp.multiply(part := half(argnum), 2 * g, out=part) for argnum in argnums]


defvjp_argnums(layer_residual, _layer_residual_vjp)


def residual(params, x, lam, y):
    r"""The parameter loss of candidates, plain ReLU, in numbers to report: a dict.

    total : ‖θ − (1/m) Σ λᵢyᵢ∇Φ(xᵢ)‖²
    relative : total / ‖θ‖²; the random start of the upper layers, which no sum explains, keeps it up
    per_layer : list of the L parts of total
    zero_lambda : ‖θ‖², the loss of λ = 0
    """
    params = mlp.cast(params, float)
    _, inputs, z, gates = mlp.forward(params, x.astype(float))
    signals = mlp.backward(params, gates, lam * y / len(y))
    parts = [float(part) for part in layer_residuals(params, inputs, z, signals)]
    theta = mlp.square_norm(params)
    return {"total": sum(parts), "relative": sum(parts) / theta, "per_layer": parts, "zero_lambda": theta}


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


def weighted_terms(params, x, lam, y, alpha, lam_min, low=-1.0, high=1.0):
    r"""The three losses, each times its weight in the authors' code: a dict parameter, lambda, range."""
    return {
        "parameter": parameter_loss(params, x, lam, y, alpha),
        "lambda": LAMBDA_WEIGHT * lambda_loss(lam, lam_min),
        "range": range_loss(x, low, high),
    }


def total_loss(params, x, lam, y, alpha, lam_min, low=-1.0, high=1.0):
    r"""parameter_loss + 5 lambda_loss + range_loss, the authors' reconstruction loss; a scalar."""
    return sum(weighted_terms(params, x, lam, y, alpha, lam_min, low, high).values())


def margin_loss(phi, y):
    r"""(1/m) Σᵢ (yᵢΦ(xᵢ)/γ − 1)², where γ is the root mean square of the margins yᵢΦ(xᵢ); from 0 to 4.

    Complementary slackness, which the paper leaves out: λᵢ > 0 only where yᵢΦ(θ; xᵢ) = γ, and every
    candidate has λᵢ > 0. The attack does not know γ, so that the candidates have to agree on one. The root
    mean square, unlike the mean, stays away from 0 while half of the candidates are on the wrong side.

    Derived for this project from the KKT conditions, arXiv 2206.07758, section 3.
    """
    margin = y * phi  # (m,)
    gamma = np.sqrt(np.sum(margin**2) / len(y))  # (autograd's derivative of mean is float64 whatever its argument)
    return np.sum((margin / gamma - 1) ** 2) / len(y)
