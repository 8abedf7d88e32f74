r"""Weights on disk: the only thing the attack of the paper is given.

A network's parameters θ are a tuple of `Layer`s. Three kinds of file hold them: PyTorch's .pth, NumPy's .npz
and .safetensors.
"""

import re
from itertools import pairwise
from pathlib import Path

import numpy as np

from ..mlp import CheckpointError, Layer, check
from . import pth
from .files import atomic, read_npz

ENDINGS = ".pth, .pt, .npz or .safetensors"


def save(params, path):
    r"""Write the parameters to `path`, whole or not at all; its ending chooses the format, as in `load`.

    The tensors are named layers.0.weight, layers.0.bias, layers.1.weight, …, as PyTorch would.

    Raises
    ------
    CheckpointError : an unknown ending, or parameters that `check` refuses
    """
    path = Path(path)
    form = _format(path)
    tensors = {}
    for number, (weight, bias) in enumerate(check(params, path)):
        tensors[f"layers.{number}.weight"] = weight
        if bias is not None:
            tensors[f"layers.{number}.bias"] = bias
    with atomic(path) as temporary:
        if form == "npz":
            np.savez(temporary, **tensors)
        elif form == "pth":
            pth.write(tensors, temporary)
        else:
            _safetensors(path).save_file({name: np.ascontiguousarray(t) for name, t in tensors.items()}, temporary)


def load(path):
    r"""Read the weights of a network: .pth or .pt (a state dict saved by PyTorch), .npz, .safetensors.

    Which tensors are its layers, and in what order, follows from their names: see `assemble`. No file can run
    code: .pth files are read by `pth.read`, which knows no function; the other formats hold numbers alone.

    Returns
    -------
    tuple of Layer, first layer first, in the file's own float type

    Raises
    ------
    CheckpointError : no such file, an unknown ending, a damaged file, tensors that are no multilayer perceptron
    UnsafeCheckpointError : a .pth file that asks for more than weights
    """
    return assemble(read_tensors(path), path)


def read_tensors(path):
    r"""All tensors of a weight file, whatever they are: a dict of name -> array. Raises as `load` does."""
    path = Path(path)
    form = _format(path)
    if not path.is_file():
        raise CheckpointError(f"{path}: no such file; expected weights, {ENDINGS}")
    if form == "npz":
        return read_npz(path, "weights")
    if form == "pth":
        return pth.read(path)
    library = _safetensors(path)
    try:
        return library.load_file(path)
    except Exception as error:  # the library raises its own type, and NumPy's for types that NumPy has not
        raise CheckpointError(f"{path}: not a readable .safetensors file ({error})") from None


def assemble(tensors, name="weights"):
    r"""The layers that tensors named …PREFIX.weight and …PREFIX.bias make: a tuple of Layers.

    They are ordered by PREFIX, numbers in it as numbers (fc2 before fc10); where the shapes don't chain so, in
    the order of the file.

    Raises
    ------
    CheckpointError : other tensors (convolutions, normalisation, …), shapes that chain in neither order, more
        than one output, or whatever `check` refuses; the message lists what was found
    """
    found = ", ".join(f"{key[:50]} {np.shape(tensor)}" for key, tensor in list(tensors.items())[:12]) or "nothing"
    found += ", …" if len(tensors) > 12 else ""
    layers = {}
    for key, tensor in tensors.items():
        prefix, _, kind = key.rpartition(".")
        if kind not in ("weight", "bias") or np.ndim(tensor) != {"weight": 2, "bias": 1}[kind]:
            raise CheckpointError(
                f"{name}: {key[:50]} is of no linear layer; expected linear layers alone, found {found}"
            )
        layers.setdefault(prefix, {})[kind] = tensor
    for prefix, parts in layers.items():
        if "weight" not in parts:
            raise CheckpointError(f"{name}: {prefix}.bias has no weight beside it; found {found}")

    def natural(prefix):
        parts = re.split(r"([0-9]{1,9})", prefix)  # text, number, text, …
        return [int(part) if place % 2 else part for place, part in enumerate(parts)]

    for order in (sorted(layers, key=natural), list(layers)):
        params = tuple(Layer(layers[prefix]["weight"], layers[prefix].get("bias")) for prefix in order)
        if all(after.weight.shape[1] == before.weight.shape[0] for before, after in pairwise(params)):
            if params and len(params[-1].weight) != 1:
                raise CheckpointError(f"{name}: {len(params[-1].weight)} outputs; expected 1, found {found}")
            return check(params, name)
    raise CheckpointError(f"{name}: the shapes of the layers don't chain; expected (out, in), found {found}")


def _format(path):
    if path.is_dir():
        raise CheckpointError(f"{path}: is a folder; expected a file of weights, {ENDINGS}")
    form = {".npz": "npz", ".pth": "pth", ".pt": "pth", ".safetensors": "safetensors"}.get(path.suffix.lower())
    if form is None:
        raise CheckpointError(f"{path}: its ending {path.suffix!r} is none of weights; expected {ENDINGS}")
    return form


def _safetensors(path):
    try:
        import safetensors.numpy
    except ImportError:
        raise CheckpointError(f'{path}: needs a library: pip install "minirecon[safetensors]"') from None
    return safetensors.numpy
