from types import SimpleNamespace

import numpy as np
import pytest

from minirecon import Reconstruction, metrics
from minirecon.attack.consensus import SUPPORT, consensus, evaluate, save_consensus
from minirecon.cli import tables
from minirecon.experiments.drawing import images

A, B, C, D = np.linalg.qr(np.random.default_rng(0).normal(size=(25, 4)))[0].T  # four images 5×5
A, B, C, D = (image - image.mean() for image in (A, B, C, D))


def near(image, rng):
    r"""NCC with the image about 0.97, two of them about 0.94."""
    return 3 * (image / np.std(image) + 0.2 * rng.normal(size=25))


def candidates(runs):
    r"""A Reconstruction from one list of (image, label) for each run."""
    x, y, run = zip(*((image, y, r) for r, found in enumerate(runs) for image, y in found), strict=True)
    x = np.array(x, dtype=np.float32)
    start = np.random.default_rng(1).normal(size=x.shape)
    return Reconstruction(x, np.ones(len(x)), np.array(y, float), start, run=np.array(run))


@pytest.fixture
def rec():
    r"""A is found by all three runs, B by two, C with different labels, D twice by one run, and noise."""
    rng = np.random.default_rng(2)
    return candidates(
        [
            [(near(A, rng), 1), (near(B, rng), -1), (near(C, rng), 1), (rng.normal(size=25), 1)],
            [(near(A, rng), 1), (near(D, rng), -1), (near(D, rng), -1), (near(C, rng), -1)],
            [(near(B, rng), -1), (near(A, rng), 1), (-near(A, rng), 1), (rng.normal(size=25), -1)],
        ]
    )


def test_support_is_the_share_of_the_other_runs(rec):
    agreed = consensus(rec)
    assert agreed.support.tolist() == [1, 0.5, 0, 0, 0, 0, 0, 0]
    assert agreed.y.tolist()[:2] == [1, -1]
    for found, image in zip(agreed.x, (A, B), strict=False):
        assert np.corrcoef(found, image)[0, 1] > 0.9
    # D's two candidates make one group, C's two do not: their labels differ
    assert [int(sum(np.corrcoef(x, image)[0, 1] > 0.9 for x in agreed.x)) for image in (A, B, C, D)] == [1, 1, 2, 1]
    assert all(any(np.array_equal(x, other) for other in rec.x) for x in agreed.x)


def test_the_order_of_the_runs_does_not_matter(rec):
    other = rec._replace(run=2 - rec.run)
    np.testing.assert_array_equal(consensus(other).support, consensus(rec).support)


def test_vectors_that_are_no_images():
    x = np.random.default_rng(1).normal(size=(2, 17))
    rec = Reconstruction(
        np.concatenate([x, 2 * x + 1]), np.ones(4), np.array([-1.0, 1, -1, 1]), run=np.array([0, 0, 1, 1])
    )
    assert consensus(rec).support.tolist() == [1, 1]


def test_evaluate(rec):
    data = SimpleNamespace(x=np.array([A, D, B, D]), image_shape=(1, 5, 5))
    rows = evaluate(consensus(rec), data)
    assert [row["support"] for row in rows] == list(SUPPORT)
    assert [row["candidates"] for row in rows] == [8, 2, 2, 1, 1]
    assert [row["right"] for row in rows] == [3, 2, 2, 1, 1]
    assert [row["found"] for row in rows] == [4, 2, 2, 1, 1]
    assert [row["precision"] for row in rows] == [3 / 8, 1, 1, 1, 1]
    assert [row["recall"] for row in rows] == [1, 1 / 2, 1 / 2, 1 / 4, 1 / 4]
    null = evaluate(consensus(rec._replace(x=rec.start)), data)
    assert null[-1] == {"support": 1, "candidates": 0, "right": 0, "found": 0, "precision": None, "recall": 0}
    lines = tables.consensus(rows, null).splitlines()
    assert lines[2].split() == ["any", "8", "0.38", "1.00", "12", "0.00", "0.00"]
    assert lines[-1].split() == ["100%", "1", "1.00", "0.25", "0", "–", "0.00"]
    assert len({len(line) for line in lines[1:]}) == 1
    assert len(lines[1]) < 80


def test_saved_and_drawn(rec, tmp_path):
    agreed = consensus(rec)
    save_consensus(agreed, tmp_path / "consensus.npz")
    with np.load(tmp_path / "consensus.npz") as arrays:
        assert sorted(arrays) == ["support", "x", "y"]
        for name, array in agreed._asdict().items():
            np.testing.assert_array_equal(arrays[name], array)
    figure = images.consensus(*agreed)
    drawn = [axes for axes in figure.axes if axes.images]
    assert [axes.get_title() for axes in drawn[:2]] == ["+1, 100%", "−1, 50%"]
    assert len(drawn) == 8
    expected = metrics.stretch(agreed.x[:1].astype(float)).reshape(5, 5)
    np.testing.assert_allclose(drawn[0].images[0].get_array(), expected)
    assert "8 of 8 groups" in figure.get_suptitle()
    assert images.consensus(np.zeros((1, 2)), np.ones(1), np.ones(1)) is None


@pytest.mark.parametrize(
    ("rec", "message"),
    [
        (Reconstruction(np.ones((2, 25)), np.ones(2), np.ones(2)), "candidates of 1 run; expected at least 2"),
        (candidates([[(A, 1)]]), "candidates of 1 run; expected at least 2"),
        (candidates([[(A[:3], 1)], [(A[:3], 1)]]), "candidates of 3 numbers each; expected at least 16"),
    ],
)
def test_refuses(rec, message):
    with pytest.raises(ValueError, match=message):
        consensus(rec)
