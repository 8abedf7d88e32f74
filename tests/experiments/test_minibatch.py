r"""Training in mini-batches: the rules against sums by hand, epochs against slow gradients; the figure of them."""

import numpy as np
import pytest
from strategies import slow_gradient, slow_ncc
from tiny import SEED, saved

from minirecon import attack, load_dataset, mlp
from minirecon.attack.differences import subtracted
from minirecon.experiments import minibatch, practice

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
    got, state = next(minibatch.epochs(params, x, y, np.random.default_rng(7), rule, 0.05, 0.01, batch=2))
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
    for ours, expected in zip(state, kept, strict=True):
        np.testing.assert_allclose(ours, expected, rtol=1e-10, atol=1e-15)
    assert np.linalg.norm(theta - minibatch.flat(params)) > 1e-3


def test_outside_the_span_of_the_samples_sgd_leaves_the_start_alone():
    r"""There a row of layer 1 is the start's, times what the rule makes of a 1 without gradient. Not so Adam's."""
    rng = np.random.default_rng(0)
    params = minibatch.usual(rng, 20, (15, 10), dtype=float)
    x, y = rng.normal(size=(6, 20)), np.array([1.0, -1.0, 1.0, 1.0, -1.0, -1.0])
    samples = np.column_stack([x, np.ones(6)])
    off = np.eye(21) - np.linalg.pinv(samples) @ samples
    start = np.column_stack(params[0]) @ off
    for rule, same in (("sgd", True), ("adam", False), ("adamw", False)):
        training = minibatch.epochs(params, x, y, np.random.default_rng(1), rule, 0.05, 0.1, batch=4)
        for _ in range(10):
            trained, _ = next(training)
        left, kept = 1.0, (0.0, 0.0)
        for step in range(1, 21):
            left, kept = minibatch.RULES[rule](left, 0.0, kept, step, 0.05, 0.1)
        rows = np.column_stack(trained[0])
        assert np.allclose(rows @ off, left * start, rtol=1e-9, atol=1e-12) == same
        norm, share = practice.outside(trained, x)
        assert norm == pytest.approx(np.linalg.norm(rows @ off))
        assert share == pytest.approx(np.sum((rows @ off) ** 2) / np.sum(rows**2))


def test_practice_again_step_by_step():
    r"""The small first layer of the tiny version, at its last stop: trained and subtracted again."""
    data, truth = saved("practice"), load_dataset("mnist", 10)
    place = data["trainings"].tolist().index("SGD, small first layer")
    rng = np.random.default_rng(SEED)
    params = minibatch.usual(rng, 784, (30, 30), 1e-4)
    training = minibatch.epochs(params, *(z.astype(np.float32) for z in (truth.x, truth.y)), rng, "sgd", 0.1)
    for _ in range(60):
        params, _ = next(training)
    every = subtracted(params)[0]
    listed = attack.reconstruct(params, 20, seed=SEED, optimizer="differences").x
    assert data["differences"][0, place, 1] == len(every) > 0
    for kind, x in (("ncc", every), ("ranked", listed)):
        for key, images in ((kind, truth.x), ("unseen" if kind == "ncc" else "ranked_unseen", truth.x_test[:10])):
            best = slow_ncc(images.reshape(-1, 1, 28, 28), x.reshape(-1, 1, 28, 28)).max(axis=1)
            np.testing.assert_allclose(data[key][0, place, 1], best, rtol=1e-4, atol=1e-5)
    got = practice.numbers(data)["mnist"]["SGD, small first layer"]["60"]
    assert got["ncc_over_0.8"] == np.sum(data["ncc"][0, place, 1] > 0.8) > got["unseen_over_0.8"]
    assert got["margin"] == pytest.approx(np.min(truth.y * mlp.forward(params, truth.x).phi[:, 0]), rel=1e-4)


def test_practice_counts_the_time_of_decay():
    r"""SGD: 1e-2 · 0.1 / 0.1 a step, one step an epoch for ten samples; AdamW: 5 · 1e-3; Adam: none."""
    got = {name: by["60"]["time"] for name, by in practice.numbers(saved("practice"))["mnist"].items()}
    assert got == {
        "SGD": 0, "SGD, decay 1e-2": pytest.approx(0.6), "Adam, L2 1e-3": None, "AdamW, decay 5": pytest.approx(0.3),
        "SGD, small first layer": 0, "AdamW, decay 5, v known": pytest.approx(0.3),
    }  # fmt: skip


def test_practice_draws_a_bar_for_each_training_and_a_point_for_each_stop():
    data = saved("practice")
    bars, points = (axes for axes in practice.draw(data).axes if axes.get_title())
    drawn = [patch.get_width() for patch in bars.patches]
    for place, (key, low) in enumerate((("ncc", 0.8), ("ncc", 0.9), ("unseen", 0.8))):
        np.testing.assert_array_equal(drawn[6 * place : 6 * place + 6], np.sum(data[key][0, :, 1] > low, axis=-1))
    assert [len(line.get_xdata()) for line in points.lines] == [4, 2, 2, 2, 2]
    np.testing.assert_allclose(points.lines[1].get_xdata(), data["outside"][0, 4])


def test_practice_undoes_the_division_of_adam_by_what_it_kept():
    r"""After one step of AdamW with decay 1/lr, θ = −lr m̂/√v̂: times √v that is the gradient, a sum of samples."""
    rng = np.random.default_rng(0)
    params = minibatch.usual(rng, 20, (15, 10), dtype=float)
    x, y = rng.normal(size=(6, 20)), np.array([1.0, -1.0, 1.0, 1.0, -1.0, -1.0])
    trained, (_, v) = next(minibatch.epochs(params, x, y, rng, "adamw", 0.1, 10.0))
    assert practice.outside(trained, x)[1] > 0.1
    assert practice.outside(practice.undivided(trained, v), x)[1] < 1e-4
    for one, other in zip(practice.undivided(trained, v)[1:], trained[1:], strict=True):
        np.testing.assert_array_equal(one.weight, other.weight)
