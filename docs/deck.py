r"""Slides: docs/slides/*.md as HTML files of their own, `python docs/build.py slides OUT`.

A file is one session, a slide is what stands between two lines `---`. Formulas, quoted code and numbers are those of
the documents (quotes.py). Pictures and the formulas' font are in the file; nothing is loaded. Arrow keys, space, Home
and End turn slides, and printing gives one slide a page.
"""

import base64
import html
import re

from formulas import inline_math, mathml
from markdown_it import MarkdownIt
from markdown_it.renderer import RendererHTML
from pygments import highlight
from pygments.formatters import HtmlFormatter
from pygments.lexers import get_lexer_by_name
from quotes import DOCS, DocsError, fill

FOLDER = DOCS / "slides"
FONT = DOCS / "fonts" / "math.woff2"
KINDS = {".png": "image/png", ".svg": "image/svg+xml"}
LANGUAGES = {"py": "python", "python": "python", "sh": "bash"}


def data_uri(path, kind):
    r"""A file as an address that holds it."""
    return f"data:{kind};base64,{base64.b64encode(path.read_bytes()).decode()}"


class Renderer(RendererHTML):
    r"""Markdown of a slide to HTML. Raises ValueError for a formula or a picture that is none."""

    def math(self, tokens, idx, options, env):
        return mathml(tokens[idx].content, "inline")

    def fence(self, tokens, idx, options, env):
        token = tokens[idx]
        if token.info == "math":
            return f'<div class="equation">{mathml(token.content, "block")}</div>'
        language = LANGUAGES.get(token.info.partition(" ")[0], "text")
        return f"<pre>{highlight(token.content, get_lexer_by_name(language), HtmlFormatter(nowrap=True))}</pre>"

    def image(self, tokens, idx, options, env):
        path = (FOLDER / tokens[idx].attrGet("src")).resolve()
        if not path.is_file() or path.suffix not in KINDS:
            raise ValueError(f"{tokens[idx].attrGet('src')}: expected a picture, {' or '.join(KINDS)}")
        return f'<img src="{data_uri(path, KINDS[path.suffix])}" alt="{html.escape(tokens[idx].content)}">'

    def link_open(self, tokens, idx, options, env):
        href = tokens[idx].attrGet("href")
        return f'<a href="{html.escape(href)}">' if href.startswith("https://") else "<a>"  # the file stands alone

    def html_inline(self, tokens, idx, options, env):
        return ""  # the marks of numbers


def slides(path):
    r"""The slides of a session: a list of HTML texts. Raises DocsError, which names the file."""
    md = MarkdownIt("commonmark", {"html": True}, renderer_cls=Renderer).enable("table")
    md.inline.ruler.before("backticks", "math", inline_math)
    parts = [[]]
    for token in md.parse(fill(path, path.read_text(encoding="utf-8"))):
        if token.type == "hr":
            parts.append([])
        else:
            parts[-1].append(token)
    try:
        texts = [md.renderer.render(part, md.options, {}) for part in parts]
    except ValueError as error:
        raise DocsError(f"{path.relative_to(DOCS.parent)}: {error}") from None
    # a comma or full stop stays in the line of its formula
    return [re.sub(r"(<math(?:(?!<math).)*?</math>)([.,;:)]+)", r"<span>\1\2</span>", text) for text in texts]


def decks():
    r"""All sessions: a dict from the file's name to the text of its page."""
    font = f"@font-face {{ font-family: formulas; src: url({data_uri(FONT, 'font/woff2')}); }}"
    style = font + STYLE + HtmlFormatter(style="default", nobackground=True).get_style_defs("pre")
    pages = {}
    for path in sorted(FOLDER.glob("[1-9]-*.md")):
        texts = slides(path)
        title = html.unescape(re.search(r"<h1>(.*?)</h1>", texts[0])[1])
        foot = f"<footer>{html.escape(title)} · %d of {len(texts)}</footer>"
        body = "\n".join(f"<section>{text}{foot % number}</section>" for number, text in enumerate(texts, 1))
        pages[path.with_suffix(".html").name] = PAGE.format(
            title=html.escape(title), style=style, body=body, script=SCRIPT
        )
    return pages


STYLE = """
@page { size: 1280px 720px; margin: 0; }
* { box-sizing: border-box; }
html { scroll-snap-type: y mandatory; }
body { margin: 0; background: #fff; color: #1d1d1f; font: 25px/1.38 system-ui, "DejaVu Sans", sans-serif; }
section {
  position: relative; width: 100vw; height: 100vh; padding: 34px 64px 44px; scroll-snap-align: start;
  display: flex; flex-direction: column; justify-content: center; break-after: page; overflow: hidden;
}
section:last-of-type { break-after: auto; }
h1 { font-size: 52px; margin: 0 0 20px; color: #0b5a9d; line-height: 1.15; }
h2 { font-size: 37px; margin: 0 0 14px; color: #0b5a9d; line-height: 1.15; }
p, ul, ol, table { margin: 8px 0; }
li { margin: 5px 0; }
pre {
  margin: 8px 0; padding: 10px 16px; background: #f4f4ef; border-radius: 4px; white-space: pre-wrap;
  font: 18px/1.35 "DejaVu Sans Mono", monospace;
}
code { font: 0.84em "DejaVu Sans Mono", monospace; }
math { font-family: formulas, math, serif; font-size: 1.15em; }
section span:has(> math) { white-space: nowrap; }
.equation { margin: 12px 0; text-align: center; font-size: 1.12em; }
p:has(> img) { flex: 1 1 0; min-height: 0; }
img { display: block; width: 100%; height: 100%; object-fit: contain; }
table { border-collapse: collapse; font-size: 22px; }
th, td { text-align: left; padding: 4px 22px 4px 0; border-bottom: 1px solid #d9d9d4; vertical-align: top; }
blockquote { margin: 8px 0; padding: 2px 16px; border-left: 5px solid #d55e00; font-size: 22px; }
footer { position: absolute; right: 28px; bottom: 14px; font-size: 14px; color: #62626a; }
@media print { section { width: 1280px; height: 720px; } }
"""

SCRIPT = """
const all = [...document.querySelectorAll("section")];
const here = () => Math.round(scrollY / innerHeight);
const steps = {
  ArrowRight: 1, ArrowDown: 1, PageDown: 1, " ": 1, ArrowLeft: -1, ArrowUp: -1, PageUp: -1, Home: -1e9, End: 1e9,
};
addEventListener("keydown", event => {
  if (!(event.key in steps) || event.ctrlKey || event.metaKey || event.altKey) return;
  event.preventDefault();
  const to = Math.min(all.length - 1, Math.max(0, here() + steps[event.key]));
  all[to].scrollIntoView({ behavior: "instant" });
});
"""

PAGE = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<style>{style}</style>
{body}
<script>{script}</script>
</html>
"""
