r"""The .safetensors format: a length, a header (JSON) of names, types, shapes and places, and the numbers.

Source of the format: huggingface.co/docs/safetensors. No part of the paper.
"""

import json
import math

import numpy as np

from ..mlp import CheckpointError
from .archive import Tensors, bfloat16, foreign, reading, shown

LARGEST_HEADER = 2**19  # bytes; that of 1000 layers takes a third, and parsing it up to sixty times as many
DTYPES = {
    "F64": "<f8", "F32": "<f4", "F16": "<f2", "BF16": "<u2", "I64": "<i8", "I32": "<i4", "I16": "<i2", "I8": "i1",
    "U64": "<u8", "U32": "<u4", "U16": "<u2", "U8": "u1", "BOOL": "?",
}  # fmt: skip


def write(tensors, path):
    r"""Write a dict of name -> float array."""
    kinds, header, at = {np.dtype(dtype): kind for kind, dtype in DTYPES.items() if kind != "BF16"}, {}, 0
    for name, array in tensors.items():
        place = {"shape": array.shape, "data_offsets": [at, at := at + array.nbytes]}
        header[name] = {"dtype": kinds[array.dtype.newbyteorder("<")], **place}
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as file:
        file.write(len(text).to_bytes(8, "little") + text)
        for array in tensors.values():
            file.write(np.ascontiguousarray(array, array.dtype.newbyteorder("<")).tobytes())


def read(path):
    r"""All tensors of a file: `Tensors`, not ordered, for most of these files are sorted by name.

    Raises CheckpointError, with the path, for a damaged file.
    """
    with reading(path, "weights, .safetensors") as (file, size):
        begin = file.read(24)
        length = int.from_bytes(begin[:8], "little")
        if begin[8:9] != b"{":
            raise CheckpointError(f"no .safetensors file{foreign(begin)}")
        if length > min(LARGEST_HEADER, size - 8):
            raise CheckpointError(f"its header claims {length} bytes; expected at most {min(LARGEST_HEADER, size - 8)}")
        file.seek(8)
        header = json.loads(file.read(length), object_pairs_hook=_once)
        whole = bytearray(size - 8 - length)
        file.readinto(whole)
        header.pop("__metadata__", None)
        tensors = Tensors({name: _array(name, entry, whole) for name, entry in header.items()})
        taken = sum(end - begin for begin, end in (entry["data_offsets"] for entry in header.values()))
        if taken != len(whole):
            raise CheckpointError(f"its tensors take {taken} bytes; expected the {len(whole)} that it has")
    tensors.ordered = False
    return tensors


def _once(pairs):
    found = dict(pairs)
    if len(found) != len(pairs):
        raise CheckpointError("its header has two entries of one name; expected one of each")
    return found


def _array(name, entry, whole):
    shape, (begin, end) = entry["shape"], entry["data_offsets"]
    if entry["dtype"] not in DTYPES:
        kind = shown(entry["dtype"], 20)
        raise CheckpointError(f"{shown(name)} is of type {kind}; expected one of {', '.join(DTYPES)}")
    dtype = np.dtype(DTYPES[entry["dtype"]])
    whole_numbers = all(type(n) is int and 0 <= n < 2**48 for n in [*shape, begin, end])
    if not whole_numbers or math.prod(shape) * dtype.itemsize != end - begin or end > len(whole):
        raise CheckpointError(f"{shown(name)}: its shape and its place in the file don't fit together")
    array = np.ndarray(shape, dtype, whole, begin)
    return bfloat16(array) if entry["dtype"] == "BF16" else array.astype(dtype.newbyteorder("="), copy=False)
