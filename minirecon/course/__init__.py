r"""Coursework: what `minirecon course handout`, `check` and `grade` do and print. No part of the paper."""

import functools
import re
import textwrap
from pathlib import Path

from . import grading, handout, variant
from .chapters import FOLDER, website
from .examiner import Examiner

PACKAGE = Path(__file__).parent.parent.parent  # a checkout or a handout, unless this is an installed copy
NO_SANDBOX = (
    "A submission is run with limits of time and memory, in a process of its own, but this is no sandbox for "
    "hostile code: a function can read, change and delete whatever you can. For submissions you do not trust, run "
    "the command in one: bubblewrap, firejail, or a container without network."
)


def write_handout(args):
    r"""Write the students' copy."""
    with variant.checkout(handout.home(PACKAGE, Path.cwd()), args.variant) as root:
        site, lacks = website(root)
        count = handout.handout(Path(args.dir), root, site)
        tasks, _ = handout.load_tasks(root)
    print(f"minirecon course handout: wrote {args.dir}, without the bodies of {len(tasks)} functions")
    print(f"{count} lines were cut out, and none of them is left anywhere in it")
    print(f"without the chapters: {lacks}" if lacks else f"the chapters: {Path(args.dir) / FOLDER / 'index.html'}")


def check(args):
    r"""Run one task's tests on the functions where one stands, and say what failed; the exit status is then 1."""
    root = handout.home(Path.cwd(), PACKAGE)
    tasks, _ = handout.load_tasks(root)
    task = next((task for task in tasks if task.id == args.task), None)
    if task is None:
        raise ValueError(f"task {args.task}: no such task; expected one of {', '.join(task.id for task in tasks)}")
    with Examiner() as examine:
        verdict = examine(root, task.tests, args.seconds)
    total = len(verdict.tests)
    title = f"Task {task.id}: {task.function}, {task.points} points"
    if verdict.passed:
        print(f"{title}: solved, {total} of {total} tests passed")
        return 0
    print(f"{title}: {len(verdict.failed)} of {total} tests failed" if verdict.failed else f"{title}: {verdict.reason}")
    for message in dict.fromkeys(verdict.failed.values()):  # what several tests say is said once
        names = [name.split("::")[-1] for name, said in verdict.failed.items() if said == message]
        print("\n" + textwrap.fill(", ".join(names), 79))
        print(textwrap.indent("\n".join(_printable(line) for line in message.splitlines()), "  "))
    said = re.findall(r"^NotImplementedError: Task (\d+\.\d+)", "\n".join(verdict.failed.values()), re.MULTILINE)
    if earlier := [number for number in dict.fromkeys(said) if number != task.id]:
        print(f"\nIt needs task {', '.join(earlier)}, which is not written yet: first solve that.")
    else:
        print("\n" + textwrap.fill(f"Hint: {task.hint}", 79))
    return 1


def grade(args):
    r"""Grade a submission, or all in a folder; write grades.json and grades.csv as the verdicts come."""
    home, out = handout.home(PACKAGE, Path.cwd()), Path(args.out or "minirecon-out/grades")
    options = {"assignment": args.assignment, "seconds": args.seconds, "jobs": args.jobs}
    save = functools.partial(grading.write, out=out)
    with variant.checkout(home, args.variant) as root:
        grades = grading.grade(Path(args.submission), root, **options, progress=True, save=save)
    grades["reference"] = str(home) if args.variant is None else f"variant {args.variant} of {home}"
    save(grades)
    print(f"minirecon course grade: functions and tests of the reference are from {grades['reference']}")
    for name, entry in grades["submissions"].items():
        line = f"{_printable(name):40} {entry['points']:4} of {grades['of']} points {_printable(entry['remark'])}"
        print(line.rstrip())
        for number, row in entry["tasks"].items():
            if row["reason"] and len(grades["submissions"]) == 1:
                print("  " + textwrap.shorten(f"{number} {row['function']}: {_printable(row['reason'])}", 77))
    rows = [row for entry in grades["submissions"].values() for row in entry["tasks"].values()]
    if waiting := sum(row["points"] is None for row in rows):
        print(f"interrupted: {waiting} of {len(rows)} tasks are not graded yet")
    for file in grades["changed"]:
        print(f"changed meanwhile, perhaps by a submission: {_printable(file)}")
    print(f"wrote {out / 'grades.json'} and {out / 'grades.csv'}")


def _printable(text):
    return "".join(c if c.isprintable() else " " for c in text)  # a student's message can't drive the terminal
