r"""What is looked up: the glossary's words in the chapters, and the index that search.js searches."""

import html
import itertools
import json
import re

from formulas import mathml

TAG = re.compile(r"<[^>]*>")


class Glossary:
    r"""The words that paragraphs of glossary.md begin with, as in **Baseline, null.**, and what is said of them."""

    def __init__(self, tokens):
        self.entries = {}  # a word in lower case: (anchor, definition)
        for opening, inline in itertools.pairwise(tokens):
            parts = [child for child in inline.children or [] if child.type != "text" or child.content]
            if opening.type == "paragraph_open" and parts[0].type == "strong_open":
                words = parts[1].content.rstrip(".").lower().split(", ")
                said = "".join(map(plain, parts[3:])).strip()
                if any(child.type == "math" and re.search(r"[_^]|frac", child.content) for child in parts):
                    said = ""  # no words for such a formula
                self.entries |= {word: (slug(words[0]), said) for word in words}
        words = sorted(self.entries, key=len, reverse=True)
        self.pattern = re.compile(rf"(?<![\w-])({'|'.join(map(re.escape, words))})s?(?![\w-])", re.IGNORECASE)

    def mark(self, text, seen, address):
        r"""`text` as HTML, its words linked to their place in the glossary but for those in the set `seen`."""

        def link(match):
            anchor, said = self.entries[match[1].lower()]
            if anchor in seen:
                return match[0]
            seen.add(anchor)
            title = said and f' title="{html.escape(said)}"'
            return f'<a class="term" href="{address(anchor)}"{title}>{match[0]}</a>'

        return self.pattern.sub(link, html.escape(text)) if self.entries else html.escape(text)


def slug(word):
    r"""The anchor of a word of the glossary."""
    return re.sub(r"[^\w-]", "", word.replace(" ", "-"))


def plain(token):
    r"""A token's text, of a formula what is to be seen of it."""
    if token.type == "math":
        return html.unescape(TAG.sub("", mathml(token.content, "inline")))
    return " " if token.type == "softbreak" else token.content


def index(bodies):
    r"""The index as a script: for each section (address, the page's title, the section's, its text).

    bodies : for each page (address, title, its HTML)
    """
    rows = []
    for address, title, body in bodies:
        _, *parts = re.split(r'<h[123] id="([^"]*)">', body)
        parts = [re.sub(r"</?m\w*[^>]*>", "", part) for part in parts]  # a formula is one word, or a few
        for anchor, part in zip(parts[::2], parts[1::2], strict=True):
            head, _, text = re.sub(r'<a class="anchor".*?</a>', "", part).partition("</h")
            head, text = (" ".join(html.unescape(TAG.sub(" ", each)).split()) for each in (head, text))
            rows.append([f"{address}#{anchor}", title, head, text.partition(" ")[2]])
    return f"const SEARCH_INDEX = {json.dumps(rows, ensure_ascii=False)};\n"
