r"""The site's pages, and the files they link to."""

import html
import re
from pathlib import Path

from columns import Page
from layout import group, relative, target, wrap
from lookup import Glossary, index
from quotes import DOCS, ROOT, DocsError
from render import code_lines, parser


class Site:
    r"""The pages at `paths`, in order, and what they link to: `files` maps a path in the site to text or a Path.

    student : edition.Student, or None for the instructor's edition
    """

    def __init__(self, paths, student=None):
        self.student = student
        self.problems, self.files, self.links, self.pages, self.paths = [], {}, [], {}, list(paths)
        self.scripts, self.bodies = {}, []  # of each page
        queue = [*paths]
        for path in paths:
            self.parse(path)
        glossary = self.pages.get(DOCS / "glossary.md")
        self.glossary = Glossary(glossary.tokens if glossary else [])
        while queue:
            path = queue.pop(0)
            if target(path) not in self.files:
                known = len(self.links)
                self.files[target(path)] = self.render(path)
                queue += [linked for _, linked, _, _ in self.links[known:]]
        self.files[Path("search.js")] = DOCS / "search.js"
        self.files[Path("search-index.js")] = index(self.bodies)
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
            body = f'<h1>{name}</h1><div class="code"><pre><code>{code_lines(code, "python", "L")}</code></pre></div>'
            return self.wrap(path, str(name), body)
        if path.suffix != ".md":
            return path
        if path not in self.pages and path not in self.paths:
            self.parse(path)
        if path not in self.pages:
            return ""  # its mistakes are in self.problems
        page = self.pages[path]
        body = "\n".join(self.row(page, *row) for row in page.rows(self.keeps))
        self.bodies.append((target(path).as_posix(), page.title, body))
        return self.wrap(path, page.title, body)

    def wrap(self, path, title, body):
        r"""The page around its body."""
        pages = {other: self.pages[other] for other in self.paths if other in self.pages}
        return wrap(path, title, body, pages, [DOCS / "search.js", *self.scripts.get(path, ())])

    def words(self, page, text):
        r"""Text as HTML, in a chapter with links to the glossary, for each word where a section first uses it."""
        if group(page.path) != 1:
            return html.escape(text)
        return self.glossary.mark(text, page.seen, lambda anchor: self.link(page, DOCS / "glossary.md", anchor, 1))

    def keeps(self, page, block):
        r"""Whether a block of a page stays: the student's edition lacks paragraphs that link to what it lacks."""
        if self.student is None:
            return True
        if any(self.student.lacks(token.content) for token in block):
            return False
        if block[0].type != "paragraph_open":
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
