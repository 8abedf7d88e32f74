r"""The documents as a website that is read from disk, and their quotes brought up to date.

    python docs/build.py fill   write quoted code, outputs, numbers and captions into docs/*.md (quotes.py)
    python docs/build.py site OUT [--student]   build the site: open OUT/index.html
    python docs/build.py notebooks OUT [--student]   make a Jupyter notebook of each chapter (notebooks.py)
    python docs/build.py slides OUT   make an HTML file of each session's slides (deck.py)

Needs `pip install ".[docs]"`. One HTML page for each Markdown page, and for each source file that one links to;
nothing from a network, and no script but search.js and widgets, without which all is there to read. Formulas become
MathML. In each section of a wide window, text and formulas go to the left, the code and pictures that follow them to
the right. Whatever is wrong, an unknown mark, a broken link, LaTeX that can't be converted, is an error that names file
and line, and then nothing is written.

A widget is a line of its own in a page; the picture and its text may be left out:

    <!-- widget: NAME figures/still.png "what is to be seen" -->

It becomes the picture, below it <div class="widget" data-widget="NAME"></div>, and at the page's end, once,
<script defer src="widgets/NAME.js">: a classic script, since a browser reads no module from disk, that finds its
elements itself. All of docs/widgets/NAME.* is copied beside it; common.js, if there is one, goes before it. Without a
script there is the picture.

The student's edition (edition.py) has no solutions of the coursework.

Answers are folded as on GitHub: <details><summary>Question</summary>, a blank line, Markdown, a blank line, </details>.
"""

import base64
import html
import json
import shutil
import sys
import tempfile
from pathlib import Path

from deck import decks
from edition import Student
from layout import in_order, target
from notebooks import is_chapter, notebook
from pygments.formatters import HtmlFormatter
from quotes import DOCS, ROOT, DocsError, fill, pages, python_blocks, run
from website import Site

THEMES = ("default", "github-dark")  # of Pygments, light and dark


def fill_all():
    r"""Bring every page up to date on disk. Returns the paths of those that have changed."""
    changed = []
    for path in pages():
        text = path.read_text(encoding="utf-8")
        outputs = run(python_blocks(text)) if "\n```text output\n" in text else None
        filled = fill(path, text, outputs=outputs)
        if filled != text:
            path.write_text(filled, encoding="utf-8")
            changed.append(path)
    return changed


def site(out, student=None):
    r"""Build the site in the folder `out`, for a Student or for all. Raises DocsError, with nothing written."""
    built = Site(in_order(path for path in pages() if not (student and student.hides(path))), student)
    if student:
        student.check(built.files)
    light, dark = (HtmlFormatter(style=theme, nobackground=True).get_style_defs(".code") for theme in THEMES)
    style = (DOCS / "style.css").read_text(encoding="utf-8") + font()
    built.files[Path("style.css")] = f"{style}\n{light}\n@media (prefers-color-scheme: dark) {{\n{dark}\n}}\n"
    write(out, built.files)


def font():
    r"""The font of formulas as a part of the style sheet: from disk some browsers load no font file."""
    path = DOCS / "fonts" / "math.woff2"
    data = base64.b64encode(path.read_bytes()).decode() if path.is_file() else ""
    return f'\n@font-face {{ font-family: "Minirecon Math"; src: url(data:font/woff2;base64,{data}); }}'


def notebooks(out, student=None):
    r"""Write a notebook of each chapter, and the pictures in them, into the folder `out`. Raises DocsError."""
    files = {}
    for path in filter(is_chapter, pages()):
        name = target(path).with_suffix(".ipynb")
        files[name], pictures = notebook(path, student)
        if student:
            cells = json.loads(files[name])["cells"]
            student.check({name: html.escape("\n".join(cell["source"] for cell in cells))})
        files |= {target(picture): picture for picture in pictures}
    write(out, files)


def write(out, files):
    r"""All files into the folder `out`, or none: a dict path: text or the Path of what is copied."""
    out.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=out.parent) as temporary:
        Path(temporary).chmod(0o755)  # copytree gives it to `out`, for others to read
        for name, content in files.items():
            path = Path(temporary) / name
            path.parent.mkdir(parents=True, exist_ok=True)
            if isinstance(content, Path):
                shutil.copyfile(content, path)
            else:
                path.write_text(content, encoding="utf-8")
        shutil.copytree(temporary, out, dirs_exist_ok=True)


def main(arguments):
    r"""The command line: 0, or 1 with the mistakes on standard error, 2 for another use."""
    try:
        match arguments:
            case ["fill"]:
                for path in fill_all():
                    print(f"filled {path.relative_to(ROOT)}")
            case ["site", out] | ["site", out, "--student"]:
                site(Path(out).resolve(), Student() if arguments[2:] else None)
                print(f"open {Path(out) / 'index.html'}")
            case ["notebooks", out] | ["notebooks", out, "--student"]:
                notebooks(Path(out).resolve(), Student() if arguments[2:] else None)
                print(f"open a notebook in {out}")
            case ["slides", out]:
                write(Path(out).resolve(), decks())
                print(f"open a session in {out}")
            case _:
                print(__doc__.strip().partition("\n\n")[2].partition("\n\n")[0], file=sys.stderr)
                return 2
    except DocsError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
