r"""Markdown to HTML: links and pictures through the site, code in colours, and of HTML only what is ours."""

import html
import re

from formulas import inline_math, mathml
from markdown_it import MarkdownIt
from markdown_it.renderer import RendererHTML
from pygments import highlight
from pygments.formatters import HtmlFormatter
from pygments.lexers import get_lexer_by_name
from quotes import ROOT, WIDGET, source

LANGUAGES = {"py": "python", "python": "python", "sh": "bash", "": "text", "text": "text", "toml": "toml"}
COLOURS = HtmlFormatter(nowrap=True)
FOLD = re.compile(r"<details>\s*<summary>(?P<summary>.*)</summary>", re.DOTALL)  # and, after blank lines, </details>


def code_lines(code, language, anchor=""):
    r"""Code in colours; each line is an element, so that what does not fit goes on below, further in (style.css).

    anchor : lines get the ids anchor-1, anchor-2, …
    """
    lines = ""
    for number, line in enumerate(highlight(code, get_lexer_by_name(language), COLOURS).rstrip("\n").split("\n"), 1):
        shown = re.sub(r"<[^>]*>", "", line)
        name = f' id="{anchor}-{number}"' if anchor else ""
        lines += f'<span class="line"{name} style="--indent:{len(shown) - len(shown.lstrip())}">{line}</span>\n'
    return lines


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
        text, turn = token.content, ""
        if kind == "py":
            text, turn = self.task(rest, line, env) if env["site"].student else (text, "")
            path, first, _ = source(rest)
            first = env["site"].student.line(path, first) if env["site"].student else first
            href = env["site"].link(page, path, f"L-{first}", line)
            caption = f'<a href="{href}">{path.relative_to(ROOT)}</a>, {rest.split(".", 1)[1]}'
        code = code_lines(text or token.content, LANGUAGES[kind])
        caption = caption and f"<figcaption>{caption}</figcaption>"
        return f'<figure class="code {kind}">{caption}<pre tabindex="0"><code>{code}</code></pre>{turn}</figure>'

    def task(self, name, line, env):
        r"""What students see of a quoted function that is a task: its docstring, and a box."""
        text, task = env["site"].student.quote(name)
        if task is None:
            return None, ""
        assignment = env["site"].student.page(task)
        href = env["site"].link(env["page"], assignment, "", line)
        return text, f'<p class="turn">Your turn: <a href="{href}">task {task.id}</a>, {task.points} points</p>'

    def image(self, tokens, idx, options, env):
        token = tokens[idx]
        return self.picture(token.attrGet("src"), token.content, token.meta["line"], env)

    def picture(self, src, alt, line, env):
        src, alt = env["site"].resolve(env["page"], src, line), html.escape(alt, quote=True)
        return f'<a href="{src}"><img src="{src}" alt="{alt}"></a>'

    def link_open(self, tokens, idx, options, env):
        href = env["site"].resolve(env["page"], tokens[idx].attrGet("href"), tokens[idx].meta["line"])
        env["linked"] = True
        return f'<a href="{href}">'

    def link_close(self, tokens, idx, options, env):
        env["linked"] = False
        return "</a>"

    def text(self, tokens, idx, options, env):
        text = tokens[idx].content
        return html.escape(text) if env.get("linked") else env["site"].words(env["page"], text)

    def heading_open(self, tokens, idx, options, env):
        env["linked"], page = True, env["page"]
        anchor, tag = page.anchor(tokens[idx + 1]), tokens[idx].tag
        if tag == "h2":
            page.seen.clear()
            page.sections.append((anchor, self.renderInline(tokens[idx + 1].children, options, env | {"linked": True})))
        env["anchor"] = anchor
        return f'<{tag} id="{anchor}">'

    def heading_close(self, tokens, idx, options, env):
        env["linked"] = False
        return f' <a class="anchor" href="#{env["anchor"]}" aria-label="This section">#</a></{tokens[idx].tag}>'

    def strong_open(self, tokens, idx, options, env):
        page, glossary = env["page"], env["site"].glossary.entries
        words = tokens[idx + 1].content.rstrip(".").lower().split(", ")
        if page.path.name != "glossary.md" or idx > 1 or words[0] not in glossary:
            return "<strong>"
        page.anchors.add(glossary[words[0]][0])
        return f'<strong id="{glossary[words[0]][0]}">'

    def blockquote_open(self, tokens, idx, options, env):
        return "<figcaption>" if env.get("figure") else "<blockquote>"

    def blockquote_close(self, tokens, idx, options, env):
        return "</figcaption>" if env.get("figure") else "</blockquote>"

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
        if text.startswith("<!-- caption:"):
            env["figure"] = True
            return "<figure>"
        if text == "<!-- /caption -->":
            env["figure"] = False
            return "</figure>"
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
