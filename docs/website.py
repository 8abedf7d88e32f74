r"""The site's pages, and the files they link to."""

import html
import os
import re
from pathlib import Path

from columns import Page
from pygments import highlight
from pygments.formatters import HtmlFormatter
from pygments.lexers import get_lexer_by_name
from quotes import DOCS, ROOT, DocsError
from render import parser


def target(path):
    r"""Where a file of the repository is in the site, relative to its top."""
    inside = path.is_relative_to(DOCS)
    path = path.relative_to(DOCS) if inside else Path("source") / path.relative_to(ROOT)
    if path.suffix == ".md":
        return path.with_name("index.html") if inside and path.name == "README.md" else path.with_suffix(".html")
    return path.with_name(path.name + ".html") if path.suffix == ".py" else path


class Site:
    r"""The pages at `paths`, in order, and what they link to: `files` maps a path in the site to text or a Path.

    student : edition.Student, or None for the instructor's edition
    """

    def __init__(self, paths, student=None):
        self.student = student
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
        if self.student and self.student.hides(path):
            return page.problem(line, f"{href}: not for students; expected such a link in a paragraph of its own")
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
            code = self.student.source(path, code) if self.student else code
            code = highlight(code, get_lexer_by_name("python"), HtmlFormatter(linespans="L"))
            return self.wrap(path, str(name), f'<h1>{name}</h1><div class="code">{code}</div>')
        if path.suffix != ".md":
            return path
        if path not in self.pages and path not in self.paths:
            self.parse(path)
        if path not in self.pages:
            return ""  # its mistakes are in self.problems
        page = self.pages[path]
        return self.wrap(path, page.title, "\n".join(self.row(page, *row) for row in page.rows(self.keeps)))

    def keeps(self, page, block):
        r"""Whether a block of a page stays: the student's edition lacks paragraphs that link to what it lacks."""
        if self.student is None or block[0].type != "paragraph_open":
            return True
        links = [child.attrGet("href") for child in block[1].children if child.type == "link_open"]
        return not any(self.student.hides((page.path.parent / link).resolve()) for link in links)

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
