r"""Attacks beyond the binary paper: several classes, known initial weights, checkpoints."""

import numpy as np
import pytest
from scipy.optimize import linear_sum_assignment

from minirecon import CheckpointError, Layer, kkt, load_dataset, losses, mlp, reconstruct, score, train
from minirecon.attack import SETTINGS, complete, lbfgs, resume
from minirecon.attack.restarts import restarts


@pytest.fixture(scope="module")
def digits():
    return load_dataset("mnist", n=10, classes=10)


@pytest.fixture(scope="module")
def ten(digits):
    r"""A network of ten outputs, trained by softmax."""
    return train(digits, (100, 100), seed=0, target_time=1e4)


@pytest.fixture(scope="module")
def two():
    r"""Eight digits in two classes, and a network of the square loss from initial weights as large as others."""
    data = load_dataset("mnist", n=8)
    options = {"loss": "mse", "target_time": None, "target_log_loss": -12.0, "hidden_biases": True}
    return data, train(data, (100, 100), seed=1, first_scale=0.03, **options)


def matched(rec, data):
    r"""L2 distances of candidates and training images, one to one, sorted."""
    distance = np.linalg.norm(data.x[:, None] - rec.x[None], axis=2)
    return np.sort(distance[linear_sum_assignment(distance)])


def test_ten_classes(ten, digits):
    r"""Digits from the weights alone, with their classes, beyond what the null baselines reach."""
    rec = reconstruct(ten.params, 20, iterations=200)
    assert rec.y.tolist() == sorted([*range(10)] * 2)
    result = score(rec, digits)
    nulls = np.max([null.ncc for null in result.null.values()], axis=0)
    assert np.median(result.ncc - nulls) > 0.1
    assert np.mean(rec.y[result.nearest] == digits.y) >= 0.8


def test_two_outputs(two):
    r"""A network with one output for each of two classes is trained, checked and attacked as well."""
    data, _ = two
    params = train(data, (50, 50), loss="softmax", target_time=1e3).params
    assert len(params[-1].weight) == 2
    rec = reconstruct(params, 16, iterations=100)
    assert rec.y.tolist() == [0] * 8 + [1] * 8
    assert np.median(score(rec, data).ncc) > 0.6


def test_every_rival_explains_more_than_the_largest(ten, digits):
    r"""λᵢⱼ ∝ p_ij for all j ≠ y leaves less of the weights than the runner-up form, and late λ are nearly the best."""
    soft, hard = (kkt.kkt_report(ten.params, digits, scalar) for scalar in (mlp.margin, mlp.margin_of_classes))
    assert soft.residual["best"]["total"] < hard.residual["best"]["total"]
    assert soft.cosine > 0.9
    assert hard.gamma > soft.gamma > 0


def test_known_start(two):
    r"""Nearly every digit, one to one; a wrong start finds none."""
    data, run = two
    right = matched(reconstruct(run.params, 16, initial=run.initial, iterations=300), data)
    stranger = mlp.initialise(np.random.default_rng(7), 784, (100, 100), first_scale=0.03, hidden_biases=True)
    wrong = matched(reconstruct(run.params, 16, initial=stranger, iterations=300), data)
    assert np.sum(right < 3) >= 6
    assert np.sum(wrong < 3) == 0


def test_truth_of_one_step_costs_nothing():
    r"""After one gradient step θ₁ − θ₀ = Σ cᵢ∇Φ(θ₀; xᵢ): with gradients at θ₀ the loss at the true samples is 0."""
    rng = np.random.default_rng(0)
    initial = tuple(Layer(rng.normal(size=shape), rng.normal(size=shape[:1])) for shape in ((20, 6), (10, 20), (1, 10)))
    x, c = rng.normal(size=(4, 6)), rng.normal(size=(4, 1))
    step = mlp.weighted_gradient(initial, mlp.forward(initial, x), c / 4)
    params = mlp.each(lambda p, g: p + g, initial, step)
    settings = {**SETTINGS["lbfgs"], "span": 4, "alpha": None, "between": 1e-12}
    problem = lbfgs.pose(params, np.zeros(4), settings, initial)
    u = x @ problem.v / problem.scale
    assert np.allclose(lbfgs.pixels(problem, u), x)
    found = lbfgs.terms(problem, u, c)
    assert set(found) == {"layer 1", "upper", "range"}
    assert max(found["layer 1"], found["upper"]) < 1e-18
    moved = lbfgs.terms(problem, u + 0.1, c)
    assert min(moved["layer 1"], moved["upper"]) > 1e-4


def test_signed():
    lam, y = lbfgs.signed(np.array([[2.0], [-3.0]]))
    assert lam.tolist() == [2, 3]
    assert y.tolist() == [1, -1]
    lam, y = lbfgs.signed(np.array([[0.5, -2.0, 1.0], [3.0, 0.0, 1.0]]))
    assert lam.tolist() == [2, 3]
    assert y.tolist() == [1, 0]


def test_between():
    a, b = ((Layer(np.full((1, 2), value), None),) for value in (1.0, 5.0))
    assert lbfgs.between(b, a, 0.25)[0].weight.tolist() == [[2, 2]]


def test_runs_and_resume_with_initial_weights(two, tmp_path):
    r"""A run of `restarts` is the attack with its seed; a saved state is of one start alone."""
    _, run = two
    options = {"initial": run.initial, "iterations": 3}
    rec = restarts(run.params, 4, 2, jobs=1, folder=tmp_path, **options)
    np.testing.assert_array_equal(rec.x[4:], reconstruct(run.params, 4, seed=1, **options).x)
    other = mlp.each(lambda p: p + 1, run.initial)
    with pytest.raises(ValueError, match=r"run-000\.npz: saved by another attack, with initial = "):
        restarts(run.params, 4, 2, jobs=1, folder=tmp_path, initial=other, iterations=3)
    plain = resume.identity(run.params, 4, 0, "lbfgs", "float32", {})
    assert "initial" not in plain


def test_residual_of_the_difference(two):
    r"""What the command line prints: the candidates and their λy explain θ − θ₀ at the weights in between."""
    _, run = two
    rec = reconstruct(run.params, 16, initial=run.initial, iterations=100)
    at = lbfgs.between(run.params, run.initial, SETTINGS["lbfgs"]["between"])
    found = losses.residual(at, rec.x, rec.lam, rec.y, target=mlp.subtract(run.params, run.initial))
    assert found["relative"] < 0.3


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"optimizer": "sgd"}, "initial weights: expected optimizer = 'lbfgs' and no samples"),
        ({"samples": 4}, "initial weights: expected optimizer = 'lbfgs' and no samples"),
    ],
)
def test_what_initial_weights_do_not_go_with(two, options, message):
    _, run = two
    with pytest.raises(ValueError, match=message):
        reconstruct(run.params, 8, initial=run.initial, **options)


def test_bad_initial_weights(two, ten):
    _, run = two
    with pytest.raises(
        CheckpointError, match=r"initial: layer 2 has shapes \(100, 100\) and None; expected .* \(100,\)"
    ):
        reconstruct(run.params, 8, initial=ten.initial)
    with pytest.raises(CheckpointError, match="initial: the weights are the trained ones; expected those before"):
        reconstruct(run.params, 8, initial=run.params)
    with pytest.raises(ValueError, match="several outputs: expected optimizer = 'lbfgs' and no samples"):
        complete("sgd", {}, 10)
