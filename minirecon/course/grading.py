r"""Coursework: a class, graded. No part of the paper.

Each task is graded on its own: the student's function in the reference's package (`submission`), tried by the
reference's tests (`examiner`). So one mistake costs one task.
"""

import contextlib
import csv
import io
import json
import math
import re
import sys
import tempfile
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from pathlib import Path

from ..io.files import write_text
from ..io.progress import progress_line
from .collect import submissions
from .examiner import Examiner, Verdict
from .handout import check_solved, load_tasks, of_assignment, write_files
from .submission import read, take

WAITING = Verdict(False, "not graded yet")
HIDDEN = Path("tests/test_hidden.py")  # which the handout lacks
# What is needed beside the package and the files of the tasks' tests; the hidden ones import test_tasks.
BESIDE = "pyproject.toml", "tests/conftest.py", "tests/strategies.py", "tests/test_tasks.py"


def grade(path, root, assignment=None, seconds=60, jobs=None, progress=False, save=lambda grades: None):
    r"""Grade a submission, or all in a folder.

    Parameters
    ----------
    path : Path, a student's copy of the handout, which holds minirecon/; a class, a folder of such folders or
        archives; or a zip of any of them, such as Moodle's and Canvas's
    root : Path, the repository's checkout, from which the tests and all other functions are taken
    assignment : int, grade its tasks alone; None: all
    seconds : float, time limit of one task;  jobs : int, tasks at a time; None: one on each core
    progress : bool, show a progress line
    save : function, called about once a second with what is known by then: points still to come are None

    Returns
    -------
    dict, what goes into grades.json: for each submission the student, points, a remark if it could not be read and, for
    each task, points, reason and the messages of the tests that failed. Points of what could not be read are None

    Raises
    ------
    ValueError : nothing to grade, no such assignment, or a reference that does not pass its own tests here
    """
    tasks, _ = load_tasks(root)
    chosen = of_assignment(tasks, assignment)
    for name, value in (("jobs", 1 if jobs is None else jobs), ("seconds", seconds)):
        if not value > 0:
            raise ValueError(f"{name} = {value}: expected a positive number")
    check_solved(root, chosen)
    # All is read before anything runs: what a submission deletes, it deletes too late.
    files = {file.relative_to(root): file.read_bytes() for file in (root / "minirecon").rglob("*.py")}
    tests = {task: [*task.tests, *hidden(root, task)] for task in chosen}
    for file in (*(test.split("::")[0] for each in tests.values() for test in each), *BESIDE):
        files[Path(file)] = (root / file).read_bytes()
    source = {task: files[Path("minirecon", task.path)].decode() for task in chosen}
    own = {task: take(source[task], task, source[task]) for task in chosen}
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as scratch:
        entries = {
            name: (each, {t: read(each.folder, t, source[t]) if each.folder else (None, each.remark) for t in chosen})
            for name, each in submissions(path, [task.path for task in chosen], Path(scratch)).items()
        }
    done, watched = {}, [root / file for file in files]
    before = _times(watched)

    def now():
        changed = sorted({str(file) for file, _ in before.items() ^ _times(watched).items()})
        rows = {name: _row(*entry, done) for name, entry in entries.items()}
        return {"reference": str(root), "changed": changed, "of": sum(t.points for t in chosen), "submissions": rows}

    options = (files, tests, seconds, jobs, progress)
    _run([(task, own[task], None) for task in chosen], done, *options)
    for task in chosen:
        if not (verdict := done[task, own[task]]).passed:
            raise ValueError(f"the reference itself fails task {task.id} here ({verdict.reason}); expected it to pass")
    save(now())
    todo = {(task, text) for _, entry in entries.values() for task, (text, _) in entry.items() if text} - done.keys()
    todo = [(task, text, done[task, own[task]].tests) for task, text in sorted(todo, key=lambda pair: pair[0].id)]
    with contextlib.suppress(KeyboardInterrupt):  # what was graded by then is kept
        _run(todo, done, *options, lambda: save(now()))
    return now()


def hidden(root, task):
    r"""Names of the tests that a task has beside those of the handout: the same with other arguments, and its own."""
    if not (root / HIDDEN).is_file():
        return []
    own = re.findall(rf"^def (test_{task.id.replace('.', '_')}_\w+)", (root / HIDDEN).read_text("utf-8"), re.MULTILINE)
    again = [test.split("::")[1] for test in task.tests if test.startswith("tests/test_tasks.py::")]
    return [f"{HIDDEN.as_posix()}::{name}" for name in (*(f"test_again[{name}]" for name in again), *own)]


def points(task, share):
    r"""A share of a task's points, in halves, rounded down; a whole number is an int."""
    halves = math.floor(2 * task.points * share + 1e-9)
    return halves // 2 if halves % 2 == 0 else halves / 2


def _row(each, entry, done):
    r"""A submission's row as far as it is graded. What could not be read has no points: that is not 0 of them."""
    rows = {}
    for task, (text, reason) in entry.items():
        verdict = done.get((task, text), WAITING) if text else Verdict(False, reason)
        unknown = verdict is WAITING or verdict.reason.startswith("not read")
        row = {"function": task.function, "points": None if unknown else points(task, verdict.share), "of": task.points}
        rows[task.id] = {**row, "reason": verdict.reason, "failed": verdict.failed}
    found = [row["points"] for row in rows.values() if row["points"] is not None]
    unread = [row["reason"] for row in rows.values() if row["reason"].startswith("not read")]
    total = sum(found) if found or not unread else None
    remark = each.remark or next(iter(unread), "")
    return {"student": each.student, "id": each.id, "points": total, "remark": remark, "tasks": rows}


def _times(files):
    r"""When some files were changed, and those that Python reads at its next start: a dict."""
    more = [file for folder in sys.path for ending in ("*.pth", "*.py") for file in Path(folder).glob(ending)]
    times = {}
    for file in (*files, *more):
        with contextlib.suppress(OSError):  # it is gone
            times[file] = file.lstat().st_mtime_ns
    return times


def _run(todo, done, files, tests, seconds, jobs, progress, save=lambda: None):
    r"""Judge modules side by side, each in a copy of the reference: `done`, a dict (task, module): Verdict, grows."""
    from joblib import cpu_count

    jobs, remaining = jobs or cpu_count(), iter(todo)

    def work(examine):
        for task, text, expected in remaining:  # each thread takes the next one
            with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
                write_files(Path(folder), {**files, Path("minirecon", task.path): text.encode()})
                done[task, text] = examine(folder, tests[task], seconds, expected)
            bar.update(1)

    with (
        progress_line(len(todo), "grade", progress) as bar,
        ThreadPoolExecutor(jobs) as pool,
        contextlib.ExitStack() as examiners,
    ):
        pending = [pool.submit(work, examiners.enter_context(Examiner())) for _ in range(jobs)]
        try:
            while pending:
                finished, pending = wait(pending, 1, FIRST_EXCEPTION)
                for thread in finished:
                    thread.result()
                with contextlib.suppress(OSError):  # a disk that is full now may not be so at the end
                    save()
        finally:
            list(remaining)  # after Ctrl-C there is no next one


def write(grades, out):
    r"""Write grades.json, and grades.csv with one row a submission, both whole or not at all.

    The table has each task's points and, beside them, how many there are; and why some are missing, as feedback.
    """
    out.mkdir(parents=True, exist_ok=True)
    file = io.StringIO()
    table = csv.writer(file)
    for name, entry in grades["submissions"].items():
        if not file.tell():
            each = [name for task in entry["tasks"] for name in (task, f"{task} of")]
            table.writerow(["submission", "student", "id", *each, "points", "of", "remark", "feedback"])
        each = [row[name] for row in entry["tasks"].values() for name in ("points", "of")]
        line = [name, entry["student"], entry["id"], *each, entry["points"], grades["of"], entry["remark"]]
        table.writerow([_plain(cell) for cell in (*line, feedback(entry))])
    texts = {"grades.json": json.dumps(grades, indent=1, ensure_ascii=False) + "\n", "grades.csv": file.getvalue()}
    for name, text in texts.items():
        write_text(out / name, text.encode("utf-8", "backslashreplace").decode())  # names of folders are any bytes


def feedback(entry):
    r"""Why points are missing, in one line: each task, its points, and the reason."""
    rows = entry["tasks"].items()
    lost = [(number, row) for number, row in rows if row["reason"] and row["reason"] != entry["remark"]]
    return "; ".join(f"{number} ({row['points']} of {row['of']}): {row['reason']}" for number, row in lost)


def _plain(cell):
    r"""A cell that no spreadsheet takes for a formula."""
    return f"'{cell}" if isinstance(cell, str) and cell.startswith(("=", "+", "-", "@")) else cell
