r"""Weights on disk: the only thing the attack of the paper is given.

A network's parameters θ are a tuple of `Layer`s. Three kinds of file hold them: PyTorch's .pth, NumPy's .npz
and .safetensors.
"""

import re
from itertools import pairwise, permutations
from pathlib import Path

import numpy as np

from ..mlp import CheckpointError, Layer, check
from . import pth, safetensors
from .archive import opened, shown
from .files import atomic, read_npz

ENDINGS = ".pth, .pt, .npz or .safetensors"
LONGEST = 500  # characters of a layer's name
RULE = "expected NAME.weight (out, in) and NAME.bias (out,) of linear layers"


def save(params, path):
    r"""Write the parameters to `path`, whole or not at all; its ending chooses the format.

    The tensors are named layers.0.weight, layers.0.bias, layers.1.weight, …, as PyTorch would.

    Raises
    ------
    CheckpointError : no path, unknown ending, a float type that the format has not, or parameters that `check` refuses
    """
    if not isinstance(path, (str, Path)):
        raise CheckpointError(f"save(params, path): path is a {type(path).__name__}; expected a file's name")
    path = Path(path)
    ending = path.suffix.lower()
    if ending not in (".npz", ".pth", ".pt", ".safetensors"):
        raise CheckpointError(f"{path}: its ending {ending!r} is none of weights; expected {ENDINGS}")
    tensors = {}
    for number, (weight, bias) in enumerate(check(params, path)):
        if ending != ".npz" and weight.dtype.itemsize > 8:
            raise CheckpointError(f"{path}: can't hold {weight.dtype}; expected float64, float32, float16, or .npz")
        tensors[f"layers.{number}.weight"] = weight
        if bias is not None:
            tensors[f"layers.{number}.bias"] = bias
    with atomic(path) as temporary:
        if ending == ".npz":
            np.savez(temporary, **tensors)
        else:
            (safetensors if ending == ".safetensors" else pth).write(tensors, temporary)


def load(path):
    r"""Read the weights of a network: .pth or .pt (saved by PyTorch), .npz, .safetensors; of another ending, either.

    Which tensors are its layers, and in what order, follows from their names: see `assemble`. No file can run
    code: .pth files are read by `pth.read`, which knows no function; the other formats hold numbers alone.

    Returns
    -------
    tuple of Layer, first layer first, in the file's own float type

    Raises
    ------
    CheckpointError : no such file, a damaged file, tensors that are no multilayer perceptron
    UnsafeCheckpointError : a .pth file that asks for more than weights
    """
    return assemble(read_tensors(path), path)


def read_tensors(path):
    r"""All tensors of a weight file, whatever they are: `Tensors`, a dict of name -> array. Raises as `load` does."""
    path = Path(path)
    with opened(path, f"weights, {ENDINGS}") as file:
        begin = file.read(9)
    if path.suffix.lower() == ".npz":
        return read_npz(path, "weights")
    if path.suffix.lower() == ".safetensors" or (begin[8:] == b"{" and not begin.startswith(b"PK")):
        return safetensors.read(path)
    return pth.read(path)


def assemble(tensors, name="weights"):
    r"""The layers that tensors named …NAME.weight and …NAME.bias make: a tuple of Layers, as `layers` orders them.

    Raises
    ------
    CheckpointError : what `layers` refuses, or whatever `check` refuses
    """
    return check(tuple(layers(tensors, name).values()), name)


def layers(tensors, name="weights"):
    r"""The layers that tensors named …NAME.weight and …NAME.bias make, in the network's order: a dict of Layers.

    Numbers without a NAME, as in a loss or an accuracy, are passed over. The order is the file's, or that of the
    numbers in the names (fc2 before fc10): whichever of them lets each layer take what the one before it gives.
    Where neither does, and in a .safetensors file, whose order means nothing, it is the only one that does.

    Raises
    ------
    CheckpointError : other tensors (convolutions, normalisation, …), no such order or more than one, several
        networks; the message lists what was found
    """
    found = {}
    for key, tensor in tensors.items():
        prefix, dot, kind = key.rpartition(".")
        if is_beside(key, tensor):
            continue
        if not dot or kind not in ("weight", "bias") or np.ndim(tensor) != {"weight": 2, "bias": 1}[kind]:
            raise CheckpointError(f"{name}: {shown(key)} {np.shape(tensor)}: {RULE}; found {_found(tensors)}")
        if len(key) > LONGEST:
            raise CheckpointError(f"{name}: {shown(key)} has {len(key)} characters; expected at most {LONGEST}")
        found.setdefault(prefix, {})[kind] = tensor
    for prefix, parts in found.items():
        if "weight" not in parts:
            raise CheckpointError(f"{name}: {shown(prefix)}.bias has no weight beside it; found {_found(tensors)}")
    found = {prefix: Layer(parts["weight"], parts.get("bias")) for prefix, parts in found.items()}
    names = tuple(found)
    likely = [names, _by_number(names)] if getattr(tensors, "ordered", True) else []
    orders = [order for order in dict.fromkeys(likely) if _chain(found, order)]
    orders = orders or [order for order in _possible(names) if _chain(found, order)]
    networks = _networks(found)
    if len(networks) > 1 and (not orders or len(found[networks[0][-1]].weight) == 1):
        names = ", ".join(shown(order[0].rpartition(".")[0], 20) for order in networks[:4])
        raise CheckpointError(f"{name}: holds {len(networks)} networks, {names}; expected one")
    if len(orders) > 1:
        one, two = (", ".join(shown(prefix, 20) for prefix in order[:5]) for order in orders[:2])
        raise CheckpointError(f"{name}: its layers fit as {one} and as {two}; expected names or a file that tell which")
    if not orders:
        raise CheckpointError(f"{name}: its layers' shapes, (out, in), don't chain; found {_found(tensors)}")
    return {prefix: found[prefix] for prefix in orders[0]}


def is_beside(name, tensor):
    r"""Whether a tensor is a number beside the layers, as a loss is."""
    return np.ndim(tensor) == 0 and "." not in name


def _found(tensors):
    r"""The first tensors, for a message."""
    there = [f"{shown(key, 30)} {np.shape(tensor)}" for key, tensor in list(tensors.items())[:4]]
    return ", ".join(there + ["…"] * (len(tensors) > 4)) or "nothing"


def _possible(names):
    r"""The order of the numbers, if the names differ in nothing else; else all in which they rise, of 6 layers."""
    if len({_split(name)[::2] for name in names}) == 1:
        return [_by_number(names)]
    return [order for order in permutations(names) if _by_number(order) == order] if len(names) <= 6 else []


def _by_number(names):
    r"""The names, of which those that differ in their numbers alone change places until their numbers rise."""
    groups = {}
    for name in names:
        groups.setdefault(_split(name)[::2], []).append(name)
    for group in groups.values():
        group.sort(key=lambda name: [int(number) for number in _split(name)[1::2]], reverse=True)
    return tuple(groups[_split(name)[::2]].pop() for name in names)


def _split(name):
    return tuple(re.split(r"([0-9]{1,9})", name))  # text, number, text, …


def _networks(found):
    r"""Names of layers by what they share before the last dot; none, unless each such group chains."""
    groups = {}
    for name in found:
        groups.setdefault(name.rpartition(".")[0], []).append(name)
    groups = [_by_number(names) for names in groups.values()]
    return groups if all(len(names) > 1 and _chain(found, names) for names in groups) else []


def _chain(found, order):
    r"""Whether each layer takes what the one before it gives."""
    parts = pairwise(found[name].weight.shape for name in order)
    return all(after[1] == before[0] for before, after in parts)
