r"""The documents: quoted code is the source's, numbers are those of the runs, blocks run, and the site builds."""

import html
import importlib
import json
import re
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote

import build
import columns
import formulas
import layout
import notebooks
import pytest
import quotes
import render
import runs
import website

ROOT = Path(__file__).parent.parent
PAGES = {path.relative_to(quotes.DOCS).as_posix(): path for path in quotes.pages()}
CHAPTERS = [name for name in PAGES if name[0].isdigit()]


def read(path):
    return path.read_text(encoding="utf-8")


@pytest.mark.parametrize("name", PAGES)
def test_quotes_numbers_and_tables_are_up_to_date(name):
    r"""If this fails: python docs/build.py fill."""
    assert quotes.fill(PAGES[name], read(PAGES[name])) == read(PAGES[name])


@pytest.mark.parametrize(
    "name", [name for name in PAGES if name not in (*CHAPTERS, "guide.md") and "\n```python\n" in read(PAGES[name])]
)
def test_blocks_run_and_print_what_the_page_says(name):
    r"""Either the output stands below the block, or its comments say what is printed.

    Chapters: test_notebooks.py; the guide: test_house.py.
    """
    blocks = [(match["info"], match["body"]) for match in quotes.FENCE.finditer(read(PAGES[name]))]
    outputs = quotes.run([body for info, body in blocks if info == "python"])
    pairs = zip(blocks, [*blocks[1:], ("", "")], strict=True)
    shown = [(body, following) for (info, body), following in pairs if info == "python"]
    assert len(shown) == len(outputs)
    for (code, (info, printed)), out in zip(shown, outputs, strict=True):
        assert out
        if info == "text output":
            assert printed == out
            continue
        for promised in re.findall(r"# (?:prints: )?(.*?)(?:, …)?$", code, re.MULTILINE):
            for part in promised.split(", "):
                assert part in out


def test_a_line_of_code_within_a_sentence_is_the_source_s():
    (line,) = re.findall(r"`(defvjp\(.*?\))`", read(PAGES["05-losses.md"]))
    assert f"\n{line}" in read(ROOT / "minirecon" / "mlp.py")


def test_there_are_eleven_chapters_that_tell_what_one_will_know():
    assert [name[:3] for name in CHAPTERS] == [f"{number:02}-" for number in range(1, 12)]
    for name in CHAPTERS:
        text = read(PAGES[name])
        assert text.startswith(f"# {int(name[:2])}. ")
        if name != CHAPTERS[-1]:
            assert text.split("\n\n")[1].startswith("*After this chapter you ")
        text = quotes.CAPTION.sub("", text)  # written by a run, and looked at with the picture, not read in a row
        words = len(re.sub(r"```.*?```|<!--.*?-->|<details>.*?</details>", "", text, flags=re.DOTALL).split())
        assert 500 <= words <= 2500, f"{name} has {words} words"


def test_every_equation_of_the_guide_and_every_function_of_the_map_exists():
    named = set(re.findall(r"`([\w.]+\.\w+)`", read(PAGES["map.md"])))
    assert len(named) >= 40
    for name in named:
        module, _, function = name.rpartition(".")
        assert hasattr(importlib.import_module(f"minirecon.{module}"), function), name
    assert {
        f"{module}.{name}" for module, name in re.findall(r"\| `(\w+)\.(\w+)` \|", read(PAGES["guide.md"]))
    } <= named
    chapters = set(re.findall(r"\((\d\d-[\w-]+\.md)\)", read(PAGES["map.md"])))
    assert chapters == set(CHAPTERS[:-1])


@pytest.mark.parametrize("name", CHAPTERS)
def test_every_measured_figure_of_a_chapter_has_its_caption(name):
    rest = quotes.WIDGET.sub("", quotes.CAPTION.sub("", read(PAGES[name])))
    for figure in re.findall(r"!\[.*?\]\(figures/([\w-]+)\.", rest):
        assert not (quotes.DOCS / "figures" / f"{figure.partition('-')[0]}.md").exists(), (
            f"{name}: no caption of {figure}"
        )


def test_the_runs_behind_the_numbers_are_those_that_can_be_made_again():
    assert {path.stem for path in (quotes.DOCS / "runs").glob("*.json")} == set(runs.RUNS)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    r"""A small repository with docs/page.md, which a test writes."""
    root = tmp_path / "repository"
    (tmp_path / "outside.md").write_text("# Not ours\n")
    (root / "docs" / "runs").mkdir(parents=True)
    (root / "minirecon").mkdir()
    (root / "minirecon" / "toy.py").write_text(
        'r"""Toy."""\n\nC = 3\n\n\ndef outer(x):\n    r"""Doc."""\n\n    def inner(y):\n'
        '        r"""Doc\n        of inner."""\n        return y  # why\n\n    return inner(x)\n'
    )
    (root / "docs" / "README.md").write_text("# Index\n\n[page](page.md)\n")
    for name in ("style.css", "search.js"):
        (root / "docs" / name).write_text("")
    (root / "docs" / "widgets").mkdir()
    for name in ("toy.js", "toy.csv", "toys.js", "common.js"):
        (root / "docs" / "widgets" / name).write_text("")
    (root / "docs" / "runs" / "r.json").write_text(json.dumps({"a": {"b": [0.12345, -7]}, "text": "x"}))
    for module in (quotes, columns, render, website, layout, build, notebooks):
        monkeypatch.setattr(module, "ROOT", root)
    for module in (quotes, website, layout, build, notebooks):
        monkeypatch.setattr(module, "DOCS", root / "docs")
    return root


def test_fill_writes_code_output_and_numbers(folder, capsys):
    page = folder / "docs" / "page.md"
    page.write_text(
        "# T\n\n```py toy.outer\n```\n\n```py toy.outer.inner\n```\n\n```py toy.C\n```\n\n"
        "```python\nx = 2\nprint(x)\n```\n\n```python\nprint(x + 1)\n```\n\n```text output\nold\n```\n\n"
        "It is <!--= runs/r a/b/0 .2f -->9<!--=-->, <!--= runs/r a/b/1 d --><!--=-->.\n"
    )
    assert build.main(["fill"]) == 0
    assert page.read_text() == (
        "# T\n\n```py toy.outer\ndef outer(x):\n\n    def inner(y):\n        return y  # why\n\n"
        "    return inner(x)\n```\n\n```py toy.outer.inner\ndef inner(y):\n    return y  # why\n```\n\n"
        "```py toy.C\nC = 3\n```\n\n```python\nx = 2\nprint(x)\n```\n\n```python\nprint(x + 1)\n```\n\n"
        "```text output\n3\n```\n\nIt is <!--= runs/r a/b/0 .2f -->0.12<!--=-->, <!--= runs/r a/b/1 d -->−7<!--=-->.\n"
    )
    assert build.main(["fill"]) == 0
    assert capsys.readouterr().out.splitlines() == ["filled docs/page.md"]


@pytest.mark.parametrize(
    ("mistake", "message"),
    [
        ("```py toy.nonesuch\n```", "3: toy.nonesuch: toy.py has no nonesuch"),
        ("```py nonesuch.f\n```", "3: nonesuch.f: no such module"),
        ("```py toy.C\nC = 4\n```\n\n```py toy.D\n```", "7: toy.D: toy.py has no D"),
        ("is <!--= runs/q a d -->1<!--=-->", "3: runs/q: no docs/runs/q.json"),
        ("is <!--= runs/r a/c d -->1<!--=-->", "3: runs/r has no a/c"),
        ("is <!--= runs/r a/b/2 d -->1<!--=-->", "3: runs/r has no a/b/2"),
        ("is <!--= runs/r text .2f -->1<!--=-->", "3: Unknown format code"),
        ("is <!--= runs/r text -->1<!--=-->", "3: <!--= runs/r text -->: expected FILE KEY/KEY FORMAT"),
        ("is\n<!--= runs/r a/b/1 d -->1<!--=-->", "4: a number at the start of a line"),
        ("is <!-- code: toy.C -->", "3: '<!-- code: toy.C -->' is no mark of ours"),
        ("is <!--= runs/r a/b/1 d -->1", "3: '<!--= runs/r a/b/1 d -->' is no mark of ours"),
        ("is <br> here", "3: HTML '<br>'"),
        ("is <details> here", "3: HTML '<details>'"),
        ("<details><summary>Q</summary>\n\nA", "3: <details> and </details> do not match"),
        ("<details><summary>Q</summary>\nA</details>", "3: HTML '<details><summary>Q"),
        ("<details><summary>Q $`\\q`$</summary>\n\nA\n\n</details>", "3: '\\\\q': \\q can't be converted"),
        ("</details>", "3: <details> and </details> do not match"),
        ("<!-- widget: nonesuch -->", "3: widget nonesuch: no docs/widgets/nonesuch.js"),
        ('<!-- widget: toy nonesuch.png "a" -->', "3: nonesuch.png: no such file"),
        ("is <!-- widget: toy -->", "3: '<!-- widget: toy -->' is no mark of ours"),
        ("<table></table>", "3: HTML '<table></table>"),
        ("one\n[two](nonesuch.md)", "4: nonesuch.md: no such file"),
        ("[two](../../outside.md)", "3: ../../outside.md: no such file"),
        ("![two](nonesuch.png)", "3: nonesuch.png: no such file"),
        ("[two](README.md#nonesuch)", "3: docs/README.md has no #nonesuch"),
        ("[two](#t-1)", "3: docs/page.md has no #t-1"),
        ("one\ntwo $`\\nonesuch x`$", "4: '\\\\nonesuch x': \\nonesuch can't be converted"),
        ("```math\na &= b\n```", "3: 'a &= b': <mi>&</mi> can't be converted"),
        ("```math\n{a\n```", "3: '{a': braces do not match"),
        ("```math\n\\frac\n```", "3: '\\\\frac': NoAvailable"),
        ("```mermaid\n```", "3: ```mermaid: unknown kind of block"),
    ],
)
def test_mistakes_are_named_with_file_and_line_and_nothing_is_written(mistake, message, folder, capsys):
    (folder / "docs" / "page.md").write_text(f"# T\n\n{mistake}\n")
    assert build.main(["site", str(folder / "out")]) == 1
    error = capsys.readouterr().err
    assert error.startswith(f"docs/page.md:{message}")
    assert error.count("\n") == 1
    assert not (folder / "out").exists()


@pytest.fixture
def figure(folder):
    r"""A figure and its caption in the small repository: the mark as it is filled."""
    figures = folder / "docs" / "figures"
    figures.mkdir()
    (figures / "toy.png").write_bytes(b"picture")
    (figures / "README.md").write_text("# Figures\n\n## toy\n")
    (figures / "toy.md").write_text(
        "Of 20 digits,\n19 by Loo et al. 2024 + 1 with α = 0.5 e.g. here.\n2 are **left**. Dotted: λ.\n"
        "Four. Five.\n\nNo.\n"
    )
    (figures / "table.md").write_text("At the end:\n\n| a |\n|---|\n\nSo.\n")
    return (
        "<!-- caption: toy -->\n![A & B](figures/toy.png)\n\n"
        "> Of 20 digits, 19 by Loo et al. 2024 + 1 with α = 0.5 e.g. here. 2 are **left**. Dotted: λ. Four. "
        "All numbers: [docs/figures](figures/README.md#toy).\n<!-- /caption -->\n"
    )


def test_fill_writes_the_first_sentences_of_a_caption_below_its_pictures(folder, figure):
    page, other = folder / "docs" / "page.md", "![C](figures/toy.png)\n"
    bare = "<!-- caption: toy -->\n![A & B](figures/toy.png)\n<!-- /caption -->\n"
    old = figure.replace("19 by", "18 by")
    filled = f"# T\n\nLook:\n\n{figure}\nand\n\n{figure}\n{figure.replace('> ', other + chr(10) + '> ')}"
    page.write_text(f"# T\n\nLook:\n\n{bare}\nand\n\n{old}\n{bare.replace('<!-- /', chr(10) + other + '<!-- /')}")
    assert build.main(["fill"]) == 0
    assert page.read_text() == filled
    assert quotes.fill(page, filled) == filled


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("caption: toy", "caption: nonesuch", "3: caption nonesuch: no docs/figures/nonesuch.md"),
        ("caption: toy", "caption: table", "3: caption table: docs/figures/table.md begins with no sentence"),
        ("![A & B](figures/toy.png)\n", "", "3: '<!-- caption: toy -->' is no mark of ours"),
        ("<!-- /caption -->", "", "3: '<!-- caption: toy -->' is no mark of ours"),
        ("<!-- caption: toy -->\n", "", "6: '<!-- /caption -->' is no mark of ours"),
        ("> Of", "Of", "3: '<!-- caption: toy -->' is no mark of ours"),
    ],
)
def test_a_caption_that_cannot_be_filled_is_named_with_file_and_line(old, new, message, folder, figure):
    with pytest.raises(quotes.DocsError) as raised:
        quotes.fill(folder / "docs" / "page.md", f"# T\n\n{figure.replace(old, new)}")
    assert str(raised.value).splitlines()[0] == f"docs/page.md:{message}"


def test_a_picture_and_its_caption_are_a_figure_of_the_site_and_text_of_a_notebook(folder, figure):
    (folder / "docs" / "page.md").write_text("# No chapter\n")
    (folder / "docs" / "01-first.md").write_text(f"# 1. First\n\nLook:\n\n{figure}\n> Said.\n")
    build.site(folder / "out")
    page = read(folder / "out" / "01-first.html")
    (shown,) = re.findall(r"<aside>(.*?)</aside>", page, re.DOTALL)
    picture = '<a href="figures/toy.png"><img src="figures/toy.png" alt="A &amp; B"></a>'
    link = '<a href="figures/index.html#toy">docs/figures</a>'
    assert shown.startswith(f"<figure><p>{picture}</p>\n<figcaption><p>Of 20 digits, 19 by")
    assert shown.endswith(
        f"here. 2 are <strong>left</strong>. Dotted: λ. Four. All numbers: {link}.</p>\n</figcaption></figure>"
    )
    assert "<blockquote><p>Said.</p>" in page
    assert build.main(["notebooks", str(folder / "books")]) == 0
    text = json.loads(read(folder / "books" / "01-first.ipynb"))["cells"][1]["source"]
    assert text == (
        "# 1. First\n\nLook:\n\n![A & B](figures/toy.png)\n\n> Of 20 digits, 19 by Loo et al. 2024 + 1 with α = 0.5 "
        "e.g. here. 2 are **left**. Dotted: λ. Four. All numbers: docs/figures.\n\n> Said."
    )


def test_output_needs_a_block(folder):
    with pytest.raises(quotes.DocsError, match=r"docs/page\.md:3: output without a python block"):
        quotes.fill(folder / "docs" / "page.md", "# T\n\n```text output\n```\n", outputs=[])


def test_another_use_of_the_command_line_shows_help(capsys):
    assert build.main(["sight"]) == 2
    assert "python docs/build.py site OUT" in capsys.readouterr().err


def test_rows_anchors_and_marks_of_a_page(folder):
    (folder / "docs" / "page.md").write_text(
        "# T\n\n## A `b`, c-d\n\n[up](#a-b-c-d) [down](#a-b-c-d-1) [src](../minirecon/toy.py)\n\n"
        "```py toy.C\nC = 3\n```\n\n## A b, c-d\n\nis <!--= runs/r a/b/1 d -->−7<!--=-->, $`x`$.\n"
    )
    build.site(folder / "out")
    page = (folder / "out" / "page.html").read_text()
    assert page.count('<section class="row') == 3
    assert page.count("<aside>") == 1
    assert [*re.findall(r'<h2 id="(.*?)"', page)] == ["a-b-c-d", "a-b-c-d-1"]
    assert '<a href="source/minirecon/toy.py.html#L-3">minirecon/toy.py</a>, C' in page
    assert '<span title="runs/r a/b/1 d">−7</span>' in page
    assert 'id="L-3"' in (folder / "out" / "source" / "minirecon" / "toy.py.html").read_text()
    assert '<a rel="prev" href="index.html">Index</a>' in page


def test_a_widget_is_its_picture_an_element_and_one_script(folder):
    (folder / "docs" / "still.png").write_bytes(b"")
    mark = '<!-- widget: toy still.png "a & b" -->'
    (folder / "docs" / "page.md").write_text(f"# T\n\nLook:\n\n{mark}\n\nAnd\n\n<!-- widget: toy -->\n")
    build.site(folder / "out")
    page = (folder / "out" / "page.html").read_text()
    still, element = (
        '<a href="still.png"><img src="still.png" alt="a &amp; b"></a>',
        '<div class="widget" data-widget="toy">',
    )
    assert f"<aside>{still}{element}</div></aside>" in page
    assert page.count(element) == 2
    common, toy = (f'<script defer src="widgets/{name}.js"></script>' for name in ("common", "toy"))
    assert page.count("<script") == 3
    assert f"{common}\n{toy}" in page
    assert "widgets/toy.js" not in (folder / "out" / "index.html").read_text()
    assert [path.name for path in sorted((folder / "out" / "widgets").iterdir())] == ["common.js", "toy.csv", "toy.js"]


def test_folded_answers_hold_markdown_and_formulas(folder):
    fold = (
        "<details><summary>Is $`x`$ *it*?</summary>\n\nYes, $`y`$:\n\n```math\nz\n```\n\n```sh\nls\n```\n\n</details>\n"
    )
    listed = "".join(f"   {line}\n" if line else "\n" for line in fold.splitlines())
    (folder / "docs" / "page.md").write_text(f"# T\n\nAsk.\n\n{fold}\n1. one\n\n{listed}\n2. two\n")
    build.site(folder / "out")
    page = (folder / "out" / "page.html").read_text()
    for part in page.split("<details>")[-2:]:
        inside = part.partition("</details>")[0]
        assert inside.count("<math") == 3
        assert "<em>it</em>?</summary>" in inside
        assert "<figure" in inside
    assert page.count('<section class="row') == 1


def test_a_notebook_has_the_words_of_its_chapter_and_pictures_that_show(folder):
    docs = folder / "docs"
    (docs / "figures").mkdir()
    (docs / "figures" / "a.png").write_bytes(b"picture")
    (docs / "page.md").write_text("# No chapter\n")
    (docs / "02-next.md").write_text("# 2. Next\n")
    (docs / "01-first.md").write_text(
        "# 1. First\n\nis <!--= runs/r a/b/1 d -->−7<!--=-->, $`x\n+ y`$, "
        "[next](02-next.md#a), [page](page.md), [me](#b).\n"
        '\n![A](figures/a.png)\n\n<!-- widget: toy figures/a.png "B" -->\n\n<!-- widget: toy -->\n\n```math\nz\n```\n\n'
        "```py toy.C\nC = 3\n```\n\n```python\nprint(1)\n```\n\n```text output\n1\n```\n\n```text\nplain\n```\n\n"
        "<details><summary>Why?</summary>\n\nSo:\n\n```python\nprint(2)\n```\n\nThus.\n\n</details>\n\nEnd.\n"
    )
    assert build.main(["notebooks", str(folder / "out")]) == 0
    assert sorted(path.name for path in (folder / "out").iterdir()) == ["01-first.ipynb", "02-next.ipynb", "figures"]
    assert (folder / "out" / "figures" / "a.png").read_bytes() == b"picture"
    assert (folder / "out").stat().st_mode & 0o777 == 0o755
    cells = json.loads(read(folder / "out" / "01-first.ipynb"))["cells"]
    assert [(cell["cell_type"], cell["source"]) for cell in cells[1:]] == [
        (
            "markdown",
            "# 1. First\n\nis −7, $x + y$, [next](02-next.ipynb), page, me.\n\n![A](figures/a.png)\n\n"
            "![B](figures/a.png)\n\n\n\n$$\nz\n$$\n\n*minirecon/toy.py*:\n\n```python\nC = 3\n```",
        ),
        ("code", "print(1)"),
        ("markdown", "```text\nplain\n```\n\n<details><summary>Why?</summary>\n\nSo:\n\n\n</details>"),
        ("code", "print(2)"),
        ("markdown", "<details><summary>Why?</summary>\n\n\n\nThus.\n\n</details>\n\nEnd."),
    ]
    assert cells[2]["outputs"] == [{"output_type": "stream", "name": "stdout", "text": "1\n"}]


def test_words_of_the_glossary_are_linked_where_a_chapters_section_first_uses_them(folder):
    docs = folder / "docs"
    (docs / "glossary.md").write_text(
        "# Glossary\n\n**Cone, hat.** A & $`\\max(z, 0)`$.\n\n**Ice cream.** Is $`x^2`$.\n\nNo **word** of it.\n"
    )
    (docs / "page.md").write_text("# No chapter\n\nA cone.\n")
    (docs / "01-first.md").write_text(
        "# 1. Cone\n\nCones, [hat](page.md), cones, *ice cream* & second-cone.\n\n```sh\nls\n```\n\nA hat, `cone`.\n\n"
        "## B $`x`$\n\nA hat.\n"
    )
    build.site(folder / "out")
    page = read(folder / "out" / "01-first.html")
    link = '<a class="term" href="glossary.html#cone" title="A &amp; max(z,0).">'
    assert f'<p>{link}Cones</a>, <a href="page.html">hat</a>, cones, <em>' in page
    assert '<em><a class="term" href="glossary.html#ice-cream">ice cream</a></em> &amp; second-cone.</p>' in page
    assert "<p>A hat, <code>cone</code>.</p>" in page
    assert f"<p>A {link}hat</a>.</p>" in page
    assert 'class="term"' not in read(folder / "out" / "page.html")
    glossary = read(folder / "out" / "glossary.html")
    assert '<strong id="cone">' in glossary
    assert "No <strong>word</strong>" in glossary
    assert '<p class="where">Chapter 1 of 1</p>' in page
    assert '<ol><li><a href="#b-x">B <math' in page


def test_the_index_of_the_search_has_each_section_once(folder):
    (folder / "docs" / "page.md").write_text(
        "# T & U\n\nOne $`x_1`$.\n\n## S\n\n```py toy.C\nC = 3\n```\n\n### R\n\n*Two*.\n"
    )
    build.site(folder / "out")
    rows = json.loads(read(folder / "out" / "search-index.js").removeprefix("const SEARCH_INDEX = ").rstrip(";\n"))
    assert rows == [
        ["index.html#index", "Index", "Index", "page"],
        ["page.html#t--u", "T & U", "T & U", "One x1."],
        ["page.html#s", "T & U", "S", "minirecon/toy.py , C C = 3"],
        ["page.html#r", "T & U", "R", "Two ."],
    ]


def test_long_lines_of_code_go_on_below_and_limits_stand_under_their_operator(folder):
    (folder / "docs" / "page.md").write_text(
        "# T\n\n```sh\nls\n\n  cd <a>\n```\n\n$`\\min_w \\langle a \\rangle`$\n\n```math\n\\sum_i^m y_i\n```\n"
    )
    build.site(folder / "out")
    page = read(folder / "out" / "page.html")
    lines = re.findall(r'<span class="line" style="--indent:(\d+)">(.*)</span>\n', page)
    assert [(indent, render_text(line)) for indent, line in lines] == [("0", "ls"), ("0", ""), ("2", "  cd <a>")]
    assert '<munder><mo movablelimits="true">min</mo><mi>w</mi></munder>' in page
    assert '<munderover><mo movablelimits="true">∑</mo><mi>i</mi><mi>m</mi></munderover><msub>' in page
    assert '<mo form="prefix" stretchy="false">⟨</mo><mi>a</mi><mo form="postfix" stretchy="false">⟩</mo>' in page


def test_signs_and_letters_are_set_as_in_print():
    made = formulas.mathml(r"\Phi(-x^{a+1}, -y) = -\lVert z\rVert - 1", "inline")
    assert '<mi mathvariant="normal">Φ</mi>' in made
    assert [*re.findall(r"<mo([^>]*)>[−+]</mo>", made)] == [
        ' form="prefix"',
        ' lspace="0" rspace="0"',
        *2 * [' form="prefix"'],
        "",
    ]
    assert made.count('stretchy="false">‖</mo>') == 2


def test_a_long_formula_in_a_line_can_be_broken_before_a_sign():
    short, long = (formulas.mathml("+".join("abcdefghij"[:count]), "inline") for count in (4, 8))
    assert short.count("<math") == 1
    assert long.count("<math") == 8
    assert "".join(re.findall(r">([^<]+)<", long)) == "a+b+c+d+e+f+g+h"
    assert long.count('<mrow><mo form="infix">+</mo><mi>') == 7
    assert formulas.mathml("+".join("abcdefgh"), "block").count("<math") == 1


def render_text(line):
    return html.unescape(re.sub(r"<[^>]*>", "", line))


class Reader(HTMLParser):
    r"""What is in a page: attributes that point somewhere, ids, tags, and text outside code."""

    def __init__(self, text):
        super().__init__()
        self.links, self.ids, self.tags, self.scripts, self.text, self.code = [], [], set(), [], [], 0
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.tags.add(tag)
        self.scripts += [dict(attrs).get("src")] if tag == "script" else []
        self.code += tag in ("code", "pre")
        self.ids += [value for key, value in attrs if key == "id"]
        self.links += [(tag, value) for key, value in attrs if key in ("href", "src", "srcset", "action", "data")]

    def handle_endtag(self, tag):
        self.code -= tag in ("code", "pre")

    def handle_data(self, data):
        if not self.code:
            self.text.append(data)


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    out = tmp_path_factory.mktemp("docs") / "site"
    build.site(out)
    return {path: Reader(read(path)) for path in out.rglob("*.html")}, out


def test_every_link_and_anchor_of_the_site_resolves_and_none_loads_from_elsewhere(built):
    pages, out = built
    assert len(pages) >= len(PAGES) + 5
    for path, page in pages.items():
        assert len(page.ids) == len(set(page.ids)), path
        assert not page.tags & {"iframe", "object", "embed", "form"}, path
        for script in page.scripts:
            assert script is not None, f"{path}: a script in the page"
            where = (path.parent / script).resolve()
            assert where == out / "search.js" or where.parent == out / "widgets", f"{path}: {script}"
        for tag, link in page.links:
            if tag == "a" and link.startswith("https://"):
                continue
            name, _, anchor = unquote(link).partition("#")
            to = (path.parent / name).resolve() if name else path
            assert to.is_file(), f"{path}: {link}"
            assert to.is_relative_to(out), f"{path}: {link}"
            if anchor:
                assert anchor in pages[to].ids, f"{path}: {link}"


def test_formulas_are_mathml_and_the_site_is_small(built):
    pages, out = built
    for path, page in pages.items():
        if "source" not in path.relative_to(out).parts:
            text = "".join(page.text)
            assert not re.search(r"\$`|`\$|\\[a-zA-Z]+|<!--", text), path
    for name in CHAPTERS:
        assert "math" in pages[out / name.replace(".md", ".html")].tags
    assert sum(path.stat().st_size for path in out.rglob("*") if path.is_file()) < 15e6
    style = (out / "style.css").read_text()
    assert re.findall(r"url\(.{0,22}", style) == ["url(data:font/woff2;base64"]
    assert "@import" not in style
