r"""Coursework: the written and the experimental task of each assignment, their tables of points, and their answers."""

import re

import numpy as np
import pytest
from planted import ROOT

from minirecon.course import handout

FOLDER = ROOT / handout.TASKS.parent
SHEETS = sorted(FOLDER.glob("[1-5]-*.md"))
TASKS, _ = handout.load_tasks(ROOT)


def read(path):
    return path.read_text(encoding="utf-8")


@pytest.mark.parametrize("path", SHEETS, ids=lambda path: path.stem)
def test_a_sheet_has_a_text_and_an_experiment_with_points_that_add_up(path):
    text, number = read(path), path.name[0]
    code = sum(task.points for task in TASKS if task.id[0] == number)
    rows = re.findall(rf"\| ({number}\.\d) \| (in writing|an experiment) \| (\d+) \|", text)
    assert [kind for _, kind, _ in rows] == ["in writing", "an experiment"]
    total = code + sum(int(points) for *_, points in rows)
    assert f"{total} points, {code} of them for code" in text
    assert total == 40
    answers = read(FOLDER / "answers.md")
    for task, _, points in rows:
        assert f"\n**{task} ({points} points)** " in text
        table = text.partition(f"\n| what counts in {task} | points |\n|---|---|\n")[2].partition("\n\n")[0]
        each = [int(line.split(" | ")[1].rstrip(" |")) for line in table.strip().splitlines()]
        assert 3 <= len(each) <= 5
        assert sum(each) == int(points)
        assert f"\n## {task}: " in answers


def test_totals_and_answers():
    assert len(SHEETS) == 5
    assert "Five assignments, 40 points each" in read(FOLDER / "README.md")
    instructor = read(FOLDER / "instructor.md")
    assert instructor.count("| 25 + 15 |") == 5
    assert f"totals {sum(task.points for task in TASKS)}, not 200" in instructor
    assert "answers.md" in handout.WITHHELD


def test_the_steps_and_kkt_points_in_the_answers_are_right():
    r"""Tasks 1.7 and 2.6: numbers of the answers by NumPy."""
    text = read(FOLDER / "answers.md")
    assert round(np.exp(11) - np.exp(10)) == 37848
    assert "37 848" in text
    x = np.array([[2.0, 1.0], [-1.0, 0.5]])
    assert x[0] @ x[1] < 0
    size = np.linalg.norm(x, axis=1)
    w, v, lam = x / size[:, None] ** 1.5, size**-0.5, 1 / size
    on = w @ x.T > 0
    np.testing.assert_array_equal(on, np.eye(2, dtype=bool))
    np.testing.assert_allclose(np.sum(v[:, None] * np.where(on, w @ x.T, 0), axis=0), 1)  # margins
    np.testing.assert_allclose(w, (v[:, None] * on * lam) @ x)  # stationarity in w
    np.testing.assert_allclose(v, (on * (w @ x.T)) @ lam)  # and in v
    np.testing.assert_allclose(w / np.linalg.norm(w, axis=1, keepdims=True) ** 3, x)  # what W¹ gives away
