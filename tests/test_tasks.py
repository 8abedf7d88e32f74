r"""The tests of the coursework (docs/assignments): each function against a slow one of our own.

They say with which arguments a function was called, what it returned, and what was expected.
"""

import inspect

import autograd.numpy as anp
import numpy as np
from autograd import grad
from hypothesis import assume, given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from strategies import (
    flatten,
    networks,
    problems,
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

ALPHAS = st.sampled_from([None, 0.5, 3.0, 150.0])
NUMBERS = arrays(float, st.integers(1, 6), elements=st.floats(-3, 3))
LAYERS = st.none() | st.just((1,)) | st.just((2,))


def agree(function, *args, expected, rtol=1e-9, atol=1e-10):
    r"""Fails unless function(*args) is `expected`: numbers, arrays, tuples, lists and dicts of them; or ValueError."""
    try:
        got = function(*args)
        problem = "" if same(got, expected, rtol, atol) else "wrong result"
    except NotImplementedError:
        raise
    except Exception as error:
        got = f"{type(error).__name__}: {error}"
        problem = "" if expected is ValueError and isinstance(error, ValueError) else got
    if problem:
        with np.printoptions(precision=8, threshold=60, linewidth=70):
            names = list(inspect.signature(function).parameters)
            given = [f"  {name} = {value!r}" for name, value in zip(names, args, strict=False)]
            lines = [
                f"{function.__name__}: {problem}, with",
                *given,
                "got",
                shown(got),
                "expected",
                shown(expected),
            ]
        raise AssertionError("\n".join(lines))


def shown(value):
    rows = [f"{name}: {one!r}" for name, one in value.items()] if isinstance(value, dict) else [repr(value)]
    return "\n".join(f"  {row}" for row in (["a ValueError"] if value is ValueError else rows))


def same(got, expected, rtol, atol):
    if expected is ValueError:
        return False  # there was none
    if isinstance(expected, dict):
        return got.keys() == expected.keys() and all(same(got[k], expected[k], rtol, atol) for k in expected)
    if isinstance(expected, (tuple, list)):
        pairs = zip(got, expected, strict=True)
        return len(got) == len(expected) and all(same(*pair, rtol, atol) for pair in pairs)
    if got is None or expected is None:
        return got is expected
    got = np.asarray(got, dtype=float)  # numbers, not an object that is equal to everything
    return got.shape == np.shape(expected) and np.allclose(got, expected, rtol, atol)


def each(params, x, alpha=None):
    r"""Φ, inputs, z and gates of all samples, by `slow_forward`."""
    phi, inputs, z = zip(*(slow_forward(params, xi) for xi in x), strict=True)
    inputs, z = ([np.array(part) for part in zip(*parts, strict=True)] for parts in (inputs, z))
    gates = [np.vectorize(lambda v: float(v > 0) if alpha is None else sigma(alpha * v))(part) for part in z[:-1]]
    return np.array(phi)[:, None], inputs, z, gates


def jacobian(params, x, layers=None):
    r"""∇_θ Φ of each sample, a row each; the entries of other layers are 0. And θ, likewise."""
    sizes = [(number, p.size) for number, layer in enumerate(params, 1) for p in layer if p is not None]
    mask = np.concatenate([np.full(size, float(layers is None or number in layers)) for number, size in sizes])
    return np.array([slow_gradient(params, xi) for xi in x]) * mask, flatten(params) * mask


@given(NUMBERS, ALPHAS)
def test_gate(z, alpha):
    expected = [float(v > 0) if alpha is None else sigma(alpha * v) for v in z]
    agree(mlp.gate, z, alpha, expected=np.array(expected))

    def bits_of_gate(z, alpha):
        return mlp.gate(z, alpha).dtype.itemsize * 8

    agree(bits_of_gate, z.astype(np.float32), alpha, expected=32)


@given(NUMBERS, st.sampled_from([0.5, 3.0]))
def test_gate_can_be_differentiated(z, alpha):
    def derivative_of_gate(z, alpha):
        return grad(lambda z: anp.sum(mlp.gate(z, alpha)))(z)

    expected = [alpha * sigma(alpha * v) * (1 - sigma(alpha * v)) for v in z]
    agree(derivative_of_gate, z, alpha, expected=np.array(expected))


@given(problems(), ALPHAS)
def test_forward(problem, alpha):
    _, params, x, _, _ = problem
    agree(mlp.forward, params, x, alpha, expected=each(params, x, alpha))


@given(problems(), ALPHAS)
def test_backward(problem, alpha):
    r"""A signal is the derivative with respect to the bias: give every layer one."""
    _, params, x, lam, y = problem
    params = tuple(Layer(w, np.zeros(len(w)) if b is None else b) for w, b in params)
    gradients = [unflatten(c * slow_gradient(params, xi, alpha), params) for c, xi in zip(lam * y, x, strict=True)]
    expected = [np.array([gradient[layer].bias for gradient in gradients]) for layer in range(len(params))]
    agree(mlp.backward, params, each(params, x, alpha)[3], (lam * y)[:, None], expected=expected)


@given(problems(), ALPHAS)
def test_weighted_gradient(problem, alpha):
    _, params, x, lam, y = problem
    net = mlp.Pass(*each(params, x, alpha))
    total = sum(c * slow_gradient(params, xi, alpha) for c, xi in zip(lam * y, x, strict=True))
    agree(mlp.weighted_gradient, params, net, (lam * y)[:, None], expected=unflatten(total, params))


@given(arrays(float, st.integers(1, 6), elements=st.floats(-30, 30)))
def test_log_logistic_loss(q):
    loss = np.mean(np.log1p(np.exp(-q)))
    agree(log_logistic_loss, q, expected=(np.log(loss), 1 / (1 + np.exp(q)) / loss))


@given(arrays(float, st.integers(1, 6), elements=st.floats(40, 5000)))
def test_log_logistic_loss_of_large_margins(q):
    r"""There log(1 + e⁻q) is e⁻q to the last digit. No sum over e⁻q itself: it would be 0."""
    share = np.exp(q.min() - q)
    agree(log_logistic_loss, q, expected=(np.log(np.mean(share)) - q.min(), share / np.mean(share)))


@given(arrays(float, st.integers(1, 6), elements=st.floats(-5000, -40)))
def test_log_logistic_loss_of_wrong_samples(q):
    r"""There log(1 + e⁻q) is −q to the last digit, and σ(−q) is 1. No e⁻q: it would overflow."""
    agree(log_logistic_loss, q, expected=(np.log(np.mean(-q)), np.ones(len(q)) / np.mean(-q)))


@given(networks(), st.floats(1e-3, 10), st.floats(-30, 0))
def test_flow_step(drawn, size, log_loss):
    rng, params = drawn
    direction = unflatten(size * rng.normal(size=flatten(params).shape), params)
    loss, squares = np.exp(log_loss), [np.sum(flatten([layer]) ** 2) for layer in direction]
    ratios = [np.sum(flatten([layer]) ** 2) / square for layer, square in zip(params, squares, strict=True)]
    steps = [0.02 / (loss * sum(squares)), *(0.05 * ratio**0.5 / loss for ratio in ratios)]
    agree(flow_step, params, direction, log_loss, expected=min(steps), atol=0)


@given(networks(), st.sampled_from(["norm", "gradient"]))
def test_flow_step_without_a_layer(drawn, zero):
    r"""A layer whose norm or gradient is 0 has no say in the second bound, which is here the smaller."""
    rng, (first, *others) = drawn
    small = [unflatten(1e-6 * rng.normal(size=flatten([layer]).shape), [layer])[0] for layer in (first, *others)]
    nothing = unflatten(np.zeros(flatten([first]).shape), [first])[0]
    params, direction = (first, *others), (nothing, *small[1:])
    if zero == "norm":
        params, direction = (nothing, *others), tuple(small)
    norms = [[np.sum(flatten([layer]) ** 2) ** 0.5 for layer in layers[1:]] for layers in (params, direction)]
    expected = min(0.05 * theta / g for theta, g in zip(*norms, strict=True))
    agree(flow_step, params, direction, 0.0, expected=expected, atol=0)


@given(problems())
def test_margins(problem):
    _, params, x, _, y = problem
    agree(kkt.margins, params, x, y, expected=y * each(params, x)[0][:, 0])


@given(st.integers(0, 2**32 - 1), st.integers(2, 8), st.integers(2, 4), st.booleans(), st.sampled_from([0.01, 1, 50]))
def test_hard_margin(seed, n, d, bias, size):
    r"""The KKT conditions of the SVM, which are sufficient: what returns zeros here is the SVM."""
    rng = np.random.default_rng(seed)
    y, x = np.where(np.arange(n) % 2, 1.0, -1.0), rng.normal(size=(n, d))
    x[:, 0] = y * rng.uniform(0.5, 2, n) + 3 * bias  # the first coordinate separates them

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


@given(problems(), LAYERS, st.booleans())
def test_tangent_kernel(problem, layers, two_sets):
    rng, params, x, _, _ = problem
    other = rng.normal(size=(3, x.shape[1])) if two_sets else None
    rows = jacobian(params, x, layers)[0]
    columns = rows if other is None else jacobian(params, other, layers)[0]
    agree(kkt.tangent_kernel, params, x, other, layers, expected=rows @ columns.T)


@given(problems(), LAYERS)
def test_dual(problem, layers):
    _, params, x, _, y = problem
    rows, theta = jacobian(params, x, layers)
    rows *= y[:, None]
    agree(kkt.dual, params, x, y, layers, expected=(rows @ rows.T, rows @ theta))


@given(problems(), LAYERS)
def test_multipliers(problem, layers):
    r"""Of a convex problem with λ ≥ 0: λ ≥ 0, slope ≥ 0, and one of the two is 0. What returns zeros solves it."""
    _, params, x, _, y = problem
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


@given(st.integers(0, 2**32 - 1), st.integers(1, 5), st.integers(1, 5), st.integers(1, 5), st.booleans(), st.booleans())
def test_layer_residual(seed, m, fan_out, fan_in, has_bias, given_z):
    r"""The value, and the derivatives in D and A; with z given, and the Gram form the cheaper one, z stays as it is."""
    rng = np.random.default_rng(seed)
    d, a, weight = rng.normal(size=(m, fan_out)), rng.normal(size=(m, fan_in)), rng.normal(size=(fan_out, fan_in))
    bias = rng.normal(size=fan_out) if has_bias else None
    misfit, ones = d.T @ a - weight, np.ones((m, m)) * has_bias
    off = d.sum(axis=0) - bias if has_bias else np.zeros(fan_out)
    z = a @ weight.T + (bias if has_bias else 0)
    by_d, by_a = 2 * (a @ misfit.T + off), 2 * d @ misfit
    if given_z and 1.5 * m * m * (fan_out + fan_in) < 3 * m * fan_out * fan_in:
        by_d, by_a = 2 * ((a @ a.T + ones) @ d - z), 2 * d @ d.T @ a

    def layer_residual(layer, a, d, z):
        def value(d, a):
            return losses.layer_residual(layer, a, d, z)

        return value(d, a), grad(value, 0)(d, a), grad(value, 1)(d, a)

    expected = (np.sum(misfit**2) + off @ off, by_d, by_a)
    agree(layer_residual, Layer(weight, bias), a, d, z if given_z else None, expected=expected, atol=1e-9)


@given(problems(), ALPHAS)
def test_parameter_loss(problem, alpha):
    _, params, x, lam, y = problem
    expected = slow_parameter_loss(params, x, lam, y, alpha)
    agree(losses.parameter_loss, params, x, lam, y, alpha, expected=expected)


@given(problems(), st.sampled_from([1.0, 5.0]))
def test_parameter_loss_can_be_differentiated(problem, alpha):
    r"""In x, through the gates: finite differences of the smooth function with the modified ReLU's slopes at x."""
    rng, params, x, lam, y = problem
    base, way = [slow_forward(params, xi)[2] for xi in x], rng.normal(size=x.shape)
    expected = slope(lambda x: slow_parameter_loss(params, x, lam, y, alpha, base), x, way)

    def derivative_of_parameter_loss(params, x, lam, y, alpha, way):
        return np.sum(grad(losses.parameter_loss, 1)(params, x, lam, y, alpha) * way)

    scale = 1e-6 * (1 + slow_parameter_loss(params, x, lam, y, alpha))
    agree(derivative_of_parameter_loss, params, x, lam, y, alpha, way, expected=expected, rtol=1e-4, atol=scale)


@given(problems(), ALPHAS)
def test_parameter_loss_can_be_differentiated_by_lambda(problem, alpha):
    rng, params, x, lam, y = problem
    way = rng.normal(size=lam.shape)
    expected = slope(lambda lam: slow_parameter_loss(params, x, lam, y, alpha), lam, way)

    def derivative_by_lambda(params, x, lam, y, alpha, way):
        return grad(losses.parameter_loss, 2)(params, x, lam, y, alpha) @ way

    scale = 1e-6 * (1 + slow_parameter_loss(params, x, lam, y, alpha))
    agree(derivative_by_lambda, params, x, lam, y, alpha, way, expected=expected, rtol=1e-4, atol=scale)


@given(problems())
def test_residual(problem):
    _, params, x, lam, y = problem
    misfit = unflatten(flatten(params) - (lam * y) @ jacobian(params, x)[0] / len(y), params)
    parts, theta = [float(np.sum(flatten([layer]) ** 2)) for layer in misfit], float(np.sum(flatten(params) ** 2))
    expected = {"total": sum(parts), "relative": sum(parts) / theta, "per_layer": parts, "zero_lambda": theta}
    agree(losses.residual, params, x, lam, y, expected=expected, atol=1e-9)


@given(problems())
def test_residual_of_float32(problem):
    r"""Computed in float64, and plain floats in the dict."""
    _, params, x, lam, y = problem
    params = tuple(Layer(*(None if p is None else p.astype(np.float32) for p in layer)) for layer in params)
    x = x.astype(np.float32)
    exact = tuple(Layer(*(None if p is None else p.astype(float) for p in layer)) for layer in params)
    expected = slow_parameter_loss(exact, x.astype(float), lam, y)

    def total_of_residual(params, x, lam, y):
        return losses.residual(params, x, lam, y)["total"]

    def number_of_plain_floats(params, x, lam, y):
        found = losses.residual(params, x, lam, y)
        return {
            name: sum(type(v) is float for v in (one if name == "per_layer" else [one])) for name, one in found.items()
        }

    agree(total_of_residual, params, x, lam, y, expected=expected)
    counts = {"total": 1, "relative": 1, "per_layer": len(params), "zero_lambda": 1}
    agree(number_of_plain_floats, params, x, lam, y, expected=counts)


@given(NUMBERS, st.floats(0.01, 2))
def test_lambda_loss(lam, lam_min):
    agree(losses.lambda_loss, lam, lam_min, expected=sum((lam_min - v) ** 2 for v in lam if v < lam_min))


@given(NUMBERS, st.sampled_from([(-1.0, 1.0), (0.0, 2.0), (-2.0, -1.5)]))
def test_range_loss(x, limits):
    low, high = limits
    expected = sum((v - high) ** 2 for v in x if v > high) + sum((low - v) ** 2 for v in x if v < low)
    agree(losses.range_loss, x, low, high, expected=expected)
    agree(losses.range_loss, np.tile(x, (2, 1)), low, high, expected=2 * expected)


@given(NUMBERS, st.integers(0, 2**32 - 1))
def test_margin_loss(phi, seed):
    rng = np.random.default_rng(seed)
    y, way = rng.choice([-1.0, 1.0], len(phi)), rng.normal(size=len(phi))
    assume(np.abs(phi).max() > 0.1)

    def expected(phi):
        gamma = np.sqrt(np.mean(phi**2))
        return np.mean((y * phi / gamma - 1) ** 2)

    def derivative_of_margin_loss(phi, y):
        return grad(losses.margin_loss)(phi, y)[:, 0] @ way

    agree(losses.margin_loss, phi[:, None], y, expected=expected(phi))
    agree(derivative_of_margin_loss, phi[:, None], y, expected=slope(expected, phi, way), rtol=1e-4, atol=1e-5)

    def bits_of_the_derivative(phi, y):
        return grad(losses.margin_loss)(phi, y).dtype.itemsize * 8

    agree(bits_of_the_derivative, phi[:, None].astype(np.float32), y.astype(np.float32), expected=32)


@given(st.integers(0, 2**32 - 1), st.sampled_from([0.0, 0.5, 0.9]), st.booleans())
def test_sgd(seed, momentum, moving):
    r"""PyTorch's rule, v ← μ v + ∇ and u ← u − lr v, one step more each time; two unknowns with rates of their own."""
    rng = np.random.default_rng(seed)
    x, lam = rng.normal(size=(2, 3)), rng.normal(size=2)
    v, w = (moving * rng.normal(size=u.shape) for u in (x, lam))
    rates = rng.uniform(0.01, 0.1, 2)

    def gradient(x, lam):
        return [np.sin(x) + lam[:, None], lam**2 - x.sum(axis=1)]

    def steps_of_sgd(unknowns, velocities, rates, momentum, count):
        steps = sgd.sgd(gradient, unknowns, velocities, rates, momentum)
        return [[list(part) for part in next(steps)] for _ in range(count)]

    begin, expected = ([x, lam], [v, w]), []
    for _ in range(4):
        by_x, by_lam = np.sin(x) + lam[:, None], lam**2 - x.sum(axis=1)
        v, w = momentum * v + by_x, momentum * w + by_lam
        x, lam = x - rates[0] * v, lam - rates[1] * w
        expected.append([[x, lam], [v, w]])
    agree(steps_of_sgd, *begin, rates, momentum, 4, expected=expected)


@given(st.integers(0, 2**32 - 1), *[st.integers(1, 6)] * 2, st.integers(1, 7), st.sampled_from([0.5, 0.25, 0.4]))
def test_span(seed, fan_out, d, k, power):
    r"""Against the eigenvectors of WᵀW, whose signs are nobody's."""
    weight = np.random.default_rng(seed).normal(size=(fan_out, d)) * 2.0 ** np.arange(d)
    values, vectors = np.linalg.eigh(weight.T @ weight)
    count = min(k, fan_out, d)
    vectors, s = vectors[:, ::-1][:, :count], np.sqrt(values[::-1][:count])
    assume(count < 2 or np.min(s[:-1] / s[1:]) > 1.01)

    def cosines_and_scale(weight, k, power):
        v, scale = lbfgs.span(weight, k, power)
        return np.abs(vectors.T @ v), scale

    expected = (np.eye(count), np.sqrt(s ** (2 * power) * np.sum(s ** (2 - 2 * power)) / (s @ s)))
    agree(cosines_and_scale, weight, k, power, expected=expected, rtol=1e-6, atol=1e-6)


@st.composite
def image_pairs(draw):
    r"""Images (n, c, h, w) and (m, c, h, w); a channel may be constant. By a seed, which is quick to shrink."""
    rng, shape = np.random.default_rng(draw(st.integers(0, 2**32 - 1))), draw(st.tuples(*[st.integers(2, 4)] * 2))
    c, counts = draw(st.integers(1, 3)), draw(st.tuples(*[st.integers(1, 3)] * 2))
    a, b = (rng.integers(0, 21, (count, c, *shape)) / 20 for count in counts)
    if draw(st.booleans()):
        a[0, 0] = a[0, 0, 0, 0]
    return a, b


@given(image_pairs())
def test_standardise(pair):
    images = pair[0]
    expected = []
    for image in images:
        centred = [channel.ravel() - channel.mean() for channel in image]
        sizes = [np.sqrt(np.sum(channel**2)) for channel in centred]
        expected.append([c / size if size > 1e-12 else 0 * c for c, size in zip(centred, sizes, strict=True)])
    agree(metrics.standardise, images, expected=np.array(expected).reshape(len(images), -1))


@given(image_pairs())
def test_ncc(pair):
    a, b = pair
    agree(metrics.ncc, a, b, expected=slow_ncc(a, b))


@given(image_pairs())
def test_ssim(pair):
    a, b = (images[: min(map(len, pair))] for images in pair)
    expected = [np.mean([slow_ssim(p, q) for p, q in zip(*images, strict=True)]) for images in zip(a, b, strict=True)]
    agree(metrics.ssim, a, b, expected=np.array(expected))


@given(arrays(float, st.tuples(st.integers(1, 4), st.integers(1, 4)), elements=st.integers(-3, 3).map(float)))
def test_stretch(x):
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


@st.composite
def outputs(draw, fewest=2, shifts=(0.0, 1000.0, -1000.0)):
    r"""(rng, phi (n, K), y (n,)): outputs, small or large, and labels 0 … K − 1; −1 and +1 for one output."""
    rng, count = np.random.default_rng(draw(st.integers(0, 2**32 - 1))), draw(st.integers(fewest, 4))
    phi = 3 * rng.normal(size=(draw(st.integers(1, 4)), count)) + draw(st.sampled_from(shifts))
    return rng, phi, rng.integers(0, count, len(phi)) if count > 1 else rng.choice([-1.0, 1.0], len(phi))


def differentiated(function, slow, drawn):
    r"""Both parts of `function`, s and slope, against finite differences of `slow`, along some way."""
    rng, phi, y = drawn
    way, by_s, by_slope = rng.normal(size=phi.shape), rng.normal(size=len(phi)), rng.normal(size=phi.shape)

    def total(function, phi, y):
        s, slopes = function(phi, y)
        return anp.sum(s * by_s) + anp.sum(slopes * by_slope)

    def derivative(phi, y):
        return np.sum(grad(lambda phi: total(function, phi, y))(phi) * way)

    derivative.__name__ = f"derivative_of_{function.__name__}"
    expected = slope(lambda phi: total(slow, phi, y), phi, way, 1e-5)
    agree(derivative, phi, y, expected=expected, rtol=1e-4, atol=1e-5)

    def bits(phi, y):
        return [part.dtype.itemsize * 8 for part in function(phi, y)]

    bits.__name__ = f"bits_of_{function.__name__}"
    y = y.astype(np.float32) if phi.shape[1] == 1 else y
    agree(bits, phi.astype(np.float32), y, expected=[32, 32])


@given(outputs(), st.sampled_from([0.0, 1000.0]))
def test_soft_margin(drawn, ahead):
    _, phi, y = drawn
    phi[np.arange(len(y)), y] += ahead
    agree(mlp.soft_margin, phi, y, expected=slow_soft_margin(phi, y))


@given(outputs(shifts=(0.0,)))
def test_soft_margin_can_be_differentiated(drawn):
    differentiated(mlp.soft_margin, slow_soft_margin, drawn)


@given(st.integers(0, 2**32 - 1), st.sampled_from([0.0, 1000.0, -1000.0]))
def test_minus_logistic_loss(seed, shift):
    rng = np.random.default_rng(seed)
    phi, y = 3 * rng.normal(size=(4, 1)) + shift, rng.choice([-1.0, 1.0], 4)
    agree(mlp.minus_logistic_loss, phi, y, expected=slow_minus_logistic_loss(phi, y))


@given(outputs())
def test_minus_logistic_loss_of_several_outputs(drawn):
    _, phi, y = drawn
    agree(mlp.minus_logistic_loss, phi, y, expected=slow_minus_logistic_loss(phi, y))


@given(outputs(fewest=1, shifts=(0.0,)))
def test_minus_logistic_loss_can_be_differentiated(drawn):
    differentiated(mlp.minus_logistic_loss, slow_minus_logistic_loss, drawn)


@given(NUMBERS, st.integers(0, 2**32 - 1))
def test_minus_square_loss(phi, seed):
    rng = np.random.default_rng(seed)
    phi, y = phi[:, None], rng.normal(size=len(phi))

    def slow(phi, y):
        pairs = list(zip(phi[:, 0], y, strict=True))
        return np.array([-((f - t) ** 2) for f, t in pairs]), np.array([[2 * (t - f)] for f, t in pairs])

    agree(mlp.minus_square_loss, phi, y, expected=slow(phi, y))
    differentiated(mlp.minus_square_loss, slow, (rng, phi, y))


@given(arrays(float, st.tuples(st.integers(1, 5), st.integers(1, 4)), elements=st.integers(-3, 3).map(float)))
def test_signed(t):
    for row in t:
        assume(len(row) == 1 or np.sum(np.abs(row) == np.abs(row).max()) == 1)  # or two outputs would do
    lam = [max(abs(v) for v in row) for row in t]
    y = [[abs(v) for v in row].index(max(abs(v) for v in row)) for row in t]
    if t.shape[1] == 1:
        y = [1 if row[0] >= 0 else -1 for row in t]
    agree(lbfgs.signed, t, expected=(np.array(lam), np.array(y)))

    def bits_of_signed(t):
        lam, y = lbfgs.signed(t)
        return [part.dtype.itemsize * 8 for part in ((lam, y) if t.shape[1] == 1 else (lam,))]

    agree(bits_of_signed, t.astype(np.float32), expected=[32] * (1 + (t.shape[1] == 1)))


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


@given(networks(), st.sampled_from([0.0, 0.5, 0.9, 0.99]))
def test_distinct_units(drawn, cosine):
    _, params = drawn
    agree(kkt.distinct_units, params, cosine, expected=slow_distinct_units(params, cosine))


@given(networks(), st.booleans())
def test_distinct_units_of_copies(drawn, opposite):
    r"""Units of several sizes, their opposites, some of no weight, and a layer without a bias."""
    rng, (first, *others) = drawn
    sizes = rng.choice([-1.0, 1.0] if opposite else [1.0], 12) * rng.choice([0.0, 1e-5, 0.5, 1.0, 2.0], 12)
    which = rng.integers(0, len(first.weight), 12)
    weight, bias = sizes[:, None] * first.weight[which], sizes * first.bias[which]
    for layer in (Layer(weight, bias), Layer(weight, None)):
        params = (layer, *others)
        assume(np.linalg.norm(weight, axis=1).max() > 0.1)
        agree(kkt.distinct_units, params, 0.99, expected=slow_distinct_units(params, 0.99))
