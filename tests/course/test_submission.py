r"""Coursework: odd things in a class, and what a submission may do. None of it loses another's grades."""

import csv
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import zipfile

import pytest
from cheats import GATE, RIGHT, TASKS, reference, with_body, with_module
from planted import ROOT, submission

from minirecon import cli
from minirecon.course import collect, examiner, export, grading
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
    "two": (None, "^not read: 2 folders minirecon/ in it; expected one$"),
    "empty": (None, "^not read: no folder minirecon/ in it$"),
    "bob.zip": (None, r"^not read: bob\.zip is no folder and no zip; expected one that holds minirecon/$"),
    "locked": (None, "^not read: .*Permission denied"),
    "eve": (None, "^not read: a link, which is not followed"),
    "mallory": (None, r"^not read: minirecon/mlp\.py is a link out of it, which is not followed$"),
    "trudy": (None, r"^not read: minirecon/mlp\.py is a link out of it, which is not followed$"),
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
    assert rows[0][-4:] == ["points", "of", "remark", "feedback"]
    shown = {row[0]: row for row in rows[1:]}
    said = capsys.readouterr().out
    for name, (points, remark) in ODD.items():
        entry = grades["submissions"][name]
        assert re.search(remark, entry["remark"]), entry["remark"]
        for row in entry["tasks"].values():
            assert row["reason"] == entry["remark"]
        row = shown[name.replace("\udcfc", "\\udcfc")]
        assert row[-4:] == ["" if points is None else str(points), "25", entry["remark"], ""]
        got = "  no" if points is None else f"{points:4} of 25"
        line = f"{name.replace(LATIN, 'M ller'):40} {got} points {entry['remark']}"
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
    assert [row[:7] for row in rows] == [
        ["submission", "student", "id", "1.1", "1.1 of", "1.2", "1.2 of"],
        ["alice", "alice", "", "", "2", "5", "5"],
    ]


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


# A class as Moodle and Canvas give it: the submission's name; its files, with what is in them; student, id; points of
# assignment 1, and what is said of it.
NOTEBOOK, MOODLE = "a notebook", "_assignsubmission_file_"
PLATFORMS = {
    "zipped.zip": ({f"handout/minirecon/{name}": name for name in ("mlp.py", "training.py")}, "zipped.zip", "", 25, ""),
    f"Ann Lee_4711{MOODLE}": ({"handout.zip": "zip"}, "Ann Lee", "4711", 25, ""),
    f"Bo_12{MOODLE}": ({"mlp.ipynb": NOTEBOOK, "training.ipynb": NOTEBOOK}, "Bo", "12", 25, ""),
    f"Cy_13{MOODLE}": ({"one.ipynb": NOTEBOOK, "two.ipynb": NOTEBOOK}, "Cy", "13", 25, ""),
    f"Di_14{MOODLE}": ({"mlp.ipynb": "{"}, "Di", "14", None, "not read: mlp.ipynb: no notebook"),
    f"Ed_15{MOODLE}": ({"a.pdf": "%PDF"}, "Ed", "15", None, "not read: no folder minirecon/ in it, but a.pdf"),
    "doejane_55": ({"doejane_55_901_handout.zip": "zip"}, "doejane", "55", 25, ""),
    "roejim_56": (
        {"roejim_LATE_56_902_mlp-1.py": "mlp.py", "roejim_LATE_56_903_training.py": "training.py"},
        *("roejim", "56", 25, ""),
    ),
}


def content(folder, name, kind):
    r"""Bytes of a file: the reference's module, its code in a notebook, or both modules in a zip."""
    modules = {path: (ROOT / "minirecon" / path).read_bytes() for path in ("mlp.py", "training.py")}
    if kind == NOTEBOOK:
        code = modules["training.py" if name.startswith("t") else "mlp.py"].decode()
        cells = [["%matplotlib inline\n", "import numpy"], code.splitlines(keepends=True)]
        cells = [{"cell_type": "code", "source": cell} for cell in cells]
        return json.dumps({"nbformat": 4, "cells": [{"cell_type": "markdown", "source": ["def"]}, *cells]}).encode()
    if kind == "zip":
        with zipfile.ZipFile(folder / "made.zip", "w") as file:
            for path, text in modules.items():
                file.writestr(f"handout/minirecon/{path}", text)
            file.writestr("handout/.venv/site-packages/minirecon/mlp.py", "not this one")
        return (folder / "made.zip").read_bytes()
    return modules.get(kind, kind.encode())


@pytest.fixture
def platforms(tmp_path):
    class_, work = tmp_path / "class", tmp_path / "work"
    class_.mkdir()
    work.mkdir()
    for name, (files, *_) in PLATFORMS.items():
        if name.endswith(".zip"):
            with zipfile.ZipFile(class_ / name, "w") as file:
                for path, kind in files.items():
                    file.writestr(path, content(work, path, kind))
            continue
        folder = class_ / name if "assignsubmission" in name else class_
        folder.mkdir(exist_ok=True)
        for path, kind in files.items():
            (folder / path).write_bytes(content(work, path, kind))
    return class_


def test_what_moodle_and_canvas_give_is_read(platforms, tmp_path, capsys):
    shutil.make_archive(tmp_path / "export", "zip", platforms)
    for path in (platforms, tmp_path / "export.zip"):
        out = tmp_path / f"out-{path.stem}"
        assert cli.main(["course", "grade", str(path), "--assignment", "1", "--out", str(out)]) == 0
        entries = json.loads((out / "grades.json").read_text(encoding="utf-8"))["submissions"]
        assert entries.keys() == PLATFORMS.keys()
        for name, (_, student, number, points, remark) in PLATFORMS.items():
            entry = entries[name]
            assert (entry["student"], entry["id"], entry["points"]) == (student, number, points), entry
            assert entry["remark"].startswith(remark)
            assert bool(entry["remark"]) == bool(remark)
        said = capsys.readouterr().out
        assert f"{'Ed_15_assignsubmission_file_':40}   no points not read: no folder minirecon/ in it" in said


def test_odd_files_side_by_side(platforms, tmp_path):
    r"""What goes wrong with the files of one student is a remark of hers; a plain folder is what it is called."""
    for name in ("anna_11_22_hw-1.zip", "anna_11_23_hw-2.zip"):
        shutil.copy(platforms / "zipped.zip", platforms / name)
    for name in ("team_1", "team_2", "doejane_55"):  # the last is called as the files of a student are
        submission(platforms / name, TASK.path, GATE)
    (tmp_path / "scratch").mkdir()
    found = collect.submissions(platforms, ["mlp.py", "training.py"], tmp_path / "scratch")
    assert found["anna_11"][:1] + found["anna_11"][2:] == (None, "anna", "11")
    assert found["anna_11"].remark == "not read: no folder minirecon/ in it, but anna_11_23_hw-2.zip, hw.zip"
    for name in ("team_1", "team_2", "doejane_55"):
        assert found[name][1:] == ("", name, "")
    assert [path.name for path in (platforms / "doejane_55").iterdir()] == ["minirecon"]
    assert found["doejane_55_901_handout.zip"].folder
    assert found["roejim_56"][1:] == ("", "roejim", "56")


def test_an_archive_writes_nowhere_else(tmp_path):
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as file:
        file.writestr("../../minirecon/mlp.py", "x")
        file.writestr(str(tmp_path / "minirecon/kkt.py"), "x")
    (tmp_path / "scratch").mkdir()
    collect.unpack(tmp_path / "a.zip", [], tmp_path / "scratch")
    assert len(list((tmp_path / "scratch").rglob("*.py"))) == 2
    assert sorted(each.name for each in tmp_path.iterdir()) == ["a.zip", "scratch"]


@pytest.mark.parametrize(("number", "size"), [(collect.MOST[0] + 1, 1), (65, 2**20)])
def test_an_archive_that_is_too_large_is_not_unpacked(tmp_path, number, size):
    with zipfile.ZipFile(tmp_path / "a.zip", "w", zipfile.ZIP_DEFLATED) as file:
        for k in range(number):
            file.writestr(f"minirecon/{k}.py", bytes(size))
    (tmp_path / "scratch").mkdir()
    with pytest.raises(ValueError, match=r"files of \d+ bytes in a\.zip; expected 2000 of 67108864"):
        collect.unpack(tmp_path / "a.zip", [], tmp_path / "scratch")
    assert not list((tmp_path / "scratch").rglob("*.py"))


def test_where_a_mistake_stands(tmp_path):
    r"""The line is that of the file, whatever is broken beside it; of a missing function a notebook may have it."""
    lines = GATE.split("\n")
    at = next(k for k, line in enumerate(lines) if "if alpha is None else" in line)
    submission(tmp_path / "a", TASK.path, "\n".join([*lines[:at], "    return (z > ", *lines[at + 1 :]]))
    folder = tmp_path / "a" / "minirecon"
    text, said = grading.read(folder, TASK, GATE)
    assert text is None
    assert said == f"minirecon/mlp.py, line {at + 1}: '(' was never closed"
    (tmp_path / "a" / "answers.ipynb").write_bytes(content(tmp_path, "mlp", NOTEBOOK))
    assert grading.read(folder, TASK, GATE)[1] is None


def test_partial_points():
    r"""None without the first test; else the share of the tests, in halves, rounded down; none for what is not fair."""
    names = ("a", "b", "c")

    def share(failed, **more):
        return examiner.Verdict(**{"passed": False, "failed": failed, "tests": names, "fair": True, **more}).share

    assert share({}, passed=True) == 1
    assert share({"a": ""}) == 0
    assert share({"c": ""}, fair=False) == 0
    assert [grading.points(TASKS["1.2"], share(dict.fromkeys(failed, ""))) for failed in ("b", "bc")] == [3, 1.5]
    assert [grading.points(TASKS["1.2"], value) for value in (1, 0.999, 0)] == [5, 4.5, 0]


def test_a_name_is_no_formula(tmp_path):
    entry = {"student": "=1+1", "id": "", "points": 0, "remark": "", "tasks": {}}
    grading.write({"of": 0, "submissions": {"-x": entry}}, tmp_path)
    assert "'-x,'=1+1," in (tmp_path / "grades.csv").read_text()


def test_the_gradescope_autograder_runs(tmp_path):
    r"""As Gradescope lays it out: source/, run_autograder beside it, submission/, results/."""
    export.export("gradescope", tmp_path / "source", ROOT, 1)
    shutil.copy(tmp_path / "source" / "run_autograder", tmp_path)
    assert not list((tmp_path / "source").rglob("*.npz"))
    for name in ("setup.sh", "run_autograder"):
        assert os.access(tmp_path / "source" / name, os.X_OK)
        subprocess.run(["bash", "-n", tmp_path / "source" / name], check=True)
    needed = (tmp_path / "source" / "requirements.txt").read_text().splitlines()
    assert {"pytest", "hypothesis"} <= set(needed)
    assert any(line.startswith("autograd") for line in needed)
    submission(tmp_path / "submission", TASK.path, GATE.replace("z > 0).astype(z.dtype)", "z > 0).astype(float)"))
    command, environment = [tmp_path / "run_autograder"], {**os.environ, "PYTHON": sys.executable}
    subprocess.run(command, env=environment, capture_output=True, check=True, cwd="/")
    found = json.loads((tmp_path / "results" / "results.json").read_text())
    assert found.keys() == {"score", "output", "stdout_visibility", "tests"}
    assert found["score"] == 24
    assert [test["number"] for test in found["tests"]] == [number for number in TASKS if number[0] == "1"]
    for test in found["tests"]:
        assert test.keys() == {"name", "number", "score", "max_score", "visibility", "status", "output"}
        assert 0 <= test["score"] <= test["max_score"]
        assert test["visibility"] in ("hidden", "after_due_date", "after_published", "visible")
        assert test["status"] == ("passed" if test["score"] == test["max_score"] else "failed")
    assert "the type of gate is float64, expected float32" in found["tests"][0]["output"]
    shutil.rmtree(tmp_path / "submission")
    (tmp_path / "submission").mkdir()
    subprocess.run(command, env=environment, capture_output=True, check=True)
    found = json.loads((tmp_path / "results" / "results.json").read_text())
    assert found["score"] == 0
    assert "no folder minirecon/ in it" in found["output"]


def test_the_workflow_of_classroom(tmp_path, capsys):
    out = tmp_path / "out"
    assert cli.main(["course", "export", "classroom", str(out), "--assignment", "1"]) == 0
    assert [path.name for path in out.rglob("*") if path.is_file()] == ["classroom.yml"]
    ours = [task for number, task in TASKS.items() if number[0] == "1"]
    text = (out / ".github/workflows/classroom.yml").read_text()
    ids = [f"task-{task.id.replace('.', '-')}" for task in ours]
    assert re.findall(r"^      id: (.+)$", text, re.MULTILINE) == ids
    assert re.findall(r"^        command: python -m minirecon course check (.+)$", text, re.MULTILINE) == [
        t.id for t in ours
    ]
    assert [int(number) for number in re.findall(r"max-score: (\d+)", text)] == [task.points for task in ours]
    for name in ids:
        assert f'        {name.upper()}_RESULTS: "${{{{steps.{name}.outputs.result}}}}"\n' in text
    assert text.endswith(f"        runners: {','.join(ids)}\n")
    assert cli.main(["course", "export", "classroom", str(out)]) == 2
    assert capsys.readouterr().err.endswith("out: is there already; expected a new folder\n")
