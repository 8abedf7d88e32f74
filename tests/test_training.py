import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from strategies import flatten, slow_forward

from minirecon import Layer, load_dataset, losses, mlp, train
from minirecon.io.datasets import Dataset
from minirecon.training import log_logistic_loss


@pytest.fixture(scope="module")
def data():
    return load_dataset("mnist", n=20)


@given(st.lists(st.floats(-30, 30), min_size=1, max_size=6))
def test_log_logistic_loss(margins):
    q = np.array(margins)
    loss = np.mean(np.log1p(np.exp(-q)))
    log_loss, weights = log_logistic_loss(q)
    assert log_loss == pytest.approx(np.log(loss), rel=1e-9, abs=1e-9)
    np.testing.assert_allclose(weights, 1 / (1 + np.exp(q)) / loss, rtol=1e-9)


@given(st.lists(st.floats(29, 5000), min_size=1, max_size=6))
def test_log_logistic_loss_does_not_underflow(margins):
    r"""Far out L is the mean of e⁻q, and both results are those of a softmin."""
    q = np.array(margins)
    log_loss, weights = log_logistic_loss(q)
    shifted = np.exp(q.min() - q)
    assert log_loss == pytest.approx(-q.min() + np.log(shifted.mean()), rel=1e-12)
    np.testing.assert_allclose(weights, shifted / shifted.mean(), rtol=1e-9, atol=1e-12)


def test_one_step_of_gd_is_the_papers(data):
    r"""θ₁ = θ₀ − 0.01 ∇L(θ₀), the gradient by central differences of slowly computed outputs."""
    small = data._replace(x=data.x[:2, 300:310], y=data.y[:2], x_test=data.x_test[:0, 300:310], y_test=data.y_test[:0])
    start = mlp.initialise(np.random.default_rng(1), 10, (3, 4), first_scale=0.5, dtype=float)
    run = train(small, (3, 4), params=start, method="gd", target_time=0.01, dtype=float)
    assert run.history["step"].tolist() == [0, 1]

    def loss(params):
        q = np.array([y * slow_forward(params, x)[0] for x, y in zip(small.x, small.y, strict=True)])
        return np.mean(np.log1p(np.exp(-q)))

    for layer in range(3):
        for index in [(0, 0), (0, 1), (0, 2)]:
            up, down = ([type(p)(p.weight.copy(), p.bias) for p in start] for _ in range(2))
            up[layer].weight[index] += 1e-6
            down[layer].weight[index] -= 1e-6
            slope = (loss(up) - loss(down)) / 2e-6
            moved = run.params[layer].weight[index] - start[layer].weight[index]
            assert moved == pytest.approx(-0.01 * slope, rel=1e-5, abs=1e-10)


def test_flow_and_gd_walk_the_same_path(data):
    r"""Equal T, a fifteenth of the steps: norms within 2 %, margins within 5 %."""
    runs = [
        train(data, (50, 50), seed=3, method=method, target_time=60.0, first_scale=1e-2, record_every=1000)
        for method in ("flow", "gd")
    ]
    flow, gd = (run.history for run in runs)
    assert flow["time"][-1] == pytest.approx(60)
    assert gd["time"][-1] == pytest.approx(60)
    assert flow["log_loss"][-1] < -3  # trained, not merely started
    assert 15 * flow["step"][-1] < gd["step"][-1] == 6000
    np.testing.assert_allclose(flow["norm"][-1], gd["norm"][-1], rtol=0.02)
    margins = [data.y * mlp.forward(run.params, data.x.astype(np.float32)).phi[:, 0] for run in runs]
    np.testing.assert_allclose(margins[0], margins[1], rtol=0.05)
    assert flow["min_margin"][-1] == pytest.approx(margins[0].min(), rel=1e-5)


def test_nothing_underflows_at_log_loss_minus_150(data):
    run = train(data, (50, 50), target_time=None, target_log_loss=-150.0)
    h = run.history
    assert h["log_loss"][-1] <= -150 < h["log_loss"][-2]
    assert h["time"][-1] > 1e50
    assert h["min_margin"][-1] >= 147
    assert np.isfinite(flatten(run.params)).all()
    assert np.all(np.diff(h["time"]) > 0)
    assert np.all(np.diff(h["log_loss"][h["log_loss"] < -1]) < 0)  # images are not stiff: no step overshoots
    # cos(θ, −∇L) → 1, Theorem 3.1; slowest where the random start is large
    assert np.all(h["alignment"][-1] > [0.95, 0.75, 0.95])
    middle = np.argmax(h["log_loss"] < -5)
    assert h["alignment"][middle, 1] < 0.5
    assert np.all(h["alignment"][-1] <= 1 + 1e-6)


def test_history(data):
    run = train(data, (20,), seed=5, target_time=50.0, first_scale=0.01, record_every=7)
    h = run.history
    assert not run.interrupted
    assert h["step"].tolist() == [*range(0, h["step"][-1], 7), h["step"][-1]]
    assert h["time"][0] == 0
    assert h["time"][-1] == pytest.approx(50)
    assert h["norm"].shape == h["alignment"].shape == (len(h["step"]), 2)
    assert h["norm"][-1, 1] == pytest.approx(np.linalg.norm(run.params[1].weight), rel=1e-5)
    q = data.y * mlp.forward(run.params, data.x.astype(np.float32)).phi[:, 0]
    assert h["log_loss"][-1] == pytest.approx(np.log(np.mean(np.log1p(np.exp(-q)))), abs=1e-4)
    assert h["median_margin"][-1] == pytest.approx(np.median(q), rel=1e-4)
    assert h["train_accuracy"][-1] == 1
    right = mlp.forward(run.params, data.x_test.astype(np.float32)).phi[:, 0] * data.y_test > 0
    assert h["test_accuracy"][-1] == pytest.approx(right.mean())
    assert 0.6 < h["test_accuracy"][-1] < 1


def test_alignment_is_the_cosine_with_the_gradient(data):
    r"""With one sample, −∇L is a multiple of y∇Φ: the cosine of each layer follows from Φ's gradient."""
    one = data._replace(x=data.x[:1, 200:220], y=data.y[:1], x_test=data.x_test[:0], y_test=data.y_test[:0])
    start = mlp.initialise(np.random.default_rng(0), 20, (6,), first_scale=0.3, dtype=float)
    run = train(one, params=start, target_time=1e-9, dtype=float)
    gradient = mlp.weighted_gradient(start, mlp.forward(start, one.x), one.y[:, None])
    for layer, g, cosine in zip(start, gradient, run.history["alignment"][0], strict=True):
        theta, direction = flatten([layer]), flatten([g])
        assert cosine == pytest.approx(theta @ direction / np.linalg.norm(theta) / np.linalg.norm(direction))
    assert np.isnan(run.history["test_accuracy"][0])  # no test set


def test_seeds(data):
    one, two, three = (flatten(train(data, (10,), seed=s, target_time=1.0).params) for s in (0, 0, 1))
    np.testing.assert_array_equal(one, two)
    assert not np.array_equal(one, three)
    generator = train(data, (10,), seed=np.random.default_rng(0), target_time=1.0)
    np.testing.assert_array_equal(flatten(generator.params), one)


def test_stops_at_the_first_target(data):
    run = train(data, (10,), target_time=1e4, target_log_loss=-0.5, first_scale=0.1)
    assert run.history["log_loss"][-1] <= -0.5
    assert run.history["time"][-1] < 1e4
    assert train(data, (10,), max_steps=4).history["step"][-1] == 4


def test_ctrl_c_keeps_what_is_there(data, interrupt):
    calls = interrupt(30)
    run = train(data, (10,), first_scale=0.1, record_every=7)
    assert run.interrupted
    assert run.history["step"].tolist() == [0, 7, 14, 21, 25]  # five of the thirty were for the test accuracy
    q = data.y * mlp.forward(run.params, data.x.astype(np.float32)).phi[:, 0]
    assert run.history["min_margin"][-1] == pytest.approx(q.min(), rel=1e-4)  # of the weights that are returned
    calls[:] = [None] * 29
    with pytest.raises(KeyboardInterrupt):  # nothing there yet
        train(data, (10,))


@pytest.mark.parametrize(
    ("options", "message"),
    [({"method": "adam"}, "method = 'adam'"), ({"target_time": None}, "no flow time and no log L to stop at"),
     ({"hidden": ()}, r"hidden = \(\)"), ({"target_time": -1.0}, "target_time = -1"),
     ({"target_time": float("nan")}, "target_time = nan"), ({"target_log_loss": 1.0}, "target_log_loss = 1.0"),
        ({"target_log_loss": -1000.0}, "target_log_loss = -1000.0: expected a number from -600")],
)  # fmt: skip
def test_refuses(data, options, message):
    with pytest.raises(ValueError, match=message):
        train(data, **options)


def test_a_loss_that_is_not_finite_is_an_error(data):
    broken = data._replace(x=np.where(data.x > 0.5, np.inf, data.x))
    with pytest.raises(ValueError, match="log L is nan at step 0"), np.errstate(invalid="ignore", over="ignore"):
        train(broken, (10,))


def test_a_dead_network_is_an_error(data):
    dead = tuple(Layer(0 * layer.weight, layer.bias) for layer in mlp.initialise(np.random.default_rng(0), 784, (10,)))
    with pytest.raises(ValueError, match="the gradient is zero"):
        train(data, params=dead)
    rng = np.random.default_rng(0)
    silent = mlp.initialise(rng, 784, (10,), first_scale=1.0)
    silent = (silent[0], Layer(0 * silent[1].weight))  # its gradient is not: gradient descent leaves such a start
    assert train(data, params=silent, method="gd", max_steps=3).history["log_loss"][-1] < np.log(np.log(2))


def slow_outputs(params, x):
    r"""Φ (K,) of one sample, with loops over the hidden layers' units."""
    a = np.asarray(x, float)
    for number, (weight, bias) in enumerate(params, 1):
        a = np.array([row @ a for row in weight]) + (0 if bias is None else bias)
        a = np.array([max(z, 0) for z in a]) if number < len(params) else a
    return a


def gradient_of(params, data, y, each, decay=0.0):
    r"""∇(mean of each(Φ, y) + ½ decay ‖θ‖²) by central differences along a random direction, and that direction."""
    rng = np.random.default_rng(5)
    way = [None if p is None else rng.normal(size=p.shape) for layer in params for p in layer]

    def value(step):
        places = iter(way)
        moved = [Layer(*(None if p is None else p + step * next(places) for p in layer)) for layer in params]
        phi = np.array([slow_outputs(moved, x) for x in data.x])
        square = sum(float(np.sum(p**2)) for layer in moved for p in layer if p is not None)
        return np.mean([each(f, label) for f, label in zip(phi, y, strict=True)]) + 0.5 * decay * square

    way = [w for w in way if w is not None]
    return (value(1e-6) - value(-1e-6)) / 2e-6, way


LOSSES = {
    "logistic": (2, 1, lambda f, y: np.log1p(np.exp(-y * f[0]))),
    "mse": (2, 1, lambda f, y: (f[0] - y) ** 2),
    "softmax": (3, 3, lambda f, y: np.log(np.sum(np.exp(f))) - f[y]),
    "softmax of two classes": (2, 2, lambda f, y: np.log(np.sum(np.exp(f))) - f[int(y > 0)]),
}


def few(classes, n=6, d=5):
    r"""A Dataset of n random samples in so many classes."""
    rng = np.random.default_rng(classes)
    y = np.arange(n) % classes if classes > 2 else np.where(np.arange(n) % 2, 1.0, -1.0)
    x = rng.normal(size=(n, d))
    return Dataset("few", x, y, np.zeros(d), None, tuple(map(str, range(classes))), x[:0], y[:0])


@pytest.mark.parametrize("name", LOSSES)
def test_one_step_of_every_loss(name):
    r"""θ₁ − θ₀ = −0.01 ∇L, tested along one direction by central differences of slowly computed outputs."""
    classes, outputs, each = LOSSES[name]
    data = few(classes)
    run = train(data, (4, 3), 2, loss=name.split()[0], method="gd", target_time=0.01, first_scale=0.5, dtype=float)
    assert run.params[-1].weight.shape == (outputs, 3)
    slope, way = gradient_of(run.initial, data, data.y, each)
    moved = [p - q for a, b in zip(run.params, run.initial, strict=True) for p, q in zip(a, b) if p is not None]  # noqa: B905
    assert sum(float(np.sum(m * w)) for m, w in zip(moved, way, strict=True)) == pytest.approx(-0.01 * slope, rel=1e-5)


@pytest.mark.parametrize("name", LOSSES)
def test_every_loss_is_learnt_and_rests_with_decay(name):
    r"""The flow's log L falls to the target; with decay the whole loss falls at every step, and what is told is true.

    So small a network gets stuck at a kink, so that no gradient of zero can be asked for.
    """
    classes, _, each = LOSSES[name]
    data, loss = few(classes), name.split()[0]
    run = train(data, (20, 20), 2, loss=loss, target_time=None, target_log_loss=-8.0, first_scale=0.1, dtype=float)
    assert run.history["log_loss"][-1] <= -8
    assert run.history["train_accuracy"][-1] == 1
    assert run.history["min_margin"][-1] > 0
    run = train(data, (20, 20), 2, loss=loss, decay=1e-3, max_steps=400, first_scale=0.1, dtype=float)
    scalar = mlp.minus_square_loss if loss == "mse" else mlp.minus_logistic_loss
    labels = mlp.labels(data.y, len(run.params[-1].weight))
    misfit = losses.residual(run.params, data.x, np.full(len(labels), 1e3), labels, scalar)
    assert run.history["stationarity"][-1] ** 2 == pytest.approx(misfit["relative"], rel=1e-9)
    whole = np.exp(run.history["log_loss"]) + 0.5e-3 * np.sum(run.history["norm"] ** 2, axis=1)
    assert np.all(np.diff(whole) < 1e-12)
    phi = [slow_outputs(run.params, x) for x in data.x]
    assert np.exp(run.history["log_loss"][-1]) == pytest.approx(np.mean(list(map(each, phi, data.y))), rel=1e-9)


def test_decay_is_interrupted_too(monkeypatch):
    r"""Ctrl-C in L-BFGS returns the weights of the last whole step."""
    from minirecon import training

    data, seen = few(2), []

    def record(*args):
        seen.append(args[-1])
        if args[-1] == 20:
            monkeypatch.undo()
            raise KeyboardInterrupt
        return kept(*args)

    kept = training._record
    monkeypatch.setattr(training, "_record", record)
    run = train(data, (5,), 2, decay=1e-3, first_scale=0.1)
    assert run.interrupted
    assert run.history["step"].tolist() == [10, 20]


@pytest.mark.parametrize(
    ("classes", "options", "message"),
    [
        (3, {"loss": "logistic"}, "loss = 'logistic': expected 'softmax' for 3 classes"),
        (3, {"loss": "mse"}, "loss = 'mse': expected 'softmax' for 3 classes"),
        (2, {"loss": "hinge"}, "loss = 'hinge': expected 'logistic' or 'softmax' or 'mse'"),
        (2, {"decay": -1.0}, "decay = -1.0: expected a number of at least 0"),
        (2, {"decay": float("nan")}, "decay = nan: expected a number of at least 0"),
        (2, {"decay": 100.0}, "decay = 100.0: the weights have gone to 0; expected a smaller one"),
        (2, {"max_steps": 0}, "max_steps = 0: expected a number of at least 1"),
        (2, {"record_every": 0}, "record_every = 0: expected a number of at least 1"),
        (3, {"params": mlp.initialise(np.random.default_rng(0), 5, (4,))}, "params: 1 outputs; expected 3"),
        (2, {"loss": "mse", "target_log_loss": 0.5}, "expected a number from -600 to 0.000, log L where Φ = 0"),
    ],
)
def test_loss_and_classes_have_to_fit(classes, options, message):
    with pytest.raises(ValueError, match=message):
        train(few(classes), (4,), **options)


def test_labels():
    y = np.array([-1.0, 1.0, 1.0])
    assert mlp.labels(y, 1) is y
    assert mlp.labels(y, 2).tolist() == [0, 1, 1]
    assert mlp.labels(np.array([0, 2, 1]), 3).tolist() == [0, 2, 1]
    for labels, outputs, message in (
        ([0, 2, 1], 1, "labels 0, 1, 2; expected −1 and .1 for one output"),
        ([-1, 1], 3, "labels -1, 1; expected 0 to 2 for 3 outputs, data in as many classes"),
        ([0, 3], 3, "labels 0, 3; expected 0 to 2 for 3 outputs"),
    ):
        with pytest.raises(ValueError, match=message):
            mlp.labels(np.array(labels), outputs)
