r"""Plants the mistakes of planted.toml, grades them, and writes their table and hints: python tests/planted.py"""

import json
import shutil
import sys
import tempfile
from pathlib import Path

from minirecon.course import grading, handout, hints

try:
    import tomllib
except ImportError:  # Python 3.10
    import tomli as tomllib

ROOT = Path(__file__).parent.parent
TABLE = ROOT / "docs" / "assignments" / "planted.md"
MISTAKES = tomllib.loads(Path(__file__).with_suffix(".toml").read_text(encoding="utf-8"))["mistake"]
HEAD = """# Planted mistakes

Each is put into the solution, and the whole is graded as a student's submission would be. A mistake has to cost the
points of its own task, or some of them, and no others. The table is written by `python tests/planted.py`, and a test
repeats it: it checks the tests as much as the grader.

| task | function | mistake | its own task | all others | caught by |
|---|---|---|---|---|---|
"""


def edit(source, task, old, new):
    r"""A module with one place of one function changed; AssertionError if that is not one place."""
    lines = source.splitlines(keepends=True)
    _, body = handout.cut(source, task)
    text = "".join(body)
    assert text.count(old) == 1, f"{task.function}: {old!r} stands there {text.count(old)} times"
    assert "".join(lines).count(text) == 1
    return "".join(lines).replace(text, text.replace(old, new))


def submission(folder, path, source):
    r"""A student's folder: the reference, with one module of its own."""
    shutil.copytree(ROOT / "minirecon", folder / "minirecon", ignore=shutil.ignore_patterns("__pycache__", "data"))
    (folder / "minirecon" / path).write_text(source, encoding="utf-8")


def plant(folder):
    r"""One submission for each mistake, named by its number."""
    tasks = {task.id: task for task in handout.load_tasks(ROOT)[0]}
    for number, mistake in enumerate(MISTAKES):
        task = tasks[mistake["task"]]
        source = (ROOT / "minirecon" / task.path).read_text(encoding="utf-8")
        submission(folder / f"planted-{number:03}", task.path, edit(source, task, mistake["old"], mistake["new"]))


def table(grades):
    r"""The table as Markdown, of the grades of what `plant` wrote."""
    rows = []
    for number, mistake in enumerate(MISTAKES):
        tasks = grades["submissions"][f"planted-{number:03}"]["tasks"]
        own = tasks[mistake["task"]]
        others = [row for key, row in tasks.items() if key != mistake["task"]]
        points, of = (sum(row[key] for row in others) for key in ("points", "of"))
        caught = ", ".join(f"`{key.split('::')[1]}`" for key in sorted(own["failed"]) if "hidden" not in key)
        cells = [mistake["task"], f"`{own['function']}`", mistake["name"], f"{own['points']} of {own['of']}"]
        rows.append(" | ".join([*cells, f"{points} of {of}", caught or "what the grader alone tries"]))
    return HEAD + "".join(f"| {row} |\n" for row in rows)


def fingerprints(grades):
    r"""How each mistake fails that the handout's tests see, as JSON: for each task a dict hash: name."""
    tasks, found = {task.id: task for task in handout.load_tasks(ROOT)[0]}, {}
    for number, mistake in enumerate(MISTAKES):
        task = tasks[mistake["task"]]
        failed = grades["submissions"][f"planted-{number:03}"]["tasks"][task.id]["failed"]
        if failed.keys() & set(task.tests):
            names = found.setdefault(task.id, {}).setdefault(hints.fingerprint(task, failed), [])
            names.append(mistake["name"])
    text = {task: {key: "; or ".join(names) for key, names in sorted(each.items())} for task, each in found.items()}
    return json.dumps(text, indent=1, ensure_ascii=False, sort_keys=True) + "\n"


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        plant(Path(folder))
        graded = grading.grade(Path(folder), ROOT, progress=True)
    TABLE.write_text(table(graded), encoding="utf-8")
    (ROOT / hints.TABLE).write_text(fingerprints(graded), encoding="utf-8")
    print(f"wrote {TABLE} and {ROOT / hints.TABLE}", file=sys.stderr)
