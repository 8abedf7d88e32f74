r"""The slides in Chromium: they fit, keys turn them, and each is one page on paper."""

import re

import deck
import pytest


@pytest.fixture(scope="module")
def slides(tmp_path_factory):
    out = tmp_path_factory.mktemp("slides")
    for name, text in deck.decks().items():
        (out / name).write_text(text, encoding="utf-8")
    return out


def test_slides_fit_and_load_nothing(slides, tab):
    for path in sorted(slides.iterdir()):
        page = tab(1280)
        page.set_viewport_size({"width": 1280, "height": 720})
        page.goto(path.as_uri())
        cut = page.evaluate(
            """() => [...document.querySelectorAll('section')].filter(
                s => s.scrollHeight > 720 || s.scrollWidth > 1280
                    || [...s.children].some(c => c.getBoundingClientRect().right > 1280)
                    || [...s.querySelectorAll('img')].some(i => !i.naturalWidth || i.clientHeight < 200)
            ).map(s => s.innerText.slice(0, 40))"""
        )
        assert cut == [], path.name
        assert page.requests == [path.as_uri()]
        assert page.errors == []


def test_keys_turn_slides_and_paper_has_one_a_page(slides, tab):
    path = min(slides.iterdir())
    page = tab(1280)
    page.set_viewport_size({"width": 1280, "height": 720})
    page.goto(path.as_uri())
    count = page.locator("section").count()
    at = "() => Math.round(scrollY / innerHeight)"
    for key, number in (
        ("ArrowRight", 1),
        (" ", 2),
        ("ArrowLeft", 1),
        ("End", count - 1),
        ("PageDown", count - 1),
        ("Home", 0),
    ):
        page.keyboard.press(key)
        assert page.evaluate(at) == number, key
    printed = page.pdf(prefer_css_page_size=True, print_background=True)
    assert len(re.findall(rb"/Type\s*/Page\b", printed)) == count
