import autograd
import autograd.numpy as anp
import numpy as np
import pytest
from autograd import grad, value_and_grad
from hypothesis import assume, given
from hypothesis import strategies as st
from strategies import flatten, nearest_kink, problems, slope, slow_forward, slow_gradient, slow_parameter_loss

from minirecon import Layer, lambda_loss, losses, mlp, parameter_loss, range_loss

# One input, two units: Φ(x) = 3 max(2x + 1, 0) − max(−x + 1, 0)
TWO_UNITS = (Layer(np.array([[2.0], [-1.0]]), np.array([1.0, 1.0])), Layer(np.array([[3.0, -1.0]])))


def test_two_units_by_hand():
    r"""x = 2: z = (5, −1), so that only unit 1 is on; ∇Φ: W¹ (3·2, 0), b¹ (3, 0), W² (5, 0).
    x = −2: z = (−3, 3), only unit 2: W¹ (0, −1·−2), b¹ (0, −1), W² (0, 3).

    With λ = (2, 4), y = (1, −1), m = 2: G = ∇Φ(2) − 2 ∇Φ(−2)
      W¹ (6, −4), b¹ (3, 2), W² (5, −6);   θ: W¹ (2, −1), b¹ (1, 1), W² (3, −1)
      ‖θ − G‖² = (16 + 9) + (4 + 1) + (4 + 25) = 59
    """
    x, lam, y = np.array([[2.0], [-2.0]]), np.array([2.0, 4.0]), np.array([1.0, -1.0])
    assert parameter_loss(TWO_UNITS, x, lam, y) == pytest.approx(59, abs=1e-12)
    # in λ: d/dλ₁ = −2 ⟨θ − G, y₁∇Φ₁/m⟩ = −⟨(−4, 3; −2, −1; −2, 5), (6, 0; 3, 0; 5, 0)⟩ = 40
    #       d/dλ₂ = +⟨(−4, 3; −2, −1; −2, 5), (0, 2; 0, −1; 0, 3)⟩ = 22
    np.testing.assert_allclose(grad(parameter_loss, 2)(TWO_UNITS, x, lam, y), [40, 22], rtol=1e-12)
    # in x, hard gates: x enters by W¹ (λy w²/m · x) and by W² (λy/m · (w¹x + b)):
    #       d/dx₁ = −2 (−4 · 3 + −2 · 2) = 32;   d/dx₂ = −2 (3 · −2 · −1 + 5 · −2 · −1) = −32
    np.testing.assert_allclose(grad(parameter_loss, 1)(TWO_UNITS, x, lam, y), [[32], [-32]], rtol=1e-12)
    assert losses.residual(TWO_UNITS, x, lam, y) == {
        "total": pytest.approx(59),
        "relative": pytest.approx(59 / 17),  # ‖θ‖² = 4 + 1 + 1 + 1 + 9 + 1
        "per_layer": pytest.approx([30, 29]),
        "zero_lambda": pytest.approx(17),
    }


@given(problems(), st.sampled_from([None, 1.0, 20.0]), st.integers(1, 20))
def test_as_written_and_multiplied_out_are_equal(problem, alpha, copies):
    r"""In value and in both gradients; few candidates and many, so that layers are of either form."""
    rng, params, x, lam, y = problem
    x, y = rng.normal(size=(copies * len(x), x.shape[1])), np.tile(y, copies)
    lam = rng.uniform(0.1, 2, len(y))
    both = [value_and_grad(f, argnum=(1, 2)) for f in (losses.parameter_loss, losses.multiplied_out)]
    (value, slow), (fast_value, fast) = (f(params, x, lam, y, alpha) for f in both)
    size = np.sum(flatten(params) ** 2) + value
    assert fast_value == pytest.approx(value, rel=1e-9, abs=1e-11 * size)
    for one, other in zip(slow, fast, strict=True):
        np.testing.assert_allclose(other, one, rtol=1e-8, atol=1e-10 * (1 + np.abs(one).max()))


@given(problems(), st.sampled_from([None, 1.0, 20.0]))
def test_parameter_loss_is_the_sum_over_samples(problem, alpha):
    _, params, x, lam, y = problem
    expected = slow_parameter_loss(params, x, lam, y, alpha)
    np.testing.assert_allclose(parameter_loss(params, x, lam, y, alpha), expected, rtol=1e-9)


@given(problems(), st.sampled_from([1.0, 5.0]))
def test_parameter_loss_gradient_in_x_with_smooth_gates(problem, alpha):
    r"""Against finite differences of the smooth function that has the modified ReLU's slopes at x."""
    rng, params, x, lam, y = problem
    base = [slow_forward(params, xi)[2] for xi in x]
    direction = rng.normal(size=x.shape)
    measured = slope(lambda x: slow_parameter_loss(params, x, lam, y, alpha, base), x, direction)
    exact = np.sum(grad(parameter_loss, 1)(params, x, lam, y, alpha) * direction)
    scale = slow_parameter_loss(params, x, lam, y, alpha)
    np.testing.assert_allclose(exact, measured, rtol=1e-5, atol=1e-7 * (1 + scale))


@given(problems(), st.sampled_from([None, 1e7]))
def test_parameter_loss_gradient_in_x_away_from_kinks(problem, alpha):
    r"""Sharp gates do not move there, and the modified ReLU is the ReLU."""
    rng, params, x, lam, y = problem
    assume(nearest_kink(params, x) > 1e-3)
    direction = rng.normal(size=x.shape)
    direction /= np.linalg.norm(direction)
    measured = slope(lambda x: slow_parameter_loss(params, x, lam, y), x, direction)
    exact = np.sum(grad(parameter_loss, 1)(params, x, lam, y, alpha) * direction)
    scale = slow_parameter_loss(params, x, lam, y)
    np.testing.assert_allclose(exact, measured, rtol=1e-5, atol=1e-7 * (1 + scale))


@given(problems(), st.sampled_from([None, 2.0]))
def test_parameter_loss_gradient_in_lambda(problem, alpha):
    rng, params, x, lam, y = problem
    direction = rng.normal(size=lam.shape)
    # a parabola in λ: central differences are exact with any step
    measured = slope(lambda lam: slow_parameter_loss(params, x, lam, y, alpha), lam, direction, step=0.1)
    exact = grad(parameter_loss, 2)(params, x, lam, y, alpha) @ direction
    np.testing.assert_allclose(exact, measured, rtol=1e-8, atol=1e-8 * (1 + slow_parameter_loss(params, x, lam, y)))


@given(problems(hidden_biases=st.just(False)))
def test_parameter_loss_is_the_dual_of_an_svm(problem):
    r"""‖θ − Σ cᵢ∇Φᵢ‖² = ‖θ‖² − 2L cᵀΦ + cᵀKc, with the tangent kernel K and c = λy/m."""
    _, params, x, lam, y = problem
    jacobian = np.array([slow_gradient(params, xi) for xi in x])
    phi = np.array([slow_forward(params, xi)[0] for xi in x])
    theta, c = flatten(params), lam * y / len(y)
    dual = theta @ theta - 2 * len(params) * c @ phi + c @ (jacobian @ jacobian.T) @ c
    loss = parameter_loss(params, x, lam, y)
    np.testing.assert_allclose(loss, dual, rtol=1e-8, atol=1e-9 * (theta @ theta + c @ c))


@given(problems(), st.randoms(use_true_random=False))
def test_parameter_loss_does_not_care_for_the_order(problem, random):
    _, params, x, lam, y = problem
    order = random.sample(range(len(x)), len(x))
    np.testing.assert_allclose(
        parameter_loss(params, x[order], lam[order], y[order], 3.0), parameter_loss(params, x, lam, y, 3.0), rtol=1e-10
    )


@given(problems(hidden_biases=st.just(False)), st.floats(0.1, 0.9))
def test_splitting_a_candidate_changes_nothing(problem, share):
    r"""x → x + av, x − bv with shares λb/(a+b), λa/(a+b), in one activation pattern: the same sum."""
    rng, params, x, lam, y = problem
    assume(nearest_kink(params, x) > 1e-2)
    v = rng.normal(size=x.shape[1])
    reach = 1e-3 / (1 + np.linalg.norm(params[0].weight, 2))
    v *= reach / np.linalg.norm(v)
    a, b = 1 - share, share
    pair = np.array([x[0] + a * v, x[0] - b * v])
    assume(nearest_kink(params, pair) > 1e-4)
    before = [[z > 0 for row in slow_forward(params, xi)[2][:-1] for z in row] for xi in (x[0], *pair)]
    assume(before[0] == before[1] == before[2])
    m = len(x)
    split_lam = np.concatenate([[lam[0] * b, lam[0] * a], lam[1:]]) * (m + 1) / m  # the mean is over m + 1 now
    split = parameter_loss(params, np.vstack([pair, x[1:]]), split_lam, np.concatenate([[y[0]], y]))
    np.testing.assert_allclose(split, parameter_loss(params, x, lam, y), rtol=1e-10)


def test_lambda_loss_by_hand():
    lam = np.array([-1.0, 0.25, 0.5, 2.0])
    assert lambda_loss(lam, 0.5) == 1.5**2 + 0.25**2
    np.testing.assert_array_equal(grad(lambda_loss)(lam, 0.5), [-3, -0.5, 0, 0])


def test_range_loss_by_hand():
    x = np.array([[-1.5, -1.0, 0.0], [1.0, 1.25, 3.0]])
    assert range_loss(x) == 0.5**2 + 0.25**2 + 2**2
    np.testing.assert_array_equal(grad(range_loss)(x), [[-1, 0, 0], [0, 0.5, 4]])
    assert range_loss(x, low=0.0, high=2.0) == 1.5**2 + 1.0**2 + 1.0**2


@given(st.lists(st.floats(-5, 5), min_size=1, max_size=8), st.floats(0.01, 0.5))
def test_lambda_and_range_gradients(values, lam_min):
    x = np.array(values)
    assume(np.abs(x - lam_min).min() > 1e-3)
    assume(np.abs(np.abs(x) - 1).min() > 1e-3)
    ones = np.ones_like(x)
    np.testing.assert_allclose(
        grad(lambda_loss)(x, lam_min) @ ones, slope(lambda x: lambda_loss(x, lam_min), x, ones), rtol=1e-6, atol=1e-6
    )
    np.testing.assert_allclose(grad(range_loss)(x) @ ones, slope(range_loss, x, ones), rtol=1e-6, atol=1e-6)
    assert range_loss(-x) == range_loss(x)
    assert range_loss(np.clip(x, -1, 1)) == lambda_loss(np.maximum(x, lam_min), lam_min) == 0


@given(problems())
def test_total_loss_has_the_authors_weights(problem):
    _, params, x, lam, y = problem
    parts = losses.weighted_terms(params, 3 * x, lam, y, 20.0, 0.5)
    assert list(parts) == ["parameter", "lambda", "range"]
    expected = slow_parameter_loss(params, 3 * x, lam, y, 20.0)
    expected += 5 * np.sum(np.where(lam < 0.5, 0.5 - lam, 0) ** 2)
    expected += np.sum(np.where(np.abs(3 * x) > 1, np.abs(3 * x) - 1, 0) ** 2)
    np.testing.assert_allclose(losses.total_loss(params, 3 * x, lam, y, 20.0, 0.5), expected, rtol=1e-9)
    assert losses.total_loss(params, 3 * x, lam, y, 20.0, 0.5) == sum(parts.values())


@given(st.lists(st.floats(0.1, 20), min_size=1, max_size=8), st.floats(0.1, 10), st.integers(0, 2**32 - 1))
def test_margin_loss(margins, c, seed):
    rng = np.random.default_rng(seed)
    q, y = np.array(margins), rng.choice([-1.0, 1.0], len(margins))
    loss = losses.margin_loss((q * y)[:, None], y)
    gamma = np.sqrt(np.mean(q**2))
    assert loss == pytest.approx(np.mean((q / gamma - 1) ** 2))
    assert losses.margin_loss((c * q * y)[:, None], y) == pytest.approx(loss, abs=1e-12)
    assert losses.margin_loss((c * y)[:, None], y) == pytest.approx(0, abs=1e-12)
    assert losses.margin_loss((-c * y)[:, None], y) == pytest.approx(4)  # all on the wrong side
    direction = rng.normal(size=q.shape)
    measured = slope(lambda phi: losses.margin_loss(phi[:, None], y), q * y, direction)
    exact = grad(losses.margin_loss)((q * y)[:, None], y)[:, 0]
    assert exact @ direction == pytest.approx(measured, rel=1e-5, abs=1e-6)


@given(st.integers(0, 2**32 - 1), st.integers(1, 7), st.integers(1, 7), st.integers(1, 7), st.booleans(), st.booleans())
def test_layer_residual_in_both_forms(seed, m, fan_out, fan_in, has_bias, given_z):
    r"""Value and derivatives against plain autograd and, along a random direction, finite differences."""
    rng = np.random.default_rng(seed)
    d, a = rng.normal(size=(m, fan_out)), rng.normal(size=(m, fan_in))
    weight, bias = rng.normal(size=(fan_out, fan_in)), rng.normal(size=fan_out) if has_bias else None

    def plain(d, a):
        value = anp.sum((anp.dot(d.T, a) - weight) ** 2)
        return value + anp.sum((anp.sum(d, axis=0) - bias) ** 2) if has_bias else value

    def ours(d, a):
        z = anp.dot(a, weight.T) + (bias if has_bias else 0)
        return losses.layer_residual(Layer(weight, bias), a, d, z if given_z else None)

    assert ours(d, a) == pytest.approx(plain(d, a), rel=1e-10, abs=1e-10)
    for argnum in (0, 1):
        exact = grad(ours, argnum)(d, a)
        np.testing.assert_allclose(exact, grad(plain, argnum)(d, a), rtol=1e-9, atol=1e-9)
        direction = rng.normal(size=exact.shape)
        measured = slope(lambda moved: ours(*((d, moved) if argnum else (moved, a))), (d, a)[argnum], direction)  # noqa: B023
        assert np.sum(exact * direction) == pytest.approx(measured, rel=1e-5, abs=1e-5)


def test_the_cheaper_form_is_chosen():
    r"""1000 × 1000: the Gram form below the width; one output: never."""
    assert losses.gram_is_cheaper(999, 1000, 1000)
    assert not losses.gram_is_cheaper(1000, 1000, 1000)
    assert not losses.gram_is_cheaper(20, 1, 1000)


@pytest.mark.parametrize("distance", [1.0, 1e-2, 1e-4])
def test_rounding_of_the_gram_form_is_that_of_the_weights(distance, monkeypatch):
    r"""float32, W at a small distance from DᵀA: both forms against float64.

    The direct form is right to 1e-5 of the residual itself; the Gram form to 1e-6 of ‖W‖² only, and its gradient to
    1e-6 of the largest gradient that weights of this size can give, ‖W‖ times the norm of the other factor.
    """
    rng = np.random.default_rng(0)
    d, a = rng.normal(size=(20, 300)) / 20, rng.normal(size=(20, 200))
    noise = rng.normal(size=(300, 200))
    weight = d.T @ a + distance * np.linalg.norm(d.T @ a) / np.linalg.norm(noise) * noise
    d, a, weight = (array.astype(np.float32) for array in (d, a, weight))
    size = float(np.vdot(weight, weight))

    def value_and_gradients(gram, dtype):
        monkeypatch.setattr(losses, "gram_is_cheaper", lambda *_: gram)
        layer = Layer(weight.astype(dtype))
        return value_and_grad(lambda pair: losses.layer_residual(layer, pair[1], pair[0]))(
            (d.astype(dtype), a.astype(dtype))
        )

    exact, (by_d, by_a) = value_and_gradients(False, float)
    assert exact == pytest.approx(distance**2 * float(np.sum((d.T @ a) ** 2)), rel=0.1)
    direct, gram = (value_and_gradients(form, np.float32) for form in (False, True))
    assert direct[0] == pytest.approx(exact, rel=1e-3 * max(1e-2, 1e-3 / distance))
    assert abs(gram[0] - exact) < 1e-6 * size
    for value, reference, other in zip(gram[1], (by_d, by_a), (a, d), strict=True):
        assert np.linalg.norm(value - reference) < 1e-6 * size**0.5 * np.linalg.norm(other)


@pytest.mark.parametrize("alpha", [20.0, None])
def test_float32_stays_float32(monkeypatch, alpha):
    r"""Every value and every derivative on the way: one float64 array would double the cost of all after it."""
    rng = np.random.default_rng(0)
    params = mlp.initialise(rng, 7, (6, 5), first_scale=0.5)
    x, lam = (2 * rng.normal(size=(40, 7))).astype(np.float32), rng.uniform(0, 1, 40).astype(np.float32)
    y = np.where(np.arange(40) < 20, -1, 1).astype(np.float32)
    seen = []

    def spy(module, name, array):
        plain = getattr(module, name)

        def watched(*args):
            result = plain(*args)
            seen.append(array(result).dtype)
            return result

        monkeypatch.setattr(module, name, watched)

    spy(autograd.tracer, "new_box", lambda box: box)  # values
    spy(autograd.core, "add_outgrads", lambda pair: pair[0])  # derivatives

    def loss(x, lam):
        return losses.total_loss(params, x, lam, y, alpha, 0.5) + losses.margin_loss(
            mlp.forward(params, x, alpha)[0], y
        )

    for argnum in (0, 1):
        assert grad(loss, argnum)(x, lam).dtype == np.float32
    assert len(seen) > 100
    assert set(seen) == {np.dtype(np.float32)}
