r"""Coursework: a class, graded. No part of the paper.

Each task is graded on its own: the student's function in the reference's package (`submission`), tried by the
reference's tests (`examiner`). So one mistake costs one task.
"""

import contextlib
import csv
import io
import json
import sys
import tempfile
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from pathlib import Path

from ..io.files import write_text
from ..io.progress import progress_line
from .examiner import Examiner, Verdict
from .handout import check_solved, load_tasks, write_files
from .submission import read, submissions, take

WAITING = Verdict(False, "not graded yet")


def grade(path, root, assignment=None, seconds=60, jobs=None, progress=False, save=lambda grades: None):
    r"""Grade a submission, or all in a folder.

    Parameters
    ----------
    path : Path, a student's copy of the handout, which holds minirecon/; or a folder of such folders, a class
    root : Path, the repository's checkout, from which the tests and all other functions are taken
    assignment : int, grade its tasks alone; None: all
    seconds : float, time limit of one task;  jobs : int, tasks at a time; None: one on each core
    progress : bool, show a progress line
    save : function, called about once a second with what is known by then: points still to come are None

    Returns
    -------
    dict, what goes into grades.json: for each submission its points, a remark if it could not be read and, for each
    task, points, reason and the messages of the tests that failed

    Raises
    ------
    ValueError : nothing to grade, no such assignment, or a reference that does not pass its own tests here
    """
    tasks, _ = load_tasks(root)
    chosen = [task for task in tasks if assignment is None or task.id.split(".")[0] == str(assignment)]
    for name, value in (("jobs", 1 if jobs is None else jobs), ("seconds", seconds)):
        if not value > 0:
            raise ValueError(f"{name} = {value}: expected a positive number")
    if not chosen:
        raise ValueError(f"assignment {assignment}: expected one of {', '.join(sorted({t.id[0] for t in tasks}))}")
    check_solved(root, chosen)
    # All is read before anything runs: what a submission deletes, it deletes too late.
    files = {file.relative_to(root): file.read_bytes() for file in (root / "minirecon").rglob("*.py")}
    names = {Path(test.split("::")[0]) for task in tasks for test in task.tests}
    for file in (*names, "pyproject.toml", "tests/conftest.py", "tests/strategies.py"):
        files[Path(file)] = (root / file).read_bytes()
    source = {task: files[Path("minirecon", task.path)].decode() for task in chosen}
    own = {task: take(source[task], task, source[task]) for task in chosen}
    entries = {name: (folder, {}) for name, folder in submissions(path, [task.path for task in chosen]).items()}
    for folder, entry in entries.values():
        for task in chosen:
            entry[task] = (None, folder) if isinstance(folder, str) else read(folder, task, source[task])
    done, watched = {}, [root / file for file in files]
    before = _times(watched)

    def now():
        changed = sorted({str(file) for file, _ in before.items() ^ _times(watched).items()})
        rows = {name: _row(*entry, done) for name, entry in entries.items()}
        return {"reference": str(root), "changed": changed, "of": sum(t.points for t in chosen), "submissions": rows}

    options = (files, seconds, jobs, progress)
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


def _row(folder, entry, done):
    r"""A submission's row as far as it is graded."""
    rows = {}
    for task, (text, reason) in entry.items():
        verdict = done.get((task, text), WAITING) if text else Verdict(False, reason)
        points = None if verdict is WAITING else task.points * verdict.passed
        row = {"function": task.function, "points": points, "of": task.points}
        rows[task.id] = {**row, "reason": verdict.reason, "failed": verdict.failed}
    remark = folder if isinstance(folder, str) else ""
    return {"points": sum(row["points"] or 0 for row in rows.values()), "remark": remark, "tasks": rows}


def _times(files):
    r"""When some files were changed, and those that Python reads at its next start: a dict."""
    more = [file for folder in sys.path for ending in ("*.pth", "*.py") for file in Path(folder).glob(ending)]
    times = {}
    for file in (*files, *more):
        with contextlib.suppress(OSError):  # it is gone
            times[file] = file.lstat().st_mtime_ns
    return times


def _run(todo, done, files, seconds, jobs, progress, save=lambda: None):
    r"""Judge modules side by side, each in a copy of the reference: `done`, a dict (task, module): Verdict, grows."""
    from joblib import cpu_count

    jobs, remaining = jobs or cpu_count(), iter(todo)

    def work(examine):
        for task, text, expected in remaining:  # each thread takes the next one
            with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
                write_files(Path(folder), {**files, Path("minirecon", task.path): text.encode()})
                done[task, text] = examine(folder, task.tests, seconds, "grading", expected)
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
    r"""Write grades.json, and grades.csv with one row a submission, both whole or not at all."""
    out.mkdir(parents=True, exist_ok=True)
    file = io.StringIO()
    table = csv.writer(file)
    for student, entry in grades["submissions"].items():
        if not file.tell():
            table.writerow(["submission", *entry["tasks"], "points", "of", "remark"])
        points = [row["points"] for row in entry["tasks"].values()]
        table.writerow([student, *points, entry["points"], grades["of"], entry["remark"]])
    texts = {"grades.json": json.dumps(grades, indent=1, ensure_ascii=False) + "\n", "grades.csv": file.getvalue()}
    for name, text in texts.items():
        write_text(out / name, text.encode("utf-8", "backslashreplace").decode())  # names of folders are any bytes
