r"""Units subtracted: that the figure says what is measured, of networks and images as they are said to be."""

import numpy as np
from strategies import slow_ncc
from tiny import SEED, saved

from minirecon import attack, load_dataset, mlp, train
from minirecon.attack.differences import nearest, unit_rows
from minirecon.experiments import beyond, differences


def near(x, images):
    r"""NCC of each of x (m, d) with the nearest of the images (k, d): (m,)."""
    return slow_ncc(*(z.reshape(-1, 1, 28, 28) for z in (x, images))).max(axis=1)


def test_beyond_are_the_images_after_the_first():
    data, more = beyond("mnist", 6, 5), load_dataset("mnist", 16)
    for label in (-1, 1):
        theirs = more.pixels(more.x)[more.y == label]
        np.testing.assert_allclose(data.pixels(data.x)[data.y == label], theirs[5:], atol=1e-12)
    np.testing.assert_allclose(data.x.mean(axis=0), 0, atol=1e-12)
    np.testing.assert_allclose(data.x_test + data.mean, more.x_test + more.mean)


def test_lists_and_neighbours_of_the_second_network():
    got, data = saved("differences"), beyond("mnist", 4, 2)
    params = train(data, (30, 30), SEED + 1, target_time=100.0).params
    rec = attack.reconstruct(params, 8, seed=SEED, optimizer="differences")
    options = {"iterations": 5, "span": 4, "samples": 4, "rounds": 1}
    both = rec, attack.reconstruct(params, 12, seed=SEED, **options)
    for place, each in enumerate(both):
        x = each.x.astype(float)
        for key, images in (("ncc_list", data.x), ("unseen_list", data.x_test[:4])):
            row = got[key][1, place]
            np.testing.assert_allclose(row[: len(x)], near(x, images), rtol=1e-4)
            assert np.isnan(row[len(x) :]).all()
    rows, _ = unit_rows(mlp.cast(params, float))
    edges = (rows[:, None] - rows[nearest(rows, 2)]).reshape(-1, 785)
    expected = near(data.x, edges[:, :-1] / edges[:, -1:])
    np.testing.assert_allclose(got["ncc_neighbours"][1, 1], expected, rtol=1e-4)


def test_the_difference_shown_is_that_of_the_rows_shown():
    got = saved("differences")
    for (one, two), x in zip(got["rows"].astype(float), got["differences"].astype(float), strict=True):
        span = np.linalg.svd([one, two], full_matrices=False)[2]
        assert np.linalg.norm(span @ x) > 0.99 * np.linalg.norm(x)


def test_witnesses_share_no_unit():
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(2, 16))
    pool = np.array([a, 2 * a, a, b, a])
    pairs = np.array([[1, 2], [2, 3], [3, 4], [5, 6], [1, 7]])
    np.testing.assert_array_equal(differences.witnesses(np.array([a, b, -a]), pool, pairs), [2, 1, 0])


def test_what_is_right_and_expected_of_a_list_ends_with_it():
    data = {"ncc_list": np.array([[[0.9, 0.7, np.nan]]]), "unseen_list": np.array([[[0.1, 0.81, np.nan]]])}
    got = differences.judged(data | {"witnesses": np.array([[[4.0, 0.0, np.nan]]])})
    expected = {"right": [1, 0, np.nan], "unseen": [0, 1, np.nan], "expected": [0.75, 0, np.nan]}
    for key, values in expected.items():
        np.testing.assert_array_equal(got[key][0, 0], values)
