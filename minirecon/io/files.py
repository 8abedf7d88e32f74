r"""Files that are whole or not there, and archives that hold numbers alone. No part of the paper."""

import contextlib
import errno
import io
import math
import os
import re
import secrets
import warnings
from pathlib import Path

import numpy as np
from numpy.lib.format import MAGIC_PREFIX, read_array_header_1_0, read_array_header_2_0, read_magic

from ..mlp import CheckpointError
from .archive import Tensors, content, entries, reading, shown

TEMPORARY = re.compile(r"\..+-[0-9a-f]{8}\.(json|md|npz|png|pth)")  # where `atomic` writes results first
MOST_HEADER = 2**14  # bytes; NumPy evaluates no header that is longer than 10 000


@contextlib.contextmanager
def atomic(path):
    r"""Yield a temporary path beside `path`, and rename it to `path` if all went well.

    A reader of `path` sees the old file or the whole new one, never half of it.
    """
    path = Path(path)
    if not path.parent.is_dir():
        raise FileNotFoundError(errno.ENOENT, "no such folder", str(path.parent))
    temporary = path.with_name(f".{path.stem}-{secrets.token_hex(4)}{path.suffix}")
    try:
        yield temporary
        temporary.replace(path)
    except OSError as error:  # a full disk does not say what it was that it has no room for
        raise OSError(error.errno, error.strerror, str(path)) from None
    finally:
        temporary.unlink(missing_ok=True)


def take(folder):
    r"""Take a folder for this process alone: a descriptor, to be closed at the end; None on Windows.

    The system gives the folder back when the process ends, however it does. Where a file system knows no such locks,
    nothing is locked. What a process that was killed left half-written is removed.

    Raises BlockingIOError if another process has it.
    """
    try:
        import fcntl
    except ImportError:
        return None
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        raise
    except OSError:
        return descriptor
    for path in folder.iterdir():
        if TEMPORARY.fullmatch(path.name):
            path.unlink(missing_ok=True)
    return descriptor


def write_npz(path, arrays):
    r"""Write arrays, a dict by name, as an .npz file, whole or not at all."""
    with atomic(path) as temporary, open(temporary, "wb") as file:
        np.savez(file, **arrays)  # into an open file: to a path, NumPy may add an ending


def write_text(path, text):
    r"""Write a text, whole or not at all."""
    with atomic(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def read_npz(path, what):
    r"""All arrays of an .npz file: `Tensors`. Pickled objects are refused, so that no code can run.

    Entries that are neither NAME.npy nor begin as an array does are passed over, and `ignored` names them.
    Raises CheckpointError, with the path and `what` was expected, for a missing or damaged file.
    """
    arrays, ignored = Tensors(), []
    with reading(path, f"{what}, .npz") as (file, size):
        found, archive = entries(file, size)
        for entry, info in found.items():
            name, whole = entry.removesuffix(".npy"), content(archive, info)
            if name == entry and not whole.startswith(MAGIC_PREFIX):
                ignored.append(entry)
            elif name in arrays:
                raise CheckpointError(f"has two entries {shown(name)}; expected one of each name")
            else:
                arrays[name] = _array(name, whole)
    arrays.ignored = tuple(ignored)
    return arrays


def _array(name, whole):
    r"""The array in the bytes of an .npy file; what its header claims is compared with their number."""
    file = io.BytesIO(memoryview(whole)[:MOST_HEADER])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # headers by Python 2 are read all the same
        version = read_magic(file)
        shape, fortran, dtype = {(1, 0): read_array_header_1_0, (2, 0): read_array_header_2_0}[version](file)
    if dtype.hasobject:
        raise CheckpointError(f"{shown(name)} holds Python objects, which could run code; expected numbers alone")
    if min(shape, default=0) < 0 or math.prod(shape) * max(dtype.itemsize, 1) + file.tell() > len(whole):
        raise CheckpointError(f"{shown(name)}: {len(whole)} bytes; its header claims {shown(shape)} of {shown(dtype)}")
    return np.ndarray(shape, dtype, whole, file.tell(), order="F" if fortran else "C")
