r"""Coursework: what the handout hides, what check says, and that grading can't be talked into points.

The whole class is graded once: the reference, the bare handout, every planted mistake, every cheat. So these tests
run in one process (conftest.py).
"""

import ast
import csv
import json
import os
import re
import shutil
import subprocess
import time
from pathlib import Path

import planted
import pytest
from cheats import CHEATS, GATE, HONEST, ON_IMPORT, RIGHT, TASKS, TOTAL, reference, with_body, with_module
from planted import MISTAKES, ROOT

from minirecon import cli, course
from minirecon.course import examiner, grading, handout, submission


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    r"""The handout, as students get it."""
    out = tmp_path_factory.mktemp("course") / "a handout"
    handout.handout(out, ROOT)
    return out


@pytest.fixture(scope="module")
def grades(tmp_path_factory, folder):
    class_ = tmp_path_factory.mktemp("class")
    planted.plant(class_)
    gate = TASKS["1.1"]
    planted.submission(class_ / "reference", gate.path, reference(gate))
    shutil.copytree(folder, class_ / "handout", ignore=shutil.ignore_patterns("data"))
    for name, (body, _) in CHEATS.items():
        planted.submission(class_ / name, gate.path, with_body(GATE, gate, body))
    for name, (code, body, _) in ON_IMPORT.items():
        planted.submission(class_ / name, gate.path, with_module(code, body))
    for name, (code, body) in HONEST.items():
        planted.submission(class_ / name, gate.path, with_module(code, f"{body}\n{RIGHT}"))
    tests = class_ / "printed" / "tests"  # replaced tests
    tests.mkdir()
    (tests / "test_tasks.py").write_text("def test_gate(): pass\n\n\ndef test_gate_can_be_differentiated(): pass\n")
    (class_ / "nothing").mkdir()
    return grading.grade(class_, ROOT)


def test_the_reference_has_full_marks(grades):
    assert grades["of"] == TOTAL == 125
    entry = grades["submissions"]["reference"]
    assert entry["points"] == TOTAL
    assert all(row["reason"] == "" for row in entry["tasks"].values())


def test_each_planted_mistake_is_caught_by_its_own_task_and_no_other(grades):
    assert len(MISTAKES) >= 25
    assert {mistake["task"] for mistake in MISTAKES} == set(TASKS)
    for number, mistake in enumerate(MISTAKES):
        rows = grades["submissions"][f"planted-{number:03}"]["tasks"]
        failed = [task for task, row in rows.items() if row["points"] < row["of"]]
        assert failed == [mistake["task"]], mistake["name"]
        assert rows[mistake["task"]]["failed"], f"{mistake['name']}: no test failed, {rows[mistake['task']]['reason']}"
    expected = (ROOT / "docs/assignments/planted.md").read_text(encoding="utf-8")
    assert planted.table(grades) == expected, "expected: python tests/planted.py"
    expected = (ROOT / "docs/assignments/hints.json").read_text(encoding="utf-8")
    assert planted.fingerprints(grades) == expected, "expected: python tests/planted.py"


@pytest.mark.parametrize("name", CHEATS | ON_IMPORT)
def test_a_cheat_costs_its_own_task_and_no_other(grades, name):
    entry = grades["submissions"][name]
    row = entry["tasks"]["1.1"]
    assert row["points"] == 0
    assert re.search((CHEATS | ON_IMPORT)[name][-1], " ".join([row["reason"], *row["failed"].values()])), row
    assert entry["points"] == TOTAL - TASKS["1.1"].points


@pytest.mark.parametrize("name", HONEST)
def test_honest_work_loses_no_points(grades, name):
    entry = grades["submissions"][name]
    assert entry["points"] == TOTAL, entry["tasks"]["1.1"]


def test_what_was_not_handed_in_has_no_points(grades):
    for name, points, reason in (
        ("handout", 0, "not written yet"),
        ("nothing", None, "not read: no folder minirecon/"),
    ):
        entry = grades["submissions"][name]
        assert entry["points"] == points
        assert reason in entry["tasks"]["1.1"]["reason"]


def test_grades_are_written_whole(grades, tmp_path):
    grading.write(grades, tmp_path / "new" / "folder")
    out = tmp_path / "new" / "folder"
    assert json.loads((out / "grades.json").read_text()) == grades
    rows = list(csv.reader((out / "grades.csv").read_text().splitlines()))
    names = [name for task in TASKS for name in (task, f"{task} of")]
    assert rows[0] == ["submission", "student", "id", *names, "points", "of", "remark", "feedback"]
    assert [row[0] for row in rows[1:]] == list(grades["submissions"])
    full = [str(task.points) for task in list(TASKS.values())[1:] for _ in range(2)]
    row = next(row for row in rows if row[0] == "exit")
    assert row[:-1] == ["exit", "exit", "", "0", "2", *full, str(TOTAL - 2), str(TOTAL), ""]
    assert row[-1] == "1.1 (0 of 2): ended before the tests did, with status 0"
    assert sorted(path.name for path in out.iterdir()) == ["grades.csv", "grades.json"]


def test_an_endless_loop_is_ended_with_all_it_started(tmp_path):
    r"""A child that is busy for ever, and a parent that sleeps."""
    task, pid = TASKS["1.1"], tmp_path / "pid"
    body = (
        "import os, time\nchild = os.fork()\nwhile not child:\n    pass\n"
        f"with open({str(pid)!r}, 'w') as file:\n    file.write(str(child))\ntime.sleep(600)"
    )
    planted.submission(tmp_path, task.path, with_body(reference(task), task, body))
    shutil.copytree(ROOT / "tests", tmp_path / "tests", ignore=shutil.ignore_patterns("files"))
    with examiner.Examiner() as examine:
        assert examine(tmp_path, task.tests, 5) == (False, "took longer than 5 s", {}, (), False)
    for _ in range(100):  # on a busy machine a process that was killed takes a moment to go
        state = subprocess.run(["ps", "-o", "stat=", "-p", pid.read_text()], capture_output=True, text=True).stdout
        if state.strip()[:1] in ("", "Z"):  # gone, or dead and not yet buried
            return
        time.sleep(0.1)
    pytest.fail(f"still there: {state}")


def test_all_tests_of_the_handout_fail_with_not_implemented(folder):
    tests = [test for task in TASKS.values() for test in task.tests]
    with examiner.Examiner() as examine:
        verdict = examine(folder, tests, 120)
    assert set(verdict.failed) == set(verdict.tests)
    assert len(verdict.tests) >= len(tests)
    for task in TASKS.values():
        said = {message for name, message in verdict.failed.items() if name.split("[")[0] in task.tests}
        assert said == {f"NotImplementedError: Task {task.id}: {task.function}"}


def test_the_handout_keeps_signature_decorators_and_docstring_alone(folder):
    for task in TASKS.values():
        ours = handout.definition(ast.parse(reference(task)), task.name)
        text = (folder / "minirecon" / task.path).read_text(encoding="utf-8")
        theirs = handout.definition(ast.parse(text), task.name)
        assert ast.get_docstring(theirs) == ast.get_docstring(ours)
        assert ast.dump(theirs.args) == ast.dump(ours.args)
        assert [ast.dump(part) for part in theirs.decorator_list] == [ast.dump(part) for part in ours.decorator_list]
        assert ast.unparse(theirs.body[1:]) == ast.unparse(ast.parse(task.stub))
        lines = text.splitlines()
        assert lines[theirs.body[0].end_lineno : theirs.end_lineno] == [f"    {task.stub}"]  # no comment either
    names = {path.name for path in folder.rglob("*") if path.is_file()}
    assert {"README.md", "pyproject.toml", "tasks.toml", "test_tasks.py", "strategies.py", "mnist.npz"} <= names
    ours = (ROOT / handout.TASKS).read_text(encoding="utf-8")
    start, end = ours.index("# Lines of bookkeeping"), ours.index("[[task]]")
    assert (folder / handout.TASKS).read_text(encoding="utf-8") == ours[:start] + ours[end:]  # no lines of bodies
    assert handout.load_tasks(folder) == (handout.load_tasks(ROOT)[0], ())
    assert not names & {"instructor.md", "planted.md", "planted.toml", "planted.py", "test_course.py"}


COMMENTED = '''
@primitive
def f(x):
    r"""What it is."""
    # above
    y = x + 1  # beside
    return y
    # below

    # and further below


# of the next one
def g(x):
    r"""Another."""
    return x  # the same column
'''


def test_a_body_goes_with_all_its_comments():
    task = handout.Task("9.1", "m.f", 1, "", ())
    new, lines = handout.cut(COMMENTED, task)
    assert (
        new
        == COMMENTED[: COMMENTED.index("    # above")]
        + f"    {task.stub}\n"
        + COMMENTED[COMMENTED.index("\n\n# of the next") :]
    )
    assert len(lines) == 6
    second = task._replace(function="m.g")
    assert handout.cut(COMMENTED, second)[0].endswith(f'"""Another."""\n    {second.stub}\n')
    with pytest.raises(ValueError, match=r"m\.h: no docstring"):
        handout.cut("def h(x):\n    return x\n", task._replace(function="m.h"))


def test_which_lines_count_as_revealing():
    lines = [
        "    d = np.dot(d, w)  * s  # back through the weights of layer l\n",
        "    return d\n",
        "    else:\n",
        "    # no\n",
    ]
    assert handout.revealing(lines) == {"d = np.dot(d, w) * s", "# back through the weights of layer l"}


@pytest.fixture
def checkout(tmp_path):
    r"""A copy of what the handout is made of, without the data."""
    root = tmp_path / "checkout"
    for name in ("minirecon", "docs/assignments", "tests"):
        shutil.copytree(ROOT / name, root / name, ignore=shutil.ignore_patterns("__pycache__", "data", "files"))
    for name in ("pyproject.toml", "LICENSE"):
        shutil.copy(ROOT / name, root / name)
    return root


@pytest.mark.parametrize(
    ("path", "before", "line"),
    [
        ("docs/assignments/3-losses.md", "As in `", "beyond  =  x - onp.clip(x, low, high)` we"),
        (
            "docs/assignments/notes.txt",
            "",
            "def f():\n\tmisfit = mlp.subtract(params if target is None else target, explained)",
        ),
        ("minirecon/metrics.py", "# ", "log_sigmoid = -np.logaddexp(0, q)"),
        ("tests/strategies.py", "# ", "log of log(1 + e⁻q), which tends to −q where e⁻q is lost beside 1"),
        ("minirecon/mlp.py", "", "def old(d, layer, s):\n    d = np.dot(d, layer.weight) * s"),
    ],
)
def test_a_leak_leaves_nothing_written(checkout, tmp_path, path, before, line):
    handout.handout(tmp_path / "first", checkout)
    with (checkout / path).open("a", encoding="utf-8") as file:
        file.write(f"\n\n{before}{line}\n")
    there = sorted(tmp_path.iterdir())
    with pytest.raises(ValueError, match="1 lines of the solution stand in the handout; expected none") as caught:
        handout.handout(tmp_path / "second", checkout)
    assert path in str(caught.value)
    assert sorted(tmp_path.iterdir()) == there


def test_a_full_disk_leaves_nothing_written(checkout, tmp_path, monkeypatch):
    write, count = Path.write_bytes, []

    def full(path, content):
        count.append(path)
        if len(count) > 5:
            raise OSError(28, "No space left on device")
        return write(path, content)

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(OSError, match="No space left"):
        handout.handout(tmp_path / "out", checkout)
    assert [path.name for path in tmp_path.iterdir()] == ["checkout"]


def test_errors_name_what_is_wrong(checkout, folder, tmp_path):
    with pytest.raises(ValueError, match=r"checkout: is there already; expected a new folder"):
        handout.handout(checkout, ROOT)
    with pytest.raises(ValueError, match=r"task 1\.1 is not solved there; expected the repository's checkout"):
        handout.handout(tmp_path / "again", folder)
    with pytest.raises(ValueError, match=r"no docs/assignments/tasks\.toml in .*; expected to run in the repository's"):
        handout.home(tmp_path)
    with pytest.raises(
        ValueError,
        match=r"expected a folder that holds minirecon/, or a folder or zip of such folders; not read: no folder",
    ):
        grading.grade(tmp_path / "checkout" / "docs", checkout)
    with pytest.raises(ValueError, match="assignment 9: expected one of 1, 2, 3, 4, 5"):
        grading.grade(checkout, checkout, assignment=9)
    with pytest.raises(ValueError, match=r"task 1\.1 is not solved there"):
        grading.grade(checkout, folder, assignment=1)
    file = checkout / "tests" / "test_tasks.py"
    file.write_text(file.read_text().replace("def test_margins(", "def test_of_margins("))
    with pytest.raises(ValueError, match=r"the reference itself fails task 2\.1 here .*; expected it to pass"):
        grading.grade(checkout, checkout, assignment=2)
    path = checkout / handout.TASKS
    path.write_text(path.read_text().replace("points = 2", "pionts = 2", 1))
    with pytest.raises(ValueError, match=r"tasks\.toml: .*pionts.*; expected common = \[…\] and \[\[task\]\] with id"):
        handout.load_tasks(checkout)
    path.write_text(path.read_text().replace("pionts", "points").replace("mlp.gate", "mlp.goat"))
    with pytest.raises(ValueError, match="no function goat"):
        handout.load_tasks(checkout)


def taken(source):
    r"""The module with the function in it; and its parts: those of the reference, and the statements of `_hand_in`."""
    text = submission.take(source, TASKS["1.1"], GATE)
    *others, late = ast.parse(text).body
    return text, [ast.unparse(part) for part in others], [ast.unparse(part) for part in late.body]


def test_what_is_taken_of_a_submission():
    r"""The body, and what it needs of the module's new names; not the student's other changes."""
    body = "pi = HALF * 6\nreturn helper(z)"
    extra = (
        "import math as m, os\nfrom json import dumps, loads\nHALF = 0.5\nUNUSED = os.remove('x')\n\n\n"
        "def helper(z):\n    return inner(m.pi, loads)\n\n\ndef inner(*_):\n    return 1\n\n\n"
        "def unused():\n    pass\n\n\n"
    )
    source = (
        with_body(GATE, TASKS["1.1"], body)
        .replace("def gate(", extra + "def gate(")
        .replace("0.5 * alpha", "7 * alpha")
    )
    text, others, late = taken(source)
    ours = [ast.unparse(part) for part in ast.parse(GATE).body]
    changed = [number for number, part in enumerate(ours) if part != others[number]]
    assert [ours[number].split("\n")[0] for number in changed] == ["def gate(z, alpha=None):"]
    call = "    if '_handed_in' not in globals():\n        _hand_in()\n    return _handed_in(z, alpha)"
    assert others[changed[0]].endswith(call)
    assert [part.split("\n")[0] for part in late] == [
        "global _handed_in, HALF, helper, inner, loads, m", "import math as m", "from json import loads", "HALF = 0.5",
        "def helper(z):", "def inner(*_):", "def _handed_in(z, alpha):",
    ]  # fmt: skip
    assert late[-1].endswith("pi = HALF * 6\n    return helper(z)")
    assert "7 * alpha" not in text


def test_a_broken_function_leaves_the_others_of_its_file():
    broken = with_body(GATE, TASKS["1.3"], "d = (\n'''\n")
    assert taken(broken) == taken(GATE)
    with pytest.raises(SyntaxError):
        submission.take(broken, TASKS["1.3"], GATE)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("def gate(z, alpha=None):", "def gate(z):", r"parameters \['z'\]; expected \['z', 'alpha'\]"),
        ("def gate(", "def date(", "no function gate"),
        ("return (z > 0)", "return __import__('gc') or (z > 0)", "uses gc; expected a solution that does not"),
    ],
)
def test_what_is_not_taken(old, new, message):
    with pytest.raises(ValueError, match=message):
        taken(GATE.replace(old, new))


def test_files_that_are_none(tmp_path):
    task = TASKS["1.1"]
    file = tmp_path / "minirecon" / task.path
    file.parent.mkdir()
    os.mkfifo(file)  # reading it would never end
    assert submission.read(file.parent, task, GATE)[0] is None
    file.unlink()
    for content, reason in (
        (b"\xff\xfe", "no function gate"),
        (b"\xff", "invalid or missing encoding"),
        (b"x" * 2**21, "beyond"),
        (b"(" * 10**5, "mlp.py"),
        (b"\0", "null|function"),
    ):
        file.write_bytes(content)
        text, said = submission.read(file.parent, task, GATE)
        assert text is None
        assert re.search(reason, said)


def run(capsys, *args):
    status = cli.main(["course", *map(str, args)])
    return status, *capsys.readouterr()


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (
            "import nonesuch",
            "without the chapters: No module named 'nonesuch'; expected pip install \".[docs]\" before",
        ),
        ("raise SystemExit('docs/a.md:3: wrong')", "minirecon course: the chapters: docs/a.md:3: wrong"),
        ("raise SystemExit(3)", "build.py ended with status 3"),
    ],
)
def test_a_handout_says_in_one_line_why_it_has_no_chapters(checkout, tmp_path, monkeypatch, capsys, build, message):
    (checkout / "docs" / "build.py").write_text(build)
    monkeypatch.setattr(course, "PACKAGE", checkout)
    status, out, error = run(capsys, "handout", tmp_path / "mine")
    assert message in out + error
    assert (tmp_path / "mine").exists() == (status == 0) == ("import" in build)
    assert status == 0 or error.count("\n") == 1
    assert not (tmp_path / "mine" / "chapters").exists()


def test_the_verbs(folder, tmp_path, monkeypatch, capsys):
    r"""Hand out, check, get it wrong, get it right, have it graded."""
    monkeypatch.chdir(ROOT)  # an installed copy finds the assignments there
    status, out, _ = run(capsys, "handout", tmp_path / "mine")
    assert status == 0
    assert f"without the bodies of {len(TASKS)} functions" in out
    assert f"the chapters: {tmp_path / 'mine' / 'chapters' / 'index.html'}" in out
    assert "Your turn" in (tmp_path / "mine" / "chapters" / "02-mlp.html").read_text()
    mine, task = tmp_path / "mine", TASKS["1.1"]
    monkeypatch.chdir(mine)
    status, out, _ = run(capsys, "check", "1.1")
    assert status == 1
    assert "NotImplementedError: Task 1.1: mlp.gate" in out
    assert "Hint: " not in out
    file = mine / "minirecon" / task.path
    bare = file.read_text()
    file.write_text(bare.replace(task.stub, "return (z >= 0).astype(z.dtype) if alpha is None else sigmoid(z, alpha)"))
    status, out, _ = run(capsys, "check", "1.1")
    assert status == 1
    assert "Task 1.1: mlp.gate, 2 points: 1 of 3 tests failed" in out
    said = "  AssertionError: gate[0] is 1, expected 0: off by 1, tolerance 1e-10\n  with\n    z = array([0., 2.])\n"
    said += "    alpha = None\n  got\n    array([1., 1.])\n  expected\n    array([0., 1.])\n"
    assert f"test_gate\n{said}\nFor a hint: minirecon course check 1.1 --hint\n" in out
    assert "Hint: " not in out
    hint = "\nHint: Compare z with 0 for the plain ReLU;"
    for hints, ending in ((["--hint"], "\nFor another: check 1.1 --hint --hint\n"), (["--hint"] * 2, "")):
        _, out, _ = run(capsys, "check", "1.1", *hints)
        assert hint in out
        assert out.endswith(ending or "\nIt fails just as this mistake does: z = 0 counts as on.\n")
    file.write_text(bare.replace(task.stub, "return 2 * (z + nothing)"))
    status, out, _ = run(capsys, "check", "1.1")
    line = 1 + bare[: bare.index(task.stub)].count("\n")
    assert f"gate: NameError: name 'nothing' is not defined\n  mlp.py:{line}: return 2 * (z + nothing)\n" in out
    assert "test_gate\n" in out
    assert "test_gate_can_be_differentiated" not in out
    assert "\nOf its other tests 2 failed, which can earn nothing while this one fails.\n" in out
    file.write_text(bare.replace(task.stub, RIGHT))
    status, out, _ = run(capsys, "check", "1.1")
    assert (status, out) == (0, "Task 1.1: mlp.gate, 2 points: solved, 3 of 3 tests passed\n")
    status, out, _ = run(capsys, "check", "1")
    assert (status, out.splitlines()[0]) == (1, f"1.1  {'mlp.gate':28}    2 of 2  solved")
    assert out.splitlines()[1:3] == [
        f"{number}  {TASKS[number].function:28}    0 of {TASKS[number].points}  not written yet"
        for number in ("1.2", "1.3")
    ]
    assert out.endswith("[##..................] 2 of 25 points\n")
    assert run(capsys, "check")[1].endswith("2 of 125 points\n")
    file.write_text("import nonesuch\n" + bare)
    status, out, _ = run(capsys, "check", "1.1")
    assert status == 1
    assert "pytest ended with status 4: ModuleNotFoundError: No module named 'nonesuch'" in out
    file.write_text(bare.replace(task.stub, "return (z"))
    line = bare[: bare.index(task.stub)].count("\n") + 1
    status, _, err = run(capsys, "check", "2.1")
    assert status == 2
    assert f"minirecon/mlp.py, line {line}: '(' was never closed; until that is mended" in err
    file.write_text(bare.replace(task.stub, RIGHT))
    kkt = mine / "minirecon" / "kkt.py"
    kkt.write_text(kkt.read_text().replace(TASKS["2.1"].stub, "return y * mlp.forward(params, x)[0]"))
    status, out, _ = run(capsys, "check", "2.1")
    assert status == 1
    assert out.endswith("\n\nIt needs task 1.2, which is not written yet: first solve that.\n")
    assert "Hint" not in out
    monkeypatch.chdir(ROOT)
    status, out, err = run(capsys, "grade", mine, "--assignment", 1, "--out", tmp_path / "out")
    assert status == 0
    assert "mine" + " " * 36 + "    2 of 25 points" in out
    assert "  1.2 mlp.forward: minirecon/mlp.py: not written yet" in out
    assert "grade" in err
    assert json.loads((tmp_path / "out" / "grades.json").read_text())["submissions"]["mine"]["points"] == 2
    assert not list(mine.rglob("grades.*"))


def test_a_module_in_another_encoding_can_be_checked(checkout, monkeypatch, capsys):
    monkeypatch.chdir(checkout)
    file = checkout / "minirecon" / "mlp.py"
    latin = "# coding: latin-1\n# Müller\n" + GATE.encode("latin-1", "replace").decode("latin-1")
    file.write_bytes(latin.encode("latin-1"))
    status, out, err = run(capsys, "check", "1.1")
    assert (status, out, err) == (0, "Task 1.1: mlp.gate, 2 points: solved, 3 of 3 tests passed\n", "")
    kkt = checkout / "minirecon" / "kkt.py"
    kkt.write_text("x = (\n" + kkt.read_text())
    status, _, err = run(capsys, "check", "1.1")
    said = "minirecon/kkt.py, line 1: '(' was never closed; until that is mended no task can be tried"
    assert (status, err) == (2, f"minirecon course: {said}\n")
    kkt.write_bytes(b"x = 'M\xfcller'\n")
    status, _, err = run(capsys, "check", "1.1")
    assert status == 2
    assert err.startswith("minirecon course: minirecon/kkt.py, line 1: ")
    assert "until that is mended" in err
    kkt.write_text("")
    assert run(capsys, "check", "1.1") == (2, "", "minirecon course: minirecon/kkt.py: no function margins\n")


@pytest.mark.parametrize(
    ("args", "reason"),
    [
        (["check", "9.9"], "task 9.9: no such task; expected 1 to 5, or 1.1 to 5.5"),
        (["check", "4.7"], "task 4.7: graded by a person, not by tests; expected 1 to 5, or 1.1 to 5.5"),
        (["check", "1.1", "--seconds", "-1"], "seconds = -1.0: expected a positive number"),
        (["check", "1.1", "--seconds", "nan"], "seconds = nan: expected a positive number"),
        (["check", "1", "--hint"], "--hint: expected one task, as in check 1.1 --hint"),
        (["check", "--hint"], "--hint: expected one task, as in check 1.1 --hint"),
        (["export", "classroom", "out", "--assignment", "9"], "assignment 9: expected one of 1, 2, 3, 4, 5"),
    ],
)
def test_what_the_verbs_do_not_take(tmp_path, monkeypatch, capsys, args, reason):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(course, "PACKAGE", ROOT)
    assert run(capsys, *args) == (2, "", f"minirecon course: {reason}\n")
    assert not list(tmp_path.iterdir())


def test_the_help_says_that_this_is_no_sandbox(capsys):
    with pytest.raises(SystemExit):
        cli.main(["course", "grade", "--help"])
    said = " ".join(capsys.readouterr().out.split())
    assert "this is no sandbox for hostile code" in said
    assert "bubblewrap" in said


def test_links_of_the_assignments_resolve(folder):
    for page in [*(ROOT / "docs" / "assignments").glob("*.md"), *folder.rglob("*.md")]:
        for link in re.findall(r"\]\(([^)#]+)", page.read_text(encoding="utf-8")):
            if not link.startswith("https://"):
                assert (page.parent / link).exists(), f"{page}: {link}"
    assert "](https://arxiv.org/abs/2206.07758)" in (folder / "README.md").read_text(encoding="utf-8")


def test_the_assignments_list_their_tasks():
    for page in sorted((ROOT / "docs" / "assignments").glob("[1-5]-*.md")):
        rows = re.findall(r"\| (\d\.\d) \| `([\w.]+)` \| (\d+) \|", page.read_text(encoding="utf-8"))
        own = [task for task in TASKS.values() if task.id[0] == page.name[0]]
        assert rows == [(task.id, task.function, str(task.points)) for task in own]
        assert sum(task.points for task in own) == 25


def test_the_guide_counts_right():
    text = (ROOT / "docs" / "guide.md").read_text(encoding="utf-8")
    assert f"write {len(TASKS)} of the functions" in text
    assert f"[{len(MISTAKES)} planted mistakes]" in text
