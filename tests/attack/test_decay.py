r"""The attack that is told the weight decay: coefficients are functions of x."""

import json
import os
from functools import partial

import autograd.numpy as anp
import numpy as np
import pytest
from scipy.optimize import root
from strategies import flatten, unflatten
from tqdm import tqdm

from minirecon import Layer, cli, load_dataset, losses, metrics, mlp, reconstruct, save, score, train
from minirecon.attack import complete, decay, lbfgs
from minirecon.attack.restarts import restarts
from minirecon.io import minimise
from minirecon.io.progress import progress_line

N, ALPHA = 4, 10.0
# the weight decay, and a seed with which the search for a root ends at one where all samples are on
NETS = {"logistic": (0.02, 0), "softmax": (0.02, 1), "mse": (0.002, 0)}


def rested(loss):
    r"""A net with gates σ(αz), and samples, for which θ = Σ ∇s/(n w) to rounding: params, x (n, d), y (n,)."""
    (w, seed), outputs = NETS[loss], 3 if loss == "softmax" else 1
    rng = np.random.default_rng(seed)
    x = rng.uniform(-1, 1, (N, 6))
    y = np.arange(N) % 3 if outputs > 1 else np.where(np.arange(N) % 2, 1.0, -1.0)
    params = mlp.initialise(rng, 6, (4, 4), outputs=outputs, first_scale=0.5, dtype=float)
    scalar = mlp.minus_square_loss if loss == "mse" else mlp.minus_logistic_loss

    def move(params):
        net = mlp.forward(params, x, ALPHA)
        direction = mlp.weighted_gradient(params, net, scalar(net.phi, y)[1] / N)
        return mlp.each(lambda p, g: g - w * p, params, direction)

    for _ in range(1000):
        params = mlp.each(lambda p, g: p + 0.3 * g, params, move(params))
    params = unflatten(
        root(lambda theta: flatten(move(unflatten(theta, params))), flatten(params), tol=1e-13).x, params
    )
    assert mlp.square_norm(move(params)) < 1e-20
    assert mlp.square_norm(params) > 1
    return params, x, y


def posed(loss, **given):
    r"""The attack's problem for such a net, the truth as its unknowns, and the true samples."""
    params, x, y = rested(loss)
    given = {"decay": NETS[loss][0], "loss": loss, "alpha": ALPHA, "span": decay.rank(params), **given}
    settings = complete("lbfgs", given, len(params[-1].weight)) | {"limits": (-1.0, 1.0)}
    problem = lbfgs.pose(params, y, settings)
    return problem, x @ problem.v / problem.scale


@pytest.mark.parametrize("loss", NETS)
@pytest.mark.parametrize("samples", [None, N])
def test_the_truth_leaves_nothing(loss, samples):
    r"""At a stationary point nothing is left at the true samples, with n known or not, and much with one moved."""
    problem, u = posed(loss, samples=samples)
    found = decay.terms(problem, u)
    assert found["layer 1"] + found["upper"] < (1e-4 if loss == "mse" else 1e-16)  # the ridge is what is left
    u[0] *= 1.1
    moved = decay.terms(problem, u)
    assert moved["layer 1"] + moved["upper"] > 1e-2


@pytest.mark.parametrize("loss", NETS)
def test_what_is_solved_for(loss):
    r"""κ is 1/(n w) though n is not known; of the square loss each coefficient is 2 (y − Φ)/(n w)."""
    problem, u = posed(loss)
    phi = mlp.forward(problem.layers, u).phi
    expected = (
        2 * (problem.y[:, None] - phi) / (N * NETS[loss][0])
        if loss == "mse"
        else np.full((N, 1), 1 / (N * NETS[loss][0]))
    )
    np.testing.assert_allclose(decay.best(problem, u)[0], expected, rtol=1e-3, atol=0.1)


@pytest.mark.parametrize("loss", NETS)
@pytest.mark.parametrize("samples", [None, 3])
def test_gradient_is_that_of_finite_differences(loss, samples, monkeypatch):
    r"""The coefficients move with x: they are differentiated through, or at their best, where that changes nothing."""
    # units whose derivative is the gate itself; the attack's have the ReLU's values
    monkeypatch.setattr(mlp, "relu", lambda z, s: anp.logaddexp(0, 2.0 * z) / 2.0)
    rng, outputs = np.random.default_rng(5), 3 if loss == "softmax" else 1
    shapes = ((7, 4), (6, 7), (outputs, 6))
    params = tuple(Layer(rng.normal(size=shape), rng.normal(size=shape[0])) for shape in shapes)
    y = np.arange(5) % outputs if outputs > 1 else rng.choice([-1.0, 1.0], 5)
    given = {"decay": NETS[loss][0], "loss": loss, "samples": samples, "alpha": 2.0, "span": 4}
    problem = lbfgs.pose(params, y, complete("lbfgs", given, outputs) | {"limits": (-1.0, 1.0)})
    evaluate = minimise.differentiate(partial(decay.terms, problem))
    u, direction = rng.normal(size=(2, 5, 4))
    value, _, (gradient,) = evaluate(u)
    ahead, back = (evaluate(u + step * direction)[0] for step in (1e-5, -1e-5))
    assert value > 0
    np.testing.assert_allclose(np.sum(gradient * direction), (ahead - back) / 2e-5, rtol=1e-5)


@pytest.mark.parametrize("loss", NETS)
def test_from_the_truth_it_stays(loss):
    problem, u = posed(loss, samples=N)
    with progress_line(50, "", False) as bar:
        descent = minimise.Descent(bar, {"point": minimise.pack([u]), "idle": 0})
    lbfgs.descend(minimise.differentiate(partial(decay.terms, problem)), [u], descent, 50)
    (end,) = minimise.unpack(descent.state["point"], [u])
    np.testing.assert_allclose(lbfgs.pixels(problem, end), lbfgs.pixels(problem, u), atol=1e-3)


@pytest.fixture(scope="module")
def digits():
    return load_dataset("mnist", n=20)


@pytest.fixture(scope="module")
def net(digits):
    return train(digits, (100, 100), decay=1e-3, max_steps=200).params


def test_digits(net, digits):
    r"""Training digits, more than unseen ones, from weights, decay and n; what is returned explains the weights."""
    rec = reconstruct(net, 20, decay=1e-3, samples=20, iterations=100)
    assert rec.x.shape == (20, 784)
    near = score(rec, digits).ncc
    unseen = metrics.ncc(digits.x_test[:20].reshape(-1, 1, 28, 28), rec.x.reshape(-1, 1, 28, 28)).max(axis=1)
    assert np.sum(near > 0.8) >= 3
    assert np.sum(near > 0.8) > np.sum(unseen > 0.8)
    assert losses.residual(net, rec.x, rec.lam, rec.y)["relative"] < 0.5
    phi = mlp.forward(net, rec.x).phi[:, 0]
    np.testing.assert_allclose(rec.lam, mlp.sigmoid(-rec.y * phi, 1.0) / 1e-3, rtol=1e-3)


@pytest.mark.parametrize(
    ("options", "outputs"),
    [({"loss": "mse"}, 1), ({}, 1), ({"loss": "softmax"}, 3), ({"samples": 4}, 3), ({"initial": None}, 1)],
)
def test_other_losses_and_nets_without_a_bias(options, outputs):
    r"""Without a bias in layer 1 there are no differences: the attack without decay makes the start, or noise is it."""
    rng = np.random.default_rng(0)
    params = tuple(Layer(rng.normal(size=shape)) for shape in ((9, 5), (8, 9), (outputs, 8)))
    rec = reconstruct(params, 6, decay=0.1, iterations=5, **options)
    assert rec.x.shape == (6, 5)
    assert np.isfinite(rec.x).all()
    assert set(rec.y.tolist()) <= ({-1, 1} if outputs == 1 else {0, 1, 2})
    assert (rec.lam >= 0).all()


def test_ctrl_c_in_the_attack_that_makes_the_start(interrupt):
    r"""It ends all, and keeps what that attack has; no second descent begins."""
    rng = np.random.default_rng(0)
    params = tuple(Layer(rng.normal(size=shape)) for shape in ((9, 5), (8, 9), (1, 8)))
    calls = interrupt(4)
    rec = reconstruct(params, 6, decay=0.1, iterations=5)
    assert len(calls) == 4
    assert rec.interrupted
    assert rec.x.shape == (6, 5)


def test_the_progress_line_counts_both_descents():
    r"""That of the attack that makes the start, and that from there."""
    rng = np.random.default_rng(0)
    params = tuple(Layer(rng.normal(size=shape)) for shape in ((9, 5), (8, 9), (1, 8)))
    settings = complete("lbfgs", {"decay": 0.1, "iterations": 4}) | {"limits": (-1.0, 1.0)}
    y, start = np.repeat([-1.0, 1.0], 3), 1e-3 * rng.normal(size=(6, 5))
    with open(os.devnull, "w") as nowhere, tqdm(total=4, file=nowhere) as bar:
        decay.attack(params, start, y, rng, bar, settings, None)
        assert (bar.n, bar.total) == (8, 8)


def test_runs_and_going_on(net, tmp_path):
    r"""A run of several is the attack with its seed, and an attack that is cut short ends in the same place."""
    options = {"decay": 1e-3, "loss": "logistic", "iterations": 3}
    alone = reconstruct(net, 4, seed=1, **options)
    np.testing.assert_array_equal(restarts(net, 4, 2, jobs=1, **options).x[4:], alone.x)
    reconstruct(net, 4, seed=1, checkpoint=tmp_path / "a.npz", **options)
    np.testing.assert_array_equal(reconstruct(net, 4, seed=1, checkpoint=tmp_path / "a.npz", **options).x, alone.x)
    with pytest.raises(ValueError, match=r"a\.npz: saved by another attack, with decay = 0\.001; expected 0\.002"):
        reconstruct(net, 4, seed=1, checkpoint=tmp_path / "a.npz", **{**options, "decay": 2e-3})


def test_balance():
    r"""0 for a unit whose weights in and out have one norm, near 1 for a small layer 1; 0 at a stationary point."""
    balanced = Layer(np.array([[3.0]]), np.array([4.0])), Layer(np.array([[5.0]]))
    assert decay.imbalance(balanced) == 0
    assert decay.imbalance((Layer(np.array([[1e-4]])), Layer(np.array([[1.0]])))) == pytest.approx(1, abs=1e-7)
    assert decay.doubts(balanced, 0.005, "logistic") is None
    assert "decay · ‖θ‖² per layer is 0.5, at rest at most 0.278" in decay.doubts(balanced, 0.02, "logistic")
    assert decay.doubts(balanced, 0.02, "mse") is None


def test_a_trained_net_is_balanced(net):
    assert decay.imbalance(net) < 0.02
    assert decay.doubts(net, 1e-3, "logistic") is None
    assert "far from rest" in decay.doubts(mlp.initialise(np.random.default_rng(0), 4, (3, 3)), 1e-3, "logistic")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"decay": 0}, "decay = 0: expected a positive number"),
        ({"decay": float("nan")}, "decay = nan: expected a positive number"),
        ({"decay": "much"}, "decay = much: expected a positive number"),
        ({"decay": 1e-3, "loss": "hinge"}, "loss = 'hinge': expected 'logistic', 'softmax', 'mse'"),
        ({"decay": 1e-3, "loss": "softmax"}, "loss = 'softmax': expected 'logistic' or 'mse' for 1 output"),
        ({"loss": "mse"}, "loss = 'mse': expected a decay with it"),
        ({"decay": 1e-3, "samples": 0}, "samples = 0: expected a positive number"),
        ({"decay": 1e-3, "samples": 2.5}, "samples = 2.5: expected a whole number"),
        ({"decay": 1e-3, "optimizer": "sgd"}, "decay: expected optimizer = 'lbfgs'$"),
        ({"loss": "mse", "optimizer": "differences"}, "loss: expected optimizer = 'lbfgs'$"),
    ],
)
def test_errors(net, options, message):
    with pytest.raises(ValueError, match="^" + message):
        reconstruct(net, 4, **options)
    outputs = tuple(Layer(np.ones(shape)) for shape in ((3, 2), (3, 3)))
    with pytest.raises(ValueError, match="loss = 'mse': expected 'softmax' for 3 outputs"):
        reconstruct(outputs, 4, decay=1.0, loss="mse")
    initial = mlp.each(lambda p: 0 * p, net)
    with pytest.raises(ValueError, match="decay and initial weights: expected one of the two"):
        reconstruct(net, 4, decay=1.0, initial=initial)


def test_command_line(net, digits, tmp_path, capsys):
    r"""The attack is told the decay; of a net that is far from rest it says so, and goes on."""
    shape = mlp.initialise(np.random.default_rng(0), 784, (9, 9), first_scale=0.01)
    for name, params, noted in (("rest", net, False), ("far", shape, True)):
        save(params, tmp_path / f"{name}.npz")
        order = ["attack", str(tmp_path / f"{name}.npz"), "--m", "4", "--decay", "1e-3", "--iterations", "2"]
        assert cli.main([*order, "--loss", "logistic", "--out", str(tmp_path / name)]) == 0
        told = capsys.readouterr()
        assert ("note: weights into and out of units differ by" in told.err) == noted
        results = json.loads((tmp_path / name / "results.json").read_text(encoding="utf-8"))
        assert results["config"]["decay"] == 1e-3
        assert (results["imbalance"] > decay.FAR) == noted
        assert "KKT residual" in told.out
        assert "random start" not in told.out  # decay has it forgotten
    assert cli.main(["attack", str(tmp_path / "far.npz"), "--loss", "mse", "--out", str(tmp_path / "none")]) == 2
    assert capsys.readouterr().err == (
        "minirecon attack: loss = 'mse': expected a decay with it; without one the loss does not matter\n"
    )
    assert not (tmp_path / "none").exists()
