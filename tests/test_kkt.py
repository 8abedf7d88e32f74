r"""The KKT conditions of the max-margin problem: laws that hold for any network, and a network that obeys them."""

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from strategies import flatten, nearest_kink, problems, slow_forward, slow_gradient, unflatten
from strategies import sigma as sigma_of

import minirecon as mr
from minirecon import Layer, kkt, losses

LAYERS = st.none() | st.just((1,)) | st.just((2,))


def jacobian(params, x, layers=None):
    r"""∇_θ Φ of each sample as a row, from loops; the entries of other layers are 0."""
    return np.array([slow_gradient(params, each) for each in x]) * mask(params, layers)


def mask(params, layers):
    r"""1 for the entries of θ that belong to these layers, else 0, in the order of `flatten`."""
    sizes = [(number, p.size) for number, layer in enumerate(params, 1) for p in layer if p is not None]
    return np.concatenate([np.full(size, float(layers is None or number in layers)) for number, size in sizes])


@given(problems(), LAYERS)
def test_tangent_kernel_is_the_gram_matrix_of_the_gradients(problem, layers):
    rng, params, x, _, _ = problem
    other = rng.normal(size=(3, x.shape[1]))
    rows, columns = jacobian(params, x, layers), jacobian(params, other, layers)
    np.testing.assert_allclose(kkt.tangent_kernel(params, x, layers=layers), rows @ rows.T, rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(
        kkt.tangent_kernel(params, x, other, layers=layers), rows @ columns.T, rtol=1e-9, atol=1e-12
    )


@given(problems(), LAYERS)
def test_the_dual_is_the_residual_as_a_function_of_lambda(problem, layers):
    _, params, x, lam, y = problem
    quadratic, h = kkt.dual(params, x, y, layers)
    gradients, theta = jacobian(params, x, layers), flatten(params) * mask(params, layers)
    square = np.sum((theta - (lam * y) @ gradients) ** 2)
    np.testing.assert_allclose(theta @ theta - 2 * h @ lam + lam @ quadratic @ lam, square, rtol=1e-9, atol=1e-9)


@given(problems(hidden_biases=st.just(False)))
def test_euler(problem):
    r"""⟨θˡ, ∂Φ/∂θˡ⟩ = Φ in each layer of a homogeneous network, so that hᵢ = L yᵢΦ(xᵢ)."""
    _, params, x, _, y = problem
    phi = np.array([slow_forward(params, each)[0] for each in x])
    np.testing.assert_allclose(kkt.dual(params, x, y)[1], len(params) * y * phi, rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(kkt.dual(params, x, y, (1,))[1], y * phi, rtol=1e-9, atol=1e-9)


@given(problems(), LAYERS)
def test_multipliers_are_the_best_that_are_not_negative(problem, layers):
    r"""The KKT conditions of that convex problem itself: λ ≥ 0, gradient ≥ 0, and one of the two is 0."""
    _, params, x, _, y = problem
    lam = kkt.multipliers(params, x, y, layers)
    gradients = jacobian(params, x, layers)
    theta = flatten(params) * mask(params, layers)
    slope = -y * (gradients @ (theta - (lam * y) @ gradients))  # ½ of the derivative of the residual by λ
    scale = 1e-7 * (1 + np.linalg.norm(theta) * np.linalg.norm(gradients))
    assert (lam >= 0).all()
    assert (slope >= -scale).all()
    assert np.abs(lam * slope).max() <= scale * (1 + lam.max())


@given(problems(hidden_biases=st.just(False)))
def test_what_the_multipliers_explain_is_L_sum_lambda_margin(problem):
    r"""‖Σ λᵢyᵢ∇Φᵢ‖² = L Σ λᵢyᵢΦᵢ at the best λ: the residual is orthogonal to what is explained."""
    _, params, x, _, y = problem
    lam = kkt.multipliers(params, x, y)
    explained = (lam * y) @ jacobian(params, x)
    q = y * np.array([slow_forward(params, each)[0] for each in x])
    np.testing.assert_allclose(explained @ explained, len(params) * lam @ q, rtol=1e-6, atol=1e-8)


def exact(seed=0, n=4):
    r"""A network that is an exact KKT point, by hand: unit i is on for sample i alone, as the samples are orthogonal.

    wᵢ = a xᵢ, vᵢ = a‖x‖yᵢ. ∂Φ(xᵢ)/∂wᵢ = vᵢxᵢ and ∂Φ(xᵢ)/∂vᵢ = a‖x‖², so that λᵢ = 1/‖x‖ gives back both.
    """
    rng = np.random.default_rng(seed)
    x = 2.0 * rng.permutation(np.eye(6))[:n]  # orthogonal to the last bit, of length 2
    y = np.where(np.arange(n) % 2, 1.0, -1.0)
    a = rng.uniform(0.5, 1.5)
    return (Layer(a * x), Layer((a * 2.0 * y)[None])), x, y, a


def test_report_at_an_exact_kkt_point():
    params, x, y, a = exact()
    data = mr.load_dataset("circle", 4)._replace(x=x, y=y)
    report = mr.kkt_report(params, data)
    np.testing.assert_allclose(report.lam, 0.5, rtol=1e-9)  # 1/‖x‖
    np.testing.assert_allclose(report.late, 0.5, rtol=1e-9)
    np.testing.assert_allclose(report.margin, a * 4 * a * 2, rtol=1e-12)  # w·x v = a‖x‖² a‖x‖
    assert report.residual["best"]["relative"] < 1e-14
    assert report.residual["late"]["relative"] < 1e-14
    assert report.residual["zero"]["relative"] == 1
    assert abs(report.slackness) < 1e-9
    np.testing.assert_allclose([report.sum_lam, report.euler, *report.euler_per_layer], 2.0, rtol=1e-9)
    np.testing.assert_allclose(report.cosine, 1)


def test_report_of_a_trained_network():
    r"""Trained far, a small network is near a KKT point, but for the random start of its second layer."""
    data = mr.load_dataset("mnist", 10)
    run = mr.train(data, hidden=(100,), seed=0, target_time=None, target_log_loss=-100, dtype=np.float64)
    report = mr.kkt_report(run.params, data)
    of_layer_1 = {name: part["per_layer"][0] for name, part in report.residual.items()}
    assert of_layer_1["best"] < 0.02 * of_layer_1["zero"]
    assert report.residual["signed"]["total"] <= report.residual["best"]["total"] * (1 + 1e-9)
    assert report.residual["best"]["total"] <= report.residual["late"]["total"] < report.residual["zero"]["total"]
    assert report.cosine > 0.95
    assert abs(report.sum_lam / report.euler_per_layer[0] - 1) < 0.1
    lam = len(data.y) * report.lam  # the scale of the attack's loss
    total = float(losses.parameter_loss(run.params, data.x, lam, data.y))
    np.testing.assert_allclose(report.residual["best"]["total"], total, rtol=1e-9)


@given(problems(hidden_biases=st.just(False)), st.floats(0.5, 2))
def test_report_changes_with_the_scale_of_the_weights_as_it_must(problem, c):
    r"""θ → cθ: margins times cᴸ, gradients times cᴸ⁻¹, so λ times c²⁻ᴸ; relative residuals stay."""
    _, params, x, _, _ = problem
    y = np.sign([slow_forward(params, each)[0] for each in x])
    assume(np.all(y != 0) and nearest_kink(params, x) > 1e-6)
    data = mr.load_dataset("circle", 4)._replace(x=x, y=y)
    one = mr.kkt_report(params, data)
    other = mr.kkt_report(unflatten(c * flatten(params), params), data)
    degree = len(params)
    np.testing.assert_allclose(other.margin, c**degree * one.margin, rtol=1e-9)
    np.testing.assert_allclose(other.sum_lam, c ** (2 - degree) * one.sum_lam, rtol=1e-5)
    np.testing.assert_allclose(other.euler, c ** (2 - degree) * one.euler, rtol=1e-9)
    sigma = np.array([sigma_of(q) for q in -one.margin])
    lengths = np.linalg.norm(one.lam) * np.linalg.norm(sigma)
    assert one.gamma == min(one.margin)
    np.testing.assert_allclose(one.cosine * lengths, one.lam @ sigma, rtol=1e-9, atol=1e-12)
    excess = one.margin / min(one.margin) - 1
    np.testing.assert_allclose(one.slackness, np.average(excess, weights=one.lam), rtol=1e-9, atol=1e-12)
    for name in ("zero", "best"):
        np.testing.assert_allclose(other.residual[name]["relative"], one.residual[name]["relative"], rtol=1e-5)


def test_errors_name_what_is_wrong():
    params, x, y, _ = exact()
    data = mr.load_dataset("circle", 4)._replace(x=x, y=-y)
    with pytest.raises(ValueError, match=r"4 of 4 samples are misclassified; expected a margin yΦ\(x\) above 0"):
        mr.kkt_report(params, data)
    with pytest.raises(ValueError, match=r"1 of 4 samples are misclassified"):
        mr.kkt_report(params, data._replace(y=y * [1, 1, 1, -1]))
    with pytest.raises(ValueError, match=r"samples of shape \(4, 5\); expected \(n, 6\)"):
        mr.multipliers(params, x[:, :5], y)
    with pytest.raises(ValueError, match=r"samples of shape \(4, 5\); expected \(n, 6\)"):
        mr.tangent_kernel(params, x, x[:, :5])


def test_samples_at_which_no_unit_is_on_explain_nothing():
    params, x, y, _ = exact()
    np.testing.assert_array_equal(kkt.tangent_kernel(params, -x), 0)
    np.testing.assert_array_equal(kkt.multipliers(params, -x, y), 0)


def test_a_network_with_hidden_biases_has_no_euler_sum():
    data = mr.load_dataset("colours", 4)
    params = mr.train(data, hidden=(20, 20), seed=0, hidden_biases=True, target_time=100).params
    assert mr.kkt_report(params, data).euler is None
    assert mr.kkt_report(params, data).euler_per_layer is None
