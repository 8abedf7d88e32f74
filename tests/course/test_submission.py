r"""Coursework: odd things in a class, and what a submission may do. None of it loses another's grades."""

import csv
import json
import os
import re
import shutil
import signal
import sys

import pytest
from cheats import GATE, RIGHT, TASKS, reference, with_body, with_module
from planted import ROOT, submission

from minirecon import cli
from minirecon.course import examiner, grading
from minirecon.course.submission import take

TASK = TASKS["1.1"]
LATIN = os.fsdecode(b"M\xfcller")  # as unzip makes it of an old archive
# What lies in a class: points of assignment 1, and what is said of it.
ODD = {
    "alice": (25, "^$"),
    LATIN: (25, "^$"),
    "nested": (25, "^$"),
    "flat": (25, "^$"),
    "utf-16": (25, "^$"),
    "mark": (25, "^$"),
    "latin": (25, "^$"),
    "two": (0, "^not read: 2 folders minirecon/ in it; expected one$"),
    "empty": (0, "^not read: no folder minirecon/ in it$"),
    "bob.zip": (0, r"^not read: no folder; expected one that holds minirecon/ \(unpack an archive, replace a link\)$"),
    "locked": (0, "^not read: .*Permission denied"),
    "eve": (0, "^not read: no folder"),
    "mallory": (0, r"^not read: minirecon/mlp\.py is a link out of it, which is not followed$"),
    "trudy": (0, r"^not read: minirecon/mlp\.py is a link out of it, which is not followed$"),
    "elsewhere": (25, "^$"),
    "pth": (25, "^$"),
}
DROPPED = ("sitecustomize.py", "x.pth")  # what Python would run at its next start


@pytest.fixture
def site(tmp_path, monkeypatch):
    r"""A folder on Python's path, as of `pip install --user` or PYTHONPATH."""
    folder = tmp_path / "site"
    folder.mkdir()
    monkeypatch.syspath_prepend(folder)
    return folder


@pytest.fixture
def odd(tmp_path, monkeypatch, site):
    class_ = tmp_path / "class"
    for name in ("alice", LATIN, "nested/deep/handout", "utf-16", "mark", "latin", "two/old", "two/new", "trudy"):
        submission(class_ / name, TASK.path, GATE)
    (class_ / "nested" / "__MACOSX" / "minirecon").mkdir(parents=True)
    shutil.copytree(class_ / "alice" / "minirecon", class_ / "flat")
    for name, text, encoding in (
        ("utf-16", GATE, "utf-16"),
        ("mark", GATE, "utf-8-sig"),
        ("latin", "# coding: latin-1\n" + GATE.encode("ascii", "ignore").decode() + "# ü\n", "latin-1"),
    ):
        (class_ / name / "minirecon" / TASK.path).write_bytes(text.encode(encoding))
    for name in ("empty", "mallory", "locked"):
        (class_ / name).mkdir(parents=True)
    (class_ / "bob.zip").write_bytes(b"PK")
    (class_ / ".DS_Store").write_bytes(b"")
    (class_ / "eve").symlink_to("alice")
    (class_ / "mallory" / "minirecon").symlink_to("../alice/minirecon")
    (class_ / "trudy" / "minirecon" / TASK.path).unlink()
    (class_ / "trudy" / "minirecon" / TASK.path).symlink_to(ROOT / "minirecon" / TASK.path)
    (site / "elsewhere.py").write_text("def above(z):\n    return z > 0\n")
    body = "from elsewhere import above\n" + RIGHT.replace("(z > 0)", "above(z)")
    submission(class_ / "elsewhere", TASK.path, with_body(GATE, TASK, body))
    line = f"import pathlib; pathlib.Path({str(tmp_path / 'ran')!r}).touch()\n"
    body = "".join(f"with open({str(site / name)!r}, 'w') as file:\n    file.write({line!r})\n" for name in DROPPED)
    submission(class_ / "pth", TASK.path, with_body(GATE, TASK, body + RIGHT))
    listdir = os.listdir

    def locked(path):  # whoever runs the tests as root may read everything
        if str(path).endswith("locked"):
            raise PermissionError(13, "Permission denied", str(path))
        return listdir(path)

    monkeypatch.setattr(os, "listdir", locked)
    return class_


def test_everything_in_a_class_has_a_row(odd, site, tmp_path, capsys):
    assert cli.main(["course", "grade", str(odd), "--assignment", "1", "--out", str(tmp_path / "out")]) == 0
    grades = json.loads((tmp_path / "out" / "grades.json").read_text(encoding="utf-8"))
    assert {name: entry["points"] for name, entry in grades["submissions"].items()} == {
        name: points for name, (points, _) in ODD.items()
    }
    rows = list(csv.reader((tmp_path / "out" / "grades.csv").read_text(encoding="utf-8").splitlines()))
    assert rows[0][-3:] == ["points", "of", "remark"]
    shown = {row[0]: row for row in rows[1:]}
    said = capsys.readouterr().out
    for name, (points, remark) in ODD.items():
        entry = grades["submissions"][name]
        assert re.search(remark, entry["remark"]), entry["remark"]
        for row in entry["tasks"].values():
            assert row["reason"] == entry["remark"]
        row = shown[name.replace("\udcfc", "\\udcfc")]
        assert row[-3:] == [str(points), "25", entry["remark"]]
        line = f"{name.replace(LATIN, 'M ller'):40} {points:4} of 25 points {entry['remark']}"
        assert line.rstrip() in said.splitlines()
    dropped = [str(site / name) for name in DROPPED]
    assert grades["changed"] == dropped
    for file in dropped:
        assert f"changed meanwhile, perhaps by a submission: {file}" in said.splitlines()
    with examiner.Examiner() as examine:
        examine._start()
    assert not (tmp_path / "ran").exists()


def test_an_interruption_keeps_what_is_graded(tmp_path, monkeypatch, capsys):
    submission(tmp_path / "alice", TASK.path, with_body(GATE, TASK, "import time\ntime.sleep(600)"))
    write, calls = grading.write, []

    def save(grades, out):
        write(grades, out)
        calls.append(grades)
        if len(calls) == 2:  # a second after the first
            raise KeyboardInterrupt

    monkeypatch.setattr(grading, "write", save)
    args = ["course", "grade", str(tmp_path / "alice"), "--assignment", "1", "--out", str(tmp_path / "out")]
    assert cli.main(args) == 0
    assert len(calls) == 3
    assert "\ninterrupted: 1 of 6 tasks are not graded yet\n" in capsys.readouterr().out
    entry = json.loads((tmp_path / "out" / "grades.json").read_text())["submissions"]["alice"]
    assert entry["points"] == 23
    row = entry["tasks"]["1.1"]
    assert (row["points"], row["reason"]) == (None, "not graded yet")
    rows = list(csv.reader((tmp_path / "out" / "grades.csv").read_text().splitlines()))
    assert [row[:3] for row in rows] == [["submission", "1.1", "1.2"], ["alice", "", "5"]]


def test_without_pytest_the_reason_is_that_of_python(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "path", [path for path in sys.path if "site-packages" not in path])
    monkeypatch.setattr(sys, "path", [path for path in sys.path if not os.path.isdir(os.path.join(path, "autograd"))])
    with (
        examiner.Examiner() as examine,
        pytest.raises(ValueError, match=r"\(ModuleNotFoundError: No module named '\w+"),
    ):
        examine(tmp_path, TASK.tests, 5)


def test_a_process_that_does_not_answer_is_ended():
    with examiner.Examiner() as examine:
        examine._start()
        os.kill(examine.process.pid, signal.SIGSTOP)
        assert examine._ask({}, 0.5) is None
        assert examine.process.wait() == -signal.SIGKILL


def test_helpers_of_helpers():
    many = 3000
    code = "\n".join(f"def f{k}():\n    return f{k + 1}()" for k in range(many)) + f"\ndef f{many}():\n    return 0\n"
    text = take(with_module(code, f"f0()\n{RIGHT}"), TASK, GATE)
    assert text.count("def f") == many + GATE.count("def f") + 1
    with pytest.raises(ValueError, match="uses gc"):
        take(with_module("import gc\n" + code.replace("return 0", "return gc"), f"f0()\n{RIGHT}"), TASK, GATE)
    assert "def f1(" not in take(with_module(code, RIGHT), TASK, GATE)


def test_another_functions_mistake_costs_nothing():
    for code in ("return 1", "def g():\n    nonlocal x", "x = " + "-" * 5000 + "1"):
        assert "return 1" not in take(with_module(code, RIGHT), TASK, GATE).split("_hand_in()")[-1]
    forward = TASKS["1.2"]
    source = with_body(reference(forward), forward, "HALF = None\nreturn forward(params, x, alpha)")
    assert "HALF" in take(source, forward, reference(forward))
