r"""What surrounds a page: where it lies in the site, contents, the way on."""

import html
import os
from pathlib import Path

from quotes import DOCS, ROOT

LOOKUP = ["symbols.md", "glossary.md", "map.md"]
GROUPS = ("Chapters", "To look up", "More")

TEMPLATE = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>{title} – minirecon</title>
<link rel="stylesheet" href="{style}">
<header><a href="{home}">minirecon</a><details><summary>Contents</summary><nav><ol>{items}</ol></nav></details>
<div class="search"><input type="search" placeholder="Search" aria-label="Search" hidden><ol></ol></div></header>
<div class="frame">
<nav class="contents" aria-label="Contents"><ol>{items}</ol></nav>
<main>
{where}{body}
</main>
</div>
<footer><nav>{ways}</nav></footer>
{scripts}
</html>
"""


def target(path):
    r"""Where a file of the repository is in the site, relative to its top."""
    inside = path.is_relative_to(DOCS)
    path = path.relative_to(DOCS) if inside else Path("source") / path.relative_to(ROOT)
    if path.suffix == ".md":
        return path.with_name("index.html") if inside and path.name == "README.md" else path.with_suffix(".html")
    return path.with_name(path.name + ".html") if path.suffix == ".py" else path


def relative(path, start):
    r"""The address of a file of the repository as seen from the page of another."""
    return html.escape(os.path.relpath(target(path), target(start).parent))


def group(path):
    r"""A page's place in the contents: 0 for the index, 1 for a chapter, 2 for what is looked up, 3 for the rest."""
    if not path.is_relative_to(DOCS):
        return 3
    name = path.relative_to(DOCS).as_posix()
    return 0 if name == "README.md" else 1 if name[0].isdigit() else 2 if name in LOOKUP else 3


def in_order(paths):
    r"""The index, the chapters by number, then what is looked up, then the rest."""

    def key(path):
        name = path.relative_to(DOCS).as_posix()
        return group(path), LOOKUP.index(name) if name in LOOKUP else 0, name.count("/"), name

    return sorted(paths, key=key)


def wrap(path, title, body, pages, scripts):
    r"""The HTML page of the file at `path` around its body.

    pages : the dict path: Page of all pages in order; scripts : paths of what the page loads
    """
    order, chapters = list(pages), [other for other in pages if group(other) == 1]
    around = {}
    if path in pages:
        at = order.index(path)
        around = {"prev": order[max(0, at - 1) : at], "next": order[at + 1 : at + 2]}
    ways = "".join(
        f'<a rel="{rel}" href="{relative(other, path)}">{html.escape(pages[other].title)}</a>'
        for rel, others in around.items()
        for other in others
    )
    where = f"Chapter {chapters.index(path) + 1} of {len(chapters)}" if path in chapters else ""
    return TEMPLATE.format(
        title=html.escape(title),
        style=relative(DOCS / "style.css", path),
        home=relative(DOCS / "README.md", path),
        items=contents(path, pages),
        where=where and f'<p class="where">{where}</p>\n',
        body=body,
        ways=ways,
        scripts="\n".join(f'<script defer src="{relative(script, path)}"></script>' for script in scripts),
    )


def contents(path, pages):
    r"""The items of the contents: all pages in groups, and below the page at `path` its sections."""
    items, last = "", 0
    for other, page in pages.items():
        if group(other) != last:
            last = group(other)
            items += f'<li class="group">{GROUPS[last - 1]}</li>'
        here, sections = "", ""
        if other == path:
            here = ' aria-current="page"'
            sections = "".join(f'<li><a href="#{anchor}">{name}</a></li>' for anchor, name in page.sections)
            sections = sections and f"<ol>{sections}</ol>"
        items += f'<li><a href="{relative(other, path)}"{here}>{html.escape(page.title)}</a>{sections}</li>'
    return items
