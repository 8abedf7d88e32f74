r"""One Markdown page: its formulas as MathML, its code in colours, its blocks in two columns, its mistakes."""

import html
import re

import latex2mathml.converter
from markdown_it import MarkdownIt
from markdown_it.renderer import RendererHTML
from pygments import highlight
from pygments.formatters import HtmlFormatter
from pygments.lexers import get_lexer_by_name
from quotes import ROOT, WIDGET, fill, source

LANGUAGES = {"py": "python", "python": "python", "sh": "bash", "": "text", "text": "text", "toml": "toml"}
FOLD = re.compile(r"<details>\s*<summary>(?P<summary>.*)</summary>", re.DOTALL)  # and, after blank lines, </details>


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
        return self.picture(token.attrGet("src"), token.content, token.meta["line"], env)

    def picture(self, src, alt, line, env):
        src, alt = env["site"].resolve(env["page"], src, line), html.escape(alt, quote=True)
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
        text, line = tokens[idx].content.strip(), tokens[idx].map[0] + 1
        if widget := WIDGET.fullmatch(text):
            still = self.picture(widget["still"], widget["alt"], line, env) if widget["still"] else ""
            env["site"].widget(env["page"], widget["name"], line)
            return f'{still}<div class="widget" data-widget="{widget["name"]}"></div>'
        if fold := FOLD.fullmatch(text):
            summary = parser().parseInline(fold["summary"])[0].children
            for token in summary:
                token.meta["line"] = line
            return f"<details><summary>{self.renderInline(summary, options, env)}</summary>"
        if text == "</details>":
            return text
        return env["page"].problem(line, f"HTML {text[:40]!r}: expected Markdown, a widget or <details>")


def parser():
    r"""markdown-it with tables, HTML (of which only marks are ours) and formulas."""
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
        rows, block, folds = [([], [])], [], 0
        for token in self.tokens:
            block.append(token)
            if token.type == "html_block":
                folds += token.content.count("<details>") - token.content.count("</details>")
            if token.level or token.nesting > 0 or folds:
                continue
            widget = len(block) == 1 and block[0].type == "html_block"
            paragraph = block[0].type == "paragraph_open"
            images = paragraph and {c.type for c in block[1].children} <= {"image", "softbreak"}
            if widget or images or (block[0].type == "fence" and block[0].info not in ("math", "sh")):
                rows[-1][1].append(block)
            else:
                told = any(other[0].type != "heading_open" for other in rows[-1][0])
                if (rows[-1][1] and told) or block[0].tag in ("h2", "h3"):
                    rows.append(([], []))
                rows[-1][0].append(block)
            block = []
        if folds:
            self.problem(block[0].map[0] + 1 if block else 1, "<details> and </details> do not match")
        return [row for row in rows if any(row)]


def plain(inline):
    r"""The text of a heading without its marks."""
    return "".join(child.content for child in inline.children if child.type in ("text", "code_inline", "math"))
