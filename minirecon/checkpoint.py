r"""Weights on disk: the only thing the attack of the paper is given.

A network's parameters θ are a tuple of `Layer`s. The `.npz` format holds them under PyTorch's names,
`layers.0.weight`, `layers.0.bias`, `layers.1.weight`, …, and nothing else.
"""

import contextlib
import os
import tempfile
from pathlib import Path
from typing import NamedTuple

import numpy as np


class Layer(NamedTuple):
    r"""One linear layer, z = W a + b: `weight` (out, in) and `bias` (out,), or None for no bias."""

    weight: np.ndarray
    bias: np.ndarray | None = None


class CheckpointError(ValueError):
    r"""A weight file or a set of weights that can't be used; the message names it and the reason."""


@contextlib.contextmanager
def atomic(path):
    r"""Yield a temporary path beside `path`, and rename it to `path` if all went well.

    A reader of `path` sees the old file or the whole new one, never half of it.
    """
    path = Path(path)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.stem}-", suffix=path.suffix)
    os.close(handle)
    try:
        yield name
        os.chmod(name, 0o666 & ~_umask())  # mkstemp's 0600 would hide the result from a group
        os.replace(name, path)
    finally:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(name)


def _umask():
    mask = os.umask(0)
    os.umask(mask)
    return mask


def cast(params, dtype):
    r"""The same parameters in another float type."""
    return tuple(Layer(*(None if p is None else p.astype(dtype) for p in layer)) for layer in params)


def save(params, path):
    r"""Write the parameters to `path` (.npz), whole or not at all.

    Raises
    ------
    CheckpointError : a name that does not end in .npz, or parameters that `check` refuses
    """
    path = Path(path)
    _expect_npz(path)
    check(params, path)
    arrays = {}
    for number, (weight, bias) in enumerate(params):
        arrays[f"layers.{number}.weight"] = weight
        if bias is not None:
            arrays[f"layers.{number}.bias"] = bias
    with atomic(path) as temporary:
        np.savez(temporary, **arrays)


def load(path):
    r"""Read the parameters that `save` wrote.

    Returns
    -------
    tuple of Layer, first layer first, in the file's own float type

    Raises
    ------
    CheckpointError : no such file, not an .npz archive, damaged, other arrays than layers', or
        parameters that `check` refuses
    """
    path = Path(path)
    _expect_npz(path)
    arrays = read_npz(path, "weights")
    layers = []
    while f"layers.{len(layers)}.weight" in arrays:
        prefix = f"layers.{len(layers)}"
        layers.append(Layer(arrays.pop(f"{prefix}.weight"), arrays.pop(f"{prefix}.bias", None)))
    if arrays or not layers:
        found = ", ".join(sorted(arrays)) or "nothing"
        raise CheckpointError(f"{path}: expected arrays layers.0.weight, layers.0.bias, …; also found: {found}")
    return check(tuple(layers), path)


def read_npz(path, what):
    r"""All arrays of an .npz file: a dict. Pickled objects are refused, so that no code can run.

    Raises CheckpointError, with the path and `what` was expected, for a missing or damaged file.
    """
    if not Path(path).is_file():
        raise CheckpointError(f"{path}: no such file; expected {what}, .npz")
    try:
        with open(path, "rb") as file, np.load(file, allow_pickle=False) as archive:
            return {name: archive[name] for name in archive.files}
    except Exception as error:  # a damaged zip or header raises a dozen different types
        raise CheckpointError(f"{path}: not a readable .npz archive of {what} ({error})") from None


def check(params, name="params", outputs=None):
    r"""Return `params` as a tuple of Layers if it is a network: float arrays, finite, shapes that chain,
    and, if that is given, so many `outputs`.

    Raises
    ------
    CheckpointError : naming `name`, the layer, and what was expected
    """
    params = tuple(Layer(*layer) for layer in params)
    if len(params) < 2:
        raise CheckpointError(f"{name}: {len(params)} layer(s); expected at least 2, one of them hidden")
    for number, (weight, bias) in enumerate(params, start=1):
        where = f"{name}: layer {number}"
        if np.ndim(weight) != 2 or 0 in np.shape(weight):
            raise CheckpointError(f"{where}: weight has shape {np.shape(weight)}; expected (out, in)")
        if bias is not None and np.shape(bias) != weight.shape[:1]:
            raise CheckpointError(f"{where}: bias has shape {np.shape(bias)}; expected {weight.shape[:1]}")
        if number > 1 and weight.shape[1] != params[number - 2].weight.shape[0]:
            outputs = params[number - 2].weight.shape[0]
            raise CheckpointError(
                f"{where}: takes {weight.shape[1]} inputs; expected {outputs}, the outputs of layer {number - 1}"
            )
        for array in (weight, bias):
            if array is None:
                continue
            if not np.issubdtype(array.dtype, np.floating):
                raise CheckpointError(f"{where}: holds {array.dtype}; expected floating-point numbers")
            if not np.isfinite(array).all():
                raise CheckpointError(f"{where}: holds NaN or infinity; expected finite numbers")
    if outputs is not None and len(params[-1].weight) != outputs:
        raise CheckpointError(f"{name}: {len(params[-1].weight)} outputs; expected {outputs}")
    return params


def _expect_npz(path):
    if path.suffix.lower() != ".npz":
        raise CheckpointError(f"{path}: a {path.suffix or 'nameless'} file can't be read or written; expected .npz")
