r"""The SVM without slack, and the linear network that turns towards it."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.svm import SVC

import minirecon as mr
from minirecon import kkt, mlp
from minirecon.experiments.svm import linear_network


@st.composite
def separable(draw):
    r"""x (n, d), y (n,) that a hyperplane with a margin separates, both labels present."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    n, d = draw(st.integers(2, 12)), draw(st.integers(1, 6))
    normal = rng.normal(size=d)
    normal /= np.linalg.norm(normal)
    y = np.where(np.arange(n) % 2, 1.0, -1.0)
    x = rng.normal(size=(n, d))
    x += ((y * rng.uniform(0.3, 2, n)) - x @ normal)[:, None] * normal
    return x + draw(st.sampled_from([0.0, 1.0])) * rng.normal(size=d), y


@given(separable())
def test_multipliers_agree_with_scikit_learn(problem):
    x, y = problem
    w, b, lam = kkt.hard_margin(x, y)
    theirs = SVC(kernel="linear", C=1e10, tol=1e-10).fit(x, y)
    dual = np.zeros(len(y))
    dual[theirs.support_] = np.abs(theirs.dual_coef_[0])
    # λ is unique where the support vectors are in general position, as here but for chance
    np.testing.assert_allclose(lam, dual, atol=1e-6 * max(1, dual.max()))
    np.testing.assert_allclose(w, theirs.coef_[0], atol=1e-6 * max(1, np.abs(w).max()))
    np.testing.assert_allclose(b, theirs.intercept_[0], atol=1e-5 * max(1, abs(b)))


@pytest.mark.parametrize(("case", "n"), [("mnist", 20), ("mnist", 100), ("cifar10", 20)])
def test_multipliers_of_images_agree_with_scikit_learn(case, n):
    data = mr.load_dataset(case, n)
    theirs = SVC(kernel="linear", C=1e10, tol=1e-10).fit(data.x, data.y)
    dual = np.zeros(n)
    dual[theirs.support_] = np.abs(theirs.dual_coef_[0])
    np.testing.assert_allclose(kkt.hard_margin(data.x, data.y)[2], dual, atol=1e-6)


@given(separable(), st.booleans(), st.floats(1e-3, 1e3))
def test_kkt_conditions(problem, bias, scale):
    x, y = problem
    if not bias:  # the samples as they are need not be separable through the origin
        x = np.column_stack([x, np.ones(len(x))])
    w, b, lam = kkt.hard_margin(scale * x, y, bias)
    q = y * (scale * x @ w + b)
    np.testing.assert_allclose(w, (lam * y) @ (scale * x), rtol=1e-7, atol=1e-7 * np.linalg.norm(w))  # stationarity
    assert q.min() >= 1 - 1e-6  # primal feasibility
    assert (lam >= 0).all()  # dual feasibility
    assert np.abs(lam * (q - 1)).max() <= 1e-6 * lam.max()  # complementary slackness
    if bias:
        assert abs(lam @ y) <= 1e-6 * lam.max()
    else:
        assert b == 0
    np.testing.assert_allclose(lam.sum(), w @ w, rtol=1e-5)  # Euler, L = 1: Σλ = ‖w‖²/γ with γ = 1


def test_a_linear_classifier_is_a_network_of_one_layer():
    r"""kkt.py on Φ = ⟨w, x⟩ gives back the SVM: the same λ, no residual."""
    data = mr.load_dataset("mnist", 20)
    w, _, lam = kkt.hard_margin(data.x, data.y, bias=False)
    report = mr.kkt_report((mr.Layer(w[None]),), data)
    np.testing.assert_allclose(report.lam, lam, atol=1e-7)
    assert report.residual["best"]["relative"] < 1e-12
    np.testing.assert_allclose(report.sum_lam, report.euler, rtol=1e-6)
    assert abs(report.slackness) < 1e-6
    np.testing.assert_allclose(kkt.tangent_kernel((mr.Layer(w[None]),), data.x), data.x @ data.x.T, atol=1e-9)


def test_a_linear_network_reveals_one_vector_and_a_relu_network_many():
    data = mr.load_dataset("mnist", 20)
    first, second = linear_network(data.x, data.y, np.random.default_rng(0))
    product = (second.weight @ first.weight)[0]
    w = kkt.hard_margin(data.x, data.y, bias=False)[0]
    assert product @ w / np.linalg.norm(product) / np.linalg.norm(w) > 0.99
    s = np.linalg.svd(first.weight, compute_uv=False)
    assert s[1] < 0.01 * s[0]  # rank one, but for the start
    relu = mr.train(data, hidden=(100,), seed=0).params[0].weight
    s = np.linalg.svd(relu, compute_uv=False)
    assert s[9] > 0.03 * s[0]
    assert mlp.square_norm([first]) > 0


def test_errors_name_what_is_wrong():
    line = np.array([[0.0], [1.0], [2.0]])
    with pytest.raises(ValueError, match="no hyperplane separates the 3 samples"):
        kkt.hard_margin(line, np.array([1, -1, 1]))
    with pytest.raises(ValueError, match=r"no hyperplane separates the 2 samples"):
        kkt.hard_margin(np.ones((2, 3)), np.array([1, -1]))
    with pytest.raises(ValueError, match=r"log L is .* after 500 steps; expected -5.0, or separable samples"):
        linear_network(line, np.array([1, -1, 1]), np.random.default_rng(0), 3, -5.0, max_steps=500)
    with pytest.raises(ValueError, match=r"labels \[0.0, 1.0\] of shape \(3,\); expected −1 or \+1"):
        kkt.hard_margin(line, np.array([0, 1, 1]))
