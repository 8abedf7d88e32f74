r"""How good is a reconstruction? The paper's evaluation (section 5 and appendix), beside null baselines.

**This uses the true training set. It is an evaluation, not a part of the attack.** For each training
image the nearest of all candidates is chosen, so that even candidates that know nothing score above zero:
read every score beside those of the mean image, the attack's own start and unseen images.

The recipe is the authors' evaluations.py: normalised cross-correlation (NCC) finds the nearest candidate;
that one gets the training mean added and is stretched to [0, 1]; structural similarity (SSIM) judges it.
"""

import math
from typing import NamedTuple

import numpy as np

from . import mlp

POINT_TOLERANCE = 0.15  # a point or a colour counts as found within this, in every coordinate or channel
BICUBIC = np.array([-0.09375, 0.59375, 0.59375, -0.09375])  # half-way between pixels; a = −0.75, as PyTorch
GAUSSIAN = np.exp(-(np.array([-1.0, 0.0, 1.0]) ** 2) / (2 * 1.5**2))  # SSIM's window: 3 pixels, σ = 1.5
GAUSSIAN /= GAUSSIAN.sum()

# what knows little or nothing of the training set: candidates of `Score.null`, by name
NULLS = {
    "mean_image": "mean image",
    "start": "the attack's start",
    "unseen": "unseen samples",
    "others": "against unseen ones",
    "untrained": "untrained net",
    "stranger": "wrong initial weights",
}


class Score(NamedTuple):
    r"""The nearest candidate of every training image, and how near it is.

    nearest : (n,) int, which candidate
    images : (n, d), that candidate as pixels (with the training mean added), stretched to [0, 1]
    ncc : (n,), normalised cross-correlation of the two as inputs of the network (less the training mean)
    ssim : (n,), structural similarity of the two images
    matched : (n,), NCC where no candidate serves two training images, 0 for an image without one: `one_to_one`
    partial : (n,), `partial_ncc` with the nearest candidate, the mean training image taken out
    null : dict of the Scores of candidates that know nothing, or of the candidates against images that were not trained
        on; None in those
    """

    nearest: np.ndarray
    images: np.ndarray
    ncc: np.ndarray
    ssim: np.ndarray
    matched: np.ndarray
    partial: np.ndarray
    null: dict | None = None


class PointScore(NamedTuple):
    r"""For samples that are points or single colours, where NCC and SSIM mean nothing.

    images : (m, d), the candidates as pixels (with the training mean added); colours stretched to [0, 1]
    distance : (m,), from each candidate to the nearest training sample of its label, the largest
        difference in any coordinate or channel
    nearest : (m,) int, which training sample
    recall : (n,), from each training sample to the nearest candidate of its label
    null : as in Score
    """

    images: np.ndarray
    distance: np.ndarray
    nearest: np.ndarray
    recall: np.ndarray
    null: dict | None = None


def lead(phi, y):
    r"""By how much the outputs phi (n, K) favour the labels y (n,): yΦ, or Φ_y less the largest other; (n,)."""
    return (mlp.margin if phi.shape[1] == 1 else mlp.margin_of_classes)(phi, y)[0]


def accuracy(params, x, y):
    r"""Share of the samples x (n, d) that are on the side of their label y (n,); NaN if there are none."""
    if len(x) == 0:
        return float("nan")
    phi = mlp.forward(params, x.astype(params[0].weight.dtype)).phi
    return float(np.mean(lead(phi, mlp.labels(y, phi.shape[1])) > 0))


def image_shape(d):
    r"""Guess (c, h, w) from the number of pixels: s² is grey, 3s² is RGB, anything else None.

    No number is both, for √3 is irrational. The attack knows the weights only, not the shape.
    """
    for c in (1, 3):
        side = math.isqrt(d // c)
        if c * side * side == d:
            return c, side, side
    return None


def ncc(a, b):
    r"""Normalised cross-correlation of every image in a (n, c, h, w) with every one in b (m, c, h, w).

    Pearson's correlation of the pixels of a channel, averaged over the channels: (n, m), within [−1, 1].
    A channel without contrast correlates with nothing: 0. The authors' distance, of images normalised
    with ddof = 1, is 2 (1 − NCC) (D − c)/D with D = c·h·w: the same order.

    Raises ValueError for shapes other than these.
    """
    if np.ndim(a) != 4 or np.ndim(b) != 4 or a.shape[1:] != b.shape[1:]:
        raise ValueError(f"images of shapes {np.shape(a)} and {np.shape(b)}; expected (n, c, h, w) and (m, c, h, w)")

    return standardise(a) @ standardise(b).T / a.shape[1]


def partial_ncc(a, b, mean):
    r"""NCC of image pairs a, b (n, c, h, w) once what each shares with an image `mean` (c, h, w) is taken out: (n,).

    Per channel, mean is regressed out of both; what is left is correlated, and averaged over the channels. Brightness
    and contrast of a, of b and of mean do not matter, nor how much of mean is in a or b: candidates to which the
    training mean was added, which then resemble all training images, can be compared with such to which it was not. A
    channel that is constant, or nothing but mean, counts 0.

    Raises ValueError, which names the shapes, unless they are these.
    Source: the partial correlation of statistics (Pearson and Yule); its use here is this project's.
    """
    if np.ndim(a) != 4 or np.shape(a) != np.shape(b) or np.shape(mean) != np.shape(a)[1:]:
        shapes = f"{np.shape(a)}, {np.shape(b)} and {np.shape(mean)}"
        raise ValueError(f"images of shapes {shapes}; expected (n, c, h, w) twice and (c, h, w)")
    channels = len(mean)
    mu = standardise(mean[None]).reshape(channels, -1)  # (c, h·w)

    def rest(images):
        z = standardise(images).reshape(len(images), channels, -1)
        return standardise((z - np.sum(z * mu, axis=-1, keepdims=True) * mu).reshape(np.shape(images)))

    return np.sum(rest(a) * rest(b), axis=1) / channels


def standardise(images):
    r"""Every channel of images (n, c, h, w) less its mean, scaled to length 1, or 0 if constant: (n, c·h·w)."""
    flat = images.reshape(*images.shape[:2], -1)  # (n, c, h·w)
    flat = flat - flat.mean(axis=-1, keepdims=True)
    length = np.linalg.norm(flat, axis=-1, keepdims=True)
    return np.divide(flat, length, out=np.zeros_like(flat), where=length > 1e-12).reshape(len(images), -1)


def ssim(a, b):
    r"""Structural similarity of image pairs a, b (n, c, h, w) with pixels in [0, 1]: (n,).

    A 3×3 Gaussian window, σ = 1.5, reflecting border; C₁ = 0.01², C₂ = 0.03²; averaged over pixels and
    channels. **Not comparable with the usual 11×11 SSIM.**

    Raises ValueError, which names the shapes as in `ncc`, unless these are the same, four axes, and at least 2 × 2.
    Source: Wang, Bovik, Sheikh and Simoncelli 2004, equation (13); the window of the authors' code.
    """
    from scipy.ndimage import correlate1d  # imported here: `minirecon --help` need not wait for SciPy

    if np.shape(a) != np.shape(b) or np.ndim(a) != 4 or min(a.shape[2:]) < 2:
        raise ValueError(f"images of shapes {np.shape(a)} and {np.shape(b)}; expected both (n, c, h, w), h, w > 1")

    # a filter along an axis is a matrix; with it all images are blurred by two products
    rows, columns = (correlate1d(np.eye(size), GAUSSIAN, axis=0, mode="mirror") for size in a.shape[2:])

    def blur(images):
        return rows @ images @ columns.T

    mu_a, mu_b = blur(a), blur(b)
    var_a, var_b, cov = blur(a * a) - mu_a**2, blur(b * b) - mu_b**2, blur(a * b) - mu_a * mu_b
    c1, c2 = 0.01**2, 0.03**2
    each = (2 * mu_a * mu_b + c1) * (2 * cov + c2) / ((mu_a**2 + mu_b**2 + c1) * (var_a + var_b + c2))
    return each.mean(axis=(1, 2, 3))


def stretch(x):
    r"""Scale each row of x (n, d) so that its smallest entry is 0 and its largest 1; a constant row to 0."""
    low, high = x.min(axis=1, keepdims=True), x.max(axis=1, keepdims=True)
    return np.divide(x - low, high - low, out=np.zeros_like(x), where=high > low)


def half_size(images):
    r"""Shrink (n, c, h, w) to (n, c, h // 2, w // 2) by bicubic interpolation, edges repeated."""

    def halve(size):  # the matrix (size // 2, size) that shrinks one axis
        padded = np.pad(np.eye(size), [(1, 1), (0, 0)], mode="edge")
        return sum(tap * padded[i : i + size // 2 * 2 - 1 : 2] for i, tap in enumerate(BICUBIC))

    rows, columns = (halve(size) for size in images.shape[2:])
    return rows @ images @ columns.T


def score(rec, data):
    r"""Compare candidates with the true training set.

    Parameters
    ----------
    rec : Reconstruction, or anything with x (m, d), y (m,) and start (m, d) or None, in the inputs of the data
    data : Dataset, the true training set

    Returns
    -------
    Score, or PointScore for data without 2-D images, with `null`, the same for
        mean_image : the mean training image as the only candidate (NCC 0 if inputs are centred: it is 0 there)
        start : the attack's random start, if it is known
        unseen : as many images the network was not trained on as there are candidates
        others : the candidates against as many such images as were trained on (images only)

    Raises
    ------
    ValueError : candidates of another dimension than the data's

    Source: arXiv 2206.07758, section 5 and appendix; the authors' evaluations.py.
    """
    if rec.x.ndim != 2 or rec.x.shape[1] != data.x.shape[1]:
        raise ValueError(f"candidates of shape {rec.x.shape}; expected (m, {data.x.shape[1]}), as in {data.name}")
    m, mean = len(rec.x), data.x.mean(axis=0)
    nulls = {"mean_image": (np.stack([mean, mean]), np.array([-1.0, 1.0]))}  # under both labels
    if rec.start is not None:
        nulls["start"] = rec.start, rec.y
    if len(data.x_test):
        nulls["unseen"] = data.x_test[:m], data.y_test[:m]
    if data.image_shape is None or min(data.image_shape[1:]) < 2:
        null = {name: _score_points(x, y, data) for name, (x, y) in nulls.items()}
        return _score_points(rec.x, rec.y, data)._replace(null=null)
    null = {name: _score_images(x, data) for name, (x, _) in nulls.items()}
    if len(data.x_test):
        null["others"] = _score_images(rec.x, data._replace(x=data.x_test[: len(data.x)]))
    return _score_images(rec.x, data)._replace(null=null)


def _score_images(x, data):
    x = x.astype(float)
    candidates, originals = (z.reshape(-1, *data.image_shape) for z in (x, data.x))
    every = ncc(originals, candidates)  # (n, m)
    searched = half_size if data.image_shape[0] == 3 else np.asarray  # the recipe searches colour images at half size
    nearest = ncc(searched(originals), searched(candidates)).argmax(axis=1)  # (n,)
    images = stretch(data.pixels(x[nearest]))
    alike = ssim(images.reshape(originals.shape), data.pixels(data.x).reshape(originals.shape))
    mean = data.pixels(data.x.mean(axis=0)).reshape(data.image_shape)
    partial = partial_ncc(originals, candidates[nearest], mean)
    return Score(nearest, images, every[np.arange(len(every)), nearest], alike, one_to_one(every), partial)


def one_to_one(every):
    r"""The NCC of each image with its own candidate, of `every` NCC of n images and m candidates (n, m): (n,).

    No candidate belongs to two images; an image without one, where m < n, has 0. Of all such assignments the one with
    the largest sum of what the NCCs have above 0.8 (or 0 if they have less), by SciPy's `linear_sum_assignment`.
    """
    from scipy.optimize import linear_sum_assignment  # imported here, as above

    image, candidate = linear_sum_assignment(np.maximum(every, 0.8), maximize=True)
    matched = np.zeros(len(every))
    matched[image] = every[image, candidate]
    return matched


def _score_points(x, y, data):
    points, truth = data.pixels(x), data.pixels(data.x)
    if data.image_shape is not None:
        points = stretch(points)
    gap = np.abs(points[:, None, :] - truth[None, :, :]).max(axis=2)  # (m, n)
    gap[y[:, None] != data.y[None, :]] = np.inf
    return PointScore(points, gap.min(axis=1), gap.argmin(axis=1), gap.min(axis=0))


def summary(score):
    r"""The few numbers of a Score or PointScore that go into results.json, nulls left out: a dict."""
    if isinstance(score, PointScore):
        found = score.distance <= POINT_TOLERANCE
        within = int(np.sum(score.recall <= POINT_TOLERANCE))
        counts = {"candidates_within_0.15": int(found.sum()), "samples_within_0.15": within}
        return {"distance": {"median": float(np.median(score.distance)), "candidates": len(score.distance), **counts}}
    got = summarise(score.ncc, score.ssim)
    ssim = {"median": got["ssim"], "top10_mean": got["top10"], "rank30": got["rank30"], "over_0.4": got["over_0.4"]}
    counted = {"ncc": (score.ncc, 0.8, 0.9), "one_to_one": (score.matched, 0.8, 0.9)}
    counted |= {"partial_ncc": (score.partial, 0.7, 0.8)}
    over = {name: {f"over_{b}": int(np.sum(part > b)) for b in bounds} for name, (part, *bounds) in counted.items()}
    return {**over, "ncc": {"median": got["ncc"], **over["ncc"]}, "ssim": ssim}


def summarise(ncc, ssim):
    r"""What is told of NCC and SSIM of all training images, (n,) each: a dict of numbers.

    NCC: median, above 0.8 and 0.9. SSIM: median, mean of the ten best, best, 30th (None if fewer), above 0.4.
    """
    ncc, ranked = ncc.astype(float), np.sort(ssim.astype(float))[::-1]
    return {
        "ncc": float(np.median(ncc)),
        "ncc_over_0.8": int(np.sum(ncc > 0.8)),
        "over_0.9": int(np.sum(ncc > 0.9)),
        "ssim": float(np.median(ranked)),
        "top10": float(ranked[:10].mean()),
        "best": float(ranked[0]),
        "rank30": float(ranked[29]) if len(ranked) >= 30 else None,
        "over_0.4": int(np.sum(ranked > 0.4)),
    }
