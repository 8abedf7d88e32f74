r"""PyTorch's weight files (.pth) without PyTorch, and without running what a stranger put into them.

A .pth file is a zip archive: `NAME/data.pkl`, a pickle that describes the object saved, and `NAME/data/0`,
`NAME/data/1`, …, the numbers of its tensors. `unpickle` reads the first, NumPy the others; nothing that the
file claims about its size is believed before it has been compared with the file. docs/pth.md explains.
"""

import math
import os
import re
import zipfile

import numpy as np

from ..mlp import CheckpointError
from .unpickle import DTYPES, Tensor, UnsafeCheckpointError, unpickle

LARGEST_PICKLE = 2**20  # bytes; that of 1000 layers takes a fifth
MAGIC_BEFORE_1_6 = b"\x80\x02\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19."  # the pickled number that old files begin with


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


class _Guarded:
    r"""A file that refuses to read much at once. zipfile reads a whole index, however long it claims to be."""

    LIMIT = 2**20

    def __init__(self, file, size):
        self.file, self.size = file, size
        self.seek, self.tell, self.seekable = file.seek, file.tell, file.seekable

    def read(self, count=-1):
        if count < 0:
            count = max(0, self.size - self.tell())
        if count > self.LIMIT:
            raise CheckpointError(f"its zip index claims {count} bytes; expected at most {self.LIMIT}")
        return self.file.read(count)


def read(path):
    r"""The tensors of the state dict in a .pth file: a dict of name -> array, in the file's order.

    Each has the file's type and this machine's byte order, but for bfloat16, which NumPy has not: it becomes
    float32. Views of one storage share memory.

    Raises CheckpointError or UnsafeCheckpointError, with the path and the reason.
    """
    with open(path, "rb") as file:
        try:
            size = os.fstat(file.fileno()).st_size
            begin = file.read(len(MAGIC_BEFORE_1_6))
            if begin == MAGIC_BEFORE_1_6:
                raise CheckpointError(
                    "PyTorch's format from before 1.6; re-save it with PyTorch: torch.save(torch.load(OLD), NEW)"
                )
            if not begin.startswith(b"PK"):
                raise CheckpointError("not a zip archive; expected a file written by torch.save")
            with zipfile.ZipFile(_Guarded(file, size)) as archive:
                return _read_archive(archive, size)
        except CheckpointError as error:
            raise type(error)(f"{path}: {error}") from None
        except Exception as error:  # what damaged zips and pickles can raise is a long list
            raise CheckpointError(f"{path}: damaged, or not a weight file ({type(error).__name__}: {error})") from None


def _read_archive(archive, size):
    entries = {}
    for info in archive.infolist():
        if info.compress_type != zipfile.ZIP_STORED or info.compress_size != info.file_size:
            raise CheckpointError(
                f"its entry {info.filename[:50]!r} is compressed; torch.save stores numbers as they are"
            )
        archive.open(info).close()  # compares the two places that hold its name
        entries[info.filename] = info
    if sum(info.file_size for info in archive.infolist()) > size:
        raise CheckpointError("its entries claim more bytes than the file has")
    roots = [name.removesuffix("/data.pkl") for name in entries if re.fullmatch(r"[^/]+/data\.pkl", name)]
    if len(roots) != 1:
        raise CheckpointError(f"holds {len(roots)} entries NAME/data.pkl; expected 1, written by torch.save")
    (root,) = roots
    if entries[f"{root}/data.pkl"].file_size > LARGEST_PICKLE:
        raise CheckpointError(f"its pickle is longer than {LARGEST_PICKLE} bytes, far more than layers need")
    order = _bytes(archive, entries[f"{root}/byteorder"]) if f"{root}/byteorder" in entries else b"little"
    if order not in (b"little", b"big"):
        raise CheckpointError(f"its byte order is {bytes(order[:20])!r}; expected little or big")
    tensors, storages = state_dict(unpickle(bytes(_bytes(archive, entries[f"{root}/data.pkl"])))), {}
    for name, tensor in tensors.items():
        key = tensor.storage.key
        if key not in storages:
            if f"{root}/data/{key}" not in entries:
                raise UnsafeCheckpointError(f"{name} lies in storage {key}, which the archive does not hold")
            storages[key] = _bytes(archive, entries[f"{root}/data/{key}"])
        tensors[name] = _array(name, tensor, storages[key], "<" if order == b"little" else ">", size)
    return tensors


def _bytes(archive, info):
    r"""An entry's bytes, in pieces, so that no second copy of them is made; its checksum is verified."""
    content, at = bytearray(info.file_size), 0
    with archive.open(info) as entry:
        while piece := entry.read(2**18):
            content[at : at + len(piece)] = piece
            at += len(piece)
    return content


def _array(name, tensor, content, order, size):
    storage, offset, shape, strides = tensor
    kind = "u2" if storage.dtype == "bfloat16" else storage.dtype
    dtype = np.dtype(order + kind)
    if storage.count * dtype.itemsize > len(content):
        raise CheckpointError(f"{name}: storage {storage.key} has {len(content)} bytes for {storage.count} numbers")
    count = math.prod(shape)
    last = offset + sum((n - 1) * step for n, step in zip(shape, strides, strict=True))
    # a view may repeat numbers (stride 0), but a layer larger than its file is a trap
    if count and (last >= storage.count or count * dtype.itemsize > size):
        raise CheckpointError(f"{name}: shape {shape} and strides {strides} reach beyond its {storage.count} numbers")
    if count == 0:
        return np.empty(shape, dtype.newbyteorder("="))
    view = np.ndarray(shape, dtype, content, offset * dtype.itemsize, [step * dtype.itemsize for step in strides])
    if storage.dtype == "bfloat16":  # the upper half of a float32
        return (view.astype(np.uint32) << 16).view(np.float32)
    return view if dtype.isnative else view.astype(dtype.newbyteorder("="))


def state_dict(saved):
    r"""The dict of `Tensor`s in what was saved: the dict itself, or the one under `state_dict` or `model`.

    Raises CheckpointError if there is none.
    """
    for _ in range(3):
        if not isinstance(saved, dict):
            raise CheckpointError(f"holds a {type(saved).__name__}; expected a state dict")
        tensors = {str(name): value for name, value in saved.items() if isinstance(value, Tensor)}
        if tensors:
            return tensors
        saved = next((saved[key] for key in ("state_dict", "model_state_dict", "model") if key in saved), saved)
    raise CheckpointError(f"holds no tensors; expected a state dict, found {', '.join(map(str, list(saved)[:9]))}")
