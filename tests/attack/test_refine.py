import autograd.numpy as anp
import numpy as np
import pytest
from autograd import grad
from hypothesis import given
from hypothesis import strategies as st
from strategies import slope

from minirecon import Layer, attack, load, load_dataset, losses, mlp, ncc, reconstruct
from minirecon.attack import refine
from minirecon.attack.candidates import Reconstruction
from minirecon.io.datasets import data_file
from minirecon.io.progress import progress_line


@pytest.fixture(scope="module")
def mnist():
    r"""The shipped network, its training set, and candidates that are the training set in noise, two of each image."""
    data, rng = load_dataset("mnist", 20), np.random.default_rng(0)
    order = np.argsort(data.y, kind="stable")
    x, y = (np.repeat(array[order], 2, axis=0) for array in (data.x, data.y))
    x = (0.7 * x + 0.15 * rng.normal(size=x.shape)).astype(np.float32)
    rec = Reconstruction(
        x, np.ones(40, np.float32), y.astype(np.float32), rng.normal(size=x.shape), {"layer 1": np.ones(3)}
    )
    return load(data_file("mnist-n20.pth")), data, rec


def agreement(x, data):
    r"""NCC of every training image with the nearest of x."""
    return ncc(*(images.reshape(-1, *data.image_shape) for images in (data.x, x))).max(axis=1)


def test_refinement_finds_the_training_set_again(mnist):
    params, data, rec = mnist
    before = agreement(rec.x, data)
    refined = refine.refine(params, rec, 20, 150.0, progress_line(refine.ITERATIONS, "refine", False))
    assert refined.x.shape == (20, 784)
    assert refined.x.dtype == refined.lam.dtype == np.float32
    assert refined.y.tolist() == [-1] * 10 + [1] * 10
    np.testing.assert_array_equal(refined.start, rec.start[np.r_[0:10, 20:30]])
    after = agreement(refined.x, data)
    assert np.median(before) < 0.9
    assert np.median(after) > 0.98
    assert np.sum(after > 0.9) >= 18
    assert refined.lam.max() <= 100 * refined.lam.min()  # within a factor of ten of the middle one
    residual = losses.residual(params, refined.x, refined.lam, refined.y)["per_layer"][0]
    assert residual < 0.1 * mlp.square_norm(params[:1])  # λ on the scale of the mean over samples


def test_ctrl_c_keeps_what_the_refinement_has(mnist, interrupt):
    params, data, rec = mnist
    interrupt(40)
    refined = refine.refine(params, rec, 20, 150.0, progress_line(refine.ITERATIONS, "refine", False))
    assert refined.interrupted
    assert refined.x.shape == (20, 784)
    assert np.median(agreement(refined.x, data)) > 0.8


def test_the_attack_refines_where_samples_is_set(mnist, monkeypatch):
    monkeypatch.setattr(refine, "STEPS", 10)  # the same bits after few steps as after many
    params, *_ = mnist
    options = {"seed": 3, "span": 20, "iterations": 10}
    plain, refined = reconstruct(params, 30, **options), reconstruct(params, 30, samples=20, **options)
    expected = refine.refine(params, plain, 20, 150.0, progress_line(refine.ITERATIONS, "refine", False))
    np.testing.assert_array_equal(refined.x, expected.x)
    np.testing.assert_array_equal(refined.history["layer 1"], plain.history["layer 1"])


@pytest.mark.parametrize("samples", [3, 32, 0])
def test_samples_out_of_range(samples):
    params = mlp.initialise(np.random.default_rng(0), 12, (40,))
    with pytest.raises(ValueError, match=f"samples = {samples}"):
        reconstruct(params, 30, samples=samples)
    with pytest.raises(ValueError, match=r"samples = 14: expected an even number, half of each label, from 2 to 11"):
        reconstruct(params, 30, samples=14)
    with pytest.raises(ValueError, match="expected a bias in layer 1"):
        reconstruct((params[0]._replace(bias=None), params[1]), 30, samples=4)


@given(st.integers(0, 2**32 - 1), st.integers(1, 6), st.integers(0, 4))
def test_merging_keeps_the_weighted_sum(seed, n, more):
    rng = np.random.default_rng(seed)
    x, lam = rng.normal(size=(n + more, 3)), rng.uniform(0.1, 1, n + more)
    merged, weights = refine.merge(x, lam, n)
    assert merged.shape == (n, 3)
    assert weights.sum() == pytest.approx(lam.sum())
    np.testing.assert_allclose(weights @ merged, lam @ x, atol=1e-12)


def test_merging_joins_what_is_alike():
    r"""Two clusters and one alone; the cost of joining is d² λ₁λ₂/(λ₁ + λ₂), so that light ones go first."""
    x, lam = refine.merge(np.array([[0.0], [0.1], [5.0], [5.2], [9.0]]), np.ones(5), 3)
    np.testing.assert_allclose(sorted(x.ravel()), [0.05, 5.1, 9.0])
    assert sorted(lam) == [1, 2, 2]
    x, lam = refine.merge(np.array([[0.0], [1.0], [2.1]]), np.array([1.0, 1.0, 0.1]), 2)
    np.testing.assert_allclose(sorted(x.ravel()), [0, (1 + 0.21) / 1.1])


def problem(seed, n=4, units=9):
    rng = np.random.default_rng(seed)
    layers = (Layer(rng.normal(size=(units, n)), None), Layer(rng.normal(size=(5, units)), None),
              Layer(rng.normal(size=(1, 5)), None))  # fmt: skip
    return rng, layers, rng.normal(size=(n, n)), rng.uniform(0.5, 1, n), np.array([-1.0, -1.0, 1.0, 1.0])


@given(st.integers(0, 2**32 - 1))
def test_the_likelihood_is_the_sum_over_units_and_samples(seed):
    _, layers, u, lam, y = problem(seed)
    c = layers[0].weight @ np.linalg.inv(u)  # (units, n)
    expected = np.log(abs(np.linalg.det(u)))
    for i in range(4):
        z = layers[0].weight @ u[i]
        hidden = layers[1].weight @ np.maximum(z, 0)
        delta = (layers[2].weight[0] * (hidden > 0)) @ layers[1].weight * (z > 0)
        p = np.linalg.inv(u)[:, i]
        for j in range(9):
            kkt = lam[i] * y[i] * delta[j]
            scale2 = 0.1**2 * (p @ p) + (0.15 * kkt) ** 2
            expected += (0.5 * np.log(scale2) + np.log(1 + (c[j, i] - kkt) ** 2 / scale2)) / 9
    assert refine.negative_log_likelihood(layers, u, lam, y, None, 0.1) == pytest.approx(expected, rel=1e-8)


@given(st.integers(0, 2**32 - 1))
def test_the_likelihood_knows_no_order_and_no_basis(seed):
    rng, layers, u, lam, y = problem(seed)
    value = refine.negative_log_likelihood(layers, u, lam, y, None, 0.1)
    order, rotation = rng.permutation(4), np.linalg.qr(rng.normal(size=(4, 4)))[0]
    assert refine.negative_log_likelihood(layers, u[order], lam[order], y[order], None, 0.1) == pytest.approx(value)
    turned = (Layer(layers[0].weight @ rotation, None), *layers[1:])
    assert refine.negative_log_likelihood(turned, u @ rotation, lam, y, None, 0.1) == pytest.approx(value)


def test_gradient_of_the_likelihood():
    r"""In λ, where the gates do not move, against finite differences."""
    rng, layers, u, lam, y = problem(5)
    direction = rng.normal(size=4)
    exact = grad(refine.negative_log_likelihood, 2)(layers, anp.array(u), lam, y, 20.0, 0.1) @ direction
    measured = slope(lambda lam: refine.negative_log_likelihood(layers, u, lam, y, 20.0, 0.1), lam, direction)
    assert exact == pytest.approx(measured, rel=1e-6)
    assert attack.SETTINGS["lbfgs"]["samples"] is None


def test_an_interrupted_attack_is_not_refined(mnist, interrupt):
    params, *_ = mnist
    interrupt(8)
    rec = reconstruct(params, 30, samples=20, span=20, iterations=30)
    assert rec.interrupted
    assert rec.x.shape == (30, 784)
