import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from strategies import flatten, nearest_kink, networks, problems, slope, slow_forward, slow_gradient, unflatten

from minirecon import mlp


def weighted_gradient(params, x, coeff, alpha=None):
    return flatten(mlp.weighted_gradient(params, mlp.forward(params, x, alpha), coeff[:, None]))


@given(problems())
def test_forward_is_the_sum_over_units(problem):
    _, params, x, _, _ = problem
    phi, inputs, _, gates = mlp.forward(params, x)
    for i, xi in enumerate(x):
        expected, a, z = slow_forward(params, xi)
        np.testing.assert_allclose(phi[i], [expected], rtol=1e-10, atol=1e-12)
        for layer in range(len(params)):
            np.testing.assert_allclose(inputs[layer][i], a[layer], rtol=1e-10, atol=1e-12)
        for layer in range(len(params) - 1):
            np.testing.assert_array_equal(gates[layer][i], np.array(z[layer]) > 0)


@given(problems(), st.sampled_from([None, 0.5, 3.0, 150.0]))
def test_weighted_gradient_is_the_chain_rule(problem, alpha):
    _, params, x, lam, y = problem
    expected = sum(c * slow_gradient(params, xi, alpha) for c, xi in zip(lam * y, x, strict=True))
    np.testing.assert_allclose(weighted_gradient(params, x, lam * y, alpha), expected, rtol=1e-9, atol=1e-11)


@given(problems())
def test_weighted_gradient_against_finite_differences(problem):
    rng, params, x, lam, y = problem
    assume(nearest_kink(params, x) > 1e-3)
    theta = flatten(params)
    direction = rng.normal(size=theta.shape)
    direction /= np.linalg.norm(direction)

    def weighted_sum(theta):
        return sum(lam[i] * y[i] * slow_forward(unflatten(theta, params), x[i])[0] for i in range(len(x)))

    measured = slope(weighted_sum, theta, direction)
    np.testing.assert_allclose(weighted_gradient(params, x, lam * y) @ direction, measured, rtol=1e-5, atol=1e-6)


@given(problems(hidden_biases=st.just(False)), st.floats(0.2, 5))
def test_homogeneous(problem, c):
    r"""Φ(cθ; x) = cᴸ Φ(θ; x), and ∇Φ(cθ; x) = cᴸ⁻¹ ∇Φ(θ; x)."""
    _, params, x, lam, y = problem
    degree = mlp.homogeneity_degree(params)
    assert degree == len(params)
    scaled = unflatten(c * flatten(params), params)
    np.testing.assert_allclose(
        mlp.forward(scaled, x).phi, c**degree * mlp.forward(params, x).phi, rtol=1e-9, atol=1e-12
    )
    np.testing.assert_allclose(
        weighted_gradient(scaled, x, lam * y),
        c ** (degree - 1) * weighted_gradient(params, x, lam * y),
        rtol=1e-9,
        atol=1e-12,
    )


@given(problems(hidden_biases=st.just(False)))
def test_euler(problem):
    r"""⟨θ, ∇_θ Φ⟩ = L Φ."""
    _, params, x, _, _ = problem
    for i, phi in enumerate(mlp.forward(params, x).phi[:, 0]):
        gradient = weighted_gradient(params, x[i : i + 1], np.ones(1))
        np.testing.assert_allclose(flatten(params) @ gradient, len(params) * phi, rtol=1e-9, atol=1e-11)


@given(networks(hidden_biases=st.just(True)))
def test_biases_in_hidden_layers_end_homogeneity(drawn):
    rng, params = drawn
    assume(len(params) > 2)
    assert mlp.homogeneity_degree(params) is None
    x = rng.normal(size=(1, params[0].weight.shape[1]))
    phi, doubled = (mlp.forward(unflatten(c * flatten(params), params), x).phi[0, 0] for c in (1, 2))
    _, inputs, *_ = mlp.forward(params, x)
    assume(abs(phi) > 1e-3 and all((a > 0).any() for a in inputs[1:]))
    assert not np.isclose(doubled, 2 ** len(params) * phi, rtol=1e-6)


def test_gates():
    z = np.array([-2.0, -1e-9, 0.0, 1e-9, 2.0])
    np.testing.assert_array_equal(mlp.gate(z), [0, 0, 0, 1, 1])
    np.testing.assert_allclose(mlp.gate(z, 1.5), [1 / (1 + np.exp(3)), 0.5, 0.5, 0.5, 1 / (1 + np.exp(-3))], atol=1e-8)
    np.testing.assert_array_equal(mlp.sigmoid(np.array([-1e5, 1e5]), 1.0), [0, 1])  # and no overflow warning


def test_initialise_draws_the_papers_weights():
    params = mlp.initialise(np.random.default_rng(0), 300, (400, 500))
    assert [layer.weight.shape for layer in params] == [(400, 300), (500, 400), (1, 500)]
    assert [layer.bias is None for layer in params] == [False, True, True]
    assert all(layer.weight.dtype == np.float32 for layer in params)
    first, second, third = params
    assert first.weight.std() == pytest.approx(1e-4, rel=0.01)
    assert first.bias.std() == pytest.approx(1e-4, rel=0.15)
    for weight, fan_in in ((second.weight, 400), (third.weight, 500)):
        bound = fan_in**-0.5
        assert 0.95 * bound < np.abs(weight).max() <= bound * (1 + 1e-6)
        assert weight.std() == pytest.approx(bound / 3**0.5, rel=0.08)  # of a uniform distribution
        assert abs(weight.mean()) < 0.1 * bound


def test_initialise_biases_scale_type_and_seed():
    options = {"first_scale": 0.5, "hidden_biases": True, "dtype": np.float64}
    one, two = (mlp.initialise(np.random.default_rng(7), 30, (40, 50, 60), **options) for _ in range(2))
    assert [None if layer.bias is None else layer.bias.shape for layer in one] == [(40,), (50,), (60,), None]
    assert one[0].weight.std() == pytest.approx(0.5, rel=0.1)
    assert 0.9 * 40**-0.5 < np.abs(one[1].bias).max() <= 40**-0.5
    assert one[2].weight.dtype == np.float64
    np.testing.assert_array_equal(flatten(one), flatten(two))
    assert not np.array_equal(
        flatten(one), flatten(mlp.initialise(np.random.default_rng(8), 30, (40, 50, 60), **options))
    )


@pytest.mark.parametrize(
    ("hidden", "scale", "message"),
    [((), 1e-4, r"hidden = \(\)"), ((10, 0), 1e-4, r"hidden = \(10, 0\)"), ((10,), 0.0, "first_scale = 0"),
     ((10,), float("nan"), "first_scale = nan")],
)  # fmt: skip
def test_initialise_refuses(hidden, scale, message):
    with pytest.raises(ValueError, match=message):
        mlp.initialise(np.random.default_rng(0), 3, hidden, first_scale=scale)
