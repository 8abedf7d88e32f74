r"""Refine again and again, with differences of units for what was not right. Beyond the paper, and ours.

After a refinement the likelihood (refine.py) says of each sample alone how well its column of C fits: training images
fit better than the rest, and no data is needed to see it. So the surer ones stay, the others give way to differences
of units (differences.py), all are refined once more, and what fits better in all is kept.
"""

import numpy as np

from ..mlp import cast
from . import differences, refine

SHARES = (0.7, 0.5)  # of the samples that stay, in turn
LIST = 4  # differences for each sample, of which a third take part in a round


def doubt(params, rec, alpha):
    r"""How badly the column of C of each sample of a refined Reconstruction fits what is known about it: (n,).

    The mean over the units of refine.py's ½ log s² + log(1 + (C − KKT)²/s²), less the log of the column's own size, so
    that columns of all sizes can be compared. Training images have low values; the sum over all tells states apart.
    """
    x, lam, y = (array.astype(float) for array in (rec.x, rec.lam, rec.y))
    problem, (free, t), noise = refine.pose(cast(params, float), x, lam, y, len(x), alpha)
    u, _ = refine.samples(problem, free)
    each, c = refine.misfits(problem.layers, u, refine.multipliers(problem, t), y, alpha, noise)
    return np.mean(each, axis=1) - 0.5 * np.log(np.mean(c**2, axis=1))


def surest_first(params, rec, alpha):
    r"""A refined Reconstruction in the order of `doubt`, and the sum of the doubts."""
    each = doubt(params, rec, alpha)
    order = np.argsort(each)
    return rec._replace(x=rec.x[order], lam=rec.lam[order], y=rec.y[order], start=rec.start[order]), np.sum(each)


def expect_differences(params, count, limits=(-1.0, 1.0)):
    r"""ValueError, before an attack, if `count` rounds after it had no differences to fill with."""
    if not len(differences.subtracted(params, limits=limits)[0]):
        raise ValueError(f"rounds = {count}: no difference of two units looks like an image; expected no rounds")


def rounds(params, rec, count, rng, bar, alpha, range_weight=1.0, limits=(-1.0, 1.0)):
    r"""Go on from a refined Reconstruction (n, d) for `count` rounds.

    Parameters
    ----------
    params : tuple of Layer, the trained network, with a bias in layer 1
    rec : Reconstruction, half of each label, as `refine.refine` returns it
    count : int
    rng : numpy.random.Generator, which chooses the differences that take part
    bar : progress bar, moved once an iteration
    alpha : sharpness of the gates
    range_weight, limits : as in `refine.Problem`

    Returns
    -------
    Reconstruction, the surest first. Ctrl-C ends it early. A round is skipped where too few differences are unlike
    what stays; the progress line says how many were.

    Raises
    ------
    ValueError : no difference of two units looks like an image, see `expect_differences`
    """
    n, skipped = len(rec.x), 0
    try:  # a Ctrl-C within a refinement ends that; one between them ends here
        pool = differences.differences(params, max(200, LIST * n), rng, limits=limits)
        rec, total = surest_first(params, rec, alpha)
        for number in range(count):
            chosen = rng.permutation(len(pool.x))[: max(2 * n, len(pool.x) // 3)]
            mixed = filled(rec, int(n * SHARES[number % 2]), pool.x[chosen], pool.y[chosen])
            if mixed is None:
                skipped += 1
                bar.set_postfix_str(f"{skipped} of {count} skipped: too few differences")
                continue
            other = refine.refine(params, mixed, n, alpha, bar, range_weight, limits)
            if other.interrupted:
                raise KeyboardInterrupt
            other, theirs = surest_first(params, other, alpha)
            if theirs < total:
                rec, total = other, theirs
    except KeyboardInterrupt:
        rec = rec._replace(interrupted=True)
    return rec


def filled(rec, kept, x, y):
    r"""The first `kept` of a Reconstruction and, unlike them, others merged from x (k, d), y (k,), half of each label.

    None where there are too few of a label.
    """
    n, parts = len(rec.x), []
    for label in (-1, 1):
        there = np.flatnonzero(rec.y == label)
        there = there[there < kept]
        left = n // 2 - len(there)
        new = x[y == label].astype(rec.x.dtype)
        if len(there) and len(new):
            new = new[~differences.alike(new, rec.x[there]).any(axis=1)]
        if len(new) < left:
            return None
        weight = np.median(rec.lam[:kept])
        new, lam = refine.merge(new, np.full(len(new), weight, rec.lam.dtype), left)
        parts.append((np.concatenate([rec.x[there], new]), np.concatenate([rec.lam[there], lam])))
    x, lam = (np.concatenate(both) for both in zip(*parts, strict=True))
    return rec._replace(x=x, lam=lam, y=np.repeat([-1, 1], n // 2).astype(rec.y.dtype))
