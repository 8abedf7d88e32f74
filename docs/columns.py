r"""One Markdown page: its blocks in two columns, its anchors, its mistakes."""

import re

from quotes import ROOT, fill
from render import parser

OPENING, CLOSING = re.compile("<details>|<!-- caption:"), re.compile("</details>|<!-- /caption -->")


class Page:
    r"""One Markdown file: tokens, title, anchors, and what is wrong with it."""

    def __init__(self, path, problems):
        self.path, self.problems, self.anchors, self.sections = path, problems, set(), []
        self.seen = set()  # words of the glossary that this section has used
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

    def rows(self, keeps=lambda page, block: True):
        r"""The page as rows (text, beside): lists of the top-level blocks that `keeps` keeps, each a list of tokens."""
        rows, block, folds = [([], [])], [], 0
        for token in self.tokens:
            block.append(token)
            if token.type == "html_block":
                folds += len(OPENING.findall(token.content)) - len(CLOSING.findall(token.content))
            if token.level or token.nesting > 0 or folds:
                continue
            if not keeps(self, block):
                block = []
                continue
            beside = block[0].type == "html_block" and "<details>" not in block[0].content  # a widget or figure
            paragraph = block[0].type == "paragraph_open"
            images = paragraph and {c.type for c in block[1].children} <= {"image", "softbreak"}
            if beside or images or (block[0].type == "fence" and block[0].info not in ("math", "sh")):
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
