import autograd.numpy as anp
import numpy as np
import pytest
from autograd import grad
from hypothesis import given
from hypothesis import strategies as st

from minirecon import Layer, losses
from minirecon.attack import sgd
from minirecon.io import minimise
from minirecon.io.progress import progress_line

SETTINGS = {"alpha": 20.0, "lam_min": 0.5, "lr_x": 0.01, "lr_lam": 0.002, "momentum": 0.9, "iterations": 4}


def parabola(x, t):
    return {"near": anp.sum((x - 1) ** 2), "far": 0.5 * anp.sum(t**2) + anp.sum(x) * 0}


@given(st.integers(0, 2**32 - 1), st.lists(st.lists(st.integers(1, 3), min_size=1, max_size=3), min_size=1, max_size=4))
def test_pack_and_unpack(seed, shapes):
    rng = np.random.default_rng(seed)
    arrays = [rng.normal(size=shape).astype(rng.choice(["float32", "float64"])) for shape in shapes]
    point = minimise.pack(arrays)
    assert point.dtype == np.float64
    for one, other in zip(arrays, minimise.unpack(point, arrays), strict=True):
        assert one.dtype == other.dtype
        np.testing.assert_array_equal(one, other)


def test_differentiate_gives_sum_terms_and_gradients():
    x, t = np.array([[3.0, 1.0]]), np.array([4.0])
    value, terms, (by_x, by_t) = minimise.differentiate(parabola)(x, t)
    assert value == 12
    assert terms == {"near": 4.0, "far": 8.0}
    assert all(type(term) is float for term in terms.values())
    np.testing.assert_array_equal(by_x, [[4, 0]])
    np.testing.assert_array_equal(by_t, [4])


def test_lbfgs_goes_down_and_stops_at_its_number_of_iterations():
    like = [np.zeros((2, 3), np.float32), np.full(2, 5.0)]
    with progress_line(9, "test", False) as bar, minimise.Descent(bar, {"point": minimise.pack(like)}) as descent:
        minimise.lbfgs(minimise.differentiate(parabola), like, descent, 1)
        assert descent.steps == 1
        minimise.lbfgs(minimise.differentiate(parabola), like, descent, 20)
    x, t = minimise.unpack(descent.state["point"], like)
    np.testing.assert_allclose(x, 1, atol=1e-5)
    np.testing.assert_allclose(t, 0, atol=1e-5)
    total = sum(descent.history.arrays().values())
    assert np.all(np.diff(total) <= 0)
    assert not descent.interrupted


def test_ctrl_c_ends_a_descent_and_nothing_else_does():
    with progress_line(1, "test", False) as bar:
        with minimise.Descent(bar, {"x": 1}) as descent:
            descent.state["x"] = 2
            raise KeyboardInterrupt
        assert descent.interrupted
        assert descent.state == {"x": 2}
        with pytest.raises(KeyError), minimise.Descent(bar, {}):
            raise KeyError


def attack(seed, after=None, **settings):
    r"""`sgd.attack` on a small random network, and Ctrl-C at that call of the progress bar."""
    rng = np.random.default_rng(seed)
    params = (Layer(rng.normal(size=(4, 3)), rng.normal(size=4)), Layer(rng.normal(size=(1, 4))))
    x, y, calls = rng.normal(size=(2, 3)), np.array([-1.0, 1.0]), []

    def update(*_):
        calls.append(1)
        if len(calls) == after:
            raise KeyboardInterrupt

    with progress_line(10, "sgd", False) as bar:
        bar.update = update
        rec = sgd.attack(params, x, y, np.random.default_rng(seed), bar, {**SETTINGS, **settings}, None)
    return params, x, y, rec


def test_sgd_attack():
    r"""λ is drawn from U(0, 1); x and λ move by PyTorch's rule; the history is that of the losses before each step."""
    for seed in range(5):
        params, x, y, _ = attack(seed)
        lam, velocity, terms = np.random.default_rng(seed).uniform(0, 1, 2), [0, 0], []
        for steps in range(1, 5):
            terms.append(losses.total_loss(params, x, lam, y, 20.0, 0.5))
            gradients = [grad(losses.total_loss, which)(params, x, lam, y, 20.0, 0.5) for which in (1, 2)]
            velocity = [0.9 * v + g for v, g in zip(velocity, gradients, strict=True)]
            x, lam = x - 0.01 * velocity[0], lam - 0.002 * velocity[1]
            rec = attack(seed, iterations=steps)[-1]
            np.testing.assert_allclose(rec.x, x, rtol=1e-9)
            np.testing.assert_allclose(rec.lam, lam, rtol=1e-9)
            np.testing.assert_allclose(sum(rec.history.values()), terms, rtol=1e-9)


def test_sgd_keeps_the_best_at_ctrl_c():
    r"""With steps far too large the loss goes up: what it returns is the best, not the last."""
    history = sum(attack(1, lr_x=0.3, lr_lam=0.3, iterations=8)[-1].history.values())
    assert history.argmin() < 4
    params, _, y, rec = attack(1, after=8, lr_x=0.3, lr_lam=0.3, iterations=50)
    assert rec.interrupted
    assert losses.total_loss(params, rec.x, rec.lam, y, 20.0, 0.5) == pytest.approx(history.min())
