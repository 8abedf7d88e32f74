r"""Coursework: what Gradescope and GitHub Classroom need to grade it. No part of the paper.

Formats: gradescope-autograders.readthedocs.io/en/latest/specs, and the workflow that GitHub Classroom writes for tests
of its own, with github.com/classroom-resources/autograding-command-grader.
"""

import json
import os
import re
import shutil
import sys
import tempfile
from pathlib import Path

from .grading import BESIDE, HIDDEN, grade
from .handout import TASKS, check_solved, load_tasks, of_assignment, write_files

SETUP = """#!/usr/bin/env bash
# Gradescope runs this once, when the image is built.
set -e
apt-get install -y python3 python3-pip python3-venv
python3 -m venv /autograder/venv
/autograder/venv/bin/pip install -r /autograder/source/requirements.txt
"""
RUN = """#!/usr/bin/env bash
# Gradescope runs this for each submission: submission/ is graded, results/results.json is written.
cd "$(dirname "$0")"
export PYTHONPATH=source/reference OPENBLAS_NUM_THREADS=1
exec "${PYTHON:-venv/bin/python}" -c "from minirecon.course import export; export.run_autograder(%s)"
"""
WORKFLOW = """name: Autograding Tests
on: [push, workflow_dispatch, repository_dispatch]
permissions:
  checks: write
  actions: read
  contents: read
jobs:
  run-autograding-tests:
    runs-on: ubuntu-latest
    if: github.actor != 'github-classroom[bot]'
    steps:
    - name: Checkout code
      uses: actions/checkout@v4
    - name: Set up Python
      uses: actions/setup-python@v5
      with:
        python-version: '3.12'
    - name: Install
      run: pip install -e .
"""
STEP = """    - name: {name}
      id: {id}
      uses: classroom-resources/autograding-command-grader@v1
      with:
        test-name: {name}
        setup-command: ''
        command: {command}
        timeout: 10
        max-score: {points}
"""
REPORT = """    - name: Autograding Reporter
      uses: classroom-resources/autograding-grading-reporter@v1
      env:
{results}      with:
        runners: {ids}
"""


def export(kind, out, root, assignment=None):
    r"""Write an autograder.

    Parameters
    ----------
    kind : "gradescope", a folder whose contents are zipped and uploaded; or "classroom", a folder .github for the
        handout that is the template of the students' repositories
    out : Path, a new folder
    root : Path, the repository's checkout
    assignment : int, its tasks alone; None: all

    Raises
    ------
    ValueError : `out` is there, no such assignment, or a task is not solved in `root`
    """
    if os.path.lexists(out):
        raise ValueError(f"{out}: is there already; expected a new folder")
    tasks = of_assignment(load_tasks(root)[0], assignment)
    check_solved(root, tasks)
    write_files(out, {"gradescope": _gradescope, "classroom": _classroom}[kind](root, tasks, assignment))
    if kind == "gradescope":
        for name in ("setup.sh", "run_autograder"):
            (out / name).chmod(0o755)


def _gradescope(root, tasks, assignment):
    r"""The scripts, and in reference/ what grading takes of the checkout."""
    named = {test.split("::")[0] for task in tasks for test in task.tests}
    wanted = [*(root / "minirecon").rglob("*.py"), *(root / name for name in {*named, *BESIDE, str(HIDDEN)})]
    wanted += [root / TASKS, root / "LICENSE"]
    files = {Path("reference", path.relative_to(root)): path.read_bytes() for path in wanted}
    project = (root / "pyproject.toml").read_text(encoding="utf-8")
    needed = re.search(r"^dependencies = \[(.*?)\]", project, re.MULTILINE | re.DOTALL).group(1)
    packages = [*re.findall(r'"(.+?)"', needed), "pytest", "hypothesis", "tomli; python_version < '3.11'"]
    files[Path("requirements.txt")] = ("\n".join(packages) + "\n").encode()
    files[Path("setup.sh")] = SETUP.encode()
    files[Path("run_autograder")] = (RUN % ("" if assignment is None else assignment)).encode()
    return files


def run_autograder(assignment=None):
    r"""Grade submission/ and write results/results.json, in the folder where this runs."""
    with tempfile.TemporaryDirectory() as class_:
        shutil.copytree("submission", Path(class_, "submission"))
        try:
            grades = grade(Path(class_), Path("source/reference").resolve(), assignment)
            result = results(grades["submissions"]["submission"])
        except Exception as error:  # of whatever kind: without results.json Gradescope says nothing of use
            result = {"score": 0, "output": f"not graded: {error}", "tests": []}
            print(error, file=sys.stderr)
    Path("results").mkdir(exist_ok=True)
    Path("results/results.json").write_text(json.dumps(result, indent=1), encoding="utf-8")


def results(entry):
    r"""A submission's grades as Gradescope takes them, a dict. What was not read is 0 points there, and a remark."""
    tests = []
    for number, row in entry["tasks"].items():
        said = [f"{name.split('::')[-1]}\n{message}" for name, message in row["failed"].items()]
        got = row["points"] or 0
        test = {
            "name": row["function"],
            "number": number,
            "score": got,
            "max_score": row["of"],
            "visibility": "visible",
        }
        test["status"] = "passed" if got == row["of"] else "failed"
        tests.append({**test, "output": "\n\n".join(said) or row["reason"]})
    return {"score": entry["points"] or 0, "output": entry["remark"], "stdout_visibility": "hidden", "tests": tests}


def _classroom(root, tasks, assignment):
    r"""The workflow. A task has all of its points or none there."""
    steps = []
    for task in tasks:
        one = {"id": f"task-{task.id.replace('.', '-')}", "name": f"{task.id} {task.function}", "points": task.points}
        steps.append({**one, "command": f"python -m minirecon course check {task.id}"})
    lines = [f'        {step["id"].upper()}_RESULTS: "${{{{steps.{step["id"]}.outputs.result}}}}"\n' for step in steps]
    report = REPORT.format(results="".join(lines), ids=",".join(step["id"] for step in steps))
    workflow = WORKFLOW + "".join(STEP.format(**step) for step in steps) + report
    return {Path(".github/workflows/classroom.yml"): workflow.encode()}
