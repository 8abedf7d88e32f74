r"""The tests of the coursework (docs/assignments): each function against a slow one of our own.

They say which value is wrong, by how much, and with which arguments. Every test goes through the same cases, from small
to large, and stops at the first that fails.
"""

import copy
import inspect
import os
import traceback
import warnings

import autograd.numpy as anp
import numpy as np
from autograd import grad
from autograd.tracer import getval
from strategies import (
    flatten,
    sigma,
    slope,
    slow_forward,
    slow_gradient,
    slow_ncc,
    slow_parameter_loss,
    slow_ssim,
    unflatten,
)

from minirecon import Layer, kkt, losses, metrics, mlp
from minirecon.attack import lbfgs, sgd
from minirecon.training import flow_step, log_logistic_loss

ALPHAS = None, 0.5, 3.0, 150.0
LAYERS = None, (1,), (2,)
SMOOTH = 0.25, 1.0  # not so sharp that a derivative of the gates is lost in rounding
FOLLOW = "autograd can't follow this: `np` is autograd's NumPy here, `onp` is not, and no array may be changed in place"


class UnsuitableError(Exception):
    r"""These arguments have no one right answer."""


class ChangedError(Exception):
    r"""What a generator has yielded did not stay as it was."""


def assume(condition):
    if not condition:
        raise UnsuitableError


class Draw:
    r"""Draws the arguments of a case: the first cases have one of everything, the last up to five; small integers."""

    def __init__(self, seed, number, cases, most):
        self.rng, self.most = np.random.default_rng([seed, number]), 1 + most * number // cases

    def count(self, fewest=1, most=9):
        return int(self.rng.integers(fewest, max(fewest, min(self.most, most)) + 1))

    def one_of(self, *options):
        return options[self.rng.integers(len(options))]

    def whole(self, *shape, most=3):
        return self.rng.integers(-most, most + 1, shape).astype(float)

    def not_zero(self, *shape):
        return self.rng.integers(1, 4, shape) * self.rng.choice([-1.0, 1.0], shape)

    def network(self):
        r"""Layers with one output; a bias in the first, and by choice in other hidden ones."""
        depth, biases = self.count(2, 4), self.one_of(False, True)
        widths = [*(self.count() for _ in range(depth)), 1]
        return tuple(
            Layer(
                self.not_zero(widths[k + 1], widths[k]),
                self.not_zero(widths[k + 1]) if k == 0 or (biases and k < depth - 1) else None,
            )
            for k in range(depth)
        )

    def problem(self):
        r"""rng, params, x (m, d), lam (m,), y (m,): a network and candidates."""
        params, m = self.network(), self.count()
        x = self.whole(m, params[0].weight.shape[1])
        return self.rng, params, x, self.rng.integers(1, 4, m).astype(float), self.rng.choice([-1.0, 1.0], m)


def cases(test):
    r"""Decorates a test(draw), which is then called case by case."""

    def every(seed=0, number=60, most=5):
        for case in range(number):
            try:
                test(Draw(seed, case, number, most))
            except UnsuitableError:
                continue

    every.__name__, every.__doc__ = test.__name__, test.__doc__
    return every


def agree(function, *args, expected, what=None, rtol=1e-9, atol=1e-10):
    r"""Fails unless function(*args) is `expected`: numbers, arrays, tuples, lists and dicts of them; or ValueError.

    Of `ValueError("text")`, the message has to have that text. It must leave its arguments as they are. `what` is
    said of a derivative: what is differentiated, and by what.
    """
    what, before, got = what or function.__name__, copy.deepcopy(args), []
    names = list(inspect.signature(function).parameters)
    try:
        got.append(function(*args))
        problem = difference(got[0], expected, rtol, atol, what)
        for name, now, then in zip(names, args, before, strict=False):
            if not problem and difference(now, then, 0, 0, ""):
                problem = f"{what}: has changed its argument {name}; expected it to be left as it is"
    except NotImplementedError:
        raise
    except Exception as error:
        problem = f"{what}: {type(error).__name__}: {error}{place(error)}"
        problem += f"\n{FOLLOW}" * ("Box" in problem)
        if (expected is ValueError or is_error(expected)) and isinstance(error, ValueError):
            wanted = str(expected) if is_error(expected) else ""
            problem = "" if wanted in str(error) else f"{what}: says {str(error)!r}, expected {wanted!r} in it"
        if isinstance(error, ChangedError):
            problem = f"{what}: {error}"
    if problem:
        with np.printoptions(precision=8, threshold=60, linewidth=70):
            given = [f"  {name} = {value!r}" for name, value in zip(names, before, strict=False)]
            lines = [problem, "with", *given, *(["got", shown(got[0])] if got else []), "expected", shown(expected)]
        raise AssertionError("\n".join(lines))


def is_error(value):
    return isinstance(value, ValueError)


def place(error):
    r"""Where in the package it was raised: a line such as "mlp.py:171: z = z + layer.bias", or "" if outside of it."""
    package = os.path.dirname(mlp.__file__) + os.sep
    inside = [frame for frame in traceback.extract_tb(error.__traceback__) if frame.filename.startswith(package)]
    return "".join(f"\n{os.path.basename(at.filename)}:{at.lineno}: {at.line}" for at in inside[-1:])


def shown(value):
    if is_error(value):
        return f"  a ValueError with {str(value)!r}"
    rows = [f"{name}: {one!r}" for name, one in value.items()] if isinstance(value, dict) else [repr(value)]
    return "\n".join(f"  {row}" for row in (["a ValueError"] if value is ValueError else rows))


def difference(got, expected, rtol, atol, at):
    r"""Which value of `got` differs from `expected`, and by how much: text, "" if none does. `at` is its name."""
    if expected is ValueError or is_error(expected):
        return f"{at}: no error, expected a ValueError"
    if isinstance(expected, (dict, tuple, list)):
        keys = list(expected) if isinstance(expected, dict) else list(range(len(expected)))
        found = list(got) if isinstance(got, dict) else list(range(len(got))) if hasattr(got, "__len__") else None
        if found is None:
            return f"{at} is {None if got is None else type(got).__name__}, expected {len(keys)} values"
        if sorted(found, key=str) != sorted(keys, key=str):
            there = f"the keys {found}" if isinstance(got, dict) else f"{len(found)} entries"
            return f"{at} has {there}, expected {keys if isinstance(expected, dict) else len(keys)}"
        fields = getattr(got, "_fields", ())
        named = {key: f".{fields[key]}" if fields else f"[{key!r}]" for key in keys}
        return next(filter(None, (difference(got[k], expected[k], rtol, atol, at + named[k]) for k in keys)), "")
    if got is None or expected is None or isinstance(expected, str) or callable(expected):
        return "" if got is expected or str(got) == str(expected) else f"{at} is {got}, expected {expected}"
    got, expected = np.asarray(got, dtype=float), np.asarray(expected, dtype=float)  # no object equal to everything
    if got.shape != expected.shape:
        return f"{at} has shape {got.shape}, expected {expected.shape}"
    tolerance = atol + rtol * np.abs(expected)
    with np.errstate(invalid="ignore"):
        off = np.abs(got - expected)
    wrong = np.where(np.isfinite(off), off > tolerance, True)
    if not wrong.any():
        return ""
    size = np.where(np.isfinite(off), np.where(wrong, off, -1), np.inf)
    worst = np.unravel_index(np.argmax(size), got.shape)
    where = at + (f"[{', '.join(map(str, worst))}]" if worst else "")
    how = f"off by {off[worst]:.3g}, tolerance {tolerance[worst]:.1g}" if np.isfinite(got[worst]) else "not finite"
    more = f"; {wrong.sum()} of {wrong.size} entries are wrong" if wrong.sum() > 1 else ""
    digits = 8 if f"{got[worst]:.8g}" != f"{expected[worst]:.8g}" else 17
    return f"{where} is {got[worst]:.{digits}g}, expected {expected[worst]:.{digits}g}: {how}{more}"


def slopes(function, *args):
    r"""The derivative of a number by its first argument, by autograd; 0 if it does not depend on that."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # autograd's, that the output seems independent of the input
        return grad(function)(*args)


def along(function, x, way):
    r"""d/dt of a number function(x + t way) at t = 0, by autograd."""
    return np.sum(slopes(function, x) * way)


def total(parts, weights):
    r"""Σ ⟨part, weight⟩, so that one derivative tells of all parts."""
    if any(np.asarray(getval(part)).dtype == object for part in parts):
        raise TypeError("an array of the plain NumPy, full of autograd's ArrayBox")
    return sum(anp.sum(part * weight) for part, weight in zip(parts, weights, strict=True))


def each(params, x, alpha=None, base=None):
    r"""Φ, inputs, z and gates of all samples, by `slow_forward`."""
    every = [slow_forward(params, xi, alpha, base and base[i]) for i, xi in enumerate(x)]
    phi, inputs, z = zip(*every, strict=True)
    inputs, z = ([np.array(part) for part in zip(*parts, strict=True)] for parts in (inputs, z))
    gates = [np.vectorize(lambda v: float(v > 0) if alpha is None else sigma(alpha * v))(part) for part in z[:-1]]
    return np.array(phi)[:, None], inputs, z, gates


def jacobian(params, x, layers=None):
    r"""∇_θ Φ of each sample, a row each; the entries of other layers are 0. And θ, likewise."""
    sizes = [(number, p.size) for number, layer in enumerate(params, 1) for p in layer if p is not None]
    mask = np.concatenate([np.full(size, float(layers is None or number in layers)) for number, size in sizes])
    return np.array([slow_gradient(params, xi) for xi in x]) * mask, flatten(params) * mask


@cases
def test_gate(draw):
    z, alpha = draw.whole(draw.count()), draw.one_of(*ALPHAS)
    expected = [float(v > 0) if alpha is None else sigma(alpha * v) for v in z]
    agree(mlp.gate, z, alpha, expected=np.array(expected))


@cases
def test_gate_can_be_differentiated(draw):
    z, alpha = draw.whole(draw.count()), draw.one_of(0.5, 3.0)

    def derivative(z, alpha):
        return slopes(lambda z: anp.sum(mlp.gate(z, alpha)), z)

    expected = [alpha * sigma(alpha * v) * (1 - sigma(alpha * v)) for v in z]
    agree(derivative, z, alpha, expected=np.array(expected), what="the derivative by z of gate")


@cases
def test_gate_keeps_the_type(draw):
    agree(type_of(mlp.gate), draw.whole(2).astype(np.float32), draw.one_of(*ALPHAS), expected="float32")


def type_of(function):
    r"""The function that returns the type of what `function` returns, with the same parameters."""

    def kind(*args):
        found = function(*args)
        return [str(part.dtype) for part in found] if isinstance(found, tuple) else str(found.dtype)

    kind.__name__, kind.__signature__ = f"the type of {function.__name__}", inspect.signature(function)
    return kind


@cases
def test_forward(draw):
    (_, params, x, _, _), alpha = draw.problem(), draw.one_of(*ALPHAS)
    agree(mlp.forward, params, x, alpha, expected=each(params, x, alpha))


@cases
def test_forward_can_be_differentiated(draw):
    r"""Each part by x: finite differences of the smooth function with the modified ReLU's slopes at x."""
    (rng, params, x, _, _), alpha = draw.problem(), draw.one_of(*SMOOTH)
    base, way = [slow_forward(params, xi)[2] for xi in x], draw.not_zero(*x.shape)
    shapes = mlp.Pass(*each(params, x, alpha))
    weights = {name: [rng.integers(1, 4, np.shape(one)) for one in part] for name, part in shapes._asdict().items()}

    def derivatives(params, x, alpha, way):
        def of(name):
            return lambda x: total(getattr(mlp.forward(params, x, alpha), name), weights[name])

        return {name: along(of(name), x, way) for name in weights}

    def smooth(x, name):
        return total(getattr(mlp.Pass(*each(params, x, alpha, base)), name), weights[name])

    expected = {name: slope(lambda x, name=name: smooth(x, name), x, way) for name in weights}
    scale = 1e-6 * (1 + max(np.abs(one).max() for part in shapes for one in part))
    what = "d/dt at t = 0 of forward(params, x + t way, alpha)"
    agree(derivatives, params, x, alpha, way, expected=expected, what=what, rtol=1e-4, atol=scale)


@cases
def test_backward(draw):
    r"""A signal is the derivative with respect to the bias: give every layer one."""
    (_, params, x, lam, y), alpha = draw.problem(), draw.one_of(*ALPHAS)
    params = tuple(Layer(w, np.zeros(len(w)) if b is None else b) for w, b in params)
    gradients = [unflatten(c * slow_gradient(params, xi, alpha), params) for c, xi in zip(lam * y, x, strict=True)]
    expected = [np.array([gradient[layer].bias for gradient in gradients]) for layer in range(len(params))]
    agree(mlp.backward, params, each(params, x, alpha)[3], (lam * y)[:, None], expected=expected)


@cases
def test_backward_can_be_differentiated(draw):
    r"""By the gates and by c, of which a signal is a product."""
    _, params, x, lam, y = draw.problem()
    gates = mlp.Pass(*each(params, x)).gates
    start = [draw.not_zero(*s.shape) for s in gates]
    coeff, way = (lam * y)[:, None], draw.not_zero(len(x), 1)
    ways = [draw.not_zero(*s.shape) for s in gates]

    def slow(t):
        r"""The sum of all signals, path by path: they are products of numbers."""
        found = 0.0
        for i in range(len(x)):
            row = [coeff[i, 0] + t * way[i, 0]]
            found += row[0]
            for k in range(len(gates) - 1, -1, -1):
                moved, back = start[k][i] + t * ways[k][i], params[k + 1].weight
                row = [sum(row[j] * back[j][u] for j in range(len(row))) * moved[u] for u in range(len(moved))]
                found += sum(row)
        return found

    def derivative(params, gates, coeff, ways, way):
        def moved(t):
            gates_at_t = [s + t * w for s, w in zip(gates, ways, strict=True)]
            found = mlp.backward(params=params, gates=gates_at_t, coeff=coeff + t * way)
            return total(found, [1.0] * len(found))

        return along(moved, 0.0, 1.0)

    expected = (slow(1e-4) - slow(-1e-4)) / 2e-4
    what = "d/dt at t = 0 of the sum of backward(params, gates + t ways, coeff + t way)"
    scale = 1e-6 * (1 + abs(slow(1.0)) + abs(slow(-1.0)))
    agree(derivative, params, start, coeff, ways, way, expected=expected, what=what, rtol=1e-5, atol=scale)


@cases
def test_weighted_gradient(draw):
    (_, params, x, lam, y), alpha = draw.problem(), draw.one_of(*ALPHAS)
    net = mlp.Pass(*each(params, x, alpha))
    total = sum(c * slow_gradient(params, xi, alpha) for c, xi in zip(lam * y, x, strict=True))
    agree(mlp.weighted_gradient, params, net, (lam * y)[:, None], expected=unflatten(total, params))


@cases
def test_weighted_gradient_can_be_differentiated(draw):
    r"""By x, the gradient of a gradient: finite differences of the smooth function as in `forward`; and by c."""
    (_, params, x, lam, y), alpha = draw.problem(), draw.one_of(*SMOOTH)
    base, way = [slow_forward(params, xi)[2] for xi in x], draw.not_zero(*x.shape)
    weights = unflatten(draw.not_zero(*flatten(params).shape), params)
    coeff, turn = (lam * y)[:, None], draw.not_zero(len(x), 1)

    def explained(x, coeff):
        found = mlp.weighted_gradient(params=params, net=mlp.forward(params, x, alpha), coeff=coeff)
        pairs = [(g, w) for pair in zip(found, weights, strict=True) for g, w in zip(*pair, strict=True)]
        return total(*zip(*[(g, w) for g, w in pairs if w is not None], strict=True))

    def derivatives(params, x, alpha, coeff, way, turn):
        mlp.weighted_gradient(params=params, net=mlp.Pass(*each(params, x, alpha)), coeff=coeff)  # the task comes first
        return {
            "x + t way": along(lambda x: explained(x, coeff), x, way),
            "coeff + t turn": along(lambda coeff: explained(x, coeff), coeff, turn),
        }

    def slow(x, c):
        rows = [slow_gradient(params, xi, alpha, b) for xi, b in zip(x, base, strict=True)]
        return c[:, 0] @ np.array(rows) @ flatten(weights)

    expected = dict(
        zip(
            ("x + t way", "coeff + t turn"),
            (slope(lambda x: slow(x, coeff), x, way), slow(x, turn)),
            strict=True,
        )
    )
    what = "d/dt at t = 0 of weighted_gradient with"
    scale = 1e-6 * (1 + abs(slow(x, coeff)))
    agree(derivatives, params, x, alpha, coeff, way, turn, expected=expected, what=what, rtol=1e-4, atol=scale)


@cases
def test_log_logistic_loss(draw):
    q = draw.whole(draw.count(), most=30)
    loss = np.mean(np.log1p(np.exp(-q)))
    agree(log_logistic_loss, q, expected=(np.log(loss), 1 / (1 + np.exp(q)) / loss))


def far(draw):
    r"""Beyond all that `exp` can hold first, where what is wrong is plainly wrong."""
    return draw.rng.integers(800 if draw.most < 3 else 40, 5000, draw.count()).astype(float)


@cases
def test_log_logistic_loss_of_large_margins(draw):
    r"""There log(1 + e⁻q) is e⁻q to the last digit. No sum over e⁻q itself: it would be 0."""
    q = far(draw)
    share = np.exp(q.min() - q)
    agree(log_logistic_loss, q, expected=(np.log(np.mean(share)) - q.min(), share / np.mean(share)))


@cases
def test_log_logistic_loss_of_wrong_samples(draw):
    r"""There log(1 + e⁻q) is −q to the last digit, and σ(−q) is 1. No e⁻q: it would overflow."""
    q = -far(draw)
    agree(log_logistic_loss, q, expected=(np.log(np.mean(-q)), np.ones(len(q)) / np.mean(-q)))


@cases
def test_flow_step(draw):
    params, size, log_loss = draw.network(), draw.one_of(0.01, 1.0, 10.0), draw.one_of(0.0, -1.0, -30.0)
    direction = unflatten(size * draw.not_zero(*flatten(params).shape), params)
    loss, squares = np.exp(log_loss), [np.sum(flatten([layer]) ** 2) for layer in direction]
    ratios = [np.sum(flatten([layer]) ** 2) / square for layer, square in zip(params, squares, strict=True)]
    steps = [0.02 / (loss * sum(squares)), *(0.05 * ratio**0.5 / loss for ratio in ratios)]
    agree(flow_step, params, direction, log_loss, expected=min(steps), atol=0)


@cases
def test_flow_step_without_a_layer(draw):
    r"""A layer whose norm or gradient is 0 has no say in the second bound, which is here the smaller."""
    (first, *others), zero = draw.network(), draw.one_of("norm", "gradient")
    small = [unflatten(1e-6 * draw.not_zero(*flatten([layer]).shape), [layer])[0] for layer in (first, *others)]
    nothing = unflatten(np.zeros(flatten([first]).shape), [first])[0]
    params, direction = (first, *others), (nothing, *small[1:])
    if zero == "norm":
        params, direction = (nothing, *others), tuple(small)
    norms = [[np.sum(flatten([layer]) ** 2) ** 0.5 for layer in layers[1:]] for layers in (params, direction)]
    expected = min(0.05 * theta / g for theta, g in zip(*norms, strict=True))
    agree(flow_step, params, direction, 0.0, expected=expected, atol=0)


@cases
def test_margins(draw):
    _, params, x, _, y = draw.problem()
    agree(kkt.margins, params, x, y, expected=y * each(params, x)[0][:, 0])


@cases
def test_hard_margin(draw):
    r"""The KKT conditions of the SVM, which are sufficient: what returns zeros here is the SVM."""
    n, d, bias, size = 1 + draw.count(), draw.count(2, 4), draw.one_of(True, False), draw.one_of(1, 0.01, 50)
    y, x = np.where(np.arange(n) % 2, 1.0, -1.0), draw.whole(n, d)
    x[:, 0] = y * draw.rng.integers(1, 5, n) + 3 * bias  # the first coordinate separates them

    def kkt_conditions_of_hard_margin(x, y, bias):
        w, b, lam = kkt.hard_margin(x, y, bias)
        q = y * (x @ w + b)
        balance = lam @ y * size**2 if bias else b
        units = [(w - (lam * y) @ x) * size, balance, np.minimum(lam, 0) * size**2]
        return dict(zip(zeros, [*units, min(q.min() - 1, 0), lam * (q - 1) * size**2], strict=True))

    zeros = {"w − Σ λyx": np.zeros(d), "Σ λy" if bias else "b": 0, "λ, where below 0": np.zeros(n)}
    zeros |= {"smallest margin − 1, if below 0": 0, "λ (margin − 1)": np.zeros(n)}
    agree(kkt_conditions_of_hard_margin, size * x, y, bias, expected=zeros, atol=1e-5)


def test_hard_margin_by_hand():
    r"""Two points: w = 2 (x₊ − x₋) / ‖x₊ − x₋‖², and both λ are 2 / ‖x₊ − x₋‖². The third is too far away to matter."""
    x, y = np.array([[1.0, 0.0], [4.0, 4.0], [9.0, 9.0]]), np.array([-1.0, 1.0, 1.0])
    expected = (np.array([6.0, 8.0]) / 25, -31 / 25, np.array([0.08, 0.08, 0]))
    agree(kkt.hard_margin, x, y, expected=expected, atol=1e-6)
    agree(kkt.hard_margin, np.array([[0.0], [1.0], [2.0]]), np.array([1.0, -1.0, 1.0]), expected=ValueError)


def test_hard_margin_refuses_labels():
    x = np.array([[-1.0], [1.0]])
    agree(kkt.hard_margin, x, np.array([-2.0, 2.0]), expected=ValueError)
    agree(kkt.hard_margin, x, np.array([0.0, 1.0]), expected=ValueError)
    agree(kkt.hard_margin, x, np.array([-1.0, 1.0, 1.0]), expected=ValueError)


@cases
def test_tangent_kernel(draw):
    (_, params, x, _, _), layers = draw.problem(), draw.one_of(*LAYERS)
    other = draw.whole(3, x.shape[1]) if draw.one_of(False, True) else None
    rows = jacobian(params, x, layers)[0]
    columns = rows if other is None else jacobian(params, other, layers)[0]
    agree(kkt.tangent_kernel, params, x, other, layers, expected=rows @ columns.T)


@cases
def test_dual(draw):
    (_, params, x, _, y), layers = draw.problem(), draw.one_of(*LAYERS)
    rows, theta = jacobian(params, x, layers)
    rows *= y[:, None]
    agree(kkt.dual, params, x, y, layers, expected=(rows @ rows.T, rows @ theta))


@cases
def test_multipliers(draw):
    r"""Of a convex problem with λ ≥ 0: λ ≥ 0, slope ≥ 0, and one of the two is 0. What returns zeros solves it."""
    (_, params, x, _, y), layers = draw.problem(), draw.one_of(*LAYERS)
    rows, theta = jacobian(params, x, layers)
    rows *= y[:, None]
    scale = 1 + np.linalg.norm(theta) * np.linalg.norm(rows)

    def conditions_of_multipliers(params, x, y, layers):
        lam = kkt.multipliers(params, x, y, layers)
        slopes = -rows @ (theta - lam @ rows) / scale
        found = np.minimum(lam, 0), np.minimum(slopes, 0), lam * slopes / (1 + lam.max())
        return dict(zip(zeros, found, strict=True))

    zeros = dict.fromkeys(("λ, where below 0", "slope by λ, where below 0", "λ times slope"), np.zeros(len(x)))
    agree(conditions_of_multipliers, params, x, y, layers, expected=zeros, atol=1e-6)


@cases
def test_layer_residual(draw):
    (layer, a, d, z), expected = residual_case(draw)

    def layer_residual(layer, a, d, z):
        return losses.layer_residual(layer, a, d, z)

    agree(layer_residual, layer, a, d, z, expected=expected["value"])


@cases
def test_layer_residual_can_be_differentiated(draw):
    r"""In D and A; with z given, and the Gram form the cheaper one, z stays as it is."""
    (layer, a, d, z), expected = residual_case(draw)

    def derivatives(layer, a, d, z):
        def value(d, a):
            return losses.layer_residual(layer, a, d, z)

        return {"by d": grad(value, 0)(d, a), "by a": grad(value, 1)(d, a)}

    del expected["value"]
    agree(derivatives, layer, a, d, z, expected=expected, what="the derivative of layer_residual")


def residual_case(draw):
    r"""The arguments of `layer_residual`, its value and derivatives."""
    m, fan_out, fan_in = draw.count(), draw.count(), draw.count()
    d, a, weight = draw.not_zero(m, fan_out), draw.not_zero(m, fan_in), draw.not_zero(fan_out, fan_in)
    bias = draw.not_zero(fan_out) if draw.one_of(False, True) else None
    given_z = draw.one_of(False, True)
    misfit, ones = d.T @ a - weight, np.ones((m, m)) * (bias is not None)
    off = d.sum(axis=0) - bias if bias is not None else np.zeros(fan_out)
    z = a @ weight.T + (bias if bias is not None else 0)
    by_d, by_a = 2 * (a @ misfit.T + off), 2 * d @ misfit
    if given_z and 1.5 * m * m * (fan_out + fan_in) < 3 * m * fan_out * fan_in:
        by_d, by_a = 2 * ((a @ a.T + ones) @ d - z), 2 * d @ d.T @ a
    expected = {"value": np.sum(misfit**2) + off @ off, "by d": by_d, "by a": by_a}
    return (Layer(weight, bias), a, d, z if given_z else None), expected


@cases
def test_parameter_loss(draw):
    (_, params, x, lam, y), alpha = draw.problem(), draw.one_of(*ALPHAS)
    expected = slow_parameter_loss(params, x, lam, y, alpha)
    agree(losses.parameter_loss, params, x, lam, y, alpha, expected=expected)


@cases
def test_parameter_loss_can_be_differentiated(draw):
    r"""In x, through the gates: finite differences of the smooth function with the modified ReLU's slopes at x."""
    (_, params, x, lam, y), alpha = draw.problem(), draw.one_of(*SMOOTH)
    base, way = [slow_forward(params, xi)[2] for xi in x], draw.not_zero(*x.shape)
    expected = slope(lambda x: slow_parameter_loss(params, x, lam, y, alpha, base), x, way)

    def derivative(params, x, lam, y, alpha, way):
        return along(lambda x: losses.parameter_loss(params, x, lam, y, alpha), x, way)

    what, scale = "d/dt at t = 0 of parameter_loss(…, x + t way, …)", slow_parameter_loss(params, x, lam, y, alpha)
    scale = 1e-6 * (1 + scale)
    agree(derivative, params, x, lam, y, alpha, way, expected=expected, what=what, rtol=1e-4, atol=scale)


@cases
def test_parameter_loss_can_be_differentiated_by_lambda(draw):
    (_, params, x, lam, y), alpha = draw.problem(), draw.one_of(*ALPHAS)
    way = draw.not_zero(*lam.shape)
    expected = slope(lambda lam: slow_parameter_loss(params, x, lam, y, alpha), lam, way)

    def derivative(params, x, lam, y, alpha, way):
        return along(lambda lam: losses.parameter_loss(params, x, lam, y, alpha), lam, way)

    what, scale = "d/dt at t = 0 of parameter_loss(…, lam + t way, …)", slow_parameter_loss(params, x, lam, y, alpha)
    scale = 1e-6 * (1 + scale)
    agree(derivative, params, x, lam, y, alpha, way, expected=expected, what=what, rtol=1e-4, atol=scale)


@cases
def test_residual(draw):
    _, params, x, lam, y = draw.problem()
    misfit = unflatten(flatten(params) - (lam * y) @ jacobian(params, x)[0] / len(y), params)
    parts, theta = [float(np.sum(flatten([layer]) ** 2)) for layer in misfit], float(np.sum(flatten(params) ** 2))
    expected = {"total": sum(parts), "relative": sum(parts) / theta, "per_layer": parts, "zero_lambda": theta}
    agree(losses.residual, params, x, lam, y, expected=expected, atol=1e-9)


@cases
def test_residual_of_float32(draw):
    r"""Computed in float64. A tenth is no number of either, and another one in each."""
    params, x, lam, y = tenths(draw)
    exact = tuple(Layer(*(None if p is None else p.astype(float) for p in layer)) for layer in params)
    expected = slow_parameter_loss(exact, x.astype(float), lam, y)

    def total_of_residual(params, x, lam, y):
        return losses.residual(params, x, lam, y)["total"]

    agree(total_of_residual, params, x, lam, y, expected=expected)


@cases
def test_residual_holds_plain_floats(draw):
    params, x, lam, y = tenths(draw)

    def types_in_residual(params, x, lam, y):
        found = losses.residual(params, x, lam, y)
        return {name: type(one[0] if name == "per_layer" else one).__name__ for name, one in found.items()}

    expected = dict.fromkeys(("total", "relative", "per_layer", "zero_lambda"), "float")
    agree(types_in_residual, params, x, lam, y, expected=expected)


def tenths(draw):
    r"""params and x in float32, lam and y."""
    _, params, x, lam, y = draw.problem()
    params = tuple(Layer(*(None if p is None else (p / 10).astype(np.float32) for p in layer)) for layer in params)
    return params, (x / 10).astype(np.float32), lam, y


@cases
def test_lambda_loss(draw):
    lam, lam_min = draw.whole(draw.count()), draw.one_of(1.0, 2.0, 0.5)
    agree(losses.lambda_loss, lam, lam_min, expected=sum((lam_min - v) ** 2 for v in lam if v < lam_min))


@cases
def test_lambda_loss_can_be_differentiated(draw):
    lam, lam_min = draw.whole(draw.count()), draw.one_of(1.0, 2.0, 0.5)

    def derivative(lam, lam_min):
        return slopes(losses.lambda_loss, lam, lam_min)

    expected = np.array([-2 * (lam_min - v) if v < lam_min else 0.0 for v in lam])
    agree(derivative, lam, lam_min, expected=expected, what="the derivative by lam of lambda_loss")


@cases
def test_range_loss(draw):
    x, (low, high) = draw.whole(draw.count()), draw.one_of((-1.0, 1.0), (0.0, 2.0), (-2.0, -1.5))
    expected = sum((v - high) ** 2 for v in x if v > high) + sum((low - v) ** 2 for v in x if v < low)

    def range_loss(x, low, high):
        return losses.range_loss(x, low, high)

    agree(range_loss, x, low, high, expected=expected)
    agree(range_loss, np.tile(x, (2, 1)), low, high, expected=2 * expected)


@cases
def test_range_loss_can_be_differentiated(draw):
    r"""The derivative stands below the function. It needs x as it was."""
    x, (low, high) = draw.whole(draw.count()), draw.one_of((-1.0, 1.0), (0.0, 2.0), (-2.0, -1.5))

    def derivative(x, low, high):
        return slopes(losses.range_loss, x, low, high)

    expected = np.array([2 * (v - high) if v > high else 2 * (v - low) if v < low else 0.0 for v in x])
    agree(derivative, x, low, high, expected=expected, what="the derivative by x of range_loss")


def slow_margin_loss(y):
    def value(phi):
        gamma = np.sqrt(np.mean(phi**2))
        return np.mean((y * phi / gamma - 1) ** 2)

    return value


@cases
def test_margin_loss(draw):
    phi = draw.not_zero(draw.count())
    y = draw.rng.choice([-1.0, 1.0], len(phi))
    agree(losses.margin_loss, phi[:, None], y, expected=slow_margin_loss(y)(phi))


@cases
def test_margin_loss_can_be_differentiated(draw):
    phi = draw.not_zero(draw.count(2))
    y, way = draw.rng.choice([-1.0, 1.0], len(phi)), draw.not_zero(len(phi))

    def derivative(phi, y, way):
        return along(lambda phi: losses.margin_loss(phi, y), phi, way[:, None])

    expected, what = slope(slow_margin_loss(y), phi, way), "d/dt at t = 0 of margin_loss(phi + t way, y)"
    agree(derivative, phi[:, None], y, way, expected=expected, what=what, rtol=1e-4, atol=1e-5)


@cases
def test_margin_loss_keeps_the_type(draw):
    r"""Of the derivative, which the attack uses."""
    phi = draw.not_zero(draw.count(2), 1).astype(np.float32)
    y = draw.rng.choice([-1.0, 1.0], len(phi)).astype(np.float32)

    def derivative(phi, y):
        return str(grad(losses.margin_loss)(phi, y).dtype)

    agree(derivative, phi, y, expected="float32", what="the type of the derivative by phi of margin_loss")


@cases
def test_sgd(draw):
    r"""PyTorch's rule, v ← μ v + ∇ and u ← u − lr v, one step more each time; two unknowns with rates of their own."""
    momentum, moving, m = draw.one_of(0.0, 0.5, 0.9), draw.one_of(0, 1), draw.count()
    x, lam = draw.whole(m, 2), draw.whole(m)
    v, w = (moving * draw.whole(*u.shape) for u in (x, lam))
    rates = np.array(draw.one_of((0.5, 0.25), (0.1, 0.01)))

    def gradient(x, lam):
        return [np.sin(x) + lam[:, None], lam**2 - x.sum(axis=1)]

    def steps_of_sgd(unknowns, velocities, rates, momentum, count):
        steps, found, kept = sgd.sgd(gradient, unknowns, velocities, rates, momentum), [], []
        for _ in range(count):
            found.append([list(part) for part in next(steps)])
            kept.append(copy.deepcopy(found[-1]))
        if difference(found, kept, 0, 0, ""):
            raise ChangedError("what was yielded before has changed; expected new arrays in each step")
        return found

    begin, expected = ([x, lam], [v, w]), []
    for _ in range(4):
        by_x, by_lam = np.sin(x) + lam[:, None], lam**2 - x.sum(axis=1)
        v, w = momentum * v + by_x, momentum * w + by_lam
        x, lam = x - rates[0] * v, lam - rates[1] * w
        expected.append([[x, lam], [v, w]])
    agree(steps_of_sgd, *begin, rates, momentum, 4, expected=expected)


@cases
def test_span(draw):
    r"""Against the eigenvectors of WᵀW, whose signs are nobody's."""
    fan_out, d, k, power = draw.count(), draw.count(), draw.count(), draw.one_of(0.5, 0.25, 0.4)
    weight = draw.whole(fan_out, d, most=9) + np.eye(fan_out, d) * 2.0 ** np.arange(4, d + 4)
    values, vectors = np.linalg.eigh(weight.T @ weight)
    count = min(k, fan_out, d)
    vectors, s = vectors[:, ::-1][:, :count], np.sqrt(values[::-1][:count])
    assume(count < 2 or np.min(s[:-1] / s[1:]) > 1.01)

    def cosines_and_scale(weight, k, power):
        v, scale = lbfgs.span(weight, k, power)
        return np.abs(vectors.T @ v), scale

    expected = (np.eye(count), np.sqrt(s ** (2 * power) * np.sum(s ** (2 - 2 * power)) / (s @ s)))
    agree(cosines_and_scale, weight, k, power, expected=expected, rtol=1e-6, atol=1e-6)


@cases
def test_span_keeps_the_type(draw):
    weight = draw.not_zero(draw.count(2), draw.count(2)).astype(np.float32)
    agree(type_of(lbfgs.span), weight, draw.count(), 0.5, expected=["float32", "float32"])


def image_pair(draw):
    r"""Images (n, c, h, w) and (m, c, h, w); a channel may be constant."""
    c, h, w = draw.count(1, 3), draw.count(2, 4), draw.count(2, 4)
    a, b = (draw.rng.integers(0, 11, (draw.count(1, 3), c, h, w)) / 10 for _ in range(2))
    if draw.one_of(False, True):
        a[0, 0] = a[0, 0, 0, 0]
    return a, b


@cases
def test_standardise(draw):
    images = image_pair(draw)[0]
    expected = []
    for image in images:
        centred = [channel.ravel() - channel.mean() for channel in image]
        sizes = [np.sqrt(np.sum(channel**2)) for channel in centred]
        expected.append([c / size if size > 1e-12 else 0 * c for c, size in zip(centred, sizes, strict=True)])
    agree(metrics.standardise, images, expected=np.array(expected).reshape(len(images), -1))


@cases
def test_ncc(draw):
    a, b = image_pair(draw)
    agree(metrics.ncc, a, b, expected=slow_ncc(a, b))


def refuses(function, *pairs):
    r"""Fails unless `function` raises a ValueError with both shapes for images of zeros of each of these pairs."""

    def of_zeros(a, b):
        return function(np.zeros(a), np.zeros(b))

    for a, b in pairs:
        what = f"{function.__name__} of zeros of shapes a and b"
        agree(of_zeros, a, b, expected=ValueError(f"images of shapes {a} and {b}"), what=what)


def test_ncc_refuses_shapes():
    refuses(metrics.ncc, ((1, 2, 2), (1, 2, 2)), ((1, 1, 3, 3), (1, 1, 3, 4)), ((1, 2, 2, 2), (1, 1, 2, 4)))


@cases
def test_ssim(draw):
    pair = image_pair(draw)
    a, b = (images[: min(map(len, pair))] for images in pair)
    expected = [np.mean([slow_ssim(p, q) for p, q in zip(*images, strict=True)]) for images in zip(a, b, strict=True)]
    agree(metrics.ssim, a, b, expected=np.array(expected))


def test_ssim_refuses_shapes():
    small = (1, 1, 1, 4)
    refuses(
        metrics.ssim, ((1, 2, 2), (1, 2, 2)), ((1, 1, 3, 3), (1, 1, 3, 4)), ((2, 1, 3, 3), (3, 1, 3, 3)), (small, small)
    )


@cases
def test_stretch(draw):
    x = draw.whole(draw.count(), draw.count())
    expected = [[(v - min(row)) / (max(row) - min(row)) if max(row) > min(row) else 0 for v in row] for row in x]
    agree(metrics.stretch, x, expected=np.array(expected))


def slow_soft_margin(phi, y):
    r"""s (n,) and ∂s/∂Φ (n, K), output by output; the largest rival is taken out of the logarithm."""
    s, slopes = [], []
    for row, own in zip(phi, y, strict=True):
        rivals = [j for j in range(len(row)) if j != own]
        top = max(row[j] for j in rivals)
        total = sum(np.exp(row[j] - top) for j in rivals)
        s.append(row[own] - top - np.log(total))
        slopes.append([1.0 if j == own else -np.exp(row[j] - top) / total for j in range(len(row))])
    return np.array(s), np.array(slopes)


def slow_minus_logistic_loss(phi, y):
    r"""−log(1 + e⁻ˢ) and its slope by the chain rule, with no e of anything above 0."""
    s, by_phi = (y * phi[:, 0], y[:, None]) if phi.shape[1] == 1 else slow_soft_margin(phi, y)
    small = np.exp(-np.abs(s))
    sigma_of_minus_s = np.where(s > 0, small, 1) / (1 + small)
    return np.minimum(s, 0) - np.log1p(small), sigma_of_minus_s[:, None] * by_phi


def outputs(draw, fewest=2, shifts=(0.0, 1000.0, -1000.0)):
    r"""phi (n, K), y (n,): outputs, small or large, and labels 0 … K − 1; −1 and +1 for one output."""
    count = draw.count(fewest, 4)
    phi = draw.whole(draw.count(1, 4), count) + draw.one_of(*shifts)
    return phi, draw.rng.integers(0, count, len(phi)) if count > 1 else draw.rng.choice([-1.0, 1.0], len(phi))


def differentiated(function, slow, draw, phi, y):
    r"""Both parts of `function`, s and slope, against finite differences of `slow`, along some way."""
    way, by_s, by_slope = draw.not_zero(*phi.shape), draw.not_zero(len(phi)), draw.not_zero(*phi.shape)
    weights = {"s": (by_s, 0 * by_slope), "slope": (0 * by_s, by_slope)}

    def derivatives(phi, y, way):
        return {name: along(lambda phi, w=w: total(function(phi, y), w), phi, way) for name, w in weights.items()}

    expected = {name: slope(lambda phi, w=w: total(slow(phi, y), w), phi, way, 1e-5) for name, w in weights.items()}
    what = f"d/dt at t = 0 of {function.__name__}(phi + t way, y)"
    agree(derivatives, phi, y, way, expected=expected, what=what, rtol=1e-4, atol=1e-5)


def keeps_the_type(function, phi, y):
    y = y.astype(np.float32) if phi.shape[1] == 1 else y
    agree(type_of(function), phi.astype(np.float32), y, expected=["float32", "float32"])


@cases
def test_soft_margin(draw):
    phi, y = outputs(draw)
    phi[np.arange(len(y)), y] += draw.one_of(0.0, 1000.0)
    agree(mlp.soft_margin, phi, y, expected=slow_soft_margin(phi, y))


@cases
def test_soft_margin_can_be_differentiated(draw):
    differentiated(mlp.soft_margin, slow_soft_margin, draw, *outputs(draw, shifts=(0.0,)))


@cases
def test_soft_margin_keeps_the_type(draw):
    keeps_the_type(mlp.soft_margin, *outputs(draw, shifts=(0.0,)))


@cases
def test_minus_logistic_loss(draw):
    phi, y = draw.whole(draw.count(), 1) + draw.one_of(0.0, 1000.0, -1000.0), None
    y = draw.rng.choice([-1.0, 1.0], len(phi))
    agree(mlp.minus_logistic_loss, phi, y, expected=slow_minus_logistic_loss(phi, y))


@cases
def test_minus_logistic_loss_of_several_outputs(draw):
    phi, y = outputs(draw)
    agree(mlp.minus_logistic_loss, phi, y, expected=slow_minus_logistic_loss(phi, y))


@cases
def test_minus_logistic_loss_can_be_differentiated(draw):
    differentiated(mlp.minus_logistic_loss, slow_minus_logistic_loss, draw, *outputs(draw, 1, (0.0,)))


@cases
def test_minus_logistic_loss_keeps_the_type(draw):
    keeps_the_type(mlp.minus_logistic_loss, *outputs(draw, 1, (0.0,)))


def slow_minus_square_loss(phi, y):
    pairs = list(zip(phi[:, 0], y, strict=True))
    return np.array([-((f - t) ** 2) for f, t in pairs]), np.array([[2 * (t - f)] for f, t in pairs])


@cases
def test_minus_square_loss(draw):
    phi = draw.whole(draw.count(), 1)
    y = draw.whole(len(phi))
    agree(mlp.minus_square_loss, phi, y, expected=slow_minus_square_loss(phi, y))


@cases
def test_minus_square_loss_can_be_differentiated(draw):
    phi = draw.whole(draw.count(), 1)
    differentiated(mlp.minus_square_loss, slow_minus_square_loss, draw, phi, draw.whole(len(phi)))


@cases
def test_minus_square_loss_keeps_the_type(draw):
    phi = draw.whole(draw.count(), 1)
    keeps_the_type(mlp.minus_square_loss, phi, draw.whole(len(phi)))


@cases
def test_signed(draw):
    t = draw.whole(draw.count(), draw.count(1, 4))
    for row in t:
        assume(len(row) == 1 or np.sum(np.abs(row) == np.abs(row).max()) == 1)  # or two outputs would do
    lam = [max(abs(v) for v in row) for row in t]
    y = [[abs(v) for v in row].index(max(abs(v) for v in row)) for row in t]
    if t.shape[1] == 1:
        y = [1 if row[0] >= 0 else -1 for row in t]
    agree(lbfgs.signed, t, expected=(np.array(lam), np.array(y)))


@cases
def test_signed_keeps_the_type(draw):
    r"""Of λ, and of the labels −1 and +1."""
    agree(type_of(lbfgs.signed), draw.whole(draw.count(), 1).astype(np.float32), expected=["float32", "float32"])


def slow_distinct_units(params, cosine):
    weight, bias = params[0]
    rows = weight if bias is None else np.column_stack([weight, bias])
    norms = [np.sqrt(sum(v * v for v in row)) for row in rows]
    new = []
    for row, norm in zip(rows, norms, strict=True):
        if norm > 1e-3 * max(norms):
            unit = [v / norm for v in row]
            cosines = [sum(a * b for a, b in zip(unit, other, strict=True)) for other in new]
            assume(all(abs(c - cosine) > 1e-9 for c in cosines))
            if not any(c > cosine for c in cosines):
                new.append(unit)
    return len(new)


@cases
def test_distinct_units(draw):
    d, cosine, (_, *others) = draw.count(2, 3), draw.one_of(0.0, 0.5, 0.9, 0.99), draw.network()
    params = (Layer(draw.not_zero(3 * draw.most, d), draw.not_zero(3 * draw.most)), *others)
    agree(kkt.distinct_units, params, cosine, expected=slow_distinct_units(params, cosine))


@cases
def test_distinct_units_of_copies(draw):
    r"""Units of several sizes, their opposites, some of no weight, and a layer without a bias."""
    rng, (first, *others), copies = draw.rng, draw.network(), 2 * draw.most
    sizes = rng.choice(draw.one_of([-1.0, 1.0], [1.0]), copies) * rng.choice([0.0, 1e-5, 0.5, 1.0, 2.0], copies)
    which = rng.integers(0, len(first.weight), copies)
    weight, bias = sizes[:, None] * first.weight[which], sizes * first.bias[which]
    for layer in (Layer(weight, bias), Layer(weight, None)):
        params = (layer, *others)
        assume(np.linalg.norm(weight, axis=1).max() > 0.1)
        agree(kkt.distinct_units, params, 0.99, expected=slow_distinct_units(params, 0.99))
