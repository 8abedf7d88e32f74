r"""Coursework: a class, graded. No part of the paper.

Each task is graded on its own: the student's function in the reference's package, tried by the reference's tests
(`examiner`). So one mistake costs one task. Of a submission nothing else is run: the listed functions are taken out
by their syntax trees, with those of the module's new helpers that they use.
"""

import ast
import contextlib
import csv
import functools
import json
import re
import tempfile
import warnings
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from ..io.files import atomic, write_text
from ..io.progress import progress_line
from .examiner import Examiner, Verdict
from .handout import check_solved, definition, load_tasks, write_files

LARGEST = 2**20  # bytes of a module that is worth reading
# What a solution has no business with: the tests' tools, and the caller's variables.
REFUSED = {"pytest", "_pytest", "hypothesis", "unittest", "inspect", "gc", "_getframe", "strategies"}


@functools.cache
def take(source, task, reference):
    r"""Put one function of a student's module into the reference's, with the new helpers that it uses.

    Parameters
    ----------
    source, reference : str, the module of the student and of the reference
    task : Task

    Returns
    -------
    str, the module to be graded

    Raises
    ------
    ValueError : no such function, another signature, not written, or it uses what a solution has no business with
    SyntaxError : as Python says it
    """
    try:
        module = ast.parse(source)
    except SyntaxError:  # perhaps of another function
        module = ast.parse(_alone(source, task.name))
    tree = ast.parse(reference)
    theirs, own = definition(module, task.name), definition(tree, task.name)
    if _parameters(theirs) != _parameters(own):
        raise ValueError(f"parameters {_parameters(theirs)}; expected {_parameters(own)}")
    body = theirs.body[ast.get_docstring(theirs) is not None :]
    if ast.unparse(body) == ast.unparse(ast.parse(task.stub)):
        raise ValueError("not written yet")
    own.body = [own.body[0], *body]
    helpers = _helpers(module, tree, body)
    if refused := _words([*body, *helpers]) & REFUSED:
        raise ValueError(f"uses {', '.join(sorted(refused))}; expected a solution that does not")
    at = tree.body.index(own)
    tree.body[at:at] = helpers
    text = ast.unparse(ast.fix_missing_locations(tree))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        compile(text, task.path, "exec")
    return text


def _alone(source, name):
    r"""The lines of one function, for a module that can't be parsed as a whole."""
    found = list(re.finditer(rf"^def {name}\b.*\n(?:(?![\w@#\"']).*\n?)*", source, re.MULTILINE))
    if not found:
        raise ValueError(f"no function {name}")
    return found[-1].group()


def _parameters(node):
    args = node.args
    return [each.arg for each in (*args.posonlyargs, *args.args, args.vararg, *args.kwonlyargs, args.kwarg) if each]


def _helpers(module, tree, body):
    r"""Functions, imports and constants of a student's module which the reference's lacks and `body` needs."""
    known = {name for part in tree.body for name in _bound(part)}
    new = {name: one for part in module.body for name, one in _bound(part).items() if name not in known}
    needed, words = [], _words(body)
    while more := [name for name in new if name in words and name not in needed]:
        needed += more
        words |= _words([new[name] for name in more])
    return [one for name, one in new.items() if name in needed]


def _bound(statement):
    r"""The names that a top-level statement binds, each with a statement that binds it alone: a dict."""
    if isinstance(statement, (ast.FunctionDef, ast.ClassDef)):
        return {statement.name: statement}
    if isinstance(statement, ast.Assign):
        return {node.id: statement for node in ast.walk(statement) if isinstance(getattr(node, "ctx", None), ast.Store)}
    if isinstance(statement, (ast.Import, ast.ImportFrom)):
        more = {"module": statement.module, "level": statement.level} if isinstance(statement, ast.ImportFrom) else {}
        alone = {each: type(statement)(names=[each], **more) for each in statement.names}
        return {each.asname or each.name.split(".")[0]: one for each, one in alone.items()}
    return {}


def _words(statements):
    return set(re.findall(r"\w+", "\n".join(ast.unparse(part) for part in statements)))


def grade(path, root, assignment=None, seconds=60, jobs=None, progress=False):
    r"""Grade a submission, or all in a folder.

    Parameters
    ----------
    path : Path, a student's copy of the handout, which holds minirecon/; or a folder of such folders, a class
    root : Path, the repository's checkout, from which the tests and all other functions are taken
    assignment : int, grade its tasks alone; None: all
    seconds : float, time limit of one task;  jobs : int, tasks at a time; None: one on each core
    progress : bool, show a progress line

    Returns
    -------
    dict, what goes into grades.json: for each submission its points and, for each task, points, reason and the
    messages of the tests that failed

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
    own = {task: ast.unparse(ast.parse(files[Path("minirecon", task.path)])) for task in chosen}
    folders = _submissions(path).items()
    entries = {name: {task: _read(folder, task, own[task]) for task in chosen} for name, folder in folders}
    done = _run([(task, own[task], None) for task in chosen], files, seconds, jobs, progress)
    for task in chosen:
        if not (verdict := done[task, own[task]]).passed:
            raise ValueError(f"the reference itself fails task {task.id} here ({verdict.reason}); expected it to pass")
    todo = {(task, text) for entry in entries.values() for task, (text, _) in entry.items() if text} - done.keys()
    todo = sorted(todo, key=lambda pair: chosen.index(pair[0]))
    done |= _run([(*pair, done[pair[0], own[pair[0]]].tests) for pair in todo], files, seconds, jobs, progress)
    grades = {}
    for name, entry in entries.items():
        rows = {}
        for task, (text, reason) in entry.items():
            verdict = done[task, text] if text else Verdict(False, reason)
            row = {"function": task.function, "points": task.points * verdict.passed, "of": task.points}
            rows[task.id] = {**row, "reason": verdict.reason, "failed": verdict.failed}
        grades[name] = {"points": sum(row["points"] for row in rows.values()), "tasks": rows}
    return {"reference": str(root), "of": sum(task.points for task in chosen), "submissions": grades}


def _submissions(path):
    if (path / "minirecon").is_dir():
        return {path.resolve().name: path}
    folders = {each.name: each for each in sorted(path.iterdir()) if each.is_dir() and not each.name.startswith(".")}
    if not any((folder / "minirecon").is_dir() for folder in folders.values()):
        raise ValueError(f"{path}: expected a folder that holds minirecon/, or a folder of such folders")
    return folders


def _read(folder, task, reference):
    r"""The module to be graded, and None; or None, and the reason why there is none."""
    file = folder / "minirecon" / task.path
    try:
        if not file.is_file() or file.stat().st_size > LARGEST:
            return None, f"no minirecon/{task.path}, or one beyond {LARGEST} bytes"
        return take(file.read_text(encoding="utf-8-sig"), task, reference), None
    except (SyntaxError, ValueError, OSError, RecursionError, MemoryError) as error:
        return None, f"minirecon/{task.path}: {error or type(error).__name__}"


def _run(todo, files, seconds, jobs, progress):
    r"""Judge modules side by side, each in a copy of the reference: a dict (task, module): Verdict."""
    from joblib import cpu_count

    jobs, remaining, done = jobs or cpu_count(), iter(todo), {}

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
        threads = [pool.submit(work, examiners.enter_context(Examiner())) for _ in range(jobs)]
        try:
            for thread in threads:
                thread.result()
        finally:
            list(remaining)  # after Ctrl-C there is no next one
    return done


def write(grades, out):
    r"""Write grades.json, and grades.csv with one row a submission, both whole or not at all."""
    out.mkdir(parents=True, exist_ok=True)
    write_text(out / "grades.json", json.dumps(grades, indent=1, ensure_ascii=False) + "\n")
    with atomic(out / "grades.csv") as name, open(name, "w", newline="", encoding="utf-8") as file:
        rows = csv.writer(file)
        for student, entry in grades["submissions"].items():
            if file.tell() == 0:
                rows.writerow(["submission", *entry["tasks"], "points", "of"])
            rows.writerow([student, *(t["points"] for t in entry["tasks"].values()), entry["points"], grades["of"]])
