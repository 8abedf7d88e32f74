r"""Training in mini-batches: the rules against sums written out by hand, and whole steps against slow gradients."""

import numpy as np
import pytest
from strategies import slow_gradient

from minirecon import mlp
from minirecon.experiments import minibatch

RATE, DECAY = 0.1, 0.3


def steps(rule, gradients, theta, decay=DECAY):
    kept, every = (0.0, 0.0), []
    for step, g in enumerate(gradients, 1):
        theta, kept = minibatch.RULES[rule](theta, g, kept, step, RATE, decay)
        every.append(theta)
    return every


def test_sgd_is_a_sum_over_all_earlier_gradients():
    r"""The velocity after t steps is Σ μᵗ⁻ˢ (g_s + decay θ_s): the sum, not the recursion."""
    gradients = [2.0, -1.0, 0.5]
    thetas = [4.0, *steps("sgd", gradients, 4.0)]
    pulls = [g + 0.3 * theta for g, theta in zip(gradients, thetas, strict=False)]
    for t in range(3):
        velocity = sum(0.9 ** (t - s) * pulls[s] for s in range(t + 1))
        assert thetas[t + 1] == pytest.approx(thetas[t] - 0.1 * velocity)


@pytest.mark.parametrize("rule", ["adam", "adamw"])
def test_adam_is_a_ratio_of_weighted_means(rule):
    r"""Weights (1 − β) βᵗ⁻ˢ / (1 − βᵗ), which sum to 1, of the gradients and of their squares."""
    gradients = [2.0, -1.0, 0.5]
    thetas = [4.0, *steps(rule, gradients, 4.0)]
    coupled = rule == "adam"
    pulls = [g + 0.3 * theta * coupled for g, theta in zip(gradients, thetas, strict=False)]
    for t in range(3):
        seen = np.array(pulls[: t + 1])
        mean, square = (
            np.average(seen**power, weights=beta ** np.arange(t, -1.0, -1)) for power, beta in ((1, 0.9), (2, 0.999))
        )
        shrunk = thetas[t] * (1 if coupled else 1 - 0.1 * 0.3)
        assert thetas[t + 1] == pytest.approx(shrunk - 0.1 * mean / (square**0.5 + 1e-8))


def test_the_first_step_of_adam_is_a_sign():
    r"""However large the gradient: only its sign is left, and with AdamW the decay goes beside it."""
    assert steps("adam", [1e3], 4.0, 0.0)[0] == pytest.approx(3.9)
    assert steps("adam", [-1e-3], 4.0, 0.0)[0] == pytest.approx(4.1)
    assert steps("adamw", [1e3], 4.0)[0] == pytest.approx(4 * 0.97 - 0.1)


def test_without_gradient_the_start_decays_as_the_chapter_says():
    r"""SGD by exp(−decay lr/(1 − μ) steps), nearly; AdamW by (1 − lr decay)^steps; Adam with L2 in steps of size lr."""
    for rule, rate, decay, expected in (("sgd", 0.1, 1e-3, np.exp(-2)), ("adamw", 0.01, 1e-2, 0.9999**2000)):
        value, kept = 1.0, (0.0, 0.0)
        for step in range(1, 2001):
            value, kept = minibatch.RULES[rule](value, 0.0, kept, step, rate, decay)
        assert value == pytest.approx(expected, rel=0.02)
    assert steps("adam", [0.0] * 10, 4.0)[-1] == pytest.approx(3.0, abs=0.05)


def test_usual_weights_are_those_of_a_linear_layer_in_pytorch():
    params = minibatch.usual(np.random.default_rng(0), 400, (300, 100))
    assert [layer.weight.shape for layer in params] == [(300, 400), (100, 300), (1, 100)]
    for layer, fan_in in zip(params, (400, 300, 100), strict=True):
        for each in layer:
            assert each.dtype == np.float32
            assert np.abs(each).max() <= fan_in**-0.5
        assert layer.weight.std() == pytest.approx((3 * fan_in) ** -0.5, rel=0.1)
    small = minibatch.usual(np.random.default_rng(0), 400, (300, 100), 1e-4)
    assert [each.std() for each in small[0]] == pytest.approx([1e-4, 1e-4], rel=0.15)
    assert np.abs(small[1].weight).max() == pytest.approx(300**-0.5, rel=0.01)


@pytest.mark.parametrize("rule", minibatch.RULES)
def test_an_epoch_takes_every_sample_once(rule):
    r"""Five samples in batches of two: three steps, the last of one sample, in the order that the generator draws."""
    rng = np.random.default_rng(0)
    params = minibatch.usual(rng, 3, (4,), dtype=float)
    x, y = rng.normal(size=(5, 3)), np.array([1.0, -1.0, 1.0, 1.0, -1.0])
    got = next(minibatch.epochs(params, x, y, np.random.default_rng(7), rule, 0.05, 0.01, batch=2))
    order = np.random.default_rng(7).permutation(5)
    theta, kept = minibatch.flat(params), (0.0, 0.0)
    for step, taken in enumerate((order[:2], order[2:4], order[4:]), 1):
        here, g = minibatch.like(params, theta), 0.0
        for i in taken:
            phi = mlp.forward(here, x[i][None]).phi[0, 0]
            weight = y[i] / (1 + np.exp(y[i] * phi))
            g = g - weight * slow_gradient(here, x[i]) / len(taken)
        theta, kept = minibatch.RULES[rule](theta, g, kept, step, 0.05, 0.01)
    np.testing.assert_allclose(minibatch.flat(got), theta, rtol=1e-10)
    assert np.linalg.norm(theta - minibatch.flat(params)) > 1e-3
