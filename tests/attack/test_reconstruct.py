import errno
import inspect
import subprocess
import sys
import time

import numpy as np
import pytest
from autograd import grad
from strategies import flatten

from minirecon import (
    CheckpointError,
    Layer,
    attack,
    load_dataset,
    losses,
    mlp,
    reconstruct,
    save,
    score,
    train,
)  # fmt: skip
from minirecon.attack import lbfgs, sgd


@pytest.fixture(scope="module")
def data():
    return load_dataset("mnist", n=8)


@pytest.fixture(scope="module")
def params(data):
    return train(data, (100, 100), seed=0, target_time=1e4).params


@pytest.fixture(scope="module")
def rec(params):
    return reconstruct(params, m=16, seed=0, iterations=200)


def test_finds_the_training_images(rec, data):
    r"""Digits from the weights alone, far beyond what the null baselines reach."""
    result = score(rec, data)
    nulls = np.max([null.ncc for null in result.null.values()], axis=0)
    assert np.median(result.ncc) > 0.75
    assert np.median(result.ncc - nulls) > 0.1  # the start knows the span and the spectrum of W¹: 0.63 of itself
    assert np.sum(result.ncc > nulls) >= 6
    assert np.mean(rec.y[result.nearest] == data.y) >= 7 / 8  # with their labels


def test_result(rec, params):
    assert rec.x.shape == rec.start.shape == (16, 784)
    assert rec.y.tolist() == [-1] * 8 + [1] * 8
    assert rec.lam.shape == (16,)
    assert rec.x.dtype == rec.lam.dtype == np.float32
    settings = attack.SETTINGS["lbfgs"]
    assert np.all((rec.lam >= np.float32(settings["lam_min"])) & (rec.lam <= settings["lam_max"]))
    assert np.std(rec.lam) > 0
    assert list(rec.history) == ["layer 1", "upper", "range", "margin"]
    assert not rec.interrupted
    total = sum(rec.history.values())
    assert 50 < len(total) <= 200
    assert np.all(np.diff(total) < 1e-4 * total[:-1])  # L-BFGS only goes down, but for rounding
    assert rec.history["layer 1"][-1] < 0.25 * rec.history["layer 1"][0]
    # candidates and start lie in the span of the first m/2 right singular vectors
    vt = np.linalg.svd(params[0].weight.astype(float))[2][:8]
    for x in (rec.x, rec.start):
        np.testing.assert_allclose(x @ vt.T @ vt, x, atol=1e-5)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_history_is_the_loss_of_the_result(params, dtype):
    params = (params[0]._replace(bias=params[0].bias + np.float32(0.1)), *params[1:])  # that it may be seen
    rec = reconstruct(params, m=6, iterations=20, span=784, upper_weight=0.25, margin_weight=2.0, dtype=dtype)
    assert rec.x.dtype == dtype
    alpha = attack.SETTINGS["lbfgs"]["alpha"]
    net = mlp.forward(params, rec.x, alpha)
    gradient = mlp.weighted_gradient(params, net, (rec.lam * rec.y / 6)[:, None])
    misfit = [
        tuple(p - g for p, g in zip(*pair, strict=True) if p is not None) for pair in zip(params, gradient, strict=True)
    ]
    # 100 of 784 singular vectors exist: what is outside their span is nothing here
    v, scale = lbfgs.span(params[0].weight, 784)
    row2 = lbfgs.unit_scale(params[0]) ** 2
    first = np.sum(row2[:, None] * (misfit[0][0] @ v / scale) ** 2) + np.sum(row2 * misfit[0][1] ** 2)
    upper = [sum(np.sum(p**2) for p in layer) for layer in misfit[1:]]
    last = {name: values[-1] for name, values in rec.history.items()}
    assert last["layer 1"] == pytest.approx(first, rel=1e-3)
    assert last["upper"] == pytest.approx(0.25 * sum(upper), rel=1e-3)
    assert last["range"] == pytest.approx(losses.range_loss(rec.x), rel=1e-3, abs=1e-6)
    assert last["margin"] == pytest.approx(2 * losses.margin_loss(net.phi, rec.y), rel=1e-2)


def test_span_is_that_of_the_weights_and_keeps_their_norm(params):
    weight = params[0].weight.astype(float)
    v, scale = lbfgs.span(weight, 5)
    _, s, vt = np.linalg.svd(weight, full_matrices=False)
    np.testing.assert_allclose(np.abs(vt[:5] @ v), np.eye(5), atol=1e-10)
    np.testing.assert_allclose(scale**2 / scale[0] ** 2, s[:5] / s[0])
    assert np.linalg.norm(weight @ v / scale) == pytest.approx(np.linalg.norm(weight @ v))


@pytest.mark.parametrize("with_bias", [True, False])
def test_a_units_residual_is_divided_by_the_root_of_its_norm(with_bias):
    r"""The norms are 4, 1 and 9 with their biases, and 0, which counts as a tenth of 9."""
    weight, bias = np.array([[0.0, 4.0], [0.0, 0.0], [0.0, 0.0], [9.0, 0.0]]), np.array([0.0, 1.0, 0.0, 0.0])
    if not with_bias:
        weight, bias = np.hypot(weight, [[0, 0], [0, 1], [0, 0], [0, 0]]), None
    row = lbfgs.unit_scale(Layer(weight, bias))
    np.testing.assert_allclose(row / row[0], [1, 2, np.sqrt(4 / 0.9), 2 / 3])
    # what is weighted, all units together, keeps its size
    assert np.sum(row**2 * [16, 1, 0, 81]) == pytest.approx(16 + 1 + 81)


def test_sgd_is_pytorchs_rule_on_the_authors_loss(params):
    r"""Three steps by hand, in float64."""
    options = {"iterations": 3, "alpha": 20.0, "lam_min": 0.5, "start_scale": 0.1, "lr_x": 0.01, "lr_lam": 0.02,
               "momentum": 0.9}  # fmt: skip
    rec = reconstruct(params, m=4, seed=5, optimizer="sgd", dtype="float64", **options)
    rng = np.random.default_rng(5)
    x = 0.1 * rng.normal(size=(4, 784))
    np.testing.assert_allclose(rec.start, x)
    lam, y = rng.uniform(0, 1, 4), np.array([-1.0, -1, 1, 1])
    wide = tuple(Layer(*(None if p is None else p.astype(float) for p in layer)) for layer in params)
    velocity = [0.0, 0.0]
    for step in range(3):
        assert sum(terms[step] for terms in rec.history.values()) == pytest.approx(
            losses.total_loss(wide, x, lam, y, 20.0, 0.5)
        )
        gradients = [grad(losses.total_loss, which)(wide, x, lam, y, 20.0, 0.5) for which in (1, 2)]
        velocity = [0.9 * v + g for v, g in zip(velocity, gradients, strict=True)]
        x, lam = x - 0.01 * velocity[0], lam - 0.02 * velocity[1]
    np.testing.assert_allclose(rec.x, x, rtol=1e-9)
    np.testing.assert_allclose(rec.lam, lam, rtol=1e-9)
    assert list(rec.history) == ["parameter", "lambda", "range"]


def test_sgd_lowers_the_loss(params):
    rec = reconstruct(params, m=8, optimizer="sgd", iterations=150)
    total = sum(rec.history.values())
    assert rec.x.dtype == np.float32
    assert total[-1] < total[0] - 0.3


@pytest.mark.parametrize("optimizer", ["lbfgs", "sgd"])
def test_the_seed_alone_decides(params, optimizer):
    one, two, three, other = (
        reconstruct(params, m=4, seed=seed, optimizer=optimizer, iterations=5)
        for seed in (1, 1, np.random.default_rng(1), 2)
    )
    for again in (two, three):
        np.testing.assert_array_equal(one.x, again.x)
        np.testing.assert_array_equal(one.lam, again.lam)
    assert not np.array_equal(one.x, other.x)


def test_half_precision_weights_are_attacked_in_float32(params):
    half = tuple(Layer(*(None if p is None else p.astype(np.float16) for p in layer)) for layer in params)
    assert reconstruct(half, m=4, iterations=3).x.dtype == np.float32


@pytest.mark.parametrize(("optimizer", "evaluations"), [("lbfgs", 60), ("sgd", 20)])
def test_ctrl_c_keeps_the_best(params, interrupt, optimizer, evaluations):
    interrupt(evaluations)
    rec = reconstruct(params, m=4, optimizer=optimizer, **({"lr_x": 1.0} if optimizer == "sgd" else {}))
    assert rec.interrupted
    total = sum(rec.history.values())
    assert 10 < len(total) <= evaluations
    if optimizer == "sgd":
        assert np.argmin(total) < len(total) - 1  # a learning rate of 1 goes up again
        settings = attack.SETTINGS["sgd"]
        loss = losses.total_loss(params, rec.x, rec.lam, rec.y, settings["alpha"], settings["lam_min"])
        assert loss == pytest.approx(total.min(), rel=1e-5)
    else:
        assert not np.array_equal(rec.x, rec.start)


def test_it_is_given_weights_only():
    assert "data" not in inspect.signature(reconstruct).parameters
    source = inspect.getsource(attack)
    assert "datasets" not in source
    assert "Dataset" not in source


W1, W2 = np.ones((3, 2)), np.ones((1, 3))


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        ((Layer(W1), Layer(np.full((1, 3), np.nan))), "params: layer 2: holds NaN or infinity"),
        ((Layer(W1), Layer(np.ones((1, 4)))), "params: layer 2: takes 4 inputs; expected 3"),
        ((Layer(W1), Layer(np.ones((10, 3)))), "m = 4: expected a whole number of at least 10 candidates, one of each"),
        ((Layer(np.zeros((3, 2))), Layer(np.zeros((1, 3)))), "no step from the start lowers the loss"),
    ],
)
def test_refuses_weights(weights, message):
    with pytest.raises(ValueError, match=message) as caught:
        reconstruct(weights, m=4)
    if "layer" in message:
        assert isinstance(caught.value, CheckpointError)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"optimizer": "adam"}, "optimizer = 'adam': expected 'lbfgs', 'sgd', 'differences'"),
        ({"lr_x": 1.0}, "lr_x: no such setting; expected iterations, alpha"),
        ({"dtype": "float16"}, "dtype = 'float16'"),
        ({"m": 1}, "m = 1: expected a whole number of at least 2"),
        ({"m": 4.0}, r"m = 4\.0: expected a whole number"),
        ({"alpha": 0.0}, r"alpha = 0\.0: expected a positive number"),
        ({"alpha": None}, "alpha = None: expected a positive number"),  # None is for what may be left open
        ({"iterations": None}, "iterations = None: expected a positive number"),
        ({"lam_max": "1"}, "lam_max = 1: expected a positive number"),
        ({"alpha": float("nan")}, "alpha = nan"),
        ({"start_scale": float("inf")}, "start_scale = inf"),
        ({"margin_weight": -1}, "margin_weight = -1"),
        ({"iterations": 2.5}, r"iterations = 2\.5: expected a whole number"),
        ({"span": 0}, "span = 0"),
        ({"lam_min": 2.0}, r"lam_max = 1\.0: expected more than lam_min = 2\.0"),
    ],
)
def test_refuses_settings(params, options, message):
    with pytest.raises(ValueError, match=message):
        reconstruct(params, **{"m": 4, **options})


def test_a_loss_that_is_not_finite_is_an_error(params):
    with pytest.raises(ValueError, match=r"the loss is not finite after \d+ iterations"):
        reconstruct(params, m=4, optimizer="sgd", iterations=100, lr_x=1e20)


def test_margins_may_be_left_out(params, data):
    r"""`margin_weight=0` and `upper_weight=1` is the paper's loss, with bounds for the lambda loss."""
    rec = reconstruct(params, m=16, iterations=100, margin_weight=0, upper_weight=1.0)
    assert np.all(rec.history["margin"] == 0)
    assert np.median(score(rec, data).ncc) > 0.8


def test_params_are_left_as_they_were(params):
    before = flatten(params).copy()
    reconstruct(params, m=4, iterations=3)
    np.testing.assert_array_equal(flatten(params), before)


SHORT = {"m": 6, "seed": 3}


@pytest.fixture
def segments(monkeypatch):
    r"""Short ones, so that a short attack is saved several times."""
    for module in (lbfgs, sgd):
        monkeypatch.setattr(module, "SEGMENT", 10)


def assert_same(one, two):
    for name in ("x", "lam", "y", "start"):
        np.testing.assert_array_equal(getattr(one, name), getattr(two, name))
    assert list(one.history) == list(two.history)
    for name, values in one.history.items():
        np.testing.assert_array_equal(values, two.history[name])


@pytest.mark.parametrize("optimizer", ["lbfgs", "sgd"])
def test_an_interrupted_attack_goes_on_bit_for_bit(params, segments, interrupt, tmp_path, optimizer):
    r"""Twice interrupted; the learning rate makes SGD overshoot, so that its best is not its last."""
    options = {**SHORT, "optimizer": optimizer, "iterations": 45, **({"lr_x": 1.0} if optimizer == "sgd" else {})}
    whole = reconstruct(params, **options)
    path = tmp_path / "state.npz"
    calls, saved = interrupt(22), [0]
    for _ in range(2):
        rec = reconstruct(params, checkpoint=path, **options)
        assert rec.interrupted
        assert [file.name for file in tmp_path.iterdir()] == ["state.npz"]  # still there, and nothing beside it
        saved.append(len(np.load(path)[f"history {next(iter(rec.history))}"]))
        assert saved[-2] < saved[-1] <= len(next(iter(rec.history.values()))) < 45
        assert saved[-1] % 10 == 0
        calls.clear()
    calls[:] = [None] * 22
    rec = reconstruct(params, checkpoint=path, **options)
    assert not rec.interrupted
    assert 0 < len(calls) - 22 < 50  # it did not begin anew
    assert_same(rec, whole)
    calls.clear()
    assert_same(reconstruct(params, checkpoint=path, **options), whole)
    assert len(calls) <= 5  # a finished one has next to nothing left to do


def test_sgds_best_is_saved_with_it(params, segments, interrupt, tmp_path):
    r"""Ctrl-C four steps after going on returns the best of all steps, also of those before the save."""
    options = {**SHORT, "optimizer": "sgd", "iterations": 45, "lr_x": 1.0, "checkpoint": tmp_path / "state.npz"}
    calls = interrupt(35)
    first = reconstruct(params, **options)
    total = sum(first.history.values())
    assert np.argmin(total) < 29
    calls[:] = [None] * 30
    assert_same(reconstruct(params, **options), first)


def test_a_converged_attack_stays_converged(params, tmp_path, interrupt):
    calls, options = interrupt(-1), {"m": 4, "iterations": 500, "checkpoint": tmp_path / "state.npz"}
    whole = reconstruct(params, **options)
    assert len(whole.history["margin"]) < 500
    calls.clear()
    assert_same(reconstruct(params, **options), whole)
    assert not calls


def test_a_killed_attack_goes_on_bit_for_bit(params, tmp_path):
    r"""SIGKILL, in another process, after the first save; with segments as they are."""
    save(params, tmp_path / "net.npz")
    code = (
        "import minirecon as mr; params = mr.load('net.npz')\n"
        "mr.reconstruct(params, m=6, seed=3, iterations=250, checkpoint='state.npz')"
    )
    process = subprocess.Popen([sys.executable, "-c", code], cwd=tmp_path)
    while not (tmp_path / "state.npz").exists():
        assert process.poll() is None, "it ended before it had saved"
        time.sleep(0.005)
    process.kill()
    process.wait()
    options = {**SHORT, "iterations": 250}
    assert len(np.load(tmp_path / "state.npz")["history margin"]) in (100, 200)
    assert_same(reconstruct(params, checkpoint=tmp_path / "state.npz", **options), reconstruct(params, **options))


def test_a_full_disk_leaves_the_last_good_state(params, segments, tmp_path, monkeypatch):
    path, options = tmp_path / "state.npz", {**SHORT, "iterations": 25}
    whole, savez, good = reconstruct(params, **options), np.savez, []

    def full(file, **arrays):
        if good:
            file.write(b"PK half of it")
            raise OSError(errno.ENOSPC, "No space left on device")
        savez(file, **arrays)
        good.append(True)

    monkeypatch.setattr(np, "savez", full)
    with pytest.raises(OSError, match="No space left"):
        reconstruct(params, checkpoint=path, **options)
    assert [file.name for file in tmp_path.iterdir()] == ["state.npz"]
    assert len(np.load(path)["history margin"]) == 10
    monkeypatch.setattr(np, "savez", savez)
    assert_same(reconstruct(params, checkpoint=path, **options), whole)


@pytest.mark.parametrize(
    ("other", "message"),
    [
        ({"m": 8}, "with m = 6; expected 8"),
        ({"seed": 4}, "with seed = 3; expected 4"),
        ({"seed": np.random.default_rng(3)}, r"with seed = 3; expected \w{8}…"),
        ({"dtype": "float64"}, "with dtype = float32; expected float64"),
        ({"optimizer": "sgd"}, "with optimizer = lbfgs; expected sgd"),
        ({"alpha": 99.5}, r"with alpha = 150\.0; expected 99\.5"),
        ({"weights": 2}, r"with weights = \w{8}…; expected \w{8}…"),
    ],
)
def test_refuses_the_state_of_another_attack(params, tmp_path, other, message):
    path = tmp_path / "state.npz"
    reconstruct(params, checkpoint=path, iterations=5, **SHORT)
    params = tuple(Layer(layer.weight * other.get("weights", 1), layer.bias) for layer in params)
    other.pop("weights", None)
    before = path.read_bytes()
    with pytest.raises(ValueError, match=rf"state\.npz: saved by another attack, {message}"):
        reconstruct(params, checkpoint=path, **{"iterations": 5, **SHORT, **other})
    assert path.read_bytes() == before


def test_refuses_a_damaged_state(params, tmp_path):
    path = tmp_path / "state"  # without an ending
    reconstruct(params, checkpoint=path, iterations=5, **SHORT)
    path.write_bytes(path.read_bytes()[:-200])
    with pytest.raises(ValueError, match=r"state: damaged, or no file of an attack's state \(BadZipFile"):
        reconstruct(params, checkpoint=path, iterations=5, **SHORT)
    with pytest.raises(ValueError, match=r"checkpoint = nowhere/state\.npz: no such folder"):
        reconstruct(params, checkpoint="nowhere/state.npz", iterations=5, **SHORT)


def test_settings_may_be_numpys_numbers(params):
    r"""np.float64(150) times a float32 array is float64, 150.0 times it is not."""
    given = {"alpha": 140.0, "upper_weight": 0.3, "margin_weight": 2.0, "lam_min": 0.4, "lam_max": 1.1}
    plain = reconstruct(params, **SHORT, iterations=5, **given)
    other = reconstruct(params, **SHORT, iterations=5, **{name: np.float64(value) for name, value in given.items()})
    assert_same(plain, other)
