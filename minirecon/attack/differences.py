r"""Subtract two units: an attack without a loss. Beyond the paper; we found no publication of it.

By stationarity (section 3) a row of layer 1 is a sum over the samples that switch its unit on,

    [wⱼ bⱼ] = Σᵢ cᵢ δⱼ(xᵢ) [xᵢ 1],        δⱼ(xᵢ) = gateⱼ(xᵢ) · (the signal that comes back from above)

Late in training, and more so with weight decay, the signal is nearly a factor of the unit times one of the sample.
Rows are divided by their length, for the unit's factor is not known. Two neighbours that differ in one gate then
differ nearly by a multiple of one [x 1], whose last coordinate says which. So differences hold training samples.

Most differences are of several samples. What else must hold if one is a sample x: its pixels are in range, and the
network's own signals at x, gates and all, give it a coefficient in the difference that has the right sign.
"""

import numpy as np

from .. import mlp
from ..metrics import image_shape, ncc
from .candidates import Reconstruction

LIVE = 0.05  # a unit below this share of the largest row is left out
SAME = 0.99999  # cosine above which two units are one
SLACK = 0.05  # by which pixels may go beyond their range, as a share of it
TINY = 0.01  # length below which a difference of unit vectors is rounding, or a gate half switched at a kink
ALIKE = 0.9  # NCC above which two candidates agree
MOST = 6000  # candidates whose agreement is looked at


def differences(params, m, rng, neighbours=20, limits=(-1.0, 1.0)):
    r"""Candidates from the weights of a network by subtraction, the one that most others agree with first: `ranked`.

    Parameters
    ----------
    params : tuple of Layer, with a bias in layer 1
    m : int, at most so many candidates
    rng : numpy.random.Generator, which chooses among candidates where there are very many
    neighbours : int, how many nearest rows are subtracted from each
    limits : lowest and highest pixel, numbers or (d,)

    Returns
    -------
    Reconstruction, with λ = 1, for this method has none, and the sign or class of Φ at each as its label

    Raises
    ------
    ValueError : no bias in layer 1, or no difference that passes
    """
    if params[0].bias is None:
        raise ValueError("optimizer = 'differences': expected a bias in layer 1, from which the scale is known")
    params = mlp.cast(params, float)
    x, pairs = subtracted(params, neighbours, limits)
    if not len(x):
        raise ValueError("no difference of two units looks like an image; expected weights of a trained network")
    chosen = rng.permutation(len(x))[:MOST]
    x = ranked(x[chosen], pairs[chosen], m)
    return Reconstruction(x, np.ones(len(x)), _labels(mlp.forward(params, x).phi))


def subtracted(params, neighbours=20, limits=(-1.0, 1.0)):
    r"""All differences of neighbours that look like a sample, nothing chosen among them: x (k, d); their units (k, 2).

    There may be none, k = 0.
    """
    params = mlp.cast(params, float)
    rows, units = unit_rows(params)
    i = np.repeat(np.arange(len(rows)), min(neighbours, len(rows) - 1))
    i, j = np.unique(np.sort([i, nearest(rows, neighbours).ravel()], axis=0), axis=1)
    edges = rows[i] - rows[j]
    x, kept = samples(edges, limits)
    i, j, last, each = i[kept], j[kept], edges[kept, -1], np.arange(len(x))
    signal = _signals(params, x, units)
    right = (signal[each, i] - signal[each, j]) * last > 0
    return x[right], units[np.column_stack([i, j])[right]]


def _labels(phi):
    r"""The label that the outputs phi (n, K) speak for: the sign of the one, or the number of the largest."""
    return np.where(phi[:, 0] < 0, -1.0, 1.0) if phi.shape[1] == 1 else phi.argmax(axis=1)


def unit_rows(params):
    r"""Rows [w b] of layer 1, of length 1, the longest first, and the numbers of their units: (r, d + 1), (r,) int.

    Left out are units shorter than LIVE times the longest, and such as have a cosine of SAME or more with a row before.
    """
    first = np.column_stack(params[0])
    size = np.linalg.norm(first, axis=1)
    rows = first / np.where(size > 0, size, 1)[:, None]
    kept = []
    for unit in np.argsort(-size):
        if size[unit] > LIVE * size.max() and (not kept or np.max(rows[kept] @ rows[unit]) < SAME):
            kept.append(unit)
    return rows[kept], np.array(kept)


def nearest(points, k):
    r"""The k nearest of the other points (n, d) of each, or all n − 1, the nearest first: (n, k) int."""
    square = np.sum(points**2, axis=1)
    distance = square[:, None] - 2 * points @ points.T + square
    np.fill_diagonal(distance, np.inf)
    return np.argsort(distance, axis=1)[:, : min(k, len(points) - 1)]


def samples(edges, limits=(-1.0, 1.0)):
    r"""What differences of rows (p, d + 1) that are multiples of [x 1] are multiples of: x (k, d), and which, (k,) int.

    Left out are those no longer than TINY or with a last coordinate of 0, to 1e-12, and those whose x is out of the
    limits, numbers or (d,), by SLACK times their distance or more.
    """
    last = edges[:, -1:]
    x = np.divide(edges[:, :-1], last, out=np.full_like(edges[:, :-1], np.inf), where=np.abs(last) > 1e-12)
    slack = SLACK * (limits[1] - limits[0])
    inside = ((x > limits[0] - slack) & (x < limits[1] + slack)).all(axis=1)
    kept = np.flatnonzero(inside & (np.linalg.norm(edges, axis=1) > TINY))
    return x[kept], kept


def _signals(params, x, units):
    r"""δⱼ(x) / ‖[wⱼ bⱼ]‖, each x's part in the rows of these units but for a factor above 0: (n, r)."""
    net = mlp.forward(params, x)
    signal = mlp.backward(params, net.gates, mlp.margin(net.phi, _labels(net.phi))[1])[0]
    return signal[:, units] / np.linalg.norm(np.column_stack(params[0])[units], axis=1)


def ranked(x, pairs, m):
    r"""At most m of the candidates x (n, d): the median of those that agree with the one most others agree with; so on.

    A pair of units (n, 2) each is the difference of. Only those of two other units count: an odd unit makes the same
    wrong difference with all of its neighbours. Two agree if their NCC is above 0.9. Vectors that are no square images
    are taken for images of one row.
    """
    agree = alike(x, x)
    counts = agree & apart(pairs)
    left, votes, chosen = np.ones(len(x), dtype=bool), counts.sum(axis=1), []
    while left.any() and len(chosen) < m:
        group = np.flatnonzero(agree[np.where(left, votes, -1).argmax()] & left)
        chosen.append(np.median(x[group], axis=0))
        votes = votes - counts[:, group].sum(axis=1)
        left[group] = False
    return np.array(chosen)


def apart(pairs):
    r"""Which of the pairs (n, 2) share no unit: (n, n) bool."""
    one, two = pairs.T
    shared = (one[:, None] == one) | (two[:, None] == two) | (one[:, None] == two) | (two[:, None] == one)
    return ~shared


def alike(x, z):
    r"""Whether each of the candidates x (n, d) agrees with each of z (m, d), an NCC above 0.9: (n, m) bool."""
    shape = image_shape(x.shape[1]) or (1, 1, x.shape[1])
    x, z = (images.reshape(len(images), *shape).astype(np.float32) for images in (x, z))  # half the time of float64
    return ncc(x, z) > ALIKE
