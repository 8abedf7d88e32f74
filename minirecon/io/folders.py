r"""Folders of image files: MNIST's and CIFAR-10's, as people have them after a download. No part of the paper."""

import gzip
import itertools
import math
import re

import numpy as np

from ..mlp import CheckpointError
from .archive import foreign, limit, reading, shown

MOST_FILES = 10_000  # that are looked at, down to two folders below the one given


def read_folder(folder):
    r"""What a folder holds: "mnist" or "cifar10", training images and labels, test images and labels.

    MNIST: four idx files, train-images-idx3-ubyte, … or train-images.idx3-ubyte, plain or .gz. CIFAR-10: its binary
    version, data_batch_1.bin, … and test_batch.bin, if there is one. They may lie one or two folders deeper.

    Raises ValueError for other files, and for damaged ones; the message names what is there.
    """
    paths = [path for depth in ("*", "*/*", "*/*/*") for path in itertools.islice(folder.glob(depth), MOST_FILES)]
    paths = sorted((path for path in paths if path.is_file()), key=lambda path: (len(path.parts), path.name, path))
    names = {path.name for path in paths}
    if any(IDX["train", "images"].fullmatch(name) for name in names):
        found = [_only(folder, paths, *key) for key in IDX]
        return "mnist", *(_idx(path, 3 if what == "images" else 1) for path, (_, what) in zip(found, IDX, strict=True))
    if "data_batch_1.bin" in names:
        train, test = (_batches(folder, paths, pattern) for pattern in (r"data_batch_\d\.bin", r"test_batch\.bin"))
        return "cifar10", *train, *test
    expected = "MNIST's train-images-idx3-ubyte, … or CIFAR-10's data_batch_1.bin, …"
    if "data_batch_1" in names:
        raise ValueError(f"{folder}: CIFAR-10's Python version, pickles; expected cifar-10-binary.tar.gz, unpacked")
    there = ", ".join(shown(path.name, 30) for path in paths[:4]) or "no file"
    raise ValueError(f"{folder}: holds {there}{', …' if len(paths) > 4 else ''}; expected {expected}")


IDX = {
    (part, what): re.compile(rf"{part}-{what}[-.]idx\d-ubyte(\.gz)?")
    for part in ("train", "t10k")
    for what in ("images", "labels")
}


def _only(folder, paths, part, what):
    r"""The file of that name; of several the least deep, and a plain one rather than its .gz."""
    found = [path for path in paths if IDX[part, what].fullmatch(path.name)]
    if not found:
        raise ValueError(f"{folder}: no file {part}-{what}-idx…-ubyte; expected MNIST's four files")
    rivals = [path for path in found if len(path.parts) == len(found[0].parts) and path.parent != found[0].parent]
    if rivals:
        raise ValueError(f"{folder}: holds {found[0]} and {rivals[0]}; expected one data set")
    return found[0]


def _idx(path, axes):
    r"""MNIST's format: 0, 0, type 8 (uint8), number of axes, their lengths big-endian, then the bytes."""
    with reading(path, "MNIST") as (file, size):
        if path.suffix == ".gz":
            begin = file.read(24)
            if not begin.startswith(b"\x1f\x8b"):
                raise CheckpointError(f"no .gz file{foreign(begin)}")
            file.seek(0)
            file = gzip.GzipFile(fileobj=file)
        begin = file.read(4 + 4 * axes)
        magic, *shape = (int.from_bytes(begin[at : at + 4], "big") for at in range(0, 4 + 4 * axes, 4))
        claimed = math.prod(shape)
        if magic != 0x800 + axes or len(begin) < 4 + 4 * axes:
            expected = f"an idx file, 00 00 08 {axes:02x} and {axes} lengths of 4 bytes"
            raise CheckpointError(f"begins with {begin.hex(' ')}{foreign(begin)}; expected {expected}")
        if path.suffix == ".gz":
            limit(claimed, size)
        content = file.read(1 + (claimed if path.suffix == ".gz" else min(claimed, size)))
        if len(content) != claimed:
            more = "more" if len(content) > claimed else len(content)
            raise CheckpointError(f"announces {' × '.join(map(str, shape))} bytes; has {more}")
    return np.frombuffer(content, np.uint8).reshape(shape)


def _batches(folder, paths, pattern):
    r"""CIFAR-10's binary version: for each image a label, then 3072 bytes in the order (c, h, w)."""
    found = [path for path in paths if re.fullmatch(pattern, path.name)]
    records = [np.empty((0, 3073), np.uint8)]
    for path in found:
        if path.parent != found[0].parent:
            raise ValueError(f"{folder}: holds {found[0]} and {path}; expected one data set")
        with reading(path, "CIFAR-10") as (file, size):
            if size == 0 or size % 3073:
                raise CheckpointError(f"{size} bytes; expected a multiple of 3073, CIFAR-10's binary version")
            records.append(np.frombuffer(file.read(), np.uint8).reshape(-1, 3073))
            if records[-1][:, 0].max() > 9:
                raise CheckpointError(f"a label of {records[-1][:, 0].max()}; expected 0 to 9")
    records = np.concatenate(records)
    return records[:, 1:].reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1), records[:, 0]
