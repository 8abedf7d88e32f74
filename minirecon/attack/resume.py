r"""An attack that was cut short goes on from where it was last saved; no part of the paper.

SciPy's L-BFGS can't be saved in the middle of a search. So the attack is always run in pieces that begin
from what a file can hold, whether it is saved or not: that is why its result is the same bit for bit.
"""

import hashlib
import json
import numbers
from pathlib import Path

import numpy as np

from ..io.archive import shown
from ..io.files import read_npz, write_npz


def identity(params, m, seed, optimizer, dtype, settings, initial=None):
    r"""All that decides an attack's result, on one machine: a dict that JSON can hold.

    The weights are in it by their digest (SHA-256), and so is a `seed` that is no whole number.
    """
    if isinstance(seed, numbers.Integral):
        seed = int(seed)
    else:
        seed = hashlib.sha256(repr(np.random.default_rng(seed).bit_generator.state).encode()).hexdigest()
    given = {"m": int(m), "seed": seed, "optimizer": optimizer, "dtype": dtype}
    known = {} if initial is None else {"initial": _digest(initial)}
    return {"weights": _digest(params), **known, **given, **settings}


def _digest(params):
    digest = hashlib.sha256()
    for array in (array for layer in params for array in layer if array is not None):
        digest.update(f"{array.shape} {array.dtype}".encode() + array.tobytes())
    return digest.hexdigest()


def same(path, arrays, expected):
    r"""Raise ValueError, naming `path` and what differs, if the identity among its arrays is not the expected one."""
    try:
        found = dict(json.loads(str(arrays.get("identity", "{}"))))
    except (ValueError, TypeError, RecursionError):  # whatever a file may hold in its place
        found = {}
    for name, value in expected.items():
        there = found.get(name)
        if there != value:
            there, value = (v[:8] + "…" if isinstance(v, str) and len(v) == 64 else shown(v) for v in (there, value))
            raise ValueError(f"{path}: saved by another attack, with {name} = {there}; expected {value}")


class State:
    r"""The file `path` (.npz) with the state of the attack `identity`; a path of None neither reads nor writes."""

    def __init__(self, path, identity):
        if path is not None and not Path(path).parent.is_dir():
            raise ValueError(f"checkpoint = {path}: no such folder; expected a file in a folder that is there")
        self.path, self.identity = path, identity

    def load(self, history, begin):
        r"""The arrays last saved, of the names and shapes of `begin`, and `history` filled; without a file, `begin`.

        Raises ValueError for a damaged file, or one that another attack saved.
        """
        if self.path is None or not Path(self.path).exists():
            return begin
        arrays = read_npz(self.path, "an attack's state")
        same(self.path, arrays, self.identity)
        try:
            history.restore({name: arrays[f"history {name}"] for name in arrays["terms"].tolist()})
            state = {name: arrays[name] for name in begin}
            fits = all(state[name].shape == np.shape(value) for name, value in begin.items())
            fits = fits and all(np.isfinite(array).all() for array in state.values())
        except (KeyError, TypeError, ValueError):  # crafted, for what is damaged has no right checksum
            fits = False
        if not fits:
            raise ValueError(
                f"{self.path}: lacks what this attack saves; expected its names, shapes and finite numbers"
            )
        return state

    def save(self, history, **arrays):
        r"""Write the state, whole or not at all: the last good one stays if this one is cut short."""
        if self.path is None:
            return
        terms = history.arrays()
        arrays |= {f"history {name}": values for name, values in terms.items()}
        arrays |= {"identity": json.dumps(self.identity), "terms": np.array(list(terms), dtype=str)}
        write_npz(self.path, arrays)
