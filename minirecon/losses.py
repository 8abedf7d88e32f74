r"""The reconstruction loss of the paper (section 4): three terms in the unknown samples x and multipliers λ.

The weights of a trained network nearly obey the KKT condition θ = Σᵢ λᵢ yᵢ ∇_θ Φ(θ; xᵢ), λᵢ ≥ 0. Turn
it round: θ is known, find the x and λ that make it true. `total_loss` adds the terms with the weights of
the authors' code. All of them can be differentiated by autograd in `x` and in `lam`.
"""

import autograd.numpy as np

from . import checkpoint, mlp

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
    _, inputs, gates = mlp.forward(params, x, alpha)
    gradient = mlp.weighted_gradient(params, inputs, gates, lam * y / len(y))
    return sum(layer_residuals(params, gradient))


def layer_residuals(params, gradient):
    r"""‖θˡ − Gˡ‖² for each layer l, weight and bias together: a list of L scalars."""
    residuals = []
    for layer, g in zip(params, gradient, strict=True):
        residual = np.sum((layer.weight - g.weight) ** 2)
        if layer.bias is not None:
            residual = residual + np.sum((layer.bias - g.bias) ** 2)
        residuals.append(residual)
    return residuals


def residual(params, x, lam, y):
    r"""The parameter loss of candidates, plain ReLU, in numbers to report: a dict.

    total : ‖θ − (1/m) Σ λᵢyᵢ∇Φ(xᵢ)‖²
    relative : total / ‖θ‖²; the random start of the upper layers, which no sum explains, keeps it up
    per_layer : list of the L parts of total
    zero_lambda : ‖θ‖², the loss of λ = 0
    """
    params = checkpoint.cast(params, float)
    _, inputs, gates = mlp.forward(params, x.astype(float))
    gradient = mlp.weighted_gradient(params, inputs, gates, lam * y / len(y))
    parts = [float(part) for part in layer_residuals(params, gradient)]
    theta = mlp.square_norm(params)
    return {"total": sum(parts), "relative": sum(parts) / theta, "per_layer": parts, "zero_lambda": theta}


def lambda_loss(lam, lam_min):
    r"""Σᵢ max(λ_min − λᵢ, 0)², dual feasibility λᵢ ≥ λ_min > 0.

    λ_min is positive, not 0 as in the theory, lest every λ fall to 0.
    Source: arXiv 2206.07758, section 4, the λ loss; squared as in the authors' extraction.py.
    """
    return np.sum(np.maximum(lam_min - lam, 0) ** 2)


def range_loss(x, low=-1.0, high=1.0):
    r"""Σ max(x − high, 0)² + Σ max(low − x, 0)² over all pixels, the prior that x is an image.

    Pixels in [0, 1] less their mean lie in [−1, 1].
    Source: arXiv 2206.07758, section 4, the prior loss; squared as in the authors' extraction.py.
    """
    return np.sum(np.maximum(x - high, 0) ** 2) + np.sum(np.maximum(low - x, 0) ** 2)


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
    gamma = np.sqrt(np.mean(margin**2))
    return np.mean((margin / gamma - 1) ** 2)
