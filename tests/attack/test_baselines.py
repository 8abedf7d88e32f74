r"""Model inversion and first-layer weights: what the attack has to beat."""

import numpy as np
import pytest
from autograd import grad
from hypothesis import assume, given
from strategies import nearest_kink, problems, slope, slow_forward

from minirecon import CheckpointError, Layer
from minirecon.attack import baselines


def slow_inversion_loss(params, x, y):
    phi = {sign: [slow_forward(params, xi)[0] for xi, yi in zip(x, y, strict=True) if yi == sign] for sign in (-1, 1)}
    beyond = sum(max(abs(value) - 1, 0.0) ** 2 for row in x for value in row)
    return beyond - sum(phi[1]) / len(phi[1]) + sum(phi[-1]) / len(phi[-1])


@given(problems())
def test_inversion_loss_and_its_gradient(problem):
    rng, params, x, _, _ = problem
    x, y = np.concatenate([x, 2 * x[:1] + 1]), np.array([1.0] + [-1.0] * len(x))  # labels of unlike number
    np.testing.assert_allclose(
        baselines.inversion_loss(params, x, y), slow_inversion_loss(params, x, y), rtol=1e-9, atol=1e-9
    )
    assume(nearest_kink(params, x) > 1e-4)
    assume(np.abs(np.abs(x) - 1).min() > 1e-4)
    direction = rng.normal(size=x.shape)
    got = np.sum(grad(lambda x: baselines.inversion_loss(params, x, y))(x) * direction)
    np.testing.assert_allclose(
        got, slope(lambda x: slow_inversion_loss(params, x, y), x, direction), rtol=1e-4, atol=1e-5
    )


def network(d=6, width=20):
    rng = np.random.default_rng(0)
    layers = (rng.normal(size=(width, d)), rng.normal(size=width)), (rng.normal(size=(1, width)), None)
    return tuple(Layer(*layer) for layer in layers)


def test_inversion_finds_what_the_network_is_certain_of():
    params = network()
    rec = baselines.invert(params, 7, seed=3, iterations=200)
    margin = rec.y * [slow_forward(params, x)[0] for x in rec.x]
    start = rec.y * [slow_forward(params, x)[0] for x in rec.start]
    assert rec.y.tolist() == [-1] * 3 + [1] * 4
    assert np.all(margin > start + 1)
    # a minimum, beyond the box, where the range loss holds what Φ pulls
    rng, lowest = np.random.default_rng(1), slow_inversion_loss(params, rec.x, rec.y)
    for _ in range(20):
        assert slow_inversion_loss(params, rec.x + 0.05 * rng.normal(size=rec.x.shape), rec.y) > lowest
    assert np.all(np.abs(rec.x).max(axis=1) > 1)
    again = baselines.invert(params, 7, seed=3, iterations=200)
    np.testing.assert_array_equal(again.x, rec.x)
    assert not np.array_equal(baselines.invert(params, 7, seed=4, iterations=200).x, rec.x)


def test_inversion_wants_both_labels_and_a_network():
    with pytest.raises(ValueError, match="m = 1: expected at least 2"):
        baselines.invert(network(), 1)
    with pytest.raises(CheckpointError, match="expected at least 2"):
        baselines.invert(network()[:1], 4)


def test_inversion_keeps_what_is_there_after_ctrl_c(interrupt):
    interrupt(40)
    rec = baselines.invert(network(), 4, iterations=200)
    assert rec.interrupted
    before, after = (slow_inversion_loss(network(), x, rec.y) for x in (rec.start, rec.x))
    assert after < before - 0.1


def test_first_layer_rows_are_candidates_with_the_contrast_of_images():
    params = network()
    params[0].weight[4] = 0  # a unit that is nothing
    rec = baselines.first_layer(params)
    for row, x, y in zip(params[0].weight, rec.x, rec.y, strict=True):
        if row.any():
            np.testing.assert_allclose(x * np.std(row), 0.25 * row)
        else:
            assert not x.any()
        assert y == (1 if slow_forward(params, x)[0] > 0 else -1)
    assert rec.start is None
