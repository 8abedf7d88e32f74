r"""From the SVM to the network: the max-margin problem of the paper (section 3) where Φ is linear in x.

A support vector machine without slack is the problem of kkt.py for Φ(θ; x) = ⟨w, x⟩ (+ b), and there the KKT
conditions are exact and sufficient:

    min ½‖w‖²   subject to   yᵢ(⟨w, xᵢ⟩ + b) ≥ 1
    w = Σᵢ λᵢyᵢxᵢ,    0 = Σᵢ λᵢyᵢ (for b),    λᵢ ≥ 0,    λᵢ = 0 unless yᵢ(⟨w, xᵢ⟩ + b) = 1

A linear model so reveals one vector, w. So does a linear *network*, Φ = W²W¹x, of any width: by stationarity
W¹ = (W²)ᵀ (Σ λᵢyᵢxᵢ)ᵀ has rank one. ReLU gates break that. Row j of W¹ is Σᵢ λᵢyᵢ δᵢⱼ xᵢᵀ with δᵢⱼ = 0 where unit j
is off: as many different sums as there are activation patterns, up to rank n, and that is enough to solve for the xᵢ.
"""

import numpy as np

from .checkpoint import Layer
from .train import flow_step, log_logistic_loss

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


def linear_network(x, y, rng, width=100, target_log_loss=-40.0, max_steps=100_000):
    r"""Train Φ = W²W¹x, no ReLU and no bias, in log-loss time; W²W¹ turns towards the w of `hard_margin`.

    Parameters
    ----------
    x : (n, d);  y : (n,);  rng : numpy.random.Generator
    width : int, hidden units
    target_log_loss : log L to stop at
    max_steps : int, in which it has to be reached

    Returns
    -------
    tuple of two Layers, (width, d) and (1, width)

    Raises
    ------
    ValueError : the target is not reached, as when no hyperplane through 0 separates the samples

    Source: Ji and Telgarsky 2019, "Gradient descent aligns the layers of deep linear networks", arXiv 1810.02032.
    """
    w1, w2 = 1e-4 * rng.standard_normal((width, x.shape[1])), rng.uniform(-1, 1, (1, width)) / width**0.5
    for _ in range(max_steps):
        log_loss, weights = log_logistic_loss(y * (x @ w1.T @ w2.T)[:, 0])
        if log_loss <= target_log_loss:
            return Layer(w1), Layer(w2)
        s = (weights * y / len(y)) @ x  # −∂ log L / ∂(W²W¹), (d,)
        by_w1, by_w2 = w2.T * s, (w1 @ s)[None]  # (width, d), (1, width)
        lr = flow_step((Layer(w1), Layer(w2)), (Layer(by_w1), Layer(by_w2)), log_loss)
        w1, w2 = w1 + lr * np.exp(log_loss) * by_w1, w2 + lr * np.exp(log_loss) * by_w2
    raise ValueError(
        f"log L is {log_loss:.3g} after {max_steps} steps; expected {target_log_loss}, or separable samples"
    )
