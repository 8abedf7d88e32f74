r"""Captions of the figures: their texts are in `experiments/captions`, and the numbers in them are measured.

A text is a template as `str.format` has them: nothing is in it that another run could make untrue.
"""

from pathlib import Path

FOLDER = Path(__file__).parent.parent / "captions"


def text(name, **values):
    r"""The text NAME.md with the values put in, which may be looked into, as in {got[ncc]:.2f}."""
    return (FOLDER / f"{name}.md").read_text(encoding="utf-8").strip().format(**values)


def table(head, rows):
    r"""A Markdown table of a head and rows, lists of cells: floats with three digits, – for None."""
    cells = [head, *([cell(value) for value in row] for row in rows)]
    lines = ["|" + "|".join(f" {each} " if each else " " for each in row) + "|" for row in cells]
    return "\n".join([lines[0], "|---" * len(head) + "|", *lines[1:]])


def cell(value):
    r"""A number or a text in a table."""
    return "–" if value is None else f"{value:.3f}" if isinstance(value, float) else str(value)


def span(values):
    r"""The smallest and the largest of values, with two digits."""
    low, *_, high = sorted(values)
    return f"{low:.2g} to {high:.2g}"


def listed(values, form=""):
    r"""The values with commas between them, each as `form` says."""
    return ", ".join(format(value, form) for value in values)
