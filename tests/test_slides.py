r"""Slides: every session has what a lecture needs, and its file needs nothing but itself."""

import re
from html.parser import HTMLParser
from pathlib import Path

import build
import deck
import pytest
import quotes

from minirecon.course import handout

ROOT = Path(__file__).parent.parent
SESSIONS = sorted(deck.FOLDER.glob("[1-9]-*.md"))


class Reader(HTMLParser):
    r"""What a page loads, and what its tags are."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.loads = [], []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        loading = {"src", "srcset", "data"} | ({"href"} if tag == "link" else set())
        self.loads += [value for key, value in attrs if key in loading]


@pytest.fixture(scope="module")
def decks():
    return deck.decks()


def test_six_sessions_of_a_dozen_slides_each(decks):
    assert list(decks) == [path.with_suffix(".html").name for path in SESSIONS]
    assert len(decks) == 6
    for name, text in decks.items():
        assert 12 <= text.count("<section>") <= 18, name


@pytest.mark.parametrize("path", SESSIONS, ids=lambda path: path.stem)
def test_a_session_has_a_demo_what_to_expect_questions_and_ninety_minutes(path):
    text = path.read_text(encoding="utf-8")
    minutes = re.search(r"^90 minutes: (.*)\.$", text, re.MULTILINE)[1]
    assert sum(int(number) for number in re.findall(r"(\d+)(?:,|$)", minutes)) == 90
    assert re.search(r"^## (Live demo|In class)", text, re.MULTILINE)
    assert "\n```sh\nminirecon " in text
    assert "\n> " in text
    assert len(re.findall(r"^\d\. ", text.partition("\n## Questions\n")[2], re.MULTILINE)) == 4
    tasks, _ = handout.load_tasks(ROOT)
    assert not {task.function for task in tasks} & set(re.findall(r"^```py (.*)$", text, re.MULTILINE))  # no solutions
    plan = (ROOT / "docs" / "plan.md").read_text(encoding="utf-8")
    assert f"](slides/{path.name}) | {minutes} | " in plan


def test_a_page_needs_nothing_but_itself(decks):
    for name, text in decks.items():
        page = Reader(text)
        assert page.tags.count("script") == 1
        assert "math" in page.tags
        assert all(address.startswith("data:image/") for address in page.loads), name
        shown = re.sub(r"<style>.*?</style>|<script>.*?</script>|<pre>.*?</pre>|data:[^\"]*", "", text, flags=re.DOTALL)
        assert not re.search(r"\$`|`\$|<!--|\\[a-zA-Z]+", shown), name
        assert re.findall(r"url\((.{10})", text) == ["data:font/"]
        assert len(text) < 3e6


def test_the_command_writes_them(tmp_path, capsys):
    assert build.main(["slides", str(tmp_path / "out")]) == 0
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        path.with_suffix(".html").name for path in SESSIONS
    ]
    assert "open a session in" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("mistake", "message"),
    [
        ("![x](nonesuch.png)", r"1-a\.md: nonesuch\.png: expected a picture, \.png or \.svg"),
        ("a $`\\nonesuch x`$", r"1-a\.md: .*can't be converted"),
        ("is <!--= runs/nonesuch a d -->1<!--=-->", "no docs/runs/nonesuch"),
    ],
)
def test_mistakes_name_the_file(mistake, message, tmp_path, monkeypatch):
    folder = tmp_path / "docs" / "slides"
    folder.mkdir(parents=True)
    (folder / "1-a.md").write_text(f"# T\n\n{mistake}\n")
    for module in (quotes, deck):
        monkeypatch.setattr(module, "DOCS", tmp_path / "docs")
    monkeypatch.setattr(quotes, "ROOT", tmp_path)
    monkeypatch.setattr(deck, "FOLDER", folder)
    with pytest.raises(quotes.DocsError, match=message):
        deck.decks()


def test_the_citation_has_the_package_version():
    text = (ROOT / "CITATION.cff").read_text(encoding="utf-8")
    project = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    version = re.search(r'^version = "(.*)"', project, re.MULTILINE)[1]
    assert f"\nversion: {version}\n" in text
    assert "arXiv:2206.07758" in text
