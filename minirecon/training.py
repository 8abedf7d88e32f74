r"""Training (paper, section 3): gradient descent on the logistic loss, long enough for the KKT conditions.

    L(θ) = (1/n) Σᵢ log(1 + exp(−yᵢΦ(θ; xᵢ)))

`method="gd"` is the paper's: full-batch gradient descent with a fixed step of 0.01, for up to 10⁶ epochs.
So many are needed only because the gradient shrinks with the loss. `method="flow"` (the default) walks the
same path, the gradient flow dθ/dt = −∇L, in steps of equal length in log L instead of in t: for images 700 steps
instead of 10⁶. Where the loss is stiff, as on the circle, such steps overshoot: log L then rises in half of
them, 15 000 are needed, and the path is that of gradient descent with large steps.
"""

from typing import NamedTuple

import numpy as np

from . import mlp
from .io import memory
from .io.progress import progress_line

EPSILON = 0.02  # predicted drop of log L in one step of the flow
RHO = 0.05  # largest relative change of a layer in one step of the flow
LEARNING_RATE = 0.01  # the paper's
LOWEST_LOG_LOSS = -600.0  # flow time is about 1/L: much lower, and it fits in no float64
LOG_LOSS_START = np.log(np.log(2))  # log L where Φ = 0


class TrainingRun(NamedTuple):
    r"""Trained `params`, and `history`: a dict of equally long arrays, one entry a recorded step.

    step, time (flow time T = Σ step sizes), log_loss, min_margin, median_margin (of yᵢΦ(xᵢ) over the
    training set), train_accuracy, test_accuracy, norm (steps, L) and alignment (steps, L): ‖θˡ‖ and the
    cosine between θˡ and −∇_θˡ L, which tends to 1 in the limit of the flow.
    `interrupted` tells whether Ctrl-C ended it.
    """

    params: tuple
    history: dict
    interrupted: bool = False


def log_logistic_loss(q):
    r"""Return log L for the margins q = yΦ, (n,), and the weights −n ∂ log L / ∂q = σ(−q)/L, (n,).

    Both are formed in log space: at q = 150, L = e⁻¹⁵⁰ and σ(−q) = e⁻¹⁵⁰ fit in no float32, but their
    ratio is about 1.
    """
    q = np.asarray(q, dtype=float)
    # log of log(1 + e⁻q), which tends to −q where e⁻q is lost beside 1
    log_each = np.where(q > 30, -q, np.log(np.logaddexp(0, -np.minimum(q, 30))))
    largest = log_each.max()
    log_loss = largest + np.log(np.mean(np.exp(log_each - largest)))
    log_sigmoid = -np.logaddexp(0, q)  # log σ(−q)
    return log_loss, np.exp(log_sigmoid - log_loss)


def flow_step(params, direction, log_loss):
    r"""Step size lr of the flow, for `direction` = −∇ log L: the smaller of

        ε / (L ‖∇ log L‖²)             log L falls by about ε
        ρ min_l ‖θˡ‖ / ‖∇_θˡ L‖         no layer changes by more than ρ of its norm

    The first rules once the data are learnt. The second rules at the start, at the saddle θ¹ ≈ 0, where the
    gradient is so small that the first would leap away from the path.

    Derived for this project.
    """
    loss = np.exp(log_loss)
    sizes = [
        (mlp.square_norm([layer]) ** 0.5, mlp.square_norm([g]) ** 0.5)
        for layer, g in zip(params, direction, strict=True)
    ]
    relative = min(theta / (loss * g) for theta, g in sizes if g > 0 and theta > 0)
    return min(EPSILON / (loss * mlp.square_norm(direction)), RHO * relative)


def _progress(time, log_loss, step, target_time, target_log_loss, max_steps):
    r"""How far the training has come towards the first target it will meet, 0 to 1.

    log L falls about as −log T, so that log T, not T, grows evenly with the steps of the flow.
    """
    done = [step / max_steps]
    if target_time is not None:
        there = time >= target_time * (1 - 1e-9)  # a sum of 10⁶ steps of 0.01 may fall short of 10⁴ by rounding
        done.append(1.0 if there else np.log1p(time) / np.log1p(target_time))
    if target_log_loss is not None:
        done.append(min(1.0, max(0.0, (LOG_LOSS_START - log_loss) / (LOG_LOSS_START - target_log_loss))))
    return max(done)


def accuracy(params, x, y):
    r"""Share of the samples x (n, d) whose Φ has the sign of their label y (n,); NaN if there are none."""
    if len(x) == 0:
        return float("nan")
    phi = mlp.forward(params, x.astype(params[0].weight.dtype)).phi
    return float(np.mean(mlp.margin(phi, y)[0] > 0))


def _record(params, direction, data, q, log_loss, time, step):
    def cosine(layer, g):
        theta, g = (np.concatenate([p.ravel() for p in t if p is not None]) for t in (layer, g))
        return float(theta @ g / (np.linalg.norm(theta) * np.linalg.norm(g)))

    return {
        "step": step,
        "time": time,
        "log_loss": log_loss,
        "min_margin": q.min(),
        "median_margin": np.median(q),
        "train_accuracy": np.mean(q > 0),
        "test_accuracy": accuracy(params, data.x_test, data.y_test),
        "norm": [mlp.square_norm([layer]) ** 0.5 for layer in params],
        "alignment": [cosine(layer, g) for layer, g in zip(params, direction, strict=True)],
    }


def train(
    data,
    hidden=(1000, 1000),
    seed=0,
    *,
    method="flow",
    target_time=1e4,
    target_log_loss=None,
    max_steps=1_000_000,
    first_scale=1e-4,
    hidden_biases=False,
    params=None,
    dtype=np.float32,
    record_every=10,
    progress=False,
):
    r"""Train an MLP on a Dataset until its flow time or its log-loss reaches the target.

    Parameters
    ----------
    data : Dataset
    hidden, first_scale, hidden_biases, dtype : as in `mlp.initialise`
    seed : int, or the numpy.random.Generator that draws the initial weights
    method : "flow", steps of equal predicted drop of log L; or "gd", steps of 0.01 as in the paper
    target_time : stop at this flow time T = Σ lr; the paper's 10⁶ epochs at 0.01 are T = 10⁴. None: no limit
    target_log_loss : stop when log L is at or below this; None: no limit
    max_steps : stop after so many steps in any case
    params : initial weights to use instead of drawn ones
    record_every : a line of history every so many steps, and the last
    progress : show a progress line on standard error

    Returns
    -------
    TrainingRun. Ctrl-C ends the training early and returns what is there.

    Raises
    ------
    ValueError : an unknown method, no target at all or one out of range, a gradient of zero, or a loss that is no
        longer finite
    """
    if method not in ("flow", "gd"):
        raise ValueError(f"method = {method!r}: expected 'flow' or 'gd'")
    if target_time is None and target_log_loss is None:
        raise ValueError("no flow time and no log L to stop at: expected at least one target")
    if target_time is not None and not target_time > 0:
        raise ValueError(f"target_time = {target_time}: expected a positive flow time")
    if target_log_loss is not None and not LOWEST_LOG_LOSS <= target_log_loss < LOG_LOSS_START:
        bounds = f"{LOWEST_LOG_LOSS:g} to log log 2 = {LOG_LOSS_START:.3f}"
        raise ValueError(f"target_log_loss = {target_log_loss}: expected a number from {bounds}")
    if params is None:
        rng = np.random.default_rng(seed)
        params = mlp.initialise(
            rng, data.x.shape[1], hidden, first_scale=first_scale, hidden_biases=hidden_biases, dtype=dtype
        )
    x = data.x.astype(dtype)

    def state(params):
        r"""Margins q (n,), log L, and −∇ log L."""
        net = mlp.forward(params, x)
        q, slope = mlp.margin(net.phi, data.y)
        log_loss, weights = log_logistic_loss(q)
        if not np.isfinite(log_loss):
            raise ValueError(f"training: log L is {log_loss} at step {step}; expected a finite number")
        coeff = ((weights / len(q))[:, None] * slope).astype(dtype)
        return q, log_loss, mlp.weighted_gradient(params, net, coeff)

    rows, time, step, interrupted = [], 0.0, 0, False
    with progress_line(1.0, "train", progress) as bar, np.errstate(all="ignore"), memory.kept():
        try:
            while True:
                q, log_loss, direction = state(params)
                # as good as zero: rounding in a layer whose weights are 0, from which the flow finds no step
                moving = any(
                    mlp.square_norm([p]) * mlp.square_norm([g]) for p, g in zip(params, direction, strict=True)
                )
                if not (moving or (method == "gd" and mlp.square_norm(direction))):
                    raise ValueError(f"training: the gradient is zero at step {step}; expected live units")
                done = _progress(time, log_loss, step, target_time, target_log_loss, max_steps)
                bar.set_postfix_str(f"T={time:.3g} log L={log_loss:.2f}", refresh=False)
                bar.update(max(0.0, done - bar.n))
                if done >= 1:
                    break
                if step % record_every == 0:
                    rows.append(_record(params, direction, data, q, log_loss, time, step))
                # θ ← θ − lr ∇L with ∇L = L ∇ log L
                lr = LEARNING_RATE if method == "gd" else flow_step(params, direction, log_loss)
                if target_time is not None:
                    lr = min(lr, target_time - time)  # end at T, not beyond it
                scale = float(lr * np.exp(log_loss))
                params = mlp.each(lambda p, g: p + scale * g, params, direction)  # noqa: B023, called here
                time, step = time + lr, step + 1
        except KeyboardInterrupt:
            if not rows:
                raise
            interrupted = True
            q, log_loss, direction = state(params)
        rows.append(_record(params, direction, data, q, log_loss, time, step))
    history = {key: np.array([row[key] for row in rows]) for key in rows[0]}
    return TrainingRun(params, history, interrupted)
