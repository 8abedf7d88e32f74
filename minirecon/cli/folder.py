r"""The folder of a command's results: its name, what its record says, and what in it is not replaced unasked."""

import json
import platform
import sys
from importlib.metadata import version
from pathlib import Path

from .. import __version__

SECONDS = ("demo", "figure", "kkt", "score")  # commands whose results, the work of seconds, may be replaced
MADE = {"attack": "attack", "train": "training"}
OTHER = {"attack": "candidates.npz", "train": "weights.pth"}  # what a command would replace, whoever made it


def named(weights):
    r"""What results of a weight file are named after: the file, or its folder where it is called weights."""
    path = Path(weights).absolute()
    return (path.parent.name if path.stem == "weights" else "") or path.stem


def record(folder):
    r"""What results.json says: a dict, empty where there is none or none that can be read."""
    try:
        return dict(json.loads((folder / "results.json").read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError, RecursionError):
        return {}


def spare(out, verb, parts=None, resume=False):
    r"""Raise ValueError, in one line, if a folder holds what took long to make, and the verb does not go on with it.

    out : Path of the folder, which is there
    verb : what would write there
    parts : pattern of the files with which an attack of this kind goes on; None for other verbs
    resume : whether it is asked to go on
    """
    what, fits = _held(out, verb, parts)
    if what and not (fits and resume):
        ways = "--resume, or another --out" if fits and "finished" not in what else "another --out"
        raise ValueError(f"{out}: holds {what}; expected {ways}")


def _held(out, verb, parts):
    r"""What is there, in words, or None; and whether an attack with these `parts` goes on there."""
    saved = [*sorted(out.glob("state.npz")), *sorted(out.glob("run-*.npz"))]
    if saved:
        return f"an attack ({saved[0].name})", parts is not None and saved[0].match(parts)
    found = record(out)
    if (out / "results.json").exists() and found.get("command") not in SECONDS:
        how = "an interrupted" if found.get("interrupted") else "a finished"
        what = MADE.get(found.get("command"), "result")
        return f"{how} {what} (results.json)", parts is not None and what == "attack"
    if not found and verb in OTHER and (out / OTHER[verb]).exists():
        return OTHER[verb], False
    return None, False


def versions():
    r"""What made the results: versions, by name."""
    return {"python": platform.python_version(), "minirecon": __version__} | {  # of the code, installed or not
        name: version(name) for name in ("numpy", "scipy", "autograd", "matplotlib")
    }


def peak_mb():
    r"""The most memory that this process has had, in MB; None where the system does not say."""
    try:
        import resource
    except ImportError:  # Windows
        return None
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return round(peak / (2**20 if sys.platform == "darwin" else 2**10))
