r"""Subtract two units: candidates without a loss."""

import numpy as np
import pytest

from minirecon import Layer, load, load_dataset, metrics, mlp, reconstruct, score, train
from minirecon.attack import differences
from minirecon.attack.restarts import restarts
from minirecon.io.datasets import data_file


def hits(x, images, bound=0.8):
    r"""How many of the images (n, d) have a candidate with an NCC above `bound`."""
    return int(np.sum(metrics.ncc(images.reshape(-1, 1, 28, 28), x.reshape(-1, 1, 28, 28)).max(axis=1) > bound))


def test_the_shipped_digits():
    r"""Most of the twenty digits stand in the differences; no unseen digit does, and the attack has no start."""
    data = load_dataset("mnist", n=20)
    rec = reconstruct(load(data_file("mnist-n20.pth")), 200, optimizer="differences")
    assert hits(rec.x, data.x) >= 17
    assert hits(rec.x, data.x, 0.9) >= 14
    assert hits(rec.x, data.x_test[:20]) <= 1
    assert hits(rec.x[:20], data.x) >= 10  # what most agree on comes first
    near = metrics.ncc(rec.x[:20].reshape(-1, 1, 28, 28), data.x.reshape(-1, 1, 28, 28)).max(axis=1)
    assert np.mean(near > 0.8) >= 0.6
    assert rec.start is None
    assert len(rec.x) <= 200
    result = score(rec, data)
    assert np.mean(rec.y[result.nearest] == data.y) >= 0.9
    again = reconstruct(load(data_file("mnist-n20.pth")), 200, optimizer="differences")
    np.testing.assert_array_equal(again.x, rec.x)


def test_with_weight_decay():
    data = load_dataset("mnist", n=20)
    params = train(data, (200, 200), decay=1e-3, max_steps=200).params
    rec = reconstruct(params, 100, optimizer="differences")
    assert hits(rec.x, data.x) >= 6
    assert hits(rec.x, data.x_test[:20]) == 0


def planted(rng, d=12, n=5, units=60):
    r"""A network whose rows of layer 1 are exactly sums of the samples that are on, all with one signal."""
    x = rng.uniform(-0.9, 0.9, (n, d))
    gates = rng.integers(0, 2, (units, n))
    gates[:n] = np.tri(n, dtype=int)  # neighbours that differ by one sample
    first = gates @ np.column_stack([x, np.ones(n)])
    first = first[gates.any(axis=1)]
    return (Layer(first[:, :-1], first[:, -1]), Layer(np.ones((1, len(first))))), x


def test_planted_samples_come_back():
    r"""Where rows of one length differ by one sample, the difference is that sample, its scale too."""
    params, x = planted(np.random.default_rng(0))
    size = np.linalg.norm(np.column_stack(params[0]), axis=1)
    rows, units = differences.unit_rows(params)
    np.testing.assert_allclose(rows, np.column_stack(params[0])[units] / size[units, None])
    # unnormalised, any two rows that differ by one sample have it for their difference
    first = np.column_stack(params[0])
    edge = first[1] - first[0]
    np.testing.assert_allclose(edge[:-1] / edge[-1], x[1])


def test_ranked():
    r"""The median of the largest group first; each candidate once; at most m."""
    rng = np.random.default_rng(0)
    a, b, c = rng.normal(size=(3, 16))
    x = np.stack([a, b, a + 0.01, c, a - 0.02, b + 0.03])
    pairs = np.arange(12).reshape(6, 2)
    found = differences.ranked(x, pairs, 5)
    np.testing.assert_allclose(found, [a, b + 0.015, c])
    assert len(differences.ranked(x, pairs, 2)) == 2


def test_an_odd_unit_does_not_vote_for_itself():
    r"""Three differences of one unit agree with each other; so do two of four units, which come first."""
    rng = np.random.default_rng(0)
    odd, right = rng.normal(size=(2, 16))
    x = np.stack([odd, odd + 0.01, odd - 0.02, right, right + 0.03])
    pairs = np.array([[7, 1], [2, 7], [7, 3], [4, 5], [6, 8]])
    np.testing.assert_allclose(differences.ranked(x, pairs, 2), [right + 0.015, odd])
    expected = [[len({*p, *q}) == 4 for q in pairs.tolist()] for p in pairs.tolist()]
    np.testing.assert_array_equal(differences.apart(pairs), expected)


def test_samples_of_multiples():
    r"""c [x 1] gives x; what is too short, has no last coordinate or leaves the limits is left out."""
    x = np.array([[0.5, -1.0], [0.2, 0.3], [1.09, -1.09], [1.11, 0.0], [0.1, 0.1]])
    edges = np.column_stack([x, np.ones(5)]) * np.array([[-2.0], [0.001], [0.5], [1.0], [3.0]])
    edges[4, -1] = 0.0
    got, which = differences.samples(edges)
    np.testing.assert_array_equal(which, [0, 2])
    np.testing.assert_allclose(got, x[which])
    low, high = np.array([0.0, -1.0]), np.array([1.0, 1.0])
    np.testing.assert_array_equal(differences.samples(edges, (low, high))[1], [0])


def test_signals_are_those_of_the_gradient():
    r"""δⱼ(x)/‖[wⱼ bⱼ]‖: the row of ∇s(x) in layer 1, divided by its last entry's 1 and the unit's length."""
    rng = np.random.default_rng(1)
    params = tuple(
        Layer(rng.normal(size=shape), bias) for shape, bias in (((6, 4), rng.normal(size=6)), ((1, 6), None))
    )
    x, units = rng.normal(size=(3, 4)), np.array([4, 0])
    net = mlp.forward(params, x)
    for row, sample, phi in zip(differences._signals(params, x, units), x, net.phi, strict=True):
        one = mlp.forward(params, sample[None])
        gradient = mlp.weighted_gradient(params, one, np.sign(phi)[None])[0].bias
        np.testing.assert_allclose(row, (gradient / np.linalg.norm(np.column_stack(params[0]), axis=1))[units])


def test_what_it_cannot_do():
    rng = np.random.default_rng(0)
    bare = (Layer(rng.normal(size=(5, 4))), Layer(rng.normal(size=(1, 5))))
    with pytest.raises(ValueError, match="optimizer = 'differences': expected a bias in layer 1"):
        reconstruct(bare, 4, optimizer="differences")
    with pytest.raises(ValueError, match="neighbours = 0: expected a positive number"):
        reconstruct(bare, 4, optimizer="differences", neighbours=0)
    alike = (Layer(np.ones((5, 4)), np.ones(5)), Layer(np.ones((1, 5))))  # units of one direction: no two to subtract
    with pytest.raises(ValueError, match="no difference of two units looks like an image"):
        reconstruct(alike, 4, optimizer="differences")


def test_it_has_no_runs():
    with pytest.raises(ValueError, match="optimizer = 'differences': expected one attack, not runs"):
        restarts(load(data_file("mnist-n20.pth")), 20, 2, optimizer="differences")


def test_an_untrained_network_shows_nothing():
    data = load_dataset("mnist", n=20)
    fresh = mlp.initialise(np.random.default_rng(3), 784, (50, 50), first_scale=1.0)
    assert hits(reconstruct(fresh, 200, optimizer="differences").x, data.x, 0.5) == 0
