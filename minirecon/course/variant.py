r"""Coursework: another set of the same tasks, by edits to the solution, its docstrings, the sheets and the tests.

tests/variants.toml is the table of edits; a seed chooses among them. What comes out is a checkout of its own, from
which handouts are made and against which they are graded like the repository's. No part of the paper.
"""

import contextlib
import hashlib
import shutil
import tempfile
from pathlib import Path

TABLE = Path("tests/variants.toml")
PARTS = ("minirecon", "data", "docs", "tests", "pyproject.toml", "LICENSE", "README.md")
TOLD = Path("docs/assignments/variant.md")  # what the handout says of it


def load_options(root):
    r"""What may be changed: a list of dicts name, tells, edits (lists of file, old text, new text).

    Raises ValueError if `root` has no table, as a handout has none.
    """
    try:
        import tomllib
    except ImportError:  # Python 3.10
        import tomli as tomllib

    if not (root / TABLE).is_file():
        raise ValueError(f"no {TABLE} in {root}; expected the repository's checkout")
    return tomllib.loads((root / TABLE).read_text(encoding="utf-8"))["option"]


def choose(options, seed):
    r"""Of the options of each name one, or none in a third of all cases, as the text `seed` says everywhere."""
    chosen = []
    for name in dict.fromkeys(option["name"] for option in options):
        alike = [option for option in options if option["name"] == name]
        number = int(hashlib.sha256(f"{seed} {name}".encode()).hexdigest(), 16)
        if number % 3:
            chosen.append(alike[number // 3 % len(alike)])
    return chosen


def apply(options, folder):
    r"""Make the edits of some options in the files of a folder.

    Raises ValueError for an edit whose text is not there.
    """
    for option in options:
        for name, old, new in option["edits"]:
            text = (folder / name).read_text(encoding="utf-8")
            if old not in text:
                raise ValueError(f"{TABLE}, {option['name']}: {name} has no {old!r}")
            (folder / name).write_text(text.replace(old, new), encoding="utf-8")


@contextlib.contextmanager
def checkout(root, seed=None):
    r"""`with checkout(root, seed) as folder:` a copy of the repository's checkout, changed as the text `seed` says.

    None changes nothing: `root` itself. Raises ValueError as `load_options` and `apply` do, and for a seed that happens
    to choose nothing.
    """
    if seed is None:
        yield root
        return
    options = choose(load_options(root), seed)
    if not options:
        raise ValueError(f"variant {seed}: changes nothing; expected another seed")
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary) / "checkout"
        folder.mkdir()
        for name in PARTS:
            if (root / name).is_dir():
                shutil.copytree(root / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
            else:
                shutil.copy(root / name, folder / name)
        apply(options, folder)
        tells = "".join(f"- {option['tells']}\n" for option in options)
        (folder / TOLD).write_text(HEAD + tells, encoding="utf-8")
        yield folder


HEAD = """# What is different here

Your copy of the coursework differs from the published package, and from what chapters and papers say, in these places.
Docstrings, sheets and tests have it already.

"""
