r"""What the attack of the paper (section 4) finds: candidates x, with their multipliers λ and labels y."""

from typing import NamedTuple

import numpy as np

from ..io import inputs
from ..io.files import read_npz, write_npz


class Reconstruction(NamedTuple):
    r"""Candidates for training samples.

    x : (m, d), the candidates, as the network takes them: less the (unknown) mean training sample, if `inputs` is
        "centred"
    lam : (m,), their multipliers, in the scale of `losses.parameter_loss`
    y : (m,), their labels, −1 or +1, or 0 … K − 1
    start : (m, d), the random x that the attack began from, a null baseline; None if it is not known
    history : dict of equally long arrays, one entry an iteration: the terms of the loss, weighted as they
        enter its sum. For "sgd" they are parameter, lambda, range; for "lbfgs" the parameter loss in two
        parts, "layer 1" (whitened: not the residual that is reported) and "upper" (the other layers), then
        range and margin
    interrupted : bool, whether Ctrl-C ended it
    run : (m,) int, which of several attacks each candidate came from; None if there was one
    inputs : what the network was given for pixels, as far as the attack was told: as in `io.inputs`
    """

    x: np.ndarray
    lam: np.ndarray
    y: np.ndarray
    start: np.ndarray | None = None
    history: dict = {}  # noqa: RUF012  (read only)
    interrupted: bool = False
    run: np.ndarray | None = None
    inputs: str = "centred"


def merge_pair(x, lam, i, j):
    r"""One candidate for two of one label: their λ-weighted mean with λᵢ + λⱼ, in the place of i; j is gone.

    x : (m, d);  lam : (m,), above 0. Within one activation pattern the parameter loss does not change.
    Source: Refael et al., arXiv 2509.21296.
    """
    x, lam = x.copy(), lam.copy()
    x[i] = (lam[i] * x[i] + lam[j] * x[j]) / (lam[i] + lam[j])
    lam[i] += lam[j]
    return np.delete(x, j, axis=0), np.delete(lam, j)


def save_candidates(rec, path, **more):
    r"""Write x, lam, y, start, run and inputs, and `more` arrays, to `path` (.npz), whole or not at all."""
    arrays = {"x": rec.x, "lam": rec.lam, "y": rec.y, "start": rec.start, "run": rec.run, "inputs": rec.inputs, **more}
    write_npz(path, {name: array for name, array in arrays.items() if array is not None})


def load_candidates(path):
    r"""Read x (m, d), lam (m,), y (m,) and, if they are there, start (m, d), run (m,) and inputs.

    Returns a Reconstruction without history.

    Raises ValueError for a missing or damaged file, or arrays that are not these.
    """
    arrays = read_npz(path, "candidates")
    missing = {"x", "lam", "y"} - set(arrays)
    if missing:
        raise ValueError(f"{path}: lacks {', '.join(sorted(missing))}; expected x, lam and y")
    x, lam, y, start, run = (arrays.get(name) for name in ("x", "lam", "y", "start", "run"))
    expected = {"x": (x, "(m, d)", x.ndim == 2 and x.size > 0)}
    expected |= {name: (arrays[name], x.shape[:1], arrays[name].shape == x.shape[:1]) for name in ("lam", "y")}
    if start is not None:
        expected["start"] = start, x.shape, start.shape == x.shape
    for name, (array, shape, fits) in expected.items():
        if not fits:
            raise ValueError(f"{path}: {name} of shape {array.shape}; expected {shape}")
        fits = np.issubdtype(array.dtype, np.floating) and np.isfinite(array).all()
        if not fits and not (name == "y" and np.issubdtype(array.dtype, np.integer)):
            raise ValueError(f"{path}: {name}, of type {array.dtype}, holds other than finite floats")
    if not np.isin(y, (-1, 1)).all() and not (np.issubdtype(y.dtype, np.integer) and y.min() >= 0):
        raise ValueError(f"{path}: y holds other labels than −1 and +1, or whole numbers from 0")
    if run is not None and (run.shape != lam.shape or not np.issubdtype(run.dtype, np.integer)):
        raise ValueError(f"{path}: run of shape {run.shape} and type {run.dtype}; expected {lam.shape}, whole numbers")
    given = str(arrays.get("inputs", "centred"))
    try:
        return Reconstruction(x, lam, y, start, run=run, inputs=inputs.written(given))
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from None
