r"""Coursework: what `minirecon course check` tries and prints. No part of the paper."""

import re
import textwrap

from .examiner import Examiner
from .grading import points
from .handout import TASKS, load_tasks
from .hints import mistake


def check(args, root):
    r"""Try one task, an assignment, or all, on the functions where one stands. Returns 1 if not all of it is solved."""
    if not args.seconds > 0:
        raise ValueError(f"seconds = {args.seconds}: expected a positive number")
    tasks, _ = load_tasks(root)
    chosen = [task for task in tasks if args.task is None or args.task in (task.id, task.id.split(".")[0])]
    if not chosen:
        sheets = "\n".join(path.read_text(encoding="utf-8") for path in (root / TASKS).parent.glob("[1-9]-*.md"))
        by_hand = re.search(rf"^\| {re.escape(args.task)} \| (in writing|an experiment) \|", sheets, re.MULTILINE)
        why = "graded by a person, not by tests" if by_hand else "no such task"
        first, last = tasks[0].id, tasks[-1].id
        known = f"{first.split('.')[0]} to {last.split('.')[0]}, or {first} to {last}"
        raise ValueError(f"task {args.task}: {why}; expected {known}")
    if args.hint and args.task != chosen[0].id:
        raise ValueError(f"--hint: expected one task, as in check {chosen[0].id} --hint")
    with Examiner() as examine:
        if args.task == chosen[0].id:
            return _one(chosen[0], examine(root, chosen[0].tests, args.seconds), root, args.hint or 0)
        return _several(chosen, root, lambda task: examine(root, task.tests, args.seconds))


def _several(chosen, root, examine):
    r"""A line for each task, and the points so far."""
    got = 0
    for task in chosen:
        written = task.stub.encode() not in (root / "minirecon" / task.path).read_bytes()
        verdict = examine(task) if written else None
        mine = points(task, verdict.share) if verdict else 0
        state = "not written yet"
        if verdict:
            passed = len(verdict.tests) - len(verdict.failed)
            state = "solved" if verdict.passed else f"{passed} of {len(verdict.tests)} tests passed"
            state = state if verdict.passed or verdict.failed else verdict.reason
        print(f"{task.id}  {task.function:28} {mine:4} of {task.points}  {printable(state)}", flush=True)
        got += mine
    total = sum(task.points for task in chosen)
    done = round(20 * got / total)
    print(f"[{'#' * done}{'.' * (20 - done)}] {got} of {total} points")
    return int(got < total)


def _one(task, verdict, root, hints):
    r"""What failed, and as many hints as were asked for."""
    total, title = len(verdict.tests), f"Task {task.id}: {task.function}, {task.points} points"
    if verdict.passed:
        print(f"{title}: solved, {total} of {total} tests passed")
        return 0
    so_far = f" ({points(task, verdict.share)} of {task.points} points so far)" if verdict.share else ""
    reason = f"{len(verdict.failed)} of {total} tests failed{so_far}" if verdict.failed else verdict.reason
    print(printable(f"{title}: {reason}"))
    first = {name: verdict.failed[name] for name in verdict.tests[:1] if name in verdict.failed}
    told = first or verdict.failed
    for message in dict.fromkeys(told.values()):  # what several tests say is said once
        names = [name.split("::")[-1] for name, said in told.items() if said == message]
        print("\n" + textwrap.fill(", ".join(names), 79))
        print(textwrap.indent("\n".join(printable(line) for line in message.splitlines()), "  "))
    if more := len(verdict.failed) - len(told):
        print(f"\nOf its other tests {more} failed, which can earn nothing while this one fails.")
    said = re.findall(r"^NotImplementedError: Task (\d+\.\d+)", "\n".join(verdict.failed.values()), re.MULTILINE)
    if earlier := [number for number in dict.fromkeys(said) if number != task.id]:
        print(f"\nIt needs task {', '.join(earlier)}, which is not written yet: first solve that.")
        return 1
    known = mistake(root, task, verdict.failed)
    last = f"It fails just as this mistake does: {known}." if known else "It fails like no mistake that is known."
    more = [f"For a hint: minirecon course check {task.id} --hint", f"For another: check {task.id} --hint --hint"]
    for line in [*(f"Hint: {task.hint}", last)[:hints], *more[hints : hints + 1]]:
        print("\n" + textwrap.fill(line, 79))
    return 1


def printable(text):
    r"""A text without what could drive the terminal: a student's message, or the name of a folder."""
    return "".join(c if c.isprintable() else " " for c in text)
