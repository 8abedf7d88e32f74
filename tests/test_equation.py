r"""One equation, θ − θ₀ = Σᵢ cᵢ ∇_θ s(Φ(θ; xᵢ), yᵢ): each choice of its three slots against what it has to be.

The reference is autograd's own gradient of a scalar written here from its formula, on a forward pass written here.
"""

from itertools import pairwise

import autograd.numpy as anp
import numpy as np
import pytest
from autograd import grad
from hypothesis import assume, given
from hypothesis import strategies as st
from scipy.optimize import minimize
from strategies import flatten, nearest_kink, unflatten

from minirecon import Layer, kkt, losses, mlp

ALPHAS = st.sampled_from([None, 3.0])


@st.composite
def problems(draw, outputs):
    r"""(rng, params, x (m, d)): a network with so many outputs, biases anywhere, and samples."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    widths = [*(draw(st.integers(1, 4)) for _ in range(draw(st.integers(2, 3)))), outputs]
    params = [
        Layer(rng.normal(size=(out, fan_in)), rng.normal(size=out) if draw(st.booleans()) else None)
        for fan_in, out in pairwise(widths)
    ]
    return rng, tuple(params), rng.normal(size=(draw(st.integers(1, 6)), widths[0]))


def phi(theta, params, x):
    r"""Φ (m, K) of the weights in one vector, plain ReLU."""
    at, a = 0, x
    for number, (weight, bias) in enumerate(params, 1):
        a = anp.dot(a, theta[at : at + weight.size].reshape(weight.shape).T)
        at += weight.size
        if bias is not None:
            a = a + theta[at : at + bias.size]
            at += bias.size
        a = a * (a > 0) if number < len(params) else a
    return a


# name: outputs, our scalar, and the scalar of one sample as its formula has it
SCALARS = {
    "binary": (1, mlp.margin, lambda f, y: y * f[0]),
    "classes": (3, mlp.margin_of_classes, lambda f, y: f[y] - max(f[j] for j in range(3) if j != y)),
    "two classes": (2, mlp.margin_of_classes, lambda f, y: f[y] - f[1 - y]),
    "output": (1, mlp.output, lambda f, y: f[0]),
    "logistic": (1, mlp.minus_logistic_loss, lambda f, y: -anp.log(1 + anp.exp(-y * f[0]))),
    "soft": (3, mlp.soft_margin, lambda f, y: f[y] - anp.log(sum(anp.exp(f[j]) for j in range(3) if j != y))),
    "softmax": (3, mlp.minus_logistic_loss, lambda f, y: f[y] - anp.log(sum(anp.exp(f[j]) for j in range(3)))),
    "square": (1, mlp.minus_square_loss, lambda f, y: -((f[0] - y) ** 2)),
}
LOSSES = ("logistic", "softmax", "square")


def labels(rng, name, m):
    outputs = SCALARS[name][0]
    if name == "square":
        return rng.normal(size=m)
    return rng.integers(0, outputs, m) if outputs > 1 else rng.choice([-1.0, 1.0], m)


def weighted_sum(name, params, x, y, c):
    r"""Σᵢ cᵢ s(Φ(θ; xᵢ), yᵢ) as a function of θ, a vector."""

    def total(theta):
        outputs = phi(theta, params, x)
        return sum(c[i] * SCALARS[name][2](outputs[i], y[i]) for i in range(len(x)))

    return total


@pytest.mark.parametrize("name", SCALARS)
@given(st.data())
def test_scalar_and_slope(name, data):
    r"""s is its formula; its slope is the derivative, each sample's by its own outputs."""
    outputs, scalar, formula = SCALARS[name]
    rng = np.random.default_rng(data.draw(st.integers(0, 2**32 - 1)))
    values = 3 * rng.normal(size=(data.draw(st.integers(1, 5)), outputs))
    y = labels(rng, name, len(values))
    s, slope = scalar(values, y)
    assert s.shape == (len(y),)
    assert slope.shape == values.shape
    for i, row in enumerate(values):
        assert s[i] == pytest.approx(formula(row, y[i]), rel=1e-9, abs=1e-12)
        by_row = grad(lambda row: formula(row, y[i]))(row)  # noqa: B023
        np.testing.assert_allclose(slope[i], by_row, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("name", LOSSES)
def test_far_from_zero_nothing_overflows(name):
    outputs, scalar, _ = SCALARS[name]
    values, y = np.full((2, outputs), [[1e3]]), np.array([1, 1])
    values[1] = -1e3
    if outputs > 1:
        values[:, 0] = 0
    s, slope = scalar(values, y)
    assert np.isfinite(s).all()
    assert np.isfinite(slope).all()


@pytest.mark.parametrize("name", SCALARS)
@given(st.data())
def test_parameter_loss_of_any_scalar(name, data):
    r"""‖θ − (1/m) Σ λᵢ∇s(xᵢ)‖², literal and multiplied out, and with another target."""
    rng, params, x = data.draw(problems(SCALARS[name][0]))
    y, lam, theta = labels(rng, name, len(x)), rng.uniform(-1, 2, len(x)), flatten(params)
    explained = grad(weighted_sum(name, params, x, y, lam / len(x)))(theta)
    other = rng.normal(size=theta.shape)
    for target, vector in ((None, theta), (unflatten(other, params), other)):
        expected = np.sum((vector - explained) ** 2)
        for loss in (losses.parameter_loss, losses.multiplied_out):
            found = loss(params, x, lam, y, None, SCALARS[name][1], target)
            assert found == pytest.approx(expected, rel=1e-8, abs=1e-9 * (1 + vector @ vector))
        report = losses.residual(params, x, lam, y, SCALARS[name][1], target)
        assert report["total"] == pytest.approx(expected, rel=1e-8, abs=1e-9 * (1 + vector @ vector))
        assert report["zero_lambda"] == pytest.approx(vector @ vector)


@pytest.mark.parametrize("name", SCALARS)
@given(st.data())
def test_as_written_and_multiplied_out_have_the_same_gradients(name, data):
    rng, params, x = data.draw(problems(SCALARS[name][0]))
    y, lam, scalar = labels(rng, name, len(x)), rng.uniform(0.1, 2, len(x)), SCALARS[name][1]
    for argnum in (1, 2):
        one, other = (
            grad(f, argnum)(params, x, lam, y, 2.0, scalar) for f in (losses.parameter_loss, losses.multiplied_out)
        )
        np.testing.assert_allclose(other, one, rtol=1e-7, atol=1e-9 * (1 + np.abs(one).max()))


@pytest.mark.parametrize("name", LOSSES)
@given(st.data(), st.floats(1e-3, 10))
def test_with_weight_decay_the_residual_is_the_gradient_of_training(name, data, decay):
    r"""decay² ‖θ − Σ ∇s(xᵢ) / (n decay)‖² = ‖∇(L + ½ decay ‖θ‖²)‖² at any θ, for s = −ℓ and L = (1/n) Σ ℓ."""
    rng, params, x = data.draw(problems(SCALARS[name][0]))
    y, theta, n = labels(rng, name, len(x)), flatten(params), len(x)
    assume(nearest_kink_of(params, x) > 1e-9)
    of_training = grad(lambda t: 0.5 * decay * t @ t - weighted_sum(name, params, x, y, np.ones(n) / n)(t))(theta)
    residual = losses.parameter_loss(params, x, np.full(n, 1 / decay), y, None, SCALARS[name][1])
    scale = 1e-9 * (decay**2 * theta @ theta + 1)
    assert decay**2 * residual == pytest.approx(of_training @ of_training, rel=1e-8, abs=scale)


def smooth(params, x):
    r"""The forward pass with softplus for ReLU, which has no kinks: a `mlp.Pass`, its gates softplus's derivative."""
    a, inputs, z, gates = x, [], [], []
    for weight, bias in params:
        inputs.append(a)
        z.append(anp.dot(a, weight.T) + (0 if bias is None else bias))
        gates.append(1 / (1 + anp.exp(-z[-1])))
        a = anp.logaddexp(0, z[-1])
    return mlp.Pass(z[-1], inputs, z, gates[:-1])


@pytest.mark.parametrize("name", LOSSES)
def test_identity_at_a_stationary_point(name):
    r"""Trained with decay until the gradient is zero, smooth units, float64: θ = Σ ∇s(xᵢ)/(n decay), one number c."""
    outputs, scalar, formula = SCALARS[name]
    rng, decay, n = np.random.default_rng(3), 1e-2, 6
    shapes = [(5, 3), (4, 5), (outputs, 4)]
    start = tuple(Layer(rng.normal(size=shape), rng.normal(size=shape[0])) for shape in shapes)
    x, y = rng.normal(size=(n, 3)), labels(rng, name, n)

    def whole(theta):
        values = smooth(unflatten(theta, start), x).phi
        return -sum(formula(values[i], y[i]) for i in range(n)) / n + 0.5 * decay * anp.sum(theta**2)

    options = {"maxiter": 20_000, "gtol": 1e-12, "maxls": 100, "ftol": 0, "maxcor": 60, "maxfun": 10**6}
    theta = minimize(whole, flatten(start), jac=grad(whole), method="L-BFGS-B", options=options).x
    assert np.linalg.norm(theta) > 0.5
    params = unflatten(theta, start)
    net = smooth(params, x)
    explained = mlp.weighted_gradient(params, net, scalar(net.phi, y)[1] / (n * decay))
    residual = mlp.square_norm(mlp.subtract(params, explained)) / mlp.square_norm(params)
    assert residual < 1e-10
    other = mlp.weighted_gradient(params, net, scalar(net.phi, y)[1] / (n * 1.1 * decay))
    assert mlp.square_norm(mlp.subtract(params, other)) / mlp.square_norm(params) > 1e-3


@pytest.mark.parametrize("name", LOSSES)
@given(st.data(), st.floats(1e-3, 1))
def test_one_step_from_known_weights_is_explained_exactly(name, data, rate):
    r"""θ₁ − θ₀ = −lr ∇L(θ₀) = Σ (lr/n) ∇s(xᵢ): the samples and nothing else."""
    rng, start, x = data.draw(problems(SCALARS[name][0]))
    y, theta, n = labels(rng, name, len(x)), flatten(start), len(x)
    moved = theta + rate * grad(weighted_sum(name, start, x, y, np.ones(n) / n))(theta)
    target = mlp.subtract(unflatten(moved, start), start)
    size = np.sum((moved - theta) ** 2)
    assert losses.parameter_loss(start, x, np.full(n, rate), y, None, SCALARS[name][1], target) < 1e-20 * (1 + size)


@given(st.data())
def test_multipliers_of_several_classes(data):
    r"""The λ ≥ 0 that explain weights best, for Φ_y − max of the others: no direction down is left."""
    rng, params, x = data.draw(problems(3))
    y, theta = rng.integers(0, 3, len(x)), flatten(params)
    rows = np.array([grad(weighted_sum("classes", params, x[[i]], y[[i]], np.ones(1)))(theta) for i in range(len(x))])
    q, h = kkt.dual(params, x, y, None, mlp.margin_of_classes)
    np.testing.assert_allclose(q, rows @ rows.T, rtol=1e-8, atol=1e-9 * (1 + np.abs(rows).max() ** 2))
    np.testing.assert_allclose(h, rows @ theta, rtol=1e-8, atol=1e-9 * (1 + np.abs(rows @ theta).max()))
    lam = kkt.multipliers(params, x, y, None, mlp.margin_of_classes)
    slopes = -rows @ (theta - lam @ rows) / (1 + np.linalg.norm(theta) * np.linalg.norm(rows))
    assert lam.min() >= 0
    assert slopes.min() > -1e-6
    np.testing.assert_allclose(lam * slopes / (1 + lam.max()), 0, atol=1e-6)
    margins = kkt.margins(params, x, y, mlp.margin_of_classes)
    outputs = phi(theta, params, x)
    expected = [SCALARS["classes"][2](row, label) for row, label in zip(outputs, y, strict=True)]
    np.testing.assert_allclose(margins, expected, rtol=1e-9, atol=1e-11)


def nearest_kink_of(params, x):
    r"""`strategies.nearest_kink` on the first output alone: the kinks are the hidden units'."""
    last = params[-1]
    return nearest_kink((*params[:-1], Layer(last.weight[:1], None if last.bias is None else last.bias[:1])), x)
