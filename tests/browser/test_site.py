r"""The site in headless Chromium, by name: `pytest tests/browser` (needs `.[browser]` and Debian's chromium)."""

from urllib.parse import unquote, urlsplit

import build
import pytest
import quotes

PAGES = [build.target(path).as_posix() for path in build.in_order(quotes.pages())]


@pytest.mark.parametrize("width", [390, 1024, 1600])
def test_pages_render_from_disk_alone_and_fit(site, tab, width):
    page, formulas = tab(width), 0
    for name in PAGES:
        page.goto((site / name).as_uri())
        seen = page.evaluate(
            """() => ({
                text: document.body.innerText,
                width: document.documentElement.scrollWidth,
                math: [...document.querySelectorAll('main math')].map(
                    m => [m.namespaceURI, m.getBoundingClientRect().width, m.getBoundingClientRect().height]),
                cut: [...document.querySelectorAll('.equation')].filter(
                    e => e.scrollWidth > e.clientWidth + 1).map(e => e.innerText),
                images: [...document.images].map(i => [i.getAttribute('src'), i.naturalWidth]),
            })"""
        )
        assert seen["width"] <= width, f"{name} scrolls sideways"
        assert "$`" not in seen["text"], name
        assert "\\\\lambda" not in seen["text"], name
        for space, wide, high in seen["math"]:
            assert space == "http://www.w3.org/1998/Math/MathML"
            assert wide > 2 and high > 2, f"{name}: a formula of {wide} by {high} pixels"  # noqa: PT018
        if width >= 1024:
            assert seen["cut"] == [], f"{name}: a formula is wider than its column"
        assert all(natural > 0 for _, natural in seen["images"]), f"{name}: {seen['images']}"
        formulas += len(seen["math"])
    assert formulas > 300
    assert {urlsplit(url).scheme for url in page.requests} == {"file"}
    assert all((site / unquote(urlsplit(url).path)).is_relative_to(site) for url in page.requests)
    assert page.errors == []


def test_every_link_and_anchor_leads_somewhere(site, tab):
    page, asked = tab(1024), {}
    for name in PAGES:
        page.goto((site / name).as_uri())
        for link in page.evaluate("() => [...document.querySelectorAll('a[href], link[href]')].map(a => a.href)"):
            if not link.startswith("https://"):
                asked.setdefault(link.partition("#")[0], set()).add(unquote(link.partition("#")[2]))
    assert len(asked) > len(PAGES)
    for link, anchors in asked.items():
        assert link.startswith(site.as_uri()), link
        answer = page.goto(link)
        assert answer.ok, link
        for anchor in anchors - {""}:
            assert page.evaluate("id => document.getElementById(id) !== null", anchor), f"{link}#{anchor}"


def test_code_stands_beside_its_text_on_wide_screens_and_below_it_on_narrow_ones(site, tab):
    where = """() => { const row = document.querySelector('.row.both'); return [...row.children].map(
        part => { const box = part.getBoundingClientRect(); return [box.left, box.top, box.right, box.bottom]; }) }"""
    for width, beside in ((1600, True), (390, False)):
        page = tab(width)
        page.goto((site / "02-mlp.html").as_uri())
        text, code = page.evaluate(where)
        assert (code[0] >= text[2]) == beside
        assert (code[1] >= text[3]) == (not beside)


def test_dark_and_print(site, tab):
    colours = """() => { const style = getComputedStyle(document.body); return [style.color, style.backgroundColor].map(
        c => c.match(/[\\d.]+/g).slice(0, 3).reduce((sum, part) => sum + +part, 0) / 3) }"""
    ink, paper = {}, {}
    for scheme in ("light", "dark"):
        page = tab(1024, color_scheme=scheme)
        page.goto((site / "05-losses.html").as_uri())
        ink[scheme], paper[scheme] = page.evaluate(colours)
    assert paper["light"] - ink["light"] > 150
    assert ink["dark"] - paper["dark"] > 150
    page.emulate_media(media="print", color_scheme="dark")
    assert page.evaluate(colours)[0] < 50
    assert not page.locator("header").is_visible()
    assert page.pdf(format="A4").startswith(b"%PDF")
