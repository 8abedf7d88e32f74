r"""The notebooks of the chapters: each runs from a clean folder and prints what the chapter says."""

import re

import nbclient
import nbformat
import notebooks
import pytest
import quotes

CHAPTERS = [path for path in quotes.pages() if notebooks.is_chapter(path)]


def printed(cell):
    return "".join(output["text"] for output in cell["outputs"] if output["output_type"] == "stream")


@pytest.mark.parametrize("path", CHAPTERS, ids=lambda path: path.stem)
def test_a_notebook_runs_in_an_empty_folder_and_prints_what_the_chapter_says(path, tmp_path, monkeypatch):
    r"""Either the output stands below the code, or its comments say what is printed."""
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path / "ipython"))
    text, _ = notebooks.notebook(path)
    book = nbformat.reads(text, as_version=4)
    nbformat.validate(book)
    (tmp_path / "work").mkdir()
    run = nbclient.NotebookClient(
        nbformat.reads(text, as_version=4), resources={"metadata": {"path": tmp_path / "work"}}
    )
    first, *told = [cell for cell in book.cells if cell.cell_type == "code"]
    done = [cell for cell in run.execute().cells if cell.cell_type == "code"][1:]
    assert "%pip install" in first.source
    assert [cell.source for cell in done] == [block.strip("\n") for block in quotes.python_blocks(path.read_text())]
    for cell, saw in zip(told, done, strict=True):
        assert printed(saw)
        if cell.outputs:
            assert printed(cell) == printed(saw)
            continue
        for promised in re.findall(r"# (?:prints: )?(.*?)(?:, …)?$", cell.source, re.MULTILINE):
            for part in promised.split(", "):
                assert part in printed(saw)
