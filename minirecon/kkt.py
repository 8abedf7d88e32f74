r"""Is a trained network near a KKT point of the max-margin problem? The paper, section 3, Theorem 3.1, as numbers.

    min ½‖θ‖²   subject to   yᵢ Φ(θ; xᵢ) ≥ γ

    θ = Σᵢ λᵢ yᵢ ∇_θ Φ(θ; xᵢ)              stationarity
    yᵢ Φ(θ; xᵢ) ≥ γ                        primal feasibility
    λᵢ ≥ 0                                 dual feasibility
    λᵢ = 0 unless yᵢ Φ(θ; xᵢ) = γ          complementary slackness

The paper has γ = 1 and lets θ grow; here θ is what it is, and γ the smallest margin. λ is that of the equation
above: `lam` of an attack with m candidates is m λ. **Everything here needs the training samples.**

A support vector machine without slack is the problem above for Φ(θ; x) = ⟨w, x⟩ (+ b), and there the KKT
conditions are exact and sufficient:

    min ½‖w‖²   subject to   yᵢ(⟨w, xᵢ⟩ + b) ≥ 1
    w = Σᵢ λᵢyᵢxᵢ,    0 = Σᵢ λᵢyᵢ (for b),    λᵢ ≥ 0,    λᵢ = 0 unless yᵢ(⟨w, xᵢ⟩ + b) = 1

A linear model so reveals one vector, w. So does a linear *network*, Φ = W²W¹x, of any width: by stationarity
W¹ = (W²)ᵀ (Σ λᵢyᵢxᵢ)ᵀ has rank one. ReLU gates break that. Row j of W¹ is Σᵢ λᵢyᵢ δᵢⱼ xᵢᵀ with δᵢⱼ = 0 where unit j
is off: as many different sums as there are activation patterns, up to rank n, and that is enough to solve for the xᵢ.
"""

from typing import NamedTuple

import numpy as np

from . import losses, mlp
from .training import log_logistic_loss

CONSTANT = 1e4  # b is the weight of a feature with this value; what it adds to ½‖w‖², b²/(2 CONSTANT²), is nothing


def nnls(a, b):
    r"""Non-negative least squares, argmin ‖Ax − b‖ over x ≥ 0: x (n,) for a (m, n) and b (m,).

    SciPy's active-set solver for bounds, not its faster `nnls`, which at times returns a wrong x (SciPy 1.15 to 1.17).
    """
    from scipy.optimize import lsq_linear  # imported here: `import minirecon` need not wait for SciPy

    found = lsq_linear(a, b, (0, np.inf), method="bvls", tol=1e-13, max_iter=10 * a.shape[1] + 100)
    return np.maximum(found.x, 0)  # −1e−21, now and then


def hard_margin(x, y, bias=True):
    r"""The SVM without slack: w, b and the multipliers λ of separable samples.

    It is a least-distance problem, min ‖v‖ subject to Gv ≥ 1 with rows yᵢ(xᵢ, constant), which Lawson and Hanson
    turn into non-negative least squares: for E = [G 1]ᵀ and f = (0, …, 0, 1), let u ≥ 0 minimise ‖Eu − f‖ and
    r = f − Eu. Then v = Gᵀλ with λ = u / r_last; if r = 0, nothing separates the samples.

    Parameters
    ----------
    x : (n, d), samples;  y : (n,), labels, −1 or +1
    bias : bool, whether there is a b, which is not part of the norm

    Returns
    -------
    w : (d,);  b : float, 0 without a bias;  lam : (n,), λ ≥ 0, with w = Σ λᵢyᵢxᵢ

    Raises
    ------
    ValueError : labels other than −1 and +1, or samples that no hyperplane separates

    Source: Lawson and Hanson, Solving Least Squares Problems, chapter 23; the paper's section 3 for linear Φ.
    """
    x, y = np.asarray(x, float), np.asarray(y, float)
    if not np.isin(y, (-1, 1)).all() or y.shape != x.shape[:1]:
        raise ValueError(
            f"labels {np.unique(y).tolist()} of shape {y.shape}; expected −1 or +1 for each of {len(x)} samples"
        )
    size = np.abs(x).max() or 1.0  # NNLS judges what is zero by absolute size
    features = np.column_stack([x / size, np.full(len(x), CONSTANT)]) if bias else x / size
    e = np.vstack([(y[:, None] * features).T, np.ones(len(x))])  # (d + 2, n)
    f = np.zeros(len(e))
    f[-1] = 1
    u = nnls(e, f)
    distance = np.linalg.norm(f - e @ u)
    if distance < 1e-9:
        raise ValueError(f"no hyperplane separates the {len(x)} samples; expected separable classes")
    lam = u / distance**2 / size**2  # r_last = ‖r‖², as r is orthogonal to Eu
    w = (lam * y) @ x
    # y(⟨w, x⟩ + b) = 1 where λ > 0
    return w, float(lam @ (y - x @ w) / lam.sum()) if bias else 0.0, lam


class Report(NamedTuple):
    r"""How far a network is from a KKT point at given samples.

    margin : (n,), yᵢΦ(θ; xᵢ), and `gamma`, the smallest
    lam : (n,), the λ ≥ 0 with the smallest residual
    late : (n,), the λ that gradient descent is heading for, c σ(−yᵢΦᵢ) with the c that has the smallest residual
    residual : dict of ‖θ − Σ λᵢyᵢ∇Φ(xᵢ)‖² as in `losses.residual` (total, relative to ‖θ‖², per_layer), for
        λ = 0 ("zero"), for `late`, for `lam` ("best"), and for the best λ of either sign ("signed"), a lower bound
    slackness : Σ λᵢ (yᵢΦᵢ/γ − 1) / Σ λᵢ, by how much the λ-weighted mean margin exceeds γ; 0 at a KKT point
    sum_lam : Σ λᵢ; at a KKT point it is `euler`, ‖θ‖²/(Lγ), and each of `euler_per_layer`, ‖θˡ‖²/γ, for by Euler
        ⟨θˡ, ∂Φ/∂θˡ⟩ = Φ. The layers that keep a random start are above it. Both None if not homogeneous
    cosine : of `lam` and σ(−yᵢΦᵢ)
    """

    margin: np.ndarray
    gamma: float
    lam: np.ndarray
    late: np.ndarray
    residual: dict
    slackness: float
    sum_lam: float
    euler: float | None
    euler_per_layer: list | None
    cosine: float


def margins(params, x, y, scalar=mlp.margin):
    r"""The margins s(xᵢ), yᵢ Φ(θ; xᵢ) in the paper, (n,), for x (n, d) and labels y (n,), as `scalar` takes them."""
    return scalar(mlp.forward(params, x).phi, y)[0]


def tangent_kernel(params, x, other=None, layers=None, y=None, scalar=mlp.output):
    r"""The Gram matrix of the gradients, Kᵢⱼ = ⟨∇_θ Φ(θ; xᵢ), ∇_θ Φ(θ; xⱼ)⟩, without forming a gradient.

    The gradient of a weight matrix is an outer product, so that with d and a as in `mlp.backward`

        Kᵢⱼ = Σ_l ⟨dᵢˡ, dⱼˡ⟩ (⟨aᵢˡ⁻¹, aⱼˡ⁻¹⟩ + [layer l has a bias])

    Parameters
    ----------
    params : tuple of Layer, with one output unless `scalar` takes several
    x : (n, d);  other : (p, d) or None for x again
    layers : numbers of the layers to sum over, 1 to L; None for all
    y, scalar : labels, and the s(Φ, y) whose gradients are taken; by default Φ itself, which needs no labels

    Returns
    -------
    (n, p), symmetric and positive semidefinite if `other` is None

    Source: Jacot, Gabriel and Hongler 2018; the form for a multilayer perceptron was derived for this project.
    """
    net, signals = _each(params, x, y, scalar)
    net_other, signals_other = (net, signals) if other is None else _each(params, other, y, scalar)
    kernel = np.zeros((len(net.phi), len(net_other.phi)))
    every = zip(params, net.inputs, net_other.inputs, signals, signals_other, strict=True)
    for number, (layer, a, b, d, e) in enumerate(every, start=1):
        if layers is None or number in layers:
            has_bias = layer.bias is not None
            kernel += (d @ e.T) * (a @ b.T + has_bias)  # (n, p)
    return kernel


def dual(params, x, y, layers=None, scalar=mlp.margin):
    r"""The Q (n, n) and h (n,) of the residual as a function of λ, the dual of an SVM in the tangent kernel:

        ‖θ − Σ λᵢ∇s(xᵢ)‖² = ‖θ‖² − 2 hᵀλ + λᵀQλ,    Qᵢⱼ = ⟨∇s(xᵢ), ∇s(xⱼ)⟩,    hᵢ = ⟨θ, ∇s(xᵢ)⟩

    In the paper s = yΦ, so that Qᵢⱼ = yᵢyⱼKᵢⱼ. For a homogeneous network, all layers and an s that is linear in Φ,
    hᵢ = L s(xᵢ), by Euler; in general hᵢ = Σ_l ⟨dᵢˡ, zᵢˡ⟩ with the signals d of s.
    Derived for this project from the stationarity condition.
    """
    net, signals = _each(params, x, y, scalar)
    parts = enumerate(zip(net.z, signals, strict=True), start=1)
    h = sum(np.sum(d * z, axis=1) for number, (z, d) in parts if layers is None or number in layers)
    return tangent_kernel(params, x, None, layers, y, scalar), h


def multipliers(params, x, y, layers=None, scalar=mlp.margin):
    r"""The λ ≥ 0 with which given samples explain the weights best: argmin ‖θ − Σ λᵢ∇s(xᵢ)‖², a convex problem.

    Parameters
    ----------
    params : tuple of Layer
    x : (n, d), samples;  y : (n,), their labels, as `scalar` takes them; −1 or +1 in the paper
    layers : numbers of the layers whose weights are to be explained; None for all
    scalar : the s(Φ, y) whose gradients explain the weights, yΦ in the paper

    Returns
    -------
    (n,), λ of the paper's equation (m times that is the `lam` of `losses.parameter_loss`)

    Raises
    ------
    ValueError : samples of another dimension than the network's

    Source: arXiv 2206.07758, section 3; the dual of an SVM in the tangent kernel.
    """
    return nnls(*_least_squares(*dual(params, x, y, layers, scalar)))


def kkt_report(params, data, scalar=mlp.margin):
    r"""Check the four KKT conditions at the true training samples: a Report.

    Parameters
    ----------
    params : tuple of Layer, the trained network
    data : Dataset, or anything with x (n, d) and y (n,); **the true training set**
    scalar : the s(Φ, y) whose gradients explain the weights; of several outputs, `mlp.margin` counts every rival by
        its share p_ij, `mlp.margin_of_classes` the largest alone

    Raises
    ------
    ValueError : samples of another dimension than the network's, or a sample on the wrong side: the theory
        begins where all are classified correctly

    Source: arXiv 2206.07758, section 3, Theorem 3.1 (after Lyu and Li 2019; Ji and Telgarsky 2020).
    """
    x, y, n = data.x.astype(float), mlp.labels(data.y, len(params[-1].weight)), len(data.y)
    params = mlp.cast(params, float)
    q = margins(params, _fits(params, x), y, scalar)
    if not q.min() > 0:
        raise ValueError(f"{int(np.sum(q <= 0))} of {n} samples are misclassified; expected a margin yΦ(x) above 0")
    quadratic, h = dual(params, x, y, None, scalar)
    root, target = _least_squares(quadratic, h)
    # late in training dθ/dt = (1/n) Σ σ(−yᵢΦᵢ) yᵢ∇Φ(xᵢ) points along θ
    sigma = log_logistic_loss(q)[1]  # σ(−q)/L: no number underflows
    late = sigma * (h @ sigma) / (sigma @ quadratic @ sigma)
    lam = nnls(root, target)
    each = {"zero": 0 * lam, "late": late, "best": lam, "signed": np.linalg.lstsq(root, target, rcond=None)[0]}
    residual = {name: losses.residual(params, x, n * value, y, scalar) for name, value in each.items()}
    gamma = float(q.min())
    # the soft margin of several outputs is not homogeneous
    euler = mlp.homogeneity_degree(params) and (len(params[-1].weight) == 1 or scalar is mlp.margin_of_classes)
    by_layer = [mlp.square_norm([layer]) / gamma for layer in params] if euler else None
    return Report(
        margin=q,
        gamma=gamma,
        lam=lam,
        late=late,
        residual=residual,
        slackness=float(lam @ (q / gamma - 1) / lam.sum()),
        sum_lam=float(lam.sum()),
        euler=float(np.mean(by_layer)) if by_layer else None,
        euler_per_layer=by_layer,
        cosine=float(lam @ sigma / (np.linalg.norm(lam) * np.linalg.norm(sigma))),
    )


def distinct_units(params, cosine=0.99):
    r"""How many directions the units of layer 1, rows of [W¹ b¹], have: an int. With weight decay units collapse.

    In order, a unit has a new direction unless its cosine with an earlier one that had is above `cosine`. Units
    whose norm is at most a thousandth of the largest are left out.
    """
    first = params[0]
    rows = first.weight if first.bias is None else np.column_stack([first.weight, first.bias])
    norms = np.linalg.norm(rows.astype(float), axis=1)
    rows = rows[norms > 1e-3 * norms.max()] / norms[norms > 1e-3 * norms.max(), None]
    alike, left, count = rows @ rows.T > cosine, np.ones(len(rows), bool), 0
    for unit in range(len(rows)):
        count += left[unit]
        left &= ~alike[unit] if left[unit] else True
    return int(count)


def _each(params, x, y, scalar):
    r"""The forward pass of samples, and the signals of each one's s itself, c = 1."""
    net = mlp.forward(params, _fits(params, x))
    return net, mlp.backward(params, net.gates, scalar(net.phi, y)[1])


def _fits(params, x):
    d = params[0].weight.shape[1]
    if np.ndim(x) != 2 or x.shape[1] != d:
        raise ValueError(f"samples of shape {np.shape(x)}; expected (n, {d}), the network's inputs")
    return x


def _least_squares(quadratic, h):
    r"""A, b with ‖Aλ − b‖² = λᵀQλ − 2hᵀλ + constant: A = S^½Vᵀ, b = S^−½Vᵀh for Q = V S Vᵀ."""
    s, v = np.linalg.eigh(quadratic)
    kept = s > s[-1] * len(s) * np.finfo(float).eps  # h lies in Q's range; the rest is rounding
    root = np.sqrt(s[kept])
    return root[:, None] * v[:, kept].T, v[:, kept].T @ h / root
