r"""Reading other people's files: what they claim is compared with the file, what they say is printed with care.

No part of the paper. docs/pth.md explains.
"""

import contextlib
import os
import re
import zipfile
from pathlib import Path

import numpy as np

from ..mlp import CheckpointError

EXPANSION = 8  # times its own size: what a compressed file may unpack to, and a megabyte; MNIST's go up to 5
FOREIGN = {
    rb"version https://git-lfs": "a Git LFS pointer, not the file itself; fetch it: git lfs pull",
    rb"\s*<(!doctype|html|\?xml)": "a web page, not the file that it leads to; download that",
    rb"\x80\x02\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19\.": "in PyTorch's format from before 1.6; re-save it with PyTorch: "
    "torch.save(torch.load(OLD), NEW)",
    rb"\x80[\x02-\x05]": "a bare pickle, which could run code; save it again with torch.save or numpy.savez",
    rb"\x93NUMPY": "a single array, .npy; save arrays by name with numpy.savez",
    rb"\x1f\x8b": "packed by gzip; unpack it",
    rb"\x89HDF": "an HDF5 file; save arrays by name with numpy.savez",
}


class Tensors(dict):
    r"""Arrays by name, in the file's order. Beside them:

    ordered : False, where that order means nothing, as in .safetensors, which sorts by name
    ignored : names of what else the file holds
    """

    ordered, ignored = True, ()


def shown(value, most=50):
    r"""A text from a file, for print: nothing in it drives a terminal, and it has at most `most` characters."""
    text = "".join(c if c.isprintable() else repr(c)[1:-1] for c in str(value)[: most + 1])
    return text if len(text) <= most else text[: most - 1] + "…"


def foreign(begin):
    r"""What a file that begins with these bytes (16 or more) seems to be, and what to do, after a comma; or nothing."""
    return next((f", but {kind}" for form, kind in FOREIGN.items() if re.match(form, begin, re.IGNORECASE)), "")


def opened(path, what):
    r"""A file, open for reading. Raises CheckpointError for a folder, a pipe, a device, or none at all."""
    path = Path(path)
    if not path.is_file():
        kind = "a folder" if path.is_dir() else "a pipe or a device"
        raise CheckpointError(f"{path}: {f'is {kind}' if path.exists() else 'no such file'}; expected {what}")
    return open(path, "rb")


@contextlib.contextmanager
def reading(path, what):
    r"""A file, open for reading, and its size; whatever goes wrong then is a CheckpointError of one line."""
    with opened(path, what) as file:
        try:
            yield file, os.fstat(file.fileno()).st_size
        except MemoryError:
            raise
        except CheckpointError as error:
            raise type(error)(f"{path}: {error}") from None
        except Exception as error:  # what damaged archives, headers and pickles can raise is a long list
            reason = f"{type(error).__name__}: {shown(error, 100)}"
            raise CheckpointError(f"{path}: damaged, or no file of {what.split(',')[0]} ({reason})") from None


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


def entries(file, size):
    r"""The entries of a zip archive by name, each with its ZipInfo, and the archive: two names are never the same."""
    begin = file.read(24)
    if not begin.startswith(b"PK"):
        raise CheckpointError(f"no zip archive, as torch.save and numpy.savez write it{foreign(begin)}")
    archive, found = zipfile.ZipFile(_Guarded(file, size)), {}
    for info in archive.infolist():
        if info.filename in found:
            raise CheckpointError(f"has two entries {shown(info.filename)}; expected one of each name")
        if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            raise CheckpointError(f"its entry {shown(info.filename)} is packed as neither NumPy nor PyTorch does it")
        archive.open(info).close()  # compares the two places that hold its name
        found[info.filename] = info
    limit(sum(info.file_size for info in found.values()), size)
    if all(info.CRC == 0 for info in found.values()):  # torch.save without checksums, compute_crc32 = False
        for info in found.values():
            info.CRC = None
    return found, archive


def limit(claimed, size):
    r"""Raise CheckpointError if a file of `size` bytes claims to unpack to more than a few times as many."""
    if claimed > EXPANSION * size + 2**20:
        most = f"expected at most {EXPANSION} times its own {size}; save it without compression"
        raise CheckpointError(f"claims to unpack to {claimed} bytes; {most}")


def content(archive, info):
    r"""An entry's bytes, in pieces, so that no second copy of them is made; its checksum is verified."""
    whole, at = bytearray(info.file_size), 0
    with archive.open(info) as entry:
        while piece := entry.read(2**18):
            whole[at : at + len(piece)] = piece
            at += len(piece)
    return whole


def bfloat16(halves):
    r"""float32 from the upper halves of its bits, uint16: NumPy has no bfloat16."""
    wide = halves.astype(np.uint32)
    wide <<= 16
    return wide.view(np.float32)
