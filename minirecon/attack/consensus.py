r"""What several runs of the attack agree on: a measure of confidence that needs no training data.

The paper (section 5) sorts reconstructions by their similarity to the training set, which an attacker lacks. He can
see, though, which candidates several runs found independently. How much that says, `evaluate` measures: it is no
proof, for on an untrained network the runs agree as well, on candidates that are nobody's data.
"""

from typing import NamedTuple

import numpy as np

from ..io.files import write_npz
from ..metrics import image_shape, ncc

ALIKE = 0.9  # NCC above which two candidates are the same image
RIGHT = 0.8  # NCC above which a candidate is a training image
SUPPORT = (0, 0.25, 0.5, 0.75, 1)  # shares of the other runs


class Consensus(NamedTuple):
    r"""What several runs agree on, most supported first.

    x : (k, d), y : (k,), a candidate for each group of candidates that are alike
    support : (k,), the share of the other runs that found one like it, within [0, 1]
    """

    x: np.ndarray
    y: np.ndarray
    support: np.ndarray


def consensus(rec):
    r"""What the runs of `restarts` agree on, from their candidates alone: a Consensus.

    Another run supports a candidate if it has one of the same label with an NCC above 0.9 with it, both less the
    mean as they are. The most supported candidate stands for all that are like it; then the most supported of the
    rest; and so on. Vectors that are no square images are taken for images of one row.

    Raises ValueError for candidates of fewer than two runs, or of so few entries that anything correlates.
    Source: ours.
    """
    runs, d = np.unique(rec.run) if rec.run is not None else [], rec.x.shape[1]
    if len(runs) < 2:
        raise ValueError(f"candidates of {len(runs) or 1} run; expected at least 2 runs, or they can't agree")
    if d < 16:
        raise ValueError(f"candidates of {d} numbers each; expected at least 16, for a correlation to mean something")
    images = rec.x.astype(float).reshape(len(rec.x), *(image_shape(d) or (1, 1, d)))
    alike = (ncc(images, images) > ALIKE) & (rec.y[:, None] == rec.y)  # (m · runs, m · runs)
    found = np.stack([alike[:, rec.run == r].any(axis=1) for r in runs], axis=1)  # (m · runs, runs)
    found &= rec.run[:, None] != runs  # one's own run is no witness
    support = found.sum(axis=1) / (len(runs) - 1)
    left, chosen = np.ones(len(rec.x), dtype=bool), []
    for i in np.argsort(-support, kind="stable"):
        if left[i]:
            chosen.append(i)
            left[alike[i]] = left[i] = False
    return Consensus(rec.x[chosen], rec.y[chosen], support[chosen])


def save_consensus(consensus, path):
    r"""Write x, y and support to `path` (.npz), whole or not at all."""
    write_npz(path, consensus._asdict())


def evaluate(consensus, data):
    r"""How right are candidates with at least some support? **This uses the true training set.**

    A candidate is right if its NCC with a training image is above 0.8; a training image is found if a candidate
    has that with it. A list of dicts, one for each support in `SUPPORT`; precision is None where there is no candidate.
    """
    shape = data.image_shape or (1, 1, data.x.shape[1])
    x, truth = (images.astype(float).reshape(len(images), *shape) for images in (consensus.x, data.x))
    match = ncc(x, truth) > RIGHT  # (k, n)
    rows = []
    for least in SUPPORT:
        kept = match[consensus.support >= least]
        right, found = int(kept.any(axis=1).sum()), int(kept.any(axis=0).sum())
        row = {"support": least, "candidates": len(kept), "right": right, "found": found}
        rows.append({**row, "precision": right / len(kept) if len(kept) else None, "recall": found / len(data.x)})
    return rows
