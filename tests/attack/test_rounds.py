import numpy as np
import pytest

from minirecon import attack, load, load_dataset, mlp, reconstruct
from minirecon.attack import differences, refine, rounds
from minirecon.attack.candidates import Reconstruction
from minirecon.io.datasets import data_file
from minirecon.io.progress import progress_line

ALPHA = 150.0


@pytest.fixture(scope="module")
def params():
    return load(data_file("mnist-n20.pth"))


def refined(params, x, y, steps, monkeypatch):
    r"""A short refinement that begins at x (20, d), half of each label."""
    monkeypatch.setattr(refine, "STEPS", steps)
    order = np.argsort(y, kind="stable")
    rec = Reconstruction(x[order].astype("float32"), np.ones(20, "float32"), y[order].astype("float32"), x[order])
    return refine.refine(params, rec, 20, ALPHA, progress_line(4 * steps, "refine", False))


def test_training_images_are_doubted_less_than_others(params, monkeypatch):
    data = load_dataset("mnist", 20)
    x, wrong = data.x.copy(), np.arange(0, 20, 5)
    for i in wrong:  # unseen digits of the same labels
        x[i] = data.x_test[data.y_test == data.y[i]][i]
    rec = refined(params, x, data.y, 5, monkeypatch)
    ranked, total = rounds.surest_first(params, rec, ALPHA)
    each = rounds.doubt(params, ranked, ALPHA)
    assert (np.diff(each) >= 0).all()
    assert each.sum() == pytest.approx(total)
    near = differences.alike(ranked.x.astype(float), data.x).any(axis=1)
    assert near[:10].all()
    assert each[near].mean() < each[~near].mean()
    truth = refined(params, data.x, data.y, 5, monkeypatch)
    assert rounds.doubt(params, truth, ALPHA).sum() < total


def test_doubt_does_not_depend_on_the_order(params, monkeypatch):
    data = load_dataset("mnist", 20)
    rec = refined(params, data.x, data.y, 2, monkeypatch)
    order = np.random.default_rng(0).permutation(20)
    other = rec._replace(x=rec.x[order], lam=rec.lam[order], y=rec.y[order])
    np.testing.assert_allclose(
        rounds.doubt(params, other, ALPHA), rounds.doubt(params, rec, ALPHA)[order], rtol=1e-3, atol=1e-3
    )


def test_a_round_keeps_the_surest_and_fills_with_others_unlike_them():
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(6, 9)), np.array([1, -1, 1, -1, 1, -1])
    lam = np.arange(1.0, 7)
    rec = Reconstruction(x, lam, y, x)
    others, labels = np.vstack([x[:2], rng.normal(size=(8, 9))]), np.array([1, -1] * 5)
    mixed = rounds.filled(rec, 3, others, labels)
    assert mixed.y.tolist() == [-1] * 3 + [1] * 3
    np.testing.assert_array_equal(mixed.x[0], x[1])
    np.testing.assert_array_equal(mixed.x[3:5], x[[0, 2]])
    np.testing.assert_array_equal(mixed.lam[[0, 3, 4]], [2, 1, 3])
    assert not differences.alike(mixed.x[[1, 2, 5]], x[:3]).any()
    assert rounds.filled(rec, 3, others[labels > 0], labels[labels > 0]) is None  # none of the other label


def test_the_attack_goes_on_in_rounds_and_ranks(params, monkeypatch):
    monkeypatch.setattr(refine, "STEPS", 5)
    options = {"seed": 3, "span": 20, "iterations": 30, "samples": 20}
    plain, more = reconstruct(params, 30, **options), reconstruct(params, 30, rounds=2, **options)
    np.testing.assert_array_equal(more.x, reconstruct(params, 30, rounds=2, **options).x)
    assert sorted(more.y) == sorted(plain.y)
    each = rounds.doubt(params, more, ALPHA)
    assert (np.diff(each) >= -1e-9).all()
    assert each.sum() <= rounds.doubt(params, plain, ALPHA).sum()
    np.testing.assert_array_equal(more.history["layer 1"], plain.history["layer 1"])


def test_a_network_without_differences_is_refused_before_the_attack(params, monkeypatch):
    r"""Not after it, when all that was found would be lost. The pixels of a difference are in units of the bias."""
    first = params[0]._replace(bias=params[0].bias * 1e-3)
    monkeypatch.setattr(attack.lbfgs, "lbfgs", None)
    with pytest.raises(ValueError, match="rounds = 2: no difference of two units looks like an image"):
        reconstruct((first, *params[1:]), 30, samples=20, rounds=2)


def test_rounds_that_find_nothing_to_fill_with_say_so(params, monkeypatch, capsys):
    data = load_dataset("mnist", 20)
    rec = refined(params, data.x, data.y, 2, monkeypatch)
    monkeypatch.setattr(rounds, "filled", lambda *_: None)
    with progress_line(40, "rounds", True) as bar:
        got = rounds.rounds(params, rec, 2, np.random.default_rng(0), bar, ALPHA)
    np.testing.assert_array_equal(got.x, rounds.surest_first(params, rec, ALPHA)[0].x)
    assert "2 of 2 skipped: too few differences" in capsys.readouterr().err


@pytest.mark.parametrize("when", [1, 3, 6])  # in the differences, in the first ranking, in a refinement
def test_ctrl_c_ends_the_rounds(params, interrupt, monkeypatch, when):
    data = load_dataset("mnist", 20)
    rec = refined(params, data.x, data.y, 5, monkeypatch)
    interrupt(when)
    got = rounds.rounds(params, rec, 2, np.random.default_rng(0), progress_line(40, "rounds", False), ALPHA)
    assert got.interrupted
    np.testing.assert_array_equal(np.sort(got.lam), np.sort(rec.lam))


def test_rounds_need_samples_and_a_whole_number():
    params = mlp.initialise(np.random.default_rng(0), 12, (40,))
    with pytest.raises(ValueError, match=r"^rounds = 2: expected samples, too$"):
        reconstruct(params, 30, rounds=2)
    with pytest.raises(ValueError, match=r"^rounds = 2: expected no decay, with which nothing is refined$"):
        reconstruct(params, 30, rounds=2, samples=4, decay=1e-3)
    with pytest.raises(ValueError, match=r"rounds = 1\.5: expected a whole number"):
        attack.complete("lbfgs", {"rounds": 1.5, "samples": 4})
