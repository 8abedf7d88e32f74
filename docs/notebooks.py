r"""A chapter as a Jupyter notebook: the same text, and code that runs.

Text, formulas and quoted source are text cells, python blocks are code cells, below them the output that the chapter
prints. A link leads to the other chapter's notebook; what is none is left as words. The pictures lie beside the
notebooks, under the names they have in docs/.
"""

import json
import os
import re
from pathlib import Path

from quotes import CAPTION, DOCS, FENCE, ROOT, VALUE, WIDGET, fill, source

LINK = re.compile(r"(?P<image>!?)\[(?P<words>(?:[^\[\]]|\[[^\]]*\])*)\]\((?P<href>[^)\s]+)\)")
FOLD = re.compile(r"<details>\s*<summary>.*?</summary>|</details>", re.DOTALL)
INSTALL = """\
# installs minirecon where it is not: from the checkout or handout that this notebook lies in
import importlib.util
from pathlib import Path

if importlib.util.find_spec("minirecon") is None:
    here = Path.cwd()
    home = next((folder for folder in (here, *here.parents) if (folder / "minirecon" / "mlp.py").is_file()), None)
    if home is None:
        raise ModuleNotFoundError(f"{here}: expected a folder in a checkout of minirecon, or minirecon installed")
    %pip install --quiet "{home}"
"""


def is_chapter(path):
    r"""Whether a page is a chapter: docs/01-claim.md and so on."""
    return path.parent == DOCS and path.suffix == ".md" and path.name[0].isdigit()


def notebook(path, student=None):
    r"""The notebook of the page at `path` as text, and the pictures in it: (JSON, a set of paths).

    student : edition.Student, or None for the instructor's edition

    Raises DocsError for quotes of what is not there, or a picture that is not.
    """
    cells, pictures, at = [_cell("code", INSTALL)], set(), 0
    text = fill(path, path.read_text(encoding="utf-8"))
    words, fold = "", ""  # the text cell being written, and the <details> it is in
    for match in FENCE.finditer(text):
        before, at = text[at : match.start()], match.end()
        fold = [fold, *FOLD.findall(before)][-1].replace("</details>", "")
        words += _markdown(path, before, pictures)
        if match["info"] == "python":
            cells += [_cell("markdown", words + ("\n</details>" if fold else "")), _cell("code", match["body"])]
            words = fold and f"{fold}\n\n"
        elif match["info"] == "text output" and not before.strip() and cells[-1]["cell_type"] == "code":
            cells[-1]["outputs"] = [{"output_type": "stream", "name": "stdout", "text": match["body"]}]
        else:
            words += _quoted(match["info"], match["body"], student)
    cells.append(_cell("markdown", words + _markdown(path, text[at:], pictures)))
    cells = [cell | {"id": f"cell-{number}"} for number, cell in enumerate(cells) if cell["source"].strip()]
    kernel = {"display_name": "Python 3", "language": "python", "name": "python3"}
    about = {"kernelspec": kernel, "language_info": {"name": "python"}}
    made = {"cells": cells, "metadata": about, "nbformat": 4, "nbformat_minor": 5}
    return json.dumps(made, indent=1, ensure_ascii=False) + "\n", pictures


def _cell(kind, text):
    code = {"execution_count": None, "outputs": []} if kind == "code" else {}
    return {"cell_type": kind, "metadata": {}, "source": text.strip("\n"), **code}


def _quoted(info, body, student):
    r"""A block that is not run, as Markdown that Jupyter knows."""
    kind, _, name = info.partition(" ")
    if kind == "math":
        return f"$$\n{body}$$"
    if kind != "py":
        return f"```{kind}\n{body}```"
    where = source(name)[0].relative_to(ROOT).as_posix()
    text, task = student.quote(name) if student else (None, None)
    turn = f"\n\n> Your turn: task {task.id}, {task.points} points" if task else ""
    return f"*{where}*:\n\n```python\n{text or body}```{turn}"


def _markdown(path, text, pictures):
    r"""Text between blocks; the pictures it shows are added to `pictures`."""

    def link(match):
        name, _, _ = match["href"].partition("#")
        linked = (path.parent / name).resolve()
        if match["image"]:
            pictures.add(linked)
            return f"![{match['words']}]({os.path.relpath(linked, path.parent)})"
        if re.match(r"https?://", match["href"]):
            return match[0]
        if name and is_chapter(linked):
            return f"[{match['words']}]({Path(name).with_suffix('.ipynb')})"
        return match["words"]

    text = WIDGET.sub(lambda widget: f"![{widget['alt']}]({widget['still']})" if widget["still"] else "", text)
    text = CAPTION.sub(lambda figure: "\n".join(figure[0].split("\n")[1:-1]), text)
    text = LINK.sub(link, VALUE.sub(r"\g<text>", text))
    return re.sub(r"\$`(.*?)`\$", lambda formula: "$" + " ".join(formula[1].split()) + "$", text, flags=re.DOTALL)
