r"""Coursework: what `minirecon course handout`, `check` and `grade` do and print. No part of the paper."""

import functools
import textwrap
from pathlib import Path

from . import check as checking
from . import export as exporting
from . import grading, handout, variant
from .chapters import FOLDER, website
from .check import printable

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
    r"""Run the tests of a task, of an assignment, or all, and say what failed; the exit status is then 1."""
    return checking.check(args, handout.home(Path.cwd(), PACKAGE))


def write_export(args):
    r"""Write what Gradescope or GitHub Classroom needs."""
    with variant.checkout(handout.home(PACKAGE, Path.cwd()), args.variant) as root:
        exporting.export(args.kind, Path(args.dir), root, args.assignment)
    print(f"minirecon course export: wrote {args.dir}")


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
        got = "  no" if entry["points"] is None else f"{entry['points']:4} of {grades['of']}"
        line = f"{printable(name):40} {got} points {printable(entry['remark'])}"
        print(line.rstrip())
        for number, row in entry["tasks"].items():
            if row["reason"] and len(grades["submissions"]) == 1:
                print("  " + textwrap.shorten(f"{number} {row['function']}: {printable(row['reason'])}", 77))
    rows = [row for entry in grades["submissions"].values() for row in entry["tasks"].values()]
    if waiting := sum(row["reason"] == grading.WAITING.reason for row in rows):
        print(f"interrupted: {waiting} of {len(rows)} tasks are not graded yet")
    for file in grades["changed"]:
        print(f"changed meanwhile, perhaps by a submission: {printable(file)}")
    print(f"wrote {out / 'grades.json'} and {out / 'grades.csv'}")
