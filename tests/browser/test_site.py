r"""The site in headless Chromium, by name: `pytest tests/browser` (needs `.[browser]` and Debian's chromium)."""

from urllib.parse import unquote, urlsplit

import build
import pytest
import quotes

PAGES = [build.target(path).as_posix() for path in build.in_order(quotes.pages())]


# Boxes that lie over each other: parts of the page, blocks in a column, an operator and its limits, lines of code.
OVERLAPS = """() => {
    const box = e => e.getBoundingClientRect(), seen = e => box(e).width * box(e).height > 0, found = [];
    const apart = (name, parts) => parts.forEach((a, i) => parts.slice(i + 1).forEach(b => {
        const wide = Math.min(box(a).right, box(b).right) - Math.max(box(a).left, box(b).left);
        const high = Math.min(box(a).bottom, box(b).bottom) - Math.max(box(a).top, box(b).top);
        if (wide > 1 && high > 1) found.push(`${name}: ${a.textContent.slice(0, 40)} | ${b.textContent.slice(0, 40)}`);
    }));
    const all = query => [...document.querySelectorAll(query)];
    apart('page', all('header, .contents, main, footer').filter(seen));
    apart('rows', all('main > *').filter(seen));
    for (const row of all('.row')) apart('columns', [...row.children]);
    for (const part of all('.row > div, .row > aside')) apart('blocks', [...part.children].filter(seen));
    for (const sum of all('.equation munderover, .equation munder')) apart('limits', [...sum.children].filter(seen));
    return found;
}"""


@pytest.mark.parametrize("width", [390, 820, 1000, 1400, 1680])
def test_pages_render_from_disk_alone_and_fit(site, tab, width):
    page, formulas = tab(width), 0
    for name in PAGES:
        page.goto((site / name).as_uri())
        page.evaluate("() => { for (const fold of document.querySelectorAll('main details')) fold.open = true; }")
        assert page.evaluate(OVERLAPS) == [], name
        seen = page.evaluate(
            """() => ({
                text: document.body.innerText,
                width: document.documentElement.scrollWidth,
                math: [...document.querySelectorAll('main math')].map(
                    m => [m.namespaceURI, m.getBoundingClientRect().width, m.getBoundingClientRect().height]),
                cut: [...document.querySelectorAll('.equation')].filter(
                    e => e.scrollWidth > e.clientWidth + 1).map(e => e.innerText),
                code: [...document.querySelectorAll('.code pre')].filter(
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
        if width >= 820:
            assert seen["cut"] == [], f"{name}: a formula is wider than its column"
            assert seen["code"] == [], f"{name}: code is wider than its column"
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
    for width, beside in ((1680, True), (1400, False), (390, False)):
        page = tab(width)
        page.goto((site / "02-mlp.html").as_uri())
        text, code = page.evaluate(where)
        assert (code[0] >= text[2]) == beside
        assert (code[1] >= text[3]) == (not beside)


def test_a_copied_block_is_the_code_and_88_columns_fit(site, tab):
    page = tab(1400)
    page.goto((site / "02-mlp.html").as_uri())
    code = page.locator("figure.py pre").first
    assert code.inner_text().rstrip("\n") == quotes.source("mlp.forward")[2].rstrip("\n")
    height = """pre => { const line = document.createElement('span'); line.className = 'line'; pre.append(line);
        line.textContent = 'x'.repeat(88); return line.getBoundingClientRect().height }"""
    for width in (1000, 1400, 1700):
        page.set_viewport_size({"width": width, "height": 900})
        assert code.evaluate(height) < 25


def test_formulas_have_the_sites_own_font(site, tab):
    page = tab(1400)
    page.goto((site / "05-losses.html").as_uri())
    assert page.evaluate("document.fonts.ready.then(() => [...document.fonts].map(f => [f.family, f.status]))") == [
        ["Minirecon Math", "loaded"]
    ]


def test_contents_stay_in_sight_and_show_the_pages_sections(site, tab):
    page = tab(1400)
    page.goto((site / "04-kkt.html").as_uri())
    page.evaluate("scrollTo(0, 3000)")
    contents = page.locator(".contents")
    assert contents.bounding_box()["y"] == 0
    assert contents.locator("[aria-current]").inner_text().startswith("4. ")
    assert contents.locator("li li a").count() == page.locator("main h2").count()
    assert page.locator(".where").inner_text() == "Chapter 4 of 11"


@pytest.mark.parametrize("name", ["03-training.html", "assignments/1-mlp.html"])
def test_search_finds_sections_from_any_page(site, tab, name):
    page = tab(820)
    page.goto((site / name).as_uri())
    field = page.get_by_role("searchbox")
    page.keyboard.press("/")
    page.keyboard.type("widest Street")
    first = page.locator(".search li a").first
    first.wait_for()
    assert "widest street" in first.inner_text()
    field.press("Escape")
    assert page.locator(".search li").count() == 0
    field.fill("qqqq")
    assert page.locator(".search li").all_inner_texts() == ["Nothing found"]
    field.fill("widest street")
    assert any("4. From the SVM" in text for text in page.locator(".search li a").all_inner_texts())
    address = first.get_attribute("href")
    field.press("Enter")
    page.wait_for_url(address, timeout=5000)
    assert page.locator(":target").is_visible()
    assert page.errors == []


def test_without_a_script_there_is_no_search_and_all_the_rest(site, tab):
    page = tab(820, java_script_enabled=False)
    page.goto((site / "04-kkt.html").as_uri())
    assert not page.locator(".search input").is_visible()
    assert page.locator(".term[title]").first.get_attribute("href").startswith("glossary.html#")


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
    assert not page.locator(".contents").is_visible()
    assert page.pdf(format="A4").startswith(b"%PDF")
