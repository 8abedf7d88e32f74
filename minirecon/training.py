r"""Training (paper, section 3): gradient descent on the logistic loss, long enough for the KKT conditions.

    L(θ) = (1/n) Σᵢ log(1 + exp(−yᵢΦ(θ; xᵢ)))

For several classes yΦ gives way to `mlp.soft_margin`, which makes it the cross-entropy; the square loss is there too.

`method="gd"` is the paper's: full-batch gradient descent with a fixed step of 0.01, for up to 10⁶ epochs.
So many are needed only because the gradient shrinks with the loss. `method="flow"` (the default) follows the
same gradient flow dθ/dt = −∇L in steps of equal length in log L instead of in t: for images 700 steps instead of 10⁶.
At equal flow time log L, norms and margins agree to about a per cent; the weights do not (docs/03-training.md). Where
the loss is stiff, as on the circle, such steps overshoot: log L then rises in half of them, 15 000 are needed, and the
path is that of gradient descent with large steps.

With weight decay, L(θ) + ½ decay ‖θ‖² has minima at finite θ, where −∇L = decay θ: no theorem of infinite time is
needed for θ to be a sum of gradients. L-BFGS goes there. As ReLU nets have their minima on kinks, where a unit is about
to switch for some sample, the gradient does not vanish altogether: `stationarity` in the history says what is left.
"""

from typing import NamedTuple

import numpy as np

from . import metrics, mlp
from .io import memory, minimise
from .io.progress import progress_line

EPSILON = 0.02  # predicted drop of log L in one step of the flow
RHO = 0.05  # largest relative change of a layer in one step of the flow
LEARNING_RATE = 0.01  # the paper's
LOWEST_LOG_LOSS = -600.0  # flow time is about 1/L: much lower, and it fits in no float64
MAX_STEPS, STEPS_WITH_DECAY = 1_000_000, 500  # of gradient descent or flow; of L-BFGS


class TrainingRun(NamedTuple):
    r"""Trained `params`, and `history`: a dict of equally long arrays, one entry a recorded step.

    step, time (flow time T = Σ step sizes; of L-BFGS its steps), log_loss, min_margin, median_margin (over the
    training set, of yᵢΦ(xᵢ) or of Φ_y less the largest other), train_accuracy, test_accuracy, norm (steps, L) and
    alignment (steps, L): ‖θˡ‖ and the cosine between θˡ and −∇_θˡ L, which tends to 1 in the limit of the flow and
    is 1 at a stationary point with decay. With decay also stationarity, ‖∇L + decay θ‖ / (decay ‖θ‖).
    `interrupted` tells whether Ctrl-C ended it; `initial` is the θ₀ that it began from.
    """

    params: tuple
    history: dict
    interrupted: bool = False
    initial: tuple | None = None


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


def log_loss_and_slope(phi, y, loss="logistic"):
    r"""log L of the outputs phi (n, K) at the labels y (n,), and −∂ log L/∂Φ, (n, K).

    loss : "logistic" (K = 1) and "softmax" are the logistic loss of the `mlp.margin`; "mse" is the mean of (Φ − y)²
    """
    if loss == "mse":
        square = np.mean((y - phi[:, 0]) ** 2)
        return np.log(square), 2 * (y[:, None] - phi) / (len(y) * square)
    margin, slope = mlp.margin(phi, y)
    log_loss, weights = log_logistic_loss(margin)
    return log_loss, (weights / len(y))[:, None] * slope


def flow_step(params, direction, log_loss):
    r"""Step size lr of the flow, for `direction` = −∇ log L: the smaller of

        ε / (L ‖∇ log L‖²)             log L falls by about ε
        ρ min_l ‖θˡ‖ / ‖∇_θˡ L‖         no layer changes by more than ρ of its norm

    The first rules once the data are learnt. The second rules at the start, at the saddle θ¹ ≈ 0, where the
    gradient is so small that the first would leap away from the path.

    Derived for this project.
    """
    loss = np.exp(log_loss)
    sizes = [[mlp.square_norm([layer]) ** 0.5 for layer in pair] for pair in zip(params, direction, strict=True)]
    relative = min(theta / (loss * g) for theta, g in sizes if g > 0 and theta > 0)
    return min(EPSILON / (loss * mlp.square_norm(direction)), RHO * relative)


def _progress(time, log_loss, step, target_time, target_log_loss, max_steps, start):
    r"""How far the training has come towards the first target it will meet, 0 to 1.

    log L falls about as −log T, so that log T, not T, grows evenly with the steps of the flow.
    """
    done = [step / max_steps]
    if target_time is not None:
        there = time >= target_time * (1 - 1e-9)  # a sum of 10⁶ steps of 0.01 may fall short of 10⁴ by rounding
        done.append(1.0 if there else np.log1p(time) / np.log1p(target_time))
    if target_log_loss is not None:
        done.append(min(1.0, max(0.0, (start - log_loss) / (start - target_log_loss))))
    return max(done)


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
        "test_accuracy": metrics.accuracy(params, data.x_test, data.y_test),
        "norm": [mlp.square_norm([layer]) ** 0.5 for layer in params],
        "alignment": [cosine(layer, g) for layer, g in zip(params, direction, strict=True)],
    }


def train(
    data,
    hidden=(1000, 1000),
    seed=0,
    *,
    loss=None,
    decay=0.0,
    method="flow",
    target_time=1e4,
    target_log_loss=None,
    max_steps=None,
    first_scale=1e-4,
    hidden_biases=False,
    params=None,
    dtype=np.float32,
    record_every=10,
    progress=False,
):
    r"""Train an MLP on a Dataset until its flow time or its log-loss reaches the target; with decay, for so many steps.

    Parameters
    ----------
    data : Dataset
    hidden, first_scale, hidden_biases, dtype : as in `mlp.initialise`
    seed : int, or the numpy.random.Generator that draws the initial weights
    loss : "logistic", for two classes; "softmax", the cross-entropy of as many outputs as classes; or "mse", the mean
        of (Φ − y)² for two classes. None: the first or the second
    decay : weight of ½‖θ‖². Above 0, L-BFGS looks for a stationary point of L + ½ decay ‖θ‖², whatever `method` and
        the targets are
    method : "flow", steps of equal predicted drop of log L; or "gd", steps of 0.01 as in the paper
    target_time : stop at this flow time T = Σ lr; the paper's 10⁶ epochs at 0.01 are T = 10⁴. None: no limit
    target_log_loss : stop when log L is at or below this; None: no limit
    max_steps : stop after so many steps in any case; None: 10⁶, or 500 with decay
    params : initial weights to use instead of drawn ones
    record_every : a line of history every so many steps, and the last
    progress : show a progress line on standard error

    Returns
    -------
    TrainingRun. Ctrl-C ends the training early and returns what is there.

    Raises
    ------
    ValueError : an unknown method or loss, a loss or params that the classes don't fit, no target at all or one out of
        range, a gradient of zero, a loss that is no longer finite, or a decay that takes all weights to 0
    """
    classes = len(data.class_names)
    loss = loss or ("logistic" if classes == 2 else "softmax")
    for name, value, known in (("method", method, ("flow", "gd")), ("loss", loss, ("logistic", "softmax", "mse"))):
        if value not in known:
            raise ValueError(f"{name} = {value!r}: expected {' or '.join(map(repr, known))}")
    if loss != "softmax" and classes != 2:
        raise ValueError(f"loss = {loss!r}: expected 'softmax' for {classes} classes")
    max_steps = (STEPS_WITH_DECAY if decay else MAX_STEPS) if max_steps is None else max_steps
    for name, value, least in (("decay", decay, 0), ("record_every", record_every, 1), ("max_steps", max_steps, 1)):
        if not least <= value < np.inf:
            raise ValueError(f"{name} = {value}: expected a number of at least {least}")
    if not decay and target_time is None and target_log_loss is None:
        raise ValueError("no flow time and no log L to stop at: expected at least one target")
    if target_time is not None and not target_time > 0:
        raise ValueError(f"target_time = {target_time}: expected a positive flow time")
    start = 0.0 if loss == "mse" else np.log(np.log(classes))  # log L where Φ = 0
    if target_log_loss is not None and not LOWEST_LOG_LOSS <= target_log_loss < start:
        bounds = f"{LOWEST_LOG_LOSS:g} to {start:.3f}, log L where Φ = 0"
        raise ValueError(f"target_log_loss = {target_log_loss}: expected a number from {bounds}")
    outputs = classes if loss == "softmax" else 1
    if params is None:
        options = {"first_scale": first_scale, "hidden_biases": hidden_biases, "dtype": dtype}
        params = mlp.initialise(np.random.default_rng(seed), data.x.shape[1], hidden, outputs=outputs, **options)
    params = initial = mlp.cast(mlp.check(params, outputs=outputs), dtype)
    x, y = data.x.astype(dtype), mlp.labels(data.y, outputs)

    def state(params):
        r"""Outputs (n, K), log L, and −∇ log L."""
        net = mlp.forward(params, x)
        log_loss, slope = log_loss_and_slope(net.phi, y, loss)
        if not np.isfinite(log_loss):
            raise ValueError(f"training: log L is {log_loss} at step {step}; expected a finite number")
        return net.phi, log_loss, mlp.weighted_gradient(params, net, slope.astype(dtype))

    def record(params, phi, log_loss, direction):
        rows.append(_record(params, direction, data, metrics.lead(phi, y), log_loss, time, step))
        if decay:
            if mlp.square_norm(params) < 1e-12 * mlp.square_norm(initial):
                raise ValueError(f"decay = {decay}: the weights have gone to 0; expected a smaller one")
            left = mlp.square_norm(with_decay(params)[1]) / mlp.square_norm(params)
            rows[-1]["stationarity"] = left**0.5 / decay

    def with_decay(params):
        _, log_loss, direction = state(params)
        square = sum(float(np.sum(np.square(p, dtype=float))) for layer in params for p in layer if p is not None)
        gradient = mlp.each(lambda p, g: decay * p - np.exp(log_loss) * g, params, direction)
        return np.exp(log_loss) + 0.5 * decay * square, gradient

    def moved(here):
        nonlocal params, time, step
        params, time, step = here, time + 1, step + 1
        if step % record_every == 0:
            record(params, *state(params))

    rows, time, step, interrupted = [], 0.0, 0, False
    with progress_line(max_steps if decay else 1.0, "train", progress) as bar, np.errstate(all="ignore"), memory.kept():
        if decay:
            interrupted = minimise.over_weights(with_decay, params, bar, max_steps, moved)
        try:
            while not decay:
                phi, log_loss, direction = state(params)
                # as good as zero: rounding in a layer whose weights are 0, from which the flow finds no step
                moves = any(mlp.square_norm([p]) * mlp.square_norm([g]) for p, g in zip(params, direction, strict=True))
                if not (moves or (method == "gd" and mlp.square_norm(direction))):
                    raise ValueError(f"training: the gradient is zero at step {step}; expected live units")
                done = _progress(time, log_loss, step, target_time, target_log_loss, max_steps, start)
                bar.set_postfix_str(f"T={time:.3g} log L={log_loss:.2f}", refresh=False)
                bar.update(max(0.0, done - bar.n))
                if done >= 1:
                    break
                if step % record_every == 0:
                    record(params, phi, log_loss, direction)
                # θ ← θ − lr ∇L with ∇L = L ∇ log L
                lr = LEARNING_RATE if method == "gd" else flow_step(params, direction, log_loss)
                lr = min(lr, (np.inf if target_time is None else target_time) - time)  # end at T, not beyond it
                params = mlp.each(lambda p, g: p + float(lr * np.exp(log_loss)) * g, params, direction)  # noqa: B023
                time, step = time + lr, step + 1
        except KeyboardInterrupt:
            if not rows:
                raise
            interrupted = True
        record(params, *state(params))
    return TrainingRun(params, {key: np.array([row[key] for row in rows]) for key in rows[0]}, interrupted, initial)
