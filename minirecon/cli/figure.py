r"""`minirecon figure`: run an experiment; write its picture, data, caption and record, and a page of all of them."""

import contextlib
import json
import textwrap
from functools import partial
from pathlib import Path

import numpy as np

from .. import experiments
from ..experiments.drawing import captions, images
from ..io.files import atomic, write_text
from .output import Run


def figure(args):
    r"""Make one figure or all."""
    if args.redraw and (args.seed or args.quick):
        raise ValueError("--redraw: expected no --seed and no --quick; nothing is run")
    for name in experiments.NAMES if args.name == "all" else [args.name]:
        if args.redraw:
            redraw(name, Path(args.out or _default(args)))
        else:
            _make(name, args)


def _default(args):
    return f"minirecon-out/figure-{args.name}"


def _make(name, args):
    r"""Run the experiment `name`; write data, pictures, caption and record, and README.md of all that are there."""
    module, settings = experiments.load(name), experiments.settings(name, args.quick)
    with Run(args, _default(args), {"name": name, "quick": args.quick, **settings}) as run:
        data = {key: np.asarray(value) for key, value in module.run(args.seed, True, **settings).items()}
        with atomic(run.out / f"{name}.npz") as temporary:
            np.savez_compressed(temporary, **data)
        for file, draw in experiments.pictures(name).items():
            run.draw(file, draw, data)
        caption = module.caption(data).strip()
        write_text(run.out / f"{name}.md", caption + "\n")
        print(printed(caption))
        run.finish(name=name, numbers=module.numbers(data))
        write_text(run.out / "README.md", page(run.out))


def redraw(name, folder):
    r"""Make the pictures, the caption and the numbers of NAME.npz again, as they are made today; nothing is run.

    Raises ValueError, which names the file, if there is no such data.
    """
    module, path = experiments.load(name), folder / f"{name}.npz"
    with _expected(path, name), open(path, "rb") as file, np.load(file) as archive:
        data = dict(archive)
        caption, numbers = module.caption(data).strip(), module.numbers(data)
    record, _ = _recorded(path.with_suffix(".json"), name)
    for file, draw in experiments.pictures(name).items():
        images.draw(partial(draw, data), folder / file)
    write_text(folder / f"{name}.md", caption + "\n")
    record = json.dumps(record | {"numbers": numbers}, indent=1, allow_nan=False)
    write_text(path.with_suffix(".json"), record + "\n")
    write_text(folder / "README.md", page(folder))
    print(f"drew {name} in {folder} again")


@contextlib.contextmanager
def _expected(path, name):
    r"""Whatever goes wrong with a file of the figure `name` is a ValueError that names the file."""
    try:
        yield
    except (MemoryError, NotImplementedError):  # the second from a hole of the handout
        raise
    except Exception:  # what a damaged archive, or one of other arrays, can raise is a long list
        there = "" if path.exists() else "no such file; "
        raise ValueError(f"{path}: {there}expected the data of minirecon figure {name}") from None


def _recorded(path, name):
    r"""The record of a figure, a dict, and its row in the table of the page."""
    with _expected(path, name):
        record = json.loads(path.read_text(encoding="utf-8"))
        seed, version, seconds = record["seed"], record["versions"]["minirecon"], record["seconds"]
        return record, [f"[{name}](#{name})", seed, version, f"{seconds:.0f}"]


def printed(caption):
    r"""A caption for the terminal, 79 columns wide; a row of a table that is wider goes on in the next line."""
    parts = []
    for paragraph in caption.split("\n\n"):
        rows = paragraph.splitlines() if paragraph.startswith("|") else [" ".join(paragraph.split())]
        parts.append("\n".join(textwrap.fill(row, 79, subsequent_indent="    " * (len(rows) > 1)) for row in rows))
    return "\n" + "\n\n".join(parts)


def page(folder):
    r"""README.md of a folder of figures, from the records in it."""
    records = {name: folder / f"{name}.json" for name in experiments.NAMES}
    records = {name: _recorded(path, name) for name, path in records.items() if path.exists()}
    seconds = sum(record["seconds"] for record, _ in records.values())
    time = f" ({seconds / 60:.0f} minutes)" if len(records) == len(experiments.NAMES) else ""
    rows = [row for _, row in records.values()]
    parts = [captions.text("page", time=time, table=captions.table(["figure", "seed", "version", "seconds"], rows))]
    for name in records:
        caption = (folder / f"{name}.md").read_text(encoding="utf-8").strip()
        shown = "\n\n".join(f"![{name}]({file})" for file in experiments.pictures(name))
        parts.append(f"## {name}\n{shown}\n\n{caption}")
    return "\n\n".join(parts) + "\n"
