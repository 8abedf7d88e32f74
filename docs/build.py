r"""The documents as a website that is read from disk, and their quotes brought up to date.

    python docs/build.py fill        write quoted code, outputs and numbers into docs/*.md (quotes.py)
    python docs/build.py site OUT    build the site: open OUT/index.html

Needs `pip install ".[docs]"`. One HTML page for each Markdown page, and for each source file that one links to; no
script, nothing from a network. Formulas become MathML. In each section, text and formulas go to the left column,
the code and pictures that follow them to the right one. Whatever is wrong, an unknown mark, a broken link, LaTeX that
can't be converted, is an error that names file and line, and then nothing is written.
"""

import html
import os
import re
import shutil
import sys
import tempfile
from pathlib import Path

import latex2mathml.converter
from markdown_it import MarkdownIt
from markdown_it.renderer import RendererHTML
from pygments import highlight
from pygments.formatters import HtmlFormatter
from pygments.lexers import get_lexer_by_name
from quotes import DOCS, ROOT, DocsError, fill, fill_all, pages, source

LANGUAGES = {"py": "python", "python": "python", "sh": "bash", "": "text", "text": "text", "toml": "toml"}
THEMES = ("default", "github-dark")  # of Pygments, light and dark


def target(path):
    r"""Where a file of the repository is in the site, relative to its top."""
    inside = path.is_relative_to(DOCS)
    path = path.relative_to(DOCS) if inside else Path("source") / path.relative_to(ROOT)
    if path.suffix == ".md":
        return path.with_name("index.html") if inside and path.name == "README.md" else path.with_suffix(".html")
    return path.with_name(path.name + ".html") if path.suffix == ".py" else path


def mathml(latex, display):
    r"""LaTeX as MathML. Raises ValueError for what latex2mathml does not know or leaves as it is."""
    latex = " ".join(latex.split())
    if len(re.findall(r"(?<!\\)\{", latex)) != len(re.findall(r"(?<!\\)\}", latex)):
        raise ValueError(f"{latex!r}: braces do not match")
    try:
        result = latex2mathml.converter.convert(latex, display=display)
    except Exception as error:
        raise ValueError(f"{latex!r}: {type(error).__name__} {error}") from None
    if left := re.search(r"\\\w*|<m\w>&</m\w>|[{}$]", result):
        raise ValueError(f"{latex!r}: {left[0]} can't be converted")
    return result


def inline_math(state, silent):
    r"""A rule for markdown-it: $`…`$ is a formula."""
    if not state.src.startswith("$`", state.pos) or (end := state.src.find("`$", state.pos + 2)) < 0:
        return False
    if not silent:
        state.push("math", "", 0).content = state.src[state.pos + 2 : end]
    state.pos = end + 2
    return True


class Renderer(RendererHTML):
    r"""Tokens of one page to HTML; `env` holds the Site and the Page."""

    def math(self, tokens, idx, options, env):
        try:
            return mathml(tokens[idx].content, "inline")
        except ValueError as error:
            return env["page"].problem(tokens[idx].meta["line"], error)

    def fence(self, tokens, idx, options, env):
        token, page = tokens[idx], env["page"]
        kind, _, rest = token.info.partition(" ")
        line = token.map[0] + 1
        if token.info == "math":
            try:
                return f'<div class="equation">{mathml(token.content, "block")}</div>'
            except ValueError as error:
                return page.problem(line, error)
        if kind not in LANGUAGES:
            return page.problem(line, f"```{token.info}: unknown kind of block")
        caption = {"text": "prints" if rest else "", "python": "run it"}.get(kind, "")
        if kind == "py":
            path, first, _ = source(rest)
            href = env["site"].link(page, path, f"L-{first}", line)
            caption = f'<a href="{href}">{path.relative_to(ROOT)}</a>, {rest.split(".", 1)[1]}'
        code = highlight(token.content, get_lexer_by_name(LANGUAGES[kind]), HtmlFormatter(nowrap=True))
        caption = caption and f"<figcaption>{caption}</figcaption>"
        return f'<figure class="code {kind}">{caption}<pre tabindex="0"><code>{code}</code></pre></figure>'

    def image(self, tokens, idx, options, env):
        token = tokens[idx]
        alt = html.escape(token.content, quote=True)
        src = env["site"].resolve(env["page"], token.attrGet("src"), token.meta["line"])
        return f'<a href="{src}"><img src="{src}" alt="{alt}"></a>'

    def link_open(self, tokens, idx, options, env):
        href = env["site"].resolve(env["page"], tokens[idx].attrGet("href"), tokens[idx].meta["line"])
        return f'<a href="{href}">'

    def heading_open(self, tokens, idx, options, env):
        return f'<{tokens[idx].tag} id="{env["page"].anchor(tokens[idx + 1])}">'

    def table_open(self, tokens, idx, options, env):
        return '<div class="table" tabindex="0"><table>'

    def table_close(self, tokens, idx, options, env):
        return "</table></div>"

    def html_inline(self, tokens, idx, options, env):
        mark = re.fullmatch(r"<!--= *(.*?) *-->", tokens[idx].content)
        if tokens[idx].content == "<!--=-->":
            return "</span>"
        if mark is None:
            return env["page"].problem(tokens[idx].meta["line"], f"HTML {tokens[idx].content!r}: expected a mark")
        return f'<span title="{html.escape(mark[1])}">'

    def html_block(self, tokens, idx, options, env):
        return env["page"].problem(tokens[idx].map[0] + 1, f"HTML {tokens[idx].content[:40]!r}: expected Markdown")


def parser():
    md = MarkdownIt("commonmark", {"html": True}, renderer_cls=Renderer).enable("table")
    md.inline.ruler.before("backticks", "math", inline_math)
    return md


class Page:
    r"""One Markdown file: tokens, title, anchors, and what is wrong with it."""

    def __init__(self, path, problems):
        self.path, self.problems, self.anchors, self.sections = path, problems, set(), []
        text = fill(path, path.read_text(encoding="utf-8"))
        self.tokens = parser().parse(text)
        for token in self.tokens:
            line = token.map[0] + 1 if token.map else None
            for child in token.children or []:
                child.meta["line"] = line
                line += child.type in ("softbreak", "hardbreak") or child.content.count("\n")
        heads = [inline for t, inline in zip(self.tokens, self.tokens[1:], strict=False) if t.type == "heading_open"]
        self.title = plain(heads[0]) if heads else path.stem

    def problem(self, line, error):
        self.problems.append(f"{self.path.relative_to(ROOT)}:{line}: {error}")
        return ""

    def anchor(self, inline):  # as GitHub makes it
        slug = re.sub(r"[^\w\- ]", "", plain(inline).lower()).replace(" ", "-")
        taken = sum(a == slug or re.fullmatch(rf"{re.escape(slug)}-\d+", a) is not None for a in self.anchors)
        anchor = f"{slug}-{taken}" if taken else slug
        self.anchors.add(anchor)
        return anchor

    def rows(self):
        r"""The page as rows (text, beside): lists of top-level blocks, each a list of tokens."""
        rows, block = [([], [])], []
        for token in self.tokens:
            block.append(token)
            if token.level or token.nesting > 0:
                continue
            images = block[0].type == "paragraph_open" and {c.type for c in block[1].children} <= {"image", "softbreak"}
            if images or (block[0].type == "fence" and block[0].info not in ("math", "sh")):
                rows[-1][1].append(block)
            else:
                if rows[-1][1] or block[0].tag == "h2":
                    rows.append(([], []))
                rows[-1][0].append(block)
            block = []
        return [row for row in rows if any(row)]


def plain(inline):
    return "".join(child.content for child in inline.children if child.type in ("text", "code_inline", "math"))


class Site:
    r"""The pages at `paths`, in order, and what they link to: `files` maps a path in the site to text or a Path."""

    def __init__(self, paths):
        self.problems, self.files, self.links, self.pages, self.paths = [], {}, [], {}, list(paths)
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
    out.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=out.parent) as temporary:
        for name, content in built.files.items():
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
            case _:
                print(__doc__.strip().partition("\n\n")[2].partition("\n\n")[0], file=sys.stderr)
                return 2
    except DocsError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
