r"""What the documents quote: code, printed output and measured numbers, written into them and checked.

A page may hold four kinds of quotes, all of them invisible as such on GitHub:

    ```py mlp.backward                   the source of minirecon/mlp.py: function, class, constant or function
    ```                                  within a function (training.train.state); docstrings are left out

    ```text output                       what the ```python block before it prints; the blocks of a page are
    ```                                  run in order, in one namespace and an empty folder

    <!--= figures/fig2 kept/within .0% -->80%<!--=-->
                                         the number at kept, within in docs/figures/fig2.json, which a run has
                                         written, in Python's format .0%

    <!-- caption: fig2 -->               below the picture the first sentences of docs/figures/fig2.md, which a
    ![what is seen](figures/fig2.svg)    run has written; the site makes a <figure> of both

    > A network has learnt 20 points …
    <!-- /caption -->

And in map.md the tables from code and chapters are the first table, turned round.

`fill` writes what belongs there. The tests (tests/test_docs.py) see that it is there.
"""

import ast
import contextlib
import io
import json
import os
import re
import tempfile
import textwrap
from pathlib import Path

DOCS = Path(__file__).resolve().parent
ROOT = DOCS.parent
FENCE = re.compile(r"^```(?P<info>[^\n`]*)\n(?P<body>.*?)^```$", re.MULTILINE | re.DOTALL)
WIDGET = re.compile(r'^<!-- widget: (?P<name>[\w-]+)(?: (?P<still>[^\s"]+) "(?P<alt>[^"]*)")? -->$', re.MULTILINE)
CAPTION = re.compile(
    r"^(?P<pictures><!-- caption: (?P<name>[\w-]+) -->\n(?:!\[.*\n+)+)(?:> .*\n)?<!-- /caption -->$", re.MULTILINE
)
VALUE = re.compile(r"<!--= *(?P<mark>[^>]*?) *-->(?P<text>[^<]*)<!--=-->")


class DocsError(ValueError):
    r"""Mistakes in the documents, one a line, each with file and line."""


def pages():
    r"""All Markdown files below docs/, but for the figures' captions, which figures/README.md has together."""
    return sorted(path for path in DOCS.rglob("*.md") if path.parent != DOCS / "figures" or path.name == "README.md")


def source(name):
    r"""Where `name`, module.function, is: (path, number of its first line, its source without docstrings).

    Raises LookupError if there is no such thing.
    """
    parts, node = name.split("."), None
    for cut in range(len(parts) - 1, 0, -1):  # experiments.fig2.run is in experiments/fig2.py
        place = ROOT.joinpath("minirecon", *parts[:cut])
        path = place / "__init__.py" if place.is_dir() else place.with_suffix(".py")
        if path.is_file():
            break
    else:
        raise LookupError(f"{name}: no such module in minirecon")
    text = path.read_text(encoding="utf-8")
    node = ast.parse(text)
    for part in parts[cut:]:
        node = next((child for child in ast.walk(node) if child is not node and part in _names(child)), None)
        if node is None:
            raise LookupError(f"{name}: {path.name} has no {part}")
    first = min([node.lineno, *(d.lineno for d in getattr(node, "decorator_list", []))])
    prose = set()
    for inner in ast.walk(node):
        if isinstance(inner, (ast.FunctionDef, ast.ClassDef)) and ast.get_docstring(inner):
            prose |= set(range(inner.body[0].lineno, inner.body[0].end_lineno + 1))
    numbered = enumerate(text.splitlines()[first - 1 : node.end_lineno], first)
    kept = "\n".join(line for number, line in numbered if number not in prose)
    return path, first, textwrap.dedent(kept).strip("\n") + "\n"


def _names(node):
    if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
        return [node.name]
    return [target.id for target in getattr(node, "targets", []) if isinstance(target, ast.Name)]


def value(mark):
    r"""The number that a mark `FILE KEY/KEY FORMAT` stands for, as text. Raises LookupError or ValueError."""
    try:
        name, keys, form = re.fullmatch(r"(\S+) (.+) (\S+)", mark).groups()
    except AttributeError:
        raise ValueError(f"<!--= {mark} -->: expected FILE KEY/KEY FORMAT") from None
    path = DOCS / f"{name}.json"
    if not path.is_file():
        raise LookupError(f"{name}: no docs/{name}.json")
    found = json.loads(path.read_text(encoding="utf-8"))
    for key in keys.split("/"):
        try:
            found = found[int(key) if isinstance(found, list) else key]
        except (KeyError, IndexError, TypeError, ValueError):
            raise LookupError(f"{name} has no {keys}") from None
    return format(found, form).replace("-", "−")


def caption(name):
    r"""The first three sentences of the caption that a run has written for the figure `name`, of its first paragraph.

    A full stop ends a sentence if neither a digit nor a small letter follows. Raises LookupError if there is none.
    """
    path = DOCS / "figures" / f"{name}.md"
    if not path.is_file():
        raise LookupError(f"caption {name}: no docs/figures/{name}.md")
    paragraph = " ".join(path.read_text(encoding="utf-8").partition("\n\n")[0].split())
    sentences = re.findall(r"\S.*?\.(?= [^a-z0-9]|$)", paragraph)[:3]
    if not sentences:
        raise LookupError(f"caption {name}: docs/figures/{name}.md begins with no sentence")
    return f"{' '.join(sentences)} All numbers: [docs/figures](figures/README.md#{name})."


def run(blocks):
    r"""Run python blocks one after the other in one namespace, in an empty folder: what each prints."""
    outputs, namespace, here = [], {}, os.getcwd()
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        try:
            for number, code in enumerate(blocks, 1):
                with contextlib.redirect_stdout(io.StringIO()) as out:
                    exec(compile(code, f"block {number}", "exec"), namespace)
                outputs.append(out.getvalue())
        finally:
            os.chdir(here)
    return outputs


def python_blocks(text):
    r"""The runnable blocks of a page, in order."""
    return [match["body"] for match in FENCE.finditer(text) if match["info"] == "python"]


def fill(path, text, *, outputs=None):
    r"""`text` of the page `path` with all its quotes as they should be.

    outputs : list of what the page's python blocks print, or None to leave printed output as it is

    Raises DocsError for quotes of what is not there, and for marks that are not understood.
    """
    problems, block, latest = [], iter(outputs or []), None
    if path == DOCS / "map.md":
        text = turned(text)

    def problem(match, error):
        line = match.string.count("\n", 0, match.start()) + 1
        problems.append(f"{path.relative_to(ROOT)}:{line}: {error}")
        return match[0]

    def lines(match):
        return "\n" * match[0].count("\n")

    def number(match):
        at = match.start()
        if at == 0 or match.string[at - 1] == "\n":
            return problem(match, "a number at the start of a line, which Markdown takes for HTML")
        try:
            return f"<!--= {match['mark']} -->{value(match['mark'])}<!--=-->"
        except (LookupError, ValueError) as error:
            return problem(match, error)

    def described(match):
        try:  # in one line, for Markdown takes a line that begins with a plus or a number for a list
            text = caption(match["name"])
        except LookupError as error:
            return problem(match, error)
        return f"{match['pictures'].rstrip()}\n\n> {text}\n<!-- /caption -->"

    def fence(match):
        nonlocal latest
        info, body = match["info"], match["body"]
        kind, _, name = info.partition(" ")
        if kind == "python":
            latest = next(block, None)
        elif info == "text output":
            if outputs is not None and latest is None:
                return problem(match, "output without a python block right before it")
            body, latest = body if latest is None else latest, None
        elif kind == "py":
            try:
                body = source(name)[2]
            except LookupError as error:
                return problem(match, error)
        return f"```{info}\n{body}```"

    rest = VALUE.sub(lines, CAPTION.sub(lines, text))
    for comment in re.finditer(r"<!--.*?(-->|$)", rest, re.DOTALL):
        if not WIDGET.match(rest, comment.start()):
            problem(comment, f"{comment[0][:60]!r} is no mark of ours")
    result = FENCE.sub(fence, CAPTION.sub(described, VALUE.sub(number, text)))
    if problems:
        raise DocsError("\n".join(problems))
    return result


def turned(text):
    r"""map.md with its tables "from the code" and "from the chapters" made from the one "from the paper"."""
    head, mark, _ = text.partition("\n## From the code\n")
    rows = [line.strip("| ").split(" | ") for line in head.splitlines() if line.startswith("|")][2:]
    triples = [(name, paper, chapter) for paper, _, names, chapter in rows for name in names.split(", ")]
    code, chapters = "", ""
    for name, paper, chapter in sorted(triples):
        code += f"| {name} | {paper} | {chapter} |\n"
    for chapter in sorted({chapter for _, _, chapter in triples}):
        page = DOCS / re.search(r"\((.*)\)", chapter)[1]
        title = page.read_text(encoding="utf-8").partition("\n")[0].removeprefix("# ")
        parts = sorted((name, paper) for name, paper, other in triples if other == chapter)
        chapters += f"| [{title}]({page.name}) | {', '.join(f'{name} ({paper})' for name, paper in parts)} |\n"
    return (
        f"{head}{mark}\n| function | in the paper | chapter |\n|---|---|---|\n{code}"
        f"\n## From the chapters\n\n| chapter | functions |\n|---|---|\n{chapters}"
    )
