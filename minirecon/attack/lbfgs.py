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
"""

import autograd.numpy as np
import numpy as onp  # the plain one, where nothing is differentiated
from autograd import value_and_grad
from autograd.tracer import getval
from threadpoolctl import ThreadpoolController

from .. import losses, mlp
from ..io.progress import History
from ..mlp import Layer
from .candidates import Reconstruction

# Iterations of one search; its end can be saved (resume.py). Over six seeds of the MNIST and CIFAR-10 demos, searches
# without a limit gave the same losses and scores.
SEGMENT = 100


def lbfgs(params, start, y, rng, bar, settings, state):
    r"""L-BFGS over the span coordinates u (m, k) and t (m,) together; x = u Vᵀ, λ = λ_min + (λ_max − λ_min) σ(t)."""
    from scipy.optimize import minimize  # imported here: `import minirecon` need not wait for SciPy

    m, dtype = start.shape[0], start.dtype
    first, *upper = params
    v, scale = span(first.weight, settings["span"] or max(1, m // 2))  # (d, k), (k,)
    k = len(scale)
    # Φ(u diag(scale) Vᵀ) is the network with W¹V diag(scale) for W¹. The part of W¹ outside the span is
    # left out of the loss: no candidate in the span can change it.
    reduced = (Layer(np.dot(first.weight, v * scale), first.bias), *upper)
    # (W¹ − G¹)V / scale is W¹V / scale less the gradient Σ cᵢδᵢuᵢᵀ in the reduced network's weights
    row = unit_scale(first)  # (out,)
    whitened = Layer(np.dot(first.weight, v / scale) * row[:, None], None if first.bias is None else first.bias * row)
    history, terms = History(bar), {}
    lam_min, lam_max = settings["lam_min"], settings["lam_max"]

    def split(unknowns):
        return unknowns[: m * k].reshape(m, k), unknowns[m * k :]

    def multipliers(t):
        return lam_min + (lam_max - lam_min) * mlp.sigmoid(t, 1.0)

    def loss(unknowns):
        u, t = unknowns
        lam = multipliers(t)
        phi, inputs, z, gates = mlp.forward(reduced, u, settings["alpha"])
        signals = mlp.backward(reduced, gates, lam * y / m)
        signals[0] = signals[0] * row
        if losses.gram_is_cheaper(m, *whitened.weight.shape):  # else z is not needed
            z[0] = np.dot(u, whitened.weight.T) + (0 if whitened.bias is None else whitened.bias)
        first_residual, *upper_residuals = losses.layer_residuals((whitened, *upper), inputs, z, signals)
        parts = {
            "layer 1": first_residual,
            "upper": settings["upper_weight"] * sum(upper_residuals),
            "range": losses.range_loss(np.dot(u * scale, v.T)),
            "margin": settings["margin_weight"] * losses.margin_loss(phi, y),
        }
        terms.update({name: float(getval(part)) for name, part in parts.items()})
        return sum(parts.values())

    loss_and_gradient = value_and_grad(loss)

    # SciPy's L-BFGS works on short vectors with a BLAS of its own. Its threads gain nothing there, and while
    # they wait they take the cores from NumPy's: one thread outside the loss is three times as fast.
    blas = ThreadpoolController()
    threads = max((library["num_threads"] for library in blas.info()), default=1)

    def evaluate(unknowns):
        with blas.limit(limits=threads):
            value, (by_u, by_t) = loss_and_gradient(split(unknowns.astype(dtype)))
        return float(value), onp.concatenate([by_u.ravel(), by_t], dtype=float)  # L-BFGS works in float64

    p = rng.uniform(0, 1, m)  # σ(t): λ starts anywhere in its range
    point = onp.concatenate([np.dot(start, v).ravel(), onp.log(p / (1 - p))])
    saved = state.load(history)
    latest = [saved.get("point", point)]

    def callback(point):
        latest[0] = onp.array(point)
        history.add(terms)

    interrupted, idle = False, int(saved.get("idle", 0))
    try:
        # Rounding in float32, and gates whose derivative is not that of the ReLU, can make a line search
        # fail; a new search, which forgets the old curvature, goes on. It ends when that brings nothing.
        while idle < 3 and (left := min(SEGMENT, settings["iterations"] - len(history.rows))) > 0:
            before = len(history.rows)
            options = {"maxiter": left, "maxfun": 20 * left, "ftol": 0, "gtol": 0, "maxls": 40}
            with blas.limit(limits=1):
                minimize(evaluate, latest[0], (), "L-BFGS-B", True, callback=callback, options=options)
            idle = idle + 1 if len(history.rows) - before < 3 else 0
            state.save(history, point=latest[0], idle=idle)
    except KeyboardInterrupt:
        interrupted = True  # L-BFGS only goes down, so the latest point is the best
    if not history.rows and not interrupted:
        raise ValueError("no step from the start lowers the loss; expected weights of a trained network")
    u, t = split(latest[0].astype(dtype))
    x, start = (np.dot(each * scale, v.T) for each in (u, np.dot(start, v)))
    return Reconstruction(x, multipliers(t), y, start, history.arrays(), interrupted)


def span(weight, k):
    r"""First k right singular vectors of the first layer's weight (out, d), and a scale for each.

    Trained from a tiny start by gradient descent, W¹ = Σᵢ λᵢyᵢ dᵢ xᵢᵀ: its rows are sums of samples.

    Returns
    -------
    v : (d, k), k at most min(out, d)
    scale : (k,), √(sₗ Σs / Σs²) of the singular values s, so that ‖W¹V / scale‖ = ‖W¹V‖

    Derived for this project from the stationarity condition, arXiv 2206.07758, section 3. What a sum over samples
    leaves of W¹ is random coefficients times samples and has their spectrum: s to the power 0.4 to 0.5, measured.
    """
    _, s, vt = onp.linalg.svd(weight.astype(float), full_matrices=False)
    s = s[:k]
    scale = onp.sqrt(s * onp.sum(s) / onp.sum(s**2))
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
