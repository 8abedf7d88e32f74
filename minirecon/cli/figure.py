r"""`minirecon figure`: run an experiment; write its picture, data, caption and record, and a page of all of them."""

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

    Raises ValueError if there is no such data.
    """
    module, path = experiments.load(name), folder / f"{name}.npz"
    try:
        with np.load(path) as archive:
            data = dict(archive)
        record = json.loads(path.with_suffix(".json").read_text(encoding="utf-8"))
    except OSError as error:
        raise ValueError(f"{error.filename}: no data to draw; expected those of minirecon figure {name}") from None
    for file, draw in experiments.pictures(name).items():
        images.draw(partial(draw, data), folder / file)
    write_text(folder / f"{name}.md", module.caption(data).strip() + "\n")
    record |= {"numbers": module.numbers(data)}
    write_text(path.with_suffix(".json"), json.dumps(record, indent=1, allow_nan=False) + "\n")
    write_text(folder / "README.md", page(folder))
    print(f"drew {name} in {folder} again")


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
    records = {name: json.loads(path.read_text(encoding="utf-8")) for name, path in records.items() if path.exists()}
    seconds = sum(record["seconds"] for record in records.values())
    time = f" ({seconds / 60:.0f} minutes)" if len(records) == len(experiments.NAMES) else ""
    rows = [
        [f"[{name}](#{name})", record["seed"], record["versions"]["minirecon"], f"{record['seconds']:.0f}"]
        for name, record in records.items()
    ]
    parts = [captions.text("page", time=time, table=captions.table(["figure", "seed", "version", "seconds"], rows))]
    for name in records:
        caption = (folder / f"{name}.md").read_text(encoding="utf-8").strip()
        shown = "\n\n".join(f"![{name}]({file})" for file in experiments.pictures(name))
        parts.append(f"## {name}\n{shown}\n\n{caption}")
    return "\n\n".join(parts) + "\n"
