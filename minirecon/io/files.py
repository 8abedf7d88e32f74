r"""Files that are whole or not there, and archives that hold numbers alone. No part of the paper."""

import contextlib
import errno
import secrets
from pathlib import Path

import numpy as np

from ..mlp import CheckpointError


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
    finally:
        temporary.unlink(missing_ok=True)


def write_npz(path, arrays):
    r"""Write arrays, a dict by name, as an .npz file, whole or not at all."""
    with atomic(path) as temporary, open(temporary, "wb") as file:
        np.savez(file, **arrays)  # into an open file: to a path, NumPy may add an ending


def write_text(path, text):
    r"""Write a text, whole or not at all."""
    with atomic(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def read_npz(path, what):
    r"""All arrays of an .npz file: a dict. Pickled objects are refused, so that no code can run.

    Raises CheckpointError, with the path and `what` was expected, for a missing or damaged file.
    """
    if not Path(path).is_file():
        raise CheckpointError(f"{path}: no such file; expected {what}, .npz")
    with open(path, "rb") as file:
        try:
            with np.load(file, allow_pickle=False) as archive:
                return {name: archive[name] for name in archive.files}
        except Exception as error:  # a damaged zip or header raises a dozen different types
            kind = type(error).__name__
            raise CheckpointError(f"{path}: not a readable .npz archive of {what}, numbers alone ({kind})") from None
