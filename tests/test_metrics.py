import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from strategies import slow_ncc, slow_ssim

from minirecon import Dataset, Reconstruction, load_dataset, metrics, ncc, score, ssim
from minirecon.io.datasets import data_file

SHAPES = st.tuples(st.integers(1, 3), st.integers(1, 3), st.integers(2, 5), st.integers(2, 5))  # (n, c, h, w)


@st.composite
def image_pairs(draw):
    n, c, h, w = draw(SHAPES)
    pixels = st.integers(0, 20).map(lambda k: k / 20)
    return tuple(draw(arrays(float, (count, c, h, w), elements=pixels)) for count in (n, draw(st.integers(1, 3))))


@given(image_pairs())
def test_ncc_is_pearsons_correlation(pair):
    a, b = pair
    np.testing.assert_allclose(ncc(a, b), slow_ncc(a, b), atol=1e-9)
    np.testing.assert_allclose(ncc(b, a), ncc(a, b).T, atol=1e-12)


@given(image_pairs(), st.floats(0.1, 10), st.floats(-3, 3))
def test_ncc_ignores_contrast_and_brightness(pair, contrast, brightness):
    a, b = pair
    np.testing.assert_allclose(ncc(a, contrast * b + brightness), ncc(a, b), atol=1e-9)
    np.testing.assert_allclose(ncc(a, -b), -ncc(a, b), atol=1e-9)
    own = np.diag(ncc(a, a))
    has_contrast = (np.ptp(a, axis=(2, 3)) > 0).mean(axis=1)
    np.testing.assert_allclose(own, has_contrast, atol=1e-9)


@given(image_pairs())
def test_ncc_orders_as_the_authors_distance(pair):
    r"""Σ(x̂ − ŷ)²/D with (x − mean)/std, ddof 1, is 2 (1 − NCC) (D − c)/D where there is contrast."""
    a, b = (images + 0.01 * np.arange(images[0].size).reshape(images.shape[1:]) for images in pair)
    normal = [(z - z.mean(axis=(2, 3), keepdims=True)) / z.std(axis=(2, 3), ddof=1, keepdims=True) for z in (a, b)]
    distance = ((normal[0][:, None] - normal[1][None]) ** 2).mean(axis=(2, 3, 4))
    channels, pixels = a.shape[1], a[0].size
    np.testing.assert_allclose(distance, 2 * (1 - ncc(a, b)) * (pixels - channels) / pixels, atol=1e-7)


@given(image_pairs(), st.integers(0, 2**32 - 1))
def test_partial_ncc_is_the_correlation_of_residuals(pair, seed):
    r"""Against the textbook's least-squares fit of (1, mean) to either image, channel by channel."""
    a, b = pair
    count, (channels, h, w) = min(len(a), len(b)), a.shape[1:]
    mean = np.random.default_rng(seed).normal(size=(channels, h, w))
    got = metrics.partial_ncc(a[:count], b[:count], mean)
    for i in range(count):
        each = []
        for c in range(channels):
            known = np.column_stack([np.ones(h * w), mean[c].ravel()])
            rest = [z - known @ np.linalg.lstsq(known, z, rcond=None)[0] for z in (a[i, c].ravel(), b[i, c].ravel())]
            lengths = np.linalg.norm(rest, axis=1)
            each.append(rest[0] @ rest[1] / lengths.prod() if lengths.min() > 1e-9 else 0)
        assert got[i] == pytest.approx(np.mean(each), abs=1e-6)


@given(image_pairs(), st.floats(-3, 3), st.floats(0.1, 10))
def test_partial_ncc_does_not_see_the_mean_or_the_contrast(pair, share, contrast):
    a, b = (images[:1] for images in pair)
    rng = np.random.default_rng(0)
    a, b = (images + 0.1 * rng.normal(size=images.shape) for images in (a, b))
    mean = rng.normal(size=a.shape[1:])
    expected = metrics.partial_ncc(a, b, mean)
    np.testing.assert_allclose(metrics.partial_ncc(contrast * a + share * mean + 1, b, mean), expected, atol=1e-8)
    np.testing.assert_allclose(metrics.partial_ncc(b, a, 2 * mean - 1), expected, atol=1e-8)
    np.testing.assert_array_equal(metrics.partial_ncc(share * mean[None], b, mean), 0)  # the mean image as candidate


@pytest.mark.parametrize("shapes", [((1, 2, 2),) * 2 + ((2, 2),), ((2, 1, 3, 3), (1, 1, 3, 3), (1, 3, 3))])
def test_partial_ncc_refuses_shapes(shapes):
    with pytest.raises(ValueError, match=r"images of shapes .* expected \(n, c, h, w\) twice"):
        metrics.partial_ncc(*map(np.zeros, shapes))
    with pytest.raises(ValueError, match=r"and \(3, 3\);"):
        metrics.partial_ncc(np.zeros((1, 1, 3, 3)), np.zeros((1, 1, 3, 3)), np.zeros((3, 3)))


@given(image_pairs())
def test_ssim_is_the_sum_over_windows(pair):
    a, b = pair
    count = min(len(a), len(b))
    expected = [np.mean([slow_ssim(a[i, c], b[i, c]) for c in range(a.shape[1])]) for i in range(count)]
    np.testing.assert_allclose(ssim(a[:count], b[:count]), expected, atol=1e-9)
    np.testing.assert_allclose(ssim(b[:count], a[:count]), expected, atol=1e-9)
    np.testing.assert_allclose(ssim(a, a), 1, atol=1e-9)


def test_ssim_and_half_size_against_pytorch():
    r"""Numbers printed once by kornia 0.9.0, `metrics.ssim(a, b, 3)`, whose sums have an extra 1e-12 in the
    denominator and float32 weights, and PyTorch 2.13.0, `interpolate(scale_factor=0.5, mode="bicubic")`."""
    digits = np.load(data_file("mnist.npz"))["train_images"][:8, None] / 255
    expected = [0.5575756973972299, 0.5688714109652094, 0.5921719286534044, 0.6104153329939485]
    np.testing.assert_allclose(ssim(digits[:4], digits[4:]), expected, rtol=2e-5)
    animals = np.load(data_file("cifar10.npz"))["train_images"][:8].transpose(0, 3, 1, 2) / 255
    expected = [0.0998685828009878, 0.02154352842032053, 0.10203659066611818, 0.11184926673223776]
    np.testing.assert_allclose(ssim(animals[:4], animals[4:]), expected, rtol=1e-8)
    half = metrics.half_size(animals[:2])
    assert half.shape == (2, 3, 16, 16)
    expected = [0.10701210171568629, 0.1631701899509804, 0.4182406556372549, 0.5337622549019607]
    np.testing.assert_allclose(half[0, 0, 0, :4], expected, rtol=1e-12)
    np.testing.assert_allclose(half[1, 2, -1, -3:], [0.3570274203431373, 0.45775505514705883, 0.5504710477941176])
    assert half.sum() == pytest.approx(704.1343137254902)


@given(arrays(float, (3, 6), elements=st.integers(-9, 9).map(float)))
def test_stretch(x):
    result = metrics.stretch(x)
    for row, stretched in zip(x, result, strict=True):
        if np.ptp(row) == 0:
            np.testing.assert_array_equal(stretched, 0)
        else:
            assert (stretched.min(), stretched.max()) == (0, 1)
            np.testing.assert_allclose(stretched * np.ptp(row) + row.min(), row)


def noisy_candidates(data, m, noise=0.1, seed=0):
    rng = np.random.default_rng(seed)
    source = rng.permutation(np.arange(m) % len(data.x))
    x = rng.uniform(0.5, 2, (m, 1)) * data.x[source] + noise * rng.normal(size=(m, data.x.shape[1]))
    return Reconstruction(x, np.ones(m), data.y[source], rng.normal(size=x.shape))


@pytest.mark.parametrize("name", ["mnist", "cifar10"])
def test_score_follows_the_recipe(name):
    r"""Against the recipe written out as a loop over images."""
    data = load_dataset(name, n=6)
    rec = noisy_candidates(data, m=9)
    result = score(rec, data)
    shape = data.image_shape

    def search_size(x):
        image = x.reshape(1, *shape)
        if shape[0] == 1:
            return image
        taps = {-1: -0.09375, 0: 0.59375, 1: 0.59375, 2: -0.09375}
        for axis in (2, 3):  # bicubic, half-way between the pixels, the edge repeated
            at = np.arange(0, image.shape[axis], 2)
            image = sum(w * image.take(np.clip(at + k, 0, image.shape[axis] - 1), axis) for k, w in taps.items())
        return image

    for i, true in enumerate(data.x):
        similar = [slow_ncc(search_size(true), search_size(x))[0, 0] for x in rec.x]
        assert result.nearest[i] == np.argmax(similar)
        x = rec.x[np.argmax(similar)]
        assert result.ncc[i] == pytest.approx(slow_ncc(true.reshape(1, *shape), x.reshape(1, *shape))[0, 0])
        image = x + data.mean
        image = (image - image.min()) / (image.max() - image.min())
        np.testing.assert_allclose(result.images[i], image, atol=1e-12)
        channels = zip(image.reshape(shape), (true + data.mean).reshape(shape), strict=True)
        assert result.ssim[i] == pytest.approx(np.mean([slow_ssim(a, b) for a, b in channels]))


def test_score_has_null_baselines():
    data = load_dataset("mnist", n=6)
    rec = noisy_candidates(data, m=9)
    null = score(rec, data).null
    assert set(null) == {"mean_image", "start", "unseen", "others"}
    others = slow_ncc(data.x_test[:6].reshape(6, 1, 28, 28), rec.x.reshape(9, 1, 28, 28)).max(axis=1)
    np.testing.assert_allclose(null["others"].ncc, others, atol=1e-9)
    np.testing.assert_array_equal(null["mean_image"].ncc, 0)
    mean = metrics.stretch(data.mean[None])[0]
    np.testing.assert_allclose(null["mean_image"].images, np.tile(mean, (6, 1)))
    unseen = slow_ncc(data.x.reshape(6, 1, 28, 28), data.x_test[:9].reshape(9, 1, 28, 28)).max(axis=1)
    np.testing.assert_allclose(null["unseen"].ncc, unseen, atol=1e-9)  # as many as there are candidates
    start = slow_ncc(data.x.reshape(6, 1, 28, 28), rec.start.reshape(9, 1, 28, 28)).max(axis=1)
    np.testing.assert_allclose(null["start"].ncc, start, atol=1e-9)
    assert score(rec, data).ncc.min() > max(null["start"].ncc.max(), unseen.max())
    assert set(score(rec._replace(start=None), data).null) == {"mean_image", "unseen", "others"}
    assert set(score(rec, data._replace(x_test=data.x_test[:0])).null) == {"mean_image", "start"}


def test_the_training_set_itself_scores_one():
    data = load_dataset("cifar10", n=40)
    summary = metrics.summary(score(Reconstruction(data.x, np.ones(40), data.y), data))
    # not exactly 1 for SSIM: the stretch lifts the contrast of an image that has no black or no white
    assert summary["ncc"] == {"median": pytest.approx(1), "over_0.8": 40, "over_0.9": 40}
    assert summary["one_to_one"] == {"over_0.8": 40, "over_0.9": 40}
    assert summary["partial_ncc"] == {"over_0.7": 40, "over_0.8": 40}
    assert summary["ssim"]["median"] > 0.95
    assert summary["ssim"]["over_0.4"] == 40


@given(st.integers(1, 3), st.integers(1, 4), st.integers(0, 1000))
def test_one_to_one_is_the_best_of_all_matchings(n, m, seed):
    every = np.random.default_rng(seed).uniform(0.5, 1, (n, m)).round(2)
    got = metrics.one_to_one(every)
    padded = np.hstack([every, np.zeros((n, n))])  # of which each image may take one
    best = max(
        sum(max(padded[i, j] - 0.8, 0) for i, j in enumerate(columns))
        for columns in itertools.permutations(range(m + n), n)
    )
    assert np.maximum(got - 0.8, 0).sum() == pytest.approx(best)
    assert np.sum(got > 0) == min(n, m)
    rows, _ = np.nonzero(np.isclose(every, got[:, None]))
    assert set(rows) == set(np.flatnonzero(got))


def test_one_candidate_counts_for_one_image():
    data = load_dataset("mnist", n=4)
    twice = data._replace(x=np.vstack([data.x[:1], data.x[:1] + 1e-6, data.x[1:2]]))
    result = score(Reconstruction(data.x[:2], np.ones(2), data.y[:2]), twice)
    np.testing.assert_allclose(result.ncc, 1)
    assert sorted(np.round(result.matched, 6)) == [0, 1, 1]


def test_what_is_shared_with_the_mean_image_does_not_count():
    data = load_dataset("mnist", n=4, inputs="raw")
    mean = data.x.mean(axis=0)
    blurred = 0.2 * (data.x - mean) + 3 * mean  # nearly the mean image, and a bit of the sample
    result = score(Reconstruction(blurred, np.ones(4), data.y), data)
    np.testing.assert_allclose(result.partial[result.nearest == np.arange(4)], 1)
    assert (score(Reconstruction(data.x_test[:4], np.ones(4), data.y), data).partial < 0.9).all()


def test_summary_counts():
    values = np.linspace(0, 0.97, 40)
    fake = metrics.Score(np.zeros(40, int), np.zeros((40, 4)), values, values[::-1], values / 1.1, values / 1.2)
    ranked = values[::-1]
    assert metrics.summary(fake) == {
        "ncc": {"median": pytest.approx(0.485), "over_0.8": 7, "over_0.9": 3},
        "one_to_one": {"over_0.8": 4, "over_0.9": 0},
        "partial_ncc": {"over_0.7": 6, "over_0.8": 1},
        "ssim": {
            "median": pytest.approx(0.485),
            "top10_mean": pytest.approx(ranked[:10].mean()),
            "rank30": pytest.approx(ranked[29]),
            "over_0.4": int((values > 0.4).sum()),
        },
    }
    few = metrics.Score(np.zeros(20, int), np.zeros((20, 4)), *[values[:20]] * 4)
    assert metrics.summary(few)["ssim"]["rank30"] is None


def test_points_by_hand():
    x = np.array([[1.0, 0.0], [0.0, 1.0]])
    data = Dataset("points", x, np.array([1.0, -1.0]), np.zeros(2), None, ("a", "b"), np.zeros((0, 2)), np.zeros(0))
    candidates = np.array([[0.9, 0.05], [0.0, 1.2], [1.0, 0.0], [0.1, 1.15]])
    rec = Reconstruction(candidates, np.ones(4), np.array([1.0, -1.0, -1.0, -1.0]))
    result = score(rec, data)
    np.testing.assert_allclose(result.distance, [0.1, 0.2, 1.0, 0.15])  # the third has the other's label
    assert result.nearest.tolist() == [0, 1, 1, 1]
    np.testing.assert_allclose(result.recall, [0.1, 0.15])
    assert metrics.summary(result)["distance"] == {
        "median": pytest.approx(0.175), "candidates": 4, "candidates_within_0.15": 2, "samples_within_0.15": 2
    }  # fmt: skip
    assert metrics.summary(result.null["mean_image"])["distance"]["samples_within_0.15"] == 0


def test_colours_are_stretched():
    data = load_dataset("colours", n=4)
    faint_red, faint_blue = np.array([0.1, 0.0, -0.1]), np.array([-0.2, 0.01, 0.2])
    rec = Reconstruction(np.array([faint_red, faint_blue]), np.ones(2), np.array([1.0, -1.0]))
    result = score(rec, data)
    # + mean (0.5, 0, 0.5): (0.6, 0, 0.4) and (0.3, 0.01, 0.7), stretched
    np.testing.assert_allclose(result.images, [[1, 0, 2 / 3], [0.29 / 0.69, 0, 1]])
    np.testing.assert_allclose(result.distance, [2 / 3, 0.29 / 0.69])


def test_score_refuses_another_dimension():
    with pytest.raises(ValueError, match=r"candidates of shape \(2, 5\); expected \(m, 784\)"):
        score(Reconstruction(np.zeros((2, 5)), np.ones(2), np.ones(2)), load_dataset("mnist", n=2))
