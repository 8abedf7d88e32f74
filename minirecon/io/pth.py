r"""PyTorch's weight files (.pth) without PyTorch, and without running what a stranger put into them.

A .pth file is a zip archive: `NAME/data.pkl`, a pickle that describes the object saved, and `NAME/data/0`,
`NAME/data/1`, …, the numbers of its tensors. `unpickle` reads the first, NumPy the others; nothing that the
file claims about its size is believed before it has been compared with the file. docs/pth.md explains.
"""

import math
import re
import zipfile

import numpy as np

from ..mlp import CheckpointError
from .archive import Tensors, bfloat16, content, entries, reading, shown
from .unpickle import DTYPES, Tensor, UnsafeCheckpointError, unpickle

LARGEST_PICKLE = 2**20  # bytes; that of 1000 layers takes a fifth
LARGEST_SHARE = 4  # times the file: all tensors together; bfloat16 doubles, and two layers may share their numbers
CONTAINERS = (dict, list, tuple)
WIDTHS = {dtype: 4 if dtype == "bfloat16" else np.dtype(dtype).itemsize for dtype in DTYPES.values()}


def write(tensors, path):
    r"""Write a dict of name -> float array as a state dict that `torch.load(path, weights_only=True)` reads.

    Source of the format: PyTorch's notes on serialization semantics.
    """
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:

        def entry(name, content):
            archive.writestr(zipfile.ZipInfo(f"archive/{name}"), content)  # with no date: the same bytes each time

        entry("data.pkl", _pickle(tensors))
        entry("byteorder", b"little")
        for key, array in enumerate(tensors.values()):
            entry(f"data/{key}", np.ascontiguousarray(array, array.dtype.newbyteorder("<")).tobytes())
        entry("version", b"3\n")


def _pickle(tensors):
    r"""OrderedDict of name -> _rebuild_tensor_v2(storage, 0, shape, strides, False, OrderedDict()), protocol 2."""
    kinds = {np.dtype(dtype): kind for kind, dtype in DTYPES.items() if kind != "BFloat16"}

    def text(value):
        return b"X" + len(value.encode()).to_bytes(4, "little") + value.encode()  # BINUNICODE

    def whole(value):
        return b"\x8a\x08" + value.to_bytes(8, "little")  # LONG1 of eight bytes

    def several(*parts):
        return b"(" + b"".join(parts) + b"t"  # MARK … TUPLE

    ordered_dict = b"ccollections\nOrderedDict\n)R"  # GLOBAL, EMPTY_TUPLE, REDUCE
    code = b"\x80\x02" + ordered_dict  # PROTO 2
    for key, (name, array) in enumerate(tensors.items()):
        kind = kinds[array.dtype.newbyteorder("=")]
        storage = several(
            text("storage"), f"ctorch\n{kind}Storage\n".encode(), text(str(key)), text("cpu"), whole(array.size)
        )
        shape = several(*map(whole, array.shape))
        strides = several(*(whole(math.prod(array.shape[axis + 1 :])) for axis in range(array.ndim)))
        # BINPERSID makes a storage of its tuple; NEWFALSE: no gradient required
        arguments = several(storage + b"Q", whole(0), shape, strides, b"\x89", ordered_dict)
        code += text(name) + b"ctorch._utils\n_rebuild_tensor_v2\n" + arguments + b"Rs"  # REDUCE, SETITEM
    return code + b"."  # STOP


def read(path):
    r"""The tensors of the state dict in a .pth file: `Tensors`, whose `ignored` names tensors beside the state dict.

    Each has the file's type and this machine's byte order, but for bfloat16, which NumPy has not: it becomes
    float32. Views of one storage share memory.

    Raises CheckpointError or UnsafeCheckpointError, with the path and the reason.
    """
    with reading(path, "weights, written by torch.save") as (file, size):
        found, archive = entries(file, size)
        root = _root(found)
        if found[f"{root}/data.pkl"].file_size > LARGEST_PICKLE:
            raise CheckpointError(f"its pickle is longer than {LARGEST_PICKLE} bytes, far more than layers need")
        order = content(archive, found[f"{root}/byteorder"]) if f"{root}/byteorder" in found else b"little"
        if order not in (b"little", b"big"):
            raise CheckpointError(f"its byte order is {bytes(order[:20])!r}; expected little or big")
        tensors = state_dict(unpickle(bytes(content(archive, found[f"{root}/data.pkl"]))))
        # a view may repeat numbers (stride 0) and names may share them, but layers larger than their file are a trap
        claimed = sum(math.prod(tensor.shape) * WIDTHS[tensor.storage.dtype] for tensor in tensors.values())
        if claimed > LARGEST_SHARE * size:
            raise CheckpointError(f"its tensors claim {claimed} bytes, over {LARGEST_SHARE} times the file's {size}")
        storages = {}
        for name, tensor in tensors.items():
            key = tensor.storage.key
            if key not in storages:
                if f"{root}/data/{key}" not in found:
                    where = f"storage {key}, which the archive does not hold"
                    raise UnsafeCheckpointError(f"{shown(name)} lies in {where}")
                storages[key] = content(archive, found[f"{root}/data/{key}"])
            tensors[name] = _array(shown(name), tensor, storages[key], "<" if order == b"little" else ">")
    return tensors


def _root(found):
    r"""NAME of the one entry NAME/data.pkl, in an archive as torch.save writes it."""
    roots = [name.removesuffix("/data.pkl") for name in found if re.fullmatch(r"[^/]+/data\.pkl", name)]
    if len(roots) != 1:
        raise CheckpointError(f"holds {len(roots)} entries NAME/data.pkl; expected 1, written by torch.save")
    if f"{roots[0]}/constants.pkl" in found:
        raise CheckpointError("is a TorchScript program; expected torch.save(model.state_dict(), FILE)")
    for name, info in found.items():
        if info.compress_type != zipfile.ZIP_STORED or info.compress_size != info.file_size:
            raise CheckpointError(f"its entry {shown(name)} is compressed; torch.save stores numbers as they are")
    return roots[0]


def _array(name, tensor, whole, order):
    storage, offset, shape, strides = tensor
    dtype = np.dtype(order + ("u2" if storage.dtype == "bfloat16" else storage.dtype))
    if storage.count * dtype.itemsize > len(whole):
        raise CheckpointError(f"{name}: storage {storage.key} has {len(whole)} bytes for {storage.count} numbers")
    last = offset + sum((n - 1) * step for n, step in zip(shape, strides, strict=True))
    if 0 in shape:
        return np.empty(shape, dtype.newbyteorder("="))
    if last >= storage.count:  # NumPy makes the same check, but in 64 bits, which such numbers can overflow
        raise CheckpointError(f"{name}: shape {shape} and strides {strides} reach beyond its {storage.count} numbers")
    view = np.ndarray(shape, dtype, whole, offset * dtype.itemsize, [step * dtype.itemsize for step in strides])
    if storage.dtype == "bfloat16":
        return bfloat16(view)
    return view.astype(dtype.newbyteorder("="), copy=False)


def state_dict(saved):
    r"""The one dict with a network's `Tensor`s in what was saved, at whatever depth: `Tensors`.

    A network's has names that end in weight; where there is none, it is the one dict of tensors.
    `ignored` names the tensors that lie elsewhere.

    Raises CheckpointError if there is none, or more than one.
    """
    if type(saved) not in CONTAINERS:
        raise CheckpointError(f"holds a {type(saved).__name__}; expected a state dict")
    dicts, seen, todo = [], set(), [("", saved)]
    for where, value in todo:  # which grows meanwhile
        if id(value) in seen:
            continue
        seen.add(id(value))
        if not isinstance(value, dict):
            todo += [(where, part) for part in value if type(part) in CONTAINERS]
            continue
        if tensors := {name: part for name, part in value.items() if isinstance(part, Tensor)}:
            dicts.append((where, tensors))
        inner = where + "." if where else ""
        todo += [(shown(inner + name[:50]), part) for name, part in value.items() if type(part) in CONTAINERS]
    networks = [pair for pair in dicts if any(name.endswith("weight") for name in pair[1])] or dicts
    if not networks:
        there = ", ".join(shown(name, 20) for name in list(saved)[:5]) if isinstance(saved, dict) else ""
        raise CheckpointError(f"holds no tensors; expected a state dict, found {there or f'a {type(saved).__name__}'}")
    if len(networks) > 1:
        places = ", ".join(where or "the top" for where, _ in networks[:4])
        more = "save one: torch.save(saved[KEY], FILE)"
        raise CheckpointError(f"holds {len(networks)} dicts of tensors, at {places}; expected one network; {more}")
    tensors = Tensors(networks[0][1])
    beside = [(where, name) for where, others in dicts if others is not networks[0][1] for name in others]
    tensors.ignored = tuple(f"{where}.{name}" if where else name for where, name in beside)
    return tensors
