r"""The documents as a website that is read from disk, and their quotes brought up to date.

    python docs/build.py fill        write quoted code, outputs and numbers into docs/*.md (quotes.py)
    python docs/build.py site OUT    build the site: open OUT/index.html
    python docs/build.py notebooks OUT   make a Jupyter notebook of each chapter (notebooks.py)

Needs `pip install ".[docs]"`. One HTML page for each Markdown page, and for each source file that one links to;
nothing from a network, and no script but a widget's. Formulas become MathML. In each section, text and formulas go to
the left column, the code and pictures that follow them to the right one. Whatever is wrong, an unknown mark, a broken
link, LaTeX that can't be converted, is an error that names file and line, and then nothing is written.

A widget is a line of its own in a page; the picture and its text may be left out:

    <!-- widget: NAME figures/still.png "what is to be seen" -->

It becomes the picture, below it <div class="widget" data-widget="NAME"></div>, and at the page's end, once,
<script defer src="widgets/NAME.js">: a classic script, since a browser reads no module from disk, that finds its
elements itself. All of docs/widgets/NAME.* is copied beside it; common.js, if there is one, goes before it. Without a
script there is the picture.

Answers are folded as on GitHub: <details><summary>Question</summary>, a blank line, Markdown, a blank line, </details>.
"""

import html
import os
import re
import shutil
import sys
import tempfile
from pathlib import Path

from notebooks import is_chapter, notebook
from pygments import highlight
from pygments.formatters import HtmlFormatter
from pygments.lexers import get_lexer_by_name
from quotes import DOCS, ROOT, DocsError, fill_all, pages
from render import Page, parser

THEMES = ("default", "github-dark")  # of Pygments, light and dark


def target(path):
    r"""Where a file of the repository is in the site, relative to its top."""
    inside = path.is_relative_to(DOCS)
    path = path.relative_to(DOCS) if inside else Path("source") / path.relative_to(ROOT)
    if path.suffix == ".md":
        return path.with_name("index.html") if inside and path.name == "README.md" else path.with_suffix(".html")
    return path.with_name(path.name + ".html") if path.suffix == ".py" else path


class Site:
    r"""The pages at `paths`, in order, and what they link to: `files` maps a path in the site to text or a Path."""

    def __init__(self, paths):
        self.problems, self.files, self.links, self.pages, self.paths = [], {}, [], {}, list(paths)
        self.scripts = {}  # of each page
        queue = [*paths]
        for path in paths:
            self.parse(path)
        while queue:
            path = queue.pop(0)
            if target(path) not in self.files:
                known = len(self.links)
                self.files[target(path)] = self.render(path)
                queue += [linked for _, linked, _, _ in self.links[known:]]
        for page, path, anchor, line in self.links:
            if anchor and path in self.pages and anchor not in self.pages[path].anchors:
                page.problem(line, f"{path.relative_to(ROOT)} has no #{anchor}")
        if self.problems:
            raise DocsError("\n".join(self.problems))

    def parse(self, path):
        try:
            self.pages[path] = Page(path, self.problems)
        except DocsError as error:
            self.problems.append(str(error))

    def link(self, page, path, anchor, line):
        r"""The address of a file as seen from a page; the file becomes a part of the site."""
        self.links.append((page, path, anchor, line))
        return relative(path, page.path) + (f"#{anchor}" if anchor else "")

    def resolve(self, page, href, line):
        r"""The address of what a page calls `href`."""
        if re.match(r"https?://", href):
            return html.escape(href)
        name, _, anchor = href.partition("#")
        path = (page.path.parent / name).resolve() if name else page.path
        if path.is_dir():
            path = path / "README.md"
        if not path.is_file() or not path.is_relative_to(ROOT):
            return page.problem(line, f"{href}: no such file")
        return self.link(page, path, anchor, line)

    def widget(self, page, name, line):
        r"""Note that a page has a widget: its files become a part of the site."""
        script = DOCS / "widgets" / f"{name}.js"
        if not script.is_file():
            page.problem(line, f"widget {name}: no docs/widgets/{name}.js")
        scripts = [each for each in (script.with_name("common.js"), script) if each.is_file()]
        self.scripts.setdefault(page.path, {}).update(dict.fromkeys(scripts))
        self.files |= {target(path): path for path in (*scripts, *script.parent.glob(f"{name}.*"))}

    def render(self, path):
        r"""What becomes of a file: HTML of Markdown and Python, itself of anything else."""
        if path.suffix == ".py":
            name, code = path.relative_to(ROOT), path.read_text(encoding="utf-8")
            code = highlight(code, get_lexer_by_name("python"), HtmlFormatter(linespans="L"))
            return self.wrap(path, str(name), f'<h1>{name}</h1><div class="code">{code}</div>')
        if path.suffix != ".md":
            return path
        if path not in self.pages and path not in self.paths:
            self.parse(path)
        if path not in self.pages:
            return ""  # its mistakes are in self.problems
        page = self.pages[path]
        return self.wrap(path, page.title, "\n".join(self.row(page, *row) for row in page.rows()))

    def row(self, page, text, beside):
        md, env = parser(), {"site": self, "page": page}
        left, right = ("".join(md.renderer.render(block, md.options, env) for block in part) for part in (text, beside))
        # a comma or full stop stays in the line of its formula
        left = re.sub(r"(<math(?:(?!<math).)*?</math>)([.,;:)]+)", r'<span class="together">\1\2</span>', left)
        if beside:
            return f'<section class="row both"><div>{left}</div><aside>{right}</aside></section>'
        wide = " wide" if any(block[0].type == "table_open" for block in text) else ""
        return f'<section class="row{wide}"><div>{left}</div></section>'

    def wrap(self, path, title, body):
        r"""The page around its body: contents, and the way to the page before and the page after."""
        items, around = "", {}
        if path in self.paths:
            at = self.paths.index(path)
            around = {"prev": self.paths[max(0, at - 1) : at], "next": self.paths[at + 1 : at + 2]}
        for other in self.paths:
            if other in self.pages:
                here = ' aria-current="page"' if other == path else ""
                name = html.escape(self.pages[other].title)
                items += f'<li><a href="{relative(other, path)}"{here}>{name}</a></li>'
        ways = "".join(
            f'<a rel="{rel}" href="{relative(other, path)}">{html.escape(self.pages[other].title)}</a>'
            for rel, others in around.items()
            for other in others
            if other in self.pages
        )
        style, home = (relative(DOCS / name, path) for name in ("style.css", "README.md"))
        for script in self.scripts.get(path, ()):
            body += f'\n<script defer src="{relative(script, path)}"></script>'
        return TEMPLATE.format(title=html.escape(title), style=style, home=home, items=items, body=body, ways=ways)


def relative(path, start):
    r"""The address of a file of the repository as seen from the page of another."""
    return html.escape(os.path.relpath(target(path), target(start).parent))


TEMPLATE = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>{title} – minirecon</title>
<link rel="stylesheet" href="{style}">
<header><a href="{home}">minirecon</a><details><summary>Contents</summary><nav><ol>{items}</ol></nav></details></header>
<main>
{body}
</main>
<footer><nav>{ways}</nav></footer>
</html>
"""


def in_order(paths):
    r"""The index, the chapters by number, then what is looked up, then the rest."""
    lookup = ["symbols.md", "glossary.md", "map.md"]

    def key(path):
        name = path.relative_to(DOCS).as_posix()
        first = name != "README.md", not name[0].isdigit(), name not in lookup
        return *first, lookup.index(name) if name in lookup else 0, name.count("/"), name

    return sorted(paths, key=key)


def site(out, paths=None):
    r"""Build the site of `paths` (all of docs/) in the folder `out`. Raises DocsError, with nothing written."""
    built = Site(in_order(paths or pages()))
    light, dark = (HtmlFormatter(style=theme, nobackground=True).get_style_defs(".code") for theme in THEMES)
    style = (DOCS / "style.css").read_text(encoding="utf-8")
    built.files[Path("style.css")] = f"{style}\n{light}\n@media (prefers-color-scheme: dark) {{\n{dark}\n}}\n"
    write(out, built.files)


def notebooks(out):
    r"""Write a notebook of each chapter, and the pictures in them, into the folder `out`. Raises DocsError."""
    files = {}
    for path in filter(is_chapter, pages()):
        files[target(path).with_suffix(".ipynb")], pictures = notebook(path)
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
            case ["site", out]:
                site(Path(out).resolve())
                print(f"open {Path(out) / 'index.html'}")
            case ["notebooks", out]:
                notebooks(Path(out).resolve())
                print(f"open a notebook in {out}")
            case _:
                print(__doc__.strip().partition("\n\n")[2].partition("\n\n")[0], file=sys.stderr)
                return 2
    except DocsError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
